"""Checked memory detects accesses, orders and reads that device memory does not allow."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.unit.c_build import CHECKED, CORE, ROOT, WATCHDOG_EXIT, build, must_pass, run, seed
from tests.unit.pump_harness import GEOMETRY, Host
from vnetcard import _core
from vnetcard._core import Memory
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import locate
from vnetcard.window import open_window

pytestmark = pytest.mark.slow

RECORDS = 3000
WMB = "\tvnc_wmb(domain);"
PUBLISH = f"{WMB}\n\tvnc_put32(domain, at, value);\n{WMB}"
LOAD = "\tvalue = vnc_get32(domain, at);\n\tvnc_rmb(domain);\n"
INVALIDATE = "\tvnc_put64(l->domain, &slot[0], 0);\n"


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("access"), "checked_access.c", "vnc_checked.c", flags=CHECKED)


# --- accesses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["unaligned", "unaligned store", "beyond"])
def test_misaligned_access_ends_the_process_with_a_message(access: Path, what: str) -> None:
    done = run(access, what)
    assert done.returncode == -signal.SIGABRT
    assert "of a checked window" in done.stderr


@pytest.mark.parametrize("what", ["plain load", "memset", "memcpy"])
def test_access_that_breaks_the_rules_faults_with_a_message(access: Path, what: str) -> None:
    done = run(access, what)
    assert done.returncode == -signal.SIGSEGV
    assert "breaks the rules of device memory" in done.stderr


def test_system_call_is_refused(access: Path) -> None:
    must_pass(access, "kernel")


# --- orders --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["waits", "overtakes", "own"])
def test_store_is_pending_until_a_barrier(access: Path, what: str) -> None:
    """It waits, or overtakes another one, but only until a barrier; its own side reads it at once."""
    must_pass(access, what)


def core_with(tmp_path: Path, file: str, text: str, instead: str) -> Path:
    """A copy of the C core in which ``text`` is replaced by ``instead``."""
    core = tmp_path / "core"
    shutil.copytree(CORE, core)
    code = (core / file).read_text()
    assert code.count(text) == 1
    (core / file).write_text(code.replace(text, instead))
    return core


def ring(tmp_path: Path, core: Path = CORE) -> Path:
    return build(tmp_path, "checked_ring.c", "vnc_checked.c", flags=CHECKED, core=core)


@pytest.mark.parametrize("lockstep", [0, 1])
def test_two_sides_get_every_record_in_order(tmp_path: Path, lockstep: int) -> None:
    assert must_pass(ring(tmp_path), seed(), RECORDS // (1 + 9 * lockstep), lockstep).endswith("ok\n")


def test_missing_read_barrier_of_the_index_is_found(tmp_path: Path) -> None:
    """Without it a record may be read before the index that covers it."""
    core = core_with(tmp_path, "vnc_barrier.h", LOAD, LOAD.removesuffix("\tvnc_rmb(domain);\n"))
    done = run(ring(tmp_path, core), seed(), 10 * RECORDS, 1)
    assert done.returncode == 1


@pytest.mark.parametrize("which", ["before", "after"])
def test_missing_barrier_of_the_index_is_found(tmp_path: Path, which: str) -> None:
    """Without the one before it, an index overtakes its record; without the one after it, it never arrives."""
    broken = PUBLISH.replace(WMB, "", 1) if which == "before" else PUBLISH.removesuffix(WMB)
    core = core_with(tmp_path, "vnc_barrier.h", PUBLISH, broken)
    done = run(ring(tmp_path, core), seed(), 10 * RECORDS, int(which == "after"))
    assert done.returncode == (1 if which == "before" else WATCHDOG_EXIT)


def ledger(tmp_path: Path, core: Path = CORE) -> Path:
    return build(tmp_path, "checked_ledger.c", "vnc_checked.c", flags=CHECKED, core=core)


def test_ledger_is_whole_whenever_it_is_read(tmp_path: Path) -> None:
    assert must_pass(ledger(tmp_path), seed(), RECORDS).endswith("ok\n")


def test_missing_barrier_of_the_ledger_is_found(tmp_path: Path) -> None:
    """New words in a slot that still has its old stamp are half an update; its checksum would hide that."""
    core = core_with(tmp_path, "vnc_ledger.h", f"{INVALIDATE}\tvnc_wmb(l->domain);\n", INVALIDATE)
    ledger_h = core / "vnc_ledger.h"
    checked = "if (out[VNC_LEDGER_CHECKSUM] == vnc_ledger_sum(out))\n\t\t\treturn"
    assert ledger_h.read_text().count(checked) == 1
    ledger_h.write_text(ledger_h.read_text().replace(checked, "return"))
    program = ledger(tmp_path, core)
    assert any(run(program, seed(), RECORDS).returncode == 1 for _ in range(20))


# --- reads ---------------------------------------------------------------------------------------------


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host(kind="checked")
    yield host
    host.close()


def own_lines() -> dict[str, tuple[int, int]]:
    """The parts of the window that the host alone writes, and so need never read: offset and size."""
    tx, rx = (locate(GEOMETRY, direction, role) for direction, role in (("h2c", "producer"), ("c2h", "consumer")))
    counters = 2 * L.LEDGER_SLOT_BYTES + L.STATS_BYTES
    return {
        "prod": (tx.own, L.LINE),
        "cons": (rx.own, L.LINE),
        "tx ledger": (tx.ledger, counters),
        "rx ledger": (rx.ledger, counters),
        "h2c ring": (tx.ring.offset, tx.ring.size),
    }


def loads(memory: Memory) -> dict[str, int]:
    return {name: memory.loads(*where) for name, where in own_lines().items()}


def test_pumps_never_read_what_they_wrote(host: Host) -> None:
    host.begin(1, 2)
    before = loads(host.memory)
    host.deliver(100)
    host.take(100)
    assert loads(host.memory) == before


def peers_lines() -> dict[str, tuple[int, int]]:
    """What the card alone writes: offset and size."""
    tx, rx = (locate(GEOMETRY, direction, role) for direction, role in (("h2c", "producer"), ("c2h", "consumer")))
    return {
        "h2c cons": (tx.peer, L.LINE),
        "side block": (L.side_offset(L.CARD), L.SIDE_BYTES),
        "c2h ring": (rx.ring.offset, rx.ring.size),
    }


def test_sending_reads_nothing_across_the_bus(host: Host) -> None:
    """As long as the ring has room for what the pump last knew."""
    host.begin(1, 2)
    before = {name: host.memory.loads(*where) for name, where in peers_lines().items()}
    host.take(50)
    assert {name: host.memory.loads(*where) for name, where in peers_lines().items()} == before


@pytest.mark.parametrize("size", [1, 64, 200, 1400])
def test_receiving_reads_each_word_of_a_record_once(host: Host, size: int) -> None:
    """Beside them the index, and the peer's epoch after it, for all records that have come."""
    host.begin(1, 2)
    host.endpoints.hold()
    count = 8192 // (size + 64) // 2
    for _ in range(count):
        assert host.to_host.try_push(bytes(size))
    before = {name: host.memory.loads(*where) for name, where in peers_lines().items()}
    host.endpoints.run()
    for _ in range(count):
        assert select.select([host.port.far], [], [], 60)[0]
        host.port.far.recv(2000)
    host.endpoints.hold()
    found = {name: host.memory.loads(*where) - before[name] for name, where in peers_lines().items()}
    words = (L.RECORD_HEADER + size + 7) // 8
    assert found["c2h ring"] == count * words
    assert found["h2c cons"] == 0 and found["side block"] <= 2


