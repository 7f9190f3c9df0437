from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from fake import Fake

from countersign import Question


@pytest.fixture
def fake() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.stop()


@pytest.fixture
def other() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.stop()


@pytest.fixture
def question() -> Question:
    return Question(("user", "alice"), "read", ("record", "7"))


def wait_for(condition: Callable[[], bool], what: str = "it", patience: float = 15.0) -> None:
    """Wait for a condition, not for a time."""
    until = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < until, f"not {what} after {patience} s"
        time.sleep(0.002)
