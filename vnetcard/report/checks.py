"""What ``vnetcard report`` runs, and what it concludes: pings, streams, doctor, counters."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from vnetcard.agent.status import port_problems
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
from vnetcard.observe.cause import Cause
from vnetcard.observe.causes import LIMITS, causes
from vnetcard.observe.tables import NO_ERRORS
from vnetcard.observe.views import Snapshot, gather
from vnetcard.ping.link_counts import LinkCounts
from vnetcard.ping.suite import PingResult, Target, run_suite
from vnetcard.ping.target import default_targets
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SOFTWARE
from vnetcard.terminal.progress import Progress
from vnetcard.window import WindowUrl

WRITES: Final = (128, 1024, 8192, 131072)
"""Bytes per write, one stream each."""


@dataclass(frozen=True, slots=True)
class Check:
    """A verdict; ``words`` say what was seen, and ``codes`` name what is wrong: causes, counters, link states."""

    name: str
    ok: bool
    words: str
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamPath:
    """Where the sender and the receiver of a stream are (``vnetcard.bench.validity.Endpoints``)."""

    direction: str
    namespaces: tuple[str, str]
    addresses: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Stream:
    """A TCP stream in one direction: bytes of each write, Gbit/s received, segments retransmitted."""

    direction: str
    write: int
    gbit: float
    retransmits: int


@dataclass(slots=True)
class Report:
    """Everything that was measured; ``not_measured`` names what was not, and why.

    ``errors`` is the growth of each counter of errors during the report, by side and name; ``kernel`` likewise that of
    what the kernels discarded outside the link.
    """

    window: str
    at: float
    machine: dict[str, str]
    pings: list[PingResult] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    traces: list[dict[str, Any]] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    kernel: dict[str, int] = field(default_factory=dict)
    causes: list[Cause] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    runtime: dict[str, dict[str, float]] = field(default_factory=dict)
    not_measured: list[str] = field(default_factory=list)

    @property
    def checks(self) -> list[Check]:
        """The verdicts, in the order of the page."""
        links = ", ".join(f"{view['side']} {view['link']['state']}: {view['link']['reason']}" for view in self.views)
        down = tuple(
            view["link"].get("reason_code") or view["link"]["state"] for view in self.views if not view["link"]["up"]
        )
        lost = [f"{one.target.name} {one.size} ({one.lost} of {one.sent})" for one in self.pings if not one.ok]
        sent = sum(one.sent for one in self.pings)
        grown = ", ".join(f"{name} +{n}" for name, n in self.errors.items())
        discarded = "discarded outside the link: " + (
            ", ".join(f"{name} +{n}" for name, n in self.kernel.items()) or "0"
        )
        counters = tuple(dict.fromkeys(name.split()[-1] for name in self.errors))
        faults = tuple(one.code.value for one in self.causes if one.code not in LIMITS)
        failed = [f"{one.subject}: {one.detail}" for one in self.findings if one.verdict is Verdict.FAIL]
        problems = {problem["message"]: problem["code"] for problem in port_problems(self.views)}
        codes = tuple(dict.fromkeys(problems.values()))
        checks = [
            Check("link", bool(self.views) and not down, links or "no agent", down),
            Check("interfaces", not problems, "; ".join(problems) or "addresses and routes are as asked for", codes),
            Check("ping", bool(sent) and not lost, "; ".join(lost) or f"{sent} pings, none lost or damaged"),
            Check("counters", not grown, grown or NO_ERRORS, counters),
            Check("kernels", True, discarded),  # what is wrong, the causes say
            Check("causes", not faults, "; ".join(one.words for one in self.causes) or "no cause found", faults),
            Check("doctor", not failed, "; ".join(failed) or "nothing to fix"),
        ]
        if self.streams:
            best = max(self.streams, key=lambda one: one.gbit)
            slow = [f"{one.direction} {one.write}" for one in self.streams if one.gbit <= 0]
            checks.append(Check("throughput", not slow, f"up to {best.gbit:.3g} Gbit/s, {best.direction}"))
        return checks

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
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
    """Run everything, and conclude.

    ``targets`` to ping, empty for the peers; ``sizes`` in bytes of payload, ``count`` pings of each; ``seconds`` for
    each stream, 0 for no streams; ``measure``: also measure each stage alone.  Raises ConfigError for bad input and
    when there is no agent, before anything has run.
    """
    before = gather(window)
    url = str(WindowUrl.parse(window))
    report = Report(url, time.time(), _machine())
    targets = targets or _peers(before, report)
    paths = _stream_paths(before, report) if seconds else []
    with progress(len(targets) * len(sizes) + len(paths) * len(WRITES) + 2) as steps:

        def pinged(result: PingResult) -> None:
            steps.begin(f"ping {result.target.name}, {result.size} bytes: {result.lost} of {result.sent} lost")
            steps.end()

        report.pings = (
            run_suite(targets, sizes, count=count, on_result=pinged, link=LinkCounts(window)) if targets else []
        )
        steps.begin("tracing packets through the stages")
        _follow(report, targets)
        steps.end()
        for path in paths:
            for write in WRITES:
                steps.begin(f"TCP {path.direction}, writes of {write} bytes")
                _stream(report, path, write, seconds)
                steps.end()
        steps.begin("doctor" + (", measuring each stage" if measure else ""))
        _doctor(report, url, measure=measure)
        steps.end()
    _conclude(report, before, gather(window))
    return report


def _machine() -> dict[str, str]:
    return {
        "machine": platform.node(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "software": f"{SOFTWARE}, Python {platform.python_version()}",
    }


def _peers(snapshot: Snapshot, report: Report) -> Sequence[Target]:
    """The default targets; none when no agent answers."""
    unresponsive = snapshot.unresponsive()
    if len(unresponsive) == len(snapshot.views):
        report.not_measured += [f"pings: {why}" for why in unresponsive.values()]
        return []
    return default_targets(report.window)


def _follow(report: Report, targets: Sequence[Target]) -> None:
    if all(one.lost == one.sent for one in report.pings):
        report.not_measured.append("stages of the live link: no ping was answered")
        return
    try:
        report.traces = stage_latency.follow(report.window, targets)
    except ConfigError as error:
        report.not_measured.append(f"stages of the live link: {error}")


def _stream_paths(snapshot: Snapshot, report: Report) -> list[StreamPath]:
    """Both directions, if both agents are on this machine in named namespaces."""
    if why := missing("iperf3", "ip"):
        report.not_measured.append(f"throughput: {why}")
        return []
    if unresponsive := snapshot.unresponsive():
        report.not_measured += [f"throughput: {why}" for why in unresponsive.values()]
        return []
    ports = [snapshot.by_side[side]["port"] for side in L.SIDES if side in snapshot.by_side]
    if len(ports) < 2 or not all(port["netns"] and port["addresses"] for port in ports):
        report.not_measured.append("throughput: needs both agents on this machine, each with --netns NAME")
        return []
    names = [port["netns"] for port in ports]
    addresses = [port["addresses"][0].partition("/")[0] for port in ports]
    return [
        StreamPath(direction, (names[n], names[1 - n]), (addresses[n], addresses[1 - n]))
        for n, direction in enumerate(L.DIRECTIONS)
    ]


def _stream(report: Report, path: StreamPath, write: int, seconds: float) -> None:
    direction = path.direction
    try:
        end = iperf.run(path, seconds, ["-l", str(write)]).client["end"]
        stream = Stream(
            direction, write, end["sum_received"]["bits_per_second"] / 1e9, int(end["sum_sent"].get("retransmits", 0))
        )
    except (Invalid, KeyError) as error:
        report.not_measured.append(f"TCP {direction}, writes of {write} bytes: {error}")
        stream = Stream(direction, write, 0.0, 0)
    report.streams.append(stream)


def _doctor(report: Report, url: str, *, measure: bool) -> None:
    kind = url.partition(":")[0]
    report.findings = survey(System.here(), WindowUrl.parse(url))
    if measure:
        try:
            measured = stages.measure(None, L.HOST)
        except ConfigError as error:
            report.not_measured.append(f"stages: {error}")
        else:
            report.stages = measured.stages
            report.findings += measured.findings
    report.findings = concerning(report.findings, kind)


def _conclude(report: Report, before: Snapshot, after: Snapshot) -> None:
    report.views = after.views
    earlier = {(row.side, row.name): row.count for row in before.errors(None)}
    for row in after.errors(None):
        if row.name.endswith("late_wakeups"):
            continue  # one may happen by chance: the rule of lost-doorbell judges them
        if (grown := row.count - earlier.get((row.side, row.name), 0)) > 0:
            report.errors[f"{row.side} {row.name}"] = grown
    start = {(row.side, row.code): row.count for row in before.discards(None)}
    for one in after.discards(None):
        if (grown := one.count - start.get((one.side, one.code), 0)) > 0:
            report.kernel[f"{one.side} {one.code}"] = grown
    report.causes = causes(after)
    for side, parts in after.figures().items():
        for pump in ("tx", "rx"):
            report.runtime[f"{side} {pump}"] = parts[pump]


def as_json(report: Report) -> dict[str, Any]:
    """Everything for programs."""
    content = asdict(report) | {"causes": [cause.as_json() for cause in report.causes]}
    return {"ok": report.ok, "checks": [asdict(check) for check in report.checks], **content}
