"""The cards of firmware/bare, programs without an operating system in QEMU's user mode, against an agent."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.needs import SEARCH, need, skip_or_fail
from tests.harness.pings import run_pings
from tests.harness.programs import LIMIT, ROOT, run, started
from tests.harness.restarts import shm_path
from vnetcard.firmware.build import LWIP
from vnetcard.lab.lab import ADDRESSES, Lab, run_in
from vnetcard.ping.suite import DEFAULT_SIZES, Target
from vnetcard.ring import layout as L

BARE = ROOT / "firmware/bare"
PACKAGES = str(ROOT / "scripts/system-packages.sh")
MACHINES = {
    "riscv32": ("CROSS=riscv64-unknown-elf-", "MACHINE=-march=rv32imac -mabi=ilp32 -mcmodel=medany"),
    "riscv64": ("CROSS=riscv64-unknown-elf-", "MACHINE=-march=rv64imac -mabi=lp64 -mcmodel=medany"),
    "aarch64": ("CROSS=aarch64-linux-gnu-", "MACHINE=-mno-outline-atomics"),
    "arm": ("CC=clang", "MACHINE=--target=armv7a-none-eabi -mcpu=cortex-a7 -fuse-ld=lld", "BUILTINS="),
}
"""Name, as QEMU has it, to the variables of firmware/bare/Makefile."""
SOURCES = os.environ.get("VNETCARD_LWIP")
"""The folder src of lwIP's sources, which no Debian package has."""


def make(out: Path, target: str, machine: str, *variables: str) -> Path:
    """Build a target of firmware/bare for ``machine``; returns the program's path."""
    compiler, *options = MACHINES[machine]
    name, _, value = compiler.partition("=")
    need(f"{value}gcc" if name == "CROSS" else value)
    command = ["make", "-s", "-C", str(BARE), target, f"OUT={out}", compiler, *options, *variables]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return out / target


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab("firmware", sides=(L.HOST,)) as lab:
        lab.start(L.HOST, "--mtu", "65535")
        yield lab


@contextlib.contextmanager
def emulated(lab: Lab, program: Path, machine: str) -> Iterator[subprocess.Popen[str]]:
    """``program`` as the card of the lab, which knows at the end that the program is gone."""
    names = (f"qemu-{machine}-static", f"qemu-{machine}")
    emulator = next(filter(None, (shutil.which(name, path=SEARCH) for name in names)), None) or need(names[0])
    with started([emulator, str(program), str(shm_path(lab)), str(L.WINDOW_DEFAULT)]) as card:
        yield card
    lab.wait_for(L.HOST, "peer-dead")


def assert_pings(lab: Lab, sizes: tuple[int, ...], count: int) -> None:
    lab.wait_for(L.HOST, "run")
    lab.wait_open()
    results = run_pings([Target(ADDRESSES[L.CARD], netns=lab.namespaces[L.HOST])], sizes, count=count)
    assert [result.size for result in results if not result.ok] == [], results


@pytest.mark.root
@pytest.mark.parametrize(
    "machine", ["riscv32", "arm", *(pytest.param(name, marks=pytest.mark.campaign) for name in ("riscv64", "aarch64"))]
)
def test_card_without_an_operating_system_answers_every_ping_and_survives_kills(
    lab: Lab, tmp_path: Path, machine: str
) -> None:
    program = make(tmp_path, "ping_card", machine)
    with emulated(lab, program, machine) as card:
        assert_pings(lab, DEFAULT_SIZES, 3)
        with started(run_in(lab.namespaces[L.HOST], ["ping", "-q", "-f", "-w", "60", ADDRESSES[L.CARD]])):
            card.send_signal(signal.SIGKILL)
            card.wait(LIMIT)
            lab.wait_for(L.HOST, "peer-dead")
    with emulated(lab, program, machine):
        assert_pings(lab, (56,), 3)
        lab.stop(L.HOST, signal.SIGKILL)
        lab.start(L.HOST, "--mtu", "65535")
        assert_pings(lab, (56, 65_507), 3)
        view = assert_ledgers_balance(lab, allow={"lost_restart", "drop_link_down", "drop_peer_dead"})[0]
        assert view["sides"][L.CARD]["tx"]["tx_sent"] > 3 * len(DEFAULT_SIZES)


if SOURCES is not None:  # of another project: there is such a test only where the variable names them

    @pytest.mark.root
    def test_lwip_without_an_operating_system_answers_every_ping(lab: Lab, tmp_path: Path) -> None:
        with emulated(lab, make(tmp_path, "lwip_card", "riscv32", f"LWIP={SOURCES}"), "riscv32"):
            assert_pings(lab, DEFAULT_SIZES, 3)
            script = (
                "import socket,sys; s=socket.create_connection((sys.argv[1],7),30); d=bytes(range(256))*40;"
                "s.sendall(d); s.shutdown(1); g=b''.join(iter(lambda: s.recv(65536), b'')); assert g==d"
            )
            subprocess.run(
                run_in(lab.namespaces[L.HOST], ["python3", "-c", script, ADDRESSES[L.CARD]]), check=True, timeout=LIMIT
            )


def test_lwip_card_compiles_with_the_headers_of_a_distribution(tmp_path: Path) -> None:
    if run([PACKAGES, "where", "picolibc-riscv64-unknown-elf"]).status:
        skip_or_fail("picolibc is missing: scripts/system-packages.sh test")
    if not (LWIP / "lwip/netif.h").exists():
        skip_or_fail(f"{LWIP}/lwip/netif.h is missing: scripts/system-packages.sh test")
    make(tmp_path, "lwip_objects", "riscv32")


def test_the_place_of_a_package_is_asked_for_in_one_script() -> None:
    found = run([PACKAGES, "where", "bash-of-nobody"])
    assert (found.status, found.stdout, found.stderr) == (1, "", "")
    assert run([PACKAGES, "where"]).status == 2
    found = run([PACKAGES, "where", "iproute2"])
    assert (found.status, found.stdout.strip()) == (0, need("ip"))


@pytest.mark.parametrize("target", ["armv7a-none-eabi", "riscv32-none-elf", "aarch64-none-elf", "x86_64-none-elf"])
def test_side_is_freestanding_on_each_machine(tmp_path: Path, target: str) -> None:
    flags = ["-std=c11", "-O2", "-ffreestanding", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]
    objects = []
    for name in ("vnc_side", "vnc_side_packets", "vnc_side_window"):
        objects.append(tmp_path / f"{name}.o")
        source = ROOT / f"firmware/{name}.c"
        command = [need("clang"), f"--target={target}", *flags, f"-I{ROOT / 'vnetcard/_c'}", "-c", str(source)]
        done = subprocess.run([*command, "-o", objects[-1]], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    listing = subprocess.run(
        [need("readelf"), "-sW", *objects], capture_output=True, text=True, check=True, env=os.environ | {"LC_ALL": "C"}
    ).stdout
    symbols = [line.split() for line in listing.splitlines()]
    wanted = {row[7] for row in symbols if len(row) == 8 and row[6] == "UND"}
    own = {row[7] for row in symbols if len(row) == 8 and row[6].isdecimal()}
    calls = {name for name in wanted - own if not name.startswith(("__aeabi_mem", "vnc_"))}
    assert calls <= {"memcpy", "memset"}
