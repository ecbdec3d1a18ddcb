"""One attack on a real agent: what it costs the machine while it lasts, and how soon an honest peer is up after it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tests.adversary.modes import Mode
from tests.adversary.peer import Card
from vnetcard.agent import status
from vnetcard.agent.control import ask
from vnetcard.errors import PeerGone
from vnetcard.lab.lab import ADDRESSES, Lab, LabError, run_in
from vnetcard.link import brake
from vnetcard.ring import layout as L

LINES: Final = 20
"""Most log lines in any second."""
LIMIT: Final = 60.0
"""Seconds for what takes milliseconds."""
ROUNDS: Final = 300
"""Least rounds of the hostile card, each with several stores, in an attack of any length."""
UP_S: Final = 2.0
"""Seconds from an honest agent that is ready to a link that runs on both sides."""
CPU: Final = 0.35
"""Most of one core that an agent may use under an attack that carries no packets."""
CPU_BUSY: Final = 2.1
"""The same while the peer floods: a pump for each direction, and the kernel's work for its packets."""
RESTARTS: Final = (2 * brake.RESTARTS, 2 * brake.RESTARTS / brake.RESTART_SPAN)
"""Most restarts of the link in an attack, and for each of its seconds: those that the brake lets pass, each counted as
one of either side.  A card that is slow, because the machine is, comes close to it; a faster one is braked."""
COUNTED: Final = [L.LINK_COUNTERS.index(name) for name in ("own_restart", "peer_restart", "refused", "braked")]
SENDER: Final = """
import socket, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.setblocking(False)
    while True:
        for _ in range(20):
            try:
                sender.sendto(bytes(1400), (sys.argv[1], 9))
            except OSError:
                pass
        time.sleep(0.002)
"""
ROUNDING: Final = 1e-3


