"""What the middlewares share: from an HTTP request to a question, from an answer to what the client sees. The rules are those of ``sdk/pep``."""

from __future__ import annotations

import inspect
import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from ._answer import BREAK_GLASS, Allow, Deny, Obligation, StepUp
from ._error import CountersignError, ErrorKind
from ._question import Question

SHOWN = ("authorization", "dpop", "user-agent", "accept", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-site", "sec-fetch-user")
"""The headers that the decision point is shown, when they are there."""

_VALUE = re.compile(rb"[\t\x20-\x7e]*\Z")
_SEGMENT = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[89A-F][0-9A-F])*\Z")
_QUERY = re.compile(rb"[!-~]*\Z")
_METHOD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,32}\Z")
_GUARD = object()

Handler = Callable[[Mapping[str, Any], "Permitted"], "Awaitable[None] | None"]
"""Carries out an obligation, with its properties, before the request passes. An error refuses the request."""


class AmbiguousError(Exception):
    """Two readers could read two things in this request: nobody is asked, and it is refused."""


@dataclass(frozen=True)
class Origin:
    """Scheme and host under which the application is published. It is configured, because a ``Host`` header is the client's word."""

    scheme: str
    host: str

    @classmethod
    def of(cls, text: str) -> Origin:
        """Read ``https://payroll.example``."""
        refused = CountersignError(ErrorKind.CONFIGURATION, "origin is not `http` or `https`, a host, and nothing else")
        try:
            parts = urlsplit(text)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError as cause:
            raise refused from cause
        is_bare = parts.path == parts.query == parts.fragment == "" and "@" not in parts.netloc
        if not fits or not is_bare or not text.isascii() or re.search(r"[\x00-\x20\x7f\\?#]", text):
            raise refused
        return cls(parts.scheme, parts.netloc.lower())


@dataclass(frozen=True)
class Permitted:
    """The guard: what was allowed. Only an allow makes one."""

    action: str
    resource: str
    decision_id: str | None
    obligations: tuple[Obligation, ...]
    glass_is_broken: bool
    _made: InitVar[object] = None

    def __post_init__(self, _made: object) -> None:
        """Refuse what no allow made."""
        if _made is not _GUARD:
            raise TypeError("only an allow makes a guard")


def permitted(allow: Allow, request: Request) -> Permitted:
    """Make the guard of an allow."""
    resource = f"{request.origin.host}{request.path}"
    return Permitted(request.method, resource, allow.decision_id, allow.obligations, allow.glass_is_broken, _GUARD)


def permitted_again(guard: Permitted, allow: Allow) -> Permitted:
    """Make the guard of what is allowed once more."""
    return Permitted(guard.action, guard.resource, allow.decision_id, allow.obligations, allow.glass_is_broken, _GUARD)


@dataclass(frozen=True)
class Request:
    """An HTTP request as its server read it."""

    origin: Origin
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, bytes], ...] = field(repr=False)
    client_address: str | None = None

    def question(self, supported: Iterable[str]) -> Question:
        """Return the question whether it may pass. Whoever asks it is for the decision point to find out."""
        http: dict[str, Any] = {
            "method": self.method,
            "scheme": self.origin.scheme,
            "host": self.origin.host,
            "target": f"{self.path}?{self.query}" if self.query else self.path,
            "headers": self._shown(),
        }
        if self.client_address is not None:
            http["client_address"] = _address(self.client_address)
        resource = ("route", f"{self.origin.host}{self.path}")
        return Question(("token", "presented"), self.method, resource, {"http": http}).supporting(*supported)

    def only(self, name: str) -> str | None:
        """Return the one value of a header."""
        values = [value for header, value in self.headers if header == name]
        if len(values) > 1 or not all(_VALUE.match(value) for value in values):
            raise AmbiguousError(name)
        return values[0].decode("ascii") if values else None

    def _shown(self) -> list[list[str]]:
        values = ((name, self.only(name)) for name in SHOWN)
        shown = [[name, value] for name, value in values if value is not None]
        # HTTP/2 may split cookies over several fields (RFC 9113 section 8.2.3); everything else appears once.
        cookies = [value for name, value in self.headers if name == "cookie"]
        if not all(_VALUE.match(cookie) for cookie in cookies):
            raise AmbiguousError("cookie")
        if cookies:
            shown.append(["cookie", b"; ".join(cookies).decode("ascii")])
        return shown

    @property
    def is_navigation(self) -> bool:
        """Whether a person waits, who can be led through a ceremony."""
        if self.method != "GET" or self.only("authorization") is not None:
            return False
        mode = self.only("sec-fetch-mode")
        return mode == "navigate" if mode is not None else "text/html" in (self.only("accept") or "")


def request(
    origin: Origin,
    method: str,
    raw_path: bytes,
    query: bytes,
    headers: Iterable[tuple[bytes, bytes]],
    client_address: str | None = None,
) -> Request:
    """Take a request, with its path as it arrived."""
    if _METHOD.match(method) is None or _QUERY.match(query) is None or b"#" in query:
        raise AmbiguousError("target")
    named = tuple((name.decode("latin-1").lower(), value) for name, value in headers)
    return Request(origin, method, plain_path(raw_path), query.decode("ascii"), named, client_address)


