"""Each example, started by its one command, with the real decision point behind it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import wait_for
from scene import free_ports

EXAMPLES = Path(__file__).parents[1] / "examples"


class Example:
    def __init__(self, which: str, folder: Path) -> None:
        import os

        self.which = which
        self.url = f"http://localhost:{free_ports(1)[0]}"
        self._log = folder / "log"
        with self._log.open("wb") as log:
            told = {**os.environ, "PORT": self.url.rsplit(":", 1)[1], "PYTHONUNBUFFERED": "1"}
            self.process = subprocess.Popen([str(EXAMPLES / which / "run")], env=told, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def said(self) -> str:
        return self._log.read_text()

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.said()
        try:
            return httpx.get(self.url, timeout=20).status_code == 401
        except httpx.TransportError:
            return False

    @property
    def token(self) -> str:
        found = re.search(r"(?m)^TOKEN=(.+)$", self.said())
        assert found, self.said()
        return found[1]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, headers={"Authorization": f"Bearer {self.token}"}, timeout=30)

    def revoke(self) -> None:
        said = re.search(r'Bearer (op:\S+)".*-d \'(.*)\' (http\S+)', self.said())
        assert said, self.said()
        told = httpx.post(said[3], headers={"Authorization": f"Bearer {said[1]}", "Content-Type": "application/json"}, content=said[2], timeout=30)
        assert told.status_code == 201, told.text


@pytest.fixture(params=["fastapi", "django"])
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Example]:
    started = Example(request.param, tmp_path)
    try:
        wait_for(started.is_up, "up", 120)
        yield started
    finally:
        started.process.send_signal(signal.SIGTERM)
        started.process.wait(60)


def test_it_does_what_it_says(example: Example) -> None:
    home = example.get("/")
    assert home.status_code == 200, example.said()
    assert home.json()["of"] == f"{example.url.removeprefix('http://')}/"
    assert example.get("/other").status_code == 403
    stranger = httpx.get(example.url, timeout=30)
    assert (stranger.status_code, stranger.headers["www-authenticate"]) == (401, "Bearer")
    again = example.get("/payroll")
    assert again.status_code == 401
    assert 'acr_values="phr"' in again.headers["www-authenticate"]
    assert example.get("/print").status_code == 200
    wait_for(lambda: "telling owner of" in example.said(), "told")
    assert json.loads(home.text)["by decision"]
    with httpx.stream("GET", f"{example.url}/stream", headers={"Authorization": f"Bearer {example.token}"}, timeout=60) as response:
        parts = response.iter_raw()
        assert next(parts).startswith(b"tick")
        example.revoke()
        # Broken off, so that nobody takes a part for the whole.
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            for _ in parts:
                pass
    refused = example.get("/")
    assert refused.status_code == 401
    assert "invalid_token" in refused.headers["www-authenticate"]
