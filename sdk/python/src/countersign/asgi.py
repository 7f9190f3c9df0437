"""Enforcement before any ASGI application: FastAPI, Starlette, Django on ASGI.

Every HTTP request and every WebSocket is asked about. An allowed one finds its guard in ``scope["state"]["permitted"]``, which is
``request.state.permitted``; nothing else puts it there. What outlives the answer, a stream or a WebSocket, is asked about again when the answer ends,
and is broken off when it is not allowed any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from ._answer import Allow, Answer
from ._client import AsyncClient
from ._enforce import (
    AMBIGUOUS,
    UNAVAILABLE,
    AmbiguousError,
    Handler,
    Obligations,
    Origin,
    Permitted,
    Refusal,
    Request,
    decoded,
    permitted,
    permitted_again,
    refusal,
)
from ._enforce import request as read_request
from ._error import CountersignError
from ._question import Question

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["EnforceMiddleware", "Permitted"]

_PACE = 0.2


class BrokenOffError(Exception):
    """A response was broken off, because it is not allowed any more."""


class EnforceMiddleware:
    """Lets pass what is allowed.

    ``origin`` is where the application is published, such as ``https://payroll.example``. ``obligations`` are the types that it carries out, each
    with a handler. ``client_address`` says whence a request came, if the decision point lets this enforcement point state that: from the
    connection, never from a header that a client can send.
    """

    def __init__(
        self,
        app: App,
        *,
        client: AsyncClient,
        origin: str,
        obligations: Mapping[str, Handler] | None = None,
        client_address: Callable[[Scope], str | None] | None = None,
    ) -> None:
        self._app = app
        self._client = client
        self._origin = Origin.of(origin)
        self._obligations = Obligations(obligations or {})
        self._client_address = client_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            raise RuntimeError("a connection of a kind that cannot be asked about")
        state = scope.setdefault("state", {})
        # A guard of an outer layer was for another origin.
        state.pop("permitted", None)
        admitted = await self._admit(scope)
        if isinstance(admitted, Refusal):
            await _refuse(scope, receive, send, admitted)
            return
        question, allow, guard = admitted
        state["permitted"] = guard
        try:
            await self._run(scope, receive, send, question, allow, guard)
        finally:
            state.pop("permitted", None)

    async def _admit(self, scope: Scope) -> Refusal | tuple[Question, Allow, Permitted]:
        try:
            asked = self._request(scope)
            question = asked.question(self._obligations.types)
        except AmbiguousError:
            return AMBIGUOUS
        except CountersignError:
            return UNAVAILABLE
        answer = await self._ask(question)
        if not isinstance(answer, Allow):
            return refusal(answer, asked)
        guard = permitted(answer, asked)
        if not await self._obligations.carry_out(guard):
            return Refusal(403).named(answer.decision_id)
        return question, answer, guard

    async def _ask(self, question: Question, *, anew: bool = False) -> Answer | CountersignError:
        try:
            return await (self._client.ask(question) if anew else self._client.evaluate(question))
        except CountersignError as error:
            return error

    def _request(self, scope: Scope) -> Request:
        method = scope["method"] if scope["type"] == "http" else "GET"
        path: str = scope["path"]
        raw = scope.get("raw_path")
        if raw is None:
            raw = _encoded(path)
        where = None if self._client_address is None else self._client_address(scope)
        asked = read_request(self._origin, method, raw, scope.get("query_string", b""), scope["headers"], where)
        # What is asked about is what the application routes by.
        if decoded(asked.path) != path.encode("utf-8", "surrogateescape"):
            raise AmbiguousError("path")
        return asked

    async def _run(self, scope: Scope, receive: Receive, send: Send, question: Question, allow: Allow, guard: Permitted) -> None:
        application = asyncio.ensure_future(self._app(scope, receive, send))
        guarding = asyncio.ensure_future(self._until_not_allowed(question, allow, guard))
        try:
            await asyncio.wait({application, guarding}, return_when=asyncio.FIRST_COMPLETED)
            if not application.done():
                application.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await application
                if scope["type"] == "websocket":
                    with contextlib.suppress(Exception):  # it may be closed by now
                        await send({"type": "websocket.close", "code": 1008})
                    return
                # The server sees an error and breaks the response off: a client must not take what it has for the whole.
                raise BrokenOffError("the response is not allowed any more")
            await application
        finally:
            for task in (application, guarding):
                if not task.done():
                    task.cancel()
            await asyncio.gather(application, guarding, return_exceptions=True)

    async def _until_not_allowed(self, question: Question, allow: Allow, guard: Permitted) -> None:
        while True:
            asked = asyncio.get_running_loop().time()
            await self._client.ended(allow)
            # An answer may be over before it is here: that is no reason to ask without pause.
            await asyncio.sleep(max(0.0, asked + _PACE - asyncio.get_running_loop().time()))
            answer = await self._ask(question, anew=True)
            # An allow that obliges to more than the one before is one only when that is carried out.
            if not isinstance(answer, Allow) or not await self._obligations.carry_out(permitted_again(guard, answer), allow.obligations):
                return
            allow = answer


def _encoded(path: str) -> bytes:
    """Write a path of a server that does not tell how it arrived: octets beyond ASCII are encoded, all else is refused later."""
    octets = path.encode("utf-8", "surrogateescape")
    return b"".join(bytes([octet]) if octet < 0x80 else b"%%%02X" % octet for octet in octets)


async def _refuse(scope: Scope, receive: Receive, send: Send, refused: Refusal) -> None:
    headers = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in refused.all_headers()]
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": refused.status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    message = await receive()
    if message["type"] != "websocket.connect":
        return
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": refused.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        # Before it is accepted, this is a 403.
        await send({"type": "websocket.close", "code": 1008})
