"""What a full training trains by: the settings, and for those that nobody has set, what tuning chose for this shop.

`tidewise train --tune` chooses and stores the choice in the database, where `tidewise train`, and the trainer of every
process, find it. A setting that an operator gives wins over the choice, the choice over the default. `model_config` and
`training_plan` (`tidewise.training.plans`) turn the result into a network and its training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from core.ports.store import Store
from tidewise.settings.schema import Settings

Choices = Mapping[str, bool | float]  # settings of the sections `model` and `train`, by dotted name
CHOICES_KEY = "training.tuned"  # of the metadata


def chosen(settings: Settings, store: Store) -> Choices:
    """What tuning chose for this store, of the settings that nobody has set; nothing where it never ran."""
    with store.read() as read:
        stored = read.metadata.all().get(CHOICES_KEY)
    choices: Choices = json.loads(stored) if stored else {}
    return {name: value for name, value in choices.items() if not is_set(settings, name)}


def save_choices(store: Store, choices: Choices) -> None:
    """Store what tuning chose, instead of what it chose before."""
    with store.transaction() as tx:
        tx.metadata.save({CHOICES_KEY: json.dumps(dict(choices), sort_keys=True)})
        tx.commit()


def is_set(settings: Settings, name: str) -> bool:
    """Whether a setting was given, as a flag, a variable or in a file, even if it is the default."""
    section, _, field = name.partition(".")
    return field in getattr(settings, section).model_fields_set


def with_choices(settings: Settings, choices: Choices) -> Settings:
    """The settings with some of them changed."""
    for name, value in choices.items():
        section, _, field = name.partition(".")
        changed = getattr(settings, section).model_copy(update={field: value})
        settings = settings.model_copy(update={section: changed})
    return settings


def text_of(choices: Choices) -> str:
    """The choices for people, as in a settings file."""
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in choices.items())
