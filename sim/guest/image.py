"""The guest's image: Debian's kernel, and a RAM disk with busybox, Python, pyroute2, and this project's ARM64 wheel.

The RAM disk is two archives, one after the other: what comes from Debian, which is made once, and what is ours.
"""

from __future__ import annotations

import configparser
import importlib.metadata
import importlib.util
import lzma
import platform
import py_compile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.sim.build_cache import GUEST, Progress, digest
from vnetcard.sim.guest.initramfs import Initramfs
from vnetcard.sim.guest.machines import ARM64, Machine
from vnetcard.sim.guest.packages import Kernel, Sysroot, sysroot
from vnetcard.sim.guest.wheel import guest_wheel

MODULES = (
    "drivers/net/tun",
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_mmio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "drivers/char/virtio_console",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "virt/lib/irqbypass",
    "drivers/vfio/vfio",
    "drivers/vfio/vfio_virqfd",
    "drivers/vfio/vfio_iommu_type1",
    "drivers/vfio/pci/vfio-pci-core",
    "drivers/vfio/pci/vfio-pci",
)
"""Of the kernel, in the order in which they need one another; some kernels have one or the other built in."""
LOADED = ("tun", "virtio_ring", "virtio", "virtio_mmio", "virtio_console")
"""Loaded at the start; the others are in /lib/modules for programs that need them."""

APPLETS = "basename cat dmesg env grep hostname insmod ip ls mkdir mount ps readlink sh sleep true"
"""The commands of busybox that the guest has besides Python, ping and our programs."""

PORT = "/dev/vport0p1"
HOSTNAMES = {"aarch64": "card", "x86_64": "host"}

INIT = f"""\
#!/bin/sh
# The guest's first program; the guest ends with its last line.
export PATH=/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/net /dev/shm /run /tmp
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
for module in {{modules}}; do
    [ -e /lib/modules/$module.ko ] && insmod /lib/modules/$module.ko
done
ip link set lo up
hostname {{name}}
exec python3 /usr/lib/guest/inside.pyc {PORT}
"""

PROGRAM = """\
#!/usr/bin/python3
import sys
from {module} import {function}
sys.exit({function}())
"""

_NOT_NEEDED = ("config-", "curses", "distutils", "pydoc_data", "test", "venv", "wsgiref", "xmlrpc")
"""The first letters of folders of Python's library that the guest does not need."""


@dataclass(frozen=True, slots=True)
class Image:
    """Two files that QEMU boots."""

    kernel: Path
    initrd: Path
    machine: Machine = ARM64


def image(progress: Progress, machine: Machine = ARM64, kernel: Kernel | None = None) -> Image:
    """The image of the current sources, built if it is not in the cache; raises ConfigError when a tool is missing.

    ``kernel``: another one than that of this system's own release.
    """
    system, wheel = sysroot(progress, machine), guest_wheel(progress, machine)
    recipe = b"".join(Path(__file__).with_name(f"{name}.py").read_bytes() for name in ("image", "initramfs", "inside"))
    version = importlib.metadata.version("pyroute2")
    modules = kernel.modules if kernel else system.modules
    suffix = f"-{kernel.release}" if kernel else ""  # the cache keeps a few of each kind

    def make_base(folder: Path) -> None:
        progress(f"{machine.title} guest: packing Debian's part ... ")
        (folder / "initrd").write_bytes(_base(system, modules).encode())
        progress("done\n")

    key = digest(system.key, recipe, version, *([kernel.key] if kernel else []))
    base = GUEST.get(f"base{suffix}", key, make_base, progress)

    def make(folder: Path) -> None:
        (folder / "initrd").write_bytes((base / "initrd").read_bytes() + _ours(wheel, system).encode())

    folder = GUEST.get(f"image{suffix}", digest(base.name, wheel.parent.name), make, progress)
    return Image(kernel.image if kernel else system.kernel, folder / "initrd", machine)


