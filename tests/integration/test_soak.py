"""The soak of ``make soak`` for some seconds: an honest link passes, and a planted leak is found."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.programs import ROOT, Outcome, run
from tests.soak.watch import BOUNDS, Held, Watch

pytestmark = pytest.mark.root

SOAK = [sys.executable, "-m", "tests.soak", "--seed", "1"]
LIMIT = 280.0
"""Seconds on a very busy machine; otherwise a run takes little more than it is asked for."""


def soak(folder: Path, *options: str) -> tuple[Outcome, dict[str, Any]]:
    report = folder / "soak.json"
    done = run([*SOAK, *options, "--json", str(report)], cwd=ROOT, limit=LIMIT)
    return done, json.loads(report.read_text()) if report.exists() else {}


def test_planted_leak_is_found(tmp_path: Path) -> None:
    leaky = ["--host-command", sys.executable, str(ROOT / "tests/soak/leaky.py")]
    done, summary = soak(tmp_path, "--hours", "0.002", "--only", "scribble_counters", *leaky)
    assert done.status == 1, done
    found = " ".join(summary["failures"])
    assert "the host's agent" in found and "pss_kib grew" in found and "descriptors grew" in found, done
    assert "the card's agent" not in found


@pytest.mark.campaign
@pytest.mark.timeout(600)
def test_honest_link_passes(tmp_path: Path) -> None:
    done, summary = soak(tmp_path, "--hours", "0.02")
    assert done.status == 0, done
    assert summary["rounds"] and summary["failures"] == []
    assert min(summary["streamed_bytes"].values()) > 0


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "1e9", "long"])
def test_bad_hours_are_refused_in_one_line(hours: str) -> None:
    done = run([*SOAK, "--hours", hours], cwd=ROOT)
    assert (done.status, "Traceback" in done.stderr) == (2, False), done
    assert "--hours" in done.stderr.splitlines()[-1]


def test_growth_is_that_since_the_first_sample_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = iter([(100, 9, 4, 8), (100 + BOUNDS["pss_kib"], 9 + BOUNDS["descriptors"], 4, 8), (100, 99, 4, 9000)])
    monkeypatch.setattr(Held, "of", lambda pid: Held(*next(figures)))
    watch = Watch()
    for _ in range(2):
        watch.sample("host", 1)
    assert watch.leaks() == []
    watch.sample("host", 1)
    assert [leak.split(": ")[1].split()[0] for leak in watch.leaks()] == ["descriptors", "tmpfs_kib"]
