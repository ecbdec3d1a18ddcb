"""A link at rest: what ends the sleep of ``Memory.watch``, how it beats, and how the peer's silence adds up."""

from __future__ import annotations

import mmap
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from vnetcard._core import Memory
from vnetcard.link.pulse import HEARTBEAT_LIMIT, Pulse
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SideBlock

LONG = 60.0
"""Seconds that no test waits unless it fails."""
OWN, PEER = L.side_offset(L.HOST), L.side_offset(L.CARD)


class Place:
    """Both side blocks in memory of this process, seen by the host's link at rest."""

    def __init__(self, *, device: bool) -> None:
        self.buffer = mmap.mmap(-1, 1 << 16)
        self.memory = Memory(self.buffer, device=device)
        self.own, self.peer = SideBlock(self.memory, L.HOST), SideBlock(self.memory, L.CARD)
        self.card = SideBlock(self.memory, L.CARD)

    def rest(
        self, seconds: float = LONG, *, fds: tuple[int, ...] = (), every: float = 0.005, limit: float = LONG
    ) -> tuple[int, float]:
        return self.own.rest(self.peer, self.peer.control(), fds, seconds, every=every, limit=limit)


@pytest.fixture(params=[False, True], ids=["coherent", "device"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    made = Place(device=request.param)
    yield made
    made.memory.close()
    made.buffer.close()


def ends_by(place: Place, act: Callable[[], None], *fds: int) -> None:
    """Rest without limit, and ``act`` as soon as it beats; AssertionError if that does not end it."""
    before = place.own.load("heartbeat")

    def wait() -> None:
        while place.own.load("heartbeat") == before:
            time.sleep(0.001)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    began = time.monotonic()
    try:
        place.rest(fds=fds)
    finally:
        thread.join()
    assert time.monotonic() - began < LONG


def test_it_ends_after_its_time_and_beats_meanwhile(place: Place) -> None:
    began = time.monotonic()
    place.rest(0.1)
    assert time.monotonic() - began >= 0.1
    beats = place.own.load("heartbeat")
    assert 2 <= beats <= 21  # at once, and then every 5 ms
    place.rest(0)
    assert place.own.load("heartbeat") == beats + 1
    place.own.beat()
    assert place.own.load("heartbeat") == beats + 2, "it continues from the same number"


@pytest.mark.parametrize(
    "word", [one.name for one in L.SIDE_CONTROL.fields if one.name != "heartbeat" and one.size == 4]
)
@pytest.mark.parametrize("side", ["own", "card"])
def test_any_other_word_ends_it(place: Place, side: str, word: str) -> None:
    ends_by(place, lambda: getattr(place, side).store(word, 0x1234))


def test_what_changed_before_it_began_ends_it(place: Place) -> None:
    seen = place.peer.control()
    place.card.store("epoch", 7)
    began = time.monotonic()
    place.own.rest(place.peer, seen, (), LONG, every=1.0, limit=LONG)
    assert time.monotonic() - began < LONG


def test_descriptor_ends_it(place: Place) -> None:
    read, write = os.pipe()
    try:
        ends_by(place, lambda: os.close(write), read)
    finally:
        os.close(read)


def test_readable_descriptor_ends_it_at_once(place: Place) -> None:
    event = os.eventfd(0)
    os.eventfd_write(event, 1)
    began = time.monotonic()
    place.rest(fds=(event,), every=LONG)
    os.close(event)
    assert time.monotonic() - began < LONG


def test_signal_ends_it(place: Place) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        ends_by(place, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


def test_peer_without_a_heartbeat_ends_it(place: Place) -> None:
    beat, still = place.rest(limit=0.05)
    assert beat == place.card.load("heartbeat") and 0.05 <= still < LONG


def test_heartbeats_of_the_peer_do_not_end_it(place: Place) -> None:
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.002):
            place.card.beat()

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        began = time.monotonic()
        beats, still = place.rest(0.3, limit=LONG)
    finally:
        over.set()
        thread.join()
    assert time.monotonic() - began >= 0.3 and beats > 0
    assert still < 0.3


def test_pause_of_this_process_is_not_the_peers_silence(place: Place) -> None:
    """A step counts 0.25 s at most: here one is asked to be a second long."""
    _, still = place.rest(1.0, every=LONG)
    assert still == pytest.approx(0.25, abs=0.01)


def test_bad_arguments_are_refused(place: Place) -> None:
    seen = bytes(L.LINE)
    watch = place.memory.watch
    for words in (
        (OWN, PEER, seen[1:], 0, (), 1.0, 1.0, 1.0),
        (OWN, PEER, seen, 0, (), -1.0, 1.0, 1.0),
        (OWN, PEER, seen, 0, (), float("nan"), 1.0, 1.0),
        (OWN, PEER, seen, 0, (), 1.0, 0.0, 1.0),
        (OWN, PEER, seen, 0, (), 1.0, 1.0, 4000.0),
        (OWN, PEER, seen, 0, (0,) * 9, 1.0, 1.0, 1.0),
        (OWN + 4, PEER, seen, 0, (), 1.0, 1.0, 1.0),
    ):
        with pytest.raises(ValueError):
            watch(*words)
    with pytest.raises(IndexError):
        watch(OWN, 1 << 20, seen, 0, (), 1.0, 1.0, 1.0)


# --- the peer's silence ------------------------------------------------------------------------------


def test_silence_adds_up_over_rests_and_ticks() -> None:
    pulse = Pulse()
    pulse.tick(10.0)
    pulse.accept(5)
    assert pulse.lively
    pulse.rested(10.4, 5, HEARTBEAT_LIMIT / 2)
    assert not pulse.lively and not pulse.dead
    for now in (10.5, 10.6, 10.7, 10.8, 10.9, 11.0):
        pulse.tick(now)
        assert not pulse.moved(5)
    assert pulse.dead


def test_heartbeat_within_the_rest_ends_the_silence() -> None:
    pulse = Pulse()
    pulse.tick(10.0)
    pulse.accept(5)
    pulse.rested(10.4, 5, 0.4)
    pulse.rested(11.0, 6, 0.1)
    assert pulse.lively
