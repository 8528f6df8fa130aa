"""Model versions: proposing, promoting and rolling back; each change is part of the caller's transaction.

`core.records.statuses.ModelStatus` says what a version can be. Files of old versions may be deleted
(`expired_versions`); their records stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.errors import InvalidInput, NotFound
from core.ports.store import Transaction
from core.records.statuses import ModelStatus, PromotionKind
from core.records.stored import ModelRecord, Promotion


def named(models: Sequence[ModelRecord], version: str) -> ModelRecord:
    """The model with this version; raises `NotFound`."""
    for record in models:
        if record.version == version:
            return record
    msg = f"model {version!r} is not known; `tidewise models list` shows all versions"
    raise NotFound(msg)


def with_status(models: Sequence[ModelRecord], status: str) -> ModelRecord | None:
    """The newest model with this status."""
    return next((record for record in models if record.status == status), None)


def propose(tx: Transaction, record: ModelRecord) -> None:
    """Store a new challenger; an undecided earlier one is superseded."""
    for known in tx.models.lock():
        if known.status == ModelStatus.CHALLENGER and known.version != record.version:
            tx.models.save(replace(known, status=ModelStatus.SUPERSEDED))
    tx.models.save(replace(record, status=ModelStatus.CHALLENGER))


def note(tx: Transaction, version: str, facts: Mapping[str, Any], *, status: str | None = None) -> None:
    """Add facts to a model's lineage and, if given, change its status."""
    record = named(tx.models.lock(), version)
    tx.models.save(replace(record, status=status or record.status, lineage={**record.lineage, **facts}))


def promote(
    tx: Transaction, version: str, *, decided_by: str, reason: str, now_ms: int, force: bool = False
) -> Promotion:
    """Make a version the champion. A refused one needs `force`; raises `NotFound`, `InvalidInput`."""
    models = tx.models.lock()
    record = named(models, version)
    if record.status == ModelStatus.REFUSED and not force:
        msg = f"model {version} was refused: {record.lineage.get('refused', 'no reason kept')}; --force promotes it"
        raise InvalidInput(msg)
    return _serve(tx, models, record, PromotionKind.PROMOTION, decided_by=decided_by, reason=reason, now_ms=now_ms)


def roll_back(tx: Transaction, *, decided_by: str, reason: str, now_ms: int) -> Promotion:
    """Make the champion's predecessor the champion again; raises `NotFound` if there is none."""
    models = tx.models.lock()
    champion = with_status(models, ModelStatus.CHAMPION)
    target = None if champion is None else predecessor(models, tx.models.promotions(), champion)
    if target is None:
        raise NotFound("there is no earlier model to return to; `tidewise models list` shows all versions")
    return _serve(tx, models, target, PromotionKind.ROLLBACK, decided_by=decided_by, reason=reason, now_ms=now_ms)


def predecessor(
    models: Sequence[ModelRecord], promotions: Sequence[Promotion], record: ModelRecord
) -> ModelRecord | None:
    """The model that served before this one was promoted; without a promotion record, the newest older retired one."""
    for promotion in promotions:
        if promotion.version == record.version and promotion.kind == PromotionKind.PROMOTION:
            return named(models, promotion.previous) if promotion.previous else None
    older = [m for m in models if m.status == ModelStatus.RETIRED and m.created_ms < record.created_ms]
    return older[0] if older else None


def ancestors(models: Sequence[ModelRecord], promotions: Sequence[Promotion], *, limit: int) -> list[ModelRecord]:
    """The champion and its predecessors: at most `limit` + 1 models, newest first."""
    line: list[ModelRecord] = []
    record = with_status(models, ModelStatus.CHAMPION)
    while record is not None and record not in line and len(line) <= limit:
        line.append(record)
        record = predecessor(models, promotions, record)
    return line


def expired_versions(
    models: Sequence[ModelRecord], promotions: Sequence[Promotion], *, keep: int, in_use: Collection[str] = ()
) -> list[ModelRecord]:
    """Models whose files can be deleted: all but the champion, its `keep` predecessors, the newest `keep`, `in_use`.

    `in_use`: versions of experiments.
    """
    kept = {record.version for record in ancestors(models, promotions, limit=keep)}
    kept |= {record.version for record in models[:keep]}
    kept |= {record.version for record in models if record.status in (ModelStatus.CHALLENGER, ModelStatus.CHAMPION)}
    kept |= set(in_use)
    return [record for record in models if record.path and record.version not in kept]


def _serve(
    tx: Transaction,
    models: Sequence[ModelRecord],
    record: ModelRecord,
    kind: str,
    *,
    decided_by: str,
    reason: str,
    now_ms: int,
) -> Promotion:
    champion = with_status(models, ModelStatus.CHAMPION)
    if champion is not None and champion.version == record.version:
        msg = f"model {record.version} serves already"
        raise InvalidInput(msg)
    if not record.path:
        msg = (
            f"the files of model {record.version} are no longer kept; promote another, "
            "or raise learn.keep_versions in time"
        )
        raise InvalidInput(msg)
    previous = champion.version if champion else None
    promotion = Promotion(record.version, previous, kind, decided_by, reason, now_ms)
    tx.models.save(replace(record, status=ModelStatus.CHAMPION))
    tx.models.add_promotion(promotion)
    return promotion
