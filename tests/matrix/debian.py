"""Cells for other releases of Debian: a root made by debootstrap, entered in mount and PID namespaces of its own.

Nothing of this machine changes: mounts belong to the namespace, and end with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.matrix.cell import NotAvailable, Ran, one_line
from tests.matrix.quick_part import run_quick_part
from vnetcard.sim.build_cache import digest
from vnetcard.sim.guest.packages import main_archive

PACKAGES = (
    *("ca-certificates", "git", "make", "procps", "python3", "python3-dev", "python3-venv"),
    *("binutils", "clang", "device-tree-compiler", "ethtool", "g++", "gcc", "groff-base", "iproute2", "iputils-ping"),
    *("libc6-dev", "liblz4-dev", "perl", "systemd", "tcpdump", "tmux", "tshark", "zsh"),
    *("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "systemtap-sdt-dev"),
    *("gcc-riscv64-unknown-elf", "liblwip-dev", "picolibc-riscv64-unknown-elf"),
)
EMULATORS = ("qemu-user-static", "qemu-user")
"""What `make check` needs there; of the emulators the first that the release has."""
INSTALL = """
install="apt-get -q -y install --no-install-recommends"
emulator=$1
apt-cache show "$1" >/dev/null 2>&1 || emulator=$2
shift 2
DEBIAN_FRONTEND=noninteractive exec $install "$emulator" "$@"
"""
SCRIPTS = Path("/usr/share/debootstrap/scripts")
SCRIPT_FOR_NEW = "sid"
"""The recipe for a release that this machine's debootstrap does not know yet."""
INSTALL_LIMIT_S = 3600.0
TREE = "/vnetcard"

SHARED = ("/etc/resolv.conf", "/etc/hosts")
REGISTRIES = ("/etc/pip.conf", "/etc/xdg/pip", "/etc/ssl/certs")
"""How this machine reaches its registries is how the root does; not while its own packages are installed."""

ENTER = """
set -e
root=$1 shared=$2
shift 2
mount --bind "$root" "$root"  # ip(8) wants a mount point as /
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}"
done
mknod -m 666 "$root/dev/tty" c 5 0
mkdir "$root/dev/net" "$root/dev/pts" "$root/dev/shm"
mknod -m 666 "$root/dev/net/tun" c 10 200
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
for path in $shared; do
    [ -e "$path" ] || continue
    if [ -d "$path" ]; then mkdir -p "$root$path"; else mkdir -p "$root${path%/*}"; : >>"$root$path"; fi
    mount --bind "$path" "$root$path"
    mount -o remount,bind,ro "$root$path"
done
unset LD_LIBRARY_PATH LD_PRELOAD PYTHONHOME
HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 exec chroot "$root" "$@"
"""
"""Everything of this machine that the root sees is read-only, but for the network."""


def enter(root: Path, shared: Sequence[str] = (*SHARED, *REGISTRIES)) -> list[str]:
    """The words before a command that run it in ``root``, with the files ``shared`` of this machine."""
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    return [*command, "sh", "-c", ENTER, "sh", str(root), " ".join(shared)]


def run_in_release(release: str, folder: Path, log: Path) -> Ran:
    """The quick part in Debian's ``release``; NotAvailable when it cannot be installed here."""
    root = _root(release, folder, log)
    ran = run_quick_part(root / TREE[1:], log, python="/usr/bin/python3", enter=enter(root), inside=TREE)
    name = subprocess.run(
        [*enter(root), "sh", "-c", '. /etc/os-release; echo "$PRETTY_NAME"'], capture_output=True, text=True, check=True
    ).stdout.strip()
    return Ran(f"{ran.system}, {name}", ran.tests, ran.skipped)


def _root(release: str, folder: Path, log: Path) -> Path:
    """The root of ``release``, made on first use."""
    if os.geteuid() != 0:
        raise NotAvailable("a root of another release needs root")
    for tool in ("debootstrap", "unshare"):
        if shutil.which(tool) is None:
            raise NotAvailable(f"{tool} is missing: scripts/system-packages.sh matrix")
    archive = main_archive()
    root = folder / f"debian-{release}-{digest(archive, INSTALL, *EMULATORS, *PACKAGES)}"
    if not root.exists():
        folder.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".new-{release}-", dir=folder))
        try:
            _install(release, archive, new, log)
            new.chmod(0o755)
            new.rename(root)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return root


def _install(release: str, archive: str, root: Path, log: Path) -> None:
    recipe = [] if (SCRIPTS / release).exists() else [SCRIPT_FOR_NEW]
    bootstrap = ["debootstrap", "--variant=minbase", release, str(root), archive, *recipe]
    _logged(["unshare", "--mount", "--pid", "--fork", "--kill-child", *bootstrap], log, f"installing Debian {release}")
    apt = ["sh", "-c", INSTALL, "sh", *EMULATORS, *PACKAGES]
    _logged([*enter(root, SHARED), *apt], log, f"installing packages of Debian {release}")


def _logged(command: Sequence[str], log: Path, doing: str) -> None:
    with log.open("a") as out:
        status = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_LIMIT_S,
            check=False,
        ).returncode
    if status:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith(("E:", "W:"))]
        raise NotAvailable(one_line(f"{doing} failed: {lines[-1] if lines else f'status {status}'} (log: {log})"))
