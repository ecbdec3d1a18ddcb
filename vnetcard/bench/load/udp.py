"""``udp``: datagrams of one size at one sender's full rate, and how many of them arrive."""

from __future__ import annotations

from vnetcard.bench import iperf
from vnetcard.bench.contenders import Contender
from vnetcard.bench.validity import Invalid

HEADERS = 28
"""Bytes of IPv4 and UDP."""


class Udp:
    """``size``: bytes of the IP packet.  Loss is no failure: the sender may be faster than any contender."""

    mtu = 1500

    def __init__(self, size: int) -> None:
        self._size = size

    def put(self, contender: Contender, run: iperf.Run) -> dict[str, float]:
        options = ["-u", "-b", "0", "-l", str(self._size - HEADERS)]
        return {f"udp {self._size}": arrived(iperf.run(contender, run.seconds, options)) / 1000}


def arrived(report: iperf.Report) -> float:
    """Datagrams per second that the receiver counted; Invalid without any."""
    end = report.server["end"]["sum"]
    got = end["packets"] - end["lost_packets"]
    if got <= 0 or end["seconds"] <= 0:
        raise Invalid("no datagram arrived")
    return float(got / end["seconds"])
