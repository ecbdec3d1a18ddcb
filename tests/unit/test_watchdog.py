"""systemd's watchdog hears from a process that was asked to speak, three times in its interval, and from no other."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vnetcard.agent.service import Watchdog


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield manager


def heard(manager: socket.socket) -> list[bytes]:
    told = []
    while True:
        try:
            told.append(manager.recv(4096))
        except BlockingIOError:
            return told


def test_watchdog_is_told_three_times_in_its_interval(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    watchdog = Watchdog()
    for _ in range(30):
        watchdog.beat()
        now[0] += 0.1
    assert heard(manager) == [b"WATCHDOG=1"] * 3


@pytest.mark.parametrize(
    "asked", [{}, {"WATCHDOG_USEC": ""}, {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}], ids=str
)
def test_nobody_is_told_who_did_not_ask_this_process(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str]
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    Watchdog().beat()
    assert heard(manager) == []
