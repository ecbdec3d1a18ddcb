"""QEMU's ivshmem protocol: the messages in their order, and peers that connect, interrupt, leave, or misbehave."""

from __future__ import annotations

import array
import contextlib
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.window import ivshmem_protocol
from vnetcard.window.ivshmem_protocol import Client, Server

SIZE = 64 << 10


@contextlib.contextmanager
def serving(path: Path) -> Iterator[Server]:
    until, write = os.pipe()
    server = Server(path, SIZE)
    thread = threading.Thread(target=server.serve, args=(until,))
    thread.start()
    try:
        yield server
    finally:
        os.write(write, b"x")
        thread.join()
        server.close()
        os.close(until)
        os.close(write)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    with serving(tmp_path / "sock"):
        yield tmp_path / "sock"
    assert not (tmp_path / "sock").exists()


def message(sock: socket.socket) -> tuple[int, int | None]:
    """As QEMU reads it: eight bytes, and a descriptor if one is there."""
    data, rights, _, _ = sock.recvmsg(8, socket.CMSG_SPACE(4))
    fds = array.array("i")
    for _, _, body in rights:
        fds.frombytes(body)
    return struct.unpack("<q", data)[0], fds[0] if fds else None


def test_messages_come_in_the_order_that_qemu_expects(path: Path) -> None:
    with contextlib.closing(Client(path)), socket.socket(socket.AF_UNIX) as qemu:
        qemu.connect(str(path))
        qemu.settimeout(5)
        messages = [message(qemu) for _ in range(7)]
        for _, fd in messages:
            os.close(fd) if fd is not None else None
    words = [(word, fd is not None) for word, fd in messages]
    assert words == [(0, False), (1, False), (-1, True), (0, True), (0, True), (1, True), (1, True)]


def test_all_share_one_memory_and_ring_one_another(path: Path) -> None:
    with contextlib.closing(Client(path)) as one, contextlib.closing(Client(path)) as two:
        os.pwrite(one.memory, b"across", 4096)
        assert os.pread(two.memory, 6, 4096) == b"across" and os.fstat(two.memory).st_size == SIZE
        for here, there in ((one, two), (two, one)):
            interrupts = here.of_peer(there.number)
            assert interrupts is not None
            for interrupt, eventfd in zip(interrupts, there.eventfds, strict=True):
                os.eventfd_write(interrupt.fd, 1)
                assert select.select([eventfd], [], [], 5)[0] == [eventfd]
                os.eventfd_read(eventfd)
        assert not select.select([*one.eventfds, *two.eventfds], [], [], 0)[0]


def test_number_is_never_0_and_a_client_that_left_has_none(path: Path) -> None:
    with contextlib.closing(Client(path)) as one:
        two = Client(path)
        number = two.number
        assert one.number != 0 and one.of_peer(number) and one.of_peer(one.number) is None
        two.close()
        while one.of_peer(number):
            select.select([], [], [], 0.001)
        assert one.of_peer(0) is None and one.of_peer(12345) is None
        assert one.lost() is None


def test_number_that_is_free_again_is_not_given_again_soon(path: Path) -> None:
    """QEMU 7.2 crashes when a number that has left is given to another peer."""
    with contextlib.closing(Client(path)) as one:
        numbers = [one.number]
        for _ in range(5):
            with contextlib.closing(Client(path)) as two:
                numbers.append(two.number)
                interrupts = one.of_peer(two.number)
                assert interrupts is not None
                os.eventfd_write(interrupts[0].fd, 1)
                assert select.select([two.eventfds[0]], [], [], 5)[0]
    assert len(set(numbers)) == len(numbers)


def test_end_of_the_server_is_reported(tmp_path: Path) -> None:
    with serving(tmp_path / "s"):
        client = Client(tmp_path / "s")
    assert client.lost() == f"the ivshmem server of {tmp_path / 's'} has ended"
    client.close()
    client.close()


def test_second_server_is_refused_and_a_killed_ones_socket_taken_over(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="another server serves there"):
        Server(path, SIZE)
    Client(path).close()
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "stale"))
    with serving(tmp_path / "stale"):
        Client(tmp_path / "stale").close()
    (tmp_path / "file").write_text("another program's")
    with pytest.raises(ConfigError, match=r"cannot serve at .*file"):
        Server(tmp_path / "file", SIZE)
    assert (tmp_path / "file").read_text() == "another program's"


# --- servers of other protocols ---------------------------------------------------------------------


def says(*words: int) -> Callable[[socket.socket], None]:
    return lambda sock: sock.sendall(b"".join(struct.pack("<q", word) for word in words))


def hands_out_one_vector(sock: socket.socket) -> None:
    with open(os.devnull, "rb") as file:  # noqa: PTH123
        says(0, 3)(sock)
        for word in (-1, 3):
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))]
            sock.sendmsg([struct.pack("<q", word)], rights)
        sock.recv(1)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (says(7), "it speaks version 7 of the protocol"),
        (says(0), "it ended before it sent our identity"),
        (says(0, -5), "-5 cannot be our identity"),
        (says(0, 1, -1), "it gave no memory"),
        (says(0, 1, 4), "it gave no memory"),
        (lambda sock: sock.sendall(b"HTTP"), "it ended before it sent its version"),
        (lambda sock: sock.recv(1), "timed out"),
        (hands_out_one_vector, "fewer than 2 interrupt vectors: start it with 2"),
    ],
)
def test_server_of_another_protocol_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Callable[[socket.socket], None], words: str
) -> None:
    monkeypatch.setattr(ivshmem_protocol, "HANDSHAKE_LIMIT", 0.5)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "odd"))
    listener.listen()

    def serve() -> None:
        with listener.accept()[0] as sock:
            server(sock)

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(WindowUnavailable, match=words):
        Client(tmp_path / "odd")
    thread.join()
    listener.close()


def test_missing_server_is_reported_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(WindowUnavailable, match=r"No such file or directory; start `vnetcard ivshmem-server"):
        Client(tmp_path / "none")
