"""The clients against a decision point that does what a test says: faults, races, several addresses, watches."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import wait_for
from fake import Fake, allow, answered, deny, lease, step_up

from countersign import Allow, AsyncClient, BreakerState, Client, CountersignError, Deny, ErrorKind, Question, StepUp
from countersign._breaker import Breaker

PEP = ("payroll", "a-secret")


def make(*servers: Fake | str, **options: Any) -> Client:
    urls = [server if isinstance(server, str) else server.url for server in servers]
    # A busy machine is slow now and then.
    return Client(urls, pep=PEP, **({"deadline": 10.0, "lease": 0} | options))


@pytest.fixture
def nobody() -> Iterator[str]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def kind_of(client: Client, question: Question) -> ErrorKind:
    with pytest.raises(CountersignError) as caught:
        client.evaluate(question)
    return caught.value.kind


def test_three_answers(fake: Fake, question: Question) -> None:
    answers = [allow(), deny("policy_denied"), step_up()]
    fake.answer = lambda _path, _asked: answers.pop(0)
    with make(fake) as client:
        assert isinstance(client.evaluate(question), Allow)
        assert client.evaluate(question) == Deny("node.1.2", "policy_denied")
        assert client.evaluate(question) == StepUp("node.1.3", "phr", 300, None)
    path, headers, body = fake.asked[0]
    assert (path, headers["x-countersign-pep"]) == ("/access/v1/evaluation", "payroll:a-secret")
    subject, resource = {"type": "user", "id": "alice"}, {"type": "record", "id": "7"}
    assert body == {"subject": subject, "action": {"name": "read"}, "resource": resource}


def test_what_is_wanted_is_said(fake: Fake, question: Question) -> None:
    floor = f"{'0' * 16}-9"
    with make(fake, lease=30.0) as client:
        client.evaluate(question.supporting("notification").fresh(floor))
    context = fake.questions[0]["context"]
    name = context["countersign"]["lease"].pop("watch")
    assert context == {"supported_obligations": ["notification"], "countersign": {"lease": {"ttl_ms": 30_000}, "at_least": floor}}
    wait_for(lambda: bool(fake.watched), "watched")
    path, headers = fake.watched[0]
    assert path == f"/countersign/v1/watch?watch={name}&heartbeat_ms=10000"
    assert (headers["x-countersign-pep"], headers["accept"]) == ("payroll:a-secret", "text/event-stream")


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (answered({}, 400), ErrorKind.REFUSED),
        (answered({}, 401), ErrorKind.REFUSED),
        (answered({}, 408), ErrorKind.UNAVAILABLE),
        (answered({}, 429), ErrorKind.UNAVAILABLE),
        (answered(allow(), 403), ErrorKind.REFUSED),
        (answered(allow(), 500), ErrorKind.UNAVAILABLE),
        (answered(allow(), 503), ErrorKind.UNAVAILABLE),
        (answered(allow(), 201), ErrorKind.MALFORMED),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", ErrorKind.MALFORMED),
        (answered(allow(), 200, "text/html"), ErrorKind.MALFORMED),
        (answered(b'{"decision":false,"decision":true}'), ErrorKind.MALFORMED),
        (answered(b'{"decision":true'), ErrorKind.MALFORMED),
        (answered({"decision": True, "context": {"a": "x" * 70_000}}), ErrorKind.MALFORMED),
        (b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", ErrorKind.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}", ErrorKind.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", ErrorKind.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", ErrorKind.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}", ErrorKind.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", ErrorKind.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", ErrorKind.MALFORMED),
        (b"HTTP/1.1 200 OK\r\n folded: 1\r\nContent-Length: 2\r\n\r\n{}", ErrorKind.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ErrorKind.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", ErrorKind.MALFORMED),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 9, ErrorKind.MALFORMED),
    ],
)
def test_anything_else_is_an_error(fake: Fake, question: Question, told: bytes, kind: ErrorKind) -> None:
    fake.answer = lambda _path, _asked: told
    with make(fake) as client:
        assert kind_of(client, question) is kind


def test_an_answer_in_chunks_is_read(fake: Fake, question: Question) -> None:
    head = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    fake.answer = lambda _path, _asked: head + b'4\r\n{"de\r\nd;x=y\r\ncision":true}\r\n0\r\n\r\n'
    with make(fake) as client:
        assert isinstance(client.evaluate(question), Allow)
        assert isinstance(client.evaluate(question), Allow), "on the same connection"


def test_what_is_said_without_a_question_is_no_answer(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: answered(deny("policy_denied")) + answered(allow())
    with make(fake) as client:
        assert isinstance(client.evaluate(question), Deny)
        assert isinstance(client.evaluate(question), Deny)


def test_a_deadline_is_over_everything(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: None
    with make(fake, deadline=0.2) as client:
        began = time.monotonic()
        assert kind_of(client, question) is ErrorKind.DEADLINE
        assert time.monotonic() - began < 5
    drip = iter(answered(allow()))
    fake.answer = lambda _path, _asked: bytes([next(drip)])
    with make(fake, deadline=0.2) as client:
        assert kind_of(client, question) is ErrorKind.DEADLINE


def test_nobody_there(nobody: str, question: Question) -> None:
    with make(nobody) as client:
        assert kind_of(client, question) is ErrorKind.UNREACHABLE


def test_an_answer_that_breaks_off(fake: Fake, question: Question) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            connection.recv(65_536)
            connection.sendall(answered(allow())[:-4])
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with make(f"http://127.0.0.1:{server.getsockname()[1]}") as client:
            assert kind_of(client, question) is ErrorKind.UNREACHABLE
        thread.join()


@pytest.mark.parametrize(
    "options",
    [
        {"addresses": "http://pdp.example"},
        {"addresses": "https://user:secret@pdp.example"},
        {"addresses": "https://pdp.example/path"},
        {"addresses": "https://pdp.example?query"},
        {"addresses": "ftp://127.0.0.1"},
        {"addresses": "https://pdp.example\r\nX: y"},
        {"addresses": "http://127.0.0.1@evil.example"},
        {"addresses": "http://127.0.0.1:99999"},
        {"addresses": []},
        {"addresses": ["http://127.0.0.1:1", "http://127.0.0.1:1"]},
        {"pep": None},
        {"pep": ("", "s")},
        {"pep": ("a:b", "s")},
        {"pep": ("a", "s\r\nX: y")},
        {"pep": ("a", "")},
        {"bearer": "both"},
        {"pep": None, "bearer": "a b"},
        {"deadline": 0},
        {"deadline": float("nan")},
        {"floor": -1},
        {"most_kept": 0},
    ],
)
def test_what_cannot_work_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(CountersignError) as caught:
        Client(**({"addresses": "http://127.0.0.1:1", "pep": PEP} | options))
    assert caught.value.kind is ErrorKind.CONFIGURATION
    assert "secret" not in str(caught.value) or options.get("pep") is None or "name or secret" in str(caught.value)


def test_secrets_are_not_shown() -> None:
    client = Client("http://127.0.0.1:1", pep=("payroll", "of-no-business"))
    assert "of-no-business" not in repr(client._settings)
    client.close()


def test_plain_http_is_for_loopback_unless_it_is_asked_for() -> None:
    for url in ("http://localhost:1", "http://127.9.9.9:1", "http://[::1]:1", "https://pdp.example"):
        Client(url, pep=PEP).close()
    Client("http://pdp.example", pep=PEP, dangerous_plain_http=True).close()


def test_a_question_is_fixed_when_it_is_made() -> None:
    context: dict[str, Any] = {"a": [1]}
    question = Question(("user", "alice"), "read", ("record", "7"), context)
    before = question.key
    context["a"].append(2)
    assert question.key == before
    assert '"a":[1]' in question.body({})
    one, other = (Question(("user", "a"), "read", ("record", "1"), {"n": n}) for n in (1, True))
    assert one != other
    assert one.key != one.supporting("x").key
    for wrong in ({"countersign": {}}, {"supported_obligations": []}, {"a": float("inf")}, {"a": {1: 2}}, {"a": object()}):
        with pytest.raises(CountersignError):
            Question(("user", "a"), "read", ("record", "1"), wrong)
    assert "alice" not in repr(question)


def test_the_next_address_is_asked_when_one_fails(fake: Fake, other: Fake, nobody: str, question: Question) -> None:
    fake.answer = lambda _path, _asked: answered({}, 503)
    with make(nobody, fake, other) as client:
        assert isinstance(client.evaluate(question), Allow)
        assert (len(fake.asked), len(other.asked)) == (1, 1)


def test_an_address_that_does_not_answer_leaves_time_for_the_next(fake: Fake, other: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: None
    with make(fake, other, deadline=4.0) as client:
        assert isinstance(client.evaluate(question), Allow)


def test_a_refused_question_is_asked_nowhere_else(fake: Fake, other: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: answered({}, 403)
    with make(fake, other) as client:
        for _ in range(10):
            assert kind_of(client, question) is ErrorKind.REFUSED
        assert not other.asked
        assert client.status[fake.url] is BreakerState.CLOSED


def test_an_address_that_fails_is_left_alone(fake: Fake, other: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: answered({}, 500)
    with make(fake, other) as client:
        for _ in range(5):
            assert isinstance(client.evaluate(question), Allow)
        assert client.status == {fake.url: BreakerState.OPEN, other.url: BreakerState.CLOSED}
        before = len(fake.asked)
        assert isinstance(client.evaluate(question), Allow)
        assert len(fake.asked) == before
        fake.answer = lambda _path, _asked: allow()
        wait_for(lambda: client.status[fake.url] is BreakerState.HALF_OPEN, "half open")
        assert isinstance(client.evaluate(question), Allow)
        assert client.status[fake.url] is BreakerState.CLOSED


def test_a_floor_that_is_not_reached_is_no_failure_of_the_address(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: answered({}, 503)
    with make(fake) as client:
        for _ in range(8):
            assert kind_of(client, question.fresh(f"{'0' * 16}-9")) is ErrorKind.UNAVAILABLE
        assert client.status[fake.url] is BreakerState.CLOSED


def test_when_all_are_left_alone_there_is_no_answer(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: answered({}, 500)
    with make(fake) as client:
        kinds = {kind_of(client, question) for _ in range(8)}
        assert kinds == {ErrorKind.UNAVAILABLE}
        assert len(fake.asked) == 5


def test_a_breaker_closes_open_and_half_open() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0], lambda: 0.5)
    for _ in range(4):
        assert breaker.admits()
        breaker.failed()
    breaker.succeeded()
    for _ in range(5):
        assert breaker.admits()
        breaker.failed()
    assert not breaker.admits()
    now[0] = 1.01
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.admits()
    assert not breaker.admits(), "one probe at a time"
    breaker.abandoned()
    assert breaker.admits(), "the probe was given up"
    breaker.failed()
    assert breaker.state is BreakerState.OPEN
    now[0] = 2.9
    assert not breaker.admits(), "twice as long"
    now[0] = 3.1
    assert breaker.admits()
    breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    rate = Breaker(lambda: now[0], lambda: 0.5)
    for at in range(20):
        (rate.failed if at % 2 else rate.succeeded)()
    assert rate.state is BreakerState.OPEN


async def test_a_question_that_is_given_up_says_nothing_of_the_address(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: None
    async with AsyncClient(fake.url, pep=PEP, lease=0, deadline=30.0) as client:
        for _ in range(8):
            asked = len(fake.asked)
            asking = asyncio.ensure_future(client.evaluate(question))
            await asyncio.to_thread(wait_for, lambda asked=asked: len(fake.asked) > asked)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        assert client.status[fake.url] is BreakerState.CLOSED


def test_many_questions_have_their_answers_in_their_places(fake: Fake) -> None:
    def answer(path: str, asked: dict[str, Any]) -> dict[str, Any]:
        assert path == "/access/v1/evaluations"
        error = {"status": 400, "message": "no"}
        one = {"read": allow(), "write": deny("policy_denied"), "odd": {"decision": False, "context": {"error": error}}, "new": {"decision": "yes"}}
        return {"evaluations": [one[item["action"]["name"]] for item in asked["evaluations"]]}

    fake.answer = answer
    names = ["read", "write", "odd", "new", "read"]
    with make(fake) as client:
        told = client.evaluate_all([Question(("user", "a"), name, ("record", "1")) for name in names])
        kinds = [one.kind if isinstance(one, CountersignError) else type(one) for one in told]
        assert kinds == [Allow, Deny, ErrorKind.REFUSED, ErrorKind.MALFORMED, Allow]
        assert len(fake.asked) == 1
        many = [Question(("user", "a"), "read", ("record", str(number))) for number in range(250)]
        assert all(isinstance(one, Allow) for one in client.evaluate_all(many))
        assert [len(body["evaluations"]) for body in fake.questions[1:]] == [100, 100, 50]
        large = [Question(("user", "a"), "read", ("record", "1"), {"note": "x" * 100_000}) for _ in range(3)]
        assert all(isinstance(one, Allow) for one in client.evaluate_all(large))
        assert [len(body["evaluations"]) for body in fake.questions[4:]] == [1, 1, 1]
        assert client.evaluate_all([]) == []


def test_many_questions_that_fail_fail_each(fake: Fake, question: Question) -> None:
    with make(fake) as client:
        for told in ({"evaluations": [allow()]}, allow(), {"evaluations": [allow()] * 3}, answered({}, 503)):
            fake.answer = lambda _path, _asked, told=told: told  # type: ignore[misc]
            answers = client.evaluate_all([question, question])
            assert len(answers) == 2
            assert all(isinstance(one, CountersignError) for one in answers)


def watched(fake: Fake, client: Client, question: Question) -> None:
    """Ask until a watch lives, and forget what was kept by then."""
    client.ask(question)
    wait_for(lambda: client.is_watched, "watched")


def test_a_leased_allow_is_not_asked_for_again(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    with make(fake, lease=30.0) as client:
        watched(fake, client, question)
        first = client.ask(question)
        asked = len(fake.asked)
        assert client.evaluate(question) is client.evaluate(question)
        assert client.evaluate(question) is first
        assert client.evaluate_all([question, question])[1] is first
        assert len(fake.asked) == asked
        client.evaluate(question.supporting("notification"))
        assert len(fake.asked) == asked + 1, "another question"


@pytest.mark.parametrize(
    "event",
    [
        ("ended", {"reason": "revoked", "depends_on": ["a" * 32]}),
        ("policy", {"revision": "r2"}),
        ("reset", {}),
        ("something_new", {"of": "a later version"}),
    ],
)
def test_what_ends_it_ends_it(fake: Fake, question: Question, event: tuple[str, dict[str, Any]]) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    with make(fake, lease=30.0) as client:
        watched(fake, client, question)
        allowed = client.ask(question)
        assert isinstance(allowed, Allow)
        assert client.evaluate(question) is allowed
        fake.answer = lambda _path, _asked: deny("revoked")
        fake.tell(event[0], **event[1])
        assert client.ended(allowed, timeout=15)
        assert client.evaluate(question) == Deny("node.1.2", "revoked")


def test_an_ending_that_arrives_before_its_lease_ends_it(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    with make(fake, lease=30.0) as client:
        watched(fake, client, question)
        allowed = client.ask(question)
        assert isinstance(allowed, Allow)
        late = allow(lease=lease(fake.seq))
        fake.tell("ended", reason="revoked", depends_on=["a" * 32])
        assert client.ended(allowed, timeout=15)
        fake.answer = lambda _path, _asked: late
        asked = len(fake.asked)
        client.evaluate(question)
        client.evaluate(question)
        assert len(fake.asked) == asked + 2, "what was read before the ending is not kept"


def test_a_watch_goes_on_where_it_was_left(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    with make(fake, lease=30.0) as client:
        watched(fake, client, question)
        allowed = client.ask(question)
        assert isinstance(allowed, Allow)
        position = fake.seq
        fake.seq += 1
        missed = {"type": "ended", "reason": "revoked", "depends_on": ["a" * 32]}
        fake.greeting = lambda _headers: [("ended", f"{fake.life}-{fake.seq}", missed)]
        fake.cut()
        wait_for(lambda: len(fake.watched) == 2, "watched again")
        assert fake.watched[1][1]["last-event-id"] == f"{fake.life}-{position}"
        assert client.ended(allowed, timeout=15)
        wait_for(lambda: client.is_watched, "caught up")


def test_another_life_ends_everything(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq, life=fake.life))
    with make(fake, lease=30.0) as client:
        watched(fake, client, question)
        allowed = client.ask(question)
        assert isinstance(allowed, Allow)
        fake.life += 1
        fake.cut()
        assert client.ended(allowed, timeout=15)
        wait_for(lambda: client.is_watched, "watched")
        renewed = client.ask(question)
        assert client.evaluate(question) is renewed


def test_a_lost_watch_leaves_the_floor(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    fake.floor = 50
    with make(fake, lease=30.0) as client:
        watched(fake, client, question)
        allowed = client.ask(question)
        assert isinstance(allowed, Allow)
        fake.watch_status = 503
        fake.cut()
        assert client.ended(allowed, timeout=15)
        assert not client.is_watched


@pytest.mark.parametrize(
    "noise",
    [
        b"event: ended\ndata: {}\n\n",
        b'id: 7-1\nevent: ended\ndata: {"type":"ended","type":"policy"}\n\n',
        b'id: x\nevent: reset\ndata: {"type":"reset"}\n\n',
        b"data: \xff\n\n",
        b"data: " + b"x" * 70_000 + b"\n\n",
        b'id: 7-1\nevent: ended\ndata: {"type":"ended","depends_on":["A"]}\n\n',
    ],
)
def test_an_event_that_cannot_be_read_may_have_ended_anything(fake: Fake, question: Question, noise: bytes) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    with make(fake, lease=30.0) as client:
        watched(fake, client, question)
        allowed = client.ask(question)
        assert isinstance(allowed, Allow)
        fake.raw(noise)
        assert client.ended(allowed, timeout=15)
        wait_for(lambda: len(fake.watched) >= 2 and client.is_watched, "watched again")


def test_a_watch_goes_elsewhere_when_its_decision_point_ends(fake: Fake, other: Fake, question: Question) -> None:
    other.life = 99
    with make(fake, other, lease=30.0) as client:
        watched(fake, client, question)
        fake.tell("draining", number=False, within_ms=10)
        wait_for(lambda: bool(other.watched) and client.is_watched, "watched elsewhere")
        assert not other.watched[0][1].get("last-event-id", "").startswith("99-")


def test_a_proof_that_holds_once_is_never_kept(fake: Fake) -> None:
    for headers, is_once in [
        ([["authorization", "dpop t"]], True),
        ([["DPoP", "p"]], True),
        ([["a"]], True),
        ([["authorization", "Bearer t"]], False),
    ]:
        asked = Question(("token", "presented"), "GET", ("route", "a/b"), {"http": {"headers": headers}})
        assert asked.is_single_use is is_once, headers
    http = {"headers": [["Authorization", "DPoP t"], ["DPoP", "p"]]}
    once = Question(("token", "presented"), "GET", ("route", "a/b"), {"http": http})
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    with make(fake, lease=30.0) as client:
        watched(fake, client, once)
        client.evaluate(once)
        client.evaluate(once)
        assert len(fake.asked) == 3
        assert all("countersign" not in body["context"] for body in fake.questions)


def test_without_leases_nothing_is_watched(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    with make(fake, lease=0) as client:
        client.evaluate(question)
        client.evaluate(question)
        assert len(fake.asked) == 2
        assert not fake.watched
        assert "context" not in fake.questions[0]


def test_a_client_that_is_closed_answers_nothing(fake: Fake, question: Question) -> None:
    client = make(fake, lease=30.0)
    client.evaluate(question)
    before = threading.active_count()
    client.close()
    assert threading.active_count() == before - 1
    assert kind_of(client, question) is ErrorKind.CONFIGURATION
    client.close()


def test_threads_share_a_client(fake: Fake) -> None:
    answers: list[Any] = []
    with make(fake) as client:

        def ask(number: int) -> None:
            answers.append(client.evaluate(Question(("user", str(number)), "read", ("record", "1"))))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 20
    assert all(isinstance(answer, Allow) for answer in answers)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_is_forked_off_has_no_lease_of_its_parent(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    with make(fake, lease=30.0) as client:
        watched(fake, client, question)
        client.ask(question)
        asked = len(fake.asked)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                fresh = client._living()
                code = 0 if fresh.pid == os.getpid() and len(fresh.engine.leases) == 0 and isinstance(client.evaluate(question), Allow) else 2
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert len(fake.asked) == asked + 1


async def test_the_same_for_asyncio(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    async with AsyncClient(fake.url, pep=PEP, deadline=10.0) as client:
        await client.ask(question)
        await asyncio.to_thread(wait_for, lambda: client.is_watched)
        allowed = await client.ask(question)
        assert isinstance(allowed, Allow)
        assert await client.evaluate(question) is allowed
        ending = asyncio.ensure_future(client.ended(allowed))
        await asyncio.to_thread(fake.tell, "ended", reason="risk", depends_on=["a" * 32])
        await asyncio.wait_for(ending, 15)
        assert not client.is_alive(allowed)
        assert len(await client.evaluate_all([question])) == 1


def test_a_client_of_another_loop_is_refused(fake: Fake, question: Question) -> None:
    fake.answer = lambda _path, _asked: answered(allow()).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    client = AsyncClient(fake.url, pep=PEP, lease=0, deadline=10.0)
    assert isinstance(asyncio.run(client.evaluate(question)), Allow)
    with pytest.raises(CountersignError):
        asyncio.run(client.evaluate(question))
