"""Debian's packages for a guest's machine, unpacked: what the guest runs, and what its C core is compiled against.

They come from the archives that this system's own apt uses, by an apt with folders of its own: no root, no
`dpkg --add-architecture`, nothing of the system is touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.sim.build_cache import GUEST, Progress, digest
from vnetcard.sim.guest.machines import ARM64, Machine

PYTHON = "python3-minimal"
"""Like ``Machine.kernel``, it only names the package that is wanted, with its version, among its dependencies."""

PACKAGES = (
    "busybox-static",
    "iputils-ping",
    "libc6",
    "libcap2",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "libidn2-0",
    "libpython{python}-dev",
    "libpython{python}-minimal",
    "libpython{python}-stdlib",
    "libsqlite3-0",
    "libssl3",
    "libunistring2",
    "python{python}-minimal",
    "zlib1g",
)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/lib/debug")
"""Folders of the packages that neither a guest nor a compiler reads."""

_CONFIGURATION = """\
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
"""


@dataclass(frozen=True, slots=True)
class Sysroot:
    """The packages unpacked in ``root``; ``key`` names this very set of them."""

    root: Path
    key: str
    machine: Machine

    @property
    def kernel(self) -> Path:
        """The kernel, ready to boot."""
        return next(self.root.glob("boot/vmlinuz-*"))

    @property
    def modules(self) -> Path:
        """The folder of the kernel's modules."""
        return next(self.root.glob("lib/modules/*/kernel"))

    @property
    def python(self) -> str:
        """Version of its Python, as in ``python3.11``."""
        return next(self.root.glob("usr/bin/python3.*")).name.removeprefix("python")


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel of another release of Debian, unpacked in ``root``; ``key`` names this very one."""

    root: Path
    key: str
    release: str

    @property
    def image(self) -> Path:
        """The kernel, ready to boot."""
        return next(self.root.glob("boot/vmlinuz-*"))

    @property
    def modules(self) -> Path:
        """The folder of its modules, which newer releases compress."""
        return next(path for usr in ("", "usr/") for path in self.root.glob(f"{usr}lib/modules/*/kernel"))


def sysroot(progress: Progress, machine: Machine = ARM64) -> Sysroot:
    """The system of ``machine``, fetched on first use; ConfigError says what is missing for that."""
    _need_tools(machine)
    sources = _sources()
    key = digest(sources, *PACKAGES, machine.kernel, PYTHON, *_UNUSED)

    def make(folder: Path) -> None:
        began = time.monotonic()
        progress(f"{machine.title} guest: fetching the package lists")
        with tempfile.TemporaryDirectory() as private:
            apt = _Apt(Path(private), sources, machine)
            version = apt.dependency_of(PYTHON, "python").removeprefix("python").removesuffix("-minimal")
            wanted = [name.format(python=version) for name in PACKAGES]
            wanted.append(apt.dependency_of(machine.kernel, "linux-image-"))
            progress(f" ... {len(wanted)} packages")
            archives = apt.download(wanted)
            progress(" ... unpacking")
            _unpack(archives, folder)
        for name in _UNUSED:
            shutil.rmtree(folder / name, ignore_errors=True)
        for library in folder.glob("usr/lib/**/*.a"):
            library.unlink()
        progress(f" ... done in {time.monotonic() - began:.0f} s\n")

    return Sysroot(GUEST.get(machine.debian, key, make, progress), key, machine)


def kernel_of(release: str, progress: Progress, machine: Machine = ARM64) -> Kernel:
    """The newest kernel of ``release`` (``bullseye``) for ``machine``, fetched on first use; ConfigError as above."""
    _need_tools(machine)
    sources = _source_line(main_archive(), release, "main")
    key = digest(sources, machine.kernel, *_UNUSED)

    def make(folder: Path) -> None:
        progress(f"{machine.title} guest: fetching the kernel of Debian's {release} ... ")
        with tempfile.TemporaryDirectory() as private:
            apt = _Apt(Path(private), sources, machine)
            _unpack(apt.download([apt.dependency_of(machine.kernel, "linux-image-")]), folder)
        progress("done\n")

    return Kernel(GUEST.get(f"kernel-{release}-{machine.debian}", key, make, progress), key, release)


def program_of(package: str, release: str, progress: Progress, machine: Machine) -> Path:
    """``package`` of ``release`` and its libraries for this computer, which is a ``machine``, in a folder of their own.

    ``release`` may be a release's backports, as in ``trixie-backports``.  Fetched on first use; ConfigError as above.
    """
    _need_tools(machine)
    archive = main_archive()
    base = release.removesuffix("-backports")
    sources = "".join(_source_line(archive, name, "main") for name in dict.fromkeys((base, release)))
    key = digest(sources, package, machine.debian, *_UNUSED)

    def make(folder: Path) -> None:
        progress(f"fetching {package} of Debian's {release} ... ")
        with tempfile.TemporaryDirectory() as private:
            apt = _Apt(Path(private), sources, machine)
            _unpack(apt.download(apt.closure(package, release), release), folder)
        for name in _UNUSED:
            shutil.rmtree(folder / name, ignore_errors=True)
        progress("done\n")

    return GUEST.get(f"{package}-{machine.debian}", key, make, progress)


def main_archive() -> str:
    """The address of the archive from which this system's apt takes Debian itself; ConfigError without one."""
    return next(address for address, _, _ in _archives() if not address.rstrip("/").endswith("-security"))


