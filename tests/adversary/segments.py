"""``python -m tests.adversary.segments``: what one super-packet costs the kernel of a forwarding host; needs root.

A TUN in a network namespace, from which the packet is forwarded into a veth pair without TSO: the kernel cuts it there.
CPU: of the thread that writes, in which the kernel does all of it; the median of many.  The veth pair drops most of
65,483 segments, as any queue would.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack

from tests.adversary.decks import MOST, super_packet
from tests.adversary.modes import OFFLOADS
from vnetcard.lab.lab import ip, make_namespaces, run_in
from vnetcard.port.tun import open_port as open_tun

KINDS = (
    ("honest: 64 KiB in segments of 1448 bytes", MOST, 1448),
    ("honest: 64 keystrokes merged", 64, 1),
    ("most segments of the fewest bytes that are admitted", 512 * 48, 48),
    ("most segments and bytes that are admitted", MOST, 128),
    ("refused: 512 segments of 1 byte", 512, 1),
    ("refused: 65,483 segments of 1 byte", MOST, 1),
)


def prepare(stack: ExitStack, host: str, far: str) -> int:
    """Forward from a TUN in ``host`` to a veth pair into ``far``; returns the TUN's descriptor."""
    make_namespaces(stack, [host, far])
    port = open_tun("tun0", netns=host)
    stack.callback(port.close)
    ip("-n", host, "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", far)
    ip("-n", host, "address", "add", "10.10.10.2/24", "dev", "tun0")
    for namespace, name in ((host, "tun0"), (host, "out"), (far, "in")):
        ip("-n", namespace, "link", "set", name, "up")
    port.set_offload(OFFLOADS)
    port.set_carrier(True)
    ip("-n", host, "route", "add", "10.10.10.1/32", "dev", "out")
    ip("-n", host, "neigh", "add", "10.10.10.1", "lladdr", "02:00:00:00:00:01", "dev", "out")
    loose = [f"net.ipv4.conf.{name}.rp_filter=0" for name in ("all", "tun0")]
    for command in (
        ["sysctl", "-qw", "net.ipv4.ip_forward=1", *loose],
        ["ethtool", "-K", "out", "tso", "off", "gso", "off", "tx-checksumming", "off"],
    ):
        subprocess.run(run_in(host, command), check=True, capture_output=True)
    return port.fds[0]


def sent(host: str) -> int:
    """Packets that left through the veth pair."""
    text = subprocess.run(
        run_in(host, ["cat", "/sys/class/net/out/statistics/tx_packets"]), capture_output=True, text=True, check=True
    )
    return int(text.stdout)


def main() -> int:
    """Print the table."""
    argparse.ArgumentParser("python -m tests.adversary.segments", description=__doc__.splitlines()[0]).parse_args()
    with ExitStack() as stack:
        host, far = (f"vnetcard-segments-{os.getpid()}-{end}" for end in ("host", "far"))
        tun = prepare(stack, host, far)
        print(f"{'super-packet':54}{'bytes':>7}{'segments':>9}{'CPU ms':>8}{'ratio':>7}")
        honest = 0.0
        for name, size, segment in KINDS:
            packet, times = super_packet(size, segment), []
            before = sent(host)
            for _ in range(20 if size // segment > 1000 else 200):
                began = time.thread_time_ns()
                os.write(tun, packet)
                times.append((time.thread_time_ns() - began) / 1e6)
            count = (sent(host) - before) / len(times)
            honest = honest or statistics.median(times)
            cost = statistics.median(times)
            print(f"{name:54}{size:>7}{count:>9.0f}{cost:8.2f}{cost / honest:7.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
