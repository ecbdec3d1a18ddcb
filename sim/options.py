"""The command line of ``vnetcard-sim``, parsed and checked."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SOFTWARE
from vnetcard.sim import inject
from vnetcard.sim.build import DEFAULT_WIDTH, WIDTHS
from vnetcard.sim.inject import Injection
from vnetcard.sim.library import CLOCK_HZ, Bus, Trace
from vnetcard.sim.objects import check_name
from vnetcard.terminal.arguments import Parser
from vnetcard.terminal.sizes import parse_size

PROGRAM: Final = "vnetcard-sim"
LATENCY_MAX_NS: Final = 1e9
TRACE_CYCLES: Final = 200_000
_TIMES: Final = {"": 1.0, "ns": CLOCK_HZ / 1e9, "us": CLOCK_HZ / 1e6, "ms": CLOCK_HZ / 1e3, "s": float(CLOCK_HZ)}

EPILOG = """\
examples:
  vnetcard-sim                                   the simulation lab0, 512 bit, two memories of 8 MiB
  vnetcard-x86 --window sim:lab0 --netns one &   in other terminals: ordinary agents
  vnetcard-fpga --window sim:lab0 --netns two &
  vnetcard-sim lab1 --data-width 256 --pcie-latency-ns 900 --pcie-gbps 60 --stats
  vnetcard-sim --trace lab0.fst --trace-from 1ms --trace-to 1.2ms
  vnetcard-sim --inject card-write-slverr@500 --trace lab0.fst --trace-on error
  vnetcard-sim --vfio-user /run/card.sock        a virtual machine is the host; the card's agent uses sim:lab0

