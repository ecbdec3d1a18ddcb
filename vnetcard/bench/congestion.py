"""TCP's congestion control: which one the machine uses, and another one for the namespaces of a contender."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from vnetcard.bench.validity import Invalid
from vnetcard.errors import ConfigError
from vnetcard.port import netns

IN_USE: Final = Path("/proc/sys/net/ipv4/tcp_congestion_control")
AVAILABLE: Final = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
"""See tcp(7); IN_USE is that of the reader's network namespace, AVAILABLE that of the kernel."""


def chosen(name: str | None) -> str:
    """``name``, or by default what the machine uses; ConfigError for one that the kernel has not."""
    if name is None:
        return IN_USE.read_text().strip()
    known = AVAILABLE.read_text().split()
    if name not in known:
        raise ConfigError(f"--congestion {name}: the kernel has {', '.join(known)} (others: modprobe tcp_NAME)")
    return name


def use(name: str, namespaces: Iterable[str]) -> None:
    """Let new connections in ``namespaces`` use ``name``; Invalid when the kernel refuses it."""
    for namespace in namespaces:
        try:
            with netns.inside(namespace):
                IN_USE.write_text(name)
        except OSError as error:
            raise Invalid(f"congestion control {name} in {namespace}: {error.strerror}") from error
