"""Where settings come from: layers of given values, merged in order, each remembering its origin.

Knows nothing about which settings exist: that table is `tidewise.settings.schema`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidSettings

PREFIX = "TIDEWISE_"
TEST_PREFIX = "TIDEWISE_TEST_"  # tells the test suite which servers to use; no setting begins so
NESTING = "__"


@dataclass(frozen=True, slots=True)
class Layer:
    """Values given in one place. `values`: nested by section; `origin`: that place, as a message names it."""

    origin: str
    values: Mapping[str, Any]

    def gives(self, path: Sequence[object]) -> bool:
        """Whether this layer gives a value at, below or above `path`."""
        values: object = self.values
        for name in path:
            if not isinstance(values, Mapping):
                return True
            if name not in values:
                return False
            values = values[name]
        return True


def toml_layer(path: Path) -> Layer:
    """The values of a TOML file; raises `InvalidSettings` where it is missing or malformed."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path}: wanted a readable TOML file, got: {error}; correct the file or name another with --config"
        raise InvalidSettings(msg) from None
    return Layer(f"file {path}", values)


def environment_layers(environment: Mapping[str, str]) -> list[Layer]:
    """One layer for each `TIDEWISE_*` variable; `TIDEWISE_SERVER__PORT` gives server.port."""
    return [
        Layer(f"environment variable {name}", nested(name.removeprefix(PREFIX).lower().split(NESTING), value))
        for name, value in sorted(environment.items())
        if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX)
    ]


def flag_layers(overrides: Mapping[str, object]) -> list[Layer]:
    """One layer for each flag that was given; None means that it was not."""
    return [
        Layer("command line", nested(name.split("."), value)) for name, value in overrides.items() if value is not None
    ]


def nested(path: Sequence[str], value: object) -> dict[str, Any]:
    """`value` wrapped into one dict per name of `path`."""
    for name in reversed(path):
        value = {name: value}
    assert isinstance(value, dict), "a path has at least one name"
    return value


def merge(layers: Iterable[Layer]) -> dict[str, Any]:
    """All layers in one nested dict; a later layer wins, setting by setting."""
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge_into(merged, layer.values)
    return merged


def _merge_into(target: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, Mapping):
            below = target.get(name)
            target[name] = dict(below) if isinstance(below, Mapping) else {}
            _merge_into(target[name], value)
        else:
            target[name] = value


def origin_of(path: Sequence[object], layers: Sequence[Layer]) -> str:
    """The origin of the value at `path`: that of the last layer which gives it; "default" where none does."""
    return next((layer.origin for layer in reversed(layers) if layer.gives(path)), "default")
