"""The ratchet on the engine's size and speed says what got worse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vnetcard.hdl.synth import flow, yardstick
from vnetcard.hdl.synth.flow import Port, Size, Speed
from vnetcard.hdl.synth.yardstick import Measured, complaints

RECORD = Measured(64, Size(lut4=4000, carry=500, ff=2000, lut_ram=24, block_ram=4), Speed(126.0, "a", "b"))


def grown(**cells: int) -> Measured:
    return replace(RECORD, size=replace(RECORD.size, **cells))


def test_the_record_itself_and_what_is_smaller_pass() -> None:
    assert complaints(RECORD, RECORD) == []
    assert complaints(grown(lut4=3000, ff=1000), RECORD) == []


def test_growth_within_three_percent_passes() -> None:
    assert complaints(grown(lut4=4150, ff=2060, lut_ram=24), RECORD) == []


@pytest.mark.parametrize(
    ("now", "word"),
    [
        (grown(lut4=4151), "LUTs"),
        (grown(carry=576), "LUTs"),
        (grown(ff=2061), "registers"),
        (grown(lut_ram=25), "LUT RAMs"),
        (grown(block_ram=0), "block RAMs"),
        (replace(RECORD, speed=Speed(124.9, "i_mover.a_q", "i_mover.b_q")), "i_mover.a_q -> i_mover.b_q"),
    ],
)
def test_what_got_worse_is_named(now: Measured, word: str) -> None:
    (text,) = complaints(now, RECORD)
    assert word in text
    assert text.startswith("64 bit: ")


def test_speed_is_that_of_the_clock_and_its_own_path() -> None:
    step = {"from": {"cell": "engine.i_mover.a_q_TRELLIS_FF_Q_3"}, "to": {"cell": "engine.i_mover.b_q_LUT4_Z_1"}}
    ends = {"from": {"cell": "x"}, "to": {"cell": "engine.i_port.c_q_TRELLIS_FF_Q"}}
    report = {
        "fmax": {"clk": {"achieved": 99.96, "constraint": 125}},
        "critical_paths": [
            {"from": "<async>", "to": "posedge clk", "path": []},
            {"from": "posedge clk", "to": "posedge clk", "path": [step, ends]},
        ],
    }
    assert flow.read_speed(report) == Speed(100.0, "i_mover.a_q", "i_port.c_q")


def test_wrapper_connects_every_port_to_its_own_bits() -> None:
    ports = [Port("clk_i", 1, True), Port("a", 8, True), Port("b", 2, True), Port("c", 4, False), Port("d", 1, False)]
    text = flow.wrapper(ports)
    for connection in (".clk_i(clk_i)", ".a(in_q[7:0])", ".b(in_q[9:8])", ".c(out[3:0])", ".d(out[4:4])"):
        assert connection in text
    assert "reg  [9:0] in_q;" in text
    assert "wire [4:0] out;" in text


@pytest.mark.parametrize("speed", [Speed(126.0, "a", "b"), None])
def test_record_is_read_as_it_was_written(speed: Speed | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yardstick, "RECORD", tmp_path / "yardstick.json")
    monkeypatch.setattr(yardstick, "version", lambda name: "1.0")
    measured = {64: replace(RECORD, speed=speed)}
    yardstick.save(measured)
    assert yardstick.load() == measured
    assert f"| 64 | 5000 | 2000 | 24 | 4 | {speed.mhz if speed else '-'} |" in yardstick.table(measured)
