"""What an agent's process reaches of the file system after its set-up, and what its helper threads reach: Landlock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vnetcard.agent.status import holding_lines
from vnetcard.terminal import landlock

ATTEMPTS = """
import json, os, socket, sys, threading
from pathlib import Path
from vnetcard.agent import file_access
from vnetcard.agent.config import load
from vnetcard.terminal import capabilities as caps, landlock
window, folder = sys.argv[1:]
helper_may, go = {}, threading.Event()
def attempt(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__
    return "done"
def read(path): return lambda: Path(path).read_bytes()
def write(path): return lambda: Path(path).write_text("x")
def opened(path, flags): return lambda: os.close(os.open(path, flags))
def listen(path): return lambda: socket.socket(socket.AF_UNIX).bind(path)
def dial(): socket.create_connection(("127.0.0.1", 1), 1)
def serve():
    caps.shed()
    go.wait()
    helper_may["read"] = attempt(read("/etc/passwd"))
caps.no_new_privileges()
helper = threading.Thread(target=serve)
helper.start()
config = load(0, ["--window", window])
landlock.restrict(file_access.rules(config))
go.set()
helper.join()
import tomllib, wave  # not loaded yet
print(json.dumps({
    "restricted": landlock.is_restricted(),
    "helper": helper_may["read"],
    "shadow": attempt(read("/etc/shadow")),
    "home": attempt(write(os.path.expanduser("~/vnc-landlock"))),
    "etc": attempt(write("/etc/vnc-landlock")),
    "core_pattern": attempt(opened("/proc/sys/kernel/core_pattern", os.O_WRONLY)),
    "other folder": attempt(write(f"{folder}/else/where")),
    "unlink": attempt(lambda: os.unlink(f"{folder}/else/kept")),
    "tcp": attempt(dial),
    "users": attempt(read("/etc/passwd")),
    "sysctl": attempt(opened("/proc/sys/net/ipv4/conf/lo/rp_filter", os.O_WRONLY if not os.geteuid() else os.O_RDONLY)),
    "window": attempt(write(window.partition(":")[2])),
    "window again": attempt(lambda: os.unlink(window.partition(":")[2])),
    "socket": attempt(listen(f"{folder}/run/a.sock")),
    "socket again": attempt(lambda: os.unlink(f"{folder}/run/a.sock")),
    "its folder": attempt(lambda: os.rmdir(f"{folder}/run")),
}))
"""
MAY = ("users", "sysctl", "window", "window again", "socket", "socket again", "its folder")


def test_process_reaches_what_its_agent_needs_and_nothing_else(tmp_path: Path) -> None:
    for name in ("run", "windows", "else"):
        (tmp_path / name).mkdir()
    (tmp_path / "else/kept").touch()
    command = [sys.executable, "-c", ATTEMPTS, f"file:{tmp_path}/windows/w", str(tmp_path)]
    env = os.environ | {"VNETCARD_RUN_DIR": str(tmp_path / "run")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    version = landlock.abi()
    if not version:  # the kernels that have it: tests/matrix
        assert done.stderr.splitlines()[-1].startswith("OSError: [Errno 38]"), done.stderr
        return
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    if version < 4:
        assert found.pop("tcp") == "ConnectionRefusedError"
    assert found.pop("restricted") is True
    assert {what for what, how in found.items() if how == "done"} == set(MAY), found
    assert {how for what, how in found.items() if what not in MAY} == {"PermissionError"}, found


WITHOUT = """
import json
from vnetcard.agent import seccomp
from vnetcard.agent.config import load
from vnetcard.agent.privileges import Privileges
from vnetcard.terminal import capabilities as caps
caps.no_new_privileges()
seccomp.install(seccomp.NUMBERS)  # which refuses the calls of Landlock
privileges = Privileges(load(0, []))
privileges.settle()
print(json.dumps(privileges.view()))
"""


def test_agent_on_a_kernel_without_landlock_is_restricted_otherwise_and_says_so() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert (view["landlock"], view["landlock_abi"], view["seccomp"]) == (False, 0, True)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"landlock": True, "landlock_abi": 7}, "no_new_privs, seccomp, landlock (ABI 7)"),
        ({"landlock": False, "landlock_abi": 0}, "no_new_privs, seccomp, no landlock in this kernel"),
        ({"landlock": False, "landlock_abi": 7}, "no_new_privs, seccomp"),
        ({}, "no_new_privs, seccomp"),
    ],
    ids=["restricted", "old kernel", "plug-in", "older agent"],
)
def test_status_says_whether_files_are_restricted(held: dict[str, Any], words: str) -> None:
    view = {"user": "root", "capabilities": ["CAP_NET_ADMIN"], "no_new_privs": True, "seccomp": True, **held}
    assert holding_lines(view) == [f"  holds     user root, CAP_NET_ADMIN; {words}"]
