"""The client and the middlewares against the real decision point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scene import ORIGIN, SECRET, Pdp

from countersign import Allow, Client, CountersignError, Deny, ErrorKind, Question, StepUp
from countersign._enforce import Origin
from countersign._enforce import request as read_request


@pytest.fixture(scope="module")
def pdp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pdp]:
    server = Pdp(tmp_path_factory.mktemp("pdp"))
    yield server
    server.stop()


def make(pdp: Pdp, **options: Any) -> Client:
    return Client(pdp.url, **({"pep": ("payroll", SECRET), "deadline": 10.0, "lease": 0} | options))


def presented(path: str, token: str | None, *headers: tuple[bytes, bytes]) -> Question:
    shown = list(headers) if token is None else [(b"authorization", f"Bearer {token}".encode()), *headers]
    return read_request(Origin.of(ORIGIN), "GET", path.encode(), b"", shown).question([])


def test_allow_and_deny(pdp: Pdp) -> None:
    with make(pdp) as client:
        allowed = client.evaluate(Question(("user", "alice"), "read", ("record", "7")))
        assert isinstance(allowed, Allow)
        assert allowed.decision_id
        assert pdp.operate("GET", f"/decisions/{allowed.decision_id}")["record"]
        refused = client.evaluate(Question(("user", "alice"), "write", ("record", "7")))
        assert isinstance(refused, Deny)
        assert refused.code == "policy_denied"


def test_obligations(pdp: Pdp) -> None:
    question = Question(("user", "alice"), "print", ("record", "7"))
    with make(pdp) as client:
        # Without a word on what it supports, a caller is told all; it is the client that refuses.
        assert isinstance(client.evaluate(question), Deny)
        refused = client.evaluate(question.supporting("session_termination"))
        assert isinstance(refused, Deny)
        assert refused.code == "obligation_unsupported"
        allowed = client.evaluate(question.supporting("notification"))
        assert isinstance(allowed, Allow)
        assert [one.type for one in allowed.obligations] == ["notification"]


def test_tokens(pdp: Pdp) -> None:
    with make(pdp) as client:
        assert isinstance(client.evaluate(presented("/", pdp.issuer.token("alice"))), Allow)
        for token, code in ((None, "no_credentials"), ("x.y.z", "invalid_token"), (pdp.issuer.token("alice", exp=1), "expired_token")):
            refused = client.evaluate(presented("/", token))
            assert isinstance(refused, Deny)
            assert (refused.code, refused.is_unauthenticated) == (code, True)


def test_a_step_up_is_told(pdp: Pdp) -> None:
    with make(pdp) as client:
        refused = client.evaluate(presented("/payroll", pdp.issuer.token("alice")))
        assert isinstance(refused, Deny)
        assert refused.code == "not_enrolled"
        pdp.enroll("alice")
        answer = client.evaluate(presented("/payroll", pdp.issuer.token("alice")))
        assert isinstance(answer, StepUp), answer
        assert (answer.acr, answer.ceremony) == ("phr", None), "a client with a bearer token gets the challenge"
        cookie = (b"cookie", f"access_token={pdp.issuer.token('alice')}".encode())
        answer = client.evaluate(presented("/payroll", None, cookie, (b"sec-fetch-mode", b"navigate"), (b"accept", b"text/html")))
        assert isinstance(answer, StepUp), answer
        assert answer.ceremony is not None
        assert answer.ceremony.startswith(f"{ORIGIN}/.countersign/step-up?")


def test_what_is_revoked_is_refused(pdp: Pdp) -> None:
    question = presented("/", pdp.issuer.token("mallory"))
    with make(pdp) as client:
        assert isinstance(client.evaluate(question), Allow)
        pdp.revoke("mallory")
        refused = client.evaluate(question)
        assert isinstance(refused, Deny)
        assert refused.code == "revoked"


def test_many(pdp: Pdp) -> None:
    names = ["read", "write", "print"] * 50
    with make(pdp) as client:
        answers = client.evaluate_all([Question(("user", "alice"), name, ("record", str(at))) for at, name in enumerate(names)])
        assert [type(one) for one in answers] == [Allow, Deny, Deny] * 50
        mixed = client.evaluate_all([Question(("user", "a"), "read", ("r", "1")), Question(("user", "a"), "read", ("r", "1"), {"risk_score": 0})])
        assert isinstance(mixed[0], Allow)
        assert isinstance(mixed[1], CountersignError)
        assert mixed[1].kind is ErrorKind.REFUSED


def test_who_is_not_known_is_refused(pdp: Pdp) -> None:
    question = Question(("user", "alice"), "read", ("record", "7"))
    for options in ({"pep": ("payroll", "wrong")}, {"pep": ("other", SECRET)}, {"pep": None, "bearer": "wrong"}):
        with make(pdp, **options) as client, pytest.raises(CountersignError) as caught:
            client.evaluate(question)
        assert caught.value.kind is ErrorKind.REFUSED
    with make(pdp, pep=None, bearer=f"payroll:{SECRET}") as client:
        assert isinstance(client.evaluate(question), Allow)


def test_a_question_that_is_malformed_is_refused(pdp: Pdp) -> None:
    for question in (Question(("user", "a"), "read", ("r", "1"), {"risk_score": 0}), presented("/", "t", (b"user-agent", b"a" * 300_000))):
        with make(pdp) as client, pytest.raises(CountersignError) as caught:
            client.evaluate(question)
        assert caught.value.kind is ErrorKind.REFUSED


def test_slow_and_down(tmp_path: Path) -> None:
    question = Question(("user", "alice"), "read", ("record", "7"))
    pdp = Pdp(tmp_path)
    try:
        with make(pdp) as client, make(pdp, deadline=0.3) as hasty:
            assert isinstance(client.evaluate(question), Allow)
            pdp.stall()
            with pytest.raises(CountersignError) as caught:
                hasty.evaluate(question)
            assert caught.value.kind is ErrorKind.DEADLINE
            pdp.wake()
            assert isinstance(client.evaluate(question), Allow)
            pdp.stop()
            with pytest.raises(CountersignError) as caught:
                client.evaluate(question)
            assert caught.value.kind is ErrorKind.UNREACHABLE
            pdp.restart()
            assert isinstance(client.evaluate(question), Allow), "a connection that ended is replaced"
    finally:
        pdp.stop()
