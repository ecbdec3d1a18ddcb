"""What the kernel counts at an interface in a namespace."""

from __future__ import annotations

import json
import subprocess

from vnetcard.bench.contenders import Peer
from vnetcard.bench.validity import Invalid, Traffic


def received(peer: Peer, side: int) -> Traffic:
    """What the interface of ``side`` has received; a super-packet counts as one."""
    command = ["ip", "-n", peer.namespaces[side], "-s", "-j", "link", "show", peer.interfaces[side]]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode:
        raise Invalid(f"interface {peer.interfaces[side]} is gone: {said.stderr.strip()}")
    figures = json.loads(said.stdout)[0]["stats64"]["rx"]
    return Traffic(figures["packets"], figures["bytes"])
