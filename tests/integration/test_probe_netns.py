"""Probing a TUN's offloads reaches no socket, and the kernel answers no probe."""

from __future__ import annotations

import os
import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from tests.harness.needs import need
from tests.harness.traffic import counters_in
from vnetcard.port import netns
from vnetcard.port.interface import Interface
from vnetcard.port.offload_probe import PROBES
from vnetcard.port.tun import TunPort, open_port

pytestmark = pytest.mark.root

UDP_DISCARD = 9
"""The port that the probes name."""


@pytest.fixture
def port(netns_pair: tuple[str, str]) -> Iterator[TunPort]:
    """A TUN as an agent has it when it probes: up, without carrier."""
    name = netns_pair[0]
    port = open_port("tun0", netns=name)
    port.set_carrier(False)
    with closing(Interface("tun0", netns=name)) as interface:
        interface.up(mtu=1500)
    yield port
    port.close()


def listeners(namespace: str, stack: ExitStack) -> list[socket.socket]:
    """Sockets that would see a probe if it got past the IP layer."""
    kinds = [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
    made = []
    with netns.inside(namespace):
        for family, anywhere in kinds:
            for inner in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
                made.append(stack.enter_context(socket.socket(family, socket.SOCK_RAW, inner)))
            made.append(stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)))
            if family == socket.AF_INET6:
                made[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made[-1].bind((anywhere, UDP_DISCARD))
    return made


def test_probes_reach_no_socket_and_get_no_answer(port: TunPort, netns_pair: tuple[str, str]) -> None:
    before = counters_in(netns_pair[0])
    with ExitStack() as stack:
        sockets = listeners(netns_pair[0], stack)
        verdicts = port.probe_offload()
        assert set(verdicts) == set(PROBES)
        taken = {kind for kind, why in verdicts.items() if not why}
        assert "CSUM" in taken
        assert select.select(sockets, [], [], 0.5)[0] == []
    now = counters_in(netns_pair[0])
    moved = {name: now[name] - before.get(name, 0) for name in now if now[name] != before.get(name, 0)}
    delivered = {"Ip.InDelivers", "Ip6InDelivers", "Tcp.InSegs", "Udp.InDatagrams", "Udp.NoPorts", "Udp6NoPorts"}
    answered = {"Icmp.OutMsgs", "Icmp6OutMsgs", "Tcp.OutSegs", "Tcp.OutRsts", "Ip.OutRequests", "Ip6OutRequests"}
    assert not moved.keys() & (delivered | answered), moved
    # It is the IP layer that drops them, each version for its own reason (port/probe.py).
    assert moved["IpExt.InCsumErrors"] == len(taken - {"TSO6", "USO6"}), moved
    assert moved.get("Ip6InHdrErrors", 0) + moved.get("Ip6InTruncatedPkts", 0) == len(taken & {"TSO6", "USO6"}), moved


def test_nothing_comes_back_out_of_the_probed_tun(port: TunPort) -> None:
    port.probe_offload()
    with pytest.raises(BlockingIOError):
        os.read(port.fds[0], 70_000)


def test_probing_leaves_all_offloads_off(port: TunPort, netns_pair: tuple[str, str]) -> None:
    need("ethtool")
    port.probe_offload()
    command = ["ip", "netns", "exec", netns_pair[0], "ethtool", "-k", "tun0"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    state = dict(line.strip().split(": ", 1) for line in text.splitlines() if ": " in line)
    for feature in ("tx-checksum-ip-generic", "tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation"):
        assert state[feature].startswith("off"), (feature, state[feature])
