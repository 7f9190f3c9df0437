"""Enforcement in Django, by a middleware: put it first.

Settings: ``COUNTERSIGN = {"addresses": [...], "pep": ("payroll", secret), "origin": "https://payroll.example"}``; further members are those of
``countersign.Client``, ``obligations`` (a type: a handler), and ``client_address`` (a function of the request). An allowed request has its guard in
``request.permitted``; nothing else puts it there. A streaming response is asked about again when the answer ends, and is broken off when it is not
allowed any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, StreamingHttpResponse

from ._answer import Allow, Answer
from ._client import Client
from ._enforce import (
    AMBIGUOUS,
    UNAVAILABLE,
    AmbiguousError,
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
from ._error import CountersignError, ErrorKind
from ._question import Question

__all__ = ["EnforceMiddleware", "Permitted"]

_SINGLE = ("HTTP_AUTHORIZATION", "HTTP_DPOP", "HTTP_SEC_FETCH_MODE", "HTTP_SEC_FETCH_DEST", "HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_USER")


class BrokenOffError(Exception):
    """A response was broken off, because it is not allowed any more."""


class EnforceMiddleware:
    """Lets pass what is allowed."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        options: dict[str, Any] = dict(getattr(settings, "COUNTERSIGN", {}))
        try:
            addresses, origin = options.pop("addresses"), options.pop("origin")
        except KeyError as cause:
            raise CountersignError(ErrorKind.CONFIGURATION, "`COUNTERSIGN` has `addresses` and `origin`") from cause
        self._origin = Origin.of(origin)
        self._obligations = Obligations(options.pop("obligations", {}))
        self._client_address: Callable[[HttpRequest], str | None] | None = options.pop("client_address", None)
        self._client = Client(addresses, **options)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        if hasattr(request, "permitted"):
            del request.permitted
        admitted = self._admit(request)
        if isinstance(admitted, Refusal):
            return HttpResponse(status=admitted.status, headers=dict(admitted.all_headers()))
        question, allow, guard = admitted
        request.permitted = guard
        response = self._get_response(request)
        if isinstance(response, StreamingHttpResponse):
            if response.is_async:
                response.close()
                raise CountersignError(ErrorKind.CONFIGURATION, "an asynchronous stream is served by `countersign.asgi`")
            response.streaming_content = self._while_allowed(iter(response), question, allow, guard)
        return response

    def _admit(self, request: HttpRequest) -> Refusal | tuple[Question, Allow, Permitted]:
        try:
            asked = self._request(request)
            question = asked.question(self._obligations.types)
        except AmbiguousError:
            return AMBIGUOUS
        except CountersignError:
            return UNAVAILABLE
        answer = self._ask(question)
        if not isinstance(answer, Allow):
            return refusal(answer, asked)
        guard = permitted(answer, asked)
        if not self._obligations.carry_out_now(guard):
            return Refusal(403).named(answer.decision_id)
        return question, answer, guard

    def _ask(self, question: Question, *, anew: bool = False) -> Answer | CountersignError:
        try:
            return self._client.ask(question) if anew else self._client.evaluate(question)
        except CountersignError as error:
            return error

    def _request(self, request: HttpRequest) -> Request:
        meta = request.META
        # WSGI joins repeated fields by commas, which none of these has in it.
        if any("," in meta.get(name, "") for name in _SINGLE):
            raise AmbiguousError("header")
        named = (name for name in meta if name.startswith("HTTP_"))
        headers = [(name[5:].replace("_", "-").encode("latin-1"), str(meta[name]).encode("latin-1", "replace")) for name in named]
        path = request.path.encode("utf-8", "surrogateescape")
        raw = meta.get("RAW_URI") or meta.get("REQUEST_URI")
        raw_path = _encoded(path) if not isinstance(raw, str) else raw.split("?")[0].encode("latin-1", "replace")
        where = None if self._client_address is None else self._client_address(request)
        query = str(meta.get("QUERY_STRING", "")).encode("latin-1", "replace")
        asked = read_request(self._origin, request.method or "", raw_path, query, headers, where)
        # What is asked about is what the application routes by.
        if decoded(asked.path) != path:
            raise AmbiguousError("path")
        return asked

    def _while_allowed(self, parts: Iterator[bytes], question: Question, allow: Allow, guard: Permitted) -> Iterator[bytes]:
        for part in parts:
            if not self._client.is_alive(allow):
                answer = self._ask(question, anew=True)
                # An allow that obliges to more than the one before is one only when that is carried out.
                if not isinstance(answer, Allow) or not self._obligations.carry_out_now(permitted_again(guard, answer), allow.obligations):
                    raise BrokenOffError("the response is not allowed any more")
                allow = answer
            yield part


def _encoded(path: bytes) -> bytes:
    """Write a path of a server that does not tell how it arrived: octets beyond ASCII are encoded, all else is refused later."""
    return b"".join(bytes([octet]) if octet < 0x80 else b"%%%02X" % octet for octet in path)
