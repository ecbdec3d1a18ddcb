"""What the kernel counts at an interface in a namespace."""

from __future__ import annotations

import json
import subprocess

from vnetcard.bench.contenders import Contender
from vnetcard.bench.validity import Invalid, Traffic


def received(contender: Contender, side: int) -> Traffic:
    """What the interface of ``side`` has received; a super-packet counts as one."""
    command = ["ip", "-n", contender.namespaces[side], "-s", "-j", "link", "show", contender.interfaces[side]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Invalid(f"interface {contender.interfaces[side]} is gone: {done.stderr.strip()}")
    figures = json.loads(done.stdout)[0]["stats64"]["rx"]
    return Traffic(figures["packets"], figures["bytes"])
