"""Leaves an address alone for a while after it failed: closed, open, half-open."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from enum import Enum


class BreakerState(str, Enum):
    """How an address is treated."""

    CLOSED = "closed"
    """It is asked."""
    OPEN = "open"
    """It is left alone."""
    HALF_OPEN = "half_open"
    """One question finds out whether it answers again."""


_IN_A_ROW = 5
_WINDOW = 20
_RATE = 0.5
_OPEN = 1.0
_LONGEST = 30.0


class Breaker:
    """The state of one address."""

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._chance = chance
        self._in_a_row = 0
        self._recent: deque[bool] = deque(maxlen=_WINDOW)
        self._opened = 0
        self._until = 0.0
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """How the address is treated now."""
        if self._opened == 0:
            return BreakerState.CLOSED
        waits = self._clock() < self._until
        return BreakerState.OPEN if waits else BreakerState.HALF_OPEN

    def admits(self) -> bool:
        """Whether a question may go there. In the half-open state, one at a time may."""
        state = self.state
        if state is BreakerState.HALF_OPEN and not self._probing:
            self._probing = True
            return True
        return state is BreakerState.CLOSED

    def succeeded(self) -> None:
        """An answer came, whichever."""
        self._in_a_row = 0
        self._recent.append(True)
        if self._opened:
            self._recent.clear()
        self._opened, self._probing = 0, False

    def failed(self) -> None:
        """No answer came, or none that can be read."""
        self._in_a_row += 1
        self._recent.append(False)
        full = len(self._recent) == _WINDOW
        rate = full and self._recent.count(False) >= _RATE * _WINDOW
        if self._probing or self._in_a_row >= _IN_A_ROW or rate:
            self._opened += 1
            longest = min(_LONGEST, _OPEN * 2 ** min(self._opened - 1, 10))
            self._until = self._clock() + longest * (0.5 + self._chance())
        self._probing = False

    def abandoned(self) -> None:
        """A question that was let through was given up by whoever asked: nothing is known."""
        self._probing = False
