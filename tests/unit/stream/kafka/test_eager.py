"""An eager coroutine behaves like an awaited one."""

from __future__ import annotations

import asyncio

import pytest

from stream.kafka.eager import EagerCoroutine


async def finished() -> str:
    return "done"


def test_a_coroutine_that_never_waits_completes_at_once() -> None:
    done: list[str] = []

    async def note() -> None:
        done.append("noted")

    assert not EagerCoroutine(note()).waits
    assert done == ["noted"]


def test_a_coroutine_that_waits_continues_and_returns_its_result() -> None:
    async def run() -> tuple[bool, str]:
        gate = asyncio.Event()

        async def through_gate() -> str:
            await gate.wait()
            await asyncio.sleep(0)
            return await finished()

        eager = EagerCoroutine(through_gate())
        rest = asyncio.ensure_future(eager.rest())
        await asyncio.sleep(0)
        waited = not rest.done()
        gate.set()
        return waited, await rest

    assert asyncio.run(run()) == (True, "done")


def test_an_error_in_the_first_step_is_raised_at_once() -> None:
    async def fail() -> None:
        raise RuntimeError("first step")

    with pytest.raises(RuntimeError, match="first step"):
        EagerCoroutine(fail())


def test_an_error_in_a_later_step_is_raised_when_awaited() -> None:
    async def fail_later() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("second step")

    async def run() -> None:
        await EagerCoroutine(fail_later()).rest()

    with pytest.raises(RuntimeError, match="second step"):
        asyncio.run(run())


def test_cancelling_reaches_the_coroutine() -> None:
    cleaned: list[str] = []

    async def wait_forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("cleaned")

    async def run() -> None:
        rest = asyncio.ensure_future(EagerCoroutine(wait_forever()).rest())
        await asyncio.sleep(0)
        rest.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rest

    asyncio.run(run())
    assert cleaned == ["cleaned"]
