"""What is asked, by an enforcement point that says what it can carry out and how fresh the answer must be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import _answer, _json
from ._error import CountersignError, ErrorKind


class Question:
    """One question. It is fixed when it is made: what its parts become later does not matter.

    >>> question = Question(("user", "alice"), "read", ("record", "7")).supporting("notification")
    >>> question.supported
    frozenset({'notification'})
    """

    __slots__ = ("_asked", "at_least", "is_single_use", "key", "supported")

    def __init__(
        self,
        subject: tuple[str, str] | Mapping[str, Any],
        action: str | Mapping[str, Any],
        resource: tuple[str, str] | Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
    ) -> None:
        asked: dict[str, Any] = {
            "subject": _entity(subject),
            "action": {"name": action} if isinstance(action, str) else dict(action),
            "resource": _entity(resource),
        }
        if context:
            asked["context"] = dict(context)
        if "countersign" in asked.get("context", {}) or "supported_obligations" in asked.get("context", {}):
            raise CountersignError(ErrorKind.CONFIGURATION, "the client itself says what it wants of an answer")
        self._asked = _written(asked)
        self.supported: frozenset[str] = frozenset()
        """The types of obligations that the enforcement point carries out."""
        self.at_least: str | None = None
        """How fresh the answer must be."""
        self.is_single_use = _is_single_use(asked.get("context"))
        """Whether it carries a proof that holds once: its answer is never kept."""
        self.key = self._key()
        """All of what is asked: two questions are the same when their keys are."""

    def supporting(self, *types: str) -> Question:
        """The same question by an enforcement point that carries out obligations of these types. An allow with any other is a deny."""
        return self._with(frozenset(types), self.at_least)

    def fresh(self, at_least: str) -> Question:
        """The same question, for which a less fresh answer is refused: after a change, the consistency that came with it."""
        _answer.consistency(at_least)
        return self._with(self.supported, at_least)

    def body(self, wanted: Mapping[str, Any]) -> str:
        """Return the question as it is sent."""
        asked: dict[str, Any] = json.loads(self._asked)
        context = asked.setdefault("context", {})
        if self.supported:
            context["supported_obligations"] = sorted(self.supported)
        wanted = {**wanted, "at_least": self.at_least} if self.at_least is not None else wanted
        if wanted:
            context["countersign"] = dict(wanted)
        if not context:
            del asked["context"]
        return _written(asked)

    def _with(self, supported: frozenset[str], at_least: str | None) -> Question:
        other = object.__new__(Question)
        other._asked, other.is_single_use = self._asked, self.is_single_use
        other.supported, other.at_least = supported, at_least
        other.key = other._key()
        return other

    def _key(self) -> str:
        return f"{_written(sorted(self.supported))}{self._asked}"

    def __repr__(self) -> str:
        # A question carries tokens.
        return "Question(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Question) and (self.key, self.at_least) == (other.key, other.at_least)

    def __hash__(self) -> int:
        return hash((self.key, self.at_least))


def _entity(entity: tuple[str, str] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(entity, tuple):
        kind, name = entity
        return {"type": kind, "id": name}
    return dict(entity)


def _written(document: Any) -> str:
    try:
        return _json.write(document)
    except _json.NotStrictError as cause:
        raise CountersignError(ErrorKind.CONFIGURATION, "question cannot be written") from cause


def _is_single_use(context: Any) -> bool:
    http = context.get("http") if isinstance(context, Mapping) else None
    headers = http.get("headers") if isinstance(http, Mapping) else None
    if not isinstance(headers, (list, tuple)):
        return False
    return any(_is_proof(header) for header in headers)


def _is_proof(header: Any) -> bool:
    """Whether it is a proof, or a token under the scheme of those that need one. What is no pair of texts is for the decision point to refuse."""
    if not isinstance(header, (list, tuple)) or len(header) != 2 or not all(isinstance(text, str) for text in header):
        return True
    name, value = str(header[0]).lower(), str(header[1]).lstrip().lower()
    return name == "dpop" or (name == "authorization" and value.startswith("dpop "))
