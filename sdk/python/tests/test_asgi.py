"""The middleware before a FastAPI application, on a real server, with a decision point that does what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import httpx
import pytest
import uvicorn
from conftest import wait_for
from fake import Fake, allow, answered, deny, lease, step_up
from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import StreamingResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from countersign import AsyncClient
from countersign.asgi import EnforceMiddleware, Permitted

DONE: list[dict[str, Any]] = []


def guard(request: Request) -> Permitted:
    permitted = getattr(request.state, "permitted", None)
    if not isinstance(permitted, Permitted):
        raise HTTPException(403)
    return permitted


def application(client: AsyncClient) -> FastAPI:
    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await client.close()

    app = FastAPI(lifespan=life)

    async def notify(properties: Any, permitted: Permitted) -> None:
        DONE.append({"properties": properties, "resource": permitted.resource})
        if properties.get("fail"):
            raise RuntimeError("no mail today")

    app.add_middleware(EnforceMiddleware, client=client, origin="https://payroll.example", obligations={"notification": notify})

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield b"part\n"
                await asyncio.sleep(0.01)

        return StreamingResponse(parts())

    @app.websocket("/socket")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        assert isinstance(websocket.state.permitted, Permitted)
        while True:
            await websocket.send_text(await websocket.receive_text())

    @app.get("/{rest:path}")
    async def anything(permitted: Annotated[Permitted, Depends(guard)]) -> dict[str, Any]:
        return {"action": permitted.action, "resource": permitted.resource, "decision": permitted.decision_id}

    return app


@pytest.fixture
def served(fake: Fake) -> Iterator[str]:
    DONE.clear()
    client = AsyncClient(fake.url, pep=("payroll", "s"), deadline=10.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application(client), log_level="critical", ws="websockets-sansio", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        wait_for(lambda: server.started, "started")
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def send(served: str, target: str, headers: dict[str, str] | list[tuple[str, str]] | None = None) -> tuple[int, str, httpx.Headers]:
    """Send a target as it is written: a client that is a library tidies it up."""
    given = list((headers or {}).items()) if isinstance(headers, dict) or headers is None else headers
    with socket.create_connection(served.split(":"), timeout=20) as connection:  # type: ignore[arg-type]
        lines = [f"GET {target} HTTP/1.1", "Host: evil.example", "Connection: close", *(f"{name}: {value}" for name, value in given), "", ""]
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        text = b""
        while part := connection.recv(65_536):
            text += part
    head, _, body = text.decode().partition("\r\n\r\n")
    first, *rest = head.split("\r\n")
    return int(first.split(" ")[1]), body, httpx.Headers([tuple(line.split(": ", 1)) for line in rest])  # type: ignore[misc]


def test_an_allowed_request_finds_its_guard(fake: Fake, served: str) -> None:
    status, body, _ = send(served, "/payroll/%C3%A4?x=1", {"Authorization": "Bearer t", "Cookie": "a=1"})
    assert (status, body) == (200, '{"action":"GET","resource":"payroll.example/payroll/%C3%A4","decision":"node.1.1"}')
    http = fake.questions[0]["context"]["http"]
    assert (http["host"], http["target"]) == ("payroll.example", "/payroll/%C3%A4?x=1"), "the Host header is the client's word"
    assert http["headers"] == [["authorization", "Bearer t"], ["cookie", "a=1"]]
    assert "client_address" not in http


REFUSED: list[tuple[Any, int]] = [
    (deny("policy_denied"), 403),
    (deny("no_credentials"), 401),
    (deny("overloaded"), 503),
    (answered({}, 500), 503),
    (b"x", 503),
]


def test_refusals(fake: Fake, served: str) -> None:
    navigation = {"Sec-Fetch-Mode": "navigate", "Cookie": "a=1"}
    fake.answer = lambda _path, _asked: step_up(step_up={"url": "https://payroll.example/.countersign/step-up?d=1"})
    status, body, headers = send(served, "/", navigation)
    assert (status, body, headers["location"]) == (302, "", "https://payroll.example/.countersign/step-up?d=1")
    assert (headers["cache-control"], headers["x-countersign-decision"]) == ("no-store", "node.1.3")
    status, _, headers = send(served, "/")
    assert (status, headers["x-countersign-page"]) == (401, "https://payroll.example/.countersign/step-up?d=1")
    assert 'acr_values="phr", max_age="300"' in headers["www-authenticate"]
    for told, expected in (
        (deny("policy_denied"), 403),
        (deny("no_credentials"), 401),
        (deny("overloaded"), 503),
        (answered({}, 500), 503),
        (b"x", 503),
    ):
        fake.answer = lambda _path, _asked, told=told: told  # type: ignore[misc]
        assert send(served, "/")[:2] == (expected, "")


@pytest.mark.parametrize("target", ["//a", "/a/../b", "/%2e%2e/a", "/a;b=c", "/%61", "/a%2Fb", "/%c3%a4", "/%FF", "/a\\b", "/%00"])
def test_an_ambiguous_path_is_refused_without_asking(fake: Fake, served: str, target: str) -> None:
    assert send(served, target)[0] == 400
    assert not fake.asked


def test_a_repeated_header_is_refused_without_asking(fake: Fake, served: str) -> None:
    assert send(served, "/", [("Authorization", "Bearer a"), ("authorization", "Bearer b")])[0] == 400
    assert not fake.asked


def test_obligations_are_carried_out_or_refused(fake: Fake, served: str) -> None:
    def one(**properties: Any) -> dict[str, Any]:
        return {"id": str(len(properties)), "type": "notification", "properties": properties}

    fake.answer = lambda _path, _asked: allow(obligations=[one(to="owner")])
    assert send(served, "/a")[0] == 200
    assert DONE == [{"properties": {"to": "owner"}, "resource": "payroll.example/a"}]
    assert fake.questions[0]["context"]["supported_obligations"] == ["notification"]
    fake.answer = lambda _path, _asked: allow(obligations=[one(fail=True), one()])
    assert send(served, "/b")[0] == 403
    assert len(DONE) == 3, "the rest is carried out all the same"
    fake.answer = lambda _path, _asked: allow(obligations=[{"id": "1", "type": "watermark"}])
    assert send(served, "/c")[0] == 403


def test_a_guard_of_another_layer_is_none() -> None:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["state"].get("permitted"))

    async def run() -> None:
        client = AsyncClient("http://127.0.0.1:1", pep=("a", "b"), lease=0)
        layer = EnforceMiddleware(app, client=client, origin="https://a.example")
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        state = {"permitted": "forged"}
        scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": [], "state": state}
        await layer(scope, None, send)  # type: ignore[arg-type]
        assert sent[0]["status"] == 503
        assert "permitted" not in state
        await client.close()

    asyncio.run(run())
    assert not seen


def test_a_stream_ends_with_its_decision(fake: Fake, served: str) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    send(served, "/")
    wait_for(lambda: fake.watches > 0, "watched")
    with httpx.stream("GET", f"http://{served}/stream", timeout=20) as response:
        parts = response.iter_raw()
        assert next(parts).startswith(b"part")
        fake.answer = lambda _path, _asked: deny("revoked")
        fake.tell("ended", reason="revoked", depends_on=["a" * 32])
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in parts:
                pass


def test_a_stream_that_is_still_allowed_goes_on(fake: Fake, served: str) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    send(served, "/")
    wait_for(lambda: fake.watches > 0, "watched")
    with httpx.stream("GET", f"http://{served}/stream", timeout=20) as response:
        parts = response.iter_raw()
        next(parts)
        asked = len(fake.asked)
        fake.tell("ended", reason="risk", depends_on=["a" * 32])
        wait_for(lambda: len(fake.asked) > asked, "asked again")
        for _ in range(3):
            assert next(parts)


def test_a_stream_that_obliges_to_more_goes_on_only_when_that_is_carried_out(fake: Fake, served: str) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    send(served, "/")
    wait_for(lambda: fake.watches > 0, "watched")
    with httpx.stream("GET", f"http://{served}/stream", timeout=20) as response:
        parts = response.iter_raw()
        next(parts)
        for number, fails in enumerate([False, True]):
            duty = {"id": str(number), "type": "notification", "properties": {"fail": fails}}
            fake.answer = lambda _path, _asked, duty=duty: allow(lease=lease(fake.seq), obligations=[duty])  # type: ignore[misc]
            fake.tell("ended", reason="risk", depends_on=["a" * 32])
            wait_for(lambda number=number: len(DONE) > number, "carried out")  # type: ignore[misc]
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in parts:
                pass


def test_a_websocket_ends_with_its_decision(fake: Fake, served: str) -> None:
    fake.answer = lambda _path, _asked: deny("policy_denied")
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{served}/socket")
    assert refused.value.response.status_code == 403
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    send(served, "/")
    wait_for(lambda: fake.watches > 0, "watched")
    with connect(f"ws://{served}/socket") as socket_:
        socket_.send("hello")
        assert socket_.recv(timeout=20) == "hello"
        fake.answer = lambda _path, _asked: deny("revoked")
        fake.tell("ended", reason="revoked", depends_on=["a" * 32])
        with pytest.raises(ConnectionClosed) as closed:
            socket_.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
