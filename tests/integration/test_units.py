"""The agents' files for systemd, udev and sysusers: installed, removed, and accepted by those programs."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.harness.programs import VNETCARD, Outcome, as_nobody, home_of_nobody, privately, run
from vnetcard.agent import units
from vnetcard.hw.pci_cards import KNOWN
from vnetcard.port.macvtap import OUR_GROUP

pytestmark = pytest.mark.slow

INSTALL = [*VNETCARD, "install-units"]
SIDES = sorted(units.SIDES)
EXPOSURE_MAX = 13
"""Tenths, of systemd-analyze security: 0 is locked away, 100 is open.  systemd 252 says 13: ADR 17."""
LOCKED = {
    "CapabilityBoundingSet=CAP_NET_ADMIN",
    "AmbientCapabilities=CAP_NET_ADMIN",
    "NoNewPrivileges=yes",
    "User=vnetcard",
    "DevicePolicy=closed",
    "ReadWritePaths=/proc/sys/net",
    "SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "RestrictNamespaces=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native",
    "Type=notify",
    "WatchdogSec=30",
    "Restart=on-failure",
}
"""What the security of a service rests on, and what keeps it running."""


def install(prefix: Path, *options: str) -> Outcome:
    return run([*INSTALL, "--prefix", str(prefix), *options])


def tree(prefix: Path) -> dict[str, str]:
    return {str(path.relative_to(prefix)): path.read_text() for path in prefix.rglob("*") if path.is_file()}


@pytest.mark.parametrize("side", SIDES)
def test_units_are_installed_below_the_prefix_and_removed(tmp_path: Path, side: str) -> None:
    done = install(tmp_path, "--side", side)
    assert (done.status, done.stderr) == (0, "")
    assert set(tree(tmp_path)) == {
        f"etc/systemd/system/vnetcard-{side}.service",
        f"etc/vnetcard/{side}.toml",
        "etc/udev/rules.d/60-vnetcard.rules",
        "etc/systemd/network/70-vnetcard.link",
        "etc/sysusers.d/vnetcard.conf",
    }
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {0o644}
    assert f"systemctl enable --now vnetcard-{side}" in done.stdout
    assert install(tmp_path, "--side", side, "--uninstall").status == 0
    assert tree(tmp_path) == {}
    assert not (tmp_path / "etc/vnetcard").exists()


def test_dry_run_writes_nothing_and_shows_the_service(tmp_path: Path) -> None:
    done = install(tmp_path, "--side", "x86", "--dry-run")
    assert done.status == 0
    assert "ExecStart=/" in done.stdout and "@bin@" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_configuration_that_was_edited_survives_a_new_installation_and_the_removal(tmp_path: Path) -> None:
    install(tmp_path, "--side", "x86")
    (tmp_path / "etc/vnetcard/x86.toml").write_text('window = "pci:auto"\n')
    assert "keep " in install(tmp_path, "--side", "x86").stdout
    assert "it was changed" in install(tmp_path, "--side", "x86", "--uninstall").stdout
    assert tree(tmp_path) == {"etc/vnetcard/x86.toml": 'window = "pci:auto"\n'}


def test_shared_files_stay_until_the_last_side_is_uninstalled(tmp_path: Path) -> None:
    install(tmp_path, "--side", "x86")
    install(tmp_path, "--side", "fpga")
    assert "vnetcard-fpga.service needs it" in install(tmp_path, "--side", "x86", "--uninstall").stdout
    assert "etc/udev/rules.d/60-vnetcard.rules" in tree(tmp_path)
    install(tmp_path, "--side", "fpga", "--uninstall")
    assert tree(tmp_path) == {}


def test_foreign_file_is_neither_replaced_nor_removed(tmp_path: Path) -> None:
    rule = tmp_path / "etc/udev/rules.d/60-vnetcard.rules"
    rule.parent.mkdir(parents=True)
    rule.write_text("# mine\n")
    done = install(tmp_path, "--side", "x86")
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("vnetcard: error: ") and "was not installed by us" in done.stderr
    assert tree(tmp_path) == {"etc/udev/rules.d/60-vnetcard.rules": "# mine\n"}
    install(tmp_path, "--side", "x86", "--uninstall")
    assert rule.read_text() == "# mine\n"


@pytest.mark.root
def test_missing_permission_to_write_is_one_line() -> None:
    with home_of_nobody() as home:
        done = run(as_nobody([*INSTALL, "--side", "x86"]), env={"HOME": str(home)})
    assert (done.status, len(done.stderr.splitlines())) == (2, 1)
    assert "run as root" in done.stderr


def test_prefix_that_is_a_file_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = install(tmp_path / "file", "--side", "x86")
    assert (done.status, len(done.stderr.splitlines())) == (2, 1)


# --- as systemd wants them ---------------------------------------------------------------------------


@pytest.fixture(params=SIDES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    assert install(tmp_path, "--side", request.param).status == 0
    return tmp_path / f"etc/systemd/system/vnetcard-{request.param}.service"


def analyze(*words: str) -> str:
    done = subprocess.run([need("systemd-analyze"), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_accepts_the_service(service: Path) -> None:
    assert analyze("verify", "--man=no", str(service)) == ""


def test_service_is_hardened_as_far_as_its_work_allows(service: Path) -> None:
    assert LOCKED - set(service.read_text().splitlines()) == set()
    analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(service))


def test_verification_finds_a_mistake(service: Path) -> None:
    service.write_text(service.read_text().replace("WatchdogSec=30", "WatchdogSecs=30"))
    assert "WatchdogSecs" in analyze("verify", "--man=no", str(service))


def test_program_and_configuration_of_the_service_exist(service: Path) -> None:
    (command,) = re.findall(r"^ExecStart=(.*)$", service.read_text(), re.MULTILINE)
    program, option, configuration = command.split()
    assert os.access(program, os.X_OK)
    assert (option, Path(configuration).name) == ("--config", f"{service.stem.removeprefix('vnetcard-')}.toml")
    prefix = service.parents[3]
    assert (prefix / configuration.removeprefix("/")).exists()


def test_sysusers_creates_the_user_of_the_service(service: Path) -> None:
    prefix = service.parents[3]
    (prefix / "etc/passwd").touch()
    (prefix / "etc/group").touch()
    done = run([need("systemd-sysusers"), f"--root={prefix}", str(prefix / "etc/sysusers.d/vnetcard.conf")])
    assert done.status == 0, done.stderr
    assert (prefix / "etc/passwd").read_text().startswith("vnetcard:")
    assert (prefix / "etc/group").read_text().startswith("vnetcard:")
    assert "\nUser=vnetcard\nGroup=vnetcard\n" in service.read_text()


# --- udev --------------------------------------------------------------------------------------------

RULES = re.sub(r"\\\n *", "", (Path(units.__file__).parent / "60-vnetcard.rules").read_text())


def test_udev_rule_opens_every_card_that_pci_auto_takes() -> None:
    opened = re.findall(r'ATTR\{vendor\}=="0x(\w+)", ATTR\{device\}=="([^"]+)"', RULES)
    assert {int(vendor, 16) for vendor, _ in opened} == {card.vendor for card in KNOWN if card.automatic}
    for vendor in {card.vendor for card in KNOWN if card.automatic}:
        patterns = [one for name, devices in opened if int(name, 16) == vendor for one in devices.split("|")]
        cards = [card for card in KNOWN if card.automatic and card.vendor == vendor]
        for device in range(1 << 16):
            given = any(fnmatch.fnmatch(f"0x{device:04x}", pattern) for pattern in patterns)
            assert given == any(card.match(device) for card in cards), f"{vendor:04x}:{device:04x}"


def test_udev_rule_gives_away_no_whole_subsystem() -> None:
    """Neither every UIO device nor every VFIO group: another program's device is not for the group of a network."""
    for line in RULES.splitlines():
        if 'SUBSYSTEM=="macvtap"' in line:
            assert f'ATTRS{{netdev_group}}=="{OUR_GROUP}"' in line
        elif 'GROUP="vnetcard"' in line and "u-dma-buf" not in line and 'KERNEL=="iommu"' not in line:
            assert 'ENV{VNETCARD}=="1"' in line or "PROGRAM==" in line, line


