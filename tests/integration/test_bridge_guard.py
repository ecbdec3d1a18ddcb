"""The rules of docs/security.md for a tap in a bridge stop what no machine of the LAN should believe."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.harness.documented import documented_blocks
from tests.harness.needs import need
from tests.harness.programs import ip
from tests.harness.restarts import until
from vnetcard.lab.lab import run_in
from vnetcard.port.netns import inside

pytestmark = pytest.mark.root

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
CARD_MAC, OTHER_MAC = bytes.fromhex("0200000a0a05"), bytes.fromhex("0200000a0a06")
CARD, OTHER = bytes([10, 10, 10, 5]), bytes([10, 10, 10, 6])


def frame(kind: int, body: bytes, mac: bytes = CARD_MAC) -> bytes:
    return b"\xff" * 6 + mac + struct.pack("!H", kind) + body.ljust(46, b"\0")


def ipv4(protocol: int, body: bytes, source: bytes = CARD) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0) + source + b"\x0a\x0a\x0a\xff"
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + body


def ipv6(following: int, body: bytes) -> bytes:
    source, target = (socket.inet_pton(socket.AF_INET6, text) for text in ("fe80::5", "ff02::1"))
    return struct.pack("!IHBB", 6 << 28, len(body), following, 255) + source + target + body


def arp(source: bytes) -> bytes:
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + CARD_MAC + source + bytes(6) + bytes([10, 10, 10, 1])


def udp(port: int) -> bytes:
    return struct.pack("!HHHH", port, 1024, 12, 0) + b"data"


HONEST = {
    "ARP": frame(0x0806, arp(CARD)),
    "UDP": frame(0x0800, ipv4(17, udp(9))),
    "DHCP client": frame(0x0800, ipv4(17, udp(68), bytes(4))),
    "ICMPv6 echo": frame(0x86DD, ipv6(58, bytes([128]) + bytes(7))),
}
HOSTILE = {
    "router advertisement": frame(0x86DD, ipv6(58, bytes([134]) + bytes(15))),
    "redirect of IPv6": frame(0x86DD, ipv6(58, bytes([137]) + bytes(39))),
    "redirect": frame(0x0800, ipv4(1, bytes([5, 1]) + bytes(34))),
    "DHCP server": frame(0x0800, ipv4(17, udp(67))),
    "DHCP server of IPv6": frame(0x86DD, ipv6(17, udp(547))),
    "other MAC address": frame(0x0800, ipv4(17, udp(9)), OTHER_MAC),
    "ARP for another": frame(0x0806, arp(OTHER)),
    "other source": frame(0x0800, ipv4(17, udp(9), OTHER)),
}


@contextmanager
def bridge(netns: str) -> Iterator[tuple[int, socket.socket]]:
    """The descriptor of ``tap0`` in a bridge of ``netns``, and a socket that receives what the bridge forwards."""
    with inside(netns):
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"tap0", IFF_TAP | IFF_NO_PI))
        lan = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    with lan:
        try:
            ip("-n", netns, "link", "add", "br0", "type", "bridge")
            ip("-n", netns, "link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
            for name in ("tap0", "lan0"):
                ip("-n", netns, "link", "set", name, "master", "br0")
            for name in ("tap0", "lan0", "lan1", "br0"):
                ip("-n", netns, "link", "set", name, "up")
            lan.bind(("lan1", 0))
            lan.settimeout(0.2)
            yield tap, lan
        finally:
            os.close(tap)


def forwarded(tap: int, lan: socket.socket, frames: dict[str, bytes], last: bytes) -> list[str]:
    """The names of ``frames`` that arrive; ``last`` is honest and behind them, sent until it arrives.

    A bridge may cut the padding off (br_netfilter), so zeros at the end do not count.
    """
    for one in frames.values():
        os.write(tap, one)
    seen = []

    def end() -> bool:
        os.write(tap, last)
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            try:
                seen.append(lan.recv(2000).rstrip(b"\0"))
            except TimeoutError:
                return False
            if seen[-1] == last.rstrip(b"\0"):
                return True
        return False

    until(end, "the last frame is forwarded")
    return [name for name, one in frames.items() if one.rstrip(b"\0") in seen]


def test_rules_stop_what_configures_the_lan_and_nothing_else(netns_pair: tuple[str, str]) -> None:
    netns, _ = netns_pair
    (rules,) = documented_blocks("docs/security.md", "### On an Ethernet port")
    last = frame(0x0800, ipv4(17, udp(10)))
    frames = HONEST | HOSTILE
    with bridge(netns) as (tap, lan):
        forwarded(tap, lan, {}, last)  # the bridge forwards from now on
        assert forwarded(tap, lan, frames, last) == list(frames), "the control: without rules"
        load = run_in(netns, [need("nft"), "-f", "-"])
        done = subprocess.run(load, input=rules, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert forwarded(tap, lan, frames, last) == list(HONEST)
