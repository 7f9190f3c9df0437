"""JSON as it must be at every ingress: no repeated member names (RFC 7493 section 2.3), bounded size and depth, no number that is none."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


class NotStrictError(ValueError):
    """A document that two readers could read as two."""


def read(text: bytes, *, most_bytes: int, depth: int, values: int) -> Any:
    """Read a document."""
    if len(text) > most_bytes:
        raise NotStrictError("larger than allowed")
    try:
        document = json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except NotStrictError:
        raise
    except (ValueError, RecursionError) as cause:
        raise NotStrictError("not JSON") from cause
    _bounded(document, depth, values)
    return document


def write(document: Any) -> str:
    """Write a document in its one form: equal texts are equal documents."""
    _bounded(document, 64, 1_000_000)
    try:
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as cause:
        raise NotStrictError("not JSON") from cause


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrictError("a member name is repeated")
    return members


def _no_constant(_: str) -> NoReturn:
    raise NotStrictError("not a number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotStrictError("a number is out of range")
    return number


def _bounded(document: Any, depth: int, values: int) -> None:
    level: list[Any] = [document]
    while level:
        values -= len(level)
        if depth < 0 or values < 0:
            raise NotStrictError("nested too deeply, or too many values")
        depth -= 1
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                for name in value:
                    _text(name)
                inner.extend(value.values())
            elif isinstance(value, (list, tuple)):
                inner.extend(value)
            elif isinstance(value, str):
                _text(value)
        level = inner


def _text(text: Any) -> None:
    # A lone surrogate has no UTF-8, and a name that is no text would be written as one.
    if not isinstance(text, str):
        raise NotStrictError("a member name is no text")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as cause:
            raise NotStrictError("not UTF-8") from cause
