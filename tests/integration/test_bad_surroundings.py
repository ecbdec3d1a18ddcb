"""What the machine does not allow is reported in one line: permission, space, devices, names and windows in use."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.programs import (
    FPGA,
    VNETCARD,
    X86,
    Traces,
    agent,
    as_nobody,
    assert_refused,
    home_of_nobody,
    ip,
    privately,
    run,
)
from tests.harness.restarts import until
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root

ENV = {"VNETCARD_RUN_DIR": "/tmp"}


@pytest.fixture
def traces(netns_pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Traces]:
    run_dir = Path(f"/tmp/vnc-run-{os.getpid()}")
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(run_dir))
    here = Traces(netns_pair[0], run_dir, f"vnc-bad-{os.getpid()}")
    yield here
    assert here.found() == []


@pytest.fixture
def there(traces: Traces) -> list[str]:
    """Options of an agent in the first namespace, with a window of its own."""
    return ["--netns", traces.netns, "--window", f"shm:{traces.shm}"]


@pytest.fixture
def home() -> Iterator[Path]:
    with home_of_nobody() as path:
        yield path


@contextmanager
def host_agent(traces: Traces, window: str) -> Iterator[int]:
    """An agent on the host's side; its pid."""
    with agent([*X86, "--netns", traces.netns, "--window", window, "--name", "tun9"]) as process:
        yield process.pid


# --- windows that others use -------------------------------------------------------------------------


def test_second_agent_on_a_side_names_the_pid_of_the_first(traces: Traces, there: list[str]) -> None:
    with host_agent(traces, f"shm:{traces.shm}") as pid:
        outcome = run([*X86, *there])
        assert_refused(outcome, "vnetcard-x86", "the host side of", f"taken by process {pid}", "another --window")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--window", "{w}+128K"], ("asked for 128 KiB", "the window has 64 KiB", "stop it")),
        (["--window", "{w}", "--queue-bytes", "4K"], ("asked for queues of 4 KiB", "has 16 KiB", "stop it")),
        (["--window", "{w}", "--mtu", "9000"], ("--mtu 9000", "16384 bytes", "at most 8118", "larger window")),
    ],
    ids=["other size", "other queues", "other MTU"],
)
def test_geometry_that_differs_from_the_running_peers_is_refused(
    traces: Traces, netns_pair: tuple[str, str], options: list[str], words: tuple[str, ...]
) -> None:
    window = f"shm:{traces.shm}"
    with host_agent(traces, f"{window}+64K"):
        outcome = run([*FPGA, "--netns", netns_pair[1], *(option.format(w=window) for option in options)])
        assert_refused(outcome, "vnetcard-fpga", *words)
        assert Path("/dev/shm", traces.shm).stat().st_size == 64 << 10


@pytest.mark.parametrize("held", [True, False], ids=["of a live peer", "unused"])
def test_other_wire_version_is_refused(traces: Traces, there: list[str], held: bool, tmp_path: Path) -> None:
    path, window = tmp_path / "window", f"file:{tmp_path / 'window'}"
    with host_agent(traces, window) as pid:
        content = path.read_bytes()
        if held:
            os.kill(pid, signal.SIGSTOP)  # it would replace the window within half a second
            with path.open("r+b") as file:
                file.seek(L.SUPERBLOCK.offset("version_min"))
                file.write((7).to_bytes(4, "little") * 2)
            outcome = run([*FPGA, *there[:2], "--window", window])
            os.kill(pid, signal.SIGCONT)
    if not held:
        path.touch(0o600)
        path.write_bytes(content[:8] + (7).to_bytes(4, "little") * 2 + content[16:])
        before = path.read_bytes()
        outcome = run([*FPGA, *there[:2], "--window", window])
        assert path.read_bytes() == before
    assert_refused(outcome, "vnetcard-fpga", "wire format 7", "speaks 1", f"remove, if nothing uses it, {path}"[-20:])


def test_damaged_window_is_replaced_by_the_agent_that_runs(traces: Traces, there: list[str]) -> None:
    """What an agent that starts in between reports is tested in tests/contract."""
    path, at = Path("/dev/shm", traces.shm), L.SUPERBLOCK.offset("rings_offset")

    def replaced() -> bool:
        with contextlib.suppress(FileNotFoundError):
            return path.read_bytes()[at : at + 4] == whole
        return False

    with host_agent(traces, f"shm:{traces.shm}"):
        whole = path.read_bytes()[at : at + 4]
        with path.open("r+b") as file:
            file.seek(at)
            file.write(b"\xff")
        until(replaced, "the host's agent has replaced the window")
        with agent([*FPGA, *there]):
            pass  # it has printed that it is ready


