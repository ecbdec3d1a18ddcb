"""A guest as the host, the card's agent in a namespace of this machine, and between them a PCI function.

    guest: vnetcard-x86, vfio-pci --- QEMU --- vfio-user --- vnetcard-sim: the engine's RTL --- vnetcard-fpga, namespace

The function has the engine's register page in BAR 0 and an MSI-X, and reaches the guest's memory as the guest's IOMMU
lets it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from vnetcard.lab.lab import ADDRESSES, Lab, LabError, uninterrupted
from vnetcard.lab.sim import SimProcess
from vnetcard.ping import report
from vnetcard.ping.suite import DEFAULT_SIZES, PingResult, Target
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.qemu import (
    X86_CACHING_IOMMU,
    X86_IOMMU_WORDS,
    Command,
    Guest,
    pci_function,
    sealed_ram,
)

WINDOW = "vfio:auto/0?engine"
HOST_LIMIT = 120.0
"""Seconds within which the guest's agent is up: it takes five on an idle machine."""
RAM_MIB = 256
BIND = """
for module in irqbypass vfio vfio_virqfd vfio_iommu_type1 vfio-pci-core vfio-pci; do
    file=/lib/modules/$module.ko
    [ ! -e $file ] || grep -q "^$(echo $module | tr - _) " /proc/modules || insmod $file || exit
done
for device in /sys/bus/pci/devices/*; do
    [ $(cat $device/vendor) = 0x10ee ] || continue
    echo vfio-pci >$device/driver_override
    echo ${device##*/} >/sys/bus/pci/drivers_probe
    echo ${device##*/} $(basename $(readlink $device/driver)) $(basename $(readlink $device/iommu_group))
done
"""
"""Bind the function to vfio-pci; prints its address, driver and IOMMU group."""


class PciLab:
    """The simulation, the card's namespace, and up to one guest."""

    def __init__(
        self, image: Image, qemu: str, tag: str = "demo", *, options: Sequence[str] = (), log: IO[str] | None = None
    ) -> None:
        """Start the simulation, which may have to be built; ``options`` are more of it, ``qemu`` the program.

        ``log`` gets the output of the card's agent.  Raises ConfigError (not permitted), LabError.
        """
        self._image, self._qemu = image, qemu
        self._made = contextlib.ExitStack()
        unique = f"{tag}-{os.getpid()}"
        self.socket = Path(f"/dev/shm/vnetcard-{unique}-card.sock")
        self.guest: Guest | None = None
        self.agent: Command | None = None
        weakref.finalize(self, self._made.close)  # for an exception between here and the caller's `with`
        try:
            with uninterrupted():
                self._made.callback(self.socket.unlink, missing_ok=True)
                self.simulator = SimProcess(unique, "--vfio-user", str(self.socket), *options)
                self._made.callback(self.simulator.close)
                self.lab = Lab(tag, window=self.simulator.url, log=log, sides=[L.CARD])
                self._made.callback(self.lab.close)
        except BaseException:
            self._made.close()
            raise

    def __enter__(self) -> PciLab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def boot(self, *, words: str = "") -> Guest:
        """Start a guest with the function and an IOMMU; ``words`` are more of the kernel's command line."""
        options = [*sealed_ram(RAM_MIB), *X86_CACHING_IOMMU, *pci_function(self.socket)]
        self.guest = Guest(self._image, None, options=options, words=f"{X86_IOMMU_WORDS} {words}", program=self._qemu)
        return self.guest

    def bind(self) -> list[str]:
        """Give the function to vfio-pci; returns its address, its driver and its IOMMU group."""
        done = self.running_guest().run("sh", "-c", BIND)
        found = done.stdout.split()
        if done.status or len(found) != 3:
            raise LabError(f"vfio-pci does not take the function: {done.stdout}{done.stderr}".strip())
        return found

    def start_host(self, *options: str, window: str = WINDOW) -> None:
        """Start the host's agent in the guest and return once it is ready."""
        guest = self.running_guest()
        self.agent = guest.start(guest.machine.agent, "--window", window, *options)
        guest.wait_for_output(self.agent, " ready: ", limit=HOST_LIMIT)

    def stop_host(self) -> int:
        """End the host's agent; returns its exit status."""
        assert self.agent is not None, "no agent was started"
        guest, agent = self.running_guest(), self.agent
        self.agent = None
        guest.signal(agent)
        return guest.wait(agent).status

    def running_guest(self) -> Guest:
        """The guest that was booted."""
        assert self.guest is not None, "no guest was booted"
        return self.guest

    def wait_up(self) -> None:
        """Return once the link runs and the interfaces are up in both kernels."""
        self.lab.wait_up(limit=HOST_LIMIT)
        command = "until ip link show tun0 | grep -q LOWER_UP; do sleep 0.05; done"
        self.running_guest().run("sh", "-c", command, limit=HOST_LIMIT)

    def status_of_host(self, window: str = WINDOW) -> dict[str, Any]:
        """What the guest's agent answers to ``vnetcard status --json``; LabError without an answer."""
        done = self.running_guest().run("vnetcard", "status", "--window", window, "--json")
        if done.status not in (0, 1) or '"agents"' not in done.stdout:  # 1: the link is not up
            raise LabError(f"the host's status failed: {done.stderr.strip() or done.stdout.strip()}")
        view: dict[str, Any] = json.loads(done.stdout)["agents"][0]
        return view

    def targets(self) -> list[Target]:
        """What each side pings, for reports."""
        return [
            Target(ADDRESSES[L.CARD], label="host to card"),
            Target(ADDRESSES[L.HOST], netns=self.lab.namespaces[L.CARD], label="card to host"),
        ]

    def ping_from_host(self, sizes: Sequence[int] = DEFAULT_SIZES, *, count: int) -> list[PingResult]:
        """Run the ping-size suite in the guest."""
        words = ["--json", "--count", str(count), "--sizes", *map(str, sizes)]
        limit = len(sizes) * (30.0 + count)
        done = self.running_guest().run("vnetcard", "ping", ADDRESSES[L.CARD], *words, limit=limit)
        if done.status not in (0, 1):
            raise LabError(f"the guest's pings ended with status {done.status}: {done.stderr.strip()}")
        return report.from_json(json.loads(done.stdout), self.targets()[0])

    def toggle_card(self) -> None:
        """Remove the card by surprise, or put it back."""
        self.simulator.signal(signal.SIGUSR1)

    def toggle_iommu(self) -> None:
        """Let the IOMMU refuse every access of the function, or serve it again."""
        self.simulator.signal(signal.SIGUSR2)

    def close(self) -> None:
        """End guest, agent and simulation; removes everything that was created."""
        with uninterrupted():
            if self.guest is not None:
                self.guest.close()
                self.guest = self.agent = None
            self._made.close()
