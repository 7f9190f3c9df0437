"""The middleware of a Django site, as WSGI servers call it, with a decision point that does what a test says."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import django
import django_site
import pytest
from conftest import wait_for
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from fake import Fake, allow, answered, deny, lease, step_up

from countersign import CountersignError
from countersign.django import BrokenOffError, EnforceMiddleware

settings.configure(
    DEBUG=False, SECRET_KEY="of no use", ALLOWED_HOSTS=["*"], ROOT_URLCONF="django_site", MIDDLEWARE=["countersign.django.EnforceMiddleware"]
)
django.setup()

Get = Callable[..., tuple[int, dict[str, str], Iterable[bytes]]]


@pytest.fixture
def get(fake: Fake) -> Iterator[Get]:
    django_site.DONE.clear()
    own = {"addresses": [fake.url], "pep": ("payroll", "s"), "origin": "https://payroll.example", "deadline": 10.0}
    with override_settings(COUNTERSIGN={**own, "obligations": {"notification": django_site.notify}}):
        site = WSGIHandler()
        started: list[Any] = []

        def call(path: str = "/", query: str = "", **meta: str) -> tuple[int, dict[str, str], Iterable[bytes]]:
            environ = {
                "REQUEST_METHOD": "GET",
                "SCRIPT_NAME": "",
                "PATH_INFO": path.encode().decode("latin-1"),
                "QUERY_STRING": query,
                "SERVER_NAME": "evil.example",
                "SERVER_PORT": "80",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "wsgi.input": io.BytesIO(),
                "wsgi.url_scheme": "http",
                **meta,
            }
            parts = site(environ, lambda status, headers: started.append((status, headers)))
            status, headers = started.pop()
            return int(status.split(" ")[0]), dict(headers), parts

        yield call
        middleware = site._middleware_chain
        while not isinstance(middleware, EnforceMiddleware):
            middleware = middleware.__wrapped__
        middleware._client.close()


def test_an_allowed_request_finds_its_guard(fake: Fake, get: Get) -> None:
    status, _, parts = get("/payroll/ä", "x=1", HTTP_AUTHORIZATION="Bearer t", HTTP_COOKIE="a=1")
    assert (status, b"".join(parts)) == (200, b'{"action": "GET", "resource": "payroll.example/payroll/%C3%A4", "decision": "node.1.1"}')
    http = fake.questions[0]["context"]["http"]
    assert (http["host"], http["target"]) == ("payroll.example", "/payroll/%C3%A4?x=1")
    assert http["headers"] == [["authorization", "Bearer t"], ["cookie", "a=1"]]


REFUSED: list[tuple[Any, int]] = [
    (deny("policy_denied"), 403),
    (deny("no_credentials"), 401),
    (deny("overloaded"), 503),
    (answered({}, 500), 503),
    (b"x", 503),
]


def test_refusals(fake: Fake, get: Get) -> None:
    fake.answer = lambda _path, _asked: step_up(step_up={"url": "https://payroll.example/.countersign/step-up?d=1"})
    status, headers, _ = get(HTTP_SEC_FETCH_MODE="navigate")
    assert (status, headers["Location"]) == (302, "https://payroll.example/.countersign/step-up?d=1")
    assert (headers["Cache-Control"], headers["X-Countersign-Decision"]) == ("no-store", "node.1.3")
    status, headers, _ = get()
    assert status == 401
    assert 'acr_values="phr", max_age="300"' in headers["WWW-Authenticate"]
    for told, expected in (
        (deny("policy_denied"), 403),
        (deny("no_credentials"), 401),
        (deny("overloaded"), 503),
        (answered({}, 500), 503),
        (b"x", 503),
    ):
        fake.answer = lambda _path, _asked, told=told: told  # type: ignore[misc]
        assert get()[0] == expected


@pytest.mark.parametrize("path", ["//a", "/a/../b", "/a;b", "/a//b", "/a\\b", "/a%41", "/%FF", "/a b", "/a\x00"])
def test_an_ambiguous_path_is_refused_without_asking(fake: Fake, get: Get, path: str) -> None:
    assert get(path)[0] == 400
    assert not fake.asked


def test_a_path_that_arrived_encoded_is_refused_where_the_server_tells(fake: Fake, get: Get) -> None:
    for name in ("RAW_URI", "REQUEST_URI"):
        assert get("/ab", **{name: "/a%62?x"})[0] == 400
        assert get("/ab", **{name: "/other"})[0] == 400
    assert not fake.asked
    assert get("/ab", "x", RAW_URI="/ab?x")[0] == 200


def test_a_header_that_was_repeated_is_refused_without_asking(fake: Fake, get: Get) -> None:
    assert get(HTTP_AUTHORIZATION="Bearer a,Bearer b")[0] == 400
    assert get(HTTP_USER_AGENT="\xff")[0] == 400
    assert not fake.asked


def test_obligations_are_carried_out_or_refused(fake: Fake, get: Get) -> None:
    def one(**properties: Any) -> dict[str, Any]:
        return {"id": "1", "type": "notification", "properties": properties}

    fake.answer = lambda _path, _asked: allow(obligations=[one()])
    assert get("/a")[0] == 200
    fake.answer = lambda _path, _asked: allow(obligations=[one(fail=True), one()])
    assert get("/b")[0] == 403
    assert django_site.DONE == ["payroll.example/a", "payroll.example/b", "payroll.example/b"]
    fake.answer = lambda _path, _asked: allow(obligations=[{"id": "1", "type": "watermark"}])
    assert get("/c")[0] == 403


def test_a_stream_ends_with_its_decision(fake: Fake, get: Get) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    get()
    wait_for(lambda: fake.watches > 0, "watched")
    status, _, parts = get("/stream")
    assert status == 200
    reading = iter(parts)
    assert next(reading) == b"part\n"
    asked = len(fake.asked)
    fake.tell("ended", reason="risk", depends_on=["a" * 32])
    wait_for(lambda: bool(next(reading)) and len(fake.asked) > asked, "asked again")
    fake.answer = lambda _path, _asked: deny("revoked")
    fake.tell("ended", reason="revoked", depends_on=["a" * 32])
    with pytest.raises(BrokenOffError):
        wait_for(lambda: not next(reading), "broken off")


def test_a_stream_that_obliges_to_more_goes_on_only_when_that_is_carried_out(fake: Fake, get: Get) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    get()
    wait_for(lambda: fake.watches > 0, "watched")
    reading = iter(get("/stream")[2])
    assert next(reading)
    duty = {"id": "1", "type": "notification", "properties": {"fail": True}}
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq), obligations=[duty])
    fake.tell("ended", reason="risk", depends_on=["a" * 32])
    with pytest.raises(BrokenOffError):
        wait_for(lambda: not next(reading), "broken off")
    assert django_site.DONE == ["payroll.example/stream"]


def test_settings_are_needed() -> None:
    for missing in ({}, {"addresses": "http://127.0.0.1:1"}, {"origin": "https://a.example"}):
        with override_settings(COUNTERSIGN=missing), pytest.raises(CountersignError):
            EnforceMiddleware(lambda _request: None)  # type: ignore[arg-type, return-value]
