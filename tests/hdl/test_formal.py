"""The proofs of ``hdl/formal``: they hold, what they are about happens, and each notices a bug planted for it."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from vnetcard.hdl.formal import flow
from vnetcard.hdl.formal.proofs import PROOFS

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("yosys")]

each_proof = pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)


def marked(proofs: Iterable[flow.Proof]) -> list[object]:
    """One parameter for each; the searches of a proof with slow properties are slow as well: campaign."""
    return [pytest.param(proof, id=proof.name, marks=[pytest.mark.campaign] if proof.slow else []) for proof in proofs]


def bugs() -> Iterator[object]:
    for proof in PROOFS:
        for number, bug in enumerate(proof.bugs, 1):
            # The first bug of each proof is always looked for.
            marks = [pytest.mark.campaign] if proof.slow and number > 1 else []
            yield pytest.param(proof, bug, id=f"{proof.name}-{number}-{bug.fails}", marks=marks)


def check(base: list[flow.Answer], induction: list[flow.Answer]) -> None:
    assert base, "nothing was asked"
    assert [answer.name for answer in base if not answer.good] == [], "false"
    assert [answer.name for answer in induction if not answer.good] == [], "not inductive"


@pytest.fixture(scope="module")
def made() -> Iterator[Callable[[str], flow.Model]]:
    """The model of the proof with this name, compiled when it is first asked for."""
    with contextlib.ExitStack() as stack:
        yield functools.cache(lambda name: stack.enter_context(flow.model(next(p for p in PROOFS if p.name == name))))


@pytest.fixture
def built(made: Callable[[str], flow.Model], proof: flow.Proof) -> flow.Model:
    """The model of the test's proof."""
    return made(proof.name)


@each_proof
def test_properties_hold_for_all_time(proof: flow.Proof, built: flow.Model) -> None:
    check(*flow.prove(built, labels=set(built.asserts) - proof.slow))


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("proof", [proof for proof in PROOFS if proof.slow], ids=lambda proof: proof.name)
def test_slow_properties_hold_for_all_time(proof: flow.Proof, built: flow.Model) -> None:
    check(*flow.prove(built, labels=proof.slow))


@pytest.mark.parametrize("proof", marked(PROOFS))
def test_what_the_properties_are_about_happens(proof: flow.Proof, built: flow.Model) -> None:
    assert [answer.name for answer in flow.cover(built) if not answer.good] == []


@pytest.mark.parametrize(("proof", "bug"), list(bugs()))
def test_planted_bug_makes_its_property_false(proof: flow.Proof, bug: flow.Bug) -> None:
    assert not flow.control(proof, bug).good


@each_proof
def test_no_property_is_lost_on_the_way_to_the_solver(proof: flow.Proof, built: flow.Model) -> None:
    files = [flow.FORMAL / f"{proof.top}.sv", *flow.FORMAL.glob(f"{proof.name}_*.svh")]
    source = "".join(file.read_text() for file in files)
    # What yosys finds true by itself is not asked of the solver; then a bug must show that it can be false.
    lost = set(re.findall(r"(\w+): assert\b", source)) - set(built.asserts)
    assert lost <= {bug.fails for bug in proof.bugs}
    assert set(built.covers) == set(re.findall(r"(\w+): cover\b", source))


@each_proof
def test_every_proof_has_covers_and_bugs_and_knows_its_slow_properties(proof: flow.Proof, built: flow.Model) -> None:
    assert proof.bugs
    assert built.covers
    assert proof.slow <= set(built.asserts)


def test_every_proof_in_the_folder_is_in_the_table() -> None:
    assert {path.stem for path in flow.FORMAL.glob("prove_*.sv")} == {f"prove_{proof.name}" for proof in PROOFS}


def test_bug_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "vnc_x.sv"
    file.write_text("assign a = b;\n")
    with pytest.raises(flow.FormalError, match="0 times"):
        flow.plant(flow.Bug("vnc_x.sv", "c", "d", "a_x"), file)
