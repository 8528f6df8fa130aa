"""Text features: frozen at the fit, the same for a text whatever stands beside it, and honest about nothing to say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from core.catalogue.items import Catalogue
from model.features import TextFeatures, described, restore_source, words


def fitted(shop: Catalogue, size: int = 4) -> TextFeatures:
    text = TextFeatures.fit(shop, size=size, seed=0)
    assert text is not None
    return text


def test_weights_equal_those_of_scikit_learn(shop: Catalogue) -> None:
    text = fitted(shop)
    oracle = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True, vocabulary=dict(text.vocabulary), min_df=2).fit(
        described(shop)
    )
    sentence = "garden garden hose unheard steel"
    expected = oracle.transform([sentence]) @ text.components
    values, _ = text.transform([sentence])
    np.testing.assert_allclose(values, expected / np.linalg.norm(expected) * np.sqrt(text.size), atol=1e-5)


def test_items_of_one_theme_are_nearer_to_each_other_than_to_other_themes(shop: Catalogue) -> None:
    values, present = fitted(shop).transform(described(shop))
    assert present.all()
    similarities = values @ values.T
    same_theme = np.equal.outer(np.arange(40) % 4, np.arange(40) % 4)
    assert similarities[same_theme].min() > similarities[~same_theme].max()


def test_the_features_of_a_text_do_not_depend_on_its_company(shop: Catalogue) -> None:
    text, texts = fitted(shop), described(shop)
    batch, _ = text.transform(texts)
    separate = np.concatenate([text.transform([document])[0] for document in texts])
    np.testing.assert_array_equal(batch, separate)


def test_empty_and_unknown_texts_are_absent_wherever_they_stand(shop: Catalogue) -> None:
    values, present = fitted(shop).transform(["", "garden", "zzz yyy", "steel", ""])
    assert present.tolist() == [False, True, False, True, False]
    assert not values[~present].any()


def test_the_same_fit_gives_the_same_bits_and_survives_its_checkpoint_form(shop: Catalogue) -> None:
    first, second = fitted(shop), fitted(shop)
    restored = restore_source(first.to_json(), first.to_arrays())
    texts = described(shop)
    np.testing.assert_array_equal(first.transform(texts)[0], second.transform(texts)[0])
    np.testing.assert_array_equal(first.transform(texts)[0], restored.transform(texts)[0])


def test_a_catalogue_without_words_has_no_text_features(shop: Catalogue) -> None:
    silent = replace(shop, texts=("",) * 40, categories=((),) * 40)
    assert TextFeatures.fit(silent, size=4, seed=0) is None


def test_a_small_vocabulary_gives_fewer_features_than_asked_for(shop: Catalogue) -> None:
    assert fitted(shop, size=500).size < 40


def test_numeric_categories_differ_from_numbers_in_the_text(shop: Catalogue) -> None:
    numbered = replace(shop, texts=("route 66",) * 40, categories=(("66", "Toys & Games"),) * 40)
    assert words(described(numbered)[0]) == ["route", "66", "category_66", "toys", "games"]
