"""``ivshmem:SOCKET``: memory and interrupts of an ivshmem server (``vnetcard ivshmem-server``, or QEMU's own).

For the host of a virtual machine with the device ivshmem-doorbell; either side interrupts the other.  The memory is the
server's, so the rules are those of device memory: the host lays out, the card attaches.
"""

from __future__ import annotations

import os
from pathlib import Path

from vnetcard.hw.mapping import Device
from vnetcard.window.contract import Request
from vnetcard.window.device import DeviceWindow, open_device, read_device, split_options
from vnetcard.window.ivshmem_protocol import Client

OPTIONS = ("format",)


def open_window(request: Request) -> DeviceWindow:
    """Join the server; see ``vnetcard.window.open_window``."""
    request.want_one_pair(f"ivshmem:{request.place}", "the device has interrupts for no more")
    device, client, any_content = _join(request.place)
    window = open_device(device, request, any_content=any_content)  # leaves the server again if it fails
    window.interrupts = client
    return window


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the memory's first bytes; the server's other clients see a client join and leave."""
    device, _, any_content = _join(place)
    return read_device(device, limit, any_content=any_content)


def _join(place: str) -> tuple[Device, Client, bool]:
    url = f"ivshmem:{place}"
    bare, options = split_options(place, OPTIONS, url)
    client = Client(Path(bare))
    file = Path(f"/proc/self/fd/{client.memory}")  # opened again: a lock would else be the server's too
    device = Device(
        url=url,
        what="the server's memory",
        file=file,
        size=os.fstat(client.memory).st_size,
        lock=file,
        coherent=True,
        lost=client.lost,
        release=client.close,
    )
    return device, client, "format" in options
