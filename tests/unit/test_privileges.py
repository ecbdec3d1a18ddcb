"""Which capabilities an agent keeps, by its options; and what the kernel says of a thread that gave its own up."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vnetcard.agent.config import load
from vnetcard.agent.privileges import needed
from vnetcard.ring.layout import HOST
from vnetcard.terminal import capabilities

SELF = str(os.geteuid())


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ([], {"NET_ADMIN"}),
        (["--window", "memfd:lab0"], {"NET_ADMIN"}),
        (["--window", f"shm:lab0?owner={SELF}"], {"NET_ADMIN"}),
        (["--window", "shm:lab0?owner=12345"], {"NET_ADMIN", "DAC_OVERRIDE"}),
        (["--window", "mem:0x80000000+8M"], {"NET_ADMIN", "SYS_RAWIO"}),
        (["--window", "pci:auto"], {"NET_ADMIN", "SYS_ADMIN"}),
        (["--window", "udmabuf:udmabuf0?engine=pci:03:00.0/0"], {"NET_ADMIN", "SYS_ADMIN"}),
        (["--window", "xdma:0@0x80000000"], {"NET_ADMIN"}),
        (["--window", "uio:vnetcard"], {"NET_ADMIN"}),
        (["--user", "nobody", "--window", "shm:lab0?owner=12345"], {"NET_ADMIN"}),
        (["--user", "nobody", "--window", "pci:auto"], {"NET_ADMIN"}),
        (["--user", "nobody", "--window", "mem:0x80000000+8M"], {"NET_ADMIN", "SYS_RAWIO"}),
    ],
)
def test_agent_keeps_what_its_interface_and_its_window_need(options: list[str], kept: set[str]) -> None:
    assert needed(load(HOST, [*options, "--privileges", "least"])) == kept


@pytest.mark.parametrize("options", [[], ["--privileges", "follow"]])
def test_agent_may_follow_its_interface_into_another_namespace_by_default(options: list[str]) -> None:
    assert needed(load(HOST, options)) == {"NET_ADMIN", "SYS_ADMIN"}


def test_capabilities_have_the_kernels_numbers_and_names() -> None:
    assert capabilities.bits_of(["CHOWN", "NET_ADMIN", "CHECKPOINT_RESTORE"]) == 1 | 1 << 12 | 1 << 40
    assert capabilities.names_of(1 << 12 | 1 << 21) == ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]
    assert capabilities.names_of(1 << 60) == ["CAP_60"]


GIVES_UP = """
import os, threading, time
from vnetcard.terminal import capabilities as caps
before = caps.held()["capabilities"]
shed, go = threading.Event(), threading.Event()
def serve():
    caps.shed()
    shed.set()
    go.wait()
thread = threading.Thread(target=serve)
thread.start()
shed.wait()
caps.no_new_privileges()
caps.keep(1 << 12)
held = caps.held()
print(held["capabilities"] == before & 1 << 12, held["no_new_privs"])
go.set()
thread.join()
while len(os.listdir("/proc/self/task")) > 1:  # join() returns a moment before the kernel's thread has ended
    time.sleep(0.001)
print(caps.held()["no_new_privs"])
from vnetcard.agent import seccomp
seccomp.install([name for name in seccomp.NUMBERS if name != "capset"])
caps.keep(1 << 12 | 1 << 21)  # what it has already
"""


def test_capabilities_that_were_given_up_are_gone_from_all_threads() -> None:
    done = subprocess.run([sys.executable, "-c", GIVES_UP], capture_output=True, text=True, check=False)
    # the thread was started before no_new_privs
    assert (done.returncode, done.stdout.split()) == (0, ["True", "0", "1"]), done.stderr
