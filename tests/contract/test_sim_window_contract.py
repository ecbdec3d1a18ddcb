"""A window of a simulation keeps the promises of any window, and its memory belongs to one side alone."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.harness.soft_sim import SoftSimulation, soft_simulation
from vnetcard import testing as checks
from vnetcard.engine import registers as R
from vnetcard.errors import ConfigError, LayoutMismatch, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.window import Window, open_window, read_window, sim_bus

NAME = f"vnc-contract-{os.getpid()}"


@pytest.fixture
def simulation() -> Iterator[SoftSimulation]:
    with soft_simulation() as simulation:
        yield simulation


def opened(simulation: SoftSimulation, side: int, queue_bytes: int | None = None) -> contextlib.closing[Window]:
    return contextlib.closing(open_window(f"sim:{simulation.name}", side=side, queue_bytes=queue_bytes))


@pytest.mark.parametrize(
    "check",
    [
        checks.side_belongs_to_one_opener,
        checks.refused_opener_harms_nothing,
        checks.url_is_canonical,
        checks.live_window_has_not_vanished,
    ],
    ids=lambda check: check.__name__,
)
def test_window_keeps_the_promises_of_any_window(
    simulation: SoftSimulation, check: Callable[[checks.OpenWindow], None]
) -> None:
    check(lambda side: open_window(f"sim:{simulation.name}", side=side))


def test_each_side_has_a_memory_of_its_own(simulation: SoftSimulation) -> None:
    with opened(simulation, L.HOST) as host, opened(simulation, L.CARD) as card:
        assert host.geometry.rings == card.geometry.rings
        host.memory.store32(L.side_offset(L.HOST), 77)
        assert card.memory.load32(L.side_offset(L.HOST)) == 0
        copies = [read_window(f"sim:{simulation.name}.{side}", 2048) for side in L.SIDES]
        at = L.side_offset(L.HOST)
        assert [copy[at] for copy in copies] == [77, 0]


def test_closed_window_leaves_the_memory_to_the_simulator(simulation: SoftSimulation) -> None:
    with opened(simulation, L.HOST) as window:
        instance = window.geometry.instance
    with opened(simulation, L.HOST) as window:
        assert (window.geometry.instance, window.notes) == (instance, ()), "a restart continues its counters"


def test_other_rings_than_the_owners_before_are_replaced_and_reported(simulation: SoftSimulation) -> None:
    with opened(simulation, L.HOST, 65536) as window:
        assert window.geometry.ring_bytes == 65536
    with opened(simulation, L.CARD), opened(simulation, L.HOST) as window:
        assert window.geometry.ring_bytes > 65536, "the request of an earlier owner is still in effect"
        assert "replaced" in " ".join(window.notes)


def test_damaged_memory_is_replaced_and_reported(simulation: SoftSimulation) -> None:
    with opened(simulation, L.HOST) as window:
        window.memory.store32(L.SUPERBLOCK.offset("instance"), 0)
    with opened(simulation, L.HOST) as window:
        assert "damaged" in " ".join(window.notes)


def test_bus_of_another_version_is_refused_naming_both(simulation: SoftSimulation) -> None:
    simulation.bus.store32(sim_bus.HEADER["version"], 9)
    with pytest.raises(LayoutMismatch, match=rf"version 9, this software's is {sim_bus.VERSION}"):
        opened(simulation, L.HOST)


def test_bus_without_a_simulator_is_no_simulation(simulation: SoftSimulation) -> None:
    simulation.bus.store64(sim_bus.HEADER["magic"], 0)
    with pytest.raises(WindowUnavailable, match="just starting"):
        opened(simulation, L.HOST)
    simulation.bus.store64(sim_bus.HEADER["magic"], 0x1234)
    with pytest.raises(WindowUnavailable, match="is no simulation's bus"):
        opened(simulation, L.HOST)


@pytest.mark.parametrize("side", [L.HOST, L.CARD], ids=L.SIDES)
def test_engine_gets_the_address_of_this_sides_memory_and_its_doorbells_count(
    simulation: SoftSimulation, side: int
) -> None:
    with opened(simulation, side) as window:
        engine = window.engine
        assert engine is not None
        engine.attach()
        base = simulation.bus.load64(sim_bus.HEADER[f"base_{L.SIDES[side]}"])
        page = simulation.engine.pages[side]
        assert (page["window_base_hi"], page["window_base_lo"]) == (base >> 32, base & 0xFFFF_FFFF)
        simulation.paused.set()
        for doorbell, register in zip(engine.doorbells(), ("tx_prod", "rx_cons"), strict=True):
            doorbell(0x80)
            doorbell(0x80)
            at = sim_bus.SIDE_OFFSET + side * sim_bus.SIDE_BYTES + R.offset(register)
            assert simulation.bus.load32(at + sim_bus.REGS) == 0x80
            assert simulation.bus.load32(at + sim_bus.RUNG) == 2, "a value that is written twice counts twice"
        del doorbell
        simulation.paused.clear()


def test_request_of_a_killed_predecessor_is_carried_out_before_the_next_one(simulation: SoftSimulation) -> None:
    box = {name: sim_bus.SIDE_OFFSET + at for name, at in sim_bus.MAILBOX.items()}
    tx_start = R.offset("tx_start")
    with opened(simulation, L.HOST) as window:
        engine = window.engine
        assert engine is not None
        simulation.paused.set()
        for name, word in (("op", sim_bus.OPS["WRITE"]), ("offset", tx_start), ("value", 0x40)):
            simulation.bus.store32(box[name], word)
        simulation.bus.store32(box["request"], simulation.bus.load32(box["request"]) + 1)
        asker = threading.Thread(target=engine.statistics)
        asker.start()
        asker.join(0.3)
        assert asker.is_alive()
        simulation.paused.clear()
        asker.join()
        assert simulation.engine.read(L.HOST, tx_start) == 0x40


def test_removed_card_cannot_be_opened(simulation: SoftSimulation) -> None:
    with opened(simulation, L.HOST) as window:
        simulation.pull_out()
        assert "was removed" in (window.vanished() or "")
        simulation.put_back()
        assert "put back" in (window.vanished() or ""), "its registers are not what they were"
    simulation.pull_out()
    with pytest.raises(WindowUnavailable, match="was removed"):
        opened(simulation, L.CARD)
    simulation.put_back()
    opened(simulation, L.CARD).__enter__().close()


def test_simulation_that_does_not_run_is_named_with_its_remedy() -> None:
    with pytest.raises(WindowUnavailable, match=f"no simulation {NAME} is running: start `vnetcard-sim {NAME}`"):
        open_window(f"sim:{NAME}", side=L.HOST)


@pytest.mark.parametrize("place", [".hidden", "a/b", "x" * 201])
def test_impossible_name_is_refused(place: str) -> None:
    with pytest.raises(ConfigError, match="a name has 1 to 200 bytes"):
        open_window(f"sim:{place}", side=L.HOST)


@pytest.mark.parametrize("place", [NAME, f"{NAME}.fpga", "host"], ids=["name", "name.fpga", "host"])
def test_reading_requires_the_side_of_the_memory(place: str) -> None:
    with pytest.raises(ConfigError, match=r"name sim:.*\.host or sim:.*\.card"):
        read_window(f"sim:{place}")
