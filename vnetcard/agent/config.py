"""An agent's configuration: from the command line and from a TOML file, which the command line overrides.

One table of options serves both: the keys of a file are the names of the long options.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vnetcard.agent import scheduling
from vnetcard.agent.config_file import read_file
from vnetcard.agent.punt_rule import PuntRule
from vnetcard.agent.scheduling import Scheduling
from vnetcard.agent.user import User
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.link.endpoints import WAITS
from vnetcard.port import macvtap, packet_options, tap
from vnetcard.port.address import Address, Network, Route, parse_address, parse_networks
from vnetcard.port.mac import Mac
from vnetcard.port.tun import check_name
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SOFTWARE
from vnetcard.terminal.arguments import DEFAULT_WINDOW, Parser
from vnetcard.terminal.sizes import parse_size
from vnetcard.window import WindowUrl
from vnetcard.window.arguments import WindowHelp

LOG_LEVELS = ("debug", "info", "warning", "error")
KERNEL_KINDS = ("tun", "tap")
"""Port kinds whose name is that of an interface."""
ETHERNET_KINDS = ("tap", "macvtap")
"""Port kinds of an interface with Ethernet frames."""
PROGRAM_KINDS = ("fd", "memif", "unix", "vhost-user")
"""Port kinds of a program, without an interface of the kernel."""
FOREIGN_KINDS = (*PROGRAM_KINDS, "packet")
"""Port kinds without an interface that the agent configures."""
_PLACES = {"fd": "N", "memif": "PATH", "unix": "PATH", "vhost-user": "PATH", "packet": "IF"}
DEFAULT_ADDRESS = ("10.10.10.1/24", "10.10.10.5/24")
"""Of the host, of the card."""


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration; sizes in bytes."""

    side: int
    window: str
    port: str
    name: str
    mac: Mac | None
    bridge: str | None
    addresses: tuple[Address, ...]
    routes: tuple[Route, ...]
    mtu: int
    netns: str | None
    queue_bytes: int | None
    queues: int | None
    steering: str
    wait: str
    offload: frozenset[str]
    persist: bool
    allow: tuple[Network, ...]
    trust_peer: bool
    max_segments: int
    gro: bool
    punt: PuntRule | None
    scheduling: Scheduling
    privileges: str
    user: User | None
    log_level: str
    json_log: bool

    @property
    def program(self) -> str:
        """``vnetcard-x86`` or ``vnetcard-fpga``."""
        return PROGRAMS[self.side]


MAX_SEGMENTS = 512
"""Of one record: 64 KiB in segments of 128 bytes, which the kernel makes in about half a millisecond."""
PROGRAMS = ("vnetcard-x86", "vnetcard-fpga")
OFFLOADS = ("csum", "tso4", "tso6", "uso4", "uso6")

STEERING = ("sparse", "kernel")
STEERING_HELP = (
    "with several queues: keep the first for flows that send little, or let the kernel spread all flows alike (sparse)"
)
PRIVILEGES = ("follow", "least", "keep")
PRIVILEGES_HELP = (
    "what to keep after the set-up: what the link needs and what it takes to follow the interface into other network "
    "namespaces, only what the link needs, or everything (follow; with --user least)"
)

QUEUES_HELP = (
    f"queue pairs of the window, and of the interface: 1 to {L.QUEUES_MAX} (all there are; of a new window 2 where the "
    "first can be for flows that send little, else 1)",
    f"queue pairs to serve at most, and to make where the host has made no window: 1 to {L.QUEUES_MAX} (all there are; "
    "of a new window as on the host)",
)
"""Of the host, of the card."""

EPILOG = """\
examples:
  {program}                                      the default: window shm:vnetcard0, {address} on tun0
  {program} --netns lab --address fd00::{n}/64 --mtu 9000
  {program} --window memfd:lab0                  both agents on one machine: memory that no program can cut short
  {program} --window file:/dev/shm/board+64K --config /etc/vnetcard.toml

A configuration file holds the long options without dashes: window = "shm:lab0", address = ["10.9.9.{n}/24"].
The command line goes before the file.  Exit status: 0 stopped, 1 failed while running, 2 bad input.
"""