def test_idle_pump_polls_the_index_at_growing_intervals(host: Host) -> None:
    host.begin(1, 2)
    host.deliver(1)
    where = locate(GEOMETRY, "c2h", "consumer").peer
    before, since = host.memory.loads(where, L.LINE), time.monotonic()
    time.sleep(0.5)
    polls = host.memory.loads(where, L.LINE) - before
    assert 0 < polls < 100 + 2000 * (time.monotonic() - since)


def test_only_checked_memory_counts_loads() -> None:
    plain = Host()
    try:
        with pytest.raises(ValueError, match="only checked memory"):
            plain.memory.loads(0, 64)
    finally:
        plain.close()


# --- release builds ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled core as ``pip install .`` and ``make wheels`` build it."""
    out = tmp_path_factory.mktemp("release")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VNETCARD_")}
    command: list[str | Path] = [
        sys.executable,
        "setup.py",
        "-q",
        "build_ext",
        "--build-lib",
        out,
        "--build-temp",
        out / "temp",
    ]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    (core,) = (out / "vnetcard").glob("_core.*")
    return core


def test_release_build_has_no_symbol_of_checked_memory(release: Path) -> None:
    def symbols(core: Path) -> str:
        return subprocess.run([need("nm"), core], capture_output=True, text=True, check=True).stdout

    assert "vnc_pump_start" in symbols(release)
    assert "vnc_checked" not in symbols(release)
    assert "vnc_checked" in symbols(Path(_core.__file__)), "the build of the tests lacks it: the test shows nothing"


USE_RELEASE = """
import importlib.util, mmap, sys
spec = importlib.util.spec_from_file_location("vnetcard._core", sys.argv[1])
core = importlib.util.module_from_spec(spec)
spec.loader.exec_module(core)
assert core.CHECKED_MEMORY == 0
core.Memory(mmap.mmap(-1, 4096), device=True).close()
try:
    core.Memory(mmap.mmap(-1, 4096), check=1)
except NotImplementedError as error:
    print(error)
"""


def test_release_build_refuses_checked_memory(release: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", USE_RELEASE, release], capture_output=True, text=True, check=True
    )
    assert "VNETCARD_CHECKED=1" in done.stdout


def test_release_build_refuses_check_windows_with_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "CHECKED_MEMORY", 0)
    with pytest.raises(WindowUnavailable, match="VNETCARD_CHECKED=1") as caught:
        open_window("check:vnctest-release", side=L.HOST)
    assert caught.value.code is ErrorCode.WINDOW_NOT_BUILT
