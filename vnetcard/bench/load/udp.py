"""``udp``: datagrams of one size at one sender's full rate, and how many of them arrive (``c/udp.c``)."""

from __future__ import annotations

import subprocess

from vnetcard.bench import programs
from vnetcard.bench.contenders import Contender
from vnetcard.bench.iperf import Run
from vnetcard.bench.load.far_end import far_end
from vnetcard.bench.validity import Invalid
from vnetcard.lab.lab import run_in

HEADERS = 28
"""Bytes of IPv4 and UDP."""
PORT = 5298
AHEAD = 0.5
"""Seconds that the sender continues after the receiver's time: both begin at different moments."""
SLACK = 30.0


class Udp:
    """``size``: bytes of the IP packet.  Loss is no failure: the sender may be faster than any contender."""

    mtu = 1500
    tcp = False

    def __init__(self, size: int) -> None:
        self._size = size

    def put(self, contender: Contender, run: Run) -> dict[str, float]:
        program = str(programs.compiled("udp"))
        where = [contender.addresses[1], str(PORT)]
        sender = [program, "send", *where, str(self._size - HEADERS), f"{run.seconds + AHEAD:g}"]
        command = run_in(contender.namespaces[0], sender)
        try:
            with far_end(contender, program, "sink", *where, f"{run.seconds:g}") as sink:
                sent = subprocess.run(command, capture_output=True, text=True, timeout=run.seconds + SLACK, check=False)
                output, _ = sink.communicate(timeout=SLACK)
        except subprocess.TimeoutExpired:
            raise Invalid(f"sender or receiver did not end within {run.seconds + SLACK:.0f} s") from None
        if sent.returncode:
            raise Invalid(f"datagrams were not sent: {sent.stderr.strip()}")
        return {f"udp {self._size}": arrived(output) / 1000}


def arrived(output: str) -> float:
    """Datagrams per second that ``udp sink`` counted; Invalid without any."""
    count, seconds = (float(word) for word in output.split() or ("0", "0"))
    if count <= 0 or seconds <= 0:
        raise Invalid("no datagram arrived")
    return count / seconds
