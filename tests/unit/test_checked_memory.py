"""The checked window finds what it is there to find: accesses, orders and reads that device memory does not forgive."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.c_build import CHECKED, CORE, WATCHDOG_EXIT, build, must_pass, run, seed
from tests.unit.pump_harness import GEOMETRY, Host
from vnetcard._core import Memory
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import locate

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
def test_odd_access_ends_the_process_and_says_why(access: Path, what: str) -> None:
    done = run(access, what)
    assert done.returncode == -signal.SIGABRT
    assert "of a checked window" in done.stderr


@pytest.mark.parametrize("what", ["plain load", "memset", "memcpy"])
def test_access_beside_the_rules_faults_and_says_so(access: Path, what: str) -> None:
    done = run(access, what)
    assert done.returncode == -signal.SIGSEGV
    assert "beside the rules of device memory" in done.stderr


def test_kernel_cannot_copy_there(access: Path) -> None:
    must_pass(access, "kernel")


# --- orders --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["waits", "overtakes", "own"])
def test_store_leaves_when_it_likes_until_a_barrier(access: Path, what: str) -> None:
    """It waits, or overtakes another one, but only until a barrier; its own side sees it at once."""
    must_pass(access, what)


def core_with(tmp_path: Path, file: str, text: str, instead: str) -> Path:
    """A copy of the C core in which ``instead`` stands where ``text`` was."""
    core = tmp_path / "core"
    shutil.copytree(CORE, core)
    code = (core / file).read_text()
    assert code.count(text) == 1
    (core / file).write_text(code.replace(text, instead))
    return core


def ring(tmp_path: Path, core: Path = CORE) -> Path:
    return build(tmp_path, "checked_ring.c", "vnc_checked.c", flags=CHECKED, core=core)


@pytest.mark.parametrize("lockstep", [0, 1])
def test_two_sides_lose_and_mix_up_nothing(tmp_path: Path, lockstep: int) -> None:
    assert must_pass(ring(tmp_path), seed(), RECORDS // (1 + 9 * lockstep), lockstep).endswith("ok\n")


def test_missing_read_barrier_of_the_index_is_found(tmp_path: Path) -> None:
    """Without it a record may have been read before the index that says it is there."""
    core = core_with(tmp_path, "vnc_barrier.h", LOAD, LOAD.removesuffix("\tvnc_rmb(domain);\n"))
    done = run(ring(tmp_path, core), seed(), 10 * RECORDS, 1)
    assert done.returncode == 1


@pytest.mark.parametrize("which", ["before", "after"])
def test_missing_barrier_of_the_index_is_found(tmp_path: Path, which: str) -> None:
    """Without the one before, an index overtakes its record; without the one after, it never comes."""
    broken = PUBLISH.replace(WMB, "", 1) if which == "before" else PUBLISH.removesuffix(WMB)
    core = core_with(tmp_path, "vnc_barrier.h", PUBLISH, broken)
    done = run(ring(tmp_path, core), seed(), 10 * RECORDS, int(which == "after"))
    assert done.returncode == (1 if which == "before" else WATCHDOG_EXIT)


def ledger(tmp_path: Path, core: Path = CORE) -> Path:
    return build(tmp_path, "checked_ledger.c", "vnc_checked.c", flags=CHECKED, core=core)


def test_ledger_is_whole_whenever_it_is_read(tmp_path: Path) -> None:
    assert must_pass(ledger(tmp_path), seed(), RECORDS).endswith("ok\n")


def test_missing_barrier_of_the_ledger_is_found(tmp_path: Path) -> None:
    """New words in a slot whose old stamp still stands are half an update."""
    core = core_with(tmp_path, "vnc_ledger.h", f"{INVALIDATE}\tvnc_wmb(l->domain);\n", INVALIDATE)
    program = ledger(tmp_path, core)
    assert any(run(program, seed(), RECORDS).returncode == 1 for _ in range(20))


# --- reads ---------------------------------------------------------------------------------------------


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host(kind="checked")
    yield host
    host.close()


def own_lines() -> dict[str, tuple[int, int]]:
    """What of the window the host alone writes, and so never has to read: offset and size."""
    tx, rx = (locate(GEOMETRY, way, role) for way, role in (("h2c", "producer"), ("c2h", "consumer")))
    books = 2 * L.LEDGER_SLOT_BYTES + L.STATS_BYTES
    return {
        "prod": (tx.own, L.LINE),
        "cons": (rx.own, L.LINE),
        "tx ledger": (tx.ledger, books),
        "rx ledger": (rx.ledger, books),
        "h2c ring": (tx.ring.offset, tx.ring.size),
    }


def loads(memory: Memory) -> dict[str, int]:
    return {name: memory.loads(*where) for name, where in own_lines().items()}


def test_pumps_never_read_what_they_themselves_wrote(host: Host) -> None:
    host.begin(1, 2)
    before = loads(host.memory)
    host.deliver(100)
    host.take(100)
    assert loads(host.memory) == before


def test_idle_pump_reads_the_index_less_and_less_often(host: Host) -> None:
    host.begin(1, 2)
    host.deliver(1)
    where = locate(GEOMETRY, "c2h", "consumer").peer
    before, since = host.memory.loads(where, L.LINE), time.monotonic()
    time.sleep(0.5)
    looks = host.memory.loads(where, L.LINE) - before
    assert 0 < looks < 100 + 2000 * (time.monotonic() - since)


def test_only_checked_memory_counts() -> None:
    plain = Host()
    try:
        with pytest.raises(ValueError, match="only checked memory"):
            plain.memory.loads(0, 64)
    finally:
        plain.close()
