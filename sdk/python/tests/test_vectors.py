"""Requests and their questions, as every language has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from countersign._enforce import AmbiguousError, Origin
from countersign._enforce import request as read_request

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors/question.json").read_text())


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(case["name"]))
def test_a_request_and_its_question(case: dict[str, Any]) -> None:
    asked = case["request"]
    path, _, query = asked["target"].partition("?")
    headers = [(name.encode(), value.encode("latin-1")) for name, value in asked["headers"]]
    address = asked.get("client_address")

    def question() -> Any:
        read = read_request(Origin.of(VECTORS["origin"]), asked["method"], path.encode(), query.encode(), headers, address)
        return json.loads(read.question([]).body({}))

    if case["question"] is None:
        with pytest.raises(AmbiguousError):
            question()
    else:
        # ASGI and WSGI do not tell an empty query from none.
        http = case["question"]["context"]["http"]
        http["target"] = http["target"].removesuffix("?")
        assert question() == case["question"]
