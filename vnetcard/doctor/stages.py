"""Measures every stage of a packet's path alone, and names the slowest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from vnetcard.agent.control import ask
from vnetcard.codes.finding import FindingCode
from vnetcard.doctor import fifo_speed, link_speed, memory_speed, tun_speed
from vnetcard.doctor.memory_speed import SHORTEST
from vnetcard.doctor.timing import LARGE, Stage, gbit, seconds_each
from vnetcard.doctor.verdict import Finding, Verdict
from vnetcard.engine.dma import Engine
from vnetcard.errors import ConfigError, PeerGone, VnetcardError
from vnetcard.lab.lab import uninterrupted
from vnetcard.ring import layout as L
from vnetcard.window import Window, WindowUrl, open_window, read_window


@dataclass(slots=True)
class Measured:
    """The figures, and the findings about them."""

    stages: list[Stage] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    offloads: dict[str, str] = field(default_factory=dict)


STEPS = ("memory", "FIFO", "link in RAM", "TUN", "the window")


def measure(url: str | None, side: int, *, begin: Callable[[str], None] = lambda what: None) -> Measured:
    """Measure this machine, and the window at ``url`` from ``side``; ``begin`` is called with each of STEPS."""
    done = Measured()
    begin(STEPS[0])
    done.stages += memory_speed.reference()
    begin(STEPS[1])
    done.stages.append(fifo_speed.stage())
    begin(STEPS[2])
    private = link_speed.PrivateWindow()
    try:
        done.stages.append(link_speed.stage((private, private), "link in RAM", stream=False))
    except (PeerGone, TimeoutError) as error:
        words = f"not measured: {error}"
        done.findings.append(Finding("speed", "link in RAM", Verdict.WARN, words, code=FindingCode.NOT_MEASURED))
    finally:
        private.close()
    begin(STEPS[3])
    rows, done.offloads, why_not = tun_speed.measure()
    done.stages += rows
    if why_not:
        words = f"not measured: {why_not}"
        done.findings.append(Finding("speed", "TUN", Verdict.WARN, words, code=FindingCode.NOT_MEASURED))
    done.findings += _offloads(done.offloads)
    if url is not None:
        begin(STEPS[4])
        with uninterrupted():  # an exception could fall between making a window and remembering it
            _named(done, url, side)
    done.findings += slowest(done.stages, done.offloads)
    return done


def _offloads(verdicts: dict[str, str]) -> list[Finding]:
    if not verdicts:
        return []
    refused = {kind: why for kind, why in verdicts.items() if why}
    words = f"taken: {' '.join(kind for kind in verdicts if kind not in refused) or 'none'}"
    if not refused:
        return [Finding("system", "offloads", Verdict.OK, words)]
    words += "; " + "; ".join(f"{kind}: {why}" for kind, why in refused.items())
    fix = "a newer kernel: TSO is old, USO came with 6.2"
    return [Finding("system", "offloads", Verdict.WARN, words, fix, FindingCode.OFFLOADS_REFUSED)]


# --- the window that was named -----------------------------------------------------------------------


def _named(done: Measured, url: str, side: int) -> None:
    """Open it as an agent would, measure, close; a window that an agent uses is left alone."""
    if (user := user_of(url, side)) is not None:
        done.findings.append(user)
        return
    try:
        window = open_window(url, side=side)
    except VnetcardError as error:
        done.findings.append(Finding("window", str(WindowUrl.parse(url)), Verdict.FAIL, str(error), code=error.code))
        return
    try:
        done.findings.append(Finding("window", window.url, Verdict.OK, window.geometry.describe()))
        done.findings += [
            Finding("window", window.url, Verdict.WARN, note, code=FindingCode.WINDOW_NOTE) for note in window.notes
        ]
        done.stages += memory_speed.stages(window.memory, window.geometry, side, "window")
        _transport(done, window, side)
        window.close()
        if window.url.startswith("xdma:"):
            _dma(done, url)
    except VnetcardError as error:
        done.findings.append(Finding("window", window.url, Verdict.FAIL, str(error), code=error.code))
    finally:
        window.close()


def user_of(url: str, side: int) -> Finding | None:
    """That an agent has this side of the window, with its link's state; None: no agent answers."""
    name = str(WindowUrl.parse(url))
    try:
        view = ask(name, side, "status")
    except (PeerGone, ConfigError):
        return None
    link, words = view["link"], f"in use by {view['program']} (pid {view['pid']}), so not measured"
    verdict = Verdict.OK if link["up"] else Verdict.WARN
    words += f"; link {link['state']}: {link['reason']}"
    return Finding("window", name, verdict, words, code=FindingCode.WINDOW_IN_USE)


