"""Single system calls of an agent fail, at each phase of its life: it goes on, or ends in one line and leaves nothing.

``tests/harness/injection.py`` does it; the campaign repeats it for every call that an agent makes.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.harness.failing_calls import FRIENDLY, PHASES, Injection
from tests.harness.injection import Injector
from tests.harness.needs import need
from tests.harness.programs import ROOT

pytestmark = [pytest.mark.root, pytest.mark.slow]

QUICK = (
    Injection("start", "fcntl", "ENOLCK", 5),
    Injection("run", "read", "EIO", 1),
    Injection("stop", "write", "EIO", 1),
)
"""Those whose kind was a traceback, a hang or a file left behind."""


def test_failed_calls_are_survived_or_one_line() -> None:
    with Injector("inject") as injector:
        results = [injector.apply(one) for one in QUICK]
    for result in results:
        print(f"{result.injection}: {result.outcome}: {result.said}")
    bad = [f"{one.injection}: {one.outcome}: {one.said}" for one in results if one.outcome not in FRIENDLY]
    assert not bad, "\n".join(bad)
    assert sum(one.outcome != "not met" for one in results) >= len(QUICK) // 2, "strace injects nothing"


@pytest.mark.campaign
@pytest.mark.timeout(14400)
@pytest.mark.parametrize("phase", PHASES)
def test_every_call_that_fails_is_survived_or_one_line(phase: str) -> None:
    """The first times that each call is made, as many as $VNETCARD_INJECT_MOST says; two take half an hour."""
    need("strace")
    most = os.environ.get("VNETCARD_INJECT_MOST", "2")
    command = [sys.executable, "-m", "tests.harness.injection", "--most", most, "--phase", phase]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
