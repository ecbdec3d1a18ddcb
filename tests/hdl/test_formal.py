"""The proofs of ``hdl/formal``: they hold, what they are about happens, and each notices a bug planted for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from needs import skip_or_fail

from vnetcard.hdl.formal import flow
from vnetcard.hdl.formal.proofs import PROOFS

pytestmark = [pytest.mark.hdl, pytest.mark.slow]

each_proof = pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
each_bug = pytest.mark.parametrize(
    ("proof", "bug"),
    [
        pytest.param(proof, bug, id=f"{proof.name}-{number}-{bug.fails}")
        for proof in PROOFS
        for number, bug in enumerate(proof.bugs, 1)
    ],
)


@pytest.fixture(autouse=True)
def tools() -> None:
    missing = flow.missing_tools()
    if missing:
        skip_or_fail(f"{', '.join(missing)} missing: scripts/venv.sh test")


@each_proof
def test_properties_hold_for_all_time(proof: flow.Proof) -> None:
    base, induction = flow.prove(proof)
    assert base.good, f"false: {base.names}\n{base.output}"
    assert induction.good, f"not inductive: {induction.names}\n{induction.output}"


@each_proof
def test_what_the_properties_are_about_happens(proof: flow.Proof) -> None:
    answer = flow.cover(proof)
    assert answer.good, f"not reached: {answer.names}\n{answer.output}"


@each_bug
def test_planted_bug_is_noticed(proof: flow.Proof, bug: flow.Bug) -> None:
    answer = flow.control(proof, bug)
    assert (answer.good, answer.names) == (False, (bug.fails,))


@each_proof
def test_no_property_is_lost_on_the_way_to_the_solver(proof: flow.Proof) -> None:
    source = (flow.FORMAL / f"prove_{proof.name}.sv").read_text()
    with flow.model(proof) as built:
        # What yosys finds true by itself is not asked of the solver; then a bug must show that it can be false.
        lost = set(re.findall(r"(\w+): assert\b", source)) - set(built.names("assert"))
        assert lost <= {bug.fails for bug in proof.bugs}
        assert built.names("cover") == sorted(re.findall(r"(\w+): cover\b", source))


def test_every_proof_in_the_folder_is_in_the_table() -> None:
    assert {path.stem for path in flow.FORMAL.glob("prove_*.sv")} == {f"prove_{proof.name}" for proof in PROOFS}


def test_bug_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "vnc_x.sv"
    file.write_text("assign a = b;\n")
    with pytest.raises(flow.FormalError, match="0 times"):
        flow.plant(flow.Bug("vnc_x.sv", "c", "d", "a_x"), file)
