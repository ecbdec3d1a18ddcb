"""What ``vnetcard report`` runs, and what it concludes: pings, streams, doctor, counters."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from vnetcard.bench import iperf
from vnetcard.bench.programs import missing
from vnetcard.bench.validity import Invalid
from vnetcard.doctor import stages
from vnetcard.doctor.survey import survey
from vnetcard.doctor.timing import Stage
from vnetcard.doctor.verdict import Finding, Verdict, concerning
from vnetcard.errors import ConfigError
from vnetcard.hw.sysfs import System
from vnetcard.observe import stage_latency
from vnetcard.observe.causes import LIMITS, Cause, causes
from vnetcard.observe.views import Snapshot, gather
from vnetcard.ping.suite import PingResult, Target, run_suite
from vnetcard.ping.target import default_targets
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SOFTWARE
from vnetcard.terminal.progress import Progress
from vnetcard.window import WindowUrl

WRITES: Final = (128, 1024, 8192, 131072)
"""Bytes of a write of the streams."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is good or not; ``words`` say what was seen."""

    name: str
    ok: bool
    words: str


@dataclass(frozen=True, slots=True)
class Way:
    """Who sends to whom (``vnetcard.bench.validity.Endpoints``)."""

    direction: str
    namespaces: tuple[str, str]
    addresses: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Stream:
    """A TCP stream one way: bytes of its writes, Gbit/s, segments that had to be sent again."""

    direction: str
    write: int
    gbit: float
    retransmits: int


@dataclass(slots=True)
class Report:
    """All that was seen; ``not_measured`` says what was not, and why."""

    window: str
    at: float
    machine: dict[str, str]
    pings: list[PingResult] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    traces: list[dict[str, Any]] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    causes: list[Cause] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    runtime: dict[str, dict[str, float]] = field(default_factory=dict)
    not_measured: list[str] = field(default_factory=list)

    @property
    def checks(self) -> list[Check]:
        """The verdicts, in the order of the page."""
        links = ", ".join(f"{view['side']} {view['link']['state']}: {view['link']['reason']}" for view in self.views)
        lost = [f"{one.target.name} {one.size} ({one.lost} of {one.sent})" for one in self.pings if not one.ok]
        sent = sum(one.sent for one in self.pings)
        drops = ", ".join(f"{name} +{n}" for name, n in self.errors.items())
        failed = [f"{one.subject}: {one.detail}" for one in self.findings if one.verdict is Verdict.FAIL]
        checks = [
            Check("link", bool(self.views) and all(view["link"]["up"] for view in self.views), links or "no agent"),
            Check("ping", bool(sent) and not lost, "; ".join(lost) or f"{sent} pings, none lost or damaged"),
            Check("counters", not drops, drops or "nothing was dropped, lost or violated meanwhile"),
            Check(
                "causes",
                all(one.name in LIMITS for one in self.causes),
                "; ".join(one.words for one in self.causes) or "nothing seems wrong",
            ),
            Check("doctor", not failed, "; ".join(failed) or "nothing is in the way"),
        ]
        if self.streams:
            best = max(self.streams, key=lambda one: one.gbit)
            slow = [f"{one.direction} {one.write}" for one in self.streams if one.gbit <= 0]
            checks.append(Check("throughput", not slow, f"up to {best.gbit:.3g} Gbit/s, {best.direction}"))
        return checks

    @property
    def ok(self) -> bool:
        """Is all well?"""
        return all(check.ok for check in self.checks)


def examine(
    window: str,
    targets: Sequence[Target],
    sizes: Sequence[int],
    *,
    count: int,
    seconds: float,
    measure: bool,
    progress: Callable[[int], Progress],
) -> Report:
    """Run everything; ConfigError for bad input before anything has run.

    ``targets`` of the pings, none: the peer; ``seconds`` a stream, 0: none.
    """
    before = gather(window)
    url = str(WindowUrl.parse(window))
    done = Report(url, time.time(), _machine())
    targets = targets or _peers(before, done)
    ways = _ways(before, done) if seconds else []
    with progress(len(targets) * len(sizes) + len(ways) * len(WRITES) + 2) as told:

        def pinged(result: PingResult) -> None:
            told.begin(f"ping {result.target.name}, {result.size} bytes: {result.lost} of {result.sent} lost")
            told.end()

        done.pings = run_suite(targets, sizes, count=count, on_result=pinged) if targets else []
        told.begin("following packets through the stages")
        _follow(done, targets)
        told.end()
        for way in ways:
            for write in WRITES:
                told.begin(f"TCP {way.direction}, writes of {write} bytes")
                _stream(done, way, write, seconds)
                told.end()
        told.begin("doctor: looking" + (" and measuring each stage" if measure else ""))
        _doctor(done, url, measure=measure)
        told.end()
    _conclude(done, before, gather(window))
    return done


