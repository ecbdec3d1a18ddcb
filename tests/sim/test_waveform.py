"""The picture of a record's path through the engine: drawn from a real trace, with the steps in the promised order."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.harness.needs import skip_or_fail
from tests.sim.record_trace import PICTURE, trace_record
from vnetcard.sim import waveform

pytestmark = [pytest.mark.hdl, pytest.mark.slow]

ORDER = ["doorbell", "AR", "R", "last R", "AW", "last W", "B", "index", "its B", "interrupt"]


@pytest.fixture(autouse=True)
def reader() -> None:
    if importlib.util.find_spec("pywellen") is None:
        skip_or_fail("pywellen is missing: scripts/venv.sh test")


def texts(svg: str) -> list[str]:
    return [text for element in ET.fromstring(svg).iter() if (text := element.text) and text.strip()]


def test_record_of_64_bytes_takes_the_steps_in_the_promised_order(tmp_path: Path) -> None:
    path, picture = tmp_path / "record.fst", tmp_path / "record.svg"
    trace_record(path)
    assert waveform.main([str(path), str(picture)]) == 0
    steps = waveform.record_steps(waveform.Trace(path))
    assert [step.name for step in steps] == ORDER
    cycles = [step.cycle for step in steps]
    assert cycles == sorted(cycles)
    assert steps[3].cycle - steps[2].cycle == 7, "eight beats of 64 bit"
    assert set(ORDER) <= set(texts(picture.read_text()))


def test_the_picture_in_the_documentation_shows_these_steps() -> None:
    assert set(ORDER) <= set(texts(PICTURE.read_text()))


def test_file_that_is_no_trace_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "no.fst"
    path.write_text("nothing of the kind")
    assert waveform.main([str(path), str(tmp_path / "x.svg")]) == 2
    said = capsys.readouterr().err
    assert "not a readable trace" in said
    assert said.count("\n") == 1
