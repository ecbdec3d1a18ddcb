"""A report as one self-contained page of HTML, and as JUnit XML."""

from __future__ import annotations

import html as markup
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from vnetcard.ping.report import loss_percent
from vnetcard.report import plots
from vnetcard.report.checks import Report
from vnetcard.terminal.escape import printable

STYLE: Final = """
:root { color-scheme: light dark; --back: #fff; --text: #1c1c1c; --soft: #666; --line: #ddd; --panel: #f6f6f6;
  --good: #157a3d; --bad: #b3261e; --c0: #1f6fb4; --c1: #c05020; }
@media (prefers-color-scheme: dark) { :root { --back: #16181b; --text: #e6e6e6; --soft: #9a9a9a; --line: #3a3d42;
  --panel: #1e2125; --good: #4cc27a; --bad: #ff7a70; --c0: #6bb1ee; --c1: #f0935f; } }
body { background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif; max-width: 1000px;
  margin: 0 auto; padding: 24px; }
h1 { margin: 0; font-size: 24px } h2 { font-size: 18px; margin: 32px 0 8px }
.verdict { padding: 14px 18px; margin: 16px 0; border-left: 8px solid; background: var(--panel); font-size: 20px }
.verdict.good { border-color: var(--good) } .verdict.bad { border-color: var(--bad) }
.good td:first-child, .good b { color: var(--good) } .bad td:first-child, .bad b { color: var(--bad) }
.none, .facts { color: var(--soft) }
table { border-collapse: collapse; width: 100%; background: var(--panel) }
td, th { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 16px }
svg { background: var(--panel); width: 100%; height: auto; font: 12px system-ui, sans-serif }
svg text { fill: var(--text) } svg .tick, svg .axis { text-anchor: middle }
svg .scale, svg .name, svg .unit { text-anchor: end }
svg .title { font-weight: bold; font-size: 13px } svg .tick, svg .scale, svg .axis, svg .unit { fill: var(--soft) }
svg .grid { stroke: var(--line) } svg .curve { fill: none; stroke-width: 2 }
svg .curve.c0 { stroke: var(--c0) } svg .curve.c1 { stroke: var(--c1) }
svg .c0:not(.curve) { fill: var(--c0) } svg .c1:not(.curve) { fill: var(--c1) }
@media print { body { max-width: none } }
"""


def escape(text: str) -> str:
    """``text`` as the text or a value of an attribute of the page."""
    return markup.escape(printable(text))


def html(report: Report) -> str:
    """The page, with the verdict at the top."""
    verdict = "PASS" if report.ok else "FAIL"
    failed = [check.name for check in report.checks if not check.ok]
    words = f"failed: {', '.join(failed)}" if failed else f"{len(report.checks)} checks passed"
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(report.at))
    body = [
        "<h1>vnetcard report</h1>",
        f'<p class="facts">{escape(report.window)}, {when}, {escape(report.machine["machine"])}</p>',
        f'<div class="verdict {"good" if report.ok else "bad"}" id="verdict"><b>{verdict}</b> {escape(words)}</div>',
        _checks(report),
        "<h2>Round trip, loss, throughput</h2>",
        f'<div class="plots">{_plots(report)}</div>',
        "<h2>Pings</h2>",
        _pings(report),
        "<h2>Link and machine</h2>",
        _facts(report),
        "<h2>Pumps</h2>",
        _runtime(report),
        "<h2>Doctor</h2>",
        _doctor(report),
    ]
    if report.not_measured:
        body += ["<h2>Not measured</h2>", "<ul>", *(f"<li>{escape(why)}</li>" for why in report.not_measured), "</ul>"]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>vnetcard report: {verdict}</title>",
            f"<style>{STYLE}</style></head><body>",
            *body,
            "</body></html>",
            "",
        ]
    )


def _checks(report: Report) -> str:
    rows = [
        f'<tr class="{"good" if check.ok else "bad"}"><td><b>{"pass" if check.ok else "FAIL"}</b></td>'
        f"<td>{escape(check.name)}</td><td>{escape(check.words)}</td></tr>"
        for check in report.checks
    ]
    return f"<table>{''.join(rows)}</table>"


