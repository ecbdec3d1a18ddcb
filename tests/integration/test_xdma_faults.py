"""XDMA's channels when they misbehave, as real files to real calls: short, busy, failing, late and removed."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.engine_restarts import KEEP, start_both
from tests.harness.fake_board import FakeBoard
from tests.harness.faulty_memory import Memory, fails, unsteady
from tests.harness.fuse_device import fuse_devices
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.programs import LIMIT, VNETCARD, X86, run, started
from tests.harness.restarts import OUTAGE, ping, ping_suite, until
from tests.harness.xdma_lab import ADDRESS, SIZE, XdmaLab, devices
from vnetcard.agent.control import ask
from vnetcard.errors import WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.window import open_window
from vnetcard.x86_side.xdma import copier_thread
from vnetcard.x86_side.xdma.channel import CardMemory, DeviceChannel, DeviceGone, TransferFailed

pytestmark = pytest.mark.root

DATA = bytes(range(256)) * 8
BEAT = L.side_offset(L.HOST) + L.SIDE_CONTROL.offset("heartbeat")


# --- transfers ---------------------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[Memory]:
    memory = Memory()
    yield memory
    memory.close()


@pytest.fixture
def card(memory: Memory, tmp_path: Path) -> Iterator[CardMemory]:
    """Both channels to ``memory``."""
    with fuse_devices(tmp_path, {"h2c": memory, "c2h": memory}):
        to_card, from_card = (DeviceChannel(tmp_path / name, to_card=name == "h2c") for name in ("h2c", "c2h"))
        yield CardMemory(to_card, from_card, base=0, size=4 << 20)
        to_card.close()
        from_card.close()


@pytest.mark.parametrize("act", [lambda move, count: min(count, 7), unsteady], ids=["short", "unsteady"])
def test_short_and_busy_transfers_come_to_their_end(
    card: CardMemory, memory: Memory, act: Callable[[int, int], int]
) -> None:
    memory.act = act
    card.write(0x40, DATA)
    assert card.read(0x40, len(DATA)) == DATA


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EIO, "a write over .*h2c failed .Input/output error. at card address 0x40"),
        (errno.ETIMEDOUT, "TIMEOUT, .*h2c timed out at card address 0x40"),
        (errno.EAGAIN, "TIMEOUT, .*h2c was busy for 2 s at card address 0x40"),
        (errno.ENODEV, "h2c is gone .No such device.: was the card removed"),
    ],
)
def test_failed_transfer_is_reported_with_its_cause(card: CardMemory, memory: Memory, number: int, words: str) -> None:
    memory.act = fails(number)
    with pytest.raises((TransferFailed, DeviceGone), match=words):
        card.write(0x40, DATA)


def test_transfers_obey_the_drivers_rules_whatever_the_buffer(card: CardMemory) -> None:
    """Odd offsets and lengths, buffers aligned otherwise than the card's address, more than the bounce buffer takes."""
    for offset, count in ((0, 1), (3, 61), (0x41, 5000), (0x1000, 3 << 20)):
        data = (DATA * (count // len(DATA) + 1))[:count]
        card.write(offset, data)
        for lead in (0, 1, 33):
            room = memoryview(bytearray(lead + count))[lead:]
            card.read_into(offset, room)
            assert room == data


@pytest.mark.parametrize("call", ["preadv", "readv"])
def test_vectored_call_stops_the_mock_as_it_stops_a_host(tmp_path: Path, memory: Memory, call: str) -> None:
    with (
        pytest.raises(AssertionError, match="would have crashed"),
        fuse_devices(tmp_path, {"c2h": memory}),
        (tmp_path / "c2h").open("rb", buffering=0) as file,
        pytest.raises(OSError, match="Input/output error"),
    ):
        room = [bytearray(64)]
        os.preadv(file.fileno(), room, 0x40) if call == "preadv" else os.readv(file.fileno(), room)


# --- a link over them --------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path / "root"))
    return FakeBoard(tmp_path / "root")


def test_link_lives_with_unsteady_channels_and_comes_back_from_failing_ones(tree: FakeBoard) -> None:
    with XdmaLab(tree) as lab:
        memory, mount = Memory(lab.memory), lab.memory.parent / "fuse"
        mount.mkdir()
        names = [f"xdma0_{direction}_0" for direction in ("h2c", "c2h")]
        with contextlib.closing(memory), fuse_devices(mount, dict.fromkeys(names, memory)):
            for name in names:
                (lab.memory.parent / name).unlink()
                (lab.memory.parent / name).symlink_to(mount / name)
            memory.act = unsteady
            start_both(lab, *KEEP)
            ping_suite(lab)
            view = assert_ledgers_balance(lab)[L.HOST]
            assert view["engine"]["retries"] > 0 and view["engine"]["halts"] == 0
            for number, state, words in (
                (errno.EIO, "halted", "(Input/output error) at card address"),
                (errno.ETIMEDOUT, "halted", "timed out at card address"),
                (errno.ENODEV, "gone", "is gone (No such device)"),
            ):
                memory.act = fails(number)
                assert words in lab.wait_for(L.HOST, state)["link"]["reason"]
                memory.act = unsteady
                lab.wait_up()
                ping(lab, L.CARD)
                if state == "halted":  # an agent that ends takes its ledger along: the host's memory is created again
                    assert_ledgers_balance(lab, allow=OUTAGE)


def test_agent_answers_while_a_transfer_hangs_and_notices_the_removal_within_a_second(
    tree: FakeBoard, tmp_path: Path
) -> None:
    """A wrong card address: the stock driver holds the call for 10 s, then fails it with ETIMEDOUT."""

    def hangs(move: int, count: int) -> int:
        time.sleep(3)
        raise OSError(errno.ETIMEDOUT, "")

    with XdmaLab(tree, options="?format") as lab:
        memory, mount = Memory(lab.memory), lab.memory.parent / "fuse"
        mount.mkdir()
        names = [f"xdma0_{direction}_0" for direction in ("h2c", "c2h")]
        with contextlib.closing(memory), fuse_devices(mount, dict.fromkeys(names, memory)):
            for name in names:
                (lab.memory.parent / name).unlink()
                (lab.memory.parent / name).symlink_to(mount / name)
            start_both(lab, *KEEP)
            shown = run([*VNETCARD, "status", "--window", lab.url.partition("?")[0]])
            assert shown.status == 0, "status finds the agent without its options"
            memory.act = hangs
            time.sleep(0.3)
            start = time.monotonic()
            lab.status(L.HOST)
            assert time.monotonic() - start < 1, "the agent answers during the transfer"
            assert "timed out at card address" in lab.wait_for(L.HOST, "halted")["link"]["reason"]
            time.sleep(0.3)
            (lab.memory.parent / names[1]).rename(lab.memory.parent / "removed")
            start = time.monotonic()
            assert names[1] in lab.wait_for(L.HOST, "gone")["link"]["reason"]
            assert time.monotonic() - start < 1.5, "the removal must be noticed within a second, plus a margin"
            memory.act = lambda move, count: count
            (lab.memory.parent / "removed").rename(lab.memory.parent / names[1])
            lab.wait_up()
            ping(lab, L.CARD)


class Stuck:
    """An ``act`` that lets the first moves pass, and holds all others until ``release``."""

    def __init__(self, first: int) -> None:
        self._first, self._free = first, threading.Event()
        self.held = threading.Event()

    def __call__(self, move: int, count: int) -> int:
        if move > self._first:
            self.held.set()
            self._free.wait()
        return count

    def release(self) -> None:
        self._free.set()


@contextlib.contextmanager
def stuck_host(tree: FakeBoard, tmp_path: Path, first: int) -> Iterator[subprocess.Popen[str]]:
    """The host's agent, whose transfers from number ``first`` on do not return; the card has no agent."""
    memory, mount = Memory(devices(tree)), tmp_path / "devices"
    mount.mkdir()
    names = [f"xdma0_{direction}_0" for direction in ("h2c", "c2h")]
    memory.act = act = Stuck(first)
    with contextlib.closing(memory), fuse_devices(mount, dict.fromkeys(names, memory)):
        for name in names:
            (tree.root / "dev" / name).unlink()
            (tree.root / "dev" / name).symlink_to(mount / name)
        words = ["--window", URL_AT, "--name", "vncstuck", "--address", "none"]
        with started([*X86, *words]) as agent:
            try:
                assert act.held.wait(LIMIT), "the agent has begun no transfer that hangs"
                yield agent
            finally:
                act.release()


ENDS_WITHIN = 8.0
"""Seconds: less than the 10 s for which a call waits for a transfer, and the agent needs little more than one."""
URL_AT = f"xdma:0@{ADDRESS:#x}+{SIZE}"


@pytest.mark.parametrize("first", [0, 1, 2], ids=["at the first check", "at the second check", "with the link"])
def test_agent_whose_transfer_hangs_ends_on_sigterm_and_names_the_address(
    tree: FakeBoard, tmp_path: Path, first: int
) -> None:
    """The kernel lets no process end that waits in this driver: what can be seen is the agent's last line."""
    with stuck_host(tree, tmp_path, first) as agent:
        agent.send_signal(signal.SIGTERM)
        assert agent.stderr is not None
        address = ADDRESS + SIZE - L.LINE if first == 0 else ADDRESS
        words = f"at card address {address:#x} has not returned for"
        seen = ""
        deadline = time.monotonic() + ENDS_WITHIN
        while words not in seen:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([agent.stderr], [], [], left)[0], f"not named: {seen}"
            piece = os.read(agent.stderr.fileno(), 1 << 16).decode()
            assert piece, f"ended without naming it: {seen}"
            seen += piece
    assert agent.returncode == 0


def test_agent_answers_and_beats_while_the_link_waits_for_a_transfer(tree: FakeBoard, tmp_path: Path) -> None:
    def status() -> dict[str, Any]:
        return ask(f"xdma:0@{ADDRESS:#x}", L.HOST, "status")

    def beat() -> int:
        return int.from_bytes(own_window()[BEAT : BEAT + 4], "little")

    def own_window() -> bytes:
        (path,) = Path("/dev/shm").glob(f"vnetcard-xdma-*{tree.root.name}*")
        return path.read_bytes()[: L.rings_offset(1)]

    with stuck_host(tree, tmp_path, 2):
        until(lambda: "has not returned for" in status()["engine"]["engine"], "status names it")
        before = beat()
        until(lambda: beat() != before, "the heartbeat moves")


def test_devices_of_a_hanging_transfer_are_closed_once_it_returns(
    tree: FakeBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While they are open the driver gives a rescanned card another number, and the link would not come back."""
    monkeypatch.setattr(copier_thread, "CALL_LIMIT", 0.1)
    monkeypatch.setattr(copier_thread, "STOP_LIMIT", 0.1)

    def open_devices() -> list[str]:
        links = []
        for path in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # that of the listing
                links.append(str(path.readlink()))
        return [link for link in links if "xdma0_" in link]

    memory, mount = Memory(devices(tree)), tmp_path / "devices"
    mount.mkdir()
    names = [f"xdma0_{direction}_0" for direction in ("h2c", "c2h")]
    memory.act = act = Stuck(2)
    with contextlib.closing(memory), fuse_devices(mount, dict.fromkeys(names, memory)):
        for name in names:
            (tree.root / "dev" / name).unlink()
            (tree.root / "dev" / name).symlink_to(mount / name)
        try:
            window = open_window(URL_AT, side=L.HOST)
            assert window.engine is not None
            with pytest.raises(WindowUnavailable, match="did not return"):
                window.engine.announce()
            window.close()
            assert len(open_devices()) == 2
        finally:
            act.release()
        until(lambda: open_devices() == [], "both devices are closed")
