"""Server-sent events, as a decision point writes them, read from bytes as they arrive; lines and events are bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ._error import CountersignError, ErrorKind

_MOST = 64 * 1024


@dataclass(frozen=True)
class Event:
    """One event."""

    type: str
    id: str | None
    data: str


class Events:
    """Reads events; ``None`` is a line that says only that the stream lives."""

    def __init__(self) -> None:
        self._rest = b""
        self._type: str | None = None
        self._id: str | None = None
        self._data: list[str] = []
        self._size = 0

    def feed(self, part: bytes) -> Iterator[Event | None]:
        """Take what arrived."""
        lines = (self._rest + part).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _MOST:
            raise _refused()
        for line in lines:
            yield from self._line(line.removesuffix(b"\r"))

    def _line(self, line: bytes) -> Iterator[Event | None]:
        self._size += len(line)
        if self._size > _MOST or b"\r" in line or b"\x00" in line:
            raise _refused()
        if not line:
            self._size = 0
            if self._data:
                event = Event(self._type or "message", self._id, "\n".join(self._data))
                self._type, self._id, self._data = None, None, []
                yield event
            return
        if line.startswith(b":"):
            yield None
            return
        try:
            name, _, value = line.decode("utf-8").partition(":")
        except UnicodeDecodeError as cause:
            raise _refused() from cause
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id":
            self._id = value


def _refused() -> CountersignError:
    return CountersignError(ErrorKind.MALFORMED, "event is not of its form")
