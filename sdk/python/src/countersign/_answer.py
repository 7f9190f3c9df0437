"""What an evaluation response means to an enforcement point."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ._error import CountersignError, ErrorKind

if TYPE_CHECKING:
    from ._leases import Held

BREAK_GLASS = "break-glass"
"""There is nothing to carry out: somebody lets the subject pass in an emergency."""

_READ = object()
_ID = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,96}\Z")
_REVISION = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,128}\Z")
_ACR = re.compile(r"[!#-+\--\[\]-~]{1,128}\Z")
_TAG = re.compile(r"[0-9a-f]{32}\Z")
_EPOCH = re.compile(r"([0-9]{1,20})-([0-9]{1,20})\Z")
_CONSISTENCY = re.compile(r"([0-9a-f]{16})-([0-9]{1,20})\Z")
_U64 = 2**64 - 1


@dataclass(frozen=True)
class Obligation:
    """Something that the enforcement point must carry out before the request passes."""

    id: str
    type: str
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Epoch:
    """A position in the stream of endings of one life of a decision point."""

    life: int
    seq: int


@dataclass(frozen=True)
class Lease:
    """Leave to repeat an allow for the same question without asking again."""

    ttl_ms: int
    epoch: Epoch
    revision: str
    risk_below: int
    depends_on: frozenset[str]


@dataclass(frozen=True)
class Allow:
    """The request may pass. Only reading a response makes one."""

    decision_id: str | None
    obligations: tuple[Obligation, ...]
    lease: Lease | None
    consistency: str | None
    _asked_at: float = field(default=0.0, repr=False, compare=False)
    _held: Held | None = field(default=None, repr=False, compare=False)
    _read: InitVar[object] = None

    def __post_init__(self, _read: object) -> None:
        """Refuse what no response made."""
        if _read is not _READ:
            raise TypeError("only an answer of a decision point is an allow")

    @property
    def glass_is_broken(self) -> bool:
        """Whether an operator let this subject pass in an emergency."""
        return any(obligation.type == BREAK_GLASS for obligation in self.obligations)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("an allow is not stored")


@dataclass(frozen=True)
class StepUp:
    """Not like this: prove it again."""

    decision_id: str | None
    acr: str
    max_age: int | None
    ceremony: str | None
    """Where a browser performs the ceremony."""


@dataclass(frozen=True)
class Deny:
    """No."""

    decision_id: str | None
    code: str | None
    """Why, where the decision point said so."""

    @property
    def is_unavailable(self) -> bool:
        """Whether something of the decision point is missing."""
        return self.code in UNAVAILABLE

    @property
    def is_unauthenticated(self) -> bool:
        """Whether the subject did not prove who they are."""
        return self.code in UNAUTHENTICATED


Answer = Allow | StepUp | Deny

UNAUTHENTICATED = frozenset(
    {
        "no_credentials",
        "conflicting_credentials",
        "invalid_token",
        "invalid_dpop_proof",
        "use_dpop_nonce",
        "expired_token",
        "unknown_key",
        "revoked",
    }
)
UNAVAILABLE = frozenset(
    {
        "no_policy",
        "facts_unavailable",
        "audit_unavailable",
        "step_up_unavailable",
        "overloaded",
        "deadline",
        "internal",
    }
)


def read(response: Any, supported: frozenset[str], asked_at: float) -> Answer:
    """Read a response.

    ``decision: true`` is an allow only where every obligation that comes with it is supported, ``break-glass`` apart; else it is a deny (AuthZEN
    Obligations profile). ``decision: false`` is a step-up when its only obligation is a ``step-up``.
    """
    if not isinstance(response, dict) or not isinstance(response.get("decision"), bool):
        raise _malformed()
    context = response.get("context", {})
    if not isinstance(context, dict):
        raise _malformed()
    obligations = _obligations(context)
    decision_id = _text(context, "id", _ID)
    if response["decision"] and all(one.type == BREAK_GLASS or one.type in supported for one in obligations):
        lease = _lease(context["lease"]) if "lease" in context else None
        return Allow(decision_id, obligations, lease, _text(context, "consistency", _CONSISTENCY), asked_at, None, _READ)
    if not response["decision"] and len(obligations) == 1 and obligations[0].type == "step-up":
        return _step_up(decision_id, obligations[0], context)
    code = context.get("reason")
    return Deny(decision_id, code if isinstance(code, str) else None)


def held(allow: Allow, lease: Held) -> Allow:
    """The same allow, with the lease that is kept for it."""
    return Allow(allow.decision_id, allow.obligations, allow.lease, allow.consistency, allow._asked_at, lease, _READ)


def consistency(text: str) -> tuple[str, int]:
    """Chain and position of a consistency token."""
    match = _CONSISTENCY.match(text)
    if match is None:
        raise CountersignError(ErrorKind.CONFIGURATION, "consistency is not of its form")
    return match[1], int(match[2])


def epoch(text: Any) -> Epoch:
    """Read a position."""
    match = _EPOCH.match(text) if isinstance(text, str) else None
    if match is None or int(match[1]) > _U64 or int(match[2]) > _U64:
        raise _malformed()
    return Epoch(int(match[1]), int(match[2]))


def revision(value: Any) -> str:
    """Read the name of a policy."""
    if not isinstance(value, str) or _REVISION.match(value) is None:
        raise _malformed()
    return value


def number(value: Any, most: int = _U64) -> int:
    """Read a whole number from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise _malformed()
    return value