def _machine() -> dict[str, str]:
    return {
        "machine": platform.node(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "software": f"{SOFTWARE}, Python {platform.python_version()}",
    }


def _peers(sight: Snapshot, done: Report) -> Sequence[Target]:
    """Whom to ping; nobody where no agent says who its peer is."""
    silent = sight.unresponsive()
    if len(silent) == len(sight.views):
        done.not_measured += [f"pings: {why}" for why in silent.values()]
        return []
    return default_targets(done.window)


def _follow(done: Report, targets: Sequence[Target]) -> None:
    if all(one.lost == one.sent for one in done.pings):
        done.not_measured.append("stages of the live link: no ping was answered")
        return
    try:
        done.traces = stage_latency.follow(done.window, targets)
    except ConfigError as error:
        done.not_measured.append(f"stages of the live link: {error}")


def _ways(sight: Snapshot, done: Report) -> list[Way]:
    """Both directions, if both agents are here in namespaces by name."""
    if why := missing("iperf3", "ip"):
        done.not_measured.append(f"throughput: {why}")
        return []
    if silent := sight.unresponsive():
        done.not_measured += [f"throughput: {why}" for why in silent.values()]
        return []
    ports = [sight.by_side[side]["port"] for side in L.SIDES if side in sight.by_side]
    if len(ports) < 2 or not all(port["netns"] and port["addresses"] for port in ports):
        done.not_measured.append("throughput: it takes both agents on this machine, each with --netns NAME")
        return []
    names = [port["netns"] for port in ports]
    addresses = [port["addresses"][0].partition("/")[0] for port in ports]
    return [
        Way(direction, (names[n], names[1 - n]), (addresses[n], addresses[1 - n]))
        for n, direction in enumerate(L.DIRECTIONS)
    ]


def _stream(done: Report, way: Way, write: int, seconds: float) -> None:
    direction = way.direction
    try:
        report = iperf.run(way, seconds, ["-l", str(write)])
        end = report.client["end"]
        stream = Stream(
            direction, write, end["sum_received"]["bits_per_second"] / 1e9, int(end["sum_sent"].get("retransmits", 0))
        )
    except (Invalid, KeyError) as error:
        done.not_measured.append(f"TCP {direction}, writes of {write} bytes: {error}")
        stream = Stream(direction, write, 0.0, 0)
    done.streams.append(stream)


def _doctor(done: Report, url: str, *, measure: bool) -> None:
    kind = url.partition(":")[0]
    done.findings = survey(System.here(), WindowUrl.parse(url))
    if measure:
        try:
            measured = stages.measure(None, L.HOST)
        except ConfigError as error:
            done.not_measured.append(f"stages: {error}")
        else:
            done.stages = measured.stages
            done.findings += measured.findings
    done.findings = concerning(done.findings, kind)


def _conclude(done: Report, before: Snapshot, after: Snapshot) -> None:
    done.views = after.views
    earlier = {(row.side, row.name): row.count for row in before.errors(None)}
    for row in after.errors(None):
        if row.name.endswith("late_wakeups"):
            continue  # one may happen by chance; the causes judge them
        if (grown := row.count - earlier.get((row.side, row.name), 0)) > 0:
            done.errors[f"{row.side} {row.name}"] = grown
    done.causes = causes(after)
    for side, parts in after.figures().items():
        for pump in ("tx", "rx"):
            done.runtime[f"{side} {pump}"] = parts[pump]


def as_json(done: Report) -> dict[str, Any]:
    """Everything for programs."""
    return {"ok": done.ok, "checks": [asdict(check) for check in done.checks], **asdict(done)}
