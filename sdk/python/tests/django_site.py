"""A site for the tests of the Django middleware."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import re_path

DONE: list[Any] = []


def notify(properties: Any, permitted: Any) -> None:
    DONE.append(permitted.resource)
    if properties.get("fail"):
        raise RuntimeError("no mail today")


def stream(_: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        while True:
            yield b"part\n"

    return StreamingHttpResponse(parts())


def anything(request: HttpRequest) -> JsonResponse:
    permitted = request.permitted
    return JsonResponse({"action": permitted.action, "resource": permitted.resource, "decision": permitted.decision_id})


urlpatterns = [re_path("^stream$", stream), re_path("", anything)]
