"""Which files an agent reaches after its set-up: the rules for Landlock, by its options.

They name what it may need later: to open its window again, to configure its interface again, to remove its sockets.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vnetcard.agent.config import Config
from vnetcard.hw.sysfs import system
from vnetcard.port import KINDS as PORTS
from vnetcard.port.netns import NAMED, path_of
from vnetcard.terminal import landlock as ll
from vnetcard.terminal.landlock import Rule
from vnetcard.window import KINDS as WINDOWS
from vnetcard.window import WindowUrl
from vnetcard.window.run_folder import folder
from vnetcard.window.trust import bare_place

_FOLDERS_READ: Final = ("/proc", "/sys", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
_FILES_READ: Final = ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.cache", "/dev/urandom")
_FILES: Final = ll.READ | ll.WRITE_FILE | ll.TRUNCATE | ll.MAKE_REG | ll.REMOVE_FILE
_SOCKETS: Final = ll.READ | ll.MAKE_SOCK | ll.REMOVE_FILE
_ABOVE_SOCKETS: Final = ll.READ_DIR | ll.MAKE_DIR | ll.REMOVE_DIR | ll.MAKE_SOCK
"""Of the folder above that of the sockets, which is made and removed.  It is not removed while it holds anything."""
_DEVICES: Final = ll.READ | ll.WRITE_FILE | ll.IOCTL_DEV
_DEVICE_FILES: Final = ("/sys/devices", "/sys/bus/pci/devices", "/sys/class/u-dma-buf")
"""BARs, configuration space, ``enable`` and the like; the last two hold symbolic links to the first."""
_IN_SHARED_MEMORY: Final = ("shm", "check", "sim", "ivshmem", "xdma", "vfio")
_WITH_DEVICES: Final = ("uio", "udmabuf", "vfio", "xdma")
"""Their nodes are made again when a driver is loaded again, or a card found again, so they cannot be named now."""

_MODULES: Final = (
    "pyroute2",
    "pyroute2.netlink.exceptions",
    "pytun",
    "encodings.idna",
    "importlib.metadata",
    "tempfile",
)


def rules(config: Config) -> list[Rule] | None:
    """None: the window or the port is of another package, whose files are not known here."""
    window = WindowUrl.parse(config.window)
    ours = window.kind in WINDOWS.builtin or window.kind == "xdma"
    kind, _, name = config.port.partition(":")
    if not ours or kind not in PORTS.builtin:
        return None
    sockets = [name.partition("?")[0]] if kind in ("memif", "unix", "vhost-user") else []
    sockets += [config.punt.path] if config.punt else []
    port = [(Path(path).parent, _SOCKETS) for path in sockets]
    place = [(path_of(config.netns), ll.READ_FILE)] if config.netns else []
    return [*_of_every_agent(), *place, *_of_sockets(folder()), *port, *_of_window(window)]


def load_modules(config: Config) -> None:
    """Import what is else imported when it is first needed: a user may not be able to read it."""
    WINDOWS.load(WindowUrl.parse(config.window).kind)
    PORTS.load(config.port.partition(":")[0])
    for name in _MODULES:
        try:
            importlib.import_module(name)
        except ImportError:  # a small system
            continue


def _of_every_agent() -> Iterator[Rule]:
    for name in (*_FOLDERS_READ, *_FILES_READ):
        yield system(name), ll.READ
        yield Path(name), ll.READ
    for path in _code():
        yield path, ll.READ
    yield Path("/dev/null"), ll.READ_FILE | ll.WRITE_FILE
    yield Path("/run"), ll.READ_DIR
    yield NAMED, ll.READ
    yield _pinned("/proc/sys/net"), ll.WRITE_FILE  # of whichever namespace the interface is in


def _code() -> set[Path]:
    """Where Python's modules are that this process has loaded: more of the same may be loaded later."""
    found = {Path(os.__file__).parent, Path(sys.base_prefix, "lib")}
    for module in tuple(sys.modules.values()):
        paths = getattr(module, "__path__", None) or ()
        found.update(Path(path) for path in paths if isinstance(path, str))
    return {path for path in found if found.isdisjoint(path.parents)}


def _pinned(path: str) -> int | Path:
    """A descriptor that stays open: the kernel may else forget the folder, and its rule with it."""
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return Path(path)


def _of_sockets(where: Path) -> Iterator[Rule]:
    yield where, _SOCKETS
    yield where.parent, _ABOVE_SOCKETS


def _of_window(window: WindowUrl) -> Iterator[Rule]:
    kind, place = window.kind, window.place
    bare = Path(bare_place(place))
    if kind in _IN_SHARED_MEMORY:
        yield Path("/dev/shm"), _FILES
    if kind == "file":
        yield bare.parent, _FILES
    if kind == "memfd" and "/" in str(bare):
        yield bare.parent, _SOCKETS
    if kind == "mem":
        yield system("/dev/mem"), _DEVICES
    if kind in _WITH_DEVICES or "engine=uio" in place or "c2h=" in place:
        yield system("/dev"), _DEVICES
    if kind in (*_WITH_DEVICES, "pci") or "engine=" in place or "c2h=" in place:
        for name in _DEVICE_FILES:
            yield system(name), ll.READ | ll.WRITE_FILE
