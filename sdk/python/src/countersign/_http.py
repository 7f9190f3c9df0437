"""As much of HTTP/1.1 (RFC 9112) as a decision point is asked with, over asyncio: everything has a bound, and nothing is guessed.

Redirects are not followed, and a message whose length could be read in two ways is refused.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from ._error import CountersignError, ErrorKind

_HEAD = 16 * 1024
_MOST_IDLE = 32
_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?\Z")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*\Z")
_LENGTH = re.compile(rb"[0-9]{1,10}\Z")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n\Z")


@dataclass(frozen=True)
class Address:
    """Where a decision point is."""

    host: str
    port: int
    is_tls: bool
    authority: str

    def __str__(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{self.authority}"


def address(url: str, *, plain: bool) -> Address:
    """Read scheme, host and port, and nothing else: credentials in an address end up in logs, and a path would be dropped silently."""
    refused = CountersignError(ErrorKind.CONFIGURATION, "address of the decision point is not scheme, host and port")
    if not isinstance(url, str) or not url.isascii() or re.search(r"[\x00-\x20\x7f\\]", url):
        raise refused
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as cause:
        raise refused from cause
    if not host or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise refused
    if parts.scheme == "https":
        return Address(host, port or 443, True, parts.netloc)
    if parts.scheme == "http" and (plain or _is_loopback(host)):
        return Address(host, port or 80, False, parts.netloc)
    raise CountersignError(ErrorKind.CONFIGURATION, "decision point must be reached by https, or by http on loopback")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Head:
    """Status and headers."""

    status: int
    headers: dict[str, list[str]]

    def only(self, name: str) -> str | None:
        """Return the one value of a header."""
        values = self.headers.get(name, [])
        if len(values) > 1:
            raise _malformed("a header is repeated")
        return values[0] if values else None

    def is_of_type(self, wanted: str) -> bool:
        """Whether the body is of this type."""
        given = self.only("content-type") or ""
        return given.split(";")[0].strip().lower() == wanted


class Connection:
    """One connection, which carries one exchange at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.is_reusable = False
        self.has_heard = False

    @classmethod
    async def open(cls, to: Address, tls: ssl.SSLContext | None) -> Connection:
        """Connect."""
        context = tls if to.is_tls else None
        name = to.host if to.is_tls else None
        try:
            reader, writer = await asyncio.open_connection(to.host, to.port, ssl=context, server_hostname=name, limit=_HEAD)
        except (OSError, ssl.SSLError, ValueError) as cause:
            raise CountersignError(ErrorKind.UNREACHABLE, "decision point cannot be reached") from cause
        return cls(reader, writer)

    @property
    def is_stale(self) -> bool:
        """Whether the other side has ended it, or said something that nobody asked for."""
        return self._writer.is_closing() or self._reader.at_eof() or bool(getattr(self._reader, "_buffer", b""))

    def close(self) -> None:
        """End it at once."""
        self.is_reusable = False
        self._writer.transport.abort()

    async def send(self, method: str, to: Address, path: str, headers: dict[str, str], body: bytes | None) -> Head:
        """Send a request, and read the head of its answer."""
        self.is_reusable, self.has_heard = False, False
        lines = [f"{method} {path} HTTP/1.1", f"Host: {to.authority}", *(f"{name}: {value}" for name, value in headers.items())]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        try:
            self._writer.write("\r\n".join([*lines, "", ""]).encode("ascii") + (body or b""))
            await self._writer.drain()
            for _ in range(4):
                head = await self._head()
                # An interim response says nothing.
                if not 100 <= head.status < 200:
                    return head
        except (OSError, ssl.SSLError, EOFError) as cause:
            raise CountersignError(ErrorKind.UNREACHABLE, "connection to the decision point broke") from cause
        raise _malformed("too many interim responses")

    async def _head(self) -> Head:
        try:
            text = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError as cause:
            raise _malformed("head of the answer is too large") from cause
        except asyncio.IncompleteReadError as cause:
            self.has_heard = bool(cause.partial)
            raise
        self.has_heard = True
        if len(text) > _HEAD:
            raise _malformed("head of the answer is too large")
        first, *rest = text[:-4].split(b"\r\n")
        status = _STATUS.match(first)
        if status is None:
            raise _malformed("answer is not HTTP/1.1")
        headers: dict[str, list[str]] = {}
        for line in rest:
            field = _FIELD.match(line)
            if field is None:
                raise _malformed("a header is not of its form")
            headers.setdefault(field[1].decode("ascii").lower(), []).append(field[2].decode("latin-1"))
        return Head(int(status[1]), headers)

    async def body(self, head: Head, most: int) -> bytes:
        """Read a body of bounded size."""
        parts, size = [], 0
        async for part in self.parts(head):
            parts.append(part)
            size += len(part)
            if size > most:
                raise _malformed("answer is too large")
        return b"".join(parts)

    async def parts(self, head: Head) -> AsyncIterator[bytes]:
        """Read a body, part by part as it arrives."""
        if (head.only("content-encoding") or "identity").lower() != "identity":
            raise _malformed("answer is encoded")
        coding, length = head.only("transfer-encoding"), head.only("content-length")
        keep = (head.only("connection") or "").lower() != "close"
        try:
            if coding is not None:
                if coding.lower() != "chunked" or length is not None:
                    raise _malformed("length of the answer is ambiguous")
                async for part in self._chunks():
                    yield part
            elif length is not None:
                if _LENGTH.match(length.encode("latin-1")) is None:
                    raise _malformed("length of the answer is not a number")
                async for part in self._exactly(int(length)):
                    yield part
            elif head.status != 204:
                raise _malformed("answer has no length")
        except asyncio.LimitOverrunError as cause:
            raise _malformed("answer is not of its form") from cause
        except (OSError, ssl.SSLError, EOFError) as cause:
            raise CountersignError(ErrorKind.UNREACHABLE, "answer broke off") from cause
        self.is_reusable = keep

    async def _exactly(self, left: int) -> AsyncIterator[bytes]:
        while left > 0:
            part = await self._reader.read(min(left, 64 * 1024))
            if not part:
                raise EOFError
            left -= len(part)
            yield part

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            line = await self._reader.readuntil(b"\r\n")
            chunk = _CHUNK.match(line)
            if chunk is None:
                raise _malformed("answer is not of its form")
            size = int(chunk[1], 16)
            if size == 0:
                break
            async for part in self._exactly(size):
                yield part
            if await self._reader.readexactly(2) != b"\r\n":
                raise _malformed("answer is not of its form")
        if await self._reader.readexactly(2) != b"\r\n":
            raise _malformed("answer has trailers")


