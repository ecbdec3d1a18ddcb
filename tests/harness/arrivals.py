"""What tcpdump captures at an interface: the largest packets, and packets with wrong checksums."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.needs import need
from vnetcard.lab.lab import Lab, run_in

QUIET_S = 0.3
"""Seconds without growth after which a capture file counts as complete."""
LIMIT_S = 30.0

SNAP = 2048
"""Bytes kept of a packet: all of a plain one, so that tcpdump can verify its checksum; thousands fit the buffer."""

_V4 = re.compile(r"\bIP \(tos .*proto (TCP|UDP) \(\d+\), length (\d+)\)")
_V6 = re.compile(r"\bIP6 \(.*next-header (TCP|UDP) \(\d+\) payload length: (\d+)\)")
_BAD = re.compile(r"incorrect|bad (?:udp )?cksum|bad hdr", re.IGNORECASE)


@dataclass(slots=True)
class Arrivals:
    """The TCP and UDP packets that arrived, filled in when the capture ends.

    ``largest`` is the size in bytes of the largest IP packet by (protocol, IP version): ``("tcp", 6)``.
    """

    largest: dict[tuple[str, int], int] = field(default_factory=dict)
    bad_checksums: list[str] = field(default_factory=list)

    def take(self, packet: str) -> None:
        """Add one packet, as tcpdump prints it."""
        for version, pattern, header in ((4, _V4, 0), (6, _V6, 40)):
            if seen := pattern.search(packet):
                kind = (seen[1].lower(), version)
                self.largest[kind] = max(self.largest.get(kind, 0), int(seen[2]) + header)
        if _BAD.search(packet):
            self.bad_checksums.append(packet)


@contextmanager
def arriving(lab: Lab, side: int, folder: Path) -> Iterator[Arrivals]:
    """Capture what ``tun0`` of ``side`` receives during the block; the file is in ``folder`` meanwhile."""
    file = folder / "arriving.pcap"
    how = f"-i tun0 -Q in -U --immediate-mode -B 65536 -s {SNAP} -Z root -w"
    command = run_in(lab.namespaces[side], [need("tcpdump"), *how.split(), str(file)])
    found = Arrivals()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tcpdump:
        try:
            assert tcpdump.stderr is not None
            while "listening on" not in (line := tcpdump.stderr.readline()):
                assert line, "tcpdump ended before it listened"
            yield found
            _wait_until_written(file)
            tcpdump.send_signal(signal.SIGINT)
            _, said = tcpdump.communicate(timeout=LIMIT_S)
        finally:
            tcpdump.kill()
    assert "\n0 packets dropped by kernel" in said, said
    text = subprocess.run(["tcpdump", "-nn", "-vv", "-r", str(file)], capture_output=True, text=True, check=True).stdout
    file.unlink()
    for packet in re.split(r"\n(?!\s)", text):  # a packet is a line that starts with the time, and indented lines
        found.take(packet)


def _wait_until_written(file: Path) -> None:
    deadline = time.monotonic() + LIMIT_S
    size, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_S and time.monotonic() < deadline:
        if (now := file.stat().st_size) != size:
            size, since = now, time.monotonic()
        time.sleep(0.02)
