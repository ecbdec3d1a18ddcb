"""A window whose file is cut short, replaced, or without memory: said in words, opened again, and no agent ends."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.harness.programs import VNETCARD, X86, privately, run
from tests.harness.restarts import ping, until
from tests.harness.traffic import pinging
from vnetcard.agent.control import ask
from vnetcard.codes.link import LinkReason
from vnetcard.errors import PeerGone
from vnetcard.lab.lab import Lab
from vnetcard.ring import layout as L
from vnetcard.window import locks

pytestmark = pytest.mark.root

MIB = 1 << 20
SPARSE = """
import os, sys
from vnetcard.ring.geometry import Geometry
path, kind = sys.argv[1:]
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
if kind == "laid out":
    os.write(fd, Geometry.plan(8 << 20, instance=1, removable=True).encode(magic=True))
os.truncate(path, 8 << 20)
"""


@pytest.mark.parametrize("kind", ["blank", "laid out"])
def test_sparse_file_on_a_full_file_system_is_refused_when_it_is_opened(tmp_path: Path, kind: str) -> None:
    make = f"{sys.executable} -c '{SPARSE}' {tmp_path}/window '{kind}'"
    mount = f"mount -t tmpfs -o size=2M,mode=755 tmpfs {tmp_path}\n{make}"
    done = run(privately(mount, [*X86, "--netns", "vnc-no-such", "--window", f"file:{tmp_path}/window"]))
    assert (done.status, done.stderr.count("\n")) == (2, 1), done
    assert f"no room for 8 MiB in {tmp_path} (No space left on device)" in done.stderr


class Place:
    """Two agents on a window in a tmpfs of 12 MiB, in a mount namespace of their own; ``window`` as seen from here."""

    def __init__(self, lab: Lab, root: Path, folder: Path) -> None:
        self.lab = lab
        self.folder = root / folder.relative_to("/")
        self.window = self.folder / "window"

    def reasons(self, side: int) -> set[str]:
        """The codes of the reasons of the link so far."""
        return {change["reason_code"] for change in ask(self.lab.url, side, "show")["link"]["history"]}

    def instance(self) -> bytes:
        """What tells one window from the next; empty while there is none."""
        with contextlib.suppress(OSError):
            return self.window.read_bytes()[: L.LINE]
        return b""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    mount = f"mount -t tmpfs -o size=12M,mode=755 tmpfs {tmp_path}; echo mounted; cat"
    with Lab("lost", window=f"file:{tmp_path}/window") as lab:
        holder = subprocess.Popen(privately(mount, ["true"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout is not None and holder.stdin is not None
            assert holder.stdout.readline() == "mounted\n"
            enter = [need("nsenter"), f"--mount=/proc/{holder.pid}/ns/mnt"]
            lab.commands = [[*enter, *command] for command in lab.commands]
            for side in (L.HOST, L.CARD):
                lab.start(side)
            lab.wait_up()
            yield Place(lab, Path(f"/proc/{holder.pid}/root"), tmp_path)
            for side in (L.HOST, L.CARD):
                assert lab.agent(side).poll() is None, "an agent ended"
                assert lab.stop(side) == 0
        finally:
            holder.communicate("", timeout=30)


def cut(size: int) -> Callable[[Place], object]:
    return lambda place: os.truncate(place.window, size)


def replace(place: Place) -> None:
    new = place.folder / "new"
    new.touch(0o600)
    new.replace(place.window)


def move_away(place: Place) -> None:
    place.window.rename(place.folder / "elsewhere")
    os.truncate(place.folder / "elsewhere", 0)  # no room for two in this file system


@pytest.mark.parametrize(
    "disturb",
    [cut(0), cut(4096), cut(MIB), replace, move_away, lambda place: place.window.unlink()],
    ids=["to nothing", "to a page", "in a ring", "replaced", "moved away", "deleted"],
)
def test_disturbed_window_is_opened_again_under_traffic(place: Place, disturb: Callable[[Place], object]) -> None:
    before = place.instance()
    with pinging(place.lab):
        disturb(place)
        until(lambda: place.instance() not in (b"", before, bytes(L.LINE)), "another window was made")
        place.lab.wait_up()
    ping(place.lab, L.HOST)
    for side in (L.HOST, L.CARD):
        assert place.reasons(side) & {LinkReason.WINDOW_LOST.value, LinkReason.DEVICE_GONE.value}


def test_memory_that_is_taken_away_is_a_lost_window_until_there_is_room_again(place: Place) -> None:
    """A hole in the rings, and no memory left for it: the kernel answers EFAULT to the pumps, SIGBUS to a store."""
    filler = place.folder / "filler"
    with pinging(place.lab):
        punch = [need("fallocate"), "--punch-hole", "--offset", str(64 << 10), "--length", str(8 * MIB - (64 << 10))]
        with filler.open("wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while file.write(bytes(MIB)):
                    pass
            subprocess.run([*punch, str(place.window)], check=True)
            with contextlib.suppress(OSError):
                while file.write(bytes(4096)):
                    pass

        def lost(side: int) -> bool:
            with contextlib.suppress(PeerGone):  # while it opens the window again
                link = ask(place.lab.url, side, "status")["link"]
                return (link["state"], link["reason_code"]) == ("gone", LinkReason.WINDOW_LOST.value)
            return False

        until(lambda: lost(L.HOST) or lost(L.CARD), "an agent says that the window is lost")
        for side in (L.HOST, L.CARD):
            assert place.lab.agent(side).poll() is None, "an agent ended"
        filler.unlink()
        place.lab.wait_up()
    ping(place.lab, L.HOST)
    shown = run([*VNETCARD, "show", "errors", "--window", place.lab.url, "--json"])
    assert shown.stdout.startswith("{"), shown
    assert '"drop_port_refused": 0' in shown.stdout.replace("'", '"') or "drop_port_refused" not in shown.stdout


def _has_open(pid: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return any(path.samefile(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.exists())
    return False


def test_agent_ends_soon_although_another_process_holds_the_creation_lock(tmp_path: Path) -> None:
    """While it waits for the lock at its start, and while it would remove the window at its end."""
    window = tmp_path / "window"
    window.touch(0o600)
    with Lab("lock", window=f"file:{window}+64K") as lab:
        fd = os.open(window, os.O_RDWR)
        assert locks.try_lock(fd, locks.CREATION)
        lab.launch(L.HOST)
        until(lambda: _has_open(lab.agent(L.HOST).pid, window), "the agent has opened the file")
        assert lab.stop(L.HOST, limit=10.0) == 0
        locks.unlock(fd, locks.CREATION)
        lab.start(L.HOST)
        assert locks.try_lock(fd, locks.CREATION)
        assert lab.stop(L.HOST, limit=10.0) == 0
        os.close(fd)
