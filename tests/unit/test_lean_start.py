"""What an agent loads before its link is up: each module costs time at the start, and memory.

A budget in modules, not in time: how long they take depends on the machine.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "asyncio",
    "hashlib",
    "importlib.metadata",
    "platform",
    "pyroute2",
    "pytun",
    "subprocess",
    "tempfile",
    "tomllib",
)
"""Used by some agents only, which load them when they need them."""
OWN_MAX = 130
"""Modules of vnetcard that an agent may load: those of today, and a few more."""
ALL_MAX = 195

PROGRAM = """
import sys
before = set(sys.modules)
import vnetcard.{side}_side.agent
import vnetcard.agent.agent
print(*set(sys.modules) - before, sep="\\n")
"""


@pytest.fixture(scope="module", params=["x86", "fpga"])
def loaded(request: pytest.FixtureRequest) -> set[str]:
    """The modules that the agent's program loads, beyond those of an empty one."""
    program = PROGRAM.format(side=request.param)
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(output.stdout.split())


def test_libraries_that_few_agents_need_are_not_loaded(loaded: set[str]) -> None:
    assert loaded.isdisjoint(HEAVY)


def test_number_of_modules_is_bounded(loaded: set[str]) -> None:
    own = {name for name in loaded if name.startswith("vnetcard")}
    assert "vnetcard.agent.agent" in own
    assert len(own) <= OWN_MAX
    assert len(loaded) <= ALL_MAX
