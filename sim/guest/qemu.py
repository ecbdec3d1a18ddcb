"""The guest as a process: QEMU with an ivshmem device, and the serial port by which the guest runs commands."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.lab.lab import LabError, die_with_parent, uninterrupted
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.machines import ARM64, Machine
from vnetcard.terminal.ready import readable

BOOT_LIMIT = 180.0
"""Seconds for a guest to boot; it takes four on an idle machine."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command in the guest ended."""

    status: int
    stdout: str
    stderr: str


@dataclass(slots=True)
class Command:
    """A command in the guest; ``status`` is None while it runs."""

    number: int
    argv: Sequence[str]
    out: str = ""
    err: str = ""
    status: int | None = None


@dataclass(slots=True)
class _Port:
    """The host's end of the guest's serial port: whole lines of JSON."""

    socket: socket.socket
    rest: bytes = b""

    def send(self, **what: Any) -> None:
        """Lost where the guest has ended; ``receive`` then says so."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(json.dumps(what).encode() + b"\n")

    def receive(self, seconds: float) -> list[dict[str, Any]] | None:
        """The messages that arrive within ``seconds``, perhaps none; None when the guest has ended."""
        if not readable([self.socket], max(0.0, seconds)):
            return []
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            return None
        if not data:
            return None
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [json.loads(line) for line in lines]


def find_qemu(machine: Machine = ARM64) -> str:
    """QEMU's program for ``machine``; raises ConfigError when it is missing."""
    program = shutil.which(machine.qemu)
    if program is None:
        raise ConfigError(
            f"{machine.qemu} is missing: scripts/system-packages.sh qemu, or install {machine.package}",
            code=ErrorCode.TOOL_MISSING,
        )
    return program


def plain_bar(memory: Path) -> tuple[str, ...]:
    """QEMU's options for an ivshmem device whose BAR 2 is the file ``memory``."""
    size = memory.stat().st_size
    backend = f"memory-backend-file,id=bar,share=on,mem-path={_value(memory)},size={size}"
    return ("-object", backend, "-device", "ivshmem-plain,memdev=bar")


def shared_ram(path: Path, mib: int) -> tuple[str, ...]:
    """QEMU's options for a guest whose RAM is the file ``path``, which another program can map; ``mib`` as -m says."""
    backend = f"memory-backend-file,id=ram,share=on,mem-path={path},size={mib}M"
    return ("-object", backend, "-machine", "memory-backend=ram")


def sealed_ram(mib: int) -> tuple[str, ...]:
    """QEMU's options for a guest whose RAM is memory that devices outside QEMU can map; ``mib`` as -m says."""
    return ("-object", f"memory-backend-memfd,id=ram,share=on,size={mib}M", "-machine", "memory-backend=ram")


def pci_function(socket: Path) -> tuple[str, ...]:
    """QEMU's options for a PCI function that a vfio-user server has, behind a root port of PCI Express."""
    address = {"type": "unix", "path": str(socket)}
    device = {"driver": "vfio-user-pci", "id": "card", "bus": "rootport", "socket": address}
    return ("-device", "pcie-root-port,id=rootport,slot=1", "-device", json.dumps(device))


def doorbell_bar(server: Path, vectors: int) -> tuple[str, ...]:
    """QEMU's options for an ivshmem device with interrupts, whose memory is that of the server at the socket."""
    socket = f"socket,id=server,path={_value(server)}"
    return ("-chardev", socket, "-device", f"ivshmem-doorbell,chardev=server,vectors={vectors}")


def _value(path: Path) -> str:
    """``path`` in an option of QEMU, where a comma is written twice."""
    return str(path).replace(",", ",,")


IOMMU = ("-machine", "iommu=smmuv3,gic-version=3")
"""QEMU's options with which an ARM64 guest's user space gets a device's interrupts by VFIO."""
X86_IOMMU = ("-device", "intel-iommu,intremap=on")
"""The same for an x86-64 guest, whose kernel needs ``X86_IOMMU_WORDS`` as well."""
X86_CACHING_IOMMU = ("-device", "intel-iommu,intremap=on,caching-mode=on")
"""The same, and the IOMMU says every map to devices outside QEMU; needs ``X86_IOMMU_WORDS``, too."""
X86_IOMMU_WORDS = "no_timer_check"
"""For the kernel's command line: through a remapping IO-APIC the emulated timer does not pass the kernel's check."""


