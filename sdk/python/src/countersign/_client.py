"""The two clients: one for asyncio, one for threads. They share every rule."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import ssl
import threading
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, TypeVar

from ._answer import Allow, Answer
from ._breaker import BreakerState
from ._engine import Engine, Settings
from ._error import CountersignError, ErrorKind
from ._question import Question

_T = TypeVar("_T")


def _settings(addresses: str | Sequence[str], options: dict[str, Any]) -> Settings:
    listed = (addresses,) if isinstance(addresses, str) else tuple(addresses)
    return Settings(addresses=listed, **options)


class AsyncClient:
    """Asks decision points from one event loop.

    ``addresses`` are tried in order, healthy ones first. ``deadline`` covers everything from connecting to the last byte, on all addresses together.
    ``lease`` is how long an allow may be repeated without asking, at most (0: never); ``floor`` how long without a watch. Every failure is a
    ``CountersignError``; none means allow.
    """

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        pep: tuple[str, str] | None = None,
        bearer: str | None = None,
        deadline: float = 1.0,
        lease: float = 30.0,
        floor: float = 2.0,
        heartbeat: float = 10.0,
        most_kept: int = 10_000,
        most_kept_bytes: int = 32 * 1024 * 1024,
        tls: ssl.SSLContext | None = None,
        dangerous_plain_http: bool = False,
    ) -> None:
        options = dict(locals())
        for name in ("self", "addresses"):
            del options[name]
        self._engine = Engine(_settings(addresses, options))

    async def evaluate(self, question: Question) -> Answer:
        """Ask one question, or repeat an allow that is leased for the very same."""
        return await self._engine.evaluate(question)

    async def ask(self, question: Question) -> Answer:
        """Ask one question of a decision point, whatever is kept."""
        return await self._engine.ask(question)

    async def evaluate_all(self, questions: Sequence[Question]) -> list[Answer | CountersignError]:
        """Ask many questions. Each answer, or the error that stands for it, is in its place."""
        return await self._engine.ask_all(questions)

    async def ended(self, allow: Allow) -> None:
        """Wait until an allow must not be relied on any longer without asking again."""
        await self._engine.ended(allow)

    def is_alive(self, allow: Allow) -> bool:
        """Whether an allow may still be relied on."""
        return self._engine.leases.remaining(allow) > 0

    @property
    def is_watched(self) -> bool:
        """Whether a watch tells what ends leases."""
        return self._engine.leases.is_watched

    @property
    def status(self) -> dict[str, BreakerState]:
        """How each address is treated now."""
        return self._engine.status

    async def close(self) -> None:
        """End the watch and all connections."""
        await self._engine.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


class Client:
    """The same for threads: any number of them share it. It has one thread of its own, which starts with the first question.

    A process that is forked off begins anew: it has no leases and no connections of its parent.
    """

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        pep: tuple[str, str] | None = None,
        bearer: str | None = None,
        deadline: float = 1.0,
        lease: float = 30.0,
        floor: float = 2.0,
        heartbeat: float = 10.0,
        most_kept: int = 10_000,
        most_kept_bytes: int = 32 * 1024 * 1024,
        tls: ssl.SSLContext | None = None,
        dangerous_plain_http: bool = False,
    ) -> None:
        options = dict(locals())
        for name in ("self", "addresses"):
            del options[name]
        self._settings = _settings(addresses, options)
        self._life = _Life(self._settings)
        self._is_closed = False

    def evaluate(self, question: Question) -> Answer:
        """Ask one question, or repeat an allow that is leased for the very same."""
        life = self._living()
        return life.engine.kept(question) or life.run(life.engine.ask(question), self._settings.deadline)

    def ask(self, question: Question) -> Answer:
        """Ask one question of a decision point, whatever is kept."""
        life = self._living()
        return life.run(life.engine.ask(question), self._settings.deadline)

    def evaluate_all(self, questions: Sequence[Question]) -> list[Answer | CountersignError]:
        """Ask many questions. Each answer, or the error that stands for it, is in its place."""
        life = self._living()
        return life.run(life.engine.ask_all(list(questions)), self._settings.deadline)

    def ended(self, allow: Allow, timeout: float | None = None) -> bool:
        """Wait until an allow must not be relied on any longer without asking again, or for so long; whether it has ended."""
        life = self._living()
        try:
            life.run(life.engine.ended(allow), timeout)
        except CountersignError as error:
            if error.kind is not ErrorKind.DEADLINE:
                raise
        return not self.is_alive(allow)

    def is_alive(self, allow: Allow) -> bool:
        """Whether an allow may still be relied on."""
        return self._living().engine.leases.remaining(allow) > 0

    @property
    def is_watched(self) -> bool:
        """Whether a watch tells what ends leases."""
        return self._living().engine.leases.is_watched

    @property
    def status(self) -> dict[str, BreakerState]:
        """How each address is treated now."""
        return self._living().engine.status

    def close(self) -> None:
        """End the watch, all connections and the thread."""
        self._is_closed = True
        if self._life.pid == os.getpid():
            self._life.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _living(self) -> _Life:
        if self._is_closed:
            raise CountersignError(ErrorKind.CONFIGURATION, "the client is closed")
        if self._life.pid != os.getpid():
            self._life = _Life(self._settings)
        return self._life


class _Life:
    """One client within one process."""

    def __init__(self, settings: Settings) -> None:
        self.pid = os.getpid()
        self.engine = Engine(settings)
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def run(self, work: Coroutine[Any, Any, _T], timeout: float | None) -> _T:
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._running())
        except CountersignError:
            work.close()
            raise
        try:
            # The deadline is kept by the work itself; this is for a thread that does not run at all.
            return future.result(None if timeout is None else timeout + 0.25)
        except (concurrent.futures.TimeoutError, asyncio.TimeoutError, concurrent.futures.CancelledError) as cause:
            future.cancel()
            raise CountersignError(ErrorKind.DEADLINE, "decision point did not answer in time") from cause

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_closed:
                raise CountersignError(ErrorKind.CONFIGURATION, "the client is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="countersign", daemon=True)
                self._thread.start()
            return self._loop

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            loop, thread = self._loop, self._thread
            self._loop = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self.engine.close(), loop).result(5)
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _cancel_all() -> None:
    own = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not own]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
