"""What a response means, and what is none."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest
from fake import allow, deny, lease, step_up

from countersign import Allow, CountersignError, Deny, ErrorKind, Obligation, StepUp
from countersign import _answer as answer
from countersign import _json as strict

NOTIFY = {"id": "1", "type": "notification", "properties": {"to": "owner"}}
NONE: frozenset[str] = frozenset()


def test_only_a_clean_yes_is_an_allow() -> None:
    assert isinstance(answer.read(allow(), NONE, 0.0), Allow)
    assert answer.read({"decision": True}, NONE, 0.0).decision_id is None
    assert answer.read(deny("policy_denied"), NONE, 0.0) == Deny("node.1.2", "policy_denied")
    assert answer.read(deny("of_a_later_version"), NONE, 0.0) == Deny("node.1.2", "of_a_later_version")


@pytest.mark.parametrize(
    "response",
    [
        None,
        [],
        {},
        {"decision": 1},
        {"decision": "true"},
        {"decision": None},
        {"decision": True, "context": None},
        {"decision": True, "context": []},
        {"decision": True, "context": {"obligations": None}},
        {"decision": True, "context": {"obligations": {}}},
        {"decision": True, "context": {"obligations": [{"id": "1"}]}},
        {"decision": True, "context": {"obligations": [{"id": "1", "type": "a", "properties": []}]}},
        {"decision": True, "context": {"obligations": [{"id": "1", "type": "a", "more": 1}]}},
        {"decision": True, "context": {"id": 5}},
        {"decision": True, "context": {"id": ""}},
        {"decision": True, "context": {"id": "a\nb"}},
        {"decision": True, "context": {"consistency": "1-2"}},
        allow(lease={}),
        allow(lease=lease() | {"ttl_ms": -1}),
        allow(lease=lease() | {"ttl_ms": True}),
        allow(lease=lease() | {"ttl_ms": 1.5}),
        allow(lease=lease() | {"epoch": "7"}),
        allow(lease=lease() | {"epoch": "7-+1"}),
        allow(lease=lease() | {"epoch": f"7-{2**64}"}),
        allow(lease=lease() | {"risk_below": 101}),
        allow(lease=lease() | {"depends_on": ["A" * 32]}),
        allow(lease=lease() | {"depends_on": "a" * 32}),
        allow(lease=lease() | {"revision": ""}),
        step_up(step_up={"url": "javascript:alert(1)"}),
        step_up(step_up={"url": "/here"}),
        step_up(step_up={"url": "https://"}),
        step_up(step_up={"url": "https://a b"}),
        step_up(step_up={"url": "https://auth.example@evil.example/"}),
        step_up(step_up={"url": "https://a.example/\r\nSet-Cookie: a=b"}),
        step_up(step_up="https://a.example"),
    ],
)
def test_what_is_no_answer_is_an_error(response: object) -> None:
    with pytest.raises(CountersignError) as caught:
        answer.read(response, NONE, 0.0)
    assert caught.value.kind is ErrorKind.MALFORMED


def test_an_obligation_is_supported_or_the_answer_is_a_deny() -> None:
    response = allow(obligations=[NOTIFY])
    assert answer.read(response, NONE, 0.0) == Deny("node.1.1", None)
    allowed = answer.read(response, frozenset({"notification"}), 0.0)
    assert isinstance(allowed, Allow)
    assert allowed.obligations == (Obligation("1", "notification", {"to": "owner"}),)
    both = allow(obligations=[NOTIFY, {"id": "2", "type": "watermark"}])
    assert isinstance(answer.read(both, frozenset({"notification"}), 0.0), Deny)


def test_a_broken_glass_needs_no_support() -> None:
    allowed = answer.read(allow(obligations=[{"id": "b", "type": "break-glass"}]), NONE, 0.0)
    assert isinstance(allowed, Allow)
    assert allowed.glass_is_broken


def test_a_step_up_is_data() -> None:
    told = answer.read(step_up(step_up={"url": "https://auth.example/step-up?d=1"}), NONE, 0.0)
    assert told == StepUp("node.1.3", "phr", 300, "https://auth.example/step-up?d=1")
    # With an allow, it is nothing that could be carried out.
    assert isinstance(answer.read(step_up() | {"decision": True}, NONE, 0.0), Deny)
    two = step_up()
    two["context"]["obligations"].append(NOTIFY)
    assert isinstance(answer.read(two, NONE, 0.0), Deny)


@pytest.mark.parametrize("acr", [None, "", "a b", 'a"b', "a\\b", "a,b", "ä", "a" * 129])
def test_a_level_has_its_form(acr: object) -> None:
    response = step_up()
    response["context"]["obligations"][0]["properties"]["acr_value"] = acr
    with pytest.raises(CountersignError):
        answer.read(response, NONE, 0.0)


def test_nobody_makes_an_allow() -> None:
    with pytest.raises(TypeError):
        Allow("id", (), None, None)
    real = answer.read(allow(), NONE, 0.0)
    with pytest.raises(TypeError):
        pickle.dumps(real)
    with pytest.raises(TypeError):
        copy.copy(real)
    with pytest.raises(TypeError):
        dataclasses.replace(real, obligations=())  # type: ignore[type-var]


@pytest.mark.parametrize(
    "text",
    [
        b'{"decision":false,"decision":true}',
        b'{"context":{"a":1,"a":2},"decision":true}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b'{"\\ud800":1}',
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b"{} {}",
        b"",
        b"[" * 20 + b"]" * 20,
        b"[" * 30_000,
        b"[" + b"1," * 5_000 + b"1]",
        b"{'a':1}",
        b"[1,]",
        b" " * 70_000 + b"{}",
        b"9" * 5_000,
    ],
)
def test_json_is_strict(text: bytes) -> None:
    with pytest.raises(strict.NotStrictError):
        strict.read(text, most_bytes=64 * 1024, depth=16, values=4_000)


def test_json_is_read() -> None:
    text = '{"a":[1,2.5,"ü",null,true,{"b":{}}]}'.encode()
    assert strict.read(text, most_bytes=100, depth=16, values=100) == {"a": [1, 2.5, "ü", None, True, {"b": {}}]}
    assert strict.write({"b": 1, "a": 1.0}) == '{"a":1.0,"b":1}'
    for unwritable in ({1: 2}, {"a": float("nan")}, {"a": b""}, {"a": "\ud800"}):
        with pytest.raises(strict.NotStrictError):
            strict.write(unwritable)
