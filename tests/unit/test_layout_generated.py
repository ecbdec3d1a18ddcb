"""The wire-format table is sound in itself, and the files generated from it are up to date."""

from __future__ import annotations

import itertools
import subprocess
from collections import Counter

import pytest

from tests.harness.needs import need
from vnetcard.engine import layoutgen
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.block import Block

BLOCKS = pytest.mark.parametrize("block", L.BLOCKS, ids=lambda block: block.name)
WORD_TABLES = {
    "tx ledger": (L.TX_LEDGER, L.LEDGER_SLOT_BYTES),
    "rx ledger": (L.RX_LEDGER, L.LEDGER_SLOT_BYTES),
    "tx stats": (L.TX_STATS, L.STATS_BYTES),
    "rx stats": (L.RX_STATS, L.STATS_BYTES),
    "batches": (L.BATCHES, L.LINE),
    "link counters": (L.LINK_COUNTERS, L.SIDE_BYTES - L.LINK_COUNTERS_OFFSET),
}


TAP_HEADER = "vnetcard/_c/vnc_tap_layout.h"


def assert_disjoint(spans: dict[str, tuple[int, int]], size: int) -> None:
    """``spans`` are (offset, bytes): none overlaps another and all lie within ``size``."""
    ordered = sorted(spans.items(), key=lambda item: item[1])
    for (name, (at, length)), (follower, (start, _)) in itertools.pairwise(ordered):
        assert at + length <= start, f"{name} runs into {follower}"
    last, (at, length) = ordered[-1]
    assert ordered[0][1][0] >= 0
    assert at + length <= size, f"{last} ends outside"


def assert_unique(names: list[str]) -> None:
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_generated_files_say_what_the_table_says() -> None:
    assert layoutgen.stale() == [], "run `python -m vnetcard.engine.layoutgen`"


def test_changed_offset_makes_every_generated_file_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(L.QUEUE_LINES, "h2c_cons", L.QUEUE_LINES["h2c_cons"] + L.LINE)
    assert layoutgen.stale() == [name for name in layoutgen.OUTPUTS if name != TAP_HEADER]


def test_changed_field_makes_the_tap_header_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(T.STAGES, "READ", 9)
    assert layoutgen.stale() == [TAP_HEADER]


def test_changed_magic_makes_the_code_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(L, "MAGIC", L.MAGIC + 1)
    assert layoutgen.stale() == ["vnetcard/_c/vnc_layout.h", "hdl/rtl/vnc_pkg.sv"]


def test_check_names_the_stale_file_and_exits_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert layoutgen.main(["--check"]) == 0
    monkeypatch.setattr(L, "MAGIC", L.MAGIC + 1)
    assert layoutgen.main(["--check"]) == 1
    assert "vnetcard/_c/vnc_layout.h does not match" in capsys.readouterr().err


@BLOCKS
def test_fields_fit_their_block_and_do_not_overlap(block: Block) -> None:
    assert_disjoint({field.name: (field.offset, field.size) for field in block.fields}, block.size)


@BLOCKS
def test_every_field_is_naturally_aligned(block: Block) -> None:
    for field in block.fields:
        assert field.offset % min(field.size, 8) == 0, field.name


@BLOCKS
def test_field_names_of_a_block_are_unique(block: Block) -> None:
    assert_unique([field.name for field in block.fields])


def test_block_names_are_unique() -> None:
    assert_unique([block.name for block in L.BLOCKS])


@pytest.mark.parametrize("table", WORD_TABLES)
def test_counters_are_unique_and_fit_their_area(table: str) -> None:
    names, size = WORD_TABLES[table]
    assert_unique(list(names))
    assert len(names) * 8 <= size


@pytest.mark.parametrize("table", ["STATES", "FEATURES", "RECORD_FLAGS"])
def test_values_of_a_table_are_distinct(table: str) -> None:
    values = getattr(L, table).values()
    assert len(set(values)) == len(values)


def test_index_lines_and_ledgers_of_a_queue_block_do_not_overlap() -> None:
    ledger = 2 * L.LEDGER_SLOT_BYTES + L.STATS_BYTES
    spans = {name: (at, L.LINE) for name, at in L.QUEUE_LINES.items()}
    spans |= {f"{name} ledger": (at, ledger) for name, at in L.QUEUE_LEDGERS.items()}
    spans |= {f"{name} batches": (at, 8 * len(L.BATCHES)) for name, at in L.QUEUE_BATCHES.items()}
    assert len(spans) == len(L.QUEUE_LINES) + len(L.QUEUE_LEDGERS) + len(L.QUEUE_BATCHES)
    assert_disjoint(spans, L.QUEUE_BYTES)
    assert all(at % L.LINE == 0 for at, _ in spans.values())


def test_parts_of_a_full_window_do_not_overlap() -> None:
    spans = {"superblock": (L.SUPERBLOCK_OFFSET, L.SUPERBLOCK.size)}
    spans |= {f"descriptor {q}": (L.descriptor_offset(q), L.QUEUE_DESCRIPTOR.size) for q in range(L.QUEUES_MAX)}
    spans |= {f"side {name}": (L.side_offset(side), L.SIDE_BYTES) for side, name in enumerate(L.SIDES)}
    spans |= {f"queue {q}": (L.queue_offset(q), L.QUEUE_BYTES) for q in range(L.QUEUES_MAX)}
    assert_disjoint(spans, L.rings_offset(L.QUEUES_MAX))
    assert L.rings_offset(L.QUEUES_MAX) % L.RING_ALIGN == 0


def test_side_block_holds_its_lines_before_the_counters() -> None:
    assert L.SIDE_CONTROL.size + L.SIDE_IDENTITY.size <= L.LINK_COUNTERS_OFFSET


def test_c_header_compiles_freestanding() -> None:
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fsyntax-only"]
    compiled = subprocess.run(
        [need("gcc"), *flags, "-x", "c", "-"], input=layoutgen.c_header(), capture_output=True, text=True, check=False
    )
    assert compiled.returncode == 0, compiled.stderr
