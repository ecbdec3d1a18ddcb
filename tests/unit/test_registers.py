"""The DMA engine's register table is sound in itself."""

from __future__ import annotations

import dataclasses

import pytest

from vnetcard.engine import layoutgen
from vnetcard.engine import registers as R


def test_registers_are_aligned_distinct_and_in_the_page() -> None:
    offsets = [register.offset for register in R.REGISTERS]
    assert len(set(offsets)) == len(offsets) == len({register.name for register in R.REGISTERS})
    assert all(at % 4 == 0 and 0 <= at < R.PAGE_BYTES for at in offsets)
    assert {register.access for register in R.REGISTERS} == {"RO", "RW", "WO", "W1C"}


@pytest.mark.parametrize("table", ["CONTROL_BITS", "STATUS_BITS", "RESET_BITS", "IRQ_BITS"])
def test_bits_of_a_register_are_single_and_distinct(table: str) -> None:
    bits = list(getattr(R, table).values())
    assert all(bit.bit_count() == 1 for bit in bits)
    assert len(set(bits)) == len(bits)


def test_offset_of_an_unknown_register_is_a_key_error() -> None:
    assert R.offset("tx_prod") == 0x40
    with pytest.raises(KeyError):
        R.offset("tx_pord")


def test_moved_register_makes_what_names_it_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    last = dataclasses.replace(R.REGISTERS[-1], offset=0x200)
    monkeypatch.setattr(R, "REGISTERS", (*R.REGISTERS[:-1], last))
    assert layoutgen.stale() == ["vnetcard/_c/vnc_layout.h", "hdl/rtl/vnc_pkg.sv", "docs/registers.md"]
