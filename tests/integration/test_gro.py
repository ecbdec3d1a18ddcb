"""`--gro`: datagrams that wait in the ring enter a real kernel together, and leave its sockets as they were sent."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.programs import stop
from tests.harness.restarts import until
from tests.harness.traffic import V4, V6, assert_no_bad_checksums, assert_stream_arrives, joined
from vnetcard.lab.lab import Lab
from vnetcard.port.netns import inside
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root

COUNT = 150


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with joined(host=["--gro"], card=["--gro"]) as lab:
        yield lab
        assert_no_bad_checksums(lab)
        assert_ledgers_balance(lab)


def ledger(lab: Lab, side: int, half: str, word: str) -> int:
    """A counter of the own end of ``side``."""
    return int(lab.status(side)["sides"][side][half][word])


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("receiver", [HOST, CARD])
def test_datagrams_that_waited_arrive_each_in_order_and_whole(lab: Lab, version: int, receiver: int) -> None:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    address = ((V4 if version == 4 else V6)[receiver], 4000)
    sent = [os.urandom(120 if n % 50 else 30) for n in range(COUNT)]
    ends = []
    for side in (receiver, 1 - receiver):
        with inside(lab.namespaces[side]):
            ends.append(socket.socket(family, socket.SOCK_DGRAM))
    with contextlib.closing(ends[0]) as sink, contextlib.closing(ends[1]) as source:
        sink.bind(address)
        sink.settimeout(60)
        source.connect(address)
        before = [ledger(lab, 1 - receiver, "tx", "tx_sent"), ledger(lab, receiver, "rx", "rx_port_writes")]
        agent = lab.agent(receiver)
        stop(agent)
        try:
            for one in sent:
                source.send(one)
            until(lambda: ledger(lab, 1 - receiver, "tx", "tx_sent") >= before[0] + COUNT, "all wait in the ring")
        finally:
            agent.send_signal(signal.SIGCONT)
        assert [sink.recv(2000) for _ in sent] == sent
    writes = ledger(lab, receiver, "rx", "rx_port_writes") - before[1]
    assert writes < COUNT // 3, "they were written together"


@pytest.mark.parametrize("version", [4, 6])
def test_streams_arrive(lab: Lab, version: int) -> None:
    for sender in (HOST, CARD):
        assert_stream_arrives(lab, "udp", 4 << 20, version=version, sender=sender)
        assert_stream_arrives(lab, "udp", 4 << 20, version=version, sender=sender, segments=7)
        assert_stream_arrives(lab, "tcp", 4 << 20, version=version, sender=sender)
