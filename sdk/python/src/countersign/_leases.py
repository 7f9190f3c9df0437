"""The rules by which an allow may be repeated without asking. No thread, no network: time is a function, and what a watch tells is told here.

A lease counts from before the question was sent, on a clock that only runs forward.

- It is refused on arrival when the watch is of another life, or when something was told (or may have been missed) after its epoch that ends it.
- While no watch lives, it counts for the floor only; when the watch is lost, every lease shrinks to the floor from that moment.
- A watch that goes on lives when it has heard what it missed. Its greeting names the place where it goes on, not how far the stream is: a sign of
  life with nothing to tell says that this was all, and the epoch of a question that was asked later says how much it is.
- ``ended`` drops what rests on any of its names, ``policy`` what another revision allowed, ``reset``, a gap and another life everything.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ._answer import Allow, Epoch, Lease, consistency, held

UNLEASED = 5.0
"""How long, in seconds, an allow without a lease is relied on by whatever outlives its request."""

_PACE = 0.25
_KEPT_EVENTS = 4096
_KEPT_TAGS = 65_536
_SILENCE = 2.5
_EACH = 600


class Held:
    """A lease that is kept. It ends by time, or because it is ended."""

    __slots__ = ("allow", "asked_at", "expires", "key", "lease", "size", "what_ended")

    def __init__(self, key: str, lease: Lease, asked_at: float, expires: float) -> None:
        self.key = key
        self.lease = lease
        self.asked_at = asked_at
        self.expires = expires
        self.size = len(key) * 4 + len(lease.depends_on) * 100 + _EACH
        self.what_ended: str | None = None
        self.allow: Allow | None = None


@dataclass(frozen=True)
class _Told:
    seq: int
    tags: frozenset[str] = frozenset()
    revision: str | None = None

    def ends(self, lease: Lease) -> bool:
        if self.seq <= lease.epoch.seq:
            return False
        return bool(self.tags & lease.depends_on) or (self.revision is not None and self.revision != lease.revision)


class Leases:
    """Allows that may be repeated, bounded in number and in bytes."""

    def __init__(self, clock: Callable[[], float], *, floor: float, most: int, most_bytes: int, changed: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._own_floor = floor
        self._floor = floor
        self._most = most
        self._most_bytes = most_bytes
        self._changed = changed
        self._lock = threading.Lock()
        self._all: OrderedDict[str, Held] = OrderedDict()
        self._bytes = 0
        self._life: int | None = None
        self._position = 0
        self._known_from = 0
        self._caught_up_at: int | None = 0
        self._greeted_at = 0.0
        self._recent: deque[_Told] = deque()
        self._recent_tags = 0
        self._is_watched = False
        self._heard_at = 0.0
        self._heartbeat = 0.0

    # Asking and keeping.

    def find(self, key: str, at_least: str | None = None) -> Allow | None:
        """The allow that is kept for this very question, if it may still be repeated."""
        with self._lock:
            kept = self._all.get(key)
            if kept is None:
                return None
            now = self._clock()
            self._notice_silence(now)
            if now >= kept.expires:
                self._drop(kept, "time")
            if kept.what_ended is not None or kept.allow is None or not _is_fresh(kept.allow, at_least):
                return None
            self._all.move_to_end(key)
            return kept.allow

    def keep(self, key: str, allow: Allow, asked_at: float) -> Allow:
        """Keep an allow for its question, where its lease holds; the allow that the caller gets knows its lease."""
        lease = allow.lease
        if lease is None or allow.glass_is_broken:
            return allow
        with self._lock:
            now = self._clock()
            self._notice_silence(now)
            self._learn(lease, asked_at)
            expires = self._expiry(lease, asked_at)
            if self._is_ended(lease):
                over = Held(key, lease, asked_at, asked_at)
                over.what_ended = "told"
                return held(allow, over)
            if expires is None or now >= expires:
                return allow
            entry = Held(key, lease, asked_at, expires)
            if entry.size > self._most_bytes:
                return allow
            entry.allow = held(allow, entry)
            if key in self._all:
                self._drop(self._all[key], "replaced")
            self._all[key] = entry
            self._bytes += entry.size
            while len(self._all) > self._most or self._bytes > self._most_bytes:
                self._drop(next(iter(self._all.values())), "room")
            return entry.allow

    def _expiry(self, lease: Lease, asked_at: float) -> float | None:
        ttl = lease.ttl_ms / 1000
        if self._life is None:
            return asked_at + min(ttl, self._floor)
        is_other = lease.epoch.life != self._life
        if is_other or lease.epoch.seq < self._known_from or self._is_ended(lease):
            return None
        return asked_at + (ttl if self._is_live() else min(ttl, self._floor))

    def _is_ended(self, lease: Lease) -> bool:
        return lease.epoch.life == self._life and any(told.ends(lease) for told in self._recent)

    def remaining(self, allow: Allow) -> float:
        """For how many seconds an allow may be relied on, as far as is known now; 0 when it has ended."""
        with self._lock:
            now = self._clock()
            self._notice_silence(now)
            kept = allow._held
            if kept is None:
                return max(0.0, allow._asked_at + self._unkept(allow.lease) - now)
            return 0.0 if kept.what_ended is not None else max(0.0, kept.expires - now)

    def _unkept(self, lease: Lease | None) -> float:
        # Nobody tells of a lease that is not kept. Whoever asks again when it ends must not ask without pause.
        return UNLEASED if lease is None else max(_PACE, min(lease.ttl_ms / 1000, self._floor))

    # What a watch tells.

    @property
    def position(self) -> Epoch | None:
        """Where the watch goes on."""
        with self._lock:
            return None if self._life is None else Epoch(self._life, self._position)

    @property
    def is_watched(self) -> bool:
        """Whether a watch lives that has heard everything."""
        with self._lock:
            self._notice_silence(self._clock())
            return self._is_live()

    @property
    def is_listening(self) -> bool:
        """Whether something was heard lately."""
        with self._lock:
            self._notice_silence(self._clock())
            return self._is_watched

    def hello(self, epoch: Epoch, *, heartbeat: float, floor: float) -> None:
        """Take the first event of a watch: what follows is everything after it, or after where it was left."""
        with self._lock:
            goes_on = self._life == epoch.life and epoch.seq >= self._position
            # At the very place where it was left, nothing says how much was told meanwhile.
            is_unknown = goes_on and epoch.seq == self._position
            if not goes_on:
                # Where nobody listened before, what was allowed since this position has missed nothing.
                is_first = self._life is None
                for kept in list(self._all.values()):
                    if not is_first or kept.lease.epoch.life != epoch.life or kept.lease.epoch.seq < epoch.seq:
                        self._drop(kept, "another life")
                self._life, self._position, self._known_from = epoch.life, epoch.seq, epoch.seq
                self._forget()
            self._caught_up_at = None if is_unknown else epoch.seq
            self._greeted_at = self._clock()
            self._heartbeat, self._floor = heartbeat, min(floor, self._own_floor)
            self._is_watched, self._heard_at = True, self._clock()
            self._shrink_unless_live()
        self._changed()

    def ended(self, epoch: Epoch, tags: frozenset[str]) -> None:
        """Drop what rests on any of these."""
        self._told(epoch, _Told(epoch.seq, tags=tags))

    def policy(self, epoch: Epoch, revision: str) -> None:
        """Drop what another revision allowed."""
        self._told(epoch, _Told(epoch.seq, revision=revision))

    def reset(self, epoch: Epoch | None) -> None:
        """Drop everything: more happened, or was missed, than can be told."""
        with self._lock:
            self._drop_all("reset")
            if epoch is not None and epoch.life == self._life:
                self._position = max(self._position, epoch.seq)
            self._position = max(self._position, self._caught_up_at or 0)
            self._known_from = self._position
            self._forget()
            self._heard_at = self._clock()
        self._changed()

    def heard(self) -> None:
        """Note that the watch lives, and that there is nothing to tell."""
        with self._lock:
            now = self._clock()
            self._notice_silence(now)
            if self._is_watched:
                self._heard_at = now
                if self._caught_up_at is None:
                    self._caught_up_at = self._position

    def lost(self) -> None:
        """Note that the watch is lost: from now on, the floor counts."""
        with self._lock:
            self._lose(self._clock())
        self._changed()

    def close(self) -> None:
        """Drop everything."""
        with self._lock:
            self._is_watched = False
            self._drop_all("closed")
        self._changed()

    def _told(self, epoch: Epoch, told: _Told) -> None:
        with self._lock:
            now = self._clock()
            self._notice_silence(now)
            self._heard_at = now
            if epoch.life != self._life or epoch.seq > self._position + 1:
                # What is between was missed.
                self._drop_all("missed")
                self._life, self._known_from = epoch.life, epoch.seq
                self._forget()
                self._position = epoch.seq
            else:
                self._remember(told)
                self._position = max(self._position, epoch.seq)
                for kept in [kept for kept in self._all.values() if told.ends(kept.lease)]:
                    self._drop(kept, "told")
        self._changed()

    def _remember(self, told: _Told) -> None:
        self._recent.append(told)
        self._recent_tags += len(told.tags)
        while len(self._recent) > _KEPT_EVENTS or self._recent_tags > _KEPT_TAGS:
            forgotten = self._recent.popleft()
            self._recent_tags -= len(forgotten.tags)
            self._known_from = max(self._known_from, forgotten.seq)

    def _forget(self) -> None:
        self._recent.clear()
        self._recent_tags = 0

    def _learn(self, lease: Lease, asked_at: float) -> None:
        """Take from a question that was asked after the greeting how far the stream was: all of it that is not here yet is on its way."""
        is_of_this = self._is_watched and self._caught_up_at is None and lease.epoch.life == self._life
        if is_of_this and asked_at > self._greeted_at:
            self._caught_up_at = lease.epoch.seq

    def _is_live(self) -> bool:
        return self._is_watched and self._caught_up_at is not None and self._position >= self._caught_up_at

    def _notice_silence(self, now: float) -> None:
        until = self._heard_at + _SILENCE * self._heartbeat
        if self._is_watched and now > until:
            self._lose(until)

    def _lose(self, at: float) -> None:
        self._is_watched = False
        self._shrink(at)

    def _shrink_unless_live(self) -> None:
        if not self._is_live():
            self._shrink(self._clock())

    def _shrink(self, at: float) -> None:
        for kept in self._all.values():
            kept.expires = min(kept.expires, at + self._floor)

    def _drop_all(self, why: str) -> None:
        for kept in list(self._all.values()):
            self._drop(kept, why)

    def _drop(self, kept: Held, why: str) -> None:
        kept.what_ended = why
        if self._all.get(kept.key) is kept:
            del self._all[kept.key]
            self._bytes -= kept.size

    def __len__(self) -> int:
        with self._lock:
            return len(self._all)

    def keys(self) -> Iterable[str]:
        """The questions that allows are kept for."""
        with self._lock:
            return list(self._all)


def _is_fresh(allow: Allow, at_least: str | None) -> bool:
    if at_least is None:
        return True
    if allow.consistency is None:
        return False
    (chain, seq), (wanted, floor) = consistency(allow.consistency), consistency(at_least)
    return chain == wanted and seq >= floor
