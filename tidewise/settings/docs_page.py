"""The settings as rows and as the page `docs/settings.md`.

`python -m tidewise.settings.docs_page > docs/settings.md` writes the page; a test compares it with the schema.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from tidewise.settings.schema import EventTypeSettings, Settings
from tidewise.settings.section import section_of
from tidewise.settings.sources import variable_name

HEAD = """\
# Settings

<!-- Generated from tidewise/settings by `python -m tidewise.settings.docs_page > docs/settings.md`. -->

A value comes from, strongest first:

1. a flag of the command (`tidewise up --help` lists them),
2. an environment variable: `TIDEWISE_`, the section, two underscores, the name; with `_FILE` behind the name its value
   is the path of a file that contains the setting, such as a secret of Docker or Kubernetes:
   `TIDEWISE_SERVER__API_KEY_FILE=/run/secrets/api_key` (line breaks at its end are ignored),
3. a TOML file: the one named with `--config`, else `tidewise.toml` in the data folder,
4. the default.

```toml
[server]
port = 9000

[events.types.view]      # change one field of a known type
weight = 0.5

[events.types.wishlist]  # or add a type; omitted fields keep the defaults below
weight = 2.0
```

An unknown name is an error in the file, in the environment and on the command line; `tidewise settings` shows where
each value comes from. `TIDEWISE_EVENTS__TYPES__VIEW__WEIGHT=0.5` sets one field of a table; a table may also be JSON in
one variable; names from variables are in lower case. Secrets are masked wherever settings are shown. What shapes stored
state (`clock.mode`, `window`, `events.types`, `popularity.half_life_days`) is kept with the database: after a change of
it Tidewise stops and says what to do.
"""

EVENT_TYPES = """\
Each type has these fields; add new types below existing ones.

**Values** of events (a rating, a price, a quantity) are stored, and change nothing unless a type says so:

```toml
[events.types.rating]
value_weight = "linear"    # in popularity, five stars weigh ten times half a star
dislike_below = 3.0        # one and two stars hide the item, and are not trained on

[events.types.purchase]
value_weight = "log"       # for prices: a purchase of 1,000 weighs ten times one of 1, not a thousand times
```

`value_weight` multiplies `weight` in popularity, in the way in which Hu, Koren and Volinsky (ICDM 2008) derive
confidence from counts. A value up to 0 adds nothing, an event without one keeps its weight, and values above
10<sup>12</sup> count as that. The model, the gate and item transitions count every event once.

An event with a value below `dislike_below` is a dislike instead. It is no example for training and the gate (as Liang
et al., WWW 2018, make ratings binary), it adds nothing to popularity, and it hides the item from its user until a later
event of the same type with another value or none, or one of a type with `unhide`.

Undone, merged and erased events follow the same rules. After a change of either setting Tidewise stops, and `tidewise
rebuild` applies it to all stored events; models learn of it at the next training. `tidewise evaluate` reads no settings
and ignores values.
"""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting as a row of the page."""

    name: str
    variable: str
    type: str
    default: str
    sentence: str


def settings_table() -> list[SettingRow]:
    """Every setting, in the order of the schema."""
    return [
        _row(f"{section}.{name}", field)
        for section, field in Settings.model_fields.items()
        for name, field in section_of(field).model_fields.items()
    ]


def _row(name: str, field: FieldInfo) -> SettingRow:
    default = field.get_default(call_default_factory=True, validated_data={})
    return SettingRow(name, variable_name(name), _type_name(field), _shown(default), field.description or "")


def _type_name(field: FieldInfo) -> str:
    text = str(field.annotation)
    if "SecretStr" in text:
        return "secret"
    if "Literal" in text:
        return " or ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if "dict" in text:
        return "table"
    names: dict[Any, str] = {int: "integer", float: "number", bool: "true or false", str: "text", Path: "path"}
    return names[_without_none(field.annotation)]


def _without_none(annotation: Any) -> Any:
    """The type of a field that may be empty."""
    return next((choice for choice in get_args(annotation) if choice is not NoneType), annotation)


def _shown(default: Any) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default is None or default in ("", {}):
        return "empty"
    if isinstance(default, dict):
        return "see below"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def settings_page() -> str:
    """The text of `docs/settings.md`."""
    parts = [HEAD]
    rows = settings_table()
    for section, field in Settings.model_fields.items():
        parts.append(f"## {section}\n\n{_about(section_of(field))}\n")
        own = [row for row in rows if row.name.startswith(f"{section}.")]
        parts.extend([_table(own)] if own else [])
        if section == "events":
            parts.append(EVENT_TYPES)
            parts.append(_type_table())
            parts.append(_known_types())
    return "\n".join(parts)


def _about(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").strip()


def _table(rows: list[SettingRow]) -> str:
    lines = ["| Setting | Type | Default | What it does |", "|---|---|---|---|"]
    lines += [
        f"| `{row.name}`<br>`{row.variable}` | {row.type} | {row.default} | {_cell(row.sentence)} |" for row in rows
    ]
    return "\n".join(lines) + "\n"


def _type_table() -> str:
    lines = ["| Field | Type | Default for a new type | What it does |", "|---|---|---|---|"]
    for name, field in EventTypeSettings.model_fields.items():
        row = _row(name, field)
        lines.append(f"| `{name}` | {row.type} | {row.default} | {_cell(row.sentence)} |")
    return "\n".join(lines) + "\n"


def _known_types() -> str:
    fields = list(EventTypeSettings.model_fields)
    lines = [f"| Known type | {' | '.join(fields)} |", "|---" * (len(fields) + 1) + "|"]
    for name, kind in Settings().events.types.items():
        lines.append(f"| `{name}` | {' | '.join(_shown(getattr(kind, field)) for field in fields)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(settings_page())
