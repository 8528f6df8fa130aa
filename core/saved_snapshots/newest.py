"""The newest saved state: the only one that stays, and used only where what it was made for is what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.ports.array_folders import ArrayFolders, Arrays


class Misfit(ValueError):
    """A saved state was made for something else; the message says what differs."""


def check_about(about: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises `Misfit` where a saved state is about something else, `KeyError` where it does not say."""
    for key, value in wanted.items():
        if about[key] != value:
            msg = f"wanted {key} {value}, got {about[key]}"
            raise Misfit(msg)


def save_newest(folders: ArrayFolders, name: str, arrays: Arrays, about: Mapping[str, Any]) -> None:
    """Save a state and delete all others; for the process that may write."""
    folders.save(name, arrays, about)
    for other in folders.names():
        if other != name:
            folders.delete(other)
