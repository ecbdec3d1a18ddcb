"""The commands in `docs/compared.md` that do what those of DPDK, KNI, VPP and tapip do."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.build_cache import build_cache  # noqa: F401 - for the stack
from tests.harness.programs import VNETCARD, X86, agent, ip, run
from vnetcard.lab.lab import ADDRESSES, Lab, run_in
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.slow]

PAGE = Path(__file__).parents[2] / "docs/compared.md"


def commands() -> list[str]:
    """The code of the column "here" of each row, once each."""
    rows = re.findall(r"^\| .* \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    found = [code for row in rows for code in re.findall(r"`([^`]+)`", row)]
    assert len(found) > 30
    return list(dict.fromkeys(found))


AGENTS = [one for one in commands() if one.startswith("vnetcard-x86 ")]
STACK = [one for one in commands() if one.startswith("vnetcard stack ")]
OTHERS = [one for one in commands() if one not in AGENTS + STACK]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A link that pings cross all the time."""
    with Lab("compared") as lab:
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up()
        ping = ["ping", "-q", "-i", "0.05", ADDRESSES[L.CARD]]
        with subprocess.Popen(run_in(lab.namespaces[L.HOST], ping), stdout=subprocess.DEVNULL) as pinging:
            yield lab
            pinging.terminate()


@pytest.mark.parametrize("command", OTHERS)
def test_command_beside_a_link(lab: Lab, tmp_path: Path, command: str) -> None:
    words = shlex.split(command)
    if words[0] == "vnetcard":
        window = [] if "--version" in words else ["--window", lab.url]
        words = [*VNETCARD, *words[1:], *window]
    done = run(run_in(lab.namespaces[L.HOST], words), cwd=tmp_path)
    assert done.status == 0, done
    if "-w" in words:
        assert (tmp_path / words[words.index("-w") + 1]).stat().st_size > 100
    if "down" in words:
        ip("-n", lab.namespaces[L.HOST], "link", "set", "tun0", "up")
        lab.wait_up()


@pytest.mark.parametrize("command", AGENTS)
def test_agent(netns_pair: tuple[str, str], command: str) -> None:
    netns = netns_pair[0]
    ip("-n", netns, "link", "add", "veth1", "mtu", "9000", "type", "veth", "peer", "name", "veth2")
    for name in ("veth1", "veth2"):
        ip("-n", netns, "link", "set", name, "up")
    window = ["--window", f"shm:vnc-compared-{os.getpid()}"]
    place = [] if re.search("memif:|vhost-user:", command) else ["--netns", netns]  # which is for interfaces
    with agent([*X86, *shlex.split(command)[1:], *window, *place]):
        pass  # it was ready, and ends with status 0


@pytest.mark.usefixtures("build_cache")
def test_stack() -> None:
    with Lab("compared-stack") as lab:
        lab.start(L.HOST)
        for command in STACK:
            done = run([*VNETCARD, *shlex.split(command)[1:], "--window", lab.url])
            assert done.status == 0, (command, done)
