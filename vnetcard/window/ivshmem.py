"""``ivshmem:SOCKET``: memory and interrupts of an ivshmem server (``vnetcard ivshmem-server``, or QEMU's own).

The host's way to a virtual machine with the device ivshmem-doorbell: both sides wake one another.  The memory is the
server's, so the rules are those of device memory: the host lays out, the card attaches.
"""

from __future__ import annotations

import os
from pathlib import Path

from vnetcard.window.contract import Request
from vnetcard.window.device import Device, DeviceWindow, open_device, read_device, split_options
from vnetcard.window.ivshmem_protocol import Client

OPTIONS = ("format",)


def open_window(request: Request) -> DeviceWindow:
    """Join the server; see ``vnetcard.window.open_window``."""
    request.want_one_pair(f"ivshmem:{request.place}", "the device has interrupts for no more")
    device, client = _join(request.place)
    window = open_device(device, request)  # which leaves the server again if it fails
    window.interrupts = client
    return window


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the memory's first bytes; the server's clients see somebody come and go."""
    return read_device(_join(place)[0], limit)


def _join(place: str) -> tuple[Device, Client]:
    url = f"ivshmem:{place}"
    bare, options = split_options(place, OPTIONS, url)
    client = Client(Path(bare))
    file = Path(f"/proc/self/fd/{client.memory}")  # opened anew, so that a lock is ours and not the server's too
    device = Device(
        url=url,
        what="the server's memory",
        file=file,
        size=os.fstat(client.memory).st_size,
        lock=file,
        format_any="format" in options,
        coherent=True,
        lost=client.lost,
        release=client.close,
    )
    return device, client
