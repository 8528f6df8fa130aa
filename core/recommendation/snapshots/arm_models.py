"""The models of arms: versions that are loaded beside the champion while arms of running experiments name them.

Used only by the thread that builds serving snapshots.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from core.catalogue.items import Catalogue
from core.errors import CheckpointError
from core.recommendation.snapshots.bound_model import BoundModel, ModelBinder
from core.recommendation.snapshots.item_values import ItemValuesKeeper
from core.records.stored import ModelRecord

_log = logging.getLogger(__name__)


class ArmModel(NamedTuple):
    """A loaded version, and the keeper of its item values."""

    bound: BoundModel
    values: ItemValuesKeeper


class ArmModels:
    """The versions that are loaded now, bound to the catalogue that serves."""

    def __init__(self, binder: Callable[[], ModelBinder]) -> None:
        """`binder`: makes one for each version."""
        self._binder = binder
        self._loaded: dict[str, tuple[ModelBinder, ArmModel]] = {}
        self._damaged: set[str] = set()

    def follow(
        self, records: Collection[ModelRecord], old: Catalogue | None, catalogue: Catalogue
    ) -> Mapping[str, ArmModel]:
        """The models of these records over a catalogue, the successor of `old`; others are unloaded.

        A damaged model is left out; it is tried again when arms name it anew.
        """
        wanted = {record.version: record for record in records}
        self._damaged &= wanted.keys()
        self._loaded = {version: loaded for version, loaded in self._loaded.items() if version in wanted}
        for version, (binder, arm) in self._loaded.items():
            if old is not None:
                self._loaded[version] = binder, arm._replace(bound=binder.follow(arm.bound, old, catalogue))
        for version in sorted(wanted.keys() - self._loaded.keys() - self._damaged):
            binder = self._binder()
            try:
                self._loaded[version] = binder, ArmModel(binder.load(wanted[version], catalogue), ItemValuesKeeper())
            except CheckpointError as error:
                _log.error("model %s of an experiment does not serve: %s", version, error)
                self._damaged.add(version)
        return {version: arm for version, (_, arm) in self._loaded.items()}