@dataclass(slots=True)
class Seen:
    """What one attack did; ``wrong`` names the limits that were exceeded."""

    mode: str
    seconds: float = 0.0
    rounds: int = 0
    runs: int = 0
    produced: int = 0
    lines: float = 0.0
    lines_in_a_second: int = 0
    carrier: float = 0.0
    restarts: int | None = None
    cpu: float = 0.0
    state: str = ""
    cause: str = ""
    during: float | None = None
    up_s: float | None = None
    after: float | None = None
    wrong: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def busiest(times: list[float]) -> int:
    """The most of ``times``, in order, within any second."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1 - ROUNDING:
            first += 1
        most = max(most, last - first + 1)
    return most


class Victim:
    """The agent of the host in a lab of its own, its log, and an agent of the card that comes and goes."""

    def __init__(self, lab: Lab, log: Path) -> None:
        self.lab, self._log = lab, log
        lab.await_ready(L.HOST)

    @property
    def window(self) -> Path:
        """The window's file."""
        return Path("/dev/shm", self.lab.url.removeprefix("shm:"))

    def carrier_changes(self) -> int:
        """Of the host's interface since it was made."""
        command = run_in(self.lab.namespaces[L.HOST], ["cat", "/sys/class/net/tun0/carrier_changes"])
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def cpu_seconds(self) -> float:
        """User and system time of the host's agent."""
        fields = Path(f"/proc/{self.lab.agent(L.HOST).pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def lines(self) -> list[str]:
        """The host's log until now."""
        return self._log.read_text(errors="replace").splitlines()

    def status(self) -> dict[str, Any]:
        """What the agent answers; PeerGone without an answer within ``LIMIT``."""
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                return ask(self.lab.url, L.HOST, "status")
            except PeerGone:
                if time.monotonic() > deadline:
                    raise

    def restarts(self, card: Card) -> int:
        """How often the link has restarted or paused, by the counters in the window."""
        at = L.side_offset(L.HOST) + L.LINK_COUNTERS_OFFSET
        counters = [int.from_bytes(card.memory[at + 8 * n : at + 8 * n + 8], "little") for n in COUNTED]
        return sum(counters)

    @contextlib.contextmanager
    def sending(self, wanted: bool) -> Iterator[None]:
        """Datagrams from the host during the block, some 10 MB in a second: a ring is full at once."""
        if not wanted:
            yield
            return
        command = run_in(self.lab.namespaces[L.HOST], [sys.executable, "-S", "-c", SENDER, ADDRESSES[L.CARD]])
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def attack(
        self, mode: Mode, seconds: float, *, seed: int, during: Callable[[], float] | None = None, pause_us: int = 0
    ) -> Seen:
        """Attack for ``seconds``, or for as long as ``during()`` takes; no agent of the card runs.

        ``pause_us``: between two rounds, to leave some of the processor to others.
        """
        seen = Seen(mode.name)
        carrier, skip, cpu = self.carrier_changes(), len(self.lines()), self.cpu_seconds()
        card = Card(self.window)
        restarts = self.restarts(card)
        began = time.monotonic()
        try:
            card.start(replace(mode.attack, pause_us=pause_us), seed=seed)
            with self.sending(mode.traffic):
                if during is not None:
                    seen.during = during()
                while time.monotonic() < began + seconds or card.rounds < ROUNDS:
                    assert time.monotonic() < began + seconds + LIMIT, "the hostile card does not run"
                    time.sleep(0.01)
            try:
                view = self.status()
                seen.state, seen.cause = view["link"]["state"], view["link"]["reason_code"]
                if not status.text(view).replace("\n", "").isprintable():
                    seen.wrong.append("control characters in status")
            except PeerGone as error:
                seen.wrong.append(f"no status: {error}")
        finally:
            done = card.stop()
            if not mode.ruins_counters:
                counted = self.restarts(card) - restarts
                seen.restarts = counted if 0 <= counted < 1 << 32 else None  # the agent puts ruined ones right
            if mode.header:
                card.restore_header()
            card.close()
        seen.seconds = time.monotonic() - began
        changes, spent = self.carrier_changes() - carrier, self.cpu_seconds() - cpu
        times = [json.loads(line)["time"] for line in self.lines()[skip:]]
        seen.rounds, seen.runs, seen.produced = done.rounds, done.runs, done.produced
        seen.lines, seen.lines_in_a_second = len(times) / seen.seconds, busiest(times)
        seen.carrier, seen.cpu = changes / seen.seconds, spent / seen.seconds
        if seen.lines_in_a_second > LINES:
            seen.wrong.append(f"{seen.lines_in_a_second} log lines in a second")
        if changes > brake.CARRIER_CHANGES * (seen.seconds + 1):
            seen.wrong.append(f"{changes} carrier changes in {seen.seconds:.1f} s")
        return seen

    def judge_cost(self, seen: Seen, mode: Mode) -> None:
        """Hold processor time and restarts against their limits."""
        if seen.restarts is not None and seen.restarts > RESTARTS[0] + RESTARTS[1] * seen.seconds:
            seen.wrong.append(f"{seen.restarts} restarts")
        limit = CPU_BUSY if mode.busy or mode.traffic else CPU
        if seen.cpu > limit:
            seen.wrong.append(f"{seen.cpu:.0%} of a core")

    def honest(self, seen: Seen, features: dict[str, str], *, limit: float) -> None:
        """Start an honest agent of the card; both must be up, with ``features``, within ``limit`` seconds."""
        self.lab.start(L.CARD)
        began = time.monotonic()
        try:
            self.lab.wait_for(L.CARD, "run", limit=limit)  # first: the host may still be up with the hostile card
            view = self.lab.wait_for(L.HOST, "run", limit=limit)
        except LabError as error:
            seen.wrong.append(f"not up again: {error}")
            return
        seen.up_s = time.monotonic() - began
        if view["link"]["features"] != features:
            seen.wrong.append(f"offloads {view['link']['features']} instead of {features}")
        self.lab.wait_open()


def megabits(lab: Lab, seconds: float) -> float:
    """TCP from the host to the card of ``lab`` in Mbit/s, by iperf3; 0 when nothing arrives."""
    server = subprocess.Popen(
        run_in(lab.namespaces[L.CARD], ["iperf3", "-s", "-1", "--forceflush"]), stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        while line := server.stdout.readline():
            if "listening" in line:
                break
        command = ["iperf3", "-J", "-c", ADDRESSES[L.CARD], "-t", str(max(1, round(seconds)))]
        done = subprocess.run(
            run_in(lab.namespaces[L.HOST], command), capture_output=True, text=True, timeout=60, check=False
        )
        report = json.loads(done.stdout)
        return float(report.get("end", {}).get("sum_received", {}).get("bits_per_second", 0.0)) / 1e6
    except (subprocess.TimeoutExpired, ValueError):
        return 0.0
    finally:
        server.kill()
        server.communicate()
