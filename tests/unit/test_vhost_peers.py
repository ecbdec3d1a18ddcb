"""A vhost-user port against front-ends that break the rules on the control channel."""

from __future__ import annotations

import contextlib
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.harness.restarts import until
from tests.harness.vhost_front_end import (
    AVAIL,
    BUFFER,
    GUEST,
    LIMIT,
    SIZE,
    USED,
    USER,
    VNET,
    FrontEnd,
    assert_served,
    front_end_of,
    vhost_port,
)
from vnetcard.port import open_port, ring_port
from vnetcard.port.vhost_backend import RECEIVE, TRANSMIT
from vnetcard.port.vhost_protocol import (
    FEATURES,
    HEADER,
    IS_REPLY,
    NEED_REPLY,
    U64,
    RegionInfo,
    Request,
    VringAddr,
    VringState,
)
from vnetcard.port.vhost_user import MESSAGES_PER_SECOND, VhostUserPort

UNKNOWN = 77


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[VhostUserPort]:
    monkeypatch.setattr(ring_port, "RETRY_S", 0.01)
    with vhost_port() as opened:
        yield opened


def _state(request: Request, index: int, value: int) -> Callable[[FrontEnd], None]:
    return lambda d: d.send(request, VringState.FORMAT.pack(index, value))


def _table(*regions: tuple[int, int, int, int], count: int | None = None) -> bytes:
    head = struct.pack("<II", len(regions) if count is None else count, 0)
    return head + b"".join(RegionInfo.FORMAT.pack(*region) for region in regions)


def _region(
    guest: int = GUEST[0], size: int = 4096, user: int = USER[0], offset: int = 0
) -> Callable[[FrontEnd], None]:
    return lambda d: d.send(Request.SET_MEM_TABLE, _table((guest, size, user, offset)), d.fd)


def _file_as_region(driver: FrontEnd) -> None:
    with tempfile.TemporaryFile(dir="/var/tmp") as file:  # which /tmp may not be: on a disk
        file.truncate(4096)
        driver.send(Request.SET_MEM_TABLE, _table((0, 4096, 0, 0)), file.fileno())


def _queue_at(**parts: int) -> Callable[[FrontEnd], None]:
    """Started with one part of queue 0 at another place."""

    def act(driver: FrontEnd) -> None:
        driver.agree()
        driver.share()
        driver.start(TRANSMIT)
        words = asdict(VringAddr(*VringAddr.FORMAT.unpack(driver.addr(0))))
        driver.send(Request.SET_VRING_NUM, VringState.FORMAT.pack(0, SIZE))
        driver.send(Request.SET_VRING_ADDR, VringAddr.FORMAT.pack(*(words | parts).values()))
        driver.send(Request.SET_VRING_KICK, U64.pack(0), driver.kicks[0])
        driver.send(Request.SET_VRING_ENABLE, VringState.FORMAT.pack(0, 1))

    return act


def _fd_of(request: Request, *fds: str) -> Callable[[FrontEnd], None]:
    return lambda d: d.send(request, U64.pack(0), *(getattr(d, name) for name in fds))


