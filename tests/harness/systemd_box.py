"""A private systemd: the real program as process 1 of its own namespaces, with the units of a test and no others.

It sees this machine's files, but has its own /etc, /run, /opt, /dev, /sys and units, which disappear with it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from tests.harness.needs import need, skip_or_fail
from tests.harness.programs import ROOT, Outcome

SYSTEMD = Path("/lib/systemd/systemd")
OWN_UNITS = (
    "basic sysinit multi-user network network-pre shutdown umount final exit local-fs sockets timers paths slices"
)
LIMIT = 30.0
"""Seconds for any request to systemd, on a very busy machine."""

SCRIPT = """
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/box/up /run/box/work /run/box/units
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/box/up,workdir=/run/box/work /etc
for name in {units}; do cp /lib/systemd/system/$name.target /run/box/units/; done
printf '[Unit]\\nDefaultDependencies=no\\n' > /run/box/units/box.target
mount --bind /run/box/units /lib/systemd/system
rm -rf /etc/systemd/system
cp -r {etc}/. /etc/
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir -p /opt/base /opt/vnetcard/bin /opt/vnetcard/lib
mount --bind {base} /opt/base
cp -r {tree}/vnetcard /opt/vnetcard/lib/
cp -r {tree}/x86_side {tree}/fpga_side /opt/vnetcard/lib/vnetcard/
for name in pyroute2 posix_ipc pytun; do cp -r {site}/$name* /opt/vnetcard/lib/; done
for side in x86 fpga; do
    cat > /opt/vnetcard/bin/vnetcard-$side <<END
#!/bin/sh
export PYTHONHOME=/opt/base LD_LIBRARY_PATH=/opt/base/lib PYTHONPATH=/opt/vnetcard/lib
exec /opt/base/bin/python{version} -m vnetcard.${{side}}_side.agent "\\$@"
END
done
chmod -R a+rX /opt/vnetcard; chmod 755 /opt/vnetcard/bin/*
mkdir /run/box/dev
mount -t tmpfs -o mode=755 tmpfs /run/box/dev
for name in null zero full random urandom tty; do cp -a /dev/$name /run/box/dev/; done
mkdir -m 1777 /run/box/dev/shm
mkdir /run/box/dev/net /run/box/dev/pts
mknod -m 666 /run/box/dev/net/tun c 10 200
mount --move /run/box/dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
export container=box
exec {systemd} --system --unit=box.target --show-status=0 --log-target=null
"""


def _unified() -> Path:
    """The folder of control groups of version 2."""
    for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (folder / "cgroup.controllers").exists():
            return folder
    skip_or_fail("no control groups of version 2")


class Box:
    """A running systemd; the files below ``etc`` are added to this machine's /etc for it."""

    def __init__(self, etc: Path) -> None:
        if not SYSTEMD.exists():
            skip_or_fail(f"{SYSTEMD} is missing: scripts/system-packages.sh test")
        self._group = _unified() / f"vnc-box-{os.getpid()}"
        self._group.mkdir()
        script = SCRIPT.format(
            units=OWN_UNITS,
            etc=shlex.quote(str(etc)),
            base=shlex.quote(str(Path(sys.base_prefix).resolve())),
            tree=shlex.quote(str(ROOT)),
            site=shlex.quote(_site()),
            version=f"{sys.version_info.major}.{sys.version_info.minor}",
            systemd=SYSTEMD,
        )
        apart = ["--mount", "--uts", "--ipc", "--net", "--cgroup", "--pid", "--fork", "--kill-child"]
        join = f'echo $$ > {self._group}/cgroup.procs; exec {need("unshare")} {" ".join(apart)} sh -ec "$0"'
        self._outer = subprocess.Popen(["sh", "-ec", join, script], stdin=subprocess.DEVNULL)
        self.pid = 0

    def __enter__(self) -> Box:
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline and self._outer.poll() is None:
            children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
            self.pid = int(children[0]) if children else 0
            if self.pid and self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"):
                return self
            time.sleep(0.05)
        self.close()
        raise AssertionError("systemd did not come up")

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, *command: str) -> Outcome:
        """Run a command inside, as root."""
        inside = [need("nsenter"), "--target", str(self.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        done = subprocess.run([*inside, *command], capture_output=True, text=True, timeout=LIMIT, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def python(self, script: str, *arguments: str) -> str:
        """The output of a script that uses vnetcard and the services' control sockets, as root."""
        home = "PYTHONHOME=/opt/base LD_LIBRARY_PATH=/opt/base/lib PYTHONPATH=/opt/vnetcard/lib"
        env = ["env", *home.split(), "VNETCARD_RUN_DIR=/run/vnetcard"]
        program = f"/opt/base/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        done = self.run(*env, program, "-c", script, *arguments)
        assert done.status == 0, done.stderr
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file inside."""
        assert self.run("sh", "-ec", 'mkdir -p "$(dirname "$0")"; printf %s "$1" >"$0"', path, text).status == 0

    def log(self) -> str:
        """What the services have written, where a drop-in sends it to /run/vnetcard.log."""
        return self.run("cat", "/run/vnetcard.log").stdout

    def show(self, unit: str, name: str) -> str:
        """The value of a unit's property."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()

    def close(self) -> None:
        """End everything inside: its process 1 ends with unshare, and the other processes with process 1."""
        self._outer.kill()
        self._outer.wait()
        deadline = time.monotonic() + LIMIT
        while self._group.exists() and time.monotonic() < deadline:
            for folder in sorted(self._group.rglob("*"), reverse=True):
                if folder.is_dir():
                    with contextlib.suppress(OSError):
                        folder.rmdir()
            with contextlib.suppress(OSError):
                self._group.rmdir()
            time.sleep(0.05)


def _site() -> str:
    import pyroute2

    return str(Path(pyroute2.__file__).parents[1])
