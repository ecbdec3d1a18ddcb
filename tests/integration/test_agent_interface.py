"""What an agent configures and reports: interface, readiness, log, files and their modes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.harness.needs import need, skip_or_fail
from tests.harness.programs import FPGA, X86, agent, ip, run, started
from tests.harness.restarts import until
from vnetcard.agent.control import ask, socket_path
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("iface") as lab:
        yield lab


def link(netns: str, name: str = "tun0") -> dict[str, Any]:
    """The interface as ``ip`` shows it; {} when it is not there."""
    command = [need("ip"), "-n", netns, "-d", "-j", "address", "show", name]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    return dict(json.loads(shown.stdout)[0]) if shown.returncode == 0 else {}


def is_open(netns: str) -> bool:
    return bool(link(netns)["operstate"] == "UP")


def addresses(netns: str, name: str = "tun0") -> set[str]:
    """Its addresses but the link-local ones."""
    infos = [info for info in link(netns, name)["addr_info"] if info["scope"] == "global"]
    return {f"{info['local']}/{info['prefixlen']}" for info in infos}


def ping(netns: str, address: str, *more: str) -> None:
    """Twenty pings; more follow, as ping waits for its last reply for only twice the longest time so far."""
    command = run_in(netns, [need("ping"), "-n", "-c", "220", "-i", "0.01", "-W", "2", *more, address])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pinging:
        assert pinging.stdout is not None
        wanted, shown = set(range(1, 21)), ""
        while wanted and (line := pinging.stdout.readline()):
            shown += line
            if answered := re.search(r"icmp_seq=(\d+) .*time=", line):
                wanted.discard(int(answered[1]))
        pinging.kill()
    assert not wanted, shown


def test_without_a_single_argument_both_sides_meet_and_ping(netns_pair: tuple[str, str]) -> None:
    if Path("/dev/shm/vnetcard0").exists():
        skip_or_fail("a window shm:vnetcard0 is in use on this machine")
    host, card = netns_pair
    with agent(run_in(host, X86)), agent(run_in(card, FPGA)):
        assert addresses(host) == {"10.10.10.1/24"}
        assert addresses(card) == {"10.10.10.5/24"}
        assert link(host)["mtu"] == 1500
        for netns in (host, card):  # a ready agent has an interface; it gets its carrier after the handshake
            until(partial(is_open, netns), f"{netns} open for sending")
        ping(host, "10.10.10.5")
        ping(card, "10.10.10.1")
        assert stat.S_IMODE(Path("/dev/shm/vnetcard0").stat().st_mode) == 0o600
    assert not link(host) and not link(card)
    assert not Path("/dev/shm/vnetcard0").exists()


def test_ready_line_is_the_only_line_on_stdout(netns_pair: tuple[str, str]) -> None:
    window, netns = f"shm:vnc-ready-{os.getpid()}", netns_pair[0]
    with started([*X86, "--window", window, "--netns", netns]) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == f"vnetcard-x86 ready: tun0 10.10.10.1/24 in {netns} on {window} (pid {process.pid})\n"
        process.terminate()
        out, errors = process.communicate(timeout=20)
        assert (out, process.returncode) == ("", 0)
        assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_agent_with_status_0_and_leaves_nothing(lab: Lab, number: signal.Signals) -> None:
    lab.start(HOST)
    assert link(lab.namespaces[HOST])
    assert lab.stop(HOST, number) == 0
    assert not link(lab.namespaces[HOST])
    assert not socket_path(lab.url, HOST).exists()
    assert not Path("/dev/shm", lab.url.removeprefix("shm:")).exists()


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
@pytest.mark.parametrize("inside", [False, True], ids=["own namespace", "--netns"])
def test_systemd_is_notified_of_ready_and_stopping(
    netns_pair: tuple[str, str], tmp_path: Path, abstract: bool, inside: bool
) -> None:
    name = f"@vnc-notify-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(20)
        command = [*X86, "--window", f"shm:vnc-notify-{os.getpid()}", "--name", "vncnotify"]
        command += ["--netns", netns_pair[0]] if inside else []
        with agent(command, env={"NOTIFY_SOCKET": name}) as process:
            assert f"READY=1\nMAINPID={process.pid}\n" in manager.recv(4096).decode()
        received: list[str] = []
        while not received or received[-1] != "STOPPING=1":
            received.append(manager.recv(4096).decode())
        assert all("\n" not in text or "READY" not in text for text in received)


def test_watchdog_is_notified_by_a_waiting_agent_but_not_by_a_stopped_one(tmp_path: Path) -> None:
    with Lab("watchdog") as lab, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        command = [*X86, "--window", lab.window, "--netns", lab.namespaces[HOST]]
        with agent(command, env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000"}) as process:
            received = [manager.recv(4096) for _ in range(20)]
            assert received.count(b"WATCHDOG=1") >= 15
            process.send_signal(signal.SIGSTOP)
            manager.settimeout(0.5)
            with pytest.raises(TimeoutError):
                while True:
                    manager.recv(4096)
            process.send_signal(signal.SIGCONT)


def test_addresses_routes_mtu_and_name_are_set(lab: Lab) -> None:
    netns = lab.namespaces[HOST]
    wanted = ["--address", "10.9.9.1/24", "--address", "10.8.8.1/16", "--address", "fd00:9::1/64"]
    routes = ["--route", "10.77.0.0/16 via 10.9.9.5", "--route", "10.66.0.0/16", "--route", "fd00:77::/64"]
    lab.start(HOST, *wanted, *routes, "--mtu", "9000", "--name", "vcard-0.x_y")
    assert addresses(netns, "vcard-0.x_y") == {"10.9.9.1/24", "10.8.8.1/16", "fd00:9::1/64"}
    shown = link(netns, "vcard-0.x_y")
    assert (shown["mtu"], shown["txqlen"]) == (9000, 1000)
    assert {"UP", "NO-CARRIER"} <= set(shown["flags"])
    table = ip("-n", netns, "route", "show") + ip("-n", netns, "-6", "route", "show")
    for words in (
        "10.77.0.0/16 via 10.9.9.5 dev vcard-0.x_y",
        "10.66.0.0/16 dev vcard-0.x_y",
        "fd00:77::/64 dev vcard",
    ):
        assert words in table


def test_default_route_over_the_card(lab: Lab) -> None:
    lab.start(HOST, "--route", "default via 10.10.10.5")
    lab.start(CARD, "--address", "10.10.10.5/24", "--address", "192.0.2.7/32")
    lab.wait_up()
    ping(lab.namespaces[HOST], "192.0.2.7")


def test_both_families_cross(lab: Lab) -> None:
    lab.start(HOST, "--address", "10.9.9.1/24", "--address", "fd00:9::1/64")
    lab.start(CARD, "--address", "10.9.9.5/24", "--address", "fd00:9::5/64")
    lab.wait_up()
    for address in ("10.9.9.5", "fd00:9::5"):
        ping(lab.namespaces[HOST], address)


def test_interface_has_the_smaller_mtu_of_both(lab: Lab) -> None:
    lab.start(HOST, "--mtu", "9000")
    lab.start(CARD, "--mtu", "4000")
    lab.wait_up()
    assert [link(netns)["mtu"] for netns in lab.namespaces] == [4000, 4000]
    ping(lab.namespaces[HOST], "10.10.10.5", "-s", "3972", "-M", "do")


def test_namespace_by_path(netns_pair: tuple[str, str]) -> None:
    window = f"shm:vnc-path-{os.getpid()}"
    with agent([*X86, "--window", window, "--netns", f"/run/netns/{netns_pair[0]}"]):
        assert addresses(netns_pair[0]) == {"10.10.10.1/24"}


def test_configuration_file_and_command_line_together(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('address = ["10.9.9.1/24", "fd00:9::1/64"]\nmtu = 4000\nname = "tun5"\npersist = false\n')
    lab.start(HOST, "--config", str(file), "--mtu", "8000")
    assert addresses(lab.namespaces[HOST], "tun5") == {"10.9.9.1/24", "fd00:9::1/64"}
    assert link(lab.namespaces[HOST], "tun5")["mtu"] == 8000


def log_of(netns: str, *options: str) -> str:
    """What an agent that is started and stopped writes to stderr."""
    window = f"shm:vnc-log-{os.getpid()}"
    with started([*X86, "--window", window, "--netns", netns, *options]) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while ask(window, HOST, "status")["link"]["state"] != "waiting":
            time.sleep(0.01)
        process.terminate()
        return process.communicate(timeout=20)[1]


def test_json_log_has_one_object_per_line_with_codes(netns_pair: tuple[str, str]) -> None:
    lines = [json.loads(line) for line in log_of(netns_pair[0], "--json-log").splitlines()]
    assert lines
    for line in lines:
        assert set(line) - {"code"} == {"time", "level", "program", "pid", "message"}
        assert (line["program"], line["level"]) == ("vnetcard-x86", "info")


def test_plain_log_names_the_program_and_the_level_decides(netns_pair: tuple[str, str]) -> None:
    plain = log_of(netns_pair[0])
    assert plain and all(line.startswith("vnetcard-x86: ") for line in plain.splitlines())
    assert log_of(netns_pair[0], "--log-level", "error") == ""


def test_persistent_interface_stays_and_a_restart_takes_it_over(lab: Lab) -> None:
    netns = lab.namespaces[HOST]
    lab.start(HOST, "--persist")
    index = link(netns)["ifindex"]
    assert lab.stop(HOST) == 0
    assert link(netns)["ifindex"] == index
    for options in (["--persist"], []):
        lab.start(HOST, *options)
        lab.start(CARD)
        lab.wait_up()
        ping(netns, "10.10.10.5")
        assert link(netns)["ifindex"] == index
        lab.stop(HOST, signal.SIGKILL)
        lab.stop(CARD)
        assert "NO-CARRIER" in link(netns)["flags"] or "LOWER_UP" not in link(netns)["flags"]


def test_tun_is_opened_without_pytun(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pytun.py").write_text('raise ImportError("hidden by a test")\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run([*X86[:1], "-c", "import pytun"]).status == 1
    lab.start(HOST)
    monkeypatch.delenv("PYTHONPATH")
    lab.start(CARD)
    lab.wait_up()
    ping(lab.namespaces[HOST], "10.10.10.5")
    ping(lab.namespaces[CARD], "10.10.10.1")


def test_only_the_owner_may_open_socket_and_window(lab: Lab) -> None:
    lab.start(HOST)
    for path in (socket_path(lab.url, HOST), Path("/dev/shm", lab.url.removeprefix("shm:"))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_deleted_interface_ends_the_agent_with_status_1_and_a_message(lab: Lab, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as log, contextlib.ExitStack() as stack:
        lab._log = log
        stack.callback(setattr, lab, "_log", None)
        lab.start(HOST)
        ip("-n", lab.namespaces[HOST], "link", "del", "tun0")
        assert lab.agent(HOST).wait(20) == 1
        lab.stop(HOST)
        words = (tmp_path / "log").read_text()
        assert "interface tun0 was deleted while the agent used it" in words
        assert "Traceback" not in words
