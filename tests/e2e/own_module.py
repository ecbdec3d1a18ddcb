"""A kernel module that the person has built, in a guest."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from vnetcard.sim.guest.qemu import Guest

WRITE = """
import base64, sys
open(sys.argv[1], "wb").write(base64.b64decode(sys.stdin.read()))
"""


def put_module(guest: Guest, variable: str) -> str:
    """Copy the module that the environment's ``variable`` names into the guest; returns its path there."""
    there = f"/run/{variable.lower()}.ko"
    text = base64.b64encode(Path(os.environ[variable]).read_bytes()).decode()
    done = guest.run("python3", "-c", WRITE, there, text=text, limit=300)
    assert done.status == 0, done
    return there
