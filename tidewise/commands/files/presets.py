"""Presets of `--preset`: how the files of well-known datasets and systems are read.

A preset lists ways to name the columns; the first whose required columns are all in the file is used, without the
optional columns that the file lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.errors import InvalidInput
from core.imports.event_rows import HistoryColumns
from core.imports.item_import import STATED_FIELDS, ItemColumns
from core.imports.rows import FileFormat, plain_name
from tidewise.files import opened

HEADERLESS = ("dat", "data", "base", "test")


@dataclass(frozen=True, slots=True)
class Preset:
    """How the files of a system are read. `default_type`: of events without a type; None: that of the settings."""

    events: Sequence[HistoryColumns]
    items: Sequence[ItemColumns] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    default_type: str | None = None

    def columns_of(self, path: Path, file_format: FileFormat) -> HistoryColumns:
        """The columns of an events file; raises `InvalidInput` where they are not those of the preset."""
        existing = _columns_in(path, file_format)
        for columns in self.events:
            if set(columns.required) <= set(existing):
                optional = {name: column for name, column in columns.optional().items() if column in existing}
                return HistoryColumns(*columns.required, **optional)
        raise _unexpected(path, self.events[0].required, existing)

    def item_columns_of(self, path: Path, file_format: FileFormat) -> ItemColumns:
        """The columns of a file of items; raises `InvalidInput` where they are not those of the preset."""
        existing = _columns_in(path, file_format)
        for columns in self.items:
            if columns.item_id in existing:
                return ItemColumns(
                    columns.item_id,
                    title=columns.title if columns.title in existing else None,
                    text=tuple(name for name in columns.text if name in existing),
                    categories=columns.categories if columns.categories in existing else None,
                    stated={name: column for name, column in columns.stated.items() if column in existing},
                    attributes=tuple(name for name in columns.attributes if name in existing),
                    separator=columns.separator,
                )
        raise _unexpected(path, [columns.item_id for columns in self.items], existing)


OWN = "tidewise"  # what `tidewise export` writes
PRESETS = {
    OWN: Preset(
        [HistoryColumns(type="type", value="value", event_id="event_id")],
        [
            ItemColumns(
                title="title",
                text=("text",),
                categories="categories",
                stated={name: name for name in STATED_FIELDS},
                attributes=("attributes",),
            )
        ],
    ),
    "movielens": Preset(
        [
            HistoryColumns("userId", "movieId", "timestamp", value="rating"),
            HistoryColumns("1", "2", "4", value="3"),
        ],
        [ItemColumns("movieId", title="title", categories="genres"), ItemColumns("1", title="2", categories="3")],
        default_type="rating",
    ),
    "personalize": Preset(
        [HistoryColumns("USER_ID", "ITEM_ID", "TIMESTAMP", type="EVENT_TYPE", value="EVENT_VALUE")],
        [
            ItemColumns("ITEM_ID", title=title, text=("PRODUCT_DESCRIPTION", "DESCRIPTION"), categories=categories)
            for title, categories in [("PRODUCT_NAME", "CATEGORY_L1"), ("TITLE", "GENRES")]
        ],
        types={"Click": "click", "View": "view", "Watch": "view", "AddToCart": "cart", "Purchase": "purchase"}
        | {"ViewItem": "view", "Add to cart": "cart", "Like": "like", "Rating": "rating", "Impression": "impression"},
    ),
    "gorse": Preset(
        [
            HistoryColumns("user_id", "item_id", "time_stamp", type="feedback_type", value="value"),
            HistoryColumns("UserId", "ItemId", "Timestamp", type="FeedbackType", value="Value"),
        ],
        [
            ItemColumns("item_id", text=("comment",), categories="categories"),
            ItemColumns("ItemId", text=("Comment",), categories="Categories"),
        ],
        types={"read": "view", "star": "like", "favorite": "like", "buy": "purchase"},
    ),
    "retailrocket": Preset(
        [HistoryColumns("visitorid", "itemid", "timestamp", type="event")],
        types={"addtocart": "cart", "transaction": "purchase"},
    ),
}


def preset_of(name: str) -> Preset:
    """The preset of this name; raises `InvalidInput` for an unknown one."""
    if name not in PRESETS:
        msg = f"--preset: wanted one of {', '.join(PRESETS)}, got {name!r}"
        raise InvalidInput(msg)
    return PRESETS[name]


def preset_format(path: Path, said: FileFormat) -> FileFormat:
    """The format of a preset's file: files such as `ratings.dat` have no header and are in Latin-1."""
    if plain_name(path.name).rsplit(".", 1)[-1] not in HEADERLESS:
        return said
    return replace(said, has_header=False, encoding=said.encoding or "latin-1")


def fitting_preset(columns: Sequence[str]) -> str | None:
    """The preset whose events have these columns."""
    existing = set(columns)
    fitting = (name for name, preset in PRESETS.items() for known in preset.events if existing >= set(known.required))
    return next(fitting, None)


def _columns_in(path: Path, file_format: FileFormat) -> Sequence[str]:
    with opened(path, file_format) as reader:
        return reader.columns


def _unexpected(path: Path, wanted: Sequence[str], existing: Sequence[str]) -> InvalidInput:
    return InvalidInput(
        f"{path}: wanted the columns {', '.join(wanted)} for this preset, got {', '.join(existing)}; "
        "name the columns instead (--columns, --item-columns)"
    )
