"""Model versions and promotions."""

from __future__ import annotations

from dataclasses import astuple, fields

from sqlalchemy import bindparam, select, update
from sqlalchemy.sql.elements import CompilerElement

from core.records.stored import ModelRecord, Promotion
from storage.codec import pack_json, unpack_json
from storage.dialects import Dialect, Row
from storage.session import Session
from storage.tables import models, promotions

CHAMPION, RETIRED = "champion", "retired"


def _upsert(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(models, "version", "path", "status", "created_ms", "lineage")
    new = {name: insert.excluded[name] for name in ("path", "status", "created_ms", "lineage")}
    return insert.on_conflict_do_update(index_elements=["version"], set_=new)


def _retire(dialect: Dialect) -> CompilerElement:
    serving = (models.c.status == CHAMPION, models.c.version != bindparam("successor"))
    return update(models).where(*serving).values(status=RETIRED)


def _newest(dialect: Dialect) -> CompilerElement:
    return select(models).order_by(models.c.created_ms.desc(), models.c.version.desc())


def _champion(dialect: Dialect) -> CompilerElement:
    return select(models).where(models.c.status == CHAMPION)


def _locked(dialect: Dialect) -> CompilerElement:
    return select(models).order_by(models.c.created_ms.desc(), models.c.version.desc()).with_for_update()


def _add_promotion(dialect: Dialect) -> CompilerElement:
    return dialect.insert(promotions, "version", "previous", "kind", "decided_by", "reason", "time_ms")


def _promotions(dialect: Dialect) -> CompilerElement:
    columns = (promotions.c[field.name] for field in fields(Promotion))
    recent = promotions.c.time_ms >= bindparam("since_ms")
    return select(*columns).where(recent).order_by(promotions.c.key.desc())


class ModelRepository:
    """`core.ports.models.ModelRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def save(self, record: ModelRecord) -> None:
        """Store a model; a new champion retires the previous champion, so that there is at most one."""
        if record.status == CHAMPION:
            self._session.run(_retire, successor=record.version)
        row = (record.version, record.path, record.status, record.created_ms, pack_json(dict(record.lineage)))
        self._session.write(_upsert, [row])

    def all(self) -> list[ModelRecord]:
        """All models, newest first."""
        return [_record(row) for row in self._session.rows(_newest)]

    def lock(self) -> list[ModelRecord]:
        """All models, newest first, locked until the transaction ends."""
        return [_record(row) for row in self._session.rows(_locked)]

    def add_promotion(self, promotion: Promotion) -> None:
        """Record a change of the serving model."""
        self._session.write(_add_promotion, [astuple(promotion)])

    def promotions(self, *, since_ms: int = 0) -> list[Promotion]:
        """The changes of the serving model since a time, newest first."""
        return [Promotion(*row) for row in self._session.rows(_promotions, since_ms=since_ms)]

    def champion(self) -> ModelRecord | None:
        """The serving model."""
        row = self._session.row(_champion)
        return None if row is None else _record(row)


def _record(row: Row) -> ModelRecord:
    version, path, status, created_ms, lineage = row
    return ModelRecord(version, path, status, created_ms, unpack_json(lineage))
