"""Collected vectors: computed once for each content, kept through crashes, and never in the way of a whole run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from core.errors import InvalidInput
from model.content.collect import Collected, Described, collect
from model.content.collection import ITEMS, ROWS, VECTORS, Collection


class CountingDescriber:
    """Describes a content by its first two bytes, and counts; `broken` contents are faults."""

    size = 2
    batch_size = 3

    def __init__(self, fingerprint: str = "counting-1", broken: Sequence[bytes] = ()) -> None:
        self.fingerprint, self.broken = fingerprint, broken
        self.described: list[bytes] = []

    def describe(self, contents: Sequence[bytes]) -> Described:
        self.described += contents
        vectors = np.array([[content[0], content[1]] for content in contents], np.float32)
        return Described(vectors, {index: "broken" for index, content in enumerate(contents) if content in self.broken})


def run(
    folder: Path, describer: CountingDescriber, contents: Mapping[str, bytes], *, replace: bool = False
) -> Collected:
    def read(item_id: str) -> bytes:
        return contents[item_id]

    return collect(folder, describer, list(contents), read, progress=lambda done, total: None, replace=replace)


def vectors(folder: Path, *item_ids: str) -> dict[str, list[float]]:
    """What the folder holds of these items."""
    collection = Collection.open(folder)
    hashes = collection.hashes(item_ids)
    known = {item_id: key for item_id, key in zip(item_ids, hashes, strict=True) if key is not None}
    return dict(zip(known, collection.vectors(list(known.values())).tolist(), strict=True))


CONTENTS = {f"item-{n}": bytes([n, 2 * n]) for n in range(1, 8)}


def test_a_second_run_computes_nothing_that_is_unchanged(tmp_path: Path) -> None:
    describer = CountingDescriber()
    first = run(tmp_path / "c", describer, CONTENTS)
    assert (first.num_items, first.num_computed, len(first.changed)) == (7, 7, 7)
    before = {path.name: path.read_bytes() for path in (tmp_path / "c").iterdir()}
    second = run(tmp_path / "c", describer, CONTENTS)
    assert (second.num_items, second.num_computed, second.changed) == (7, 0, [])
    assert len(describer.described) == 7
    assert {path.name: path.read_bytes() for path in (tmp_path / "c").iterdir()} == before


def test_only_what_is_new_or_changed_is_computed(tmp_path: Path) -> None:
    run(tmp_path / "c", CountingDescriber(), CONTENTS)
    describer = CountingDescriber()
    report = run(tmp_path / "c", describer, {**CONTENTS, "item-2": b"zz", "new": b"nn"})
    assert describer.described == [b"zz", b"nn"]
    assert sorted(report.changed) == ["item-2", "new"]
    assert vectors(tmp_path / "c", "item-1", "item-2", "new") == {
        "item-1": [1, 2],
        "item-2": [122, 122],
        "new": [110, 110],
    }


def test_equal_contents_are_computed_once_and_share_their_vector(tmp_path: Path) -> None:
    describer = CountingDescriber()
    run(tmp_path / "c", describer, {"a": b"xx", "b": b"xx", "c": b"yy", "d": b"xx"})
    assert sorted(describer.described) == [b"xx", b"yy"]
    assert vectors(tmp_path / "c", "a", "d")["a"] == vectors(tmp_path / "c", "a", "d")["d"]


def test_omitted_items_keep_their_vectors_unless_replaced(tmp_path: Path) -> None:
    run(tmp_path / "c", CountingDescriber(), {"a": b"aa", "b": b"bb"})
    run(tmp_path / "c", CountingDescriber(), {"c": b"cc"})
    assert set(vectors(tmp_path / "c", "a", "b", "c")) == {"a", "b", "c"}
    report = run(tmp_path / "c", CountingDescriber(), {"c": b"cc"}, replace=True)
    assert set(vectors(tmp_path / "c", "a", "b", "c")) == {"c"}
    assert sorted(report.changed) == ["a", "b"]


def test_a_fault_is_reported_each_time_computed_once_and_stops_nothing(tmp_path: Path) -> None:
    describer = CountingDescriber(broken=[b"bb"])
    for _ in range(2):
        report = run(tmp_path / "c", describer, {"a": b"aa", "b": b"bb", "c": b"cc", "d": b"dd"})
        assert report.faults == {"b": "broken"}
    assert describer.described == [b"aa", b"bb", b"cc", b"dd"]
    assert set(vectors(tmp_path / "c", "a", "b", "c", "d")) == {"a", "c", "d"}


def test_a_content_that_cannot_be_read_is_a_fault_of_its_item_alone(tmp_path: Path) -> None:
    def read(item_id: str) -> bytes:
        if item_id == "b":
            raise ValueError("cannot be read")
        return item_id.encode() * 2

    report = collect(tmp_path / "c", CountingDescriber(), ["a", "b", "c"], read, progress=lambda done, total: None)
    assert report.faults == {"b": "cannot be read"}
    assert set(vectors(tmp_path / "c", "a", "b", "c")) == {"a", "c"}


def test_a_vector_that_is_not_finite_is_a_fault(tmp_path: Path) -> None:
    class Wild(CountingDescriber):
        def describe(self, contents: Sequence[bytes]) -> Described:
            return Described(np.array([[np.nan, 1.0] if c == b"bb" else [1.0, 1.0] for c in contents], np.float32))

    report = run(tmp_path / "c", Wild(), {"a": b"aa", "b": b"bb"})
    assert report.faults == {"b": "its vector is not finite"}


def test_a_killed_run_goes_on_where_it_was_whatever_it_left_half_written(tmp_path: Path) -> None:
    def killed(done: int, total: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    first = CountingDescriber()
    with pytest.raises(KeyboardInterrupt):
        collect(tmp_path / "c", first, list(CONTENTS), lambda item_id: CONTENTS[item_id], progress=killed)
    assert len(first.described) == 6
    for name in (ROWS, VECTORS):
        with (tmp_path / "c" / name).open("ab") as file:
            file.write(b'{"ha')
    resumed = CountingDescriber()
    run(tmp_path / "c", resumed, CONTENTS)
    assert resumed.described == [CONTENTS["item-7"]]
    expected = {item_id: list(map(float, content)) for item_id, content in CONTENTS.items()}
    assert vectors(tmp_path / "c", *CONTENTS) == expected


def test_another_describers_vectors_are_replaced_as_a_whole(tmp_path: Path) -> None:
    run(tmp_path / "c", CountingDescriber("one"), CONTENTS)
    report = run(tmp_path / "c", CountingDescriber("two"), {"item-1": b"zz"})
    assert (report.num_computed, Collection.open(tmp_path / "c").fingerprint) == (1, "two")
    assert set(vectors(tmp_path / "c", *CONTENTS)) == {"item-1"}


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(InvalidInput, match="wanted an empty folder or one made by `tidewise features`"):
        run(tmp_path, CountingDescriber(), CONTENTS)
    assert (tmp_path / "letters.txt").read_text() == "dear"


def test_a_folder_that_holds_no_vectors_is_said_to(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="wanted a folder made by `tidewise features`"):
        Collection.open(tmp_path)


def test_memory_is_bounded_by_the_batch(tmp_path: Path) -> None:
    sizes: list[int] = []

    class Watching(CountingDescriber):
        def describe(self, contents: Sequence[bytes]) -> Described:
            sizes.append(len(contents))
            return super().describe(contents)

    run(tmp_path / "c", Watching(), {f"i{n}": n.to_bytes(2) for n in range(100)})
    assert max(sizes) == 3
    assert len(json.loads((tmp_path / "c" / ITEMS).read_text())) == 100