class Guest:
    """A running guest; ``close`` ends it.  One thread at a time may use it."""

    def __init__(
        self,
        image: Image,
        memory: Path | None,
        *,
        options: Sequence[str] = (),
        words: str = "",
        wait: bool = True,
        program: str | None = None,
    ) -> None:
        """Boot it, with the file ``memory`` as the BAR of an ivshmem device, and return once it takes commands.

        ``wait=False`` returns at once; call ``wait_ready`` then.  ``options`` are more of QEMU's, such as
        ``doorbell_bar``, ``words`` more of the kernel's command line, ``program`` another QEMU.
        LabError, with the last lines of its console, when it does not come up.
        """
        self.machine = machine = image.machine
        program = program or find_qemu(machine)
        self._console = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._commands: dict[int, Command] = {}
        self._numbers = itertools.count(1)
        ours, theirs = socket.socketpair()
        self._port = _Port(ours)
        with uninterrupted(), theirs:
            self._process = subprocess.Popen(
                [
                    *(program, *machine.options, "-display", "none", "-nic", "none", "-no-reboot", "-serial", "stdio"),
                    *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
                    *("-append", f"console={machine.console} quiet panic=-1 {words}"),
                    *("-chardev", f"socket,id=port,fd={theirs.fileno()}", "-device", machine.serial),
                    *("-device", "virtserialport,chardev=port,name=vnetcard"),
                    *(plain_bar(memory) if memory else ()),
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._console,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                # SIGKILL, as it starts with the other signals blocked, and has nothing to undo
                preexec_fn=functools.partial(die_with_parent, signal.SIGKILL),  # noqa: PLW1509 - as in lab.py
            )
        self.ready = ""
        if wait:
            self.wait_ready()

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The pid of QEMU."""
        return self._process.pid

    def start(self, *argv: str, text: str | None = None) -> Command:
        """Start a command with ``text`` as its input, and return at once."""
        command = Command(next(self._numbers), argv)
        self._commands[command.number] = command
        self._port.send(start=command.number, argv=list(argv))
        if text is not None:
            self._port.send(input=command.number, text=text)
        return command

    def run(self, *argv: str, text: str | None = None, limit: float = 60.0) -> Outcome:
        """Run a command with ``text`` as its input; raises LabError when it takes more than ``limit`` seconds."""
        return self.wait(self.start(*argv, text=text), limit=limit)

    def wait(self, command: Command, *, limit: float = 60.0) -> Outcome:
        """Wait for the end of a command."""
        self._listen(lambda: command.status is not None, limit, f"`{' '.join(command.argv)}` has not ended")
        assert command.status is not None
        return Outcome(command.status, command.out, command.err)

    def wait_for_output(self, command: Command, words: str, *, limit: float = 60.0) -> str:
        """Wait for a line with ``words`` on a command's stdout and return it; raises LabError when it ends before."""

        def lines() -> list[str]:
            return [line for line in command.out.splitlines(keepends=True) if words in line and line.endswith("\n")]

        self._listen(lambda: bool(lines()) or command.status is not None, limit, f"it has not printed {words!r}")
        if not lines():
            output = f"{command.out}{command.err}".strip()
            raise LabError(f"in the guest `{' '.join(command.argv)}` ended with status {command.status}: {output}")
        return lines()[0].rstrip("\n")

    def signal(self, command: Command, number: int = signal.SIGTERM) -> None:
        """Send a signal to a command and what it has started."""
        self._port.send(signal=command.number, number=number)

    def kill(self) -> None:
        """End the guest at once, as a power failure would."""
        self._process.kill()
        self._process.wait()

    def console(self) -> str:
        """The output of the guest's kernel and of QEMU."""
        with Path(f"/proc/self/fd/{self._console.fileno()}").open(errors="replace") as file:
            return file.read()

    def close(self) -> None:
        """End the guest, which has no disk that could be damaged."""
        with uninterrupted():
            self.kill()
            self._port.socket.close()
            self._console.close()

    def wait_ready(self) -> None:
        """Return once the guest takes commands; ``ready`` then names its kernel.  LabError: it did not come up."""
        try:
            self.ready = self._wait_ready()
        except BaseException:
            self.close()
            raise

    def _wait_ready(self) -> str:
        received: list[str] = []
        deadline = time.monotonic() + BOOT_LIMIT
        while not received:
            lines = self._port.receive(deadline - time.monotonic())
            if not lines:
                why = "ended" if lines is None else f"is not up after {BOOT_LIMIT:.0f} s"
                raise LabError(f"the {self.machine.title} guest {why}; its console:\n{self._last_words()}")
            received = [line["ready"] for line in lines if "ready" in line]
        return received[0]

    def _listen(self, done: Callable[[], bool], limit: float, what: str) -> None:
        deadline = time.monotonic() + limit
        while not done():
            left = deadline - time.monotonic()
            lines = self._port.receive(left)
            if lines is None:
                raise LabError(f"the {self.machine.title} guest ended; its console:\n{self._last_words()}")
            for line in lines:
                self._note(line)
            if not lines and left <= 0:
                raise LabError(f"in the guest: {what} after {limit:.0f} s")

    def _note(self, line: dict[str, Any]) -> None:
        command = self._commands[line["id"]]
        command.out += line.get("out", "")
        command.err += line.get("err", "")
        if "exit" in line:
            command.status = line["exit"]

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self.console().splitlines()[-40:])
        return ""
