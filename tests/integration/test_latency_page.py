"""The experiment of docs/latency.md, run as it stands there: `trace` shows each step that the page names."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.documented import ROOT, documented_blocks
from tests.harness.needs import need
from tests.harness.programs import LIMIT, PROGRAMS, privately
from vnetcard.tap import engine_log
from vnetcard.tap.packet_trace import STEPS
from vnetcard.tap.summary import STAGES

PAGE = "docs/latency.md"
HEADINGS = ("## Set it up", "## One packet", "## Many packets", "## Take it down")
APART = """
mount --make-rprivate /
mount -t proc proc /proc
mkdir -p /run/netns
for folder in /run/netns /dev/shm; do mount -t tmpfs tmpfs $folder; done
"""
"""Shell commands after which the page's names (left, right, shm:vnetcard0) belong to this test alone."""
LEFT_BEHIND = f"""
for try in $(seq 600); do [ -z "$(ip -brief link show type veth)" ] || sleep 0.1; done
echo '{HEADINGS[-1]}'
ls -d /run/netns/* /dev/shm/* $VNETCARD_RUN_DIR/* 2>/dev/null || true
jobs; ip -brief link show type veth
"""
"""The kernel removes the veths a moment after their namespaces."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the commands of each section print; the whole page is one shell's script."""
    folder = tmp_path_factory.mktemp("latency")
    for name, command in PROGRAMS.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {" ".join(command)} "$@"\n')
        program.chmod(0o755)
    (folder / "run").mkdir()
    blocks = [f"echo '{heading}'\n{documented_blocks(PAGE, heading)[0]}" for heading in HEADINGS[:-1]]
    script = "\n".join(["set -e", *blocks, *documented_blocks(PAGE, HEADINGS[-1]), LEFT_BEHIND])
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "VNETCARD_RUN_DIR": str(folder / "run")}
    command = [
        need("unshare"),
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        *privately(APART, [need("bash"), "-c", script]),
    ]
    with (folder / "errors").open("w+") as errors:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | env,
            timeout=4 * LIMIT,
            check=False,
        )
        assert done.returncode == 0, Path(errors.name).read_text()
    parts = re.split(r"(?m)^(## .*)\n", done.stdout)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("heading", HEADINGS[1:3])
def test_trace_shows_the_steps_that_the_page_names(shown: dict[str, str], heading: str) -> None:
    _, documented = documented_blocks(PAGE, heading)
    # Which of these a packet has is a matter of luck: whether the consumer slept, or was busy.
    either = {"wake-up", "in the ring"}
    wanted = set(STEPS if heading == "## One packet" else STAGES) - engine()
    assert steps_in(documented) | either == wanted | either
    assert steps_in(shown[heading]) - either == wanted - either


@pytest.mark.root
@pytest.mark.slow
def test_the_last_commands_of_the_page_leave_nothing(shown: dict[str, str]) -> None:
    assert "3 received" in shown["## Set it up"]
    assert shown["## Take it down"].strip() == ""


def steps_in(text: str) -> set[str]:
    return set(re.findall(rf"(?m)(?:^| {{2}})({'|'.join({*STEPS, *STAGES})})(?: {{2}}|$)", text))


def engine() -> set[str]:
    return set(engine_log.STEPS)


def test_page_explains_every_step() -> None:
    rows = re.findall(r"^\| `([a-z -]+)` \|", (ROOT / PAGE).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == {*STEPS, *STAGES} - engine()
