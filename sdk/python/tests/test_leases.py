"""The rules of leases: each by itself, and all of them against a model under any order of events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fake import LIFE, allow, lease
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from countersign import Allow, Epoch
from countersign import _answer as answer
from countersign._leases import UNLEASED, Leases

A, B = "a" * 32, "b" * 32


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def leased(asked_at: float, *, consistency: str | None = None, **of: Any) -> Allow:
    more = {} if consistency is None else {"consistency": consistency}
    read = answer.read(allow(lease=lease(**of), **more), frozenset(), asked_at)
    assert isinstance(read, Allow)
    return read


def kept(*, watched: bool = True, floor: float = 2.0, most: int = 100) -> tuple[Clock, Leases]:
    clock = Clock()
    leases = Leases(clock, floor=floor, most=most, most_bytes=1_000_000)
    if watched:
        leases.hello(Epoch(LIFE, 10), heartbeat=10.0, floor=1.0)
    return clock, leases


def keep(leases: Leases, clock: Clock, key: str = "q", **of: Any) -> Allow:
    return leases.keep(key, leased(clock.now, **of), clock.now)


def test_a_lease_is_repeated_until_its_time_is_over() -> None:
    clock, leases = kept()
    allowed = keep(leases, clock, seq=10, ttl=20_000)
    for _ in range(4):
        clock.now += 4.9
        leases.heard()
        assert leases.find("q") is allowed
        assert leases.find("other") is None
    clock.now += 0.5
    assert leases.find("q") is None
    assert leases.remaining(allowed) == 0


def test_it_counts_from_before_the_question() -> None:
    clock, leases = kept()
    leases.keep("q", leased(clock.now - 29, seq=10), clock.now - 29)
    clock.now += 0.9
    assert leases.find("q")
    clock.now += 0.2
    assert leases.find("q") is None
    leases.keep("late", leased(clock.now - 31, seq=10), clock.now - 31)
    assert leases.find("late") is None


def test_without_a_watch_the_floor_counts() -> None:
    clock, leases = kept(watched=False)
    keep(leases, clock)
    clock.now += 1.9
    assert leases.find("q")
    clock.now += 0.2
    assert leases.find("q") is None


def test_what_was_told_after_its_epoch_ends_it_though_it_arrives_later() -> None:
    clock, leases = kept()
    leases.ended(Epoch(LIFE, 11), frozenset({A}))
    keep(leases, clock, seq=10)
    assert leases.find("q") is None
    keep(leases, clock, seq=11)
    assert leases.find("q"), "the facts were read after the event"
    keep(leases, clock, key="b", seq=10, tags=("b",))
    assert leases.find("b"), "another thing ended"
    leases.policy(Epoch(LIFE, 12), "r2")
    keep(leases, clock, key="c", seq=11, revision="r1", tags=("c",))
    assert leases.find("c") is None
    keep(leases, clock, key="c", seq=11, revision="r2", tags=("c",))
    assert leases.find("c")


def test_an_event_ends_what_rests_on_its_names() -> None:
    clock, leases = kept()
    first, second = keep(leases, clock, "1", seq=10), keep(leases, clock, "2", seq=10, tags=("b",))
    leases.ended(Epoch(LIFE, 11), frozenset({A}))
    assert leases.find("1") is None
    assert leases.find("2") is second
    assert leases.remaining(first) == 0
    leases.policy(Epoch(LIFE, 12), "r1")
    assert leases.find("2") is second
    leases.policy(Epoch(LIFE, 13), "r2")
    assert leases.find("2") is None


def test_what_may_have_been_missed_ends_everything() -> None:
    clock, leases = kept()
    keep(leases, clock, seq=9)
    assert leases.find("q") is None, "between 9 and 10 nobody listened"
    keep(leases, clock, seq=10)
    leases.ended(Epoch(LIFE, 12), frozenset({B}))
    assert leases.find("q") is None, "11 was missed"
    keep(leases, clock, seq=11)
    assert leases.find("q") is None
    keep(leases, clock, seq=12)
    assert leases.find("q")
    leases.reset(Epoch(LIFE, 20))
    assert leases.find("q") is None
    keep(leases, clock, seq=19)
    assert leases.find("q") is None
    keep(leases, clock, seq=20)
    assert leases.find("q")


def test_another_life_ends_everything() -> None:
    clock, leases = kept()
    keep(leases, clock, seq=10)
    keep(leases, clock, key="other", seq=10, life=8)
    assert leases.find("other") is None
    leases.hello(Epoch(8, 3), heartbeat=10.0, floor=1.0)
    assert leases.find("q") is None
    keep(leases, clock, seq=10)
    assert leases.find("q") is None
    keep(leases, clock, seq=3, life=8)
    assert leases.find("q")


def test_a_lost_watch_leaves_the_floor() -> None:
    clock, leases = kept()
    keep(leases, clock, seq=10)
    leases.lost()
    clock.now += 0.9
    assert leases.find("q")
    clock.now += 0.2
    assert leases.find("q") is None


def test_a_silent_watch_is_lost_when_it_should_have_spoken() -> None:
    clock, leases = kept()
    allowed = keep(leases, clock, seq=10)
    clock.now += 25.5
    assert leases.find("q") is allowed, "half a second into the floor"
    assert not leases.is_watched
    clock.now += 0.6
    assert leases.find("q") is None
    assert leases.remaining(allowed) == 0


def test_a_resumed_watch_lives_when_it_has_heard_what_it_missed() -> None:
    clock, leases = kept()
    leases.lost()
    leases.hello(Epoch(LIFE, 12), heartbeat=10.0, floor=1.0)
    assert not leases.is_watched
    keep(leases, clock, seq=12)
    leases.ended(Epoch(LIFE, 11), frozenset({B}))
    assert not leases.is_watched
    leases.ended(Epoch(LIFE, 12), frozenset({A}))
    assert leases.is_watched
    assert leases.find("q"), "it was allowed after 12"
    clock.now += 1.1
    assert leases.find("q") is None, "it came when nothing lived"


def test_a_watch_that_goes_on_where_it_was_does_not_live_before_it_says_that_nothing_was_missed() -> None:
    clock, leases = kept()
    leases.lost()
    leases.hello(Epoch(LIFE, 10), heartbeat=10.0, floor=1.0)
    assert not leases.is_watched, "what was missed may be right behind"
    keep(leases, clock, seq=10)
    leases.ended(Epoch(LIFE, 11), frozenset({B}))
    assert not leases.is_watched, "and more behind that"
    leases.heard()
    assert leases.is_watched
    clock.now += 1.1
    assert leases.find("q") is None, "it came when nothing lived"


def test_the_epoch_of_a_later_question_says_what_was_missed() -> None:
    clock, leases = kept()
    leases.lost()
    leases.hello(Epoch(LIFE, 10), heartbeat=10.0, floor=1.0)
    keep(leases, clock, "before", seq=10)
    assert not leases.is_watched, "it was not asked after the greeting"
    clock.now += 0.1
    keep(leases, clock, "after", seq=12)
    assert not leases.is_watched, "11 and 12 are on their way"
    leases.ended(Epoch(LIFE, 11), frozenset({B}))
    leases.ended(Epoch(LIFE, 12), frozenset({B}))
    assert leases.is_watched


def test_what_is_not_kept_is_not_relied_on_for_longer_than_its_lease() -> None:
    clock, leases = kept()
    for ttl, expected in [(30_000, 1.0), (500, 0.5), (1, 0.25)]:
        assert leases.remaining(keep(leases, clock, seq=10, life=8, ttl=ttl)) == expected
    leases.ended(Epoch(LIFE, 11), frozenset({A}))
    assert leases.remaining(keep(leases, clock, seq=10)) == 0, "it has ended"


def test_glass_that_is_broken_is_never_kept() -> None:
    clock, leases = kept()
    glass = allow(lease=lease(seq=10), obligations=[{"id": "b", "type": "break-glass"}])
    read = answer.read(glass, frozenset(), clock.now)
    assert isinstance(read, Allow)
    assert leases.keep("q", read, clock.now) is read
    assert leases.find("q") is None


def test_what_is_kept_is_bounded() -> None:
    clock, leases = kept(most=3)
    first = keep(leases, clock, "0", seq=10)
    for key in ("1", "2", "3"):
        keep(leases, clock, key, seq=10)
    assert sorted(leases.keys()) == ["1", "2", "3"]
    assert leases.remaining(first) == 0, "what is forgotten is not relied on"
    small = Leases(clock, floor=2.0, most=100, most_bytes=2_500)
    for key in range(10):
        keep(small, clock, str(key))
    assert len(small) == 3
    keep(small, clock, "x" * 5_000)
    assert small.find("x" * 5_000) is None


def test_events_are_remembered_within_bounds() -> None:
    clock, leases = kept()
    for seq in range(11, 11 + 5_000):
        leases.ended(Epoch(LIFE, seq), frozenset({B}))
    keep(leases, clock, seq=100)
    assert leases.find("q") is None, "what was told after 100 is not all known any more"
    keep(leases, clock, seq=5_000)
    assert leases.find("q")
    many = frozenset(f"{tag:032x}" for tag in range(1_000))
    for seq in range(5_011, 5_211):
        leases.ended(Epoch(LIFE, seq), many)
    keep(leases, clock, "many", seq=5_020)
    assert leases.find("many") is None, "their names are bounded as well"
    assert len(leases._recent) < 100


def test_a_floor_of_freshness_is_kept() -> None:
    clock, leases = kept()
    leases.keep("q", leased(clock.now, seq=10, consistency=f"{'0' * 15}1-5"), clock.now)
    assert leases.find("q", f"{'0' * 15}1-5")
    assert leases.find("q", f"{'0' * 15}1-6") is None
    assert leases.find("q", f"{'0' * 15}2-5") is None
    assert leases.find("q")
    keep(leases, clock, "none", seq=10)
    assert leases.find("none", f"{'0' * 15}1-5") is None


def test_without_a_lease_an_allow_is_relied_on_for_a_moment() -> None:
    clock, leases = kept()
    read = answer.read(allow(), frozenset(), clock.now)
    assert isinstance(read, Allow)
    assert leases.remaining(read) == UNLEASED
    clock.now += UNLEASED
    assert leases.remaining(read) == 0


TAGS = ["a", "b", "c"]


class Model(RuleBasedStateMachine):
    """Never an allow after what ended it was told, nor later than its time, nor later than the floor once nobody listens."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.leases = Leases(self.clock, floor=2.0, most=50, most_bytes=1_000_000)
        self.life, self.seq, self.revision = 1, 0, "r1"
        self.log: list[Callable[[answer.Lease], bool]] = []
        self.open: list[tuple[str, dict[str, Any], float]] = []
        self.forbidden: dict[str, float] = {}
        self.delivered = 0
        self.listening = False
        self.lost_at: float | None = self.clock.now
        self.number = 0

    # The server: its log is the truth of this life.

    @rule(tag=st.sampled_from(TAGS))
    def ends(self, tag: str) -> None:
        self.seq += 1
        name = tag * 32
        self.log.append(lambda lease, name=name: name in lease.depends_on)  # type: ignore[misc]
        self._deliver(lambda: self.leases.ended(Epoch(self.life, self.seq), frozenset({name})))

    @rule()
    def changes(self) -> None:
        self.seq += 1
        self.revision = f"r{self.seq}"
        revision = self.revision
        self.log.append(lambda lease, revision=revision: lease.revision != revision)  # type: ignore[misc]
        self._deliver(lambda: self.leases.policy(Epoch(self.life, self.seq), revision))

    @rule()
    def resets(self) -> None:
        self.seq += 1
        self.log.append(lambda _lease: True)
        self._deliver(lambda: self.leases.reset(Epoch(self.life, self.seq)))

    def _deliver(self, tell: Callable[[], None]) -> None:
        if self.listening:
            tell()
            self.delivered = self.seq

    @rule()
    def restarts(self) -> None:
        self._hang_up()
        self.life, self.seq, self.log, self.delivered = self.life + 1, 0, [], 0

    @rule()
    def loses(self) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        if self.listening:
            self.leases.lost()
            self.lost_at = self.clock.now
        self.listening = False

    @rule()
    def greets(self) -> None:
        if self.listening:
            return
        resumed = self.leases.position
        at = resumed.seq if resumed is not None and resumed.life == self.life else self.seq
        self.leases.hello(Epoch(self.life, at), heartbeat=1000.0, floor=1.0)
        self.listening, self.lost_at = True, None
        if resumed is not None and resumed.life == self.life:
            if self.seq > resumed.seq:
                self.leases.reset(Epoch(self.life, self.seq))
        elif resumed is not None:
            self.leases.reset(Epoch(self.life, self.seq))
        self.delivered = self.seq

    @rule()
    def beats(self) -> None:
        if self.listening:
            self.leases.heard()

    # The client: questions are answered late.

    @rule(tag=st.sampled_from(TAGS), ttl=st.sampled_from([500, 3_000, 60_000]))
    def asks(self, tag: str, ttl: int) -> None:
        self.number += 1
        of = {"seq": self.seq, "life": self.life, "revision": self.revision, "tags": (tag,), "ttl": ttl}
        self.open.append((str(self.number % 5), of, self.clock.now))

    @rule(at=st.integers(0, 20))
    def answers(self, at: int) -> None:
        if self.open:
            key, of, asked_at = self.open.pop(at % len(self.open))
            self.leases.keep(key, leased(asked_at, **of), asked_at)

    @rule(seconds=st.sampled_from([0.1, 0.6, 1.5, 30.0]))
    def waits(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def never_a_stale_yes(self) -> None:
        for key in [str(number) for number in range(5)]:
            found = self.leases.find(key)
            if found is None:
                continue
            lease = found.lease
            assert lease is not None
            now = self.clock.now
            assert now < found._asked_at + lease.ttl_ms / 1000
            if self.lost_at is not None:
                assert now < max(self.lost_at, found._asked_at) + 2.0
            if lease.epoch.life == self.life:
                later = self.log[lease.epoch.seq : self.delivered]
                assert not any(ends(lease) for ends in later), "an ending was delivered"
            else:
                assert not self.listening, "another life is watched"


Model.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestModel = Model.TestCase
