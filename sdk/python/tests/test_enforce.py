"""From a request to a question, and from an answer to what the client sees; the vectors are those of the other languages."""

from __future__ import annotations

import pytest

from countersign import CountersignError, Deny, ErrorKind, StepUp
from countersign._answer import Allow, read
from countersign._enforce import AmbiguousError, Obligations, Origin, Permitted, permitted, plain_path, refusal
from countersign._enforce import request as read_request

ORIGIN = Origin.of("https://payroll.example")


@pytest.mark.parametrize("path", ["/", "/a", "/a/", "/a/b.c", "/a:b@c", "/%C3%A4", "/a%C3%A4b/", "/-._~!$&'()*+,="])
def test_plain_paths(path: str) -> None:
    assert plain_path(path.encode()) == path


AMBIGUOUS = [
    *["a", "*", "//", "/a//b", "/.", "/..", "/a/../b", "/a/./b", "/a;b", "/%2e", "/%2F", "/%5C", "/a\\b", "/%c3%a4"],
    *["/%41", "/%", "/%8", "/a?b", "/a#b", "/ä", '/"', "/<", "/%00", "/%25", "http://x/"],
]


@pytest.mark.parametrize("path", ["", "/a b", "/a\x00", "/a\n", *AMBIGUOUS])
def test_ambiguous_paths(path: str) -> None:
    with pytest.raises(AmbiguousError):
        plain_path(path.encode())


def ask(headers: list[tuple[bytes, bytes]], method: str = "GET", path: bytes = b"/payroll", query: bytes = b"") -> dict[str, object]:
    import json

    question = read_request(ORIGIN, method, path, query, headers, "203.0.113.9").question(["b", "a"])
    return dict(json.loads(question.body({})))


def test_the_question_has_the_form_of_every_layer() -> None:
    headers = [
        (b"Cookie", b"a=1"),
        (b"User-Agent", b"x"),
        (b"X-Other", b"\xff"),
        (b"authorization", b"Bearer t"),
        (b"cookie", b"b=2"),
    ]
    assert ask(headers, "POST", query=b"x=1&y=%20") == {
        "subject": {"type": "token", "id": "presented"},
        "action": {"name": "POST"},
        "resource": {"type": "route", "id": "payroll.example/payroll"},
        "context": {
            "http": {
                "method": "POST",
                "scheme": "https",
                "host": "payroll.example",
                "target": "/payroll?x=1&y=%20",
                "headers": [["authorization", "Bearer t"], ["user-agent", "x"], ["cookie", "a=1; b=2"]],
                "client_address": "203.0.113.9",
            },
            "supported_obligations": ["a", "b"],
        },
    }


@pytest.mark.parametrize("name", [b"authorization", b"DPoP", b"user-agent", b"accept", b"sec-fetch-mode", b"Sec-Fetch-Site"])
def test_a_repeated_header_is_ambiguous(name: bytes) -> None:
    with pytest.raises(AmbiguousError):
        ask([(name, b"1"), (name.lower(), b"1")])


@pytest.mark.parametrize(
    ("headers", "method", "query"),
    [
        ([(b"authorization", b"Bearer \xe4")], "GET", b""),
        ([(b"cookie", b"a\x00")], "GET", b""),
        ([], "GE T", b""),
        ([], "", b""),
        ([], "GET", b"a b"),
        ([], "GET", b"a#b"),
        ([], "GET", b"\xe4"),
    ],
)
def test_what_cannot_be_handed_on_is_ambiguous(headers: list[tuple[bytes, bytes]], method: str, query: bytes) -> None:
    with pytest.raises(AmbiguousError):
        ask(headers, method, query=query)


@pytest.mark.parametrize(
    "text", ["payroll.example", "ftp://a", "https://", "https://a/", "https://a?b", "https://a#", "https://u@a", "https://a b", "https://a:x"]
)
def test_an_origin_is_nothing_else(text: str) -> None:
    with pytest.raises(CountersignError) as caught:
        Origin.of(text)
    assert caught.value.kind is ErrorKind.CONFIGURATION


