"""A worker that does the least: batches of aiokafka inserted into `interactions`, without Faust and Tidewise.

    python -m benchmarks.streaming.floor SERVER TOPIC NUM_EVENTS POSTGRES copy|arrays MAX_RECORDS

Each batch is parsed, its events are named by the hash that Tidewise uses, and inserted with the reached offset in one
transaction: by COPY, or from one array per column, as Tidewise inserts. Users and items are numbered in this process.
So nothing looks for known events, and windows, popularity, transitions and drift counts are missing.
For `benchmarks.streaming`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count

import orjson
import psycopg
from aiokafka import AIOKafkaConsumer

from core.events.interactions import event_key_of

COLUMNS = ("event_key", "user_key", "item_key", "type_code", "time_ms", "user_seq")
ARRAYS = "%s::bytea[], %s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[], %s::bigint[]"
SAVE_OFFSET = (
    "INSERT INTO writer_offsets (stream, partition, applied_offset) VALUES (%s, %s, %s)"
    " ON CONFLICT (stream, partition) DO UPDATE SET applied_offset = excluded.applied_offset"
)
FIRST_KEY = 1_000_000_000  # beyond those of other parts
Row = tuple[bytes, int, int, int, int, int]
Insert = Callable[[psycopg.Cursor[tuple[object, ...]], Sequence[Row]], None]


def copy(cursor: psycopg.Cursor[tuple[object, ...]], rows: Sequence[Row]) -> None:
    """By binary COPY."""
    with cursor.copy(f"COPY interactions ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)") as target:
        target.set_types(["bytea", "int8", "int8", "int2", "int8", "int8"])
        for row in rows:
            target.write_row(row)


def arrays(cursor: psycopg.Cursor[tuple[object, ...]], rows: Sequence[Row]) -> None:
    """From one array per column."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    cursor.execute(f"INSERT INTO interactions ({', '.join(COLUMNS)}) SELECT * FROM unnest({ARRAYS})", columns)


INSERTS: dict[str, Insert] = {"copy": copy, "arrays": arrays}


async def consume(
    server: str, topic: str, num_events: int, postgres: str, insert: Insert, *, max_records: int
) -> float:
    """Events per second, from the first batch to the last commit; what was inserted is deleted again."""
    keys: dict[str, int] = {}
    numbers = count(FIRST_KEY)
    group = f"{topic}-floor"
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=server, group_id=group, auto_offset_reset="earliest")
    await consumer.start()
    num_left, begin_s = num_events, 0.0
    with psycopg.connect(postgres, autocommit=True) as connection:
        while num_left > 0:
            records = await consumer.getmany(timeout_ms=1000, max_records=max_records)
            begin_s = begin_s or (time.perf_counter() if records else 0.0)
            rows, offsets = [], []
            for partition, messages in records.items():
                for message in messages:
                    event = orjson.loads(message.value)
                    user, item = (
                        keys.get(event[name]) or keys.setdefault(event[name], next(numbers))
                        for name in ("user_id", "item_id")
                    )
                    rows.append((event_key_of(event["event_id"]), user, item, 0, event["time"], message.offset))
                offsets.append((group, partition.partition, messages[-1].offset))
            if rows:
                with connection.transaction(), connection.cursor() as cursor:
                    insert(cursor, rows)
                    cursor.executemany(SAVE_OFFSET, offsets)
                num_left -= len(rows)
        took_s = time.perf_counter() - begin_s
        connection.execute("DELETE FROM interactions WHERE user_key >= %s", (FIRST_KEY,))
        connection.execute("DELETE FROM writer_offsets WHERE stream = %s", (group,))
        connection.execute("VACUUM interactions, writer_offsets")
    return num_events / took_s


def main() -> None:
    """Print the rate."""
    server, topic, num_events, postgres, how, max_records = sys.argv[1:]
    work = consume(server, topic, int(num_events), postgres, INSERTS[how], max_records=int(max_records))
    rate = asyncio.run(work)
    sys.stdout.write(f"{rate}\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
