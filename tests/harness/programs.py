"""Runs our programs as real processes, also as user nobody, and finds what they leave behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.needs import need
from vnetcard.lab.lab import MODULES

ROOT = Path(__file__).resolve().parents[2]
X86, FPGA = ([sys.executable, "-m", module] for module in MODULES)
VNETCARD = [sys.executable, "-m", "vnetcard.cli.main"]
PROGRAMS = {"vnetcard-x86": X86, "vnetcard-fpga": FPGA, "vnetcard": VNETCARD}
NOBODY = 65534
OPEN_TUN = "mount -t tmpfs -o mode=755 tmpfs /dev/net; mknod -m 666 /dev/net/tun c 10 200"
"""Shell commands that give /dev/net/tun the usual mode 0666."""
LIMIT = 30.0
"""Seconds for a program to end by itself, on a very busy machine."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended."""

    status: int
    stdout: str
    stderr: str


def run(
    command: Sequence[str], *, env: dict[str, str] | None = None, cwd: Path | None = None, limit: float = LIMIT
) -> Outcome:
    """Run ``command`` to its end, with ``env`` added to the environment."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        env=os.environ | (env or {}),
        cwd=cwd,
        timeout=limit,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def assert_refused(outcome: Outcome, program: str, *words: str) -> None:
    """One line that starts with the program and holds ``words``, exit status 2, and nothing on stdout."""
    assert outcome.status == 2, outcome
    assert "Traceback" not in outcome.stderr
    assert outcome.stderr.count("\n") == 1, outcome.stderr
    assert re.match(rf"{program}( \w+)?: error: ", outcome.stderr), outcome.stderr
    for word in words:
        assert word in outcome.stderr
    assert outcome.stdout == ""


def ip(*words: str) -> str:
    """Run ``ip`` with ``words``; returns its output."""
    done = subprocess.run([need("ip"), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@contextlib.contextmanager
def started(
    command: Sequence[str], *, env: dict[str, str] | None = None, stderr: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """Run ``command`` during the block; then end it by SIGTERM, so that it leaves nothing behind, or by SIGKILL."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=os.environ | (env or {}),
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - it makes one system call
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def agent(command: Sequence[str], *, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run an agent, ready at the start of the block; then end it by SIGTERM, upon which its status must be 0."""
    with started(command, env=env) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if " ready: " not in line:
            raise AssertionError(f"not ready but {line!r}: {process.communicate(timeout=LIMIT)[1]}")
        yield process
        if process.poll() is None:
            process.terminate()
            process.wait(LIMIT)
            assert process.returncode == 0, f"ended with status {process.returncode}"


def stop(process: subprocess.Popen[str]) -> None:
    """Stop ``process`` by SIGSTOP, and wait until each of its threads has stopped."""
    process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + LIMIT
    while any(_state(path) not in "TtZX" for path in Path(f"/proc/{process.pid}/task").glob("*/stat")):
        assert time.monotonic() < deadline, f"process {process.pid} does not stop"
        time.sleep(0.001)


def _state(stat_file: Path) -> str:
    try:
        return stat_file.read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


# --- another user, another view of the file system ---------------------------------------------------


def privately(script: str, command: Sequence[str]) -> list[str]:
    """The command that runs ``command`` in a new mount namespace, after the shell commands ``script``."""
    return [need("unshare"), "--mount", "sh", "-ec", f'{script}\nexec "$@"', "sh", *command]


def as_nobody(command: Sequence[str], script: str = "", *, keep: str = "") -> list[str]:
    """The command that runs ``command`` as user nobody without capabilities, in a new mount namespace after ``script``.

    ``keep`` is a capability that it keeps, such as ``net_admin``.  ``script`` runs as root.  A Python, a virtual
    environment or a checkout below a closed folder such as /root is made reachable in that namespace.
    """
    caps = f"-all,+{keep}" if keep else "-all"
    drop = [need("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={caps}"]
    drop += [f"--ambient-caps={caps}", f"--bounding-set={caps}", "--no-new-privs"]
    return privately(f"{_make_reachable()}\n{script}", [*drop, *command])


def _make_reachable() -> str:
    """Shell commands that make Python and the checkout reachable for all users of the mount namespace."""
    wanted = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT}
    closed = {path: top for path in sorted(wanted) if (top := _closed_above(path))}
    lines = ["mount -t tmpfs -o mode=755 tmpfs /mnt"] if closed else []
    for n, path in enumerate(closed):
        lines += [f"mkdir /mnt/{n}", f"mount --bind {shlex.quote(str(path))} /mnt/{n}"]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(top))}" for top in sorted(set(closed.values()))]
    for n, path in enumerate(closed):
        lines += [f"mkdir -p {shlex.quote(str(path))}", f"mount --bind /mnt/{n} {shlex.quote(str(path))}"]
    return "\n".join(lines)


def _closed_above(path: Path) -> Path | None:
    """The topmost folder above ``path``, or ``path`` itself, that other users cannot enter."""
    for folder in [*reversed(path.parents), path]:
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


@contextlib.contextmanager
def home_of_nobody() -> Iterator[Path]:
    """A folder owned by user nobody and reachable by it: in /tmp, not in pytest's folder."""
    with tempfile.TemporaryDirectory(prefix="vnc-nobody-", ignore_cleanup_errors=True) as name:
        path = Path(name)
        os.chown(path, NOBODY, NOBODY)
        path.chmod(0o755)
        yield path


# --- nothing left behind -----------------------------------------------------------------------------


def demo_traces(demo: int | str) -> list[str]:
    """The namespaces, shared memory and sockets of a demo that still exist.

    ``demo`` is its process id, or its output, which names its namespaces: other demos may run at the same time.
    """
    if isinstance(demo, str):
        named = re.search(r"vnetcard-demo-(\d+)-host", demo)
        assert named, f"the output names no namespace: {demo}"
        demo = int(named[1])
    name = re.compile(rf"demo-{demo}(?!\d)")
    places = (Path("/run/netns"), Path("/dev/shm"), Path("/run/vnetcard"))
    return [str(path) for folder in places for path in folder.glob("*") if name.search(path.name)]


def demo_processes(pid: int) -> list[str]:
    """The processes of the demo that ran as ``pid``."""
    name, found = re.compile(rf"demo-{pid}(?!\d)"), []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # the process has just ended
            continue
        if name.search(command):
            found.append(f"process {entry.parent.name}: {command}")
    return found


@dataclass(slots=True)
class Traces:
    """Finds what a test's programs leave behind: interfaces of a namespace, windows and sockets, by name."""

    netns: str
    run_dir: Path
    shm: str
    interfaces: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.interfaces = self._interfaces()

    def _interfaces(self) -> set[str]:
        return {line.split(":")[1].strip() for line in ip("-n", self.netns, "-o", "link", "show").splitlines()}

    def found(self) -> list[str]:
        """What exists now and did not exist at first."""
        left = [f"interface {name}" for name in sorted(self._interfaces() ^ self.interfaces)]
        left += [str(path) for path in Path("/dev/shm").glob(f"{self.shm}*")]
        return left + [str(path) for path in self.run_dir.rglob("*")]
