"""The lag recorder: stores how far each partition of the event log lags, so that charts show it over time."""

from __future__ import annotations

from core.clock import DAY_MS, MINUTE_MS
from core.records.drift import BUCKET_MS
from serving.runtime.services import Services

PERIOD_MS = MINUTE_MS
KEEP_MS = 90 * DAY_MS


class LagRecorder:
    """Stores the lags once a minute; several processes may do so, the highest lag counts. Idle without an event log."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._recorded_ms = 0

    def record(self) -> None:
        """Store the lags of this moment if the last ones are a minute old; raises `StreamUnavailable`."""
        services, now_ms = self._services, self._services.wall.now_ms()
        if services.log is None or now_ms - self._recorded_ms < PERIOD_MS:
            return
        self._recorded_ms = now_ms
        with services.store.read() as read:
            applied = read.offsets.applied(services.log.name)
        ends = services.log_end_offsets(applied)
        lags = {partition: max(0, end - next_offset) for partition, (next_offset, end) in ends.items()}
        with services.store.transaction() as tx:
            tx.offsets.note_lags(services.log.name, lags, bucket_ms=now_ms // BUCKET_MS * BUCKET_MS)
            tx.offsets.delete_lags(before_ms=now_ms - KEEP_MS)
            tx.commit()
