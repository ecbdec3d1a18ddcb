"""A table of faults: each is injected into a running link, and `vnetcard show errors` names its true cause first."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.build_cache import build_cache  # noqa: F401 - for the simulator
from tests.harness.program_ends import port_folder
from tests.harness.soft_engine import BusError
from tests.harness.soft_sim import soft_simulation
from tests.integration.fault_links import LIMIT_S, counting, faulty_card, flood, joined, pinging, simulated, stuttering
from vnetcard.codes.cause import CauseCode
from vnetcard.codes.discard import DiscardCode
from vnetcard.lab.lab import Lab
from vnetcard.observe import views
from vnetcard.observe.cause import Cause
from vnetcard.observe.causes import LIMITS, causes
from vnetcard.observe.tables import as_json
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SideBlock
from vnetcard.window import open_window

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("build_cache")]

Injected = contextlib.AbstractContextManager[Lab]


# --- faults ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def slow_consumer() -> Iterator[Lab]:
    """The card's agent runs for 2 ms of every 100."""
    with joined(("--offload", "off"), size="+256K") as lab, flood(lab), stuttering(lab.agent(L.CARD).pid):
        yield lab


@contextlib.contextmanager
def stuck_consumer() -> Iterator[Lab]:
    with faulty_card(takes=False) as lab, pinging(lab, "-i", "0.05"):
        yield lab


@contextlib.contextmanager
def full_ring() -> Iterator[Lab]:
    """Rings that hold two packets."""
    with joined(size="+16K") as lab, pinging(lab, "-f", "-l", "20", "-s", "1400"):
        yield lab


@contextlib.contextmanager
def corrupt_records() -> Iterator[Lab]:
    """1% of what the card sends has an impossible length."""
    with faulty_card(sends=True, corrupt=100) as lab:
        yield lab


@contextlib.contextmanager
def corrupt_index() -> Iterator[Lab]:
    with faulty_card(sends=True, index=True) as lab:
        yield lab


@contextlib.contextmanager
def lost_doorbell() -> Iterator[Lab]:
    """A card that offers wake-ups and sends none."""
    with faulty_card(sends=True, without_wake_ups=True) as lab:
        yield lab


@contextlib.contextmanager
def corrupt_side_block() -> Iterator[Lab]:
    """A third program overwrites the host's epoch."""
    with joined() as lab:
        at = L.side_offset(L.HOST) + L.SIDE_CONTROL.offset("epoch")
        with Path("/dev/shm", lab.url.removeprefix("shm:")).open("r+b") as memory:
            os.pwrite(memory.fileno(), b"junk", at)
        yield lab


@contextlib.contextmanager
def bad_frames() -> Iterator[Lab]:
    """A card whose packets place their checksum far behind their end."""
    with faulty_card(sends=True, vnet=struct.pack("<BBHHHH", 1, 0, 0, 0, 60000, 16)) as lab:
        yield lab


@contextlib.contextmanager
def refused_packets() -> Iterator[Lab]:
    """A card that sends neither IPv4 nor IPv6, which no TUN accepts."""
    with faulty_card(sends=True, packet=bytes(84)) as lab:
        yield lab


@contextlib.contextmanager
def foreign_sources() -> Iterator[Lab]:
    """A card that sends from 10.10.10.6."""
    packet = bytes([0x45, 0, 0, 84, *bytes(4), 64, 17, 0, 0, 10, 10, 10, 6, 10, 10, 10, 1]) + bytes(64)
    with faulty_card("--allow", "10.10.10.5", sends=True, packet=packet) as lab:
        yield lab


@contextlib.contextmanager
def redirects() -> Iterator[Lab]:
    """A card that sends ICMP redirects."""
    packet = bytes([0x45, 0, 0, 84, *bytes(4), 64, 1, 0, 0, 10, 10, 10, 5, 10, 10, 10, 1, 5, 1]) + bytes(62)
    with faulty_card(sends=True, packet=packet) as lab:
        yield lab


@contextlib.contextmanager
def mtu_mismatch() -> Iterator[Lab]:
    with joined(("--mtu", "9000")) as lab:
        yield lab


@contextlib.contextmanager
def other_version() -> Iterator[Lab]:
    """A card that uses a newer wire format."""
    with Lab("fault") as lab:
        lab.start(L.HOST)
        window = open_window(lab.url, side=L.CARD)
        card = SideBlock(window.memory, L.CARD)
        for field, value in (("version", 99), ("mtu", 1500), ("epoch", 12345)):
            card.store(field, value)
        try:
            yield lab
        finally:
            card.store("epoch", 0)
            window.close()


