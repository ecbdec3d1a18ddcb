"""The device-tree node for the card's window: what it prints is what ``mem:`` finds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.unit.fake_machine import FakeMachine
from vnetcard.errors import ConfigError
from vnetcard.fpga_side.reserved_memory import main, node
from vnetcard.hw.devicetree import Span, choose

START, SIZE = 0x8_7000_0000, 8 << 20


@pytest.mark.parametrize(("start", "cells"), [(START, (2, 2)), (START, (2, 1)), (0x7000_0000, (1, 1))])
def test_printed_node_compiles_and_is_what_mem_finds(tmp_path: Path, start: int, cells: tuple[int, int]) -> None:
    source = "/dts-v1/;\n/ { " + node(start, SIZE, cells=cells) + "};\n"
    blob = subprocess.run(
        [need("dtc"), "-q", "-I", "dts", "-O", "dtb"], input=source.encode(), capture_output=True, check=True
    ).stdout
    words = (start.to_bytes(4 * cells[0], "big"), SIZE.to_bytes(4 * cells[1], "big"))
    assert b"".join(words) in blob and b"no-map" in blob
    machine = FakeMachine(tmp_path)
    machine.board.reserved(f"vnetcard@{start:x}", start=start, size=SIZE, cells=cells)
    assert choose(machine.system, "vnetcard", "mem:vnetcard") == Span(start, SIZE)


@pytest.mark.parametrize(
    ("start", "size", "cells"),
    [(START, 48 << 10, (2, 2)), (START, 8 << 10, (2, 2)), (START + 64, SIZE, (2, 2)), (START, SIZE, (1, 1))],
)
def test_node_that_cannot_hold_a_window_is_refused(start: int, size: int, cells: tuple[int, int]) -> None:
    with pytest.raises(ConfigError):
        node(start, size, cells=cells)


def test_command_prints_the_node_or_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["0x70000000", "16M"]) == 0
    assert "vnetcard@70000000 { reg = <0x0 0x70000000 0x0 0x1000000>; no-map; };" in capsys.readouterr().out
    assert main(["0x70000000", "3M"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
