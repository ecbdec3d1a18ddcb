"""What the ping-size suite shows: a table for people, JSON for programs, JUnit XML for CI."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from typing import Any, Final

from vnetcard.ping.suite import PingResult, Target

COLUMNS: Final = ("size", "sent", "lost", "loss %", "min ms", "avg ms", "p99 ms", "max ms")
WIDTHS: Final = (6, 6, 6, 7, 9, 9, 9, 9)


def header(targets: Iterable[Target]) -> str:
    """The first line of the table, wide enough for the names of ``targets``."""
    return _line("direction", COLUMNS, targets)


def row(result: PingResult, targets: Iterable[Target]) -> str:
    """One result as a line under ``header(targets)``; what went wrong stands behind the numbers."""
    times = (result.rtt_min, result.rtt_avg, result.rtt_p99, result.rtt_max)
    cells = [str(result.size), str(result.sent), str(result.lost), loss_percent(result)]
    cells += ["-" if time is None else f"{time:.3f}" for time in times]
    notes = "; ".join(_flaws(result) + _repeats(result))
    return _line(result.target.name, cells, targets) + (f"  {notes}" if notes else "")


def summary(results: Sequence[PingResult]) -> str:
    """The last line: ``all N sizes, both directions: 0% loss``, or FAILED and which ones."""
    if not results:
        return "FAILED: nothing was pinged"
    failed = [result for result in results if not result.ok]
    if failed:
        which = ", ".join(f"{r.target.name} size {r.size} ({r.lost} of {r.sent} lost)" for r in failed[:10])
        more = f" and {len(failed) - 10} more" if len(failed) > 10 else ""
        return f"FAILED {len(failed)} of {len(results)}: {which}{more}"
    sizes = len({result.size for result in results})
    directions = len({result.target for result in results})
    where = {1: "", 2: ", both directions"}.get(directions, f", {directions} directions")
    return f"all {sizes} sizes{where}: 0% loss"


def table(results: Sequence[PingResult]) -> str:
    """Header, a row for each result, and the summary, without a newline at the end."""
    targets = {result.target: None for result in results}
    return "\n".join([header(targets), *(row(result, targets) for result in results), summary(results)])


def loss_percent(result: PingResult) -> str:
    """Percent lost with three significant digits, so that a loss never shows as 0; ``100`` when nothing was sent."""
    return f"{100 * result.lost / result.sent:.3g}" if result.sent else "100"


def as_json(results: Sequence[PingResult]) -> dict[str, Any]:
    """The results as plain dicts and lists; ``rtt_ms`` is None when no reply carried a time."""
    return {
        "ok": bool(results) and all(result.ok for result in results),
        "summary": summary(results),
        "results": [_as_dict(result) for result in results],
    }


def from_json(report: dict[str, Any], target: Target) -> list[PingResult]:
    """The results of ``as_json`` of one target, which another machine may call by another name than ``target``."""
    names = ("size", "sent", "received", "duplicates", "corrupted", "error", "repeats")
    return [
        PingResult(
            target,
            **{name: one[name] for name in names},
            **{f"rtt_{name}": value for name, value in (one["rtt_ms"] or {}).items()},
        )
        for one in report["results"]
    ]


def junit(results: Sequence[PingResult]) -> str:
    """JUnit XML: a test case for each target and size; numbers are properties, and what went wrong a failure."""
    failed = sum(not result.ok for result in results)
    counts = {"tests": str(len(results)), "failures": str(failed), "errors": "0"}
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": "vnetcard ping", **counts})
    _properties(
        suite,
        {
            "sizes": " ".join(str(size) for size in dict.fromkeys(result.size for result in results)),
            "sent": sum(result.sent for result in results),
            "received": sum(result.received for result in results),
            "summary": summary(results),
        },
    )
    for result in results:
        case = ET.SubElement(
            suite, "testcase", {"classname": f"ping.{result.target.name}", "name": f"size {result.size}"}
        )
        numbers = _as_dict(result)
        times = numbers["rtt_ms"] or {}
        _properties(
            case,
            {name: numbers[name] for name in ("sent", "received", "lost", "duplicates", "corrupted")}
            | {f"rtt_{name}_ms": value for name, value in times.items()},
        )
        if not result.ok:
            text = "; ".join([f"{result.lost} of {result.sent} lost", *_flaws(result)])
            ET.SubElement(case, "failure", {"type": str(result.code), "message": text}).text = row(
                result, [result.target]
            )
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _flaws(result: PingResult) -> list[str]:
    """What is wrong besides loss, in words."""
    flaws = [f"{result.duplicates} duplicates"] if result.duplicates else []
    flaws += [f"{result.corrupted} corrupted"] if result.corrupted else []
    return flaws + ([result.error] if result.error else [])


def _repeats(result: PingResult) -> list[str]:
    """That the size was pinged more than once, in words."""
    return [f"attempt {result.repeats + 1}: ping itself had dropped replies"] if result.repeats else []


def _as_dict(result: PingResult) -> dict[str, Any]:
    target = result.target
    times = {"min": result.rtt_min, "avg": result.rtt_avg, "p99": result.rtt_p99, "max": result.rtt_max}
    return {
        "target": {"name": target.name, "address": target.address, "netns": target.netns},
        "size": result.size,
        "sent": result.sent,
        "received": result.received,
        "lost": result.lost,
        "duplicates": result.duplicates,
        "corrupted": result.corrupted,
        "rtt_ms": None if result.rtt_min is None else times,
        "error": result.error,
        "repeats": result.repeats,
        "ok": result.ok,
        "code": result.code,
    }


def _line(name: str, cells: Iterable[str], targets: Iterable[Target]) -> str:
    width = max([len("direction"), *(len(target.name) for target in targets)])
    return f"{name:<{width}}" + "".join(f"{cell:>{wide}}" for cell, wide in zip(cells, WIDTHS, strict=True))


def _properties(parent: ET.Element, values: dict[str, Any]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", {"name": name, "value": str(value)})