def _plots(report: Report) -> str:
    names = list(dict.fromkeys(one.target.name for one in report.pings))
    median = {
        name: [(one.size, one.rtt_avg) for one in report.pings if one.target.name == name and one.rtt_avg is not None]
        for name in names
    }
    loss = {
        name: [(one.size, 100 * one.lost / max(1, one.sent)) for one in report.pings if one.target.name == name]
        for name in names
    }
    speed = {
        direction: [(one.write, one.gbit) for one in report.streams if one.direction == direction]
        for direction in dict.fromkeys(one.direction for one in report.streams)
    }
    worst = {
        name: [(one.size, one.rtt_p99) for one in report.pings if one.target.name == name and one.rtt_p99 is not None]
        for name in names
    }
    latencies = {one.name: one.latency_us for one in report.stages if one.latency_us is not None}
    a_record = {
        name: figures[f"{name.split()[1]}_ns_per_record"] / 1000
        for name, figures in report.runtime.items()
        if figures.get(f"{name.split()[1]}_ns_per_record")
    }
    return "".join(
        [
            plots.lines("Round trip, average", median, x="bytes of payload", y="ms"),
            plots.lines("Round trip, 99th percentile", worst, x="bytes of payload", y="ms"),
            plots.lines("Loss", loss, x="bytes of payload", y="%"),
            plots.lines("TCP throughput", speed, x="bytes of a write", y="Gbit/s"),
            *(
                plots.bars(
                    f"Stages of {one['direction']}, medians; {one['bottleneck']['stage']} holds packets up",
                    {stage: figures["p50"] for stage, figures in one["stages_us"].items()},
                    unit="us",
                )
                for one in report.traces
            ),
            plots.bars("Latency of each stage alone", latencies, unit="us"),
            plots.bars("Time of each pump for a record", a_record, unit="us"),
        ]
    )


def _pings(report: Report) -> str:
    rows = [
        (
            one.target.name,
            one.size,
            one.sent,
            one.lost,
            loss_percent(one),
            *("-" if rtt is None else f"{rtt:.3f}" for rtt in (one.rtt_min, one.rtt_avg, one.rtt_p99, one.rtt_max)),
            one.error or "",
        )
        for one in report.pings
    ]
    heads = ("direction", "size", "sent", "lost", "loss %", "min ms", "avg ms", "p99 ms", "max ms", "")
    return _table(heads, rows, numbers=range(1, 9))


def _facts(report: Report) -> str:
    rows = list(report.machine.items())
    for view in report.views:
        link, side = view["link"], view["side"]
        on = " ".join(name for name, verdict in link.get("features", {}).items() if verdict == "on") or "none"
        rows += [
            (f"{side}: window", f"{view['window']['url']}: {view['window']['geometry']}"),
            (f"{side}: link", f"{link['state']}: {link['reason']}; MTU {link.get('mtu')}; offloads {on}"),
            (f"{side}: interface", f"{view['port']['name']} {' '.join(view['port']['addresses'])}"),
        ]
        if view["engine"]:
            rows.append((f"{side}: engine", str(view["engine"].get("engine"))))
    return _table(("", ""), rows, numbers=())


def _runtime(report: Report) -> str:
    names = list(dict.fromkeys(name for figures in report.runtime.values() for name in figures))
    rows = []
    for name in names:
        values = [figures.get(name) for figures in report.runtime.values()]
        if any(values) and not name.endswith("_at_ns"):
            rows.append((name, *("" if value is None else f"{value:,}" for value in values)))
    return _table(("counter", *report.runtime), rows, numbers=range(1, len(report.runtime) + 1))


def _doctor(report: Report) -> str:
    rows = [(one.verdict.value, one.area, one.subject, one.detail, one.fix) for one in report.findings]
    return _table(("", "area", "what", "seen", "fix"), rows, numbers=())


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Iterable[int]) -> str:
    right = set(numbers)

    def cells(kind: str, row: Sequence[object]) -> str:
        return "".join(
            f"<{kind}{' class=n' if n in right else ''}>{escape(str(cell))}</{kind}>" for n, cell in enumerate(row)
        )

    head = f"<tr>{cells('th', heads)}</tr>" if any(heads) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"


class _Case(NamedTuple):
    group: str
    name: str
    failure: str
    """What went wrong; empty when nothing did."""
    codes: str


def junit(report: Report) -> str:
    """A test case per check, ping size and stream; the type of a failure holds the codes of what is wrong."""
    cases = [
        _Case("report", check.name, "" if check.ok else check.words, " ".join(check.codes) or check.name)
        for check in report.checks
    ]
    cases += [
        _Case(
            f"ping.{one.target.name}",
            f"size {one.size}",
            "" if one.ok else one.error or f"{one.lost} of {one.sent} lost",
            "loss",
        )
        for one in report.pings
    ]
    cases += [
        _Case(f"tcp.{one.direction}", f"write {one.write}", "" if one.gbit > 0 else "no throughput", "throughput")
        for one in report.streams
    ]
    failures = sum(bool(case.failure) for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0"}
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": "vnetcard report", **counts})
    for one in cases:
        case = ET.SubElement(suite, "testcase", {"classname": one.group, "name": one.name})
        if one.failure:
            ET.SubElement(case, "failure", {"type": one.codes, "message": printable(one.failure)})
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
