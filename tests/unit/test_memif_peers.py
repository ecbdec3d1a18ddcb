"""A memif port against peers that break the rules: on the control channel, and in the memory that both share."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import select
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vnetcard.port import open_port, ring_port
from vnetcard.port.memif import MemifPort
from vnetcard.port.memif_handshake import COOKIE
from vnetcard.port.memif_protocol import RING_S2M, VERSION, AddRegion, AddRing, Hello, Init, Kind

LIMIT = 30.0
SLOTS, BUFFER = 8, 256
RING = 128 + 16 * SLOTS
S2M, M2S, BUFFERS, SIZE = 0, RING, 2 * RING, 2 * RING + 2 * SLOTS * BUFFER
FLAGS, HEAD, TAIL, DESC = 4, 6, 64, 128
"""Offsets in a ring."""


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.001)


class RawPeer:
    """The other end of a port's control channel, message by message."""

    def __init__(self, peer: socket.socket) -> None:
        self.socket = peer
        peer.settimeout(LIMIT)

    def send(self, kind: int, body: bytes = b"", *fds: int) -> None:
        socket.send_fds(self.socket, [(struct.pack("=H", kind) + body).ljust(128, b"\0")], fds)

    def receive(self) -> tuple[Kind, bytes]:
        message, fds, _, _ = socket.recv_fds(self.socket, 129, 4)
        for fd in fds:
            os.close(fd)
        return (Kind(struct.unpack_from("=H", message)[0]), message[2:]) if message else (Kind.DISCONNECT, b"")

    def ask(self, kind: int, body: bytes = b"", *fds: int) -> None:
        self.send(kind, body, *fds)
        assert self.receive()[0] is Kind.ACK

    def refusal(self) -> str:
        """Why the port disconnects."""
        kind, body = self.receive()
        while kind is not Kind.DISCONNECT:
            kind, body = self.receive()
        return body[4:].partition(b"\0")[0].decode()

    def close(self) -> None:
        self.socket.close()


class Client(RawPeer):
    """A client that a server port knows, with memory that it can change."""

    def __init__(self, path: str, *, seals: int = 0) -> None:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        peer.connect(path)
        super().__init__(peer)
        self.fd = os.memfd_create("peer", os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, SIZE)
        if seals:
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)
        self.memory = mmap.mmap(self.fd, SIZE)
        self.event = os.eventfd(0, os.EFD_NONBLOCK)
        for at in (S2M, M2S):
            struct.pack_into("=I", self.memory, at, COOKIE)
        for slot in range(SLOTS):
            self.describe(S2M, slot)
            self.describe(M2S, slot)
        struct.pack_into("=H", self.memory, M2S + HEAD, SLOTS)
        assert self.receive()[0] is Kind.HELLO

    def describe(self, ring: int, slot: int, **values: int) -> None:
        own = BUFFERS + (ring == M2S) * SLOTS * BUFFER + slot * BUFFER
        words = {"flags": 0, "region": 0, "length": BUFFER, "offset": own} | values
        struct.pack_into("=HHII", self.memory, ring + DESC + 16 * slot, *words.values())

    def store(self, at: int, value: int) -> None:
        struct.pack_into("=H", self.memory, at, value & 0xFFFF)

    def connect(self) -> None:
        self.ask(Kind.INIT, init())
        self.ask(Kind.ADD_REGION, AddRegion.FORMAT.pack(0, SIZE), self.fd)
        for flags, ring in ((RING_S2M, S2M), (0, M2S)):
            self.ask(Kind.ADD_RING, add_ring(flags, offset=ring), self.event)
        self.send(Kind.CONNECT)
        assert self.receive()[0] is Kind.CONNECTED

    def close(self) -> None:
        super().close()
        self.memory.close()
        os.close(self.fd)
        os.close(self.event)


def init(*, version: int = VERSION, number: int = 0, mode: int = 0) -> bytes:
    return Init.FORMAT.pack(version, number, mode, b"", b"raw")


def add_ring(flags: int, *, index: int = 0, region: int = 0, offset: int = 0, log2: int = 3) -> bytes:
    return AddRing.FORMAT.pack(flags, index, region, offset, log2, 0)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemifPort]:
    monkeypatch.setattr(ring_port, "RETRY_S", 0.01)
    with tempfile.TemporaryDirectory(prefix="vnc-") as folder:
        opened = open_port(f"memif:{folder}/port?role=server")
        assert isinstance(opened, MemifPort)
        with contextlib.closing(opened):
            yield opened


@contextlib.contextmanager
def client_of(port: MemifPort, **how: int) -> Iterator[Client]:
    with contextlib.closing(Client(port.name, **how)) as client:
        yield client


def assert_served(port: MemifPort) -> None:
    """A client that keeps the rules gets its turn, and frames cross."""
    until(lambda: not port.present, "the last peer has gone")
    with client_of(port) as client:
        client.connect()
        until(lambda: port.present, "the port is connected")
        client.memory[BUFFERS : BUFFERS + BUFFER] = bytes(range(256))
        client.store(S2M + HEAD, 1)
        assert port.rings.read() == bytes(range(256))
        assert port.rings.write(b"x" * 300) == 300
        assert struct.unpack_from("=H", client.memory, M2S + TAIL)[0] == 2
    port.take_news()


