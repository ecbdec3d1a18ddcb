"""Codes of the doctor's findings that are not errors (those are in ``error.py``): ``code`` in ``doctor --json``."""

from __future__ import annotations

from vnetcard.codes.code import Code


class FindingCode(Code):
    """One for each kind of finding; a finding with nothing to fix has ``ok``."""

    OK = "ok", "Nothing is wrong."
    # PCI cards
    CARD_MISSING = "card-missing", "No PCI function is a card that this software knows.", "Name it: pci:BDF/BAR."
    CONFIG_UNREADABLE = "config-unreadable", "Configuration space cannot be read.", "Run the doctor as root."
    DECODING_OFF = "decoding-off", "The function's memory decoding is off, so its BARs read as all ones."
    MASTERING_OFF = "mastering-off", "Bus mastering is off, so the card can neither do DMA nor send MSI."
    BAR_UNASSIGNED = "bar-unassigned", "The firmware gave the BAR no bus address.", "Boot with pci=realloc."
    MAP_UNCACHED = "map-uncached", "The BAR has no write-combining map.", "Make it 64-bit prefetchable."
    BUS_DEGRADED = "bus-degraded", "The PCIe link trained below its speed or width.", "Try another slot."
    BUS_ERRORS = "bus-errors", "The bus counted errors (AER).", "See dmesg."
    # other devices
    NODE_MISSING = "node-missing", "The kernel has the device, but there is no node in /dev.", "Is udev running?"
    CHANNEL_MISSING = "channel-missing", "The XDMA design lacks a channel of one direction."
    WRONG_MODULE = (
        "wrong-module",
        "The kernel's dmaengine module named xdma is loaded, which makes no device nodes.",
        "Unload it (`rmmod xdma`) and load AMD's stock driver by its path.",
    )
    LOCKDOWN = "lockdown", "The kernel is locked down: neither /dev/mem nor BARs can be mapped."
    NO_MAP_MISSING = "no-map-missing", "Reserved memory has no property no-map, so the kernel maps it cached."
    BIND_MISSING = "bind-missing", "The u-dma-buf is not bound to the card, and an IOMMU translates the card's DMA."
    NOIOMMU = "noiommu", "VFIO works without an IOMMU: the card's DMA reaches all memory."
    # memory in this machine
    ROOM = "room", "/dev/shm has too little room for a window."
    LEFT_BEHIND = "left-behind", "A killed program left its memory behind."
    # the machine
    KERNEL_OLD = "kernel-old", "The kernel is older than 5.4.", "Use 5.4 or newer."
    SINGLE_CPU = "single-cpu", "The process may use one CPU only."
    LIBRARY_MISSING = "library-missing", "A Python library is not installed."
    TUN_UNUSABLE = "tun-unusable", "The device /dev/net/tun is missing or may not be opened.", "`modprobe tun`"
    NO_CAPABILITY = "no-capability", "The process may not create interfaces.", "Run as root, or let root make a TUN."
    OFFLOADS_REFUSED = "offloads-refused", "The kernel refuses some offloads.", "Use a newer kernel."
    # measuring
    NOT_MEASURED = "not-measured", "A stage could not be measured."
    WINDOW_IN_USE = "window-in-use", "An agent has the window, so it was not measured."
    WINDOW_NOTE = "window-note", "Opening the window had something to report."
    NO_PACKETS = "no-packets", "No packet crosses the link."
    BOTTLENECK = "bottleneck", "The slowest stage."
