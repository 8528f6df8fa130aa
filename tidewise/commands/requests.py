"""Commands whose options are the fields of a dataclass, so that commands with the same options share them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

RequestT = TypeVar("RequestT")


def command_of(request: type[RequestT], run: Callable[[RequestT], None]) -> Callable[..., None]:
    """A command that builds the request from its options and runs it; its help is the docstring of the request."""

    def command(**options: Any) -> None:
        run(request(**options))

    hints = get_type_hints(request, include_extras=True)
    parameters = inspect.signature(request).parameters.items()
    command.__doc__ = request.__doc__
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(annotation=hints[name]) for name, parameter in parameters]
    )
    command.__annotations__ = hints
    return command
