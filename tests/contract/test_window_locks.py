"""Who holds a window's locks: named from what the kernel shows, never from what the window says."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.programs import started
from vnetcard.agent.pulse import Pulse as AgentPulse
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.window import file_backed, locks, open_window, read_window

HOLD = """
import fcntl, os, signal, struct, sys
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, int(sys.argv[2]), 1, 0))
print("held", flush=True)
signal.pause()
"""


@pytest.fixture
def place(tmp_path: Path) -> tuple[str, Path]:
    return f"file:{tmp_path}/window+64K", tmp_path / "window"


@contextlib.contextmanager
def held(path: Path, byte: int) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a lock on the file."""
    with started([sys.executable, "-c", HOLD, str(path), str(byte)]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_pid_that_is_forged_in_the_window_is_not_believed(place: tuple[str, Path]) -> None:
    url, path = place
    with contextlib.closing(open_window(url, side=L.CARD)) as window:
        at = L.side_offset(L.HOST) + L.LINE + L.SIDE_IDENTITY.offset("pid")
        with held(path, L.HOST) as process:
            window.memory.store32(at, 1)
            with pytest.raises(WindowUnavailable, match=rf"is taken by process {process.pid} \(python") as caught:
                open_window(url, side=L.HOST)
        assert caught.value.code == ErrorCode.WINDOW_TAKEN


def test_first_process_is_never_to_be_stopped(place: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    _, path = place
    path.touch()
    fd = os.open(path, os.O_RDWR)
    for found, wrong in ((locks.Process(1, "systemd"), "stop"), (None, "stop")):
        monkeypatch.setattr(locks, "holder", lambda fd, byte, found=found: found)
        text = str(locks.taken(fd, 0, "the host side of file:x"))
        assert wrong not in text and "end it" not in text and text.endswith("name another --window")
    os.close(fd)


@pytest.mark.parametrize("kind", ["OFD", "POSIX", "flock"])
def test_holder_is_found_for_every_kind_of_lock(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    path.touch()
    how = {"OFD": None, "POSIX": "fcntl.lockf(fd, fcntl.LOCK_EX)", "flock": "fcntl.flock(fd, fcntl.LOCK_EX)"}[kind]
    script = HOLD if how is None else HOLD.replace(HOLD.splitlines()[3], how)
    fd = os.open(path, os.O_RDWR)
    assert locks.holder(fd, 2) is None
    with started([sys.executable, "-c", script, str(path), "2"]) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = locks.holder(fd, 2)
        assert found is not None and found.pid == process.pid
    os.close(fd)


def test_wait_for_a_creation_lock_ends_with_the_pulse_and_names_the_holder(place: tuple[str, Path]) -> None:
    url, path = place
    path.touch(0o600)

    def pulse() -> None:
        raise WindowUnavailable("the agent was told to stop")

    with held(path, locks.CREATION) as process:
        with pytest.raises(WindowUnavailable, match=rf"told to stop: process {process.pid} \(python.* holds"):
            open_window(url, side=L.HOST, pulse=pulse)
        assert path.stat().st_size == 0


def test_agent_that_stops_waits_for_no_other_process(place: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, path = place
    monkeypatch.setattr("vnetcard.agent.pulse.STOP_GRACE", 3600.0)  # a device's
    path.touch(0o600)
    pulse = AgentPulse(lambda: None)
    pulse.stop()
    pulse()
    with held(path, locks.CREATION), pytest.raises(WindowUnavailable, match="told to stop: process"):
        open_window(url, side=L.HOST, pulse=pulse)
    assert file_backed.REMOVAL_LIMIT < 0.2  # SIGTERM ends an agent within that time


def test_wait_for_a_creation_lock_is_bounded(place: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, path = place
    monkeypatch.setattr("vnetcard.window.file_backed.CREATION_LIMIT", 0.05)
    path.touch(0o600)
    with held(path, locks.CREATION), pytest.raises(WindowUnavailable, match="creation lock of file:") as caught:
        open_window(url, side=L.HOST)
    assert caught.value.code == ErrorCode.WINDOW_BUSY


def test_held_creation_lock_keeps_no_window_from_being_closed(place: tuple[str, Path]) -> None:
    url, path = place
    window = open_window(url, side=L.HOST)
    with held(path, locks.CREATION) as process:
        began = time.monotonic()
        with pytest.raises(WindowUnavailable, match=f"process {process.pid} "):
            window.close()
        assert time.monotonic() - began < 10, "it waited as long as for a creator"
        window.close()
        fd = os.open(path, os.O_RDWR)
        assert not locks.is_locked(fd, L.HOST), "the side is not free"
        os.close(fd)
    open_window(url, side=L.HOST).close()
    assert not path.exists()


def test_reading_is_bounded_for_fifos_devices_and_endless_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 1 << 40)
    for path, code in (
        (tmp_path / "fifo", ErrorCode.BAD_URL),
        (Path("/dev/zero"), ErrorCode.BAD_URL),
        (Path("/dev/tty"), None),
        (tmp_path / "large", ErrorCode.WINDOW_SIZE),
    ):
        with pytest.raises(WindowUnavailable) as caught:
            read_window(f"file:{path}")
        assert code is None or caught.value.code == code, path
    assert read_window("file:/proc/self/maps") == b"", "a file without a size may be endless"
    assert len(read_window(f"file:{tmp_path}/large", 100)) == 100
