"""What every link needs: a kernel, a TUN and the permission to use it, CPUs, the libraries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec

from vnetcard.codes.code import Code
from vnetcard.codes.finding import FindingCode
from vnetcard.doctor.verdict import Finding, Verdict
from vnetcard.hw.sysfs import System, entries, number, text

OLDEST = (5, 4)
"""The oldest kernel that vnetcard supports."""
USO_SINCE = (6, 2)
"""Linux commit 399e0827642f: UDP segmentation through TUN."""
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_RAWIO": 17, "CAP_SYS_ADMIN": 21}
"""Those that an agent may use: interfaces; /dev/mem; other network namespaces (Linux uapi/linux/capability.h)."""
LIBRARIES = {"pyroute2": "system", "posix_ipc": "shm"}
"""Library to the area of the findings that need it."""


def inspect(system: System) -> list[Finding]:
    """The findings that concern every window."""
    return [*_kernel(system), _cpus(system), *_libraries(), *_tun(system), *_own_tuns(system)]


def _finding(subject: str, verdict: Verdict, detail: str, fix: str = "", *, code: Code = FindingCode.OK) -> Finding:
    return Finding("system", subject, verdict, detail, fix, code)


def _kernel(system: System) -> Iterator[Finding]:
    words = f"Linux {system.release} on {system.machine}"
    if system.kernel < OLDEST:
        fix = "use 5.4 or newer; TUN carrier came with 5.0"
        yield _finding("kernel", Verdict.WARN, f"{words}: untested", fix, code=FindingCode.KERNEL_OLD)
    elif system.kernel < USO_SINCE:
        yield _finding("kernel", Verdict.OK, f"{words}: TUN offloads CSUM and TSO; USO4 and USO6 came with 6.2")
    else:
        yield _finding("kernel", Verdict.OK, f"{words}: TUN offloads CSUM, TSO and USO")


def _cpus(system: System) -> Finding:
    if system.cpus > 1:
        return _finding("CPUs", Verdict.OK, f"{system.cpus}")
    fix = "give this process a second one; with --wait sleep one is used best"
    return _finding(
        "CPUs", Verdict.WARN, "1: both directions and the kernel share it", fix, code=FindingCode.SINGLE_CPU
    )


def _libraries() -> Iterator[Finding]:
    for name, area in LIBRARIES.items():
        if find_spec(name) is None:
            words, fix = "this Python does not have it", f"`pip install {name}`"
            yield Finding(area, name, Verdict.FAIL, words, fix, FindingCode.LIBRARY_MISSING)


def capabilities(system: System) -> frozenset[str]:
    """Which of CAPABILITIES this process has."""
    found = re.search(r"^CapEff:\s*([0-9a-f]{1,16})$", text(system.proc / "self/status") or "", re.MULTILINE)
    mask = int(found[1], 16) if found else 0
    return frozenset(name for name, bit in CAPABILITIES.items() if mask >> bit & 1)


def _tun(system: System) -> Iterator[Finding]:
    device = system.dev / "net/tun"
    if not device.exists():
        yield _finding("TUN", Verdict.FAIL, f"there is no {device}", "`modprobe tun`", code=FindingCode.TUN_UNUSABLE)
        return
    if not system.may(device):
        words, fix = f"no permission for {device}", f"`chmod 666 {device}`, as most systems have it"
        yield _finding("TUN", Verdict.FAIL, words, fix, code=FindingCode.TUN_UNUSABLE)
        return
    yield _finding("TUN", Verdict.OK, f"{device} may be opened")
    has = capabilities(system)
    words = f"user {system.uid}, {', '.join(sorted(has)) or 'no capability that an agent uses'}"
    if "CAP_NET_ADMIN" in has:
        yield _finding("user", Verdict.OK, words)
    else:
        fix = "run as root, or let root make one: `ip tuntap add tun0 mode tun vnet_hdr user $USER`, and see its agent"
        words += ": it can only use a TUN that was made for it"
        yield _finding("user", Verdict.WARN, words, fix, code=FindingCode.NO_CAPABILITY)


def _own_tuns(system: System) -> Iterator[Finding]:
    for flags in entries(system.sys / "class/net", "*/tun_flags"):
        name, owner = flags.parent.name, number(flags.parent / "owner")
        if owner is not None and owner == system.uid:
            yield _finding(name, Verdict.OK, "a TUN that was made for this user")