def test_foreign_file_is_refused_and_unchanged(traces: Traces, there: list[str], tmp_path: Path) -> None:
    path, foreign = tmp_path / "letter", os.urandom(20_000)
    path.write_bytes(foreign)
    for size in ("", "+16K", "+1M"):
        outcome = run([*X86, *there[:2], "--window", f"file:{path}{size}"])
        assert_refused(outcome, "vnetcard-x86", str(path), "no vnetcard window here", "another --window")
    assert path.read_bytes() == foreign


# --- file systems ------------------------------------------------------------------------------------


def leaving_a_list(command: list[str], folder: str, into: Path) -> list[str]:
    """``command``, and after it the names in ``folder`` written to the file ``into``."""
    return ["sh", "-c", f'"$@"; status=$?; ls -A {folder} >{into}; exit $status', "sh", *command]


@pytest.mark.parametrize(
    ("options", "window", "words"),
    [
        ("size=32k", "file:/mnt/window", ("no room for 8 MiB in /mnt", "No space left", "file:/mnt/window+SIZE")),
        ("size=32k", "shm:{shm}", ("no room for 8 MiB in /dev/shm", "No space left", "smaller window")),
        ("ro", "file:/mnt/window", ("cannot open /mnt/window", "Read-only file system")),
        ("ro", "shm:{shm}", ("cannot open /dev/shm/{shm}", "Read-only file system")),
    ],
    ids=["full disk", "full shared memory", "read-only disk", "read-only shared memory"],
)
def test_full_file_system_is_one_line(
    there: list[str], tmp_path: Path, options: str, window: str, words: tuple[str, ...]
) -> None:
    name = there[-1].removeprefix("shm:")
    folder = "/dev/shm" if window.startswith("shm") else "/mnt"
    command = [*X86, *there[:2], "--window", window.format(shm=name)]
    script = f"mount -t tmpfs -o {options} tmpfs {folder}"
    outcome = run(privately(script, leaving_a_list(command, folder, tmp_path / "list")))
    assert_refused(outcome, "vnetcard-x86", *(word.format(shm=name) for word in words))
    assert (tmp_path / "list").read_text() == ""


def test_files_of_another_user_are_refused(traces: Traces, home: Path) -> None:
    closed, roots = home / "closed", home / "roots"
    closed.mkdir(mode=0o755)
    roots.write_bytes(bytes(1 << 16))
    roots.chmod(0o600)
    for path in (closed / "window", roots):
        outcome = run(as_nobody([*X86, "--window", f"file:{path}"]), env=ENV)
        assert_refused(outcome, "vnetcard-x86", f"cannot open {path}", "Permission denied")
    outcome = run(as_nobody([*X86, "--config", str(roots)]), env=ENV)
    assert_refused(outcome, "vnetcard-x86", f"--config {roots}", "Permission denied")
    assert list(closed.iterdir()) == []
    assert roots.read_bytes() == bytes(1 << 16)


def test_shared_memory_of_another_user_is_refused(traces: Traces, there: list[str], home: Path) -> None:
    with host_agent(traces, f"shm:{traces.shm}"):
        outcome = run(as_nobody([*FPGA, *there]), env={"VNETCARD_RUN_DIR": str(home / "run")})
        assert_refused(outcome, "vnetcard-fpga", f"/dev/shm/{traces.shm}", "belongs to another user", "--window")
        outcome = run(as_nobody([*VNETCARD, "info", f"shm:{traces.shm}"]))
        assert_refused(outcome, "vnetcard", f"/dev/shm/{traces.shm}", "Permission denied")
        outcome = run(as_nobody([*VNETCARD, "status", "--window", f"shm:{traces.shm}"]))
        assert_refused(outcome, "vnetcard", "no permission for", "run this as the user of the agent")


# --- the control socket ------------------------------------------------------------------------------


