"""The stock XDMA driver in a guest, over a stand-in of the core: the host's agent uses ``xdma:``.

Runs where ``VNETCARD_XDMA_KO`` names a module that was built for the guest's kernel (tests/README.md); the driver
itself is not part of this project.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.own_module import put_module
from tests.harness.fake_board import FakeBoard
from tests.harness.pings import run_pings
from tests.harness.restarts import until
from vnetcard.lab.lab import ADDRESSES, Lab
from vnetcard.ping.suite import DEFAULT_SIZES, Target
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.qemu import Command, Guest, shared_ram
from vnetcard.sim.guest.xdma_core import C2H, XdmaCore

pytestmark = [pytest.mark.e2e, pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(900)]

BASE, SIZE = 0x1000_0000, 1 << 20
WINDOW = f"xdma:0@{BASE:#x}+{SIZE}"
CARD = f"mem:{BASE:#x}+{SIZE}"
BIND = """
set -e
insmod $1 h2c_timeout=3 c2h_timeout=3
echo 1af4 1110 > /sys/bus/pci/drivers/xdma/new_id
until [ -e /dev/xdma0_c2h_0 ]; do sleep 0.05; done
"""


@dataclass
class Bench:
    """The guest with the driver, the core behind it, and a lab with the card's side."""

    guest: Guest
    core: XdmaCore
    lab: Lab
    agent: Command | None = None

    def start_host(self) -> None:
        self.agent = self.guest.start("vnetcard-x86", "--window", WINDOW)
        self.guest.wait_for_output(self.agent, " ready: ", limit=180)

    def assert_pings_cross(self, sizes: list[int], count: int) -> None:
        card = Target(ADDRESSES[L.HOST], netns=self.lab.namespaces[L.CARD], label="card to host")
        results = run_pings([card], count=count, sizes=sizes)
        assert all(result.ok for result in results), results
        words = ["--json", "--count", str(count), "--sizes", *map(str, sizes)]
        done = self.guest.run("vnetcard", "ping", ADDRESSES[L.CARD], *words, limit=len(sizes) * 60.0)
        assert done.status == 0, done


@pytest.fixture(scope="module")
def bench(host_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("xdma")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VNETCARD_SYSROOT", str(folder / "root"))
        memory = FakeBoard(folder / "root").physical(start=BASE, size=SIZE)
        ram = Path(f"/dev/shm/vnetcard-e2e-xdma-{os.getpid()}-ram")
        core = XdmaCore(folder, ram, memory, base=0)
        try:
            with (
                Lab("e2e-xdma", window=CARD, log=sys.stderr, sides=[L.CARD]) as lab,
                Guest(host_image, None, options=[*shared_ram(ram, 256), *core.device]) as guest,
            ):
                bound = guest.run("sh", "-c", BIND, "sh", put_module(guest, "VNETCARD_XDMA_KO"), limit=120)
                assert bound.status == 0, f"{bound}\n{guest.console()}"
                yield Bench(guest, core, lab)
        finally:
            core.close()
            ram.unlink(missing_ok=True)


def test_info_and_doctor_read_the_card_over_the_driver(bench: Bench) -> None:
    """The card's memory is blank: info says so; the doctor reads it over the driver before it says what could run."""
    done = bench.guest.run("vnetcard", "info", WINDOW, limit=120)
    assert bench.core.transfers[C2H] > 0 and done.status == 1, done
    assert "no vnetcard window here" in done.stdout
    before = bench.core.transfers[C2H]
    done = bench.guest.run("vnetcard", "doctor", "--window", WINDOW, "--json", limit=300)
    assert done.status == 0, done
    findings = {(one["area"], one["subject"]): one for one in json.loads(done.stdout)["findings"]}
    assert findings["xdma", "xdma0"]["verdict"] == "ok", findings
    assert bench.core.transfers[C2H] > before, "the doctor tried no transfer"
    assert (bench.core.errors, "BUG" in bench.guest.console()) == (0, False)


def test_every_ping_of_every_size_is_answered_in_both_directions(bench: Bench) -> None:
    bench.start_host()
    bench.lab.start(L.CARD)
    bench.lab.wait_up()
    bench.assert_pings_cross(list(DEFAULT_SIZES), count=5)
    assert bench.core.errors == 0
    assert "BUG" not in bench.guest.console()


def test_killed_host_agent_comes_back(bench: Bench) -> None:
    assert bench.agent is not None
    bench.guest.signal(bench.agent, 9)
    bench.guest.wait(bench.agent)
    bench.start_host()
    bench.lab.wait_up()
    bench.assert_pings_cross([56, 2048], count=3)


def test_removed_function_is_noticed_and_the_link_returns_after_a_rescan(bench: Bench) -> None:
    function = "for f in /sys/bus/pci/drivers/xdma/0*; do echo $f; done"
    (path,) = bench.guest.run("sh", "-c", function).stdout.split()
    bench.guest.run("sh", "-c", f"echo 1 > $(readlink -f {path})/remove", limit=60)
    until(lambda: "is gone" in bench.guest.run("vnetcard", "status", "--window", WINDOW).stdout, "the host notices")
    assert bench.guest.run("sh", "-c", "echo 1 > /sys/bus/pci/rescan", limit=60).status == 0
    bench.lab.wait_up()
    bench.assert_pings_cross([56, 2048], count=3)
    assert "kernel BUG" not in bench.guest.console()
