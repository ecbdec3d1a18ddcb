"""The services under a real systemd: hardened, linked, watched, restarted, and removed without remains."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.harness.programs import ROOT
from tests.harness.restarts import until
from tests.harness.systemd_box import Box
from vnetcard.agent.units import SIDES, install, units
from vnetcard.port.macvtap import OUR_GROUP
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


def documented_drop_ins(side: str) -> dict[str, str]:
    """The drop-ins that the service file itself names, by the kind of port."""
    service = (ROOT / f"{side}_side/vnetcard-{side}.service").read_text()
    (about,) = re.findall(r"# Ports\..*?(?=\n\n)", service, re.DOTALL)
    parts = re.split(r"for (\w+):IF", about)[1:]
    return {
        kind: "\n".join(line[4:] for line in text.splitlines() if line.startswith("#   "))
        for kind, text in zip(parts[::2], parts[1::2], strict=True)
    }


def set_port(box: Box, side: str, port: str, more: str = "") -> None:
    """As an administrator does, with the drop-in that belongs to the kind of port."""
    configuration = f'window = "shm:vnetcard0"\nport = "{port}"\n{more}'
    box.write(f"/etc/vnetcard/{side}.toml", configuration)
    box.write(
        f"/etc/systemd/system/vnetcard-{side}.service.d/port.conf",
        documented_drop_ins(side).get(port.partition(":")[0], ""),
    )
    assert box.run("systemctl", "daemon-reload").status == 0


PLAY_UDEV = f"""
while sleep 0.02; do
    for tap in $(cd /sys/class/macvtap && ls); do
        grep -qx {OUR_GROUP} /sys/class/macvtap/$tap/device/netdev_group && [ ! -e /dev/$tap ] || continue
        IFS=: read major minor </sys/class/macvtap/$tap/dev
        mknod -m 660 /dev/$tap c $major $minor && chgrp vnetcard /dev/$tap
    done
done >/dev/null 2>&1 &
"""
"""What the udev rule does, until the box ends: it has no udev, and its /dev is not the kernel's."""
MAC = "02:00:5e:00:00:50"
NETWORKS = f"""
ip netns add lan; ip netns add card
ip link add eth1 type veth peer name far netns lan
ip link add card0 type veth peer name eth0 netns card
ip link set eth1 up; ip link set card0 up
ip -n lan address add 192.0.2.1/24 dev far; ip -n lan link set far up
ip -n card link set eth0 address {MAC}; ip -n card address add 192.0.2.5/24 dev eth0; ip -n card link set eth0 up
"""


def await_words(box: Box, words: str) -> None:
    """Return once a service has written them; raises AssertionError with all that was written."""
    try:
        until(lambda: words in box.log(), f"{words!r} in the log")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{box.log()}") from None


def test_services_run_with_every_port_that_their_files_name(tmp_path: Path) -> None:
    """macvtap: and packet: with the documented drop-ins, unix: without any; refused in a line without them."""
    with Box(prepare(tmp_path)) as box:
        assert box.run("systemd-sysusers").status == 0
        assert box.run("sh", "-ec", NETWORKS).status == 0
        set_port(box, "fpga", "packet:card0")
        set_port(box, "x86", "macvtap:eth1", f'mac = "{MAC}"\n')
        assert box.run("sh", "-ec", PLAY_UDEV).status == 0
        assert box.run("systemctl", "start", "vnetcard-x86", "vnetcard-fpga").status == 0, box.log()
        until(lambda: all(is_up(box, side) for side in SIDES), "both links are up")
        ping = "exec ip netns exec card ping -n -c 1 -W 1 192.0.2.1"
        until(lambda: box.run("sh", "-c", ping).status == 0, "a ping from behind packet: to behind macvtap:")
        assert box.run("systemctl", "stop", "vnetcard-x86").status == 0
        assert "macvtap" not in box.run("ip", "link").stdout

        set_port(box, "x86", "unix:/run/vnetcard/program?frames=ethernet")
        assert box.run("systemctl", "start", "vnetcard-x86").status == 0, box.log()
        until(lambda: is_up(box, "x86"), "the link with a program's port")
        box.python("from vnetcard import PortClient; PortClient.open('/run/vnetcard/program', timeout=10).close()")

        for kind, port in (("packet", "packet:card0"), ("macvtap", "macvtap:eth1")):
            set_port(box, "x86", port)
            box.write("/etc/systemd/system/vnetcard-x86.service.d/port.conf", "")
            assert box.run("systemctl", "daemon-reload").status == 0
            outcome = box.run("systemctl", "restart", "vnetcard-x86")
            assert outcome.status != 0, f"it is not refused: {outcome}\n{box.log()}"
            await_words(box, f"error: port {kind}:")


def test_both_services_link_survive_a_hang_and_a_kill_and_leave_nothing(tmp_path: Path) -> None:
    with Box(prepare(tmp_path)) as box:
        assert box.run("systemd-sysusers").status == 0
        assert box.run("systemctl", "daemon-reload").status == 0
        for side in SIDES:
            done = box.run("systemctl", "start", f"vnetcard-{side}")
            assert done.status == 0, box.log()
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
        assert "refused" not in box.log()
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