def plain_path(path: bytes) -> str:
    """Take a path that every server reads alike: no empty or dot segments, no parameters, and nothing encoded but octets beyond ASCII."""
    if not path.startswith(b"/"):
        raise AmbiguousError("path")
    segments = path[1:].split(b"/")
    is_plain = all(_SEGMENT.match(segment) for segment in segments)
    if not is_plain or any(segment in (b".", b"..") for segment in segments) or any(not segment for segment in segments[:-1]):
        raise AmbiguousError("path")
    return path.decode("ascii")


def decoded(path: str) -> bytes:
    """Return the octets that a plain path names."""
    return unquote_to_bytes(path)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as cause:
        raise CountersignError(ErrorKind.CONFIGURATION, "address of the client is none") from cause


@dataclass(frozen=True)
class Refusal:
    """What a client sees when it may not pass. The body is empty: the wire carries the level and the age only, never a reason."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()

    def named(self, decision_id: str | None) -> Refusal:
        """Add the id of the decision, by which an operator finds it. It says nothing by itself."""
        if decision_id is None or re.fullmatch(r"[!-~]+", decision_id) is None:
            return self
        return Refusal(self.status, (*self.headers, ("X-Countersign-Decision", decision_id)))

    def all_headers(self) -> list[tuple[str, str]]:
        """Return the headers."""
        return [("Cache-Control", "no-store"), ("Content-Length", "0"), *self.headers]


AMBIGUOUS = Refusal(400)
UNAVAILABLE = Refusal(503)


def refusal(answer: StepUp | Deny | CountersignError, asked: Request) -> Refusal:
    """Return what the client sees in place of the application."""
    if isinstance(answer, StepUp):
        return _step_up(answer, asked).named(answer.decision_id)
    if isinstance(answer, Deny):
        return _deny(answer, asked).named(answer.decision_id)
    return UNAVAILABLE


def _step_up(step_up: StepUp, asked: Request) -> Refusal:
    if asked.is_navigation and step_up.ceremony is not None:
        return Refusal(302, (("Location", step_up.ceremony),))
    # RFC 9470 section 3. A level has no quotes or backslashes in it.
    age = f', max_age="{step_up.max_age}"' if step_up.max_age is not None else ""
    what = 'error="insufficient_user_authentication", error_description="a different authentication level is required"'
    challenge = f'{_scheme(asked)} {what}, acr_values="{step_up.acr}"{age}'
    page = (("X-Countersign-Page", step_up.ceremony),) if step_up.ceremony is not None else ()
    return Refusal(401, (("WWW-Authenticate", challenge), *page))


def _deny(deny: Deny, asked: Request) -> Refusal:
    if deny.is_unavailable:
        return UNAVAILABLE
    if deny.code == "no_credentials":
        return Refusal(401, (("WWW-Authenticate", _scheme(asked)),))
    if deny.is_unauthenticated:
        return Refusal(401, (("WWW-Authenticate", f'{_scheme(asked)} error="invalid_token"'),))
    return Refusal(403)


def _scheme(asked: Request) -> str:
    """Name the scheme that the client used."""
    presented = asked.only("authorization") or ""
    return "DPoP" if presented.lower().startswith("dpop ") else "Bearer"


class Obligations:
    """What an application carries out."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        if not all(callable(handler) for handler in handlers.values()) or "step-up" in handlers:
            # A step-up comes with a refusal; with an allow, nobody can carry it out.
            raise CountersignError(ErrorKind.CONFIGURATION, "obligations are types with handlers, and `step-up` is none of them")
        self._handlers = dict(handlers)

    @property
    def types(self) -> frozenset[str]:
        """The types that are carried out."""
        return frozenset(self._handlers)

    async def carry_out(self, guard: Permitted, before: tuple[Obligation, ...] = ()) -> bool:
        """Carry out everything that was not before; if one fails, the others are done all the same, and the request is refused."""
        is_done = True
        for obligation in self._due(guard, before):
            try:
                pending = self._handlers[obligation.type](obligation.properties, guard)
                if inspect.isawaitable(pending):
                    await pending
            except Exception:  # whatever went wrong: it was not carried out
                is_done = False
        return is_done

    def carry_out_now(self, guard: Permitted, before: tuple[Obligation, ...] = ()) -> bool:
        """Do the same without an event loop."""
        is_done = True
        for obligation in self._due(guard, before):
            try:
                pending = self._handlers[obligation.type](obligation.properties, guard)
                if inspect.iscoroutine(pending):
                    pending.close()
                    is_done = False
            except Exception:  # whatever went wrong: it was not carried out
                is_done = False
        return is_done

    def _due(self, guard: Permitted, before: tuple[Obligation, ...]) -> list[Obligation]:
        due = (obligation for obligation in guard.obligations if obligation not in before)
        # There is nothing to carry out in an emergency, but for who wants to.
        return [obligation for obligation in due if obligation.type != BREAK_GLASS or BREAK_GLASS in self._handlers]
