"""The live simulator, reached as an agent's driver reaches it: registers, doorbells, memories, interrupts."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim import cards as bus_cards
from tests.sim.cards import RING_BYTES, RING_OFFSET, Card, Pair, bring_up, opened, send, wait_until
from tests.sim.simulation import Simulation, cpu_share, objects, simulated
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.window import sim_bus

pytestmark = [pytest.mark.hdl, pytest.mark.slow]


@contextlib.contextmanager
def engine(*options: str) -> Iterator[tuple[Simulation, Pair]]:
    """A simulation whose engine runs in both directions."""
    with simulated(*options) as simulation, opened(simulation.name) as cards:
        bring_up(cards)
        yield simulation, cards


def test_the_registers_of_both_sides_answer() -> None:
    with engine() as (_, cards):
        for side, card in enumerate(cards):
            assert card.read("id") == R.ENGINE_ID
            assert card.read("caps") & 0xFFFF == 512
            assert card.read("caps") >> 24 == side
            card.write("tx_start", 0x1240)
            assert card.read("tx_start") == 0x1240


@pytest.mark.parametrize("sender", [L.HOST, L.CARD], ids=L.DIRECTIONS)
def test_ring_bytes_arrive_at_the_same_offsets(sender: int) -> None:
    chance = random.Random(sender)
    direction = L.DIRECTIONS[sender]
    with engine() as (_, cards):
        prod = 0
        neighbour = L.queue_offset(0) + L.QUEUE_LINES[f"{direction}_prod"] + 4
        cards[1 - sender].memory.store32(neighbour, 0x5A5A)
        for _ in range(60):  # several times around the ring
            data = chance.randbytes(L.LINE * chance.randint(1, 120))
            begun, prod = prod, send(cards, sender, prod, data)
            cards[1 - sender].ring("rx_cons", prod)
            wait_until("cons arrives", lambda: cards[sender].line(f"{direction}_cons") == prod)  # noqa: B023
            for at in range(0, len(data), L.LINE):
                place = RING_OFFSET[direction] + (begun + at) % RING_BYTES
                assert cards[1 - sender].memory.read(place, L.LINE) == data[at : at + L.LINE]
        assert prod > RING_BYTES
        assert cards[1 - sender].memory.load32(neighbour) == 0x5A5A, "an index is written with four strobes"


def test_doorbells_rung_as_fast_as_possible_all_count() -> None:
    """Both sides at once; whatever the simulator does at the moment, the last value rung arrives."""

    def hammer(cards: Pair, sender: int) -> None:
        chance = random.Random(sender)
        direction, prod = L.DIRECTIONS[sender], 0
        for _ in range(400):
            for _ in range(chance.randint(1, 30)):
                prod += L.LINE
                cards[sender].ring("tx_prod", prod)
            wait_until("the last one arrives", lambda: cards[1 - sender].line(f"{direction}_prod") == prod)  # noqa: B023
            cards[1 - sender].ring("rx_cons", prod)
            wait_until("and its cons", lambda: cards[sender].line(f"{direction}_cons") == prod)  # noqa: B023
            if chance.random() < 0.2:
                time.sleep(chance.random() * 0.002)  # it falls asleep about then
        done.append(sender)

    done: list[int] = []
    with engine() as (_, cards):
        threads = [threading.Thread(target=hammer, args=(cards, sender)) for sender in (L.HOST, L.CARD)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(done) == [L.HOST, L.CARD]
        assert all(card.read(f"{end}_cause") == 0 for card in cards for end in ("tx", "rx"))


def test_a_doorbell_is_carried_before_the_mailbox_access_that_follows_it() -> None:
    with engine() as (_, (host, _)):
        for value in range(1, 200):
            host.ring("side_doorbell", value)
            assert host.read("side_doorbell") == value


def test_a_sleeping_simulator_is_woken_by_a_doorbell() -> None:
    """By the wake-up, not by its own poll every 50 ms, which would hide a wake-up without effect."""
    rounds = 40
    with engine() as (simulation, cards):
        for n in range(rounds):
            wait_until("it sleeps", lambda: cards[0].bus.load32(sim_bus.HEADER["asleep"]) == 1)
            send(cards, L.HOST, n * L.LINE, bytes(L.LINE))
        assert simulation.stop()["woken"] >= rounds // 2


def test_an_idle_simulator_uses_next_to_no_processor_time() -> None:
    with engine() as (simulation, _):
        share = cpu_share(simulation.process.pid, seconds=2)
        assert share < 0.1, f"{share:.0%} of a processor"


def sleep_on(card: Card, name: str) -> tuple[threading.Thread, list[int]]:
    """A thread that sleeps, as a pump does, until a wake-up of index word ``name``; returns what its futex returned."""
    at = L.queue_offset(0) + L.QUEUE_LINES[name]
    result: list[int] = []
    seen = card.line(name)

    def sleeper() -> None:
        limit = (ctypes.c_long * 2)(20, 0)
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.syscall(bus_cards.SYS_FUTEX, ctypes.c_void_p(card.memory_at + at), 0, seen, limit, None, 0)
        result.append(0 if done == 0 else ctypes.get_errno())

    thread = threading.Thread(target=sleeper)
    thread.start()
    state = Path(f"/proc/self/task/{thread.native_id}/syscall")
    wait_until("the thread sleeps", lambda: state.read_text().startswith(f"{bus_cards.SYS_FUTEX} "))
    time.sleep(0.01)
    return thread, result


@pytest.mark.parametrize("sender", [L.HOST, L.CARD], ids=L.DIRECTIONS)
def test_interrupts_wake_the_pumps_that_sleep_on_an_index_word(sender: int) -> None:
    direction, receiver = L.DIRECTIONS[sender], 1 - sender
    with engine() as (_, cards):
        thread, result = sleep_on(cards[receiver], f"{direction}_prod")
        prod = send(cards, sender, 0, bytes(L.LINE))
        thread.join()
        assert result == [0], errno.errorcode.get(result[0])
        thread, result = sleep_on(cards[sender], f"{direction}_cons")
        cards[receiver].ring("rx_cons", prod)
        thread.join()
        assert result == [0], errno.errorcode.get(result[0])


def test_an_address_outside_the_memories_is_a_bus_error_and_counted() -> None:
    with simulated() as simulation, opened(simulation.name) as cards:
        for card in cards:
            card.configure(base=0x7000_0000_0000 if card.side == L.CARD else None)
        cards[0].ring("tx_prod", L.LINE)
        wait_until("something halts", lambda: halted(cards))
        assert simulation.stop()["sides"]["card"]["outside"] > 0


def halted(cards: Pair) -> bool:
    bits = sum(R.STATUS_BITS[name] for name in ("TX_HALT", "RX_HALT", "SIDE_HALT"))
    return any(card.read("status") & bits for card in cards)


@pytest.mark.parametrize(
    "what", ["host-read-slverr@40", "host-read-decerr@40", "card-write-slverr@40", "card-write-decerr@41"]
)
def test_injected_error_halts_the_direction_and_a_reset_restarts_it(what: str) -> None:
    with engine("--inject", what) as (simulation, cards):
        host, card = cards
        prod = 0
        while not (status := host.read("status")) & R.STATUS_BITS["TX_HALT"]:
            assert prod < 100 * L.LINE, "no error came"
            host.memory.write(RING_OFFSET["h2c"] + prod, b"\xee" * L.LINE)
            prod += L.LINE
            host.ring("tx_prod", prod)
            wait_until(
                "it arrives, or the direction halts",
                lambda: card.line("h2c_prod") == prod or host.read("status") & R.STATUS_BITS["TX_HALT"],  # noqa: B023
            )
        assert status & R.STATUS_BITS["RX_RUN"], "the other direction goes on"
        causes = {"read": ("READ", "WAKEUP_READ"), "write": ("WRITE", "PROD_WRITE")}[what.split("-")[1]]
        assert host.read("tx_cause") in [R.CAUSES[cause] for cause in causes]
        if host.read("tx_cause") in (R.CAUSES["READ"], R.CAUSES["WRITE"]):
            assert card.memory.read(RING_OFFSET["h2c"] + prod - L.LINE, L.LINE) == bytes(L.LINE), "it was not written"
        host.write("tx_start", 0)
        host.write("reset", R.RESET_BITS["TX"])
        wait_until("it runs again", lambda: host.read("status") & R.STATUS_BITS["TX_RUN"])
        card.memory.store32(L.queue_offset(0) + L.QUEUE_LINES["h2c_prod"], 0)
        assert send(cards, L.HOST, 0, bytes(L.LINE)) == L.LINE
        assert simulation.stop()["sides"][what.split("-", maxsplit=1)[0]]["errors"] == 1


def cycles_for(*options: str, lines: int) -> int:
    """Simulated cycles that a transfer from host to card takes, and little more."""
    with engine(*options) as (_, cards):
        began = cards[0].read("cycles_lo")
        send(cards, L.HOST, 0, bytes(L.LINE * lines))
        return cards[0].read("cycles_lo") - began


def settle(cards: Pair) -> None:
    """Return when the simulator sleeps, after it has moved everything: nothing more happens by itself."""
    for card in cards:
        card.read("status")  # answered after every doorbell of that side
    wait_until("it sleeps", lambda: cards[0].bus.load32(sim_bus.HEADER["asleep"]) == 1)


def test_hanging_burst_is_never_answered_and_is_gone_when_the_card_is_put_back() -> None:
    with engine("--inject", "card-write-hang@60") as (simulation, cards):
        host, card = cards
        prod = 0
        while card.line("h2c_prod") == host.line("h2c_cons") == prod:
            assert prod < 100 * L.LINE, "nothing hung"
            prod += L.LINE
            host.ring("tx_prod", prod)
            settle(cards)
            card.ring("rx_cons", card.line("h2c_prod"))
            settle(cards)
        for event in ("removed", "returned"):
            simulation.process.send_signal(signal.SIGUSR1)
            simulation.event(event)
        wait_until("it is back", lambda: host.read("id") == R.ENGINE_ID)
        bring_up(cards)
        assert send(cards, L.HOST, 0, bytes(L.LINE)) == L.LINE


def test_latency_of_the_hosts_bus_takes_simulated_time() -> None:
    assert cycles_for(lines=1) < 100_000
    assert cycles_for("--pcie-latency-ns", "1000000", lines=1) >= 250_000


def test_bandwidth_of_the_hosts_bus_takes_simulated_time() -> None:
    """32 KiB at 0.25 Gbit/s are 1.05 ms, or 262144 cycles."""
    assert cycles_for(lines=512) < 100_000
    assert cycles_for("--pcie-gbps", "0.25", lines=512) >= 262_144


def test_removed_card_reads_all_ones_and_comes_back_with_reset_registers() -> None:
    with engine() as (simulation, cards):
        host, card = cards
        instance = host.bus.load32(sim_bus.HEADER["instance"])
        simulation.process.send_signal(signal.SIGUSR1)
        simulation.event("removed")
        wait_until("it is gone", lambda: host.bus.load32(sim_bus.HEADER["removed"]) == 1)
        assert (host.read("id"), card.read("status")) == (0xFFFF_FFFF, 0xFFFF_FFFF)
        before = card.memory.read(0, 0x1000)
        host.ring("tx_prod", L.LINE)
        host.write("control", 1)
        assert card.memory.read(0, 0x1000) == before
        simulation.process.send_signal(signal.SIGUSR1)
        simulation.event("returned")
        wait_until("it is back", lambda: host.bus.load32(sim_bus.HEADER["removed"]) == 0)
        assert host.bus.load32(sim_bus.HEADER["instance"]) not in (0, instance)
        assert (host.read("id"), host.read("control"), host.read("tx_prod")) == (R.ENGINE_ID, 0, 0)
        bring_up(cards)
        assert send(cards, L.HOST, 0, bytes(L.LINE)) == L.LINE
        assert simulation.stop()["removals"] == 1


def test_card_is_removed_after_the_given_time() -> None:
    with simulated("--remove-after", "0.1") as simulation, opened(simulation.name) as (host, _):
        simulation.event("removed")
        wait_until("it is gone", lambda: host.read("id") == 0xFFFF_FFFF)


def test_a_killed_simulator_is_taken_over_with_its_memories() -> None:
    with engine() as (simulation, cards):
        host, card = cards
        send(cards, L.HOST, 0, b"kept" * 16)
        instance = host.bus.load32(sim_bus.HEADER["instance"])
        simulation.kill()
        assert len(objects(simulation.name)) == 3
        host.ring("tx_prod", 5 * L.LINE)  # no simulator runs
        with simulated(name=simulation.name):
            assert host.bus.load32(sim_bus.HEADER["instance"]) not in (0, instance), "the mapping is the same"
            assert card.memory.read(RING_OFFSET["h2c"], 64) == b"kept" * 16
            assert host.read("tx_prod") == 0, "a doorbell rung to its predecessor is forgotten"
            bring_up(cards)
            host.ring("tx_prod", L.LINE)
        assert host.bus.load32(sim_bus.HEADER["instance"]) == 0, "instance is 0 once it has ended"


def test_memories_of_another_size_are_created_again() -> None:
    with simulated("--memory", "1M") as simulation:
        simulation.kill()
        with simulated("--memory", "64K", name=simulation.name), opened(simulation.name) as (host, _):
            assert host.memory.size == 64 << 10
