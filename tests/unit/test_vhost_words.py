"""A vhost-user port whose driver writes what is impossible into its queues, and at the limits of what is possible."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.harness.restarts import until
from tests.harness.vhost_front_end import (
    AVAIL,
    BUFFER,
    GUEST,
    INDIRECT,
    LIMIT,
    NEXT,
    PLAIN,
    QUEUE,
    SIZE,
    TABLES,
    VNET,
    WRITE,
    FrontEnd,
    assert_served,
    front_end_of,
    then,
    vhost_port,
)
from vnetcard.port import ring_port
from vnetcard.port.vhost_backend import RECEIVE, TRANSMIT
from vnetcard.port.vhost_protocol import INDIRECT_DESC
from vnetcard.port.vhost_user import VhostUserPort


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[VhostUserPort]:
    monkeypatch.setattr(ring_port, "RETRY_S", 0.01)
    with vhost_port() as opened:
        yield opened


def _offered(**words: int) -> Callable[[FrontEnd], None]:
    """A chain whose descriptor is ``words``, in the queue of what the driver sends."""

    def act(driver: FrontEnd) -> None:
        found = {"addr": GUEST[1], "length": 64, "flags": 0, "following": 0} | words
        driver.describe(TRANSMIT, 0, found["addr"], found["length"], flags=found["flags"], following=found["following"])
        driver.offer(TRANSMIT, words.get("head", 0))

    return act


def _in_table(flags: int, following: int, length: int = 32) -> Callable[[FrontEnd], None]:
    def act(driver: FrontEnd) -> None:
        struct.pack_into("<QIHH", driver.memory, TABLES, GUEST[1], 4, flags, following)
        _offered(addr=GUEST[0] + TABLES, length=length, flags=INDIRECT)(driver)

    return act


CHAIN = "a chain of descriptors that is impossible"
OUTSIDE = "a descriptor outside its memory"
BEYOND = "a descriptor beyond the end of its memory"
INDEX = "an index beyond its queue"
RECEIVING: dict[str, tuple[Callable[[FrontEnd], object], str]] = {
    "index": (lambda d: d.store(TRANSMIT * QUEUE + AVAIL + 2, SIZE + 1), INDEX),
    "index before": (lambda d: d.store(TRANSMIT * QUEUE + AVAIL + 2, -1), INDEX),
    "head": (_offered(head=SIZE), INDEX),
    "address": (_offered(addr=0x1000), OUTSIDE),
    "address at the end": (_offered(addr=GUEST[1] + SIZE * BUFFER), OUTSIDE),
    "address wraps": (_offered(addr=(1 << 64) - 8, length=64), OUTSIDE),
    "length": (_offered(length=SIZE * BUFFER + 1), BEYOND),
    "largest length": (_offered(length=0xFFFF_FFFF), BEYOND),
    "direction": (_offered(flags=WRITE), CHAIN),
    "loop": (_offered(flags=NEXT), CHAIN),
    "next": (_offered(flags=NEXT, following=SIZE), CHAIN),
    "table with next": (_offered(flags=INDIRECT | NEXT, addr=GUEST[0], length=32), CHAIN),
    "table of no entry": (_offered(flags=INDIRECT, addr=GUEST[0], length=0), CHAIN),
    "table of half an entry": (_offered(flags=INDIRECT, addr=GUEST[0], length=24), CHAIN),
    "unaligned table": (_offered(flags=INDIRECT, addr=GUEST[0] + 4, length=32), CHAIN),
    "table outside": (_offered(flags=INDIRECT, addr=0x1000, length=32), OUTSIDE),
    "table beyond": (_offered(flags=INDIRECT, addr=GUEST[1], length=SIZE * BUFFER + 16), BEYOND),
    "table in a table": (_in_table(INDIRECT, 0), CHAIN),
    "loop in a table": (_in_table(NEXT, 0), CHAIN),
    "next in a table": (_in_table(NEXT, 2), CHAIN),
    "memory": (then(_offered(), lambda d: os.ftruncate(d.fd, 0)), "memory that was cut short"),
}


def _room(**words: int) -> Callable[[FrontEnd], None]:
    def act(driver: FrontEnd) -> None:
        found = {"addr": GUEST[1], "length": 64, "flags": WRITE, "following": 0} | words
        driver.describe(RECEIVE, 0, found["addr"], found["length"], flags=found["flags"], following=found["following"])

    return act


SENDING: dict[str, tuple[Callable[[FrontEnd], object], str]] = {
    "index": (lambda d: d.store(RECEIVE * QUEUE + AVAIL + 2, 2 * SIZE + 1), INDEX),
    "head": (lambda d: d.store(RECEIVE * QUEUE + AVAIL + 4, 0xFFFF), INDEX),
    "address": (_room(addr=0), OUTSIDE),
    "length": (_room(length=0x8000_0000), BEYOND),
    "direction": (_room(flags=0), CHAIN),
    "loop": (_room(length=1, flags=WRITE | NEXT), CHAIN),
}


def _read(port: VhostUserPort) -> None:
    with pytest.raises(BlockingIOError):
        port.rings.read()


def _write(port: VhostUserPort) -> None:
    with pytest.raises(BrokenPipeError):
        port.rings.write(VNET + b"frame")


@pytest.mark.parametrize("name", [*(f"receive {one}" for one in RECEIVING), *(f"send {one}" for one in SENDING)])
def test_impossible_word_ends_the_connection_and_the_next_one_is_served(port: VhostUserPort, name: str) -> None:
    direction, _, name = name.partition(" ")
    act, words = (RECEIVING if direction == "receive" else SENDING)[name]
    with front_end_of(port) as driver:
        driver.connect()
        act(driver)
        (_read if direction == "receive" else _write)(port)
        assert driver.is_closed()
        until(lambda: not port.present, "the port has given it up")
    news = port.take_news()[0]
    assert f"the peer wrote {words}" in news or name == "memory"
    assert port.view()["faults"] == 1
    assert_served(port)


def test_table_that_was_not_agreed_on_ends_the_connection(port: VhostUserPort) -> None:
    with front_end_of(port) as driver:
        driver.connect(PLAIN & ~(1 << INDIRECT_DESC))
        _in_table(0, 0)(driver)
        _read(port)
        assert driver.is_closed()
    assert_served(port)


def test_chain_may_be_as_long_as_its_queue(port: VhostUserPort) -> None:
    with front_end_of(port) as driver:
        driver.connect()
        frame = bytes(n & 0xFF for n in range(SIZE * BUFFER - 12))
        for indirect in (False, True):
            driver.write(frame, indirect=indirect)
            assert port.rings.read() == VNET + frame
            assert driver.is_sent()


def test_frame_that_can_never_fit_is_refused_and_one_that_must_wait_is_not(port: VhostUserPort) -> None:
    room = SIZE * BUFFER - 12
    with front_end_of(port) as driver:
        driver.connect()
        with pytest.raises(OSError, match="Message too long"):
            port.rings.write(VNET + bytes(room + 1))
        assert port.rings.write(VNET + bytes(room)) == 10 + room
        with pytest.raises(OSError, match="No buffer space"):
            port.rings.write(VNET + b"frame")
        assert driver.read() == bytes(room)
        assert port.rings.write(VNET + b"frame") == 15


def test_header_may_be_cut_anywhere(port: VhostUserPort) -> None:
    """Also within the number of chains, in both directions."""
    with front_end_of(port) as driver:
        driver.connect()
        for cut in range(1, 16):
            data = bytes(12) + bytes(range(50))
            at = driver.half
            driver.memory[at : at + len(data)] = data
            driver.describe(TRANSMIT, 0, GUEST[1], cut, flags=NEXT, following=1)
            driver.describe(TRANSMIT, 1, GUEST[1] + cut, len(data) - cut, flags=0)
            driver.offer(TRANSMIT, 0)
            assert port.rings.read() == VNET + bytes(range(50))
            driver.memory[at : at + len(data)] = b"\xff" * len(data)
            head = driver.taken[RECEIVE] % SIZE
            driver.describe(RECEIVE, head, GUEST[1], cut, flags=WRITE | NEXT, following=(head + 1) % SIZE)
            driver.describe(RECEIVE, (head + 1) % SIZE, GUEST[1] + cut, 100, flags=WRITE)
            port.rings.write(VNET + bytes(range(50)))
            assert driver.take(RECEIVE) == (head, 62)
            assert driver.memory[at : at + 62] == bytes(10) + b"\x01\x00" + bytes(range(50))
            driver.describe(RECEIVE, head, GUEST[1], 0, flags=WRITE)
            driver.offer(RECEIVE, head)


def test_eventfd_that_is_made_to_block_does_not_hold_the_port(port: VhostUserPort) -> None:
    with front_end_of(port) as driver:
        driver.connect()
        os.set_blocking(driver.calls[RECEIVE], True)
        os.eventfd_write(driver.calls[RECEIVE], 0xFFFF_FFFF_FFFF_FFFE)
        writer = threading.Thread(target=port.rings.write, args=(VNET + b"frame",), daemon=True)
        writer.start()
        assert driver.is_closed()
        writer.join(LIMIT)
        assert not writer.is_alive()
    assert "the peer's eventfd blocks" in port.take_news()[0]
    assert_served(port)


def test_what_a_driver_sent_before_it_went_can_still_be_read(port: VhostUserPort) -> None:
    with front_end_of(port) as driver:
        driver.connect()
        driver.write(b"bye")
    assert port.rings.read() == VNET + b"bye"
    until(lambda: not port.present, "it has gone")