def _transport(done: Measured, window: Window, side: int) -> None:
    """Measure the engine between this memory and the peer's, if there is one: its registers, and a link."""
    engine = window.engine
    if engine is None:
        return
    done.findings.append(Finding("window", "engine", Verdict.OK, engine.describe()))
    if isinstance(engine, Engine):
        done.stages.append(Stage("engine registers", seconds_each(engine.fault) * 1e6, None, None, "one status read"))
    if window.url.startswith("sim:"):
        _link(done, window, side)


def _link(done: Measured, window: Window, side: int) -> None:
    """Measure a whole link through a simulated engine: the peer's memory is in this machine too."""
    try:
        peer = open_window(window.url, side=1 - side)
    except VnetcardError as error:
        words = f"not measured: the {L.SIDES[1 - side]}'s side is not free ({error})"
        done.findings.append(Finding("window", "link by engine", Verdict.WARN, words, code=error.code))
        return
    with contextlib.closing(peer):
        pair = (window, peer) if side == L.HOST else (peer, window)
        try:
            done.stages.append(link_speed.stage(pair, "link by engine", stream=True))
        except (PeerGone, TimeoutError) as error:
            words = f"no packet crosses it: {error}"
            fix = "see `vnetcard-sim --help`"
            done.findings.append(Finding("window", "link by engine", Verdict.FAIL, words, fix, FindingCode.NO_PACKETS))


def _dma(done: Measured, url: str) -> None:
    """Measure reads of the card's memory over the DMA channel of an ``xdma:`` window that is closed again."""
    few, many = (seconds_each(partial(read_window, url, size)) for size in (L.LINE, LARGE))
    speed = gbit(LARGE - L.LINE, max(many - few, SHORTEST))
    done.stages.append(Stage("DMA read", few * 1e6, None, speed, "the channel opened, and two short transfers"))


# --- the slowest -------------------------------------------------------------------------------------

FIXES = {
    "TUN": "larger packets: offloads on both sides (--offload auto), or a larger --mtu on both",
    "FIFO": "nothing: it is this machine's memory; --wait poll where a CPU is to spare",
    "window read": "reads that cross PCIe wait for their answer: let a DMA engine write into this side's memory "
    "(udmabuf: or xdma:, docs/bring-up.md), or take the window from this side's RAM",
    "window write": "a write-combining mapping: make the BAR 64-bit prefetchable, so that resourceN_wc is there",
    "DMA read": "longer transfers (offloads, a larger --mtu), and a DMA driver that polls or moderates its interrupts",
    "link by engine": "the engine: its clock and data width (hdl/README.md); here, that it is simulated",
}
"""Prefix of a stage's name to what makes that stage faster."""


def slowest(stages: list[Stage], offloads: dict[str, str]) -> list[Finding]:
    """The bottleneck for packets of 1500 bytes, and for super-packets where the kernel has them."""
    found = []
    for words, figure in (("packets of 1500 bytes", "small_gbit"), ("super-packets of 64 KiB", "large_gbit")):
        if figure == "large_gbit" and offloads.get("TSO4", "no"):
            continue
        known = [(getattr(one, figure), one) for one in stages if getattr(one, figure) and one.name[:3] != "RAM"]
        if not known:
            continue
        speed, stage = min(known, key=lambda pair: pair[0])
        name, fix = next((pair for pair in FIXES.items() if stage.name.startswith(pair[0])), ("", ""))
        verdict = Verdict.OK if name in ("TUN", "FIFO") else Verdict.WARN
        detail = f"{stage.name} is the slowest stage, {speed:.3g} Gbit/s with {words}"
        found.append(Finding("speed", "bottleneck", verdict, detail, fix, FindingCode.BOTTLENECK))
    return found
