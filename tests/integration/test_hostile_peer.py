"""A hostile peer writes any value: nothing crashes, hangs or is read out of bounds, and afterwards the link works.

In C: the real pumps under sanitizers, in a region with guard pages (tests/unit/c/hostile.c).  In Python: the
real Link and pumps in a shared memory window.
"""

from __future__ import annotations

import os
import random
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.c_build import ASAN, PUMP, build, must_pass, seed
from tests.unit.link_harness import Journal
from vnetcard.link.brake import Brake
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.link.link import Link
from vnetcard.link.types import LinkState, Offer
from vnetcard.port.memory_pair import PairPort
from vnetcard.ring import layout as L
from vnetcard.ring.counters import read_end
from vnetcard.window import Window, open_window

MUTATIONS = 35_000
CAMPAIGN = 1_000_000
SOURCES = ("hostile.c", "hostile_attack.c", "hostile_port.c", *PUMP)
WRAP = "-Wl,--wrap=readv,--wrap=writev"
ADAPTIVE, POLL, SLEEP = range(3)
PLAIN, VNET, VNET_PORT_ONLY = range(3)
MODES = {
    "plain": (PLAIN, ADAPTIVE, 0),
    "vnet and super-packets": (VNET, SLEEP, 0),
    "vnet port on a plain link, device memory": (VNET_PORT_ONLY, POLL, 1),
}


# --- the pumps in C ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("hostile"), *SOURCES, flags=(*ASAN, WRAP))


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_pumps_survive_a_hostile_peer(harness: Path, mode: tuple[int, int, int]) -> None:
    assert must_pass(harness, seed(), MUTATIONS, *mode).endswith("ok\n")


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("device", [0, 1], ids=["coherent", "device"])
@pytest.mark.parametrize("wait", [ADAPTIVE, POLL, SLEEP], ids=["adaptive", "poll", "sleep"])
@pytest.mark.parametrize("mode", [PLAIN, VNET, VNET_PORT_ONLY], ids=["plain", "vnet", "vnet port only"])
def test_pumps_survive_a_long_attack(harness: Path, mode: int, wait: int, device: int) -> None:
    assert must_pass(harness, seed(), CAMPAIGN, mode, wait, device, seconds=1800).endswith("ok\n")


# --- link and pumps in Python --------------------------------------------------------------------------

ATTACK_S = 4.0
RECOVERY_S = 10.0
PACKETS = 200


class Station:
    """One side with its pumps and its port, ticked by the test."""

    def __init__(self, window: Window, side: int) -> None:
        self.window, self.side = window, side
        self.port = PairPort(f"side{side}")
        self.port.far.setblocking(False)
        self.attention = os.eventfd(0, os.EFD_NONBLOCK)
        self.ends = PumpEndpoints(
            window.memory,
            window.geometry,
            side,
            self.port,
            attention_fd=self.attention,
            wait="adaptive",
            futex=window.futex_wake,
        )
        self.journal = Journal()
        self.link = Link(window.memory, side, self.ends, self.journal, Offer(0, 1500))
        self.link.start()

    def unaccounted(self) -> list[int]:
        out, back = L.DIRECTIONS[self.side], L.DIRECTIONS[1 - self.side]
        memory = self.window.memory
        return [read_end(memory, out, tx=True).unaccounted, read_end(memory, back, tx=False).unaccounted]

    def counted(self) -> dict[str, int]:
        out, back = L.DIRECTIONS[self.side], L.DIRECTIONS[1 - self.side]
        memory = self.window.memory
        return read_end(memory, back, tx=False).flat() | read_end(memory, out, tx=True).flat()

    def close(self) -> None:
        self.link.stop()
        self.ends.close()
        self.port.close()
        os.close(self.attention)
        self.window.close()


class NoBrake(Brake):
    """Lets the peer cause as many restarts as it can, so that the attack reaches more."""

    def holds(self, now: float, epoch: int, beat: int) -> bool:
        return False

    def left(self, now: float) -> float:
        return 0.0

    def may_raise(self, now: float) -> bool:
        return True

    def answered(self, now: float) -> bool:
        return False


