"""The card is a computer: an ARM64 guest behind a PCI BAR.  This machine's agent uses the file behind the BAR."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.card_pings import assert_pings_cross
from tests.e2e.card_streams import stream, wait_for_load
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import OUTAGE, until
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.lab import AGENT, CardLab

pytestmark = [pytest.mark.e2e, pytest.mark.arm64, pytest.mark.root, pytest.mark.slow]

MIB = 1 << 20


@pytest.fixture(scope="module")
def lab(image: Image) -> Iterator[CardLab]:
    """Both agents, with their link up before and after each test.

    Tests that disturb nothing come first, as they allow no drop and no loss.
    """
    with CardLab(image, "e2e", log=sys.stderr) as lab:
        lab.lab.start(L.HOST, "--persist")
        lab.boot()
        lab.start_card()
        lab.wait_up()
        yield lab


def test_every_ping_of_every_size_is_answered_in_both_directions(lab: CardLab) -> None:
    assert_pings_cross(lab)
    assert "aarch64" in lab.running_guest().ready
    assert_ledgers_balance(lab.lab)


@pytest.mark.parametrize("sender", [L.HOST, L.CARD], ids=L.DIRECTIONS)
def test_a_stream_arrives_with_the_same_hash(lab: CardLab, sender: int) -> None:
    with stream(lab, sender, 32 * MIB) as running:
        running.assert_arrives()
    assert_ledgers_balance(lab.lab)


def test_card_shows_its_link(lab: CardLab) -> None:
    status = lab.running_guest().run("vnetcard", "status", "--window", "pci:auto")
    assert (status.status, status.stderr) == (0, "")
    # An emulated computer may stand still for a second: then the peer was dead for a moment, and is back.
    assert re.search(r"UP \(run: (both sides have answered|the peer is back)\)", status.stdout), status.stdout


CLOCK = "import time; time.clock_settime(time.CLOCK_REALTIME, time.time() + {})"
"""Steps the system's clock."""
HOURS_S = 5 * 3600


def epochs(lab: CardLab) -> list[int]:
    return [side["epoch"] for side in lab.lab.status(L.HOST)["sides"]]


@pytest.mark.campaign  # tests/integration/test_exhaustion.py steps the clocks of both sides
def test_clock_of_the_card_is_stepped_and_the_link_does_not_notice(lab: CardLab) -> None:
    guest, before = lab.running_guest(), epochs(lab)
    for step in (HOURS_S, -2 * HOURS_S, HOURS_S):
        assert guest.run("python3", "-c", CLOCK.format(step)).status == 0
        assert_pings_cross(lab, count=3, sizes=[56, 9000])
        status = json.loads(guest.run("vnetcard", "status", "--window", "pci:auto", "--json").stdout)
        assert 0 <= status["agents"][0]["link"]["since"] < HOURS_S
    assert epochs(lab) == before
    assert_ledgers_balance(lab.lab)


@pytest.mark.campaign
def test_card_whose_emulator_is_stopped_and_goes_on(lab: CardLab) -> None:
    before, pid = epochs(lab), lab.running_guest().pid
    os.kill(pid, signal.SIGSTOP)
    lab.lab.wait_for(L.HOST, "peer-dead")
    os.kill(pid, signal.SIGCONT)
    lab.wait_up()
    assert_pings_cross(lab, count=3, sizes=[56, 9000])
    assert epochs(lab) == before, "nothing was restarted"
    assert_ledgers_balance(lab.lab, allow=OUTAGE)


def stop_both(lab: CardLab) -> None:
    assert lab.agent is not None
    guest = lab.running_guest()
    guest.signal(lab.agent, signal.SIGTERM)
    assert guest.wait(lab.agent).status == 0
    assert lab.lab.stop(L.HOST) == 0


def doctor(lab: CardLab, *options: str) -> dict[str, Any]:
    """What the guest's doctor says of its BAR."""
    done = lab.running_guest().run("vnetcard", "doctor", "--window", "pci:auto", "--json", *options, limit=120)
    assert done.status == 0, done
    view: dict[str, Any] = json.loads(done.stdout)
    return view


def details(view: dict[str, Any], area: str) -> dict[str, str]:
    """Subject to detail, with the verdict before it."""
    return {one["subject"]: f"{one['verdict']}: {one['detail']}" for one in view["findings"] if one["area"] == area}


