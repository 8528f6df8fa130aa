"""Lists of all users equal the answers that users get one by one."""

from __future__ import annotations

from domain_shop import ALL, Shop, names

from core.recommendation.user_lists import UserPage, lists_of, user_pages


def shop_of_users(num_users: int) -> Shop:
    shop = Shop(counts=True)
    for number in range(num_users):
        shop.had("abcdef"[number % 6], number, user_id=f"u{number:02d}")
        shop.had("abcdef"[number % 5], number + 1, user_id=f"u{number:02d}")
    shop.had("a", user_id="viewer", kind="impression")
    shop.snapshots.refresh()
    return shop


def test_lists_are_those_of_single_requests_and_pages_encode_users() -> None:
    shop = shop_of_users(10)
    pages = list(user_pages(shop.store, page_users=4))
    lists = [record for page in pages for record in lists_of(shop.store, shop.recommender, ALL, page)]
    alone = shop_of_users(10)
    answers = {record["user_id"]: alone.recommender.recommend(record["user_id"], ALL) for record in lists}
    assert [record["user_id"] for record in lists] == [*(f"u{number:02d}" for number in range(10)), "viewer"]
    for record in lists:
        answer = answers[record["user_id"]]
        assert (record["items"], record["source"], record["user_seq"], record["model_version"], record["now"]) == (
            names(answer),
            answer.source,
            answer.user_seq,
            answer.model_version,
            answer.now_ms,
        )
        assert record["scores"] == [item.score for item in answer.items]
    assert shop.recommender.num_encoded == 10


def test_a_user_who_came_after_the_pages_were_read_displaces_nobody() -> None:
    shop = shop_of_users(3)
    (page,) = user_pages(shop.store)
    shop.had("a", user_id="u015")
    listed = [record["user_id"] for record in lists_of(shop.store, shop.recommender, ALL, page)]
    assert page == UserPage("", "viewer", 4)
    assert {"u00", "u01", "u02", "viewer"} <= set(listed)
