"""`vnetcard report` on a real link: the page in a real browser, light and dark, and the XML for CI."""

from __future__ import annotations

import json
import re
import signal
import struct
import subprocess
import time
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.harness.programs import VNETCARD, Outcome, run
from vnetcard.lab.lab import Lab
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root

BROWSER = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--window-size=1000,2000",
]
SCHEMES = {"light": (1, (255, 255, 255)), "dark": (0, (22, 24, 27))}
"""Chromium's number of a colour scheme, and the page's background in it."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab("report") as lab:
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up()
        yield lab


def report(lab: Lab, folder: Path, *words: str) -> Outcome:
    files = ["-o", str(folder / "r.html"), "--junit", str(folder / "r.xml"), "--json", str(folder / "r.json")]
    return run([*VNETCARD, "report", "--quick", *files, "--window", lab.url, *words], limit=120)


@pytest.fixture(scope="module")
def good(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report with streams that passed."""
    folder = tmp_path_factory.mktemp("report")
    done = report(lab, folder, "--sizes", "56", "1472", "9000", "--seconds", "1")
    assert done.status == 0, done
    assert "1/16 ping host to card" in done.stderr  # without a terminal: one line per step
    assert done.stdout.splitlines()[-1] == f"PASS: {folder / 'r.html'}"
    return folder


def browse(folder: Path, *options: str) -> str:
    command = [need("chromium"), *BROWSER, f"--user-data-dir={folder / 'profile'}", *options]
    page = (folder / "r.html").as_uri()
    return subprocess.run([*command, page], capture_output=True, text=True, check=True, timeout=120).stdout


def first_pixel(png: bytes) -> tuple[int, ...]:
    """Red, green and blue of the upper left pixel: the one that no filter of PNG changes."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, data = 8, b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        data += png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += length + 12
    return tuple(zlib.decompress(data)[1:4])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_page_shows_in_a_browser_in_its_colour_scheme(good: Path, tmp_path: Path, scheme: str) -> None:
    number, background = SCHEMES[scheme]
    (tmp_path / "r.html").write_text((good / "r.html").read_text())
    browse(tmp_path, f"--blink-settings=preferredColorScheme={number}", f"--screenshot={tmp_path / 'shot.png'}")
    png = (tmp_path / "shot.png").read_bytes()
    assert first_pixel(png) == background
    assert len(png) > 50_000, "hardly anything is on the page"


def test_page_holds_its_verdict_and_its_plots_and_needs_nothing_else(good: Path, tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text((good / "r.html").read_text())
    dom = browse(tmp_path, "--dump-dom")
    assert re.search(r'id="verdict"><b>PASS</b> 8 checks passed', dom)
    assert dom.count("<svg") == 7
    assert re.search(r"Stages of h2c, medians; [a-z -]+ holds packets up", dom)
    assert "nothing was measured" in dom  # --quick measures no stage alone
    assert len(re.findall(r'class="dot', dom)) == 3 * 6 + 2 * 4
    for word in ("src=", "href=", "@import", "url(", "<script"):
        assert word not in dom, word


def test_junit_and_json_say_the_same(good: Path) -> None:
    root = ET.parse(good / "r.xml").getroot()
    content = json.loads((good / "r.json").read_text())
    assert (root.get("failures"), content["ok"]) == ("0", True)
    assert (
        len(root.findall(".//testcase"))
        == len(content["checks"]) + len(content["pings"]) + len(content["streams"])
        == 22
    )
    assert all(stream["gbit"] > 0.01 for stream in content["streams"])


def test_a_peer_that_does_not_answer_fails_the_report_and_is_named(lab: Lab, tmp_path: Path) -> None:
    subprocess.run(["ip", "-n", lab.namespaces[L.CARD], "link", "set", "tun0", "down"], check=True)
    try:
        done = report(lab, tmp_path, "--sizes", "56", "--count", "1")
    finally:
        subprocess.run(["ip", "-n", lab.namespaces[L.CARD], "link", "set", "tun0", "up"], check=True)
    assert done.status == 1, done
    page = (tmp_path / "r.html").read_text()
    assert re.search(r"<b>FAIL</b> failed: ping, (counters, )?causes", page)
    assert "s interface tun0 is down" in page
    failures = ET.parse(tmp_path / "r.xml").getroot().findall(".//failure")
    assert any("interface-down" in failure.get("type", "") for failure in failures)


def test_a_stopped_agent_is_named_and_the_page_still_written(lab: Lab, tmp_path: Path) -> None:
    lab.agent(L.CARD).send_signal(signal.SIGSTOP)
    lab.agent(L.HOST).send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        done = report(lab, tmp_path, "--sizes", "56", "--count", "1")
        took = time.monotonic() - began
    finally:
        for side in (L.HOST, L.CARD):
            lab.agent(side).send_signal(signal.SIGCONT)
    assert (done.status, took < 15) == (1, True), (done, took)
    content = json.loads((tmp_path / "r.json").read_text())
    assert [cause["code"] for cause in content["causes"]][:2] == ["agent-unresponsive", "agent-unresponsive"]
    assert content["runtime"]["card rx"]["rx_received"] > 0, "the page must have the contents of the window"
    assert any(f"(pid {lab.agent(L.HOST).pid}) is stopped" in why for why in content["not_measured"])