GROUP_CHECK = """
mount -t tmpfs tmpfs /sys/kernel; mount -t tmpfs tmpfs /run
mkdir -p /run/udev/data
for f in {functions}; do
    mkdir -p /sys/kernel/iommu_groups/7/devices/$f; echo ${{f%%-*}} >/sys/kernel/iommu_groups/7/devices/$f/class
done
echo E:VNETCARD=1 >/run/udev/data/+pci:0x020000-ours; echo E:OTHER=1 >/run/udev/data/+pci:0x020000-theirs
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("functions", "given"),
    [
        ("0x020000-ours", True),
        ("0x060400-bridge 0x020000-ours", True),
        ("0x020000-ours 0x020000-theirs", False),
        ("0x020000-theirs", False),
        ("0x020000-unknown", False),
    ],
)
def test_udev_rule_gives_only_groups_of_such_cards(functions: str, given: bool) -> None:
    (command,) = re.findall(r'PROGRAM=="/bin/sh -c \'(.*?)\'"', RULES)
    script = command.replace("$$", "$").replace("%k", "7")
    done = run(privately(GROUP_CHECK.format(functions=functions), ["/bin/sh", "-c", script]))
    assert (done.status == 0) == given, done


def test_udev_rule_jumps_only_to_labels_that_come_later() -> None:
    for jump in re.finditer(r'GOTO="(\w+)"', RULES):
        assert RULES.find(f'LABEL="{jump[1]}"') > jump.start()


def test_udev_knows_every_key_of_the_rule() -> None:
    """The grammar of udev(7), as far as we use it; Debian 12 has no `udevadm verify` yet."""
    term = r"(?:(?:ACTION|SUBSYSTEM|DRIVER|KERNEL|PROGRAM|ATTRS?\{\w+\}|ENV\{\w+\})(?:==|!=)|"
    term += r'(?:ENV\{\w+\}|ATTR\{\w+\}|IMPORT\{parent\}|GROUP|MODE|GOTO|LABEL)=|RUN\+=)"[^"]*"'
    lines = [line for line in RULES.splitlines() if line and not line.startswith("#")]
    assert len(lines) > 10
    for line in lines:
        assert re.fullmatch(f"{term}(?:, {term})*", line), line
