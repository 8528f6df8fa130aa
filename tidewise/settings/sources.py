"""Where settings come from: flags, environment variables, files that these name, and TOML, for pydantic-settings.

Each source has an `origin`, its name in messages. Independent of which settings exist: that table is
`tidewise.settings.schema`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource, TomlConfigSettingsSource

from core.errors import InvalidSettings, plain_reason
from tidewise.settings.section import leaf_names

PREFIX = "TIDEWISE_"
TEST_PREFIX = "TIDEWISE_TEST_"  # variables that configure the test suite
NESTING = "__"
FILE_SUFFIX = "_FILE"


class Flag(InitSettingsSource):
    """The value of one flag or of one `--set`, by the setting's dotted name."""

    origin = "command line"

    def __init__(self, table: type[BaseSettings], name: str, value: object) -> None:
        section, *names = name.split(".")
        for key in reversed(names):
            value = {key: value}
        super().__init__(table, {section: value})


class Variable(EnvSettingsSource):
    """One environment variable: `TIDEWISE_SERVER__PORT` is server.port; a table may be JSON."""

    def __init__(self, table: type[BaseSettings], name: str, value: str) -> None:
        super().__init__(table, env_prefix=PREFIX, env_nested_delimiter=NESTING)
        self.origin = f"environment variable {name}"
        self.env_vars = {name.lower(): value}
        self._section = name.removeprefix(PREFIX).lower().split(NESTING)[0]

    def __call__(self) -> dict[str, Any]:
        """The value; an unknown section, which pydantic-settings skips, is kept for validation to refuse."""
        return super().__call__() or {self._section: None}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """The JSON of a table; other text is left to validation, whose messages name the variable."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class VariableFile(Variable):
    """A variable that names the file of a setting: `TIDEWISE_SERVER__API_KEY_FILE=/run/secrets/api_key`.

    Raises `InvalidSettings` where the file cannot be read. Line breaks at the end are not part of the value.
    """

    def __init__(self, table: type[BaseSettings], name: str, path: Path) -> None:
        try:
            value = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            got = f"{path}: {plain_reason(error)}"
            msg = f"environment variable {name}: wanted the path of a readable text file, got {got}"
            raise InvalidSettings(msg) from None
        super().__init__(table, name.removesuffix(FILE_SUFFIX), value)
        self.origin = f"file {path} (environment variable {name})"


class TomlFile(TomlConfigSettingsSource):
    """A TOML file; raises `InvalidSettings` where it is missing or malformed."""

    def __init__(self, table: type[BaseSettings], path: Path) -> None:
        self.origin = f"file {path}"
        try:
            path.open("rb").close()  # pydantic-settings reads a missing file as an empty one
            super().__init__(table, path)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            reason = plain_reason(error)
            msg = f"{path}: wanted a readable TOML file, got: {reason}; correct the file or name another with --config"
            raise InvalidSettings(msg) from None


Source = Flag | Variable | TomlFile


def variables(table: type[BaseSettings], environment: Mapping[str, str]) -> list[Variable]:
    """A source for each `TIDEWISE_` variable; of two for the same setting the longer name is stronger."""
    names = [name for name in environment if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX)]
    settings = {variable_name(leaf) for leaf in leaf_names(table)}
    return [_variable(table, name, environment[name], settings) for name in sorted(names, reverse=True)]


def _variable(table: type[BaseSettings], name: str, value: str, settings: Collection[str]) -> Variable:
    """The source of a variable; `kafka.ssl_ca_file` is a setting of its own, not the file of one."""
    if name.endswith(FILE_SUFFIX) and name not in settings and name.removesuffix(FILE_SUFFIX) in settings:
        return VariableFile(table, name, Path(value))
    return Variable(table, name, value)


def variable_name(setting: str) -> str:
    """The environment variable of a setting by its dotted name."""
    return PREFIX + setting.upper().replace(".", NESTING)


def origin_of(location: Sequence[object], sources: Sequence[Source]) -> str:
    """The origin of the value at a location as ("server", "port"); `sources`: strongest first."""
    return next((source.origin for source in sources if has_value(source(), location)), "default")


def has_value(values: object, location: Sequence[object]) -> bool:
    """Whether nested values hold a value at, below or above a location."""
    for name in location:
        if not isinstance(values, Mapping):
            return True
        if name not in values:
            return False
        values = values[name]
    return True
