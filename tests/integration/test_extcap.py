"""Wireshark finds the tap points among its own interfaces: by tshark, which asks and captures as Wireshark does."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.harness.programs import VNETCARD, run
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab("extcap") as lab:
        lab.start(HOST)
        lab.start(CARD)
        lab.wait_up()
        yield lab


@pytest.fixture(scope="module")
def wireshark(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user who has installed our script."""
    home = str(tmp_path_factory.mktemp("wireshark"))
    env = {"XDG_CONFIG_HOME": home, "HOME": home}
    done = run([*VNETCARD, "install-extcap"], env=env)
    assert (done.status, done.stderr) == (0, "")
    return env


def tshark(wireshark: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [need("tshark"), *words]
    env = os.environ | wireshark
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)


def test_every_tap_point_of_every_agent_is_an_interface(lab: Lab, wireshark: dict[str, str]) -> None:
    listed = tshark(wireshark, "-D").stdout
    names = re.findall(r"vnetcard:\S+", listed)
    points = ("port", "fifo-in", "fifo-out")
    wanted = [f"vnetcard:{side}:{point}:{lab.url}" for side in ("host", "card") for point in points]
    assert {name for name in names if name.endswith(lab.url)} == set(wanted)
    assert f"(vnetcard card fifo-out: tun0, {lab.url})" in listed


def test_tshark_captures_there(lab: Lab, wireshark: dict[str, str]) -> None:
    ping = run_in(lab.namespaces[HOST], [need("ping"), "-q", "-i", "0.02", "10.10.10.5"])
    with subprocess.Popen(ping, stdout=subprocess.DEVNULL) as pinging:
        try:
            name, fields = f"vnetcard:card:fifo-out:{lab.url}", ("-e", "icmp.type", "-e", "frame.comment")
            done = tshark(wireshark, "-l", "-n", "-i", name, "-c", "3", "-T", "fields", *fields)
        finally:
            pinging.kill()
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["8"] * 3, done.stderr
    assert all("h2c epochs host " in row[1] for row in rows)


def test_capture_that_cannot_begin_ends_wireshark_with_the_reason(lab: Lab, wireshark: dict[str, str]) -> None:
    """Wireshark waits at a pipe: without its end it would wait indefinitely."""
    done = tshark(wireshark, "-n", "-i", f"vnetcard:card:port:{lab.url}", "-c", "1", "-f", "icmp and")
    assert done.returncode != 0
    assert "filter 'icmp and': can't parse filter expression" in done.stderr


def test_install_twice_dry_run_and_uninstall(tmp_path: Path) -> None:
    command = [*VNETCARD, "install-extcap", "--dir", str(tmp_path / "extcap")]
    script = tmp_path / "extcap" / "vnetcard-extcap"
    said = run([*command, "--dry-run"])
    assert (said.status, script.exists()) == (0, False)
    assert "exec " in said.stdout and "-m vnetcard.cli.extcap" in said.stdout
    for _ in range(2):
        assert run(command).status == 0
        assert os.access(script, os.X_OK)
    assert run([str(script), "--extcap-interfaces"]).stdout.startswith("extcap {version=")
    assert run([*command, "--uninstall"]).status == 0
    assert list((tmp_path / "extcap").iterdir()) == []


def test_default_is_the_users_own_folder_and_a_prefix_is_the_systems(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    for words in ((), ("--prefix", str(tmp_path / "usr"))):
        said = run([*VNETCARD, "install-extcap", "--dry-run", *words], env=env)
        assert said.status == 0
        assert said.stdout.startswith(str(tmp_path)) and "/wireshark/extcap/vnetcard-extcap would be:" in said.stdout


def test_each_failure_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "vnetcard-extcap").write_text("another program's")
    for words, why in (
        (("--dir", str(tmp_path)), "exists and was not written by vnetcard"),
        (("--dir", "/proc/no/such"), "cannot be written"),
        (("--dir", str(tmp_path / "none"), "--uninstall"), "nothing to remove"),
        (("--dir", "/tmp", "--prefix", "/usr"), "not allowed with argument"),
    ):
        done = run([*VNETCARD, "install-extcap", *words])
        assert (done.status, done.stdout) == (2, "")
        assert why in done.stderr and done.stderr.count("\n") == 1
    assert (tmp_path / "vnetcard-extcap").read_text() == "another program's"


def test_protocol_answers_and_refuses(lab: Lab) -> None:
    extcap = [VNETCARD[0], "-m", "vnetcard.cli.extcap"]
    name = f"vnetcard:host:port:{lab.url}"
    assert "dlt {number=101}" in run([*extcap, "--extcap-dlts", "--extcap-interface", name]).stdout
    assert "{call=--segment}" in run([*extcap, "--extcap-config", "--extcap-interface", name]).stdout
    good = run([*extcap, "--extcap-interface", name, "--extcap-capture-filter=icmp"])
    assert (good.status, good.stdout) == (0, "")
    for words in (("--extcap-interface", name, "--extcap-capture-filter=icmp and"), ("--extcap-dlts",), ("--capture",)):
        done = run([*extcap, *words])
        assert done.status == 2 and done.stderr.count("\n") == 1