class Pool:
    """Connections to one address that wait for the next question."""

    def __init__(self, to: Address, tls: ssl.SSLContext | None) -> None:
        self.to = to
        self._tls = tls
        self._idle: list[Connection] = []
        self._is_closed = False

    async def exchange(self, method: str, path: str, headers: dict[str, str], body: bytes | None, *, most: int, again: bool) -> tuple[Head, bytes]:
        """Ask, and read the whole answer. With ``again``, a connection that ended while it waited is replaced once."""
        kept = self._take()
        if kept is not None:
            try:
                return await self._on(kept, method, path, headers, body, most)
            except CountersignError as error:
                if error.kind is not ErrorKind.UNREACHABLE or kept.has_heard or not again:
                    raise
        return await self._on(await self.connect(), method, path, headers, body, most)

    async def connect(self) -> Connection:
        """Open a connection that is not kept."""
        return await Connection.open(self.to, self._tls)

    def _take(self) -> Connection | None:
        while self._idle:
            kept = self._idle.pop()
            if not kept.is_stale:
                return kept
            kept.close()
        return None

    async def _on(self, connection: Connection, method: str, path: str, headers: dict[str, str], body: bytes | None, most: int) -> tuple[Head, bytes]:
        is_done = False
        try:
            head = await connection.send(method, self.to, path, headers, body)
            read = await connection.body(head, most)
            is_done = connection.is_reusable and not connection.is_stale
            return head, read
        finally:
            if is_done and len(self._idle) < _MOST_IDLE and not self._is_closed:
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """End all connections that wait."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()


def _malformed(message: str) -> CountersignError:
    return CountersignError(ErrorKind.MALFORMED, message)