SIGUSR1 removes the card, and puts it back; with --vfio-user SIGUSR2 lets the IOMMU refuse every access, and ends that.
One cycle is 4 ns of simulated time, which stands still while nothing
moves.  Exit status: 0 stopped by a signal, 1 the build failed, 2 bad input, 130 interrupted while building.
"""


@dataclass(frozen=True, slots=True)
class Options:
    """A checked command line; ``memory`` in bytes."""

    name: str
    width: int
    memory: int
    bus: Bus
    trace: Trace | None
    injections: tuple[Injection, ...]
    seed: int
    remove_after: float | None
    stats: bool
    totals: bool
    json: bool
    vfio_user: Path | None = None


def parser() -> argparse.ArgumentParser:
    """The command line of ``vnetcard-sim``."""
    p = Parser(
        prog=PROGRAM,
        description="Simulate the DMA engine, Verilated from its RTL, between the memories of a host and a card.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("name", nargs="?", default="lab0", metavar="NAME", help="agents use --window sim:NAME (%(default)s)")
    p.add_argument(
        "--data-width",
        type=int,
        choices=WIDTHS,
        default=DEFAULT_WIDTH,
        help="bits of the engine's AXI masters (%(default)s)",
    )
    p.add_argument("--memory", default="8M", metavar="SIZE", help="memory of each side: a power of two, 16K to 1G (8M)")
    p.add_argument(
        "--pcie-latency-ns", type=float, default=0.0, metavar="N", help="read latency of the host's memory, in ns (0)"
    )
    p.add_argument("--pcie-gbps", type=float, metavar="X", help="Gbit/s of the host's bus per direction (no limit)")
    p.add_argument("--trace", metavar="FILE.fst", help="write a waveform; slow, so limit it to a span")
    p.add_argument("--trace-from", metavar="T", help="begin at this cycle, or simulated time such as 10us (0)")
    p.add_argument("--trace-to", metavar="T", help="end at this cycle or time (the last)")
    p.add_argument("--trace-on", choices=["error"], help="write only the cycles around the first failed burst")
    p.add_argument("--trace-cycles", type=int, metavar="N", help=f"cycles in each file of --trace-on ({TRACE_CYCLES})")
    p.add_argument("--inject", action="append", default=[], metavar="ERROR", help=f"{inject.HELP.replace('%', '%%')}")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the probabilities (%(default)s)")
    p.add_argument("--remove-after", type=float, metavar="S", help="remove the card after S seconds")
    p.add_argument(
        "--vfio-user", metavar="SOCKET", help="the host is a client of vfio-user, such as QEMU 10.1: a PCI function"
    )
    p.add_argument("--stats", action="store_true", help="print a line per second, and a table at the end")
    p.add_argument("--totals", action="store_true", help="print only the table at the end")
    p.add_argument("--json", action="store_true", help="print JSON objects, one per line")
    p.add_argument("--version", action="version", version=SOFTWARE)
    return p


def load(argv: list[str] | None = None) -> Options:
    """The options in ``argv`` (default: the process's arguments); raises ConfigError for invalid ones."""
    given = parser().parse_args(argv)
    if not 0 <= given.pcie_latency_ns <= LATENCY_MAX_NS:
        raise ConfigError(f"--pcie-latency-ns {given.pcie_latency_ns:g} is out of range (0 to {LATENCY_MAX_NS:g})")
    if given.pcie_gbps is not None and not 0.001 <= given.pcie_gbps <= 1e6:
        raise ConfigError(f"--pcie-gbps {given.pcie_gbps:g} is out of range (0.001 to 1000000)")
    if given.remove_after is not None and not 0 <= given.remove_after <= 1e9:
        raise ConfigError(f"--remove-after {given.remove_after:g} is out of range (0 to 1000000000 seconds)")
    if not 0 <= given.seed < 1 << 64:
        raise ConfigError(f"--seed {given.seed} is out of range (0 to 2 ** 64 - 1)")
    return Options(
        name=check_name(given.name),
        width=given.data_width,
        memory=_memory(given.memory),
        bus=Bus(given.pcie_latency_ns, given.pcie_gbps),
        trace=_trace(given),
        injections=tuple(Injection.parse(text) for text in given.inject),
        seed=given.seed,
        remove_after=given.remove_after,
        stats=given.stats,
        totals=given.stats or given.totals,
        json=given.json,
        vfio_user=None if given.vfio_user is None else Path(given.vfio_user),
    )


def _memory(text: str) -> int:
    try:
        size = parse_size(text)
    except ConfigError as error:
        raise ConfigError(f"--memory: {error}") from error
    if size & (size - 1) or not L.WINDOW_MIN <= size <= L.WINDOW_MAX:
        raise ConfigError(f"--memory {text} is invalid: expected a power of two from 16K to 1G")
    return size


def _trace(given: argparse.Namespace) -> Trace | None:
    if given.trace is None:
        for option in ("trace_from", "trace_to", "trace_on", "trace_cycles"):
            if getattr(given, option) is not None:
                raise ConfigError(f"--{option.replace('_', '-')} needs --trace FILE.fst")
        return None
    path = Path(given.trace)
    if path.suffix != ".fst":
        raise ConfigError(f"--trace {path}: the name must end with .fst")
    if not path.parent.is_dir():
        raise ConfigError(f"--trace {path}: no folder {path.parent}")
    try:
        path.open("ab").close()
    except OSError as error:
        raise ConfigError(f"--trace {path}: cannot write it ({error.strerror})") from error
    if given.trace_on is None:
        if given.trace_cycles is not None:
            raise ConfigError("--trace-cycles needs --trace-on error")
        first = 0 if given.trace_from is None else _cycles("--trace-from", given.trace_from)
        end = None if given.trace_to is None else _cycles("--trace-to", given.trace_to)
        if end is not None and end <= first:
            raise ConfigError(f"--trace-to {given.trace_to} must be later than --trace-from {given.trace_from or 0}")
        return Trace(path, first, end)
    if given.trace_from is not None or given.trace_to is not None:
        raise ConfigError("--trace-on error chooses the span itself: omit --trace-from and --trace-to")
    around = TRACE_CYCLES if given.trace_cycles is None else given.trace_cycles
    if not 2 <= around <= 1_000_000_000:
        raise ConfigError(f"--trace-cycles {around} is out of range (2 to 1000000000)")
    return Trace(path, around=2 * around)


def _cycles(option: str, text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(ns|us|ms|s|)", text)
    if found is None or (not found[2] and "." in found[1]):
        raise ConfigError(f"{option} {text!r} is invalid: expected cycles, or a time such as 800ns, 10us, 1.5ms, 2s")
    return round(float(found[1]) * _TIMES[found[2]])
