"""The kinds of guest: an ARM64 computer, as a card is, and an x86-64 one, as its host is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Machine:
    """One kind of guest.

    ``name`` is what ``uname -m`` prints, ``debian`` Debian's name of the architecture, ``triplet`` that of its library
    folders.  ``qemu`` is QEMU's program, from ``package``; ``options`` choose its machine.  ``console`` is the kernel's
    serial console, ``serial`` QEMU's device that carries the control port.  ``agent`` is the program that runs there.
    ``modules`` are loaded after those that every guest has.
    """

    name: str
    title: str
    debian: str
    triplet: str
    loader: str
    kernel: str
    qemu: str
    package: str
    options: tuple[str, ...]
    console: str
    serial: str
    agent: str
    modules: tuple[str, ...] = ()


ARM64: Final = Machine(
    name="aarch64",
    title="ARM64",
    debian="arm64",
    triplet="aarch64-linux-gnu",
    loader="lib/ld-linux-aarch64.so.1",
    kernel="linux-image-cloud-arm64",
    qemu="qemu-system-aarch64",
    package="qemu-system-arm",
    # With one possible CPU QEMU would leave atomics and barriers out.
    options=("-M", "virt", "-cpu", "cortex-a72", "-smp", "1,maxcpus=2", "-m", "256"),
    console="ttyAMA0",
    serial="virtio-serial-device",
    agent="vnetcard-fpga",
)
X86_64: Final = Machine(
    name="x86_64",
    title="x86-64",
    debian="amd64",
    triplet="x86_64-linux-gnu",
    loader="lib64/ld-linux-x86-64.so.2",
    kernel="linux-image-cloud-amd64",
    qemu="qemu-system-x86_64",
    package="qemu-system-x86",
    options=("-M", "q35", "-accel", "tcg", "-cpu", "qemu64", "-smp", "1,maxcpus=2", "-m", "256", "-nodefaults"),
    console="ttyS0",
    serial="virtio-serial-pci",
    agent="vnetcard-x86",
    # Not where they are not needed: virtio_pci probes every function of vendor 1af4, ivshmem's, too, and enables it.
    modules=("virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"),
)
