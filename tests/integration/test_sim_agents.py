"""Real agents on both sides of an engine: ``sim:`` windows of a simulation in Python (``soft_sim.py``)."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.engine_restarts import KEEP, start_both, survive_kills
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.programs import VNETCARD, run
from tests.harness.restarts import OUTAGE, ping, ping_suite, start_fails, until
from tests.harness.soft_engine import EPOCHS
from tests.harness.soft_sim import SoftSimulation, new_name, soft_simulation
from tests.harness.traffic import pinging
from vnetcard.agent.control import socket_path
from vnetcard.lab.lab import ADDRESSES, Lab
from vnetcard.ring import layout as L
from vnetcard.window.sim_bus import memory_name

pytestmark = pytest.mark.root

RINGS = 0x1000
"""Where the h2c ring starts in a window."""
PROD = L.queue_offset(0) + L.QUEUE_LINES["h2c_prod"]


@pytest.fixture
def simulation() -> Iterator[SoftSimulation]:
    with soft_simulation() as simulation:
        yield simulation


@pytest.fixture
def lab(simulation: SoftSimulation) -> Iterator[Lab]:
    with Lab("sim", window=f"sim:{simulation.name}", log=sys.stderr) as lab:
        yield lab


def events(lab: Lab, side: int) -> dict[str, int]:
    """The link counters of ``side``."""
    counters: dict[str, int] = lab.status(side)["sides"][0]["link"]
    return counters


# --- the path of a packet -----------------------------------------------------------------------------------


def test_every_size_crosses_in_both_directions_and_the_ledgers_balance(lab: Lab) -> None:
    start_both(lab)
    ping_suite(lab)
    for view in assert_ledgers_balance(lab):
        engine = view["engine"]
        assert (engine["fault"], engine["side"], engine["data_width"]) == (None, "run", 64)
        for direction in (engine["tx"], engine["rx"]):
            row = next(row for row in view["balance"] if row["direction"] == direction["direction"])
            assert direction["state"] == "run"
            assert direction["publications"] <= row["sent"] and direction["bytes"] >= L.LINE * row["sent"]


def test_status_and_info_show_both_sides_and_the_engine(lab: Lab) -> None:
    start_both(lab)
    ping(lab, L.HOST)
    shown = run([*VNETCARD, "status", "--window", lab.url])
    assert shown.status == 0, shown.stderr
    assert "engine    64-bit engine, bursts of 64 beats, window of 1 MiB at 0x100000000; side block run" in shown.stdout
    assert shown.stdout.count("h2c       sent ") == 2, "each view has the ledgers of both agents"
    views = json.loads(run([*VNETCARD, "status", "--window", lab.url, "--json"]).stdout)["agents"]
    assert [[side["side"] for side in view["sides"]] for view in views] == [["host", "card"]] * 2
    for side, name in enumerate(L.SIDES):
        info = run([*VNETCARD, "info", f"{lab.url}.{name}", "--json"])
        assert info.status == 0, info.stdout
        (only,) = json.loads(info.stdout)["sides"]
        assert (only["side"], only["pid"]) == (name, lab.agent(side).pid)
    assert "name sim:" in run([*VNETCARD, "info", lab.url]).stderr


def test_one_agent_alone_shows_itself_and_waits(lab: Lab) -> None:
    lab.start(L.CARD)
    view = lab.wait_for(L.CARD, "waiting")
    assert [side["side"] for side in view["sides"]] == ["card"]
    assert view["balance"] == []


# --- disturbances ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tcp_survives_killed_agents(lab: Lab, tmp_path: Path) -> None:
    survive_kills(lab, tmp_path, ((L.HOST,), (L.CARD,), (L.HOST, L.CARD), (L.CARD, L.HOST), (L.HOST,), (L.CARD,)))


def test_stopped_agent_is_noticed_at_once_and_its_memory_is_not_touched(lab: Lab, simulation: SoftSimulation) -> None:
    start_both(lab)
    assert lab.stop(L.CARD) == 0
    view = lab.wait_for(L.HOST, "waiting")
    assert view["link"]["reason"] == "the peer has stopped"
    before = simulation.engine.memories[L.CARD].read(0, simulation.engine.memories[L.CARD].size)
    ping_out = run(["ip", "netns", "exec", lab.namespaces[L.HOST], "ping", "-c1", "-W1", ADDRESSES[L.CARD]])
    assert ping_out.status != 0
    assert simulation.engine.memories[L.CARD].read(0, simulation.engine.memories[L.CARD].size) == before
    lab.start(L.CARD)
    lab.wait_up()
    ping(lab, L.CARD)


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (("read", L.HOST, RINGS), "h2c halted: READ, a read failed at bus address 0x10000"),
        (
            ("write", L.CARD, PROD),
            "h2c halted: PROD_WRITE, the write of prod failed at bus address 0x200000800",
        ),
        (("write", L.CARD, L.side_offset(L.HOST) + EPOCHS), "the host's block halted: WRITE"),
    ],
    ids=["data", "index", "block"],
)
def test_halted_engine_is_named_counted_and_restarted(
    lab: Lab, simulation: SoftSimulation, breaks: tuple[str, int, int], said: str
) -> None:
    """It is restarted at growing intervals while the fault lasts, not in a busy loop."""
    start_both(lab)
    what, side, where = breaks
    end = where + (RINGS if where == RINGS else L.LINE)
    simulation.engine.broken = lambda kind, whose, at: (kind, whose) == (what, side) and where <= at < end
    with pinging(lab):  # a link without packets does not meet the fault again
        view = lab.wait_for(L.HOST, "halted")
        assert said in view["link"]["reason"]
        time.sleep(2)
    assert 1 <= events(lab, L.HOST)["engine_halt"] <= 8
    simulation.engine.broken = lambda *_: False
    lab.wait_up()
    ping(lab, L.HOST)
    assert_ledgers_balance(lab, allow=OUTAGE)


def test_removed_card_is_named_and_the_link_returns_with_it(lab: Lab, simulation: SoftSimulation) -> None:
    start_both(lab, *KEEP)
    ping(lab, L.HOST)
    for _ in range(2):
        simulation.pull_out()
        for side in (L.HOST, L.CARD):
            view = lab.wait_for(side, "gone")
            assert "was removed" in view["link"]["reason"]
        shown = run([*VNETCARD, "status", "--window", lab.url])
        assert shown.status == 1 and "DOWN (gone: the card of simulation" in shown.stdout
        simulation.put_back()
        lab.wait_up()
        ping(lab, L.CARD)
    assert_ledgers_balance(lab, allow=OUTAGE)


def test_agents_outlive_the_simulation_and_return_with_the_next_one() -> None:
    name = new_name()
    with Lab("sim", window=f"sim:{name}") as lab:
        with soft_simulation(name):
            start_both(lab, *KEEP)
        for side in (L.HOST, L.CARD):
            assert "has ended: start it again" in lab.wait_for(side, "gone")["link"]["reason"]
        with soft_simulation(name):
            lab.wait_up()
            ping(lab, L.HOST)
            assert [lab.stop(side) for side in (L.HOST, L.CARD)] == [0, 0]


def test_stalled_simulation_is_named_and_the_link_returns_with_it(lab: Lab, simulation: SoftSimulation) -> None:
    start_both(lab)
    simulation.paused.set()
    view = lab.wait_for(L.HOST, "gone")
    assert "has not answered within 2 s: is it stopped?" in view["link"]["reason"]
    simulation.paused.clear()
    lab.wait_up()
    ping(lab, L.HOST)


# --- bad input ---------------------------------------------------------------------------------------------


def test_no_simulation_is_one_line_and_status_2() -> None:
    with Lab("sim", window=f"sim:{new_name()}") as lab:
        status, said = start_fails(lab, L.HOST)
    assert status == 2
    assert said.count("\n") == 1 and "is running: start `vnetcard-sim " in said


def test_taken_side_names_the_process_that_has_it(lab: Lab) -> None:
    lab.start(L.HOST)
    status, said = start_fails(lab, L.HOST)
    assert status == 2
    assert said.count("\n") == 1 and f"is taken by process {lab.agent(L.HOST).pid}" in said


def test_simulator_chooses_the_size(simulation: SoftSimulation) -> None:
    with Lab("sim", window=f"sim:{simulation.name}+64K") as lab:
        status, said = start_fails(lab, L.HOST)
    assert status == 2
    assert said.count("\n") == 1 and "`vnetcard-sim --memory SIZE`" in said


def test_rings_of_two_sizes_are_explained_and_the_link_comes_up_once_they_agree(lab: Lab) -> None:
    lab.start(L.HOST)
    lab.start(L.CARD, "--queue-bytes", "64K")
    for side in (L.HOST, L.CARD):
        assert "give both agents the same --queue-bytes" in lab.wait_for(side, "halted")["link"]["reason"]
    lab.stop(L.CARD)
    lab.start(L.CARD)
    lab.wait_up()
    ping(lab, L.HOST)


def test_agents_leave_the_simulators_objects_and_nothing_of_their_own(lab: Lab, simulation: SoftSimulation) -> None:
    start_both(lab)
    for side, number in ((L.HOST, signal.SIGINT), (L.CARD, signal.SIGTERM)):
        assert lab.stop(side, number) == 0
        assert not socket_path(lab.url, side).exists()
        assert Path("/dev/shm", memory_name(simulation.name, side)).exists()
    until(lambda: not any(direction.state == "run" for direction in simulation.engine.directions), "the engine is off")
