"""Follows what ends leases: one connection, resumed where it was left, opened again without a storm."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

from . import _answer, _json
from ._error import CountersignError, ErrorKind
from ._events import Event, Events
from ._http import Connection, Pool
from ._leases import Leases
from ._time import within

PATH = "/countersign/v1/watch"
_SHORTEST = 0.1
_LONGEST = 30.0
_SILENCE = 2.5
_LONGEST_MS = 3_600_000


class Watch:
    """The watch of one client."""

    def __init__(
        self,
        pools: list[Pool],
        headers: dict[str, str],
        leases: Leases,
        *,
        name: str,
        heartbeat: float,
        patience: float,
        clock: Callable[[], float],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._pools = pools
        self._headers = headers
        self._leases = leases
        self._name = name
        self._heartbeat = heartbeat
        self._patience = patience
        self._clock = clock
        self._chance = chance
        self._drain_at: float | None = None
        self._was_greeted = False

    async def run(self) -> None:
        """Follow, until cancelled."""
        attempt, at = 0, 0
        while True:
            self._drain_at, self._was_greeted = None, False
            try:
                await self._follow(self._pools[at % len(self._pools)])
            except (CountersignError, asyncio.TimeoutError, OSError):
                pass
            finally:
                self._leases.lost()
            attempt = 0 if self._was_greeted else min(attempt + 1, 10)
            at += 1
            if self._drain_at is not None:
                await asyncio.sleep(max(0.0, self._drain_at - self._clock()))
            # Full jitter: however many lost it together, they do not come back together.
            await asyncio.sleep(self._chance() * min(_LONGEST, _SHORTEST * 2**attempt))

    async def _follow(self, pool: Pool) -> None:
        connection = await within(pool.connect(), self._patience)
        try:
            await self._read(connection, pool)
        finally:
            connection.close()

    async def _read(self, connection: Connection, pool: Pool) -> None:
        query = urlencode({"watch": self._name, "heartbeat_ms": round(self._heartbeat * 1000)})
        headers = {**self._headers, "Accept": "text/event-stream"}
        position = self._leases.position
        if position is not None:
            headers["Last-Event-ID"] = f"{position.life}-{position.seq}"
        head = await within(connection.send("GET", pool.to, f"{PATH}?{query}", headers, None), self._patience)
        if head.status != 200 or not head.is_of_type("text/event-stream"):
            raise CountersignError(ErrorKind.REFUSED, "there is no watch")
        events = Events()
        parts = connection.parts(head)
        while self._drain_at is None or self._clock() < self._drain_at:
            limit = _SILENCE * self._heartbeat
            if self._drain_at is not None:
                limit = min(limit, self._drain_at - self._clock())
            part = await within(_next(parts), max(0.0, limit))
            if not part:
                return
            try:
                for event in events.feed(part):
                    self._take(event)
            except CountersignError:
                # What cannot be read may have ended anything.
                self._leases.reset(None)
                raise
            if self._was_greeted and not self._leases.is_listening:
                return

    def _take(self, event: Event | None) -> None:
        if event is None:
            self._leases.heard()
            return
        told = _members(event)
        if event.type == "hello":
            heartbeat = _milliseconds(told.get("heartbeat_ms"))
            self._leases.hello(_answer.epoch(event.id), heartbeat=heartbeat, floor=_milliseconds(told.get("floor_ms")))
            self._heartbeat, self._was_greeted = heartbeat, True
        elif not self._was_greeted:
            raise CountersignError(ErrorKind.MALFORMED, "a watch begins with a greeting")
        elif event.type == "ended":
            self._leases.ended(_answer.epoch(event.id), _answer.tags(told.get("depends_on")))
        elif event.type == "policy":
            self._leases.policy(_answer.epoch(event.id), _answer.revision(told.get("revision")))
        elif event.type == "draining":
            self._drain_at = self._clock() + self._chance() * _milliseconds(told.get("within_ms"))
        else:
            # `reset`, and whatever a later version may tell.
            self._leases.reset(None if event.id is None else _answer.epoch(event.id))


async def _next(parts: AsyncIterator[bytes]) -> bytes:
    try:
        return await parts.__anext__()
    except StopAsyncIteration:
        return b""


def _members(event: Event) -> dict[str, Any]:
    try:
        told = _json.read(event.data.encode("utf-8"), most_bytes=64 * 1024, depth=4, values=4_000)
    except _json.NotStrictError as cause:
        raise CountersignError(ErrorKind.MALFORMED, "event is not JSON") from cause
    if not isinstance(told, dict) or told.get("type") != event.type:
        raise CountersignError(ErrorKind.MALFORMED, "event is not of its type")
    return told


def _milliseconds(value: Any) -> float:
    return _answer.number(value, _LONGEST_MS) / 1000