@contextlib.contextmanager
def starved_agent() -> Iterator[Lab]:
    """The card's agent shares a CPU with a busy loop of higher priority."""
    with joined(("--offload", "off")) as lab:
        cpu = max(os.sched_getaffinity(0))
        for task in Path(f"/proc/{lab.agent(L.CARD).pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {cpu})
            os.setpriority(os.PRIO_PROCESS, int(task.name), 10)
        hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        os.sched_setaffinity(hog.pid, {cpu})
        try:
            with pinging(lab, "-f"):
                yield lab
        finally:
            hog.kill()
            hog.wait()


@contextlib.contextmanager
def interface_down() -> Iterator[Lab]:
    with joined() as lab, pinging(lab, "-i", "0.05"):
        subprocess.run(["ip", "-n", lab.namespaces[L.CARD], "link", "set", "tun0", "down"], check=True)
        yield lab


@contextlib.contextmanager
def absent_program() -> Iterator[Lab]:
    with port_folder() as folder, joined(card=("--punt", f"icmp=unix:{folder}/punt")) as lab, pinging(lab, "-c", "5"):
        yield lab


@contextlib.contextmanager
def stopped_agent() -> Iterator[Lab]:
    with joined() as lab, pinging(lab, "-i", "0.05"):
        lab.agent(L.CARD).send_signal(signal.SIGSTOP)
        try:
            yield lab
        finally:
            lab.agent(L.CARD).send_signal(signal.SIGCONT)


@contextlib.contextmanager
def frozen_peer() -> Iterator[Lab]:
    """What one side sees when the stopped agent is on another computer."""
    with faulty_card(freezes=True) as lab:
        yield lab


@contextlib.contextmanager
def restarted_agent() -> Iterator[Lab]:
    with joined() as lab:
        lab.stop(L.CARD, signal.SIGKILL)
        lab.start(L.CARD)
        lab.wait_up()
        yield lab


@contextlib.contextmanager
def missing_agent() -> Iterator[Lab]:
    with Lab("fault") as lab:
        lab.start(L.HOST)
        yield lab


@contextlib.contextmanager
def stalled_engine() -> Iterator[Lab]:
    """The model of the engine: the card's memory does not answer a write."""

    def hang(what: str, side: int, offset: int) -> bool:
        if (what, side) == ("write", L.CARD) and offset >= RINGS:
            raise BusError(what, "TIMEOUT", offset)
        return False

    with soft_simulation() as simulation, Lab("fault", window=f"sim:{simulation.name}") as lab:
        lab.start(L.HOST)
        lab.start(L.CARD)
        lab.wait_up(limit=LIMIT_S)
        simulation.engine.broken = hang
        with pinging(lab, "-i", "0.05"):
            yield lab


@contextlib.contextmanager
def stalled_rtl() -> Iterator[Lab]:
    """The engine's RTL: the card's memory answers one write after the engine's time-out, which is long to simulate."""
    with simulated("--inject", "card-write-late@100") as (_, lab):
        yield lab


@contextlib.contextmanager
def bus_error() -> Iterator[Lab]:
    with simulated("--inject", "host-read-slverr@100") as (_, lab):
        yield lab


@contextlib.contextmanager
def overwritten_superblock() -> Iterator[Lab]:
    with joined() as lab:
        with Path("/dev/shm", lab.url.removeprefix("shm:")).open("r+b") as memory:
            memory.write(bytes(L.LINE))
        yield lab


@contextlib.contextmanager
def card_pulled_out() -> Iterator[Lab]:
    with simulated() as (simulator, lab):
        simulator.signal(signal.SIGUSR1)
        simulator.event("removed")
        yield lab


@contextlib.contextmanager
def raised_mtu() -> Iterator[Lab]:
    """The user raises the MTU of both interfaces, on a link without segmentation offloads."""
    with joined(("--offload", "off"), ("--offload", "off")) as lab:
        for namespace in lab.namespaces:
            subprocess.run(["ip", "-n", namespace, "link", "set", "tun0", "mtu", "9000"], check=True)
        with pinging(lab, "-i", "0.05", "-s", "4000", "-M", "do"):
            yield lab


@dataclass(frozen=True, slots=True)
class Fault:
    """What is injected, the cause that must be named first, on which side ('': any), and words that it must contain."""

    inject: Callable[[], Injected]
    cause: str
    side: str
    words: str = ""

    def is_first_of(self, found: Sequence[Cause]) -> bool:
        """Whether it is the most probable one of the causes that were found."""
        first = found[0] if found else None
        return (
            first is not None
            and first.code == self.cause
            and self.side in ("", first.side)
            and self.words in first.words
        )


RINGS = 0x1000
"""Where the rings begin in a window."""
TABLE = {
    "slow consumer": Fault(slow_consumer, "slow-consumer", "card", "h2c was full"),
    "stuck consumer": Fault(stuck_consumer, "stuck-consumer", "card", "takes none"),
    "full ring": Fault(full_ring, "ring-too-small", "host", "use a larger window or --queue-bytes"),
    "1% corrupted records": Fault(corrupt_records, "corrupt-records", "card", "corrupt records in c2h"),
    "impossible index": Fault(corrupt_index, "corrupt-index", "card", "impossible indices"),
    "scribbled side block": Fault(corrupt_side_block, "corrupt-side-block", "card", "overwritten"),
    "overwritten superblock": Fault(overwritten_superblock, "window-overwritten", "", "restored the superblock"),
    "impossible header of an offload": Fault(bad_frames, "bad-frames", "card", "impossible virtio_net_hdr"),
    "packet that a kernel refuses": Fault(refused_packets, "port-refused", "host", "the host's kernel refused"),
    "source that is not allowed": Fault(foreign_sources, "foreign-sources", "card", "outside the host's --allow"),
    "peer that sends redirects": Fault(redirects, "peer-configures", "card", "would configure the host"),
    "MTU raised on the interface": Fault(raised_mtu, "packet-too-big", "host", "`ip link set tun0 mtu 1500`"),
    "offload that the peer does not take": Fault(
        lambda: counting("drop_offload"), "offload-mismatch", "card", "5 packets of the card's kernel"
    ),
    "empty reads of an interface": Fault(lambda: counting("drop_malformed"), "malformed-packets", "card", "5 reads"),
    "drops of the past": Fault(lambda: counting("drop_link_down"), "link-interrupted", "card", "5 packets"),
    "lost doorbell": Fault(lost_doorbell, "lost-doorbell", "card", "wake-ups get lost"),
    "MTU mismatch": Fault(mtu_mismatch, "mtu-mismatch", "card", "9000, the card to 1500"),
    "version mismatch": Fault(other_version, "version-mismatch", "card", "wire format 99"),
    "CPU starvation of one agent": Fault(starved_agent, "cpu-starved", "card", "waited for a CPU"),
    "interface down": Fault(interface_down, "interface-down", "card", "ip link set up"),
    "absent program of --punt": Fault(absent_program, "punt-dropped", "card", "it is not connected"),
    "stopped agent": Fault(stopped_agent, "agent-unresponsive", "card", "is stopped: kill -CONT"),
    "frozen peer": Fault(frozen_peer, "peer-dead", "card", "no heartbeat"),
    "killed and restarted agent": Fault(restarted_agent, "peer-restarts", "card", "restarted 1 times"),
    "missing agent": Fault(missing_agent, "no-peer", "card", "no agent answers"),
    "stalled engine": Fault(stalled_engine, "engine-stalled", "", "a memory did not answer at bus address 0x"),
    "bus error": Fault(bus_error, "engine-bus-error", "", "failed at bus address 0x"),
    "card pulled out": Fault(card_pulled_out, "device-gone", "", ""),
}


CAMPAIGN = {"stalled engine, in RTL": Fault(stalled_rtl, "engine-stalled", "", "did not answer at bus address 0x")}


@pytest.mark.parametrize("name", [*TABLE, *(pytest.param(name, marks=pytest.mark.campaign) for name in CAMPAIGN)])
def test_the_cause_of_a_fault_is_named_first(name: str) -> None:
    fault = (TABLE | CAMPAIGN)[name]
    with fault.inject() as lab:
        deadline = time.monotonic() + LIMIT_S
        while not fault.is_first_of(found := causes(snapshot := views.gather(lab.url))):
            assert time.monotonic() < deadline, f"{found}\n{snapshot.errors()}"
            time.sleep(0.1)
    assert as_json(snapshot, "errors")["errors"]["causes"][0]["code"] == fault.cause


def test_every_cause_has_a_fault_of_its_own() -> None:
    """Those of packets that a kernel discards are in test_kernel_discards.py.

    The simulator's memories keep reads behind writes; tests/hdl/cases_ordering.py has bridges that do not.
    """
    beside = {cause for code in DiscardCode for cause in code.causes} | {CauseCode.ENGINE_READ_ORDER}
    assert sorted(fault.cause for fault in TABLE.values()) == sorted(code for code in CauseCode if code not in beside)


def test_a_link_without_a_fault_has_no_cause_under_load() -> None:
    with joined() as lab, pinging(lab, "-f", "-s", "1400"):
        found = causes(_after(lab, 2000))
        assert [cause for cause in found if cause.code not in LIMITS] == []
    with joined() as lab, pinging(lab, "-i", "0.02"):
        named = {cause.code.value for cause in causes(_after(lab, 20))}
        assert named <= {"cpu-starved"}, "only a busy machine is a true cause here"


def _after(lab: Lab, packets: int) -> views.Snapshot:
    """The snapshot once the host has sent that many packets."""
    deadline = time.monotonic() + LIMIT_S
    while (snapshot := views.gather(lab.url)).figures()["host"]["tx"]["tx_sent"] < packets:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return snapshot
