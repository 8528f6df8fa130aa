"""The base class of all sections of the settings, the types of numbers, and the names in a table of sections."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import isclass
from typing import Annotated, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]

Share = Annotated[float, Field(gt=0, le=1)]


class Section(BaseModel):
    """A section: frozen, unknown names forbidden; the docstring below a field describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_as_number(cls, value: object, info: ValidationInfo) -> object:
        """TOML has booleans, which Python takes for 0 and 1."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation in (int, float):
            msg = f"wanted a number, got {str(value).lower()}"
            raise ValueError(msg)
        return value


def split_names(text: str) -> tuple[str, ...]:
    """Comma-separated names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def leaf_names(table: type[BaseModel]) -> list[str]:
    """The dotted names of all settings of a table of sections."""
    return [
        f"{section}.{name}" for section, field in table.model_fields.items() for name in section_of(field).model_fields
    ]


def names_below(path: Sequence[str], table: type[BaseModel]) -> list[str]:
    """The names that a section has, or an entry of a setting that holds tables by name; none below other paths."""
    match path:
        case [section] if section in table.model_fields:
            return list(section_of(table.model_fields[section]).model_fields)
        case [_, _, _] if field := field_at(path, table):
            entries = [each for each in get_args(field.annotation) if isclass(each) and issubclass(each, BaseModel)]
            return [name for entry in entries for name in entry.model_fields]
        case _:
            return []


def section_of(field: FieldInfo) -> type[BaseModel]:
    """The section that a field of the table holds."""
    assert isinstance(field.annotation, type)
    assert issubclass(field.annotation, BaseModel)
    return field.annotation


def field_at(path: Sequence[object], table: type[BaseModel]) -> FieldInfo | None:
    """The field of a setting by its path, or None where the path names none."""
    match path:
        case (str(section), str(name), *_) if section in table.model_fields:
            return section_of(table.model_fields[section]).model_fields.get(name)
        case _:
            return None
