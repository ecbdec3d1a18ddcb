"""The guest by itself: it boots, has the BAR, runs commands, and reports why it does not boot."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from vnetcard.lab.lab import LabError
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.qemu import Guest

pytestmark = [pytest.mark.e2e, pytest.mark.arm64, pytest.mark.slow]

BAR = 1 << 20
READ_BAR = """
import glob, mmap, os, sys
(device,) = (path for path in glob.glob("/sys/bus/pci/devices/*") if open(path + "/device").read() == "0x1110\\n")
open(device + "/enable", "w").write("1")
with open(device + "/resource2_wc", "r+b") as file:
    bar = mmap.mmap(file.fileno(), 0)
seen = bar[-8:]
bar[:8] = b"from ARM"
print(os.uname().machine, len(bar), seen.decode())
"""


@pytest.fixture
def memory() -> Iterator[Path]:
    """The file behind the BAR."""
    path = Path(f"/dev/shm/vnetcard-test-{os.getpid()}-bar")
    path.write_bytes(bytes(BAR - 8) + b"from x86")
    yield path
    path.unlink()


def test_guest_shares_a_bar_and_runs_commands(image: Image, memory: Path) -> None:
    with Guest(image, memory) as guest:
        assert "aarch64" in guest.ready
        done = guest.run("python3", "-", text=READ_BAR)
        assert (done.status, done.stdout, done.stderr) == (0, f"aarch64 {BAR} from x86\n", "")
        assert memory.read_bytes()[:8] == b"from ARM"
        assert guest.run("sh", "-c", "echo trouble >&2; exit 3").stderr == "trouble\n"
        assert guest.run("no-such-program").status == 127
        sleeper = guest.start("sh", "-c", "echo now; sleep 1000")
        assert guest.wait_for_output(sleeper, "now") == "now"
        with pytest.raises(LabError, match=r"`sh .* has not ended after 0 s"):
            guest.wait(sleeper, limit=0.1)
        guest.signal(sleeper, signal.SIGTERM)
        assert guest.wait(sleeper).status == -signal.SIGTERM
        os.kill(guest.pid, signal.SIGKILL)
        with pytest.raises(LabError, match="the ARM64 guest ended"):
            guest.run("true")


def test_guest_that_cannot_boot_says_why(image: Image) -> None:
    with pytest.raises(LabError, match=r"(?s)the ARM64 guest ended.*no-such-device"):
        Guest(image, None, options=["-device", "no-such-device"])
    broken = Image(image.kernel, image.kernel)  # what is no RAM disk
    with pytest.raises(LabError, match=r"(?s)the ARM64 guest ended.*Kernel panic"):
        Guest(broken, None)