def tags(value: Any) -> frozenset[str]:
    """Read names of what leases rest on."""
    if not isinstance(value, list) or not all(isinstance(tag, str) and _TAG.match(tag) for tag in value):
        raise _malformed()
    return frozenset(value)


def _malformed() -> CountersignError:
    return CountersignError(ErrorKind.MALFORMED, "answer has the wrong shape")


def _text(members: dict[str, Any], name: str, form: re.Pattern[str]) -> str | None:
    if name not in members:
        return None
    value = members[name]
    if not isinstance(value, str) or form.match(value) is None:
        raise _malformed()
    return value


def _obligations(context: dict[str, Any]) -> tuple[Obligation, ...]:
    listed = context.get("obligations", [])
    if not isinstance(listed, list):
        raise _malformed()
    return tuple(_obligation(one) for one in listed)


def _obligation(one: Any) -> Obligation:
    if not isinstance(one, dict) or not one.keys() <= {"id", "type", "properties"}:
        raise _malformed()
    name, kind, properties = one.get("id"), one.get("type"), one.get("properties", {})
    if not isinstance(name, str) or not isinstance(kind, str) or not isinstance(properties, dict):
        raise _malformed()
    return Obligation(name, kind, properties)


def _lease(value: Any) -> Lease:
    if not isinstance(value, dict):
        raise _malformed()
    return Lease(
        number(value.get("ttl_ms")),
        epoch(value.get("epoch")),
        revision(value.get("revision")),
        number(value.get("risk_below"), 100),
        tags(value.get("depends_on")),
    )


def _step_up(decision_id: str | None, obligation: Obligation, context: dict[str, Any]) -> StepUp:
    acr = obligation.properties.get("acr_value")
    if not isinstance(acr, str) or _ACR.match(acr) is None:
        raise CountersignError(ErrorKind.MALFORMED, "step-up names no level")
    max_age = number(obligation.properties["max_age"]) if "max_age" in obligation.properties else None
    ceremony = None
    if "step_up" in context:
        if not isinstance(context["step_up"], dict):
            raise _malformed()
        ceremony = _web_address(context["step_up"].get("url"))
    return StepUp(decision_id, acr, max_age, ceremony)


def _web_address(url: Any) -> str:
    refused = CountersignError(ErrorKind.MALFORMED, "ceremony address is not an absolute web address")
    if not isinstance(url, str) or not url.isascii() or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        raise refused
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and "\\" not in url and "@" not in parts.netloc
    except ValueError as cause:
        raise refused from cause
    if not fits:
        raise refused
    return url
