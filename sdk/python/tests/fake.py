"""A decision point that does what a test says: an HTTP/1.1 server on a thread of its own, and a watch whose events the test tells."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

LIFE = 7


def allow(**context: Any) -> dict[str, Any]:
    return {"decision": True, "context": {"id": "node.1.1", **context}}


def deny(code: str, **context: Any) -> dict[str, Any]:
    return {"decision": False, "context": {"id": "node.1.2", "reason": code, **context}}


def step_up(**context: Any) -> dict[str, Any]:
    properties = {"acr_value": "phr", "max_age": 300}
    obligation = {"id": "step-up", "type": "step-up", "properties": properties}
    return {"decision": False, "context": {"id": "node.1.3", "obligations": [obligation], **context}}


def lease(seq: int = 0, *, ttl: int = 30_000, life: int = LIFE, revision: str = "r1", tags: tuple[str, ...] = ("a",)) -> dict[str, Any]:
    names = [tag * 32 if len(tag) == 1 else tag for tag in tags]
    return {"ttl_ms": ttl, "epoch": f"{life}-{seq}", "revision": revision, "risk_below": 30, "depends_on": names}


def answered(document: Any, status: int = 200, kind: str = "application/json") -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


Handler = Callable[[str, dict[str, Any]], "bytes | dict[str, Any] | None"]


class Fake:
    """``answer`` takes path and question; ``None`` never answers."""

    def __init__(self, answer: Handler | None = None) -> None:
        self.answer: Handler = answer or (lambda _path, _asked: allow())
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.watched: list[tuple[str, dict[str, str]]] = []
        self.watch_status = 200
        self.greeting: Callable[[dict[str, str]], list[tuple[str, str | None, dict[str, Any]]]] = lambda _headers: []
        self.seq = 0
        self.life = LIFE
        self.floor = 1000
        self.heartbeat = 10_000
        self._writers: list[asyncio.StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = self._run(self._start())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def questions(self) -> list[Any]:
        return [body for _, _, body in self.asked]

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
                if method == "GET":
                    await self._watch(path, headers, writer)
                    await reader.read()
                    return
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                self.asked.append((path, headers, body))
                told = self.answer(path, body)
                if told is None:
                    await reader.read()
                    return
                writer.write(told if isinstance(told, bytes) else answered(told))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            if writer in self._writers:
                self._writers.remove(writer)
            writer.close()

    async def _watch(self, path: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        self.watched.append((path, headers))
        if self.watch_status != 200:
            writer.write(answered(b"no", self.watch_status, "text/plain"))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        hello = {"type": "hello", "heartbeat_ms": self.heartbeat, "floor_ms": self.floor, "revision": "r1"}
        # On a resume it names the place where it goes on; what was missed follows, and then that there is no more.
        last, _, seq = headers.get("last-event-id", "").partition("-")
        at = int(seq) if last == str(self.life) and int(seq) <= self.seq else self.seq
        _write(writer, "hello", f"{self.life}-{at}", hello)
        for kind, name, told in self.greeting(headers):
            _write(writer, kind, name, told)
        writer.write(b"3\r\n:\n\n\r\n")
        await writer.drain()
        self._writers.append(writer)

    def tell(self, kind: str, *, number: bool = True, **told: Any) -> None:
        """Tell an event to every watch."""
        if number:
            self.seq += 1
        self.raw(_frame(kind, f"{self.life}-{self.seq}", {"type": kind, **told}))

    def raw(self, text: bytes) -> None:
        """Write bytes to every watch, as one chunk."""

        async def write() -> None:
            for writer in self._writers:
                writer.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
                await writer.drain()

        self._run(write())

    def cut(self) -> None:
        """Break every watch off."""

        async def cut() -> None:
            for writer in list(self._writers):
                writer.transport.abort()
            self._writers.clear()

        self._run(cut())

    @property
    def watches(self) -> int:
        return len(self._writers)

    def stop(self) -> None:
        async def stop() -> None:
            self._server.close()
            own = asyncio.current_task()
            others = [task for task in asyncio.all_tasks() if task is not own]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._run(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def _frame(kind: str, name: str | None, told: dict[str, Any]) -> bytes:
    lines = [*([f"id: {name}"] if name else []), f"event: {kind}", f"data: {json.dumps(told)}", "", ""]
    return "\n".join(lines).encode()


def _write(writer: asyncio.StreamWriter, kind: str, name: str | None, told: dict[str, Any]) -> None:
    text = _frame(kind, name, told)
    writer.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