@pytest.mark.campaign
def test_doctor_measures_a_card_unless_it_is_in_use(lab: CardLab) -> None:
    before = epochs(lab)
    view = doctor(lab, "--no-measure")
    assert "in use by vnetcard-fpga" in details(view, "window")["pci:auto"]
    assert epochs(lab) == before
    stop_both(lab)
    lab.kill_guest()
    lab.boot()
    view = doctor(lab)
    seen = details(view, "pci")
    (card,) = [name for name, words in seen.items() if "1af4:1110 QEMU's ivshmem" in words]
    assert seen[f"{card} driver"] == "ok: none: pci: may use it"
    assert seen[f"{card} mapping"].startswith("ok: BAR2 8 MiB 64-bit prefetchable by resource2_wc")
    assert seen[f"{card} decoding"].startswith("warn: memory decoding is disabled")
    assert details(view, "window") == {"pci:auto": "ok: 8 MiB window, 1 queue pair, rings of 2 MiB"}
    figures = {row["name"]: row for row in view["stages"]}
    assert all(figures[f"window {access}"]["large_gbit"] > 0 for access in ("read", "write"))
    lab.lab.start(L.HOST, "--persist")
    lab.start_card()
    lab.wait_up()
    assert_ledgers_balance(lab.lab, allow=OUTAGE)


@pytest.mark.campaign  # test_card_vfio.py does it with interrupts, the next test with the host's agent killed, too
def test_card_that_loses_its_power_under_load_comes_back(lab: CardLab) -> None:
    with stream(lab, L.HOST, 1024 * MIB):
        wait_for_load(lab, L.HOST)
        lab.kill_guest()
        lab.lab.wait_for(L.HOST, "peer-dead")
    lab.boot()
    lab.start_card()
    lab.wait_up()
    assert_pings_cross(lab, count=3, sizes=[56, 9000])
    assert_ledgers_balance(lab.lab, allow=OUTAGE)


@pytest.mark.campaign
def test_contents_of_the_bar_of_a_dead_link_do_not_hurt_a_new_one(lab: CardLab) -> None:
    with stream(lab, L.CARD, 1024 * MIB):
        wait_for_load(lab, L.CARD)
        lab.kill_guest()
        lab.lab.stop(L.HOST, signal.SIGKILL)
    lab.lab.start(L.HOST, "--persist")
    assert lab.lab.status(L.HOST)["link"]["up"] is False
    lab.boot()
    lab.start_card()
    lab.wait_up()
    assert_pings_cross(lab, count=3, sizes=[56, 9000])
    assert_ledgers_balance(lab.lab, allow=OUTAGE)


@pytest.mark.campaign
def test_stream_survives_killed_agents_of_the_host(lab: CardLab) -> None:
    with stream(lab, L.CARD, 48 * MIB) as running:
        for _ in range(2):
            wait_for_load(lab, L.CARD)
            before = lab.lab.status(L.HOST)["link"]["epoch"]
            lab.lab.stop(L.HOST, signal.SIGKILL)
            lab.lab.start(L.HOST, "--persist")
            lab.lab.wait_up()
            assert lab.lab.status(L.HOST)["link"]["epoch"] != before
        running.assert_arrives()
    assert_ledgers_balance(lab.lab, allow=OUTAGE)


def test_killed_agent_of_the_card_comes_back(lab: CardLab) -> None:
    assert lab.agent is not None
    lab.running_guest().signal(lab.agent, signal.SIGKILL)
    until(lambda: not lab.lab.status(L.HOST)["link"]["up"], "the host sees it")
    lab.start_card()
    lab.wait_up()
    assert_pings_cross(lab, count=3, sizes=[56])
    assert_ledgers_balance(lab.lab, allow=OUTAGE)


@pytest.mark.campaign
def test_card_that_starts_first_waits_for_the_host(lab: CardLab) -> None:
    stop_both(lab)
    with lab.memory.open("r+b") as file:
        file.write(bytes(L.rings_offset(1)))  # as memory is after power-on
    guest = lab.running_guest()
    lab.agent = agent = guest.start(AGENT, "--window", "pci:auto")
    waiting = "waiting for the host's agent to lay the window out"
    until(lambda: guest.run("true").status == 0 and waiting in agent.err, "the card waits")
    lab.lab.start(L.HOST, "--persist")
    guest.wait_for_output(agent, " ready: ")
    lab.wait_up()
    assert_pings_cross(lab, count=3, sizes=[56])
    assert_ledgers_balance(lab.lab, allow=OUTAGE)
