"""A bound in time for something that is awaited, which loses no cancellation where the standard library has such a one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

if sys.version_info >= (3, 11):

    async def within(work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        """Await something for so long, or raise ``asyncio.TimeoutError``."""
        async with asyncio.timeout(seconds):
            return await work

else:

    async def within(work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        """Await something for so long, or raise ``asyncio.TimeoutError``."""
        return await asyncio.wait_for(work, seconds)