def _base(system: Sysroot, modules: Path) -> Initramfs:
    """The part of the RAM disk that comes from Debian; ``modules`` is the folder of the kernel's."""
    root, python, machine = system.root, system.python, system.machine
    disk = Initramfs()
    script = INIT.replace("{name}", HOSTNAMES[machine.name]).replace("{modules}", " ".join(LOADED + machine.modules))
    disk.add("init", script.encode(), executable=True)
    for folder in ("dev", "proc", "sys", "run", "tmp"):
        disk.folder(folder)
    disk.copy("bin/busybox", root / "bin/busybox")
    for applet in APPLETS.split():
        disk.link(f"bin/{applet}", "busybox")
    disk.copy("bin/ping", root / "bin/ping")
    disk.copy(f"usr/bin/python{python}", root / f"usr/bin/python{python}")
    disk.link("usr/bin/python3", f"python{python}")
    disk.copy(machine.loader, root / machine.loader)
    for folder in (f"lib/{machine.triplet}", f"usr/lib/{machine.triplet}"):
        for library in root.glob(f"{folder}/*.so*"):
            disk.copy(f"{folder}/{library.name}", library)
    for name in MODULES:
        module = modules / f"{name}.ko"
        if module.exists():
            disk.copy(f"lib/modules/{module.name}", module)
        elif (compressed := module.with_suffix(".ko.xz")).exists():
            disk.add(f"lib/modules/{module.name}", lzma.decompress(compressed.read_bytes()))
    _add_python(disk, f"usr/lib/python{python}", root / f"usr/lib/python{python}", unwanted=_NOT_NEEDED)
    packages = f"usr/local/lib/python{python}/dist-packages"
    _add_python(disk, f"{packages}/pyroute2", _folder_of("pyroute2"))
    if machine.name == platform.machine():  # compiled: shm: windows need it, which a card has no use for
        module = _compiled_module("posix_ipc")
        disk.copy(f"{packages}/{module.name}", module)
    disk.add("usr/lib/guest/inside.pyc", _compiled(Path(__file__).with_name("inside.py"), "inside.py"))
    return disk


def _ours(wheel: Path, system: Sysroot) -> Initramfs:
    """The wheel, installed as pip would, with compiled modules only."""
    disk = Initramfs()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
        _add_python(disk, f"usr/local/lib/python{system.python}/dist-packages", Path(folder))
        names = configparser.ConfigParser()
        names.read(next(Path(folder).glob("*.dist-info/entry_points.txt")))
    for name, entry in names["console_scripts"].items():
        module, _, function = entry.partition(":")
        disk.add(f"usr/bin/{name}", PROGRAM.format(module=module, function=function).encode(), executable=True)
    return disk


def _add_python(disk: Initramfs, name: str, folder: Path, *, unwanted: tuple[str, ...] = ()) -> None:
    """Add a folder of modules, compiled and without sources: compiling would be slow in the guest."""
    for path in _files(folder, unwanted):
        place = f"{name}/{path.relative_to(folder)}"
        if path.suffix == ".py":
            disk.add(f"{place}c", _compiled(path, place))
        else:
            disk.copy(place, path)


def _files(folder: Path, unwanted: tuple[str, ...]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name == "__pycache__" or (unwanted and path.name.startswith(unwanted)):
            continue
        if path.is_dir():
            yield from _files(path, ())
        elif path.suffix in (".py", ".so", ".txt"):
            yield path


def _compiled(path: Path, shown: str) -> bytes:
    """The bytecode by this Python, whose version is that of the guest: see ``wheel.py``."""
    with tempfile.NamedTemporaryFile(suffix=".pyc") as out:
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(path), out.name, dfile=f"/{shown}", doraise=True, invalidation_mode=mode)
        return Path(out.name).read_bytes()


def _compiled_module(name: str) -> Path:
    """A module that is one compiled file; ConfigError when it is not installed here."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ConfigError(f"{name} is not installed here, so the guest cannot have it: pip install {name}")
    return Path(spec.origin)


def _folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigError(
            f"the guest needs {package}, which is not installed: pip install {package}", code=ErrorCode.TOOL_MISSING
        )
    return Path(spec.origin).parent