def parser(side: int) -> argparse.ArgumentParser:
    """The agent's command line; every option defaults to None, which leaves it to the configuration file."""
    program = PROGRAMS[side]
    p = Parser(
        prog=program,
        description=f"The {L.SIDES[side]} side's agent: a network interface whose cable is shared memory.",
        epilog=EPILOG.format(program=program, address=DEFAULT_ADDRESS[side], n=(1, 5)[side]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument(
        "--window",
        metavar="URL",
        help=WindowHelp("the shared memory, %(kinds)s (shm:vnetcard0)"),
    )
    p.add_argument(
        "--port",
        metavar="KIND[:NAME]",
        help="where packets enter and leave: tun; tap for Ethernet frames; macvtap:IF for those of IF's network; "
        "packet:IF for IF's own, or its IP packets with ?frames=ip&address=IP/BITS; unix:PATH, fd:N for programs; "
        "memif:PATH for VPP or DPDK; vhost-user:PATH for QEMU or DPDK (tun)",
    )
    p.add_argument(
        "--name", metavar="NAME", help="name of the interface (tun0); of a tap: (tap0), of a macvtap: (macvtap0)"
    )
    p.add_argument(
        "--mac",
        metavar="MAC",
        help="MAC address of a tap or macvtap (that of the peer's macvtap, or one made of the machine's id, the side "
        "and the window)",
    )
    p.add_argument("--bridge", metavar="NAME", help="bridge that a tap joins; no address is set then by default")
    p.add_argument(
        "--address",
        metavar="IP/BITS",
        action="append",
        help=f"address of the interface, may be repeated; 'none' for no address ({DEFAULT_ADDRESS[side]})",
    )
    p.add_argument(
        "--route",
        metavar="'NET/BITS [via IP] [metric N]'",
        action="append",
        help="a route over the interface, may be repeated; the route of another interface is never replaced",
    )
    p.add_argument(
        "--mtu", metavar="BYTES", type=int, help="largest packet; the smaller one of both sides is used (1500)"
    )
    p.add_argument("--netns", metavar="NAME", help="network namespace of the interface")
    p.add_argument("--queue-bytes", metavar="SIZE", help="size of each ring, a power of two (the largest that fits)")
    p.add_argument("--queues", metavar="N", type=int, help=QUEUES_HELP[side])
    p.add_argument("--steering", choices=STEERING, help=STEERING_HELP)
    p.add_argument("--wait", choices=sorted(WAITS), help="how pumps wait: spin then sleep, spin, or sleep (adaptive)")
    p.add_argument("--offload", metavar="KINDS", help=f"auto, off, or a list of {','.join(OFFLOADS)} (auto)")
    p.add_argument("--persist", action="store_const", const=True, help="keep the interface when the agent ends")
    p.add_argument(
        "--max-segments",
        metavar="N",
        type=int,
        help=f"most segments that the kernel may have to make of one record of the peer: 1 to 65535 ({MAX_SEGMENTS})",
    )
    p.add_argument(
        "--gro",
        action="store_const",
        const=True,
        help="generic receive offload: write packets of one UDP or TCP flow that wait in the ring together; where "
        "the kernel discards them it counts them as one",
    )
    p.add_argument(
        "--allow",
        metavar="NET",
        action="append",
        help="network IP/BITS to which the source of each packet of the peer must belong, may be repeated (any)",
    )
    p.add_argument(
        "--trust-peer",
        action="store_const",
        const=True,
        help="leave the kernel's defaults: router advertisements, redirects and any source address of the peer count",
    )
    p.add_argument(
        "--punt",
        metavar="FILTER=unix:PATH[?bypass=on]",
        help="packets of the peer that match FILTER, of tcpdump's syntax, go to the program that is connected to the "
        "SEQPACKET socket PATH; what it sends back goes to the interface.  Without a program they are dropped, or with "
        "bypass=on go to the interface",
    )
    p.add_argument(
        "--nice", metavar="N", type=int, help="nice value of the pumps' threads, -20 to 19 (that of the agent)"
    )
    p.add_argument("--cpus", metavar="LIST", help="CPUs for the pumps' threads, as in 2,4-7 (those of the agent)")
    p.add_argument(
        "--sched",
        metavar="POLICY",
        help="scheduling policy of the pumps' threads: other, batch, fifo:PRIORITY or rr:PRIORITY (that of the agent)",
    )
    p.add_argument("--privileges", choices=PRIVILEGES, help=PRIVILEGES_HELP)
    p.add_argument(
        "--user",
        metavar="NAME[:GROUP]",
        help="for root: run as this user, with its groups or GROUP alone; it must be able to use the window",
    )
    p.add_argument("--config", metavar="FILE", help="a TOML file with these options")
    p.add_argument("--log-level", choices=LOG_LEVELS, help="(info)")
    p.add_argument("--json-log", action="store_const", const=True, help="log one JSON object per line")
    p.add_argument("--version", action="version", version=SOFTWARE)
    return p


def load(side: int, argv: list[str] | None = None) -> Config:
    """The configuration for ``side`` from ``argv`` (default: the process's); ConfigError for an invalid value.

    argparse itself ends the process, with exit status 2, for unknown options.
    """
    arguments = vars(parser(side).parse_args(argv))
    file = arguments.pop("config")
    values = read_file(Path(file), set(arguments)) if file else {}
    try:
        _check(side, values)
    except ConfigError as error:
        raise ConfigError(f"--config {file}: {error}", code=error.code) from error
    values |= {name: value for name, value in arguments.items() if value is not None}
    config = _check(side, values)
    try:
        _check_ethernet(config)
        _check_program_port(config)
    except ConfigError as error:
        if file is None:
            raise
        raise ConfigError(f"--config {file} with this command line: {error}", code=error.code) from error
    return config


def _check(side: int, values: dict[str, Any]) -> Config:
    window = values.get("window", DEFAULT_WINDOW)
    WindowUrl.parse(window)
    port, name = _port_and_name(values.get("port", "tun"), values.get("name"))
    mtu = values.get("mtu", L.MTU_DEFAULT)
    if not L.MTU_MIN <= mtu <= L.MTU_MAX:
        raise ConfigError(f"--mtu {mtu} is out of range ({L.MTU_MIN} to {L.MTU_MAX})", code=ErrorCode.OUT_OF_RANGE)
    words = {"steering": STEERING, "wait": sorted(WAITS), "log_level": LOG_LEVELS, "privileges": PRIVILEGES}
    for option, allowed in words.items():
        if option in values and values[option] not in allowed:
            raise ConfigError(f"{option.replace('_', '-')} {values[option]!r} is not one of {', '.join(allowed)}")
    alone = "bridge" in values or port.partition(":")[0] in (*FOREIGN_KINDS, "macvtap")
    addresses = values.get("address", [] if alone else [DEFAULT_ADDRESS[side]])
    try:
        queue_bytes = parse_size(values["queue_bytes"]) if "queue_bytes" in values else None
    except ConfigError as error:
        raise ConfigError(f"--queue-bytes: {error}", code=error.code) from error
    if queue_bytes is not None and (queue_bytes & (queue_bytes - 1) or not L.RING_MIN <= queue_bytes <= L.RING_MAX):
        raise ConfigError(
            f"--queue-bytes {values['queue_bytes']} is out of range: a power of two from 4K to 512M",
            code=ErrorCode.OUT_OF_RANGE,
        )
    queues = values.get("queues")
    if queues is not None and not 1 <= queues <= L.QUEUES_MAX:
        raise ConfigError(f"--queues {queues} is out of range (1 to {L.QUEUES_MAX})", code=ErrorCode.OUT_OF_RANGE)
    max_segments = values.get("max_segments", MAX_SEGMENTS)
    if not 1 <= max_segments <= 0xFFFF:
        raise ConfigError(f"--max-segments {max_segments} is out of range (1 to 65535)", code=ErrorCode.OUT_OF_RANGE)
    user = User.parse(values["user"]) if "user" in values else None
    privileges = values.get("privileges", "follow" if user is None else "least")
    if user is not None and privileges == "keep":
        raise ConfigError("--user and --privileges keep exclude each other: leave one of them out")
    config = Config(
        side=side,
        window=window,
        port=port,
        name=name,
        mac=Mac.parse(values["mac"]) if "mac" in values else None,
        bridge=check_name(values["bridge"]) if "bridge" in values else None,
        addresses=tuple(parse_address(text) for text in addresses if text != "none"),
        routes=tuple(Route.parse(text) for text in values.get("route", [])),
        mtu=mtu,
        netns=values.get("netns"),
        queue_bytes=queue_bytes,
        queues=queues,
        steering=values.get("steering", "sparse"),
        wait=values.get("wait", "adaptive"),
        offload=_offloads(values.get("offload", "auto")),
        persist=values.get("persist", False),
        allow=parse_networks(values.get("allow", [])),
        trust_peer=values.get("trust_peer", False),
        max_segments=max_segments,
        gro=values.get("gro", False),
        punt=PuntRule.parse(values["punt"]) if "punt" in values else None,
        scheduling=scheduling.parse(values.get("nice"), values.get("cpus"), values.get("sched")),
        privileges=privileges,
        user=user,
        log_level=values.get("log_level", "info"),
        json_log=values.get("json_log", False),
    )
    if mtu < 1280 and any(address.version == 6 for address in config.addresses):
        raise ConfigError(
            f"--mtu {mtu} is too small for an IPv6 address: 1280 at least (RFC 8200)", code=ErrorCode.OUT_OF_RANGE
        )
    return config


def _port_and_name(port: str, name: str | None) -> tuple[str, str]:
    kind, _, inner = port.partition(":")
    if kind in FOREIGN_KINDS:
        if name or not inner:
            raise ConfigError(f"--port {port}: expected {kind}:{_PLACES[kind]}, without --name")
        return port, packet_options.split_options(inner).interface if kind == "packet" else inner
    if kind == "macvtap":
        lower, own = macvtap.split_name(inner)
        if name and "?" not in inner:
            own = macvtap.split_name(f"{inner}?name={name}")[1]
        if not name or own == name:
            return f"{kind}:{lower}?name={own}", own
        inner = own
    if inner and name and inner != name:
        raise ConfigError(f"--port {port} and --name {name} name two interfaces; give one of them")
    name = inner or name or ("tap0" if kind == "tap" else "tun0")
    if kind in KERNEL_KINDS:
        check_name(name)
    return f"{kind}:{name}", name


def _check_ethernet(config: Config) -> None:
    """What holds for Ethernet frames alone, or for IP packets alone; of file and command line together."""
    kind = config.port.partition(":")[0]
    if kind in ETHERNET_KINDS and config.mtu > tap.MTU_MAX:
        raise ConfigError(
            f"--mtu {config.mtu} is out of range for a {kind} ({L.MTU_MIN} to {tap.MTU_MAX})",
            code=ErrorCode.OUT_OF_RANGE,
        )
    if kind == "macvtap":
        _check_macvtap(config)
    if kind in ETHERNET_KINDS:
        return
    for option, value in (("mac", config.mac), ("bridge", config.bridge)):
        if value:
            raise ConfigError(f"--{option} {value} needs Ethernet frames: --port tap, on both sides")


def _check_macvtap(config: Config) -> None:
    """A macvtap hands all frames to the link: the machine itself has no use for it."""
    given = {"address": config.addresses, "route": config.routes, "bridge": config.bridge, "persist": config.persist}
    for option, value in given.items():
        if value:
            raise ConfigError(f"--{option} is not for --port {config.port}: this machine itself cannot use a macvtap")


def _check_program_port(config: Config) -> None:
    """A port without an interface, or with one that is not the agent's, has nothing that these options could set."""
    kind = config.port.partition(":")[0]
    if kind not in FOREIGN_KINDS:
        return
    given: dict[str, object] = {
        "address": config.addresses,
        "route": config.routes,
        "netns": config.netns if kind in PROGRAM_KINDS else None,
        "persist": config.persist,
        "trust-peer": config.trust_peer,
    }
    for option, value in given.items():
        if value and kind in PROGRAM_KINDS:
            raise ConfigError(f"--{option} needs an interface; --port {config.port} is a program's")
        if value:
            raise ConfigError(f"--{option} would change {config.name}; --port packet leaves it as it is")


def _offloads(text: str) -> frozenset[str]:
    if text in ("auto", "off"):
        return frozenset(kind.upper() for kind in OFFLOADS) if text == "auto" else frozenset()
    kinds = [kind.strip().lower() for kind in text.split(",")]
    for kind in kinds:
        if kind not in OFFLOADS:
            raise ConfigError(f"--offload {kind!r} is not one of auto, off, {', '.join(OFFLOADS)}")
    return frozenset(kind.upper() for kind in kinds)
