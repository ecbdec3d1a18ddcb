"""Runs spin over handshake.pml: safety, liveness, and the deliberately broken variants, which must fail.

What is modelled and what is not: README.md beside this file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

MODEL = Path(__file__).with_name("handshake.pml")

SAFETY = ("-DSAFETY",)
LIVENESS = ("-DNFAIR=3",)  # 7 or more processes under weak fairness
MEMORY_MIB = 1500

WRONG_PACKET = "assertion violated (ring"
OTHER_GENERATION = "assertion violated ( !((gen_own"
FALSE_ALARM = "assertion violated 0"
CONTROLS = (
    ("LENIENT NO_CLEAR", WRONG_PACKET),
    ("LENIENT NO_EPOCH_CHECK", WRONG_PACKET),
    ("NO_EPOCH_CHECK", FALSE_ALARM),
    ("LENIENT EPOCH_CHECK_FIRST", WRONG_PACKET),
    ("LENIENT RESET_AFTER_ANSWER", WRONG_PACKET),
    ("LENIENT EPOCH_AFTER_INDEX", WRONG_PACKET),
    ("EPOCH_AFTER_INDEX", FALSE_ALARM),
    ("LENIENT NO_START_RESET", WRONG_PACKET),
    ("LENIENT NO_ANSWER_RESET", WRONG_PACKET),
    ("LENIENT NO_JOIN", WRONG_PACKET),
    ("NO_ANSWER_CHECK", OTHER_GENERATION),
    ("NO_TX_EPOCH_CHECK", FALSE_ALARM),  # with LENIENT nothing is wrong: this check only prevents false alarms
    ("LENIENT REUSE_EPOCH", WRONG_PACKET),
)
LIVENESS_CONTROLS = ("DEAF", "NO_REANSWER")
VARIANTS = ("REREAD", "ANSWERED_FIRST", "NO_RX_SHORTCUT", "STOP_EPOCH_FIRST")


def rare_after_the_first(controls: Iterable[object]) -> list[object]:
    """Parameters of which all but the first are for the campaign: each compiles a model of its own."""
    first, *others = controls
    values = [one if isinstance(one, tuple) else (one,) for one in others]
    return [first, *(pytest.param(*value, marks=pytest.mark.campaign) for value in values)]


@dataclass(frozen=True)
class Verdict:
    """What one run of pan said."""

    output: str
    errors: int
    states: int
    trail: str

    def must_hold(self) -> None:
        """No error, and every reachable state was visited."""
        assert self.errors == 0, f"{self.output}\n{self.trail}"
        for incomplete in ("max search depth too small", "Search not completed", "reached -DMEMLIM", "hash-compact"):
            assert incomplete not in self.output, self.output
        assert "Full statespace search" in self.output, self.output  # not "Bit statespace search"

    def must_fail(self, how: str) -> None:
        assert self.errors > 0, f"the broken model passed:\n{self.output}"
        assert how in self.output, self.output

    def unreached(self) -> set[str]:
        """Statements that no run ever executed, as pan words them."""
        found = re.findall(r"^\thandshake\.pml:(\d+), state \d+, \"(.*)\"$", self.output, re.MULTILINE)
        return {text for _line, text in found if not text.startswith("D_STEP")}


@pytest.fixture(scope="module")
def tools() -> None:
    for tool in ("spin", "gcc"):
        if shutil.which(tool) is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{tool} is missing; in CI it must be there")
            pytest.skip(f"{tool} is not installed")


def run(command: list[str], cwd: Path, seconds: float = 1500) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=seconds, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{output}"
    return output


def verify(tmp_path: Path, model: tuple[str, ...], kind: tuple[str, ...], depth: int = 20_000) -> Verdict:
    """Spin, compile and run the model with the ``-D`` names in *model*."""
    defines = [f"-D{name}" for name in model]
    shutil.copy(MODEL, tmp_path)
    run(["spin", *defines, "-a", MODEL.name], tmp_path)
    # All shared memory is global, so partial-order reduction saves nothing; without it there is less to trust.
    run(
        ["gcc", "-O2", "-w", "-DNOREDUCE", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MIB}", *kind, "-o", "pan", "pan.c"],
        tmp_path,
    )
    search = ["-a", "-f"] if kind == LIVENESS else []
    output = run(["./pan", *search, f"-m{depth}"], tmp_path)
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d\S*) states, stored", output)
    assert errors and states, output
    trail = ""
    if list(tmp_path.glob("*.trail")):
        replay = run(["spin", *defines, "-t", "-p", MODEL.name], tmp_path)
        trail = "\n".join(replay.splitlines()[-80:])
    return Verdict(output, int(errors[1]), int(float(states[1])), trail)


pytestmark = [pytest.mark.usefixtures("tools"), pytest.mark.slow]


def test_safety(tmp_path: Path) -> None:
    """Properties 1, 2 and 4, h2c traffic, two restarts per side; and the model is not vacuous."""
    verdict = verify(tmp_path, ("RESTARTS=2", "MOD=8"), SAFETY)
    verdict.must_hold()
    assert verdict.states > 1_000_000
    # Every step is taken in some run; only the two "violation by an honest peer" are not, nor is any process's end.
    assert verdict.unreached() == {"-end-", "assert(0)"}, verdict.output


@pytest.mark.campaign
def test_safety_with_traffic_in_both_directions(tmp_path: Path) -> None:
    verify(tmp_path, ("RESTARTS=1", "MOD=4", "C2H"), SAFETY, depth=200_000).must_hold()


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_safety_three_restarts(tmp_path: Path) -> None:
    verify(tmp_path, ("RESTARTS=3", "MOD=4"), SAFETY).must_hold()


@pytest.mark.parametrize("formula", ["LIVE", "FLOW"])
def test_liveness(tmp_path: Path, formula: str) -> None:
    """Property 3: both sides come to RUN with mirrored generations and stay; records keep flowing."""
    verify(tmp_path, ("RESTARTS=1", "MOD=4", formula), LIVENESS).must_hold()


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("formula", ["LIVE", "FLOW"])
def test_liveness_two_restarts(tmp_path: Path, formula: str) -> None:
    verify(tmp_path, ("RESTARTS=2", "MOD=4", formula), LIVENESS).must_hold()


@pytest.mark.parametrize(("broken", "how"), rare_after_the_first(CONTROLS))
def test_broken_protocol_is_found(tmp_path: Path, broken: str, how: str) -> None:
    verify(tmp_path, ("RESTARTS=1", "MOD=8", *broken.split()), SAFETY).must_fail(how)


@pytest.mark.parametrize("broken", rare_after_the_first(LIVENESS_CONTROLS))
def test_broken_liveness_is_found(tmp_path: Path, broken: str) -> None:
    verify(tmp_path, ("RESTARTS=1", "MOD=4", "LIVE", broken), LIVENESS).must_fail("acceptance cycle")


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("variant", VARIANTS)
def test_harmless_variant(tmp_path: Path, variant: str) -> None:
    """What the code may do without harm; with it, and without, the properties hold."""
    verify(tmp_path, ("RESTARTS=2", "MOD=4", variant), SAFETY).must_hold()


def test_stale_entry_happens(tmp_path: Path) -> None:
    """Reading peer.epoch, then peer.answered, can let a side into a generation that is already over."""
    verify(tmp_path, ("RESTARTS=1", "MOD=4", "STALE_ENTRY"), SAFETY).must_fail("assertion violated held")


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("variant", ["REREAD", "ANSWERED_FIRST"])
def test_stale_entry_is_avoidable(tmp_path: Path, variant: str) -> None:
    verify(tmp_path, ("RESTARTS=2", "MOD=4", "STALE_ENTRY", variant), SAFETY).must_hold()