NOT_THERE = "a queue is not within a region, not aligned, or of a wrong size"
BAD: dict[str, tuple[Callable[[FrontEnd], object], str]] = {
    "memif": (
        lambda d: d.socket.send(bytes(128)),
        "request 0 with flags 0x0 and 0 bytes: it does not speak vhost-user",
    ),
    "a reply": (lambda d: d.send(1, flags=IS_REPLY), "it does not speak vhost-user"),
    "version": (lambda d: d.socket.send(HEADER.pack(1, 2, 0)), "with flags 0x2"),
    "long": (lambda d: d.socket.send(HEADER.pack(1, 1, 4097)), "and 4097 bytes"),
    "unknown": (lambda d: d.send(UNKNOWN), "the unknown request 77"),
    "size": (lambda d: d.send(Request.SET_FEATURES, b"1234"), "SET_FEATURES with 4 bytes instead of 8"),
    "features": (lambda d: d.send(Request.SET_FEATURES, U64.pack(1 << 34)), "were not offered (0x400000000)"),
    "protocol features": (lambda d: d.send(Request.SET_PROTOCOL_FEATURES, U64.pack(1)), "were not offered (0x1)"),
    "no region": (lambda d: d.send(Request.SET_MEM_TABLE, _table()), "table of 0 regions has 8 bytes"),
    "nine regions": (
        lambda d: d.send(Request.SET_MEM_TABLE, _table(*[(0, 1, 0, 0)] * 9), *[d.fd] * 8),
        "table of 9 regions",
    ),
    "short table": (lambda d: d.send(Request.SET_MEM_TABLE, _table((0, 1, 0, 0), count=2), d.fd, d.fd), "has 40 bytes"),
    "no table": (lambda d: d.send(Request.SET_MEM_TABLE), "table of 0 regions has 0 bytes"),
    "no descriptor": (lambda d: d.send(Request.SET_MEM_TABLE, _table((0, 1, 0, 0))), "sent 0 descriptors with 1"),
    "many descriptors": (
        lambda d: d.send(Request.SET_MEM_TABLE, _table((0, 1, 0, 0)), d.fd, d.fd),
        "sent 2 descriptors with 1",
    ),
    "too many descriptors": (
        lambda d: d.send(Request.SET_MEM_TABLE, _table((0, 1, 0, 0)), *[d.fd] * 40),
        "more than 8 descriptors with one message",
    ),
    "no bytes": (_region(size=0), "region 0 has 0 bytes"),
    "many bytes": (_region(size=1 << 63), "has 9223372036854775808 bytes"),
    "wraps": (_region(guest=(1 << 64) - 1), "has 4096 bytes at 0xffffffffffffffff"),
    "offset": (_region(offset=(1 << 64) - 4096), "has 4096 bytes"),
    "beyond its file": (_region(size=1 << 40), "cannot be mapped"),
    "no memory": (_file_as_region, "cannot be mapped"),
    "second queue pair": (_state(Request.SET_VRING_NUM, 2, 8), "has a queue 2; this port has one pair, 0 and 1"),
    "queue size": (_state(Request.SET_VRING_NUM, 0, 9), "a queue of 9 chains"),
    "queue size 0": (_state(Request.SET_VRING_NUM, 0, 0), "a queue of 0 chains"),
    "large queue": (_state(Request.SET_VRING_NUM, 0, 1 << 16), "a queue of 65536 chains"),
    "base of a queue": (_state(Request.GET_VRING_BASE, 9, 0), "has a queue 9"),
    "no eventfd": (_fd_of(Request.SET_VRING_KICK, "fd"), "the front-end's kick is not an eventfd"),
    "no fd": (_fd_of(Request.SET_VRING_CALL), "sent 0 descriptors instead of one, the call"),
    "two fds": (_fd_of(Request.SET_VRING_ERR, "fd", "fd"), "sent 2 descriptors instead of one, the err"),
    "descriptors elsewhere": (_queue_at(desc=USER[0] - 16), NOT_THERE),
    "descriptors at the end": (_queue_at(desc=USER[1] + SIZE * BUFFER - 16), NOT_THERE),
    "descriptors unaligned": (_queue_at(desc=USER[0] + 8), NOT_THERE),
    "avail unaligned": (_queue_at(avail=USER[0] + AVAIL + 1), NOT_THERE),
    "used unaligned": (_queue_at(used=USER[0] + USED + 2), NOT_THERE),
    "used wraps": (_queue_at(used=(1 << 64) - 4), NOT_THERE),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_message_ends_the_connection_in_words_and_the_next_one_is_served(port: VhostUserPort, name: str) -> None:
    act, words = BAD[name]
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with front_end_of(port) as driver:
        act(driver)
        assert driver.is_closed()
    news: list[str] = []

    def explained() -> bool:
        news.extend(port.take_news())
        return bool(news)

    until(explained, "it says why")
    assert len(news) == 1 and words in news[0] and "\n" not in news[0], news
    assert_served(port)
    until(lambda: len(list(Path("/proc/self/fd").iterdir())) == descriptors, "no descriptor is left")


def test_front_end_that_asks_for_it_gets_each_message_acknowledged(port: VhostUserPort) -> None:
    """An unknown request is refused without an end of the connection; another bad one is refused, and ends it."""
    with front_end_of(port) as driver:
        driver.agree()
        assert driver.acknowledged(UNKNOWN) == 1
        assert driver.acknowledged(UNKNOWN, b"", driver.fd) == 1
        driver.share()
        for queue in (RECEIVE, TRANSMIT):
            driver.start(queue)
        assert port.present
        assert driver.acknowledged(Request.RESET_OWNER) == 0
        assert not port.present
        assert driver.acknowledged(Request.SET_VRING_NUM, VringState.FORMAT.pack(0, 7)) == 1
        assert driver.is_closed()
    assert_served(port)


def test_acknowledgement_is_sent_only_once_it_was_agreed_on(port: VhostUserPort) -> None:
    with front_end_of(port) as driver:
        driver.send(Request.SET_OWNER, flags=NEED_REPLY)
        assert driver.ask(Request.GET_FEATURES) == U64.pack(FEATURES)


def test_message_in_pieces_is_understood(port: VhostUserPort) -> None:
    with front_end_of(port) as driver:
        for byte in HEADER.pack(Request.GET_FEATURES, 1, 0):
            driver.socket.send(bytes([byte]))
        assert driver.answer(Request.GET_FEATURES) == U64.pack(FEATURES)
        driver.connect()
        assert port.present


def test_memory_of_a_guest_is_in_no_core_file(port: VhostUserPort) -> None:
    with front_end_of(port) as driver:
        driver.connect()
        maps = Path("/proc/self/smaps").read_text().split("/memfd:front-end")[1:]
        flags = [part[part.index("VmFlags:") :].partition("\n")[0].split() for part in maps]
        assert sorted("dd" in one for one in flags) == [False, True, True], "the driver's own, and both regions"


def test_second_front_end_is_turned_away(port: VhostUserPort) -> None:
    with front_end_of(port) as driver:
        driver.connect()
        with socket.socket(socket.AF_UNIX) as other:
            other.settimeout(LIMIT)
            other.connect(port.name)
            assert other.recv(128) == b""
        assert port.present
    assert_served(port)


def test_front_end_that_sends_without_end_is_slowed_down(port: VhostUserPort) -> None:
    """So that it takes no processor time from the agent's other threads."""
    began = time.monotonic()
    with front_end_of(port) as driver:
        for _ in range(MESSAGES_PER_SECOND + 1):
            driver.ask(Request.GET_FEATURES)
    assert time.monotonic() - began >= 1.0


def test_client_connects_to_a_front_end_that_listens_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "port"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with contextlib.closing(open_port(f"vhost-user:{path}?role=client")) as opened:
            assert isinstance(opened, VhostUserPort)
            for _ in range(2):
                with contextlib.closing(FrontEnd(listener.accept()[0])) as driver:
                    driver.connect()
                    driver.write(b"frame")
                    assert opened.rings.read() == VNET + b"frame"
