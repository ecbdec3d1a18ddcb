"""A window at an ivshmem server keeps the promises of any window, and has interrupts."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vnetcard.errors import ConfigError, LayoutMismatch, WindowNotReady, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.testing import WINDOW_CHECKS, OpenWindow
from vnetcard.window import open_window, read_window
from vnetcard.window.ivshmem_protocol import Client, Server

SIZE = 64 << 10


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The URL of a running server."""
    until, write = os.pipe()
    server = Server(tmp_path / "sock", SIZE)
    thread = threading.Thread(target=server.serve, args=(until,))
    thread.start()
    yield f"ivshmem:{tmp_path / 'sock'}"
    os.write(write, b"x")
    thread.join()
    server.close()
    os.close(until)
    os.close(write)


@pytest.mark.parametrize("check", WINDOW_CHECKS, ids=lambda check: check.__name__)
def test_window_keeps_its_promise(url: str, check: Callable[[OpenWindow], None]) -> None:
    open_window(url, side=L.HOST).close()  # the card can only attach to a window that is there
    check(lambda side: open_window(url, side=side))


def test_each_side_interrupts_the_other_by_the_number_in_its_side_block(url: str) -> None:
    with (
        contextlib.closing(open_window(url, side=L.HOST)) as host,
        contextlib.closing(open_window(url, side=L.CARD)) as card,
    ):
        assert host.interrupts and card.interrupts and not host.futex_wake, "a futex does not reach a virtual machine"
        for here, there in ((host.interrupts, card.interrupts), (card.interrupts, host.interrupts)):
            peer = here.of_peer(there.number)
            assert peer is not None
            for interrupt, eventfd in zip(peer, there.eventfds, strict=True):
                os.eventfd_write(interrupt.fd, 1)
                assert select.select([eventfd], [], [], 5)[0] == [eventfd]


def test_card_waits_for_the_host_and_foreign_memory_is_left_alone(url: str, tmp_path: Path) -> None:
    with pytest.raises(WindowNotReady, match="waiting for the host"):
        open_window(url, side=L.CARD)
    with contextlib.closing(Client(tmp_path / "sock")) as client:
        os.pwrite(client.memory, b"other data", 0)
    with pytest.raises(LayoutMismatch, match=r"no vnetcard window here.*\?format"):
        open_window(url, side=L.HOST)
    assert read_window(url, 10) == b"other data"
    open_window(f"{url}?format", side=L.HOST).close()


def test_wrong_requests_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no option 'fast'"):
        open_window(f"{url}?fast", side=L.HOST)
    with pytest.raises(ConfigError, match=r"asked for 128 KiB, the server's memory has 64 KiB"):
        open_window(f"{url}+128K", side=L.HOST)
    with pytest.raises(WindowUnavailable, match="start `vnetcard ivshmem-server"):
        open_window(f"{url}2", side=L.HOST)
