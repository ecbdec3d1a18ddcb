"""The services under a real systemd: hardened, linked, watched, restarted, and removed without remains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.restarts import until
from tests.harness.systemd_box import Box
from vnetcard.agent.units import SIDES, install, units
from vnetcard.port.peer_trust import SETTINGS
from vnetcard.terminal import landlock

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.campaign]

CAP_NET_ADMIN = 1 << 12
ASK = """
import json, sys
from vnetcard.agent.control import ask
print(json.dumps(ask("shm:vnetcard0", int(sys.argv[1]), "status")))
"""
INTERFACES = {"x86": "vnetcard0", "fpga": "vnetcard1"}
"""Both are in one namespace here."""


def prepare(prefix: Path) -> Path:
    """What `vnetcard install-units` writes for both sides, edited as an administrator does; the folder etc."""
    for side in SIDES:
        list(install(units(side, prefix, Path("/opt/vnetcard/bin"))))
        configuration = prefix / f"etc/vnetcard/{side}.toml"
        configuration.write_text(configuration.read_text().replace('"vnetcard0"', f'"{INTERFACES[side]}"'))
        drop_in = prefix / f"etc/systemd/system/vnetcard-{side}.service.d/quick.conf"
        drop_in.parent.mkdir()
        drop_in.write_text("[Service]\nWatchdogSec=2\nRestartSec=1\nStandardError=append:/run/vnetcard.log\n")
    return prefix / "etc"


def process(box: Box, side: str) -> dict[str, str]:
    """/proc/PID/status of the agent."""
    pid = box.show(f"vnetcard-{side}", "MainPID")
    lines = box.run("cat", f"/proc/{pid}/status").stdout.splitlines()
    return {name: rest.strip() for name, _, rest in (line.partition(":") for line in lines)}


def is_up(box: Box, side: str) -> bool:
    return box.show(f"vnetcard-{side}", "StatusText").startswith("link up")


def distrusted(interface: str) -> dict[str, str]:
    """The settings below /proc/sys/net that keep the peer from configuring this machine."""
    return {name.format(interface): value for name, value in SETTINGS.items()}


def test_both_services_link_survive_a_hang_and_a_kill_and_leave_nothing(tmp_path: Path) -> None:
    with Box(prepare(tmp_path)) as box:
        assert box.run("systemd-sysusers").status == 0
        assert box.run("systemctl", "daemon-reload").status == 0
        for side in SIDES:
            done = box.run("systemctl", "start", f"vnetcard-{side}")
            assert done.status == 0, box.run("cat", "/run/vnetcard.log").stdout
        until(lambda: all(is_up(box, side) for side in SIDES), "both links are up")
        for number, side in enumerate(SIDES):
            status = process(box, side)
            assert status["Uid"].split()[0] not in ("", "0")
            assert {int(status[name], 16) for name in ("CapEff", "CapBnd", "CapAmb")} == {CAP_NET_ADMIN}
            assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
            settings = {name: box.run("cat", f"/proc/sys/net/{name}").stdout for name in distrusted(INTERFACES[side])}
            assert settings == {name: f"{value}\n" for name, value in distrusted(INTERFACES[side]).items()}
            held = json.loads(box.python(ASK, str(number)))["privileges"]
            assert (held["user"], held["seccomp"], held["landlock"]) == ("vnetcard", True, landlock.abi() > 0)
        assert "refused" not in box.run("cat", "/run/vnetcard.log").stdout
        shown = box.run("ls", "/run/vnetcard").stdout.split()
        assert len(shown) == 2, shown

        box.run("kill", "-STOP", box.show("vnetcard-fpga", "MainPID"))
        until(lambda: box.show("vnetcard-fpga", "NRestarts") == "1", "the watchdog has the card's agent started again")
        until(lambda: all(is_up(box, side) for side in SIDES), "both links are up again")
        box.run("kill", "-KILL", box.show("vnetcard-x86", "MainPID"))
        until(lambda: box.show("vnetcard-x86", "NRestarts") == "1", "the killed host's agent is started again")
        until(lambda: all(is_up(box, side) for side in SIDES), "both links are up once more")

        for side in SIDES:
            assert box.run("systemctl", "stop", f"vnetcard-{side}").status == 0
            assert box.show(f"vnetcard-{side}", "Result") == "success"
        assert box.run("ls", "/run/vnetcard", "/dev/shm").stdout.split() == ["/dev/shm:", "/run/vnetcard:"]
        assert "vnetcard" not in box.run("ip", "link").stdout