class Attacker:
    """Writes into the words of the card's side block and lines, and into the ring that the card fills."""

    def __init__(self, window: Window, dice: random.Random) -> None:
        self.memory, self.dice = window.memory, dice
        self.ring = window.geometry.rings[0][1]
        base = L.queue_offset(0)
        self.h2c_prod, self.h2c_cons, self.c2h_prod, self.c2h_cons = (
            base + L.QUEUE_LINES[name] for name in ("h2c_prod", "h2c_cons", "c2h_prod", "c2h_cons")
        )
        self.block = L.side_offset(L.CARD)
        self.host = L.side_offset(L.HOST)

    def field(self, name: str) -> int:
        return self.block + L.SIDE_CONTROL.offset(name)

    def evil(self, good: int) -> int:
        size = self.ring.size
        near = [good + L.LINE, good - L.LINE, good + size, good + size + L.LINE, good + self.dice.randrange(64)]
        return self.dice.choice([0, 0xFFFF_FFFF, 1, *near, self.dice.randrange(2**32)]) % 2**32

    def greet(self) -> None:
        """Answer the host as a peer would, so that its pumps run and there is something to attack."""
        sane = {"version": L.VERSION, "mtu": 1500, "features": 0, "answered": self.memory.load32(self.host)}
        for name, value in sane.items():
            self.memory.store32(self.field(name), value)
        self.memory.store32(self.field("epoch"), self.dice.randrange(1, 2**32))
        self.memory.store32(self.h2c_cons, 0)
        self.memory.store32(self.c2h_prod, 0)

    def strike(self) -> None:
        store, load, dice = self.memory.store32, self.memory.load32, self.dice
        match dice.randrange(10):
            case 0:
                word = dice.choice([field.name for field in L.SIDE_CONTROL.fields])
                store(self.field(word), self.evil(load(self.field(word))))
            case 1:
                store(self.h2c_cons, self.evil(load(self.h2c_prod)))
            case 2:
                store(self.c2h_prod, self.evil(load(self.c2h_cons)))
            case 3:
                store(self.ring.offset + 4 * dice.randrange(64), self.evil(64))
            case 4:
                store(dice.choice([self.h2c_cons, self.c2h_prod]) + 4, self.evil(1))
            case 5:
                at = self.ring.offset + load(self.c2h_cons) % self.ring.size
                store(at, self.evil(64))
                store(self.c2h_prod, (load(self.c2h_cons) + L.LINE) % 2**32)
            case _:
                store(self.h2c_cons, load(self.h2c_prod))
                store(self.field("heartbeat"), dice.randrange(2**31))


@pytest.fixture
def stations() -> Iterator[tuple[Window, Window]]:
    name = f"shm:vnetcard-hostile-{os.getpid()}"
    host = open_window(f"{name}+64K", side=L.HOST)
    card = open_window(name, side=L.CARD)
    yield host, card
    card.close()
    host.close()


def tick_until(stations: list[Station], what: LinkState, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not all(station.link.state is what for station in stations):
        assert time.monotonic() < deadline, [(s.link.state, s.link.reason) for s in stations]
        for station in stations:
            station.link.tick()
        time.sleep(0.002)


def attack(host: Station, attacker: Attacker, dice: random.Random, seconds: float) -> float:
    """Strike for ``seconds`` while packets stream in; how long the slowest tick of the link took."""
    slowest, until = 0.0, time.monotonic() + seconds
    while time.monotonic() < until:
        if dice.randrange(20) == 0:
            attacker.greet()
        for _ in range(dice.randrange(5)):
            attacker.strike()
        if select.select([], [host.port.far], [], 0)[1]:
            host.port.far.send(bytes([0x45]) * dice.randrange(1, 1600))
        before = time.monotonic()
        host.link.tick()
        slowest = max(slowest, time.monotonic() - before)
    return slowest


def cross(sender: Station, receiver: Station, count: int) -> None:
    for n in range(count):
        packet = bytes([0x45, n % 256]) * (10 + n)
        sender.port.far.send(packet)
        ready = select.select([receiver.port.far], [], [], 2.0)[0]
        assert ready, f"packet {n} did not arrive"
        assert receiver.port.far.recv(65536) == packet
        sender.link.tick()
        receiver.link.tick()


@pytest.mark.slow
def test_link_and_pumps_survive_a_hostile_peer_and_serve_an_honest_one(stations: tuple[Window, Window]) -> None:
    dice = random.Random(seed())
    host = Station(stations[0], L.HOST)
    attacker = Attacker(stations[1], dice)
    host.link._brake = NoBrake()
    slowest = attack(host, attacker, dice, ATTACK_S)
    host.link._brake = Brake()
    assert slowest < 1.0
    counters = host.link.own.counters()
    print(counters, host.counted())
    assert counters["link_up"] > 10 and counters["own_restart"] > 10
    assert host.counted()["viol_prod"] and host.counted()["viol_len"]

    while select.select([host.port.far], [], [], 0.05)[0]:  # what the attacker got through
        host.port.far.recv(65536)
    card = Station(stations[1], L.CARD)
    tick_until([host, card], LinkState.RUN, RECOVERY_S)
    while any(select.select([s.port.far for s in (host, card)], [], [], 0.2)[0]):  # what was on its way
        for station in (host, card):
            if select.select([station.port.far], [], [], 0)[0]:
                station.port.far.recv(65536)
    cross(host, card, PACKETS)
    cross(card, host, PACKETS)
    assert host.unaccounted() == card.unaccounted() == [0, 0]
    for station in (card, host):
        station.close()
