"""The proofs of ``hdl/formal``: the properties hold, the covers are reached, and each planted bug is detected."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vnetcard.hdl.formal import flow
from vnetcard.hdl.formal.proofs import PROOFS

pytestmark = [
    *(pytest.mark.hdl, pytest.mark.slow, pytest.mark.campaign),
    *(pytest.mark.timeout(900), pytest.mark.usefixtures("yosys")),
]

each_proof = pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)


def bugs() -> Iterator[object]:
    """Yield the parameters of the bugs of all proofs."""
    for proof in PROOFS:
        for number, bug in enumerate(proof.bugs, 1):
            yield pytest.param(proof, bug, id=f"{proof.name}-{number}-{bug.fails}")


def check(base: list[flow.Answer], induction: list[flow.Answer]) -> None:
    assert base, "no property was checked"
    assert [answer.name for answer in base if not answer.good] == [], "false"
    assert [answer.name for answer in induction if not answer.good] == [], "not inductive"


@pytest.fixture(scope="module")
def made() -> Iterator[Callable[[str], flow.Model]]:
    """Return a function from a proof's name to its model, which is compiled on first use."""
    with contextlib.ExitStack() as stack:
        yield functools.cache(lambda name: stack.enter_context(flow.model(next(p for p in PROOFS if p.name == name))))


@pytest.fixture
def built(made: Callable[[str], flow.Model], proof: flow.Proof) -> flow.Model:
    """The model of the proof under test."""
    return made(proof.name)


@each_proof
def test_properties_hold_for_all_time(proof: flow.Proof, built: flow.Model) -> None:
    check(*flow.prove(built, labels=set(built.asserts) - proof.slow))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("proof", [proof for proof in PROOFS if proof.slow], ids=lambda proof: proof.name)
def test_slow_properties_hold_for_all_time(proof: flow.Proof, built: flow.Model) -> None:
    check(*flow.prove(built, labels=proof.slow))


@each_proof
def test_covers_are_reached(proof: flow.Proof, built: flow.Model) -> None:
    assert [answer.name for answer in flow.cover(built) if not answer.good] == []


@pytest.mark.parametrize(("proof", "bug"), list(bugs()))
def test_planted_bug_makes_its_property_false(proof: flow.Proof, bug: flow.Bug) -> None:
    assert not flow.control(proof, bug).good


@each_proof
def test_every_property_reaches_the_solver(proof: flow.Proof, built: flow.Model) -> None:
    files = [flow.FORMAL / f"{proof.top}.sv", *flow.FORMAL.glob(f"{proof.name}_*.svh")]
    source = "".join(file.read_text() for file in files)
    # yosys removes properties that it proves by itself; for these a bug must show that they can be false.
    lost = set(re.findall(r"(\w+): assert\b", source)) - set(built.asserts)
    assert lost <= {bug.fails for bug in proof.bugs}
    assert set(built.covers) == set(re.findall(r"(\w+): cover\b", source))


@each_proof
def test_every_proof_has_covers_bugs_and_existing_slow_properties(proof: flow.Proof, built: flow.Model) -> None:
    assert proof.bugs
    assert built.covers
    assert proof.slow <= set(built.asserts)


def test_every_proof_in_the_folder_is_in_the_table() -> None:
    assert {path.stem for path in flow.FORMAL.glob("prove_*.sv")} == {f"prove_{proof.name}" for proof in PROOFS}


def test_bug_whose_text_does_not_occur_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "vnc_x.sv"
    file.write_text("assign a = b;\n")
    with pytest.raises(flow.FormalError, match="0 times"):
        flow.plant(flow.Bug("vnc_x.sv", "c", "d", "a_x"), file)