# --- the control channel ------------------------------------------------------------------------------


def then(*steps: Callable[[Client], object]) -> Callable[[Client], None]:
    """One after the other."""

    def act(client: Client) -> None:
        for step in steps:
            step(client)

    return act


def _region(client: Client, **values: int) -> None:
    words = {"index": 0, "size": SIZE} | values
    client.send(Kind.ADD_REGION, AddRegion.FORMAT.pack(*words.values()), client.fd)


def _init_first(client: Client) -> None:
    client.ask(Kind.INIT, init())


def _regions_first(client: Client) -> None:
    _init_first(client)
    client.ask(Kind.ADD_REGION, AddRegion.FORMAT.pack(0, SIZE), client.fd)


def _ring(client: Client, **values: int) -> None:
    _regions_first(client)
    client.send(Kind.ADD_RING, add_ring(RING_S2M, **values), client.event)


def _ring_with(client: Client, fd: int) -> None:
    _regions_first(client)
    client.send(Kind.ADD_RING, add_ring(RING_S2M), fd)


def _both_rings(client: Client, **values: int) -> None:
    _regions_first(client)
    for flags, ring in ((RING_S2M, S2M), (0, M2S)):
        client.ask(Kind.ADD_RING, add_ring(flags, **({"offset": ring} | values)), client.event)
    client.send(Kind.CONNECT)


def _file_as_region(client: Client) -> None:
    _init_first(client)
    with tempfile.TemporaryFile(dir="/var/tmp") as file:  # which /tmp may not be: on a disk
        file.truncate(SIZE)
        client.send(Kind.ADD_REGION, AddRegion.FORMAT.pack(0, SIZE), file.fileno())


def _no_cookie(client: Client) -> None:
    client.memory[S2M : S2M + 4] = bytes(4)
    _both_rings(client)


