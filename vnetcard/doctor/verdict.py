"""A finding, its verdict and its code; which verdicts count for the link that was asked about."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace

from vnetcard.codes.code import Code
from vnetcard.codes.finding import FindingCode


class Verdict(enum.StrEnum):
    """``ok``; ``warn``: a link can run, but not as well as it could; ``fail``: not before this is fixed."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: ``area`` is a kind of window, ``system`` or ``speed``; ``fix`` may be ''.

    ``code`` is a ``FindingCode`` or an ``ErrorCode``, stable for programs; ``file`` is what an agent opens, or ''.
    """

    area: str
    subject: str
    verdict: Verdict
    detail: str
    fix: str = ""
    code: Code = FindingCode.OK
    file: str = ""


ALWAYS = ("system", "window", "speed")
"""Areas that concern every link."""


def concerning(findings: Iterable[Finding], kind: str | None) -> list[Finding]:
    """``findings`` as they matter for a window of ``kind`` (None: for any): other kinds' failures only warn."""
    if kind is None:
        return list(findings)
    return [
        replace(one, verdict=Verdict.WARN)
        if one.verdict is Verdict.FAIL and one.area not in ALWAYS and one.area != kind
        else one
        for one in findings
    ]


def a_link_could_run(findings: Iterable[Finding]) -> bool:
    """True if no finding has to be fixed first."""
    return all(one.verdict is not Verdict.FAIL for one in findings)


def was_tried(findings: Iterable[Finding]) -> bool:
    """True if a window was opened and its memory read, or a link is up in it; otherwise the hardware is untested."""
    return any(one.area == "window" and one.verdict is Verdict.OK for one in findings)
