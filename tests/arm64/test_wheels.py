"""`make wheels`: a wheel for x86-64 and one for ARM64, each installed in a clean environment and used there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.harness.needs import need, skip_or_fail
from vnetcard.sim.guest.packages import Sysroot

pytestmark = [pytest.mark.arm64, pytest.mark.slow, pytest.mark.campaign, pytest.mark.timeout(900)]

PYTHON = f"cp{sys.version_info.major}{sys.version_info.minor}"
ELF_MACHINE = {"x86_64": 62, "aarch64": 183}
"""e_machine, from <elf.h>."""
USE = """
import platform
from vnetcard import Fifo, open_window
window = open_window("file:{path}+64K", side=0)
fifo = Fifo(window.memory, window.geometry, "h2c", role="producer")
assert fifo.try_push(b"any bytes")
window_bytes = window.geometry.window_bytes
fifo.close(); window.close()
print(platform.machine(), window_bytes)
"""


@pytest.fixture(scope="module")
def wheels(arm64: Sysroot, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels that the command of `make wheels` builds, by machine."""
    out = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "vnetcard.sim.guest.wheel", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    paths = [Path(line) for line in done.stdout.split()]
    assert sorted(paths) == sorted(out.iterdir())
    return {machine: next(path for path in paths if machine in path.name) for machine in ELF_MACHINE}


def pip(*words: object) -> None:
    command = [sys.executable, "-m", "pip", "-q", "--isolated", "install", "--no-index", "--no-deps", *words]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def use(python: list[str], tmp_path: Path, environment: dict[str, str]) -> str:
    """The output of a small program that uses the installed package, run in an otherwise empty folder."""
    script = USE.format(path=tmp_path / "window")
    done = subprocess.run(
        [*python, "-c", script], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("machine", ELF_MACHINE)
def test_wheel_names_its_platform(wheels: dict[str, Path], machine: str) -> None:
    assert wheels[machine].name.endswith(f"-{PYTHON}-{PYTHON}-linux_{machine}.whl")
    with zipfile.ZipFile(wheels[machine]) as archive:
        names = archive.namelist()
        (core,) = (name for name in names if name.endswith(".so"))
        elf = archive.read(core)
    assert f"-{machine}-linux-gnu.so" in core
    assert int.from_bytes(elf[18:20], "little") == ELF_MACHINE[machine]
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"vnetcard"}


def test_x86_wheel_works_in_an_environment_of_its_own(wheels: dict[str, Path], tmp_path: Path) -> None:
    python = tmp_path / "clean/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "clean"], check=True)
    pip("--prefix", tmp_path / "clean", "--ignore-installed", wheels["x86_64"])
    assert use([str(python), "-I"], tmp_path, dict(os.environ)) == "x86_64 65536\n"
    done = subprocess.run([tmp_path / "clean/bin/vnetcard-fpga", "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_arm64_wheel_works_under_an_arm64_python(
    wheels: dict[str, Path], bare_arm64_python: list[str], tmp_path: Path
) -> None:
    there = ["--implementation", "cp", "--abi", PYTHON, "--platform", "linux_aarch64", "--only-binary=:all:"]
    pip("--target", tmp_path / "clean", *there, wheels["aarch64"])
    environment = {"PYTHONPATH": str(tmp_path / "clean"), "PATH": os.environ["PATH"]}
    assert use(bare_arm64_python, tmp_path, environment) == "aarch64 65536\n"


def test_arm64_wheel_is_refused_by_this_machine(wheels: dict[str, Path], tmp_path: Path) -> None:
    if os.uname().machine == "aarch64":
        skip_or_fail("this machine is an ARM64 one")
    with pytest.raises(AssertionError, match="not a supported wheel"):
        pip("--target", tmp_path, wheels["aarch64"])


def test_unknown_machine_is_refused_in_one_line() -> None:
    command = [sys.executable, "-m", "vnetcard.sim.guest.wheel", "sparc"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "'sparc' is not one of x86_64, aarch64" in done.stderr


def test_missing_cross_compiler_is_named(arm64: Sysroot, tmp_path: Path) -> None:
    for tool in ("apt-get", "dpkg-deb"):  # all that is needed but the compiler
        (tmp_path / tool).symlink_to(need(tool))
    command = [sys.executable, "-m", "vnetcard.sim.guest.wheel", "aarch64", "--out", str(tmp_path)]
    environment = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "aarch64-linux-gnu-gcc is missing: scripts/system-packages.sh qemu" in done.stderr