BAD: dict[str, tuple[Callable[[Client], object], str]] = {
    "short": (lambda c: c.socket.send(b"x"), "a message of 1 bytes"),
    "unknown kind": (lambda c: c.send(77), "unknown kind 77"),
    "no INIT": (lambda c: c.send(Kind.CONNECT), "sent CONNECT instead of INIT"),
    "version": (lambda c: c.send(Kind.INIT, init(version=0x0100)), "speaks memif 1.0, this port 2.0"),
    "id": (lambda c: c.send(Kind.INIT, init(number=9)), "asks for the interface id 9"),
    "mode": (lambda c: c.send(Kind.INIT, init(mode=1)), "asks for mode 1"),
    "region number": (then(_init_first, lambda c: _region(c, index=1)), "adds region 1 after 0"),
    "no bytes": (then(_init_first, lambda c: _region(c, size=0)), "has 0 bytes"),
    "many bytes": (then(_init_first, lambda c: _region(c, size=1 << 63)), "has 9223372036854775808 bytes"),
    "beyond its file": (then(_init_first, lambda c: _region(c, size=SIZE + 1)), "cannot be mapped"),
    "no memory": (_file_as_region, "cannot be mapped"),
    "no descriptor": (
        then(_init_first, lambda c: c.send(Kind.ADD_REGION, AddRegion.FORMAT.pack(0, SIZE))),
        "sent 0 descriptors",
    ),
    "many descriptors": (
        then(_init_first, lambda c: c.send(Kind.ADD_REGION, AddRegion.FORMAT.pack(0, SIZE), *[c.fd] * 3)),
        "sent 3 descriptors",
    ),
    "second queue": (lambda c: _ring(c, index=1), "a second ring in one direction"),
    "ring size": (lambda c: _ring(c, log2=15), "a ring of 2**15 slots"),
    "no eventfd": (lambda c: _ring_with(c, c.fd), "is not an eventfd"),
    "no rings": (then(_regions_first, lambda c: c.send(Kind.CONNECT)), "has no ring in each direction"),
    "ring region": (lambda c: _both_rings(c, region=1), "not in their region, or it has no cookie"),
    "ring end": (lambda c: _both_rings(c, offset=SIZE - 64), "not in their region, or it has no cookie"),
    "ring alignment": (lambda c: _both_rings(c, offset=4), "not in their region, or it has no cookie"),
    "cookie": (_no_cookie, "not in their region, or it has no cookie"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_message_is_refused_in_words_and_the_next_client_is_served(port: MemifPort, name: str) -> None:
    act, words = BAD[name]
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with client_of(port) as client:
        act(client)
        assert words in client.refusal()
    news = port.take_news()
    assert len(news) == 1 and words in news[0], news
    assert_served(port)
    until(lambda: len(list(Path("/proc/self/fd").iterdir())) == descriptors, "no descriptor is left")


def test_second_client_is_turned_away(port: MemifPort) -> None:
    with client_of(port) as client:
        client.connect()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.settimeout(LIMIT)
            other.connect(port.name)
            assert other.recv(128) == b""
        assert port.present
    assert_served(port)


def test_client_port_refuses_a_server_of_another_version(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "port"))
        listener.listen()
        with contextlib.closing(open_port(f"memif:{tmp_path / 'port'}")):
            server = RawPeer(listener.accept()[0])
            with contextlib.closing(server):
                server.send(Kind.HELLO, Hello.FORMAT.pack(b"old", 0x0100, 0x0100, 1, 0, 0, 10))
                assert "the server speaks memif 1.0 to 1.0, this port 2.0" in server.refusal()


# --- the memory ---------------------------------------------------------------------------------------


def _send_one(client: Client, **values: int) -> None:
    client.describe(S2M, 0, **values)
    client.store(S2M + HEAD, 1)


RECEIVING: dict[str, tuple[Callable[[Client], object], str]] = {
    "index": (lambda c: c.store(S2M + HEAD, SLOTS + 1), "an index beyond its ring"),
    "index before": (lambda c: c.store(S2M + HEAD, -1), "an index beyond its ring"),
    "region": (lambda c: _send_one(c, region=1), "a descriptor of an unknown region"),
    "offset": (lambda c: _send_one(c, offset=SIZE - BUFFER + 1), "a descriptor beyond its region or buffer"),
    "offset wraps": (lambda c: _send_one(c, offset=0xFFFF_FF80), "a descriptor beyond its region or buffer"),
    "length": (lambda c: _send_one(c, length=0xFFFF_FFFF), "a descriptor beyond its region or buffer"),
    "chain": (lambda c: _send_one(c, flags=1), "a frame without its last descriptor"),
    "memory": (then(_send_one, lambda c: os.ftruncate(c.fd, 0)), "memory that was cut short"),
}
SENDING: dict[str, tuple[Callable[[Client], object], str]] = {
    "index": (lambda c: c.store(M2S + HEAD, SLOTS + 1), "an index beyond its ring"),
    "region": (lambda c: c.describe(M2S, 0, region=7), "a descriptor of an unknown region"),
    "offset": (lambda c: c.describe(M2S, 0, offset=SIZE - 1), "a descriptor beyond its region or buffer"),
}


def _read(port: MemifPort) -> None:
    with pytest.raises(BlockingIOError):
        port.rings.read()


def _write(port: MemifPort) -> None:
    with pytest.raises(BrokenPipeError):
        port.rings.write(b"frame")


@pytest.mark.parametrize("name", [*(f"receive {one}" for one in RECEIVING), *(f"send {one}" for one in SENDING)])
def test_impossible_word_ends_the_connection_and_the_next_client_is_served(port: MemifPort, name: str) -> None:
    direction, _, name = name.partition(" ")
    act, words = (RECEIVING if direction == "receive" else SENDING)[name]
    with client_of(port) as client:
        client.connect()
        act(client)
        (_read if direction == "receive" else _write)(port)
        if name != "memory":
            assert client.refusal() == f"the peer wrote {words}"
        until(lambda: not port.present, "the port has given it up")
    assert words in port.take_news()[0] or name == "memory"
    assert port.view()["faults"] == 1
    assert_served(port)


def test_frame_that_can_never_fit_is_refused_and_one_that_must_wait_is_not(port: MemifPort) -> None:
    with client_of(port) as client:
        client.connect()
        with pytest.raises(OSError, match="Message too long"):
            port.rings.write(bytes(SLOTS * BUFFER + 1))
        assert port.rings.write(bytes(SLOTS * BUFFER)) == SLOTS * BUFFER
        with pytest.raises(OSError, match="No buffer space"):
            port.rings.write(b"frame")
        client.store(M2S + HEAD, 2 * SLOTS)
        assert port.rings.write(b"frame") == 5


def test_peer_that_polls_is_not_notified_and_one_that_sleeps_is(port: MemifPort) -> None:
    with client_of(port) as client:
        client.connect()
        client.store(M2S + FLAGS, 1)
        port.rings.write(b"frame")
        assert not select.select([client.event], [], [], 0)[0]
        client.store(M2S + FLAGS, 0)
        port.rings.write(b"frame")
        assert select.select([client.event], [], [], 0)[0]


def test_eventfd_that_is_made_to_block_does_not_hold_the_port(port: MemifPort) -> None:
    with client_of(port) as client:
        client.connect()
        os.set_blocking(client.event, True)
        os.eventfd_write(client.event, 0xFFFF_FFFF_FFFF_FFFE)
        writer = threading.Thread(target=port.rings.write, args=(b"frame",), daemon=True)
        writer.start()
        assert client.refusal() == "the peer's eventfd blocks"
        writer.join(LIMIT)
        assert not writer.is_alive()
    assert_served(port)


def test_what_a_peer_sent_before_it_went_can_still_be_read(port: MemifPort) -> None:
    with client_of(port) as client:
        client.connect()
        client.memory[BUFFERS : BUFFERS + 3] = b"bye"
        _send_one(client, length=3)
    assert port.rings.read() == b"bye"
    until(lambda: not port.present, "it has gone")
