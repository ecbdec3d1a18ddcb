"""The programs of docs/examples that send and take records of 64 bytes, in C and in Python, against each other."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.unit.c_build import ROOT

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "docs/examples"
LIMIT = 60.0
PYTHON = (sys.executable, str(EXAMPLES / "ring_records.py"))


@pytest.fixture(scope="module")
def in_c(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C program, built by the command that its head gives."""
    need("cc")
    source = EXAMPLES / "ring_records.c"
    (command,) = (line.strip(" *") for line in source.read_text().splitlines() if line.startswith(" *   cc "))
    program = tmp_path_factory.mktemp("records") / "ring_records"
    words = command.replace("-o ring_records", f"-Wall -Wextra -Werror -o {program}")
    subprocess.run(["sh", "-c", words], cwd=ROOT, check=True)
    return program


@pytest.mark.parametrize(("sender", "taker"), [*itertools.product(("c", "python"), repeat=2)])
def test_records_of_64_bytes_arrive_in_order_without_an_agent(
    tmp_path: Path, in_c: Path, sender: str, taker: str
) -> None:
    programs = {"c": (str(in_c),), "python": PYTHON}
    window = tmp_path / "window"
    subprocess.run([*PYTHON, "create", str(window)], check=True, timeout=LIMIT)
    ends = [
        subprocess.Popen(
            [*programs[language], what, str(window), seconds], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for language, what, seconds in ((taker, "take", "0.2"), (sender, "send", "60"))
    ]
    try:
        (took, errors), (sent, others) = (end.communicate(timeout=LIMIT) for end in ends)
    finally:
        for end in ends:
            end.kill()
            end.wait()
    assert [end.returncode for end in ends] == [0, 0], errors + others
    assert 0 < int(took.split()[0]) <= int(sent.split()[0])
    assert 0.2 <= float(took.split()[1]) < LIMIT
