"""The core's static probes: those that the documentation names are in the ELF file, and a kernel hits them."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.harness.needs import need, skip_or_fail
from tests.harness.programs import ROOT
from tests.harness.restarts import until
from tests.unit.test_link_session import ticked
from vnetcard import CARD, HOST, LinkSession, _core
from vnetcard.port.memory_pair import PairPort

CORE = str(_core.__file__)
NOTE = re.compile(r"Provider: vnetcard\s+Name: (\w+)\s+Location: (0x[0-9a-f]+),.*?Arguments: (.*?)\n", re.DOTALL)


@dataclass
class Probe:
    """Where the code has a probe, and the number of its arguments, which is the same everywhere."""

    arguments: int
    addresses: list[int] = field(default_factory=list)


@pytest.fixture
def notes() -> dict[str, Probe]:
    if not list(Path("/usr/include").glob("*/sys/sdt.h")):
        skip_or_fail("<sys/sdt.h> is missing: scripts/system-packages.sh test")
    done = subprocess.run([need("readelf"), "-nW", CORE], capture_output=True, text=True, check=True)
    found: dict[str, Probe] = {}
    for name, at, given in NOTE.findall(done.stdout):
        probe = found.setdefault(name, Probe(len(given.split())))
        assert probe.arguments == len(given.split()), name
        probe.addresses.append(int(at, 16))
    return found


def test_probes_are_the_documented_ones(notes: dict[str, Probe]) -> None:
    page = (ROOT / "docs/observing.md").read_text().partition("## Static probes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE)
    # A colon introduces the values of an argument.
    counted = {
        name: len(re.split(r", (?=number|bytes|drop|index|published|notice|how)|; ", text)) for name, text in rows
    }
    assert counted == {name: probe.arguments for name, probe in notes.items()}


def file_offset(address: int) -> int:
    """Where the byte at ``address`` of the loaded core is in its file."""
    done = subprocess.run([need("readelf"), "-lW", CORE], capture_output=True, text=True, check=True)
    for offset, start, size in re.findall(r"LOAD +(0x\w+) (0x\w+) 0x\w+ (0x\w+) ", done.stdout):
        if int(start, 16) <= address < int(start, 16) + int(size, 16):
            return address - int(start, 16) + int(offset, 16)
    raise AssertionError(f"no segment of {CORE} holds {address:#x}")


@pytest.fixture
def tracing(tmp_path: Path) -> Iterator[Path]:
    """The kernel's tracefs."""
    folder = tmp_path / "tracing"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tracefs", "tracefs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def command(tracing: Path, line: str) -> None:
    """Add or remove a probe; Python's own files seek, which this one does not allow."""
    fd = os.open(tracing / "uprobe_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)


@contextlib.contextmanager
def counting(tracing: Path, probes: dict[str, int]) -> Iterator[Path]:
    """Record the hits of ``probes`` (event to address) in this process, in an instance of tracefs of its own."""
    group = f"vnetcard_{os.getpid()}"
    instance = tracing / "instances" / group
    with contextlib.ExitStack() as undo:
        for probe, address in probes.items():
            command(tracing, f"p:{group}/{probe} {CORE}:{file_offset(address):#x}")
            undo.callback(command, tracing, f"-:{group}/{probe}")
        instance.mkdir()
        undo.callback(instance.rmdir)
        (instance / "set_event_pid").write_text(" ".join(task.name for task in Path("/proc/self/task").iterdir()))
        (instance / "options/event-fork").write_text("1")
        enable = instance / f"events/{group}/enable"
        undo.callback(enable.write_text, "0")
        enable.write_text("1")
        yield instance / "trace"


@pytest.mark.root
def test_each_packet_hits_each_probe_once(notes: dict[str, Probe], tracing: Path) -> None:
    url, count = f"shm:probe-{secrets.token_hex(4)}+64K", 20
    near, far = (PairPort(name) for name in ("host", "card"))
    probes = notes.keys() - {"sleep", "wake"}
    events = {f"{name}_{n}": at for name in probes for n, at in enumerate(notes[name].addresses)}
    with counting(tracing, events) as trace, contextlib.ExitStack() as opened:
        sessions = [
            opened.enter_context(ticked(LinkSession(url, side, port=port)))
            for side, port in ((HOST, near), (CARD, far))
        ]
        until(lambda: all(session.is_up for session in sessions), "the link is up")
        far.far.settimeout(20)
        for number in range(count):
            near.far.send(bytes([number] * 100))
            assert far.far.recv(200) == bytes([number] * 100)

        def hits() -> dict[str, int]:
            text = trace.read_text()
            return {probe: len(re.findall(rf" {probe}_\d+: ", text)) for probe in probes}

        until(lambda: min(hits().values()) >= count, "the last packet's probes are hit")
        found = hits()
    for port in (near, far):
        port.close()
    assert found == dict.fromkeys(probes, count)