def test_an_origin_is_in_lower_case() -> None:
    assert Origin.of("HTTPS://Payroll.Example:8443") == Origin("https", "payroll.example:8443")


def seen(answer: StepUp | Deny | CountersignError, headers: list[tuple[bytes, bytes]], method: str = "GET") -> tuple[int, dict[str, str]]:
    told = refusal(answer, read_request(ORIGIN, method, b"/", b"", headers))
    return told.status, dict(told.headers)


NAVIGATION = [(b"sec-fetch-mode", b"navigate"), (b"cookie", b"s=1")]
STEP_UP = StepUp("n.1.1", "phr", 300, "https://payroll.example/.countersign/step-up?d=1")
CHALLENGE = (
    'Bearer error="insufficient_user_authentication", error_description="a different authentication level is required", '
    'acr_values="phr", max_age="300"'
)
NAMED = {"X-Countersign-Decision": "n.1.1"}


def test_a_person_is_led_to_the_ceremony() -> None:
    there = (302, {"Location": STEP_UP.ceremony, **NAMED})
    assert seen(STEP_UP, NAVIGATION) == there
    assert seen(STEP_UP, [(b"accept", b"text/html,*/*")]) == there


def test_anything_else_gets_the_challenge() -> None:
    page = {"X-Countersign-Page": STEP_UP.ceremony}
    assert seen(STEP_UP, NAVIGATION, "POST") == (401, {"WWW-Authenticate": CHALLENGE, **page, **NAMED})
    for headers in ([], [(b"sec-fetch-mode", b"cors"), (b"accept", b"text/html")], [*NAVIGATION, (b"authorization", b"Bearer t")]):
        assert seen(STEP_UP, headers)[0] == 401
    bare = StepUp(None, "phr", None, None)
    without_age = CHALLENGE.replace(', max_age="300"', "")
    assert seen(bare, NAVIGATION) == (401, {"WWW-Authenticate": without_age})
    assert seen(bare, [(b"authorization", b"DPoP t")]) == (401, {"WWW-Authenticate": without_age.replace("Bearer", "DPoP")})


@pytest.mark.parametrize(
    ("code", "status", "challenge"),
    [
        ("no_credentials", 401, "Bearer"),
        ("expired_token", 401, 'Bearer error="invalid_token"'),
        ("revoked", 401, 'Bearer error="invalid_token"'),
        ("policy_denied", 403, None),
        ("policy_error", 403, None),
        (None, 403, None),
        ("of_a_later_version", 403, None),
        ("overloaded", 503, None),
        ("facts_unavailable", 503, None),
    ],
)
def test_a_deny(code: str | None, status: int, challenge: str | None) -> None:
    headers = {} if challenge is None else {"WWW-Authenticate": challenge}
    assert seen(Deny("n.1.1", code), []) == (status, headers | NAMED)


def test_an_error_says_nothing() -> None:
    for kind in ErrorKind:
        assert seen(CountersignError(kind, "why"), NAVIGATION) == (503, {})


def test_nobody_makes_a_guard() -> None:
    with pytest.raises(TypeError):
        Permitted("GET", "a/b", None, (), False)


def test_an_obligation_has_a_handler() -> None:
    for wrong in ({"step-up": lambda _p, _g: None}, {"notification": 5}):
        with pytest.raises(CountersignError):
            Obligations(wrong)  # type: ignore[arg-type]


def test_an_emergency_obliges_whoever_says_so() -> None:
    response = {"decision": True, "context": {"obligations": [{"id": "b", "type": "break-glass"}]}}
    allow = read(response, frozenset(), 0.0)
    assert isinstance(allow, Allow)
    guard = permitted(allow, read_request(ORIGIN, "GET", b"/a", b"", []))
    assert Obligations({}).carry_out_now(guard)
    told: list[str] = []
    assert Obligations({"break-glass": lambda _properties, guard: told.append(guard.resource)}).carry_out_now(guard)
    assert told == ["payroll.example/a"]
