"""A payroll in Django, in one file, whose every request is decided elsewhere. Start it with ``sdk/python/examples/django/run``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path


def notify(properties: Mapping[str, Any], permitted: Any) -> None:
    """Carry out an obligation of the type `notification`."""
    print(f"telling {properties['to']} of {permitted.resource}", flush=True)


settings.configure(
    SECRET_KEY="of-no-use-here",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    # First: what is behind it is reached by allowed requests only.
    MIDDLEWARE=["countersign.django.EnforceMiddleware", "django.middleware.common.CommonMiddleware"],
    COUNTERSIGN={
        "addresses": [os.environ["COUNTERSIGN_URL"]],
        "pep": ("payroll", os.environ["COUNTERSIGN_SECRET"]),
        "origin": os.environ["ORIGIN"],
        "obligations": {"notification": notify},
    },
)


def home(request: HttpRequest) -> JsonResponse:
    permitted = request.permitted
    return JsonResponse({"you may": permitted.action, "of": permitted.resource, "by decision": permitted.decision_id})


def payroll(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"salaries": [1, 2, 3], "by decision": request.permitted.decision_id})


def stream(_: HttpRequest) -> StreamingHttpResponse:
    def ticks() -> Iterator[bytes]:
        for number in range(100_000):
            yield f"tick {number}\n".encode()
            time.sleep(0.1)

    return StreamingHttpResponse(ticks(), content_type="text/plain")


urlpatterns = [path("", home), path("payroll", payroll), path("print", payroll), path("stream", stream)]
application = get_wsgi_application()
