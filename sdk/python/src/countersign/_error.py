"""The one error of this package: with a kind. None of them ever means allow."""

from __future__ import annotations

from enum import Enum


class ErrorKind(str, Enum):
    """What went wrong, by who can mend it."""

    CONFIGURATION = "configuration"
    """The client or the question was built with something that cannot work."""
    DEADLINE = "deadline"
    """No answer within the deadline."""
    UNREACHABLE = "unreachable"
    """No connection, or it broke."""
    REFUSED = "refused"
    """The decision point does not accept this caller or this question (a 4xx status)."""
    UNAVAILABLE = "unavailable"
    """The decision point said that it cannot answer (a 5xx status), or each one is left alone for a while."""
    MALFORMED = "malformed"
    """The answer is not one: too large, not strict JSON, of the wrong shape."""


class CountersignError(Exception):
    """Why there is no answer. Whoever gets it refuses the request."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self._kind = kind

    @property
    def kind(self) -> ErrorKind:
        """What went wrong."""
        return self._kind

    def __repr__(self) -> str:
        return f"CountersignError({self._kind.value}: {self.args[0]})"
