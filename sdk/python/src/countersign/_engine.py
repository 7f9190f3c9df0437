"""Asks decision points: one deadline over everything, healthy addresses first, and no answer but a clean one."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import _answer, _http, _json
from ._answer import Allow, Answer
from ._breaker import Breaker, BreakerState
from ._error import CountersignError, ErrorKind
from ._leases import Leases
from ._question import Question
from ._time import within
from ._watch import Watch

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"

_MOST = 64 * 1024
_MOST_OF_MANY = 1024 * 1024
_MANY = 100
_MANY_BYTES = 192 * 1024
_BUSY = (408, 429)
"""What says nothing against the question: another address may answer."""
_PEP = re.compile(r"[!-9;-~]{1,64}\Z")
_SECRET = re.compile(r"[!-~](?:[ -~]{0,510}[!-~])?\Z")
_BEARER = re.compile(r"[!-~]{1,512}\Z")


@dataclass(frozen=True)
class Settings:
    """What a client is made of."""

    addresses: tuple[str, ...]
    pep: tuple[str, str] | None = field(default=None, repr=False)
    bearer: str | None = field(default=None, repr=False)
    deadline: float = 1.0
    lease: float = 30.0
    floor: float = 2.0
    heartbeat: float = 10.0
    most_kept: int = 10_000
    most_kept_bytes: int = 32 * 1024 * 1024
    tls: ssl.SSLContext | None = None
    dangerous_plain_http: bool = False
    clock: Callable[[], float] = time.monotonic

    def headers(self) -> dict[str, str]:
        """Return what the enforcement point shows of itself."""
        if (self.pep is None) == (self.bearer is None):
            raise _configuration("an enforcement point has a name and a secret, or a token")
        if self.bearer is not None:
            if _BEARER.match(self.bearer) is None:
                raise _configuration("token of the enforcement point cannot be sent")
            return {"Authorization": f"Bearer {self.bearer}"}
        name, secret = self.pep or ("", "")
        if _PEP.match(name) is None or _SECRET.match(secret) is None:
            raise _configuration("name or secret of the enforcement point is missing or cannot be sent")
        return {"X-Countersign-Pep": f"{name}:{secret}"}

    def pools(self) -> list[_http.Pool]:
        """Return the addresses, with their connections."""
        if not self.addresses:
            raise _configuration("a decision point has an address")
        to = [_http.address(url, plain=self.dangerous_plain_http) for url in self.addresses]
        if len(set(to)) != len(to):
            raise _configuration("an address is given twice")
        tls = self.tls
        if tls is None and any(one.is_tls for one in to):
            tls = ssl.create_default_context()
        if tls is not None and tls.verify_mode is not ssl.CERT_REQUIRED:
            raise _configuration("the certificate of a decision point is verified")
        return [_http.Pool(one, tls) for one in to]

    def check(self) -> None:
        """Refuse what cannot work."""
        bounds = [
            (self.deadline, 0.001, 60.0, "deadline"),
            (self.lease, 0.0, 3600.0, "lease"),
            (self.floor, 0.0, 60.0, "floor"),
            (self.heartbeat, 1.0, 60.0, "heartbeat"),
        ]
        for value, least, most, what in bounds:
            if not least <= value <= most:
                raise _configuration(f"{what} is not from {least} to {most} seconds")
        if self.most_kept < 1 or self.most_kept_bytes < 1:
            raise _configuration("what is kept has a bound of at least one")


class Engine:
    """What both clients share. It belongs to one event loop; only ``kept`` may be called from another thread."""

    def __init__(self, settings: Settings) -> None:
        settings.check()
        self._settings = settings
        self._headers = settings.headers()
        self._pools = settings.pools()
        self._breakers = [Breaker(settings.clock) for _ in self._pools]
        self._clock = settings.clock
        self._name = secrets.token_urlsafe(16)
        self._waiting: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching: asyncio.Task[None] | None = None
        self._is_closed = False
        self.leases = Leases(
            settings.clock,
            floor=settings.floor,
            most=settings.most_kept,
            most_bytes=settings.most_kept_bytes,
            changed=self._changed,
        )

    @property
    def status(self) -> dict[str, BreakerState]:
        """How each address is treated now."""
        return {str(pool.to): breaker.state for pool, breaker in zip(self._pools, self._breakers, strict=True)}

    def kept(self, question: Question) -> Allow | None:
        """Return the allow that may be repeated for this question."""
        return None if question.is_single_use else self.leases.find(question.key, question.at_least)

    async def evaluate(self, question: Question) -> Answer:
        """Ask one question."""
        return self.kept(question) or await self.ask(question)

    async def ask(self, question: Question) -> Answer:
        """Ask one question of a decision point, whatever is kept."""
        self._begin()
        asked_at = self._clock()
        body = question.body(self._wanted(question)).encode("utf-8")
        answered = await self._exchange(
            EVALUATION, body, _MOST, asked_at + self._settings.deadline, again=not question.is_single_use, has_floor=question.at_least is not None
        )
        answer = _answer.read(answered, question.supported, asked_at)
        return self._keep(question, answer, asked_at)

    async def ask_all(self, questions: Sequence[Question]) -> list[Answer | CountersignError]:
        """Ask many, in as few requests as their bounds allow; what fails is an error in its place."""
        self._begin()
        answers: list[Answer | CountersignError | None] = [self.kept(question) for question in questions]
        open_ = [at for at, answer in enumerate(answers) if answer is None]
        asked_at = self._clock()
        bodies = {at: questions[at].body(self._wanted(questions[at])) for at in open_}
        until = asked_at + self._settings.deadline
        for part in _parts(open_, bodies):
            body = '{"evaluations":[' + ",".join(bodies[at] for at in part) + "]}"
            again = not any(questions[at].is_single_use for at in part)
            has_floor = any(questions[at].at_least is not None for at in part)
            try:
                answered = await self._exchange(EVALUATIONS, body.encode("utf-8"), _MOST_OF_MANY, until, again=again, has_floor=has_floor)
                told = _evaluations(answered, len(part))
            except CountersignError as error:
                told = [error] * len(part)
            for at, one in zip(part, told, strict=True):
                answers[at] = one if isinstance(one, CountersignError) else self._read(questions[at], one, asked_at)
        missing = CountersignError(ErrorKind.MALFORMED, "answer is missing")
        return [answer if answer is not None else missing for answer in answers]

    async def ended(self, allow: Allow) -> None:
        """Wait until an allow must not be relied on any longer."""
        changed = asyncio.Event()
        self._begin()
        self._waiting.add(changed)
        try:
            while (left := self.leases.remaining(allow)) > 0:
                changed.clear()
                with contextlib.suppress(asyncio.TimeoutError):
                    await within(changed.wait(), min(left, 1.0))
        finally:
            self._waiting.discard(changed)

    async def close(self) -> None:
        """End the watch and all connections."""
        self._is_closed = True
        watching = self._watching
        while watching is not None and not watching.done():
            # Before Python 3.12, a cancellation may be lost within the standard library.
            watching.cancel()
            await asyncio.wait({watching}, timeout=0.1)
        self.leases.close()
        for pool in self._pools:
            pool.close()
        # A connection is gone one turn of the loop after it was ended.
        await asyncio.sleep(0)

    def _begin(self) -> None:
        if self._is_closed:
            raise _configuration("the client is closed")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise _configuration("a client belongs to one event loop")
        if self._settings.lease > 0 and (self._watching is None or self._watching.done()):
            watch = Watch(
                self._pools,
                self._headers,
                self.leases,
                name=self._name,
                heartbeat=self._settings.heartbeat,
                patience=max(self._settings.deadline, 5.0),
                clock=self._clock,
            )
            self._watching = loop.create_task(watch.run(), name="countersign watch")

    def _changed(self) -> None:
        for waiting in list(self._waiting):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(waiting.set)

    def _wanted(self, question: Question) -> Mapping[str, Any]:
        if self._settings.lease <= 0 or question.is_single_use:
            return {}
        return {"lease": {"ttl_ms": round(self._settings.lease * 1000), "watch": self._name}}

    def _keep(self, question: Question, answer: Answer, asked_at: float) -> Answer:
        is_kept = isinstance(answer, Allow) and self._settings.lease > 0 and not question.is_single_use
        return self.leases.keep(question.key, answer, asked_at) if is_kept and isinstance(answer, Allow) else answer

    def _read(self, question: Question, one: Any, asked_at: float) -> Answer | CountersignError:
        try:
            return self._keep(question, _answer.read(one, question.supported, asked_at), asked_at)
        except CountersignError as error:
            return error

    async def _exchange(self, path: str, body: bytes, most: int, until: float, *, again: bool, has_floor: bool) -> Any:
        headers = {**self._headers, "Content-Type": "application/json", "Accept": "application/json"}
        last = CountersignError(ErrorKind.UNAVAILABLE, "every decision point is left alone for a while after it failed")
        late = CountersignError(ErrorKind.DEADLINE, "decision point did not answer in time")
        for at, (pool, breaker) in enumerate(zip(self._pools, self._breakers, strict=True)):
            # An address that does not answer leaves time for those after it.
            others = sum(other.state is not BreakerState.OPEN for other in self._breakers[at + 1 :])
            share = (until - self._clock()) / (1 + others)
            if share <= 0:
                raise late
            if not breaker.admits():
                continue
            try:
                head, answered = await within(pool.exchange("POST", path, headers, body, most=most, again=again), share)
                answer = _checked(head, answered, most)
            except asyncio.TimeoutError:
                breaker.failed()
                last = late
            except CountersignError as error:
                if error.kind is ErrorKind.REFUSED:
                    breaker.succeeded()
                    raise
                if has_floor and error.kind is ErrorKind.UNAVAILABLE:
                    # It may be that only nothing so fresh is there: whoever asks for what is not must not open the circuit for all.
                    breaker.abandoned()
                else:
                    breaker.failed()
                last = error
            except BaseException:
                # Whoever asked gave up: that says nothing of the address.
                breaker.abandoned()
                raise
            else:
                breaker.succeeded()
                return answer
        raise last


def _checked(head: _http.Head, body: bytes, most: int) -> Any:
    if 400 <= head.status < 500 and head.status not in _BUSY:
        raise CountersignError(ErrorKind.REFUSED, "decision point refused the question or the caller")
    if head.status >= 500 or head.status in _BUSY:
        raise CountersignError(ErrorKind.UNAVAILABLE, "decision point cannot answer now")
    if head.status != 200:
        raise CountersignError(ErrorKind.MALFORMED, "decision point answered with an unexpected status")
    if not head.is_of_type("application/json"):
        raise CountersignError(ErrorKind.MALFORMED, "answer is not JSON")
    try:
        return _json.read(body, most_bytes=most, depth=16, values=4_000 if most == _MOST else 100_000)
    except _json.NotStrictError as cause:
        raise CountersignError(ErrorKind.MALFORMED, "answer is not strict JSON") from cause


def _parts(open_: list[int], bodies: Mapping[int, str]) -> list[list[int]]:
    parts: list[list[int]] = []
    size = 0
    for at in open_:
        own = len(bodies[at].encode("utf-8")) + 1
        if not parts or len(parts[-1]) >= _MANY or size + own > _MANY_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(at)
        size += own
    return parts


def _evaluations(answered: Any, count: int) -> list[Any]:
    told = answered.get("evaluations") if isinstance(answered, dict) else None
    if not isinstance(told, list) or len(told) != count:
        raise CountersignError(ErrorKind.MALFORMED, "there is not one answer for each question")
    return [_failed(one) or one for one in told]


def _failed(one: Any) -> CountersignError | None:
    """Return what would have been an HTTP error, had the question been asked alone."""
    context = one.get("context") if isinstance(one, dict) else None
    error = context.get("error") if isinstance(context, dict) else None
    if error is None:
        return None
    status = error.get("status") if isinstance(error, dict) else None
    is_callers = isinstance(status, int) and 400 <= status < 500
    if is_callers:
        return CountersignError(ErrorKind.REFUSED, "decision point refused the question or the caller")
    return CountersignError(ErrorKind.UNAVAILABLE, "decision point cannot answer now")


def _configuration(message: str) -> CountersignError:
    return CountersignError(ErrorKind.CONFIGURATION, message)
