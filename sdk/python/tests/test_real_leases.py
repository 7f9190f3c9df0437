"""Leases and the watch against the real decision point."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import wait_for
from scene import ISS, SECRET, Pdp
from test_real import presented

from countersign import Allow, Client, CountersignError, Deny, Question


@pytest.fixture
def pdp(tmp_path: Path) -> Iterator[Pdp]:
    server = Pdp(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def client(pdp: Pdp) -> Iterator[Client]:
    with Client(pdp.url, pep=("payroll", SECRET), deadline=10.0, heartbeat=1.0) as made:
        yield made


def leased(client: Client, question: Question) -> Allow:
    """Ask until a watch lives, and then for a lease that it keeps."""
    client.ask(question)
    wait_for(lambda: client.is_watched, "watched")
    allowed = client.ask(question)
    assert isinstance(allowed, Allow)
    assert allowed.lease is not None
    assert allowed.consistency is not None
    assert client.evaluate(question) is allowed, "it is repeated"
    return allowed


def test_there_is_a_watch(pdp: Pdp) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{pdp.url}/countersign/v1/watch", timeout=20)
    refused.value.close()
    assert refused.value.code == 401, "strangers are told nothing"


def test_a_revocation_ends_a_lease(pdp: Pdp, client: Client) -> None:
    question = presented("/", pdp.issuer.token("alice"))
    allowed = leased(client, question)
    bob = presented("/", pdp.issuer.token("bob"))
    others = client.ask(bob)
    assert client.evaluate(bob) is others
    pdp.revoke("alice")
    began = time.monotonic()
    assert client.ended(allowed, timeout=20)
    assert time.monotonic() - began < 15
    refused = client.evaluate(question)
    assert isinstance(refused, Deny)
    assert refused.code == "revoked"
    assert client.evaluate(bob) is others, "another subject's lease goes on"


def test_leases_are_kept_while_the_watch_is_quiet(pdp: Pdp, client: Client) -> None:
    allowed = leased(client, presented("/", pdp.issuer.token("alice")))
    until = time.monotonic() + 3.2
    wait_for(lambda: time.monotonic() > until or not client.is_alive(allowed), "over")
    assert client.is_watched, "heartbeats are heard"
    assert client.is_alive(allowed)


def test_a_restart_ends_every_lease(pdp: Pdp, client: Client) -> None:
    question = presented("/", pdp.issuer.token("alice"))
    allowed = leased(client, question)
    pdp.restart()
    assert client.ended(allowed, timeout=40)
    wait_for(lambda: client.is_watched, "watched again", 40)
    leased(client, question)


def test_a_floor_of_freshness_is_accepted(pdp: Pdp, client: Client) -> None:
    question = Question(("user", "alice"), "read", ("record", "7"))
    answer = client.ask(question)
    assert isinstance(answer, Allow)
    assert answer.consistency is not None
    assert isinstance(client.evaluate(question.fresh(answer.consistency)), Allow)
    foreign = f"{'f' * 16}-{answer.consistency.split('-')[1]}"
    with pytest.raises(CountersignError):
        client.evaluate(question.fresh(foreign))


def test_a_revoked_subject_is_named_by_its_issuer(pdp: Pdp, client: Client) -> None:
    question = presented("/", pdp.issuer.token("carol"))
    allowed = leased(client, question)
    pdp.revoke("carol", iss=f"{ISS}/other")
    refreshed = client.ask(question)
    assert isinstance(refreshed, Allow)
    assert isinstance(allowed, Allow)
