"""What all sections of the settings share: how one is declared, and the types of numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """What all sections share: frozen, unknown names forbidden, the sentence below a field describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)


def split_names(given: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in given.split(",") if name.strip())
