"""The page of settings agrees with the schema."""

from pathlib import Path

from tidewise.settings.docs_page import settings_page, settings_table
from tidewise.settings.schema import load_settings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page()


def test_every_setting_is_described_by_one_sentence() -> None:
    for row in settings_table():
        assert row.sentence.endswith("."), row.name
        assert row.sentence[0].isupper() or row.sentence[0] == "`", row.name


def test_the_variable_on_the_page_sets_the_setting() -> None:
    rows = {row.name: row for row in settings_table()}
    assert load_settings(environment={rows["server.port"].variable: "81"}).server.port == 81


def test_the_page_shows_the_defaults() -> None:
    rows = {row.name: row for row in settings_table()}
    shown = [
        rows[name].default
        for name in ("server.port", "recommend.exclude_seen", "clock.mode", "kafka.bootstrap_servers")
    ]
    assert shown == ["`8080`", "`true`", "`wall`", "empty"]