def test_control_folder_of_another_user_is_refused(there: list[str], home: Path) -> None:
    outcome = run([*X86, *there], env={"VNETCARD_RUN_DIR": str(home)})
    assert_refused(outcome, "vnetcard-x86", f"{home} belongs to another user", "set VNETCARD_RUN_DIR")
    assert list(home.iterdir()) == []


def test_unwritable_control_folder_is_one_line(there: list[str], tmp_path: Path) -> None:
    for folder, why in (("/mnt", "Read-only file system"), ("/mnt/run", "Read-only file system")):
        command = privately("mount -t tmpfs -o ro tmpfs /mnt", [*X86, *there])
        outcome = run(command, env={"VNETCARD_RUN_DIR": folder})
        assert_refused(outcome, "vnetcard-x86", f"control socket {folder}", why, "set VNETCARD_RUN_DIR")
    (tmp_path / "file").touch()
    outcome = run([*X86, *there], env={"VNETCARD_RUN_DIR": str(tmp_path / "file")})
    assert_refused(outcome, "vnetcard-x86", "control socket", "File exists", "set VNETCARD_RUN_DIR")


# --- interfaces --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["veth", "tap"])
def test_interface_of_another_kind_is_refused(netns_pair: tuple[str, str], traces: Traces, kind: str) -> None:
    netns = netns_pair[1]
    if kind == "tap":
        ip("-n", netns, "tuntap", "add", "net0", "mode", "tap")
    else:
        ip("-n", netns, "link", "add", "net0", "type", kind)
    outcome = run([*X86, "--netns", netns, "--window", f"shm:{traces.shm}", "--name", "net0"])
    assert_refused(outcome, "vnetcard-x86", f"tun:net0 in namespace {netns}", "another kind", "another --name")
    assert "net0" in ip("-n", netns, "link", "show", "net0"), "an interface that was not ours is gone"


def test_tun_that_another_process_holds_is_refused(traces: Traces, there: list[str]) -> None:
    with host_agent(traces, f"shm:{traces.shm}-other"):
        outcome = run([*FPGA, *there, "--name", "tun9"])
        assert_refused(outcome, "vnetcard-fpga", "tun:tun9", "another process holds", "another --name")


def test_missing_permission_for_the_tun_device_is_one_line(traces: Traces, home: Path) -> None:
    env = {"VNETCARD_RUN_DIR": str(home / "run")}
    outcome = run(as_nobody([*X86, "--window", f"shm:{traces.shm}"]), env=env)
    assert_refused(
        outcome, "vnetcard-x86", "no permission for /dev/net/tun", "ip tuntap add tun0 mode tun vnet_hdr user"
    )
    outcome = run(as_nobody([*X86, "--window", f"shm:{traces.shm}", "--netns", traces.netns]), env=env)
    assert_refused(outcome, "vnetcard-x86", f"namespace '{traces.netns}'", "cannot enter it", "not permitted")


def test_missing_tun_device_is_one_line(there: list[str]) -> None:
    hide = "mount -t tmpfs tmpfs /dev/net"
    outcome = run(privately(hide, [*X86, *there]))
    assert_refused(outcome, "vnetcard-x86", "no /dev/net/tun", "modprobe tun")
    outcome = run(privately(hide, [*VNETCARD, "demo"]))
    assert_refused(outcome, "vnetcard", "the demo needs /dev/net/tun", "modprobe tun")


def test_demo_names_a_missing_tool(tmp_path: Path) -> None:
    outcome = run([*VNETCARD, "demo"], env={"PATH": str(tmp_path)})
    assert_refused(outcome, "vnetcard", "`ip` is not installed", "iproute2")


# --- locks -------------------------------------------------------------------------------------------


def test_refused_agents_leave_no_lock_and_the_window_to_its_owner(traces: Traces, there: list[str]) -> None:
    with host_agent(traces, f"shm:{traces.shm}"):
        ip("-n", traces.netns, "link", "add", "net0", "type", "veth")
        for options in (["--name", "net0"], ["--queue-bytes", "4K"], ["--name", "tun9"]):
            assert run([*FPGA, *there, *options]).status == 2
        ip("-n", traces.netns, "link", "del", "net0")
        with agent([*FPGA, *there]):
            pass


def test_missing_notification_socket_does_not_stop_the_agent(there: list[str]) -> None:
    with agent([*X86, *there], env={"NOTIFY_SOCKET": "/nowhere/notify"}):
        pass
