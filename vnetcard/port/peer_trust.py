"""What the kernel believes of the peer's packets: without a reason to trust it, nothing that configures this machine.

One router advertisement would give this machine a default route, a redirect another gateway; strict rp_filter drops
packets whose source is reached over another interface; without a link-local address the interface does not answer to
everybody.  Source: Linux Documentation/networking/ip-sysctl.rst.  The kernel forgets the IPv6 settings whenever it
removes IPv6 from an interface (MTU below 1280, another namespace), so they are set again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from vnetcard.errors import VnetcardError
from vnetcard.port import netns as ns

SETTINGS: Final = {
    "ipv6/conf/{}/accept_ra": "0",
    "ipv6/conf/{}/accept_redirects": "0",
    "ipv6/conf/{}/addr_gen_mode": "1",
    "ipv4/conf/{}/accept_redirects": "0",
    "ipv4/conf/{}/rp_filter": "1",
}
"""Below /proc/sys/net; ``{}`` is the interface."""
ROOT: Final = Path("/proc/sys/net")


def distrust(name: str, place: str | int | None) -> list[str]:
    """Apply ``SETTINGS`` to the interface ``name`` of a namespace; those that cannot be set, each with the reason.

    A setting that the kernel does not have (it runs without IPv6) is none.  Idempotent.
    """
    failed = []
    try:
        with ns.inside(place):
            for setting, value in SETTINGS.items():
                path = setting.format(name)
                if why := _set(ROOT / path, value):
                    failed.append(f"net/{path} = {value} ({why})")
    except (OSError, VnetcardError) as error:
        failed.append(str(error))
    return failed


def _set(path: Path, value: str) -> str:
    """Write ``value`` where it is not there yet; why that failed, or ''."""
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return error.strerror or os.strerror(error.errno or 0)
    return ""