def _need_tools(machine: Machine) -> None:
    for tool, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
        if shutil.which(tool) is None:
            raise ConfigError(
                f"the {machine.title} guest is made of Debian packages: {tool} ({package}) is missing",
                code=ErrorCode.TOOL_MISSING,
            )


def _archives() -> list[tuple[str, str, str]]:
    """Address, release and component of each of this system's Debian archives; ConfigError without any."""
    form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
    wanted = ["Identifier: Packages", "Component: main"]
    listing = _run(["apt-get", "indextargets", "--format", form, *wanted], "asking apt for its archives")
    found = []
    for line in listing.splitlines():
        address, release, component = line.split("|")
        if "debian" in address.rstrip("/").split("/")[-1]:
            found.append((address, release, component))
    if not found:
        raise ConfigError("the guest is made of Debian packages, and this system's apt has no Debian archive")
    return found


def _sources() -> str:
    """A sources.list of this system's Debian archives."""
    return "".join(sorted({_source_line(*archive) for archive in _archives()}))


def _source_line(address: str, release: str, component: str) -> str:
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    return f"deb {signed}{address} {release} {component}\n"


def _unpack(archives: Sequence[Path], folder: Path) -> None:
    for archive in archives:
        _run(["dpkg-deb", "-x", str(archive), str(folder)], f"unpacking {archive.name}")


class _Apt:
    """apt for one machine in a private folder."""

    def __init__(self, folder: Path, sources: str, machine: Machine) -> None:
        self._folder, self._machine = folder, machine
        for name in ("state/lists/partial", "cache/archives/partial", "archives"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(sources)
        (folder / "apt.conf").write_text(_CONFIGURATION.format(folder=folder, architecture=machine.debian))
        self._call("apt-get", "-q", "update")

    def _call(self, *command: str) -> str:
        environment = os.environ | {"APT_CONFIG": str(self._folder / "apt.conf"), "LC_ALL": "C"}
        doing = f"`{' '.join(command[:3])}` for {self._machine.title}"
        return _run(command, doing, environment=environment, folder=self._folder / "archives")

    def dependency_of(self, package: str, prefix: str) -> str:
        """The first dependency of ``package`` whose name starts with ``prefix``."""
        for line in self._call("apt-cache", "depends", "--important", package).splitlines():
            name = line.partition("Depends: ")[2]
            if name.startswith(prefix):
                return name
        raise ConfigError(f"the archive has no {prefix}... for {self._machine.title} (package {package})")

    def closure(self, package: str, release: str) -> list[str]:
        """``package`` of ``release`` and all that it depends on, with its other packages from where they are."""
        plan = self._call("apt-get", "-q", "-s", "-t", release, "--no-install-recommends", "install", package)
        return [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]

    def download(self, packages: Sequence[str], release: str = "") -> list[Path]:
        """Fetch ``packages``, preferably of ``release``; apt checks their signatures."""
        self._call("apt-get", "-q", *(["-t", release] if release else []), "download", *packages)
        return sorted((self._folder / "archives").glob("*.deb"))


def _run(
    command: Sequence[str], doing: str, *, environment: dict[str, str] | None = None, folder: Path | None = None
) -> str:
    """What ``command`` prints; ConfigError with its last words when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise ConfigError(f"guest: {doing} failed: {last}")
    return done.stdout
