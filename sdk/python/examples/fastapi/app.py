"""A payroll in FastAPI whose every request is decided elsewhere. Start it with ``sdk/python/examples/fastapi/run``."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import StreamingResponse

from countersign import AsyncClient
from countersign.asgi import EnforceMiddleware, Permitted

client = AsyncClient(os.environ["COUNTERSIGN_URL"], pep=("payroll", os.environ["COUNTERSIGN_SECRET"]))


@contextlib.asynccontextmanager
async def life(_: FastAPI) -> AsyncIterator[None]:
    yield
    await client.close()


async def notify(properties: Mapping[str, Any], permitted: Permitted) -> None:
    """Carry out an obligation of the type `notification`."""
    print(f"telling {properties['to']} of {permitted.resource}", flush=True)


def guard(request: Request) -> Permitted:
    """Give a handler what was allowed. Without the middleware there is nothing to give, and the request is refused."""
    permitted = getattr(request.state, "permitted", None)
    if not isinstance(permitted, Permitted):
        raise HTTPException(403)
    return permitted


Guard = Annotated[Permitted, Depends(guard)]
app = FastAPI(lifespan=life)
app.add_middleware(EnforceMiddleware, client=client, origin=os.environ["ORIGIN"], obligations={"notification": notify})


@app.get("/")
async def home(permitted: Guard) -> dict[str, Any]:
    return {"you may": permitted.action, "of": permitted.resource, "by decision": permitted.decision_id}


@app.get("/payroll")
@app.get("/print")
async def payroll(permitted: Guard) -> dict[str, Any]:
    return {"salaries": [1, 2, 3], "by decision": permitted.decision_id}


@app.get("/stream")
async def stream(_: Guard) -> StreamingResponse:
    async def ticks() -> AsyncIterator[bytes]:
        for number in range(100_000):
            yield f"tick {number}\n".encode()
            await asyncio.sleep(0.1)

    return StreamingResponse(ticks(), media_type="text/plain")


@app.websocket("/socket")
async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    while True:
        await websocket.send_text(await websocket.receive_text())
