"""Wheels of this project for x86-64 and ARM64, built from a checkout: ``python -m vnetcard.sim.guest.wheel``.

The ARM64 one is cross-compiled: setuptools is shown the configuration of the ARM64 Python in place of its own.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, VnetcardError
from vnetcard.lab import toolchain
from vnetcard.sim.build_cache import GUEST, Progress, digest
from vnetcard.sim.guest.machines import ARM64, Machine
from vnetcard.sim.guest.packages import Sysroot, sysroot
from vnetcard.terminal.arguments import Parser, complain

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "vnetcard",
    "x86_side",
    "fpga_side",
    "sim",
    "firmware",
    "hdl",
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
MACHINES = ("x86_64", "aarch64")
CROSS = "aarch64-linux-gnu-gcc"
_NOT_SOURCES = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def build(machine: str, out: Path, progress: Progress, *, checked: bool = False) -> Path:
    """Build a wheel for ``machine`` into the folder ``out``; ConfigError names what is missing, or why it failed.

    ``checked``: with the memory that only tests need (``VNETCARD_CHECKED``, see setup.py).
    """
    if not (ROOT / "setup.py").exists():
        raise ConfigError("wheels are built from the sources: run this from a checkout of vnetcard")
    environment = toolchain.environment(**({"VNETCARD_CHECKED": "1"} if checked else {}))
    if machine != platform.machine():
        environment |= _cross_environment(machine, progress)
    elif shutil.which("gcc") is None:
        raise ConfigError("gcc is missing: scripts/system-packages.sh run", code=ErrorCode.TOOL_MISSING)
    with tempfile.TemporaryDirectory() as folder:
        tree, wheels = Path(folder, "tree"), Path(folder, "wheels")
        wheels.mkdir()
        _copy_sources(tree)
        command = [sys.executable, "-c", _BUILD, str(wheels)]
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConfigError(f"the wheel for {machine} was not built:\n{done.stderr[-2000:]}")
        (wheel,) = wheels.iterdir()
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheel, out))


def guest_wheel(progress: Progress, machine: Machine = ARM64, *, checked: bool = False) -> Path:
    """The wheel for ``machine`` of the sources as they are, from the cache if they have not changed."""
    parts: list[str | bytes] = [sysroot(progress, machine).key, sys.version, "checked" if checked else ""]
    for path in sorted(path for name in SOURCES for path in _files(ROOT / name)):
        parts += [str(path.relative_to(ROOT)), path.read_bytes()]
    folder = GUEST.get(
        "wheel", digest(*parts), lambda folder: _make_wheel(folder, progress, machine, checked), progress
    )
    return next(folder.glob("*.whl"))


def _make_wheel(folder: Path, progress: Progress, machine: Machine, checked: bool) -> None:
    progress(f"{machine.title} guest: compiling this project for it ... ")
    build(machine.name, folder, progress, checked=checked)
    progress("done\n")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = (file for file in path.rglob("*") if "__pycache__" not in file.parts and file.suffix != ".so")
    return [file for file in found if file.is_file()]


def _copy_sources(tree: Path) -> None:
    """Copy the sources to ``tree``, where setuptools may write."""
    tree.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=_NOT_SOURCES)
        else:
            shutil.copy(ROOT / name, tree)


def _cross_environment(machine: str, progress: Progress) -> dict[str, str]:
    """The variables that make setuptools build for ``machine``: the compiler, and that Python's configuration."""
    if machine != "aarch64":
        raise ConfigError(f"no cross compiler for {machine} on {platform.machine()} is known")
    if shutil.which(CROSS) is None:
        raise ConfigError(f"{CROSS} is missing: scripts/system-packages.sh qemu", code=ErrorCode.TOOL_MISSING)
    system = sysroot(progress)
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if system.python != ours:
        raise ConfigError(
            f"this is Python {ours} and the archive's for ARM64 is {system.python}: use the distribution's own Python"
        )
    include = system.root / "usr/include"
    compiler = shlex.join([CROSS, f"-I{include}/python{ours}", f"-I{include}"])
    return {
        "PYTHONPATH": str(_sysconfig_alone(system, progress)),
        "_PYTHON_SYSCONFIGDATA_NAME": _SYSCONFIG,
        "_PYTHON_HOST_PLATFORM": f"linux-{machine}",
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
    }


_SYSCONFIG = "_sysconfigdata__aarch64-linux-gnu"


def _sysconfig_alone(system: Sysroot, progress: Progress) -> Path:
    """A folder with this one module of the ARM64 Python: this machine's Python must not find its other modules."""

    def make(folder: Path) -> None:
        shutil.copy(system.root / f"usr/lib/python{system.python}/{_SYSCONFIG}.py", folder)

    return GUEST.get("sysconfig", system.key, make, progress)


def main(argv: Sequence[str] | None = None) -> int:
    """Build the requested wheels and print their paths."""
    parser = Parser(prog="make wheels", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("machines", nargs="*", metavar="MACHINE", help=f"{' or '.join(MACHINES)} (default: both)")
    parser.add_argument("--out", type=Path, default=Path("dist"), metavar="FOLDER", help="(default: %(default)s)")
    args = parser.parse_args(argv)
    for machine in args.machines:
        if machine not in MACHINES:
            parser.error(f"machine {machine!r} is not one of {', '.join(MACHINES)}")
    try:
        for machine in args.machines or MACHINES:
            print(build(machine, args.out, sys.stderr.write), flush=True)
    except VnetcardError as error:
        complain("make wheels", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
