"""The section `[scenarios]`: definitions of scenarios by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, model_validator

from core.errors import InvalidInput
from core.json_fields import check_name
from core.scenarios.definition import parse_scenario
from tidewise.settings.section import Section


class ScenarioSettings(Section):
    """Scenarios. `[scenarios.NAME]` holds a definition, as the page on scenarios says; a stored one wins over it."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Any]]

    @property
    def by_name(self) -> Mapping[str, dict[str, Any]]:
        """The definitions."""
        return self.__pydantic_extra__

    @model_validator(mode="after")
    def _are_definitions(self) -> Self:
        for name, definition in self.by_name.items():
            try:
                parse_scenario(definition, name=check_name(name))
            except InvalidInput as error:
                msg = f"{name}: {error}"
                raise ValueError(msg) from None
        return self
