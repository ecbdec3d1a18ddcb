"""``vnetcard doctor`` as a command: on this machine, beside running agents, as an ordinary user, interrupted."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.needs import need
from tests.harness.programs import OPEN_TUN, VNETCARD, as_nobody, home_of_nobody, run, started
from tests.unit.fake_machine import FakeMachine
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root
DOCTOR = [*VNETCARD, "doctor"]
NAME = f"vnc-doctor-{os.getpid()}"


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("doctor") as lab:
        lab.start(HOST)
        lab.start(CARD)
        lab.wait_up()
        yield lab


def verdicts(view: dict[str, Any], area: str) -> dict[str, str]:
    return {one["subject"]: one["verdict"] for one in view["findings"] if one["area"] == area}


def test_machine_without_a_card_is_measured_and_could_run_a_link() -> None:
    shown = run([*DOCTOR, "--json"])
    view = json.loads(shown.stdout)
    assert (shown.status, shown.stderr, view["link_could_run"], view["window_tried"]) == (0, "", True, False)
    assert {"RAM read", "RAM write", "FIFO", "link in RAM", "TUN read", "TUN write"} == {
        row["name"] for row in view["stages"]
    }
    assert verdicts(view, "system")["TUN"] == "ok"
    assert [one["subject"] for one in view["findings"] if one["area"] == "speed"] == ["bottleneck"] * 2


def test_table_for_people_ends_with_the_conclusion() -> None:
    shown = run([*DOCTOR, "--no-measure", "--all"])
    assert (shown.status, shown.stderr) == (0, "")
    assert shown.stdout.endswith("no obstacle found; no window was tried (--window URL, without --no-measure)\n")
    assert "stage alone" not in shown.stdout


def test_window_in_use_is_shown_left_alone_and_goes_on(lab: Lab) -> None:
    before = lab.status(HOST)["sides"]
    shown = run([*DOCTOR, "--window", lab.url, "--json"])
    view = json.loads(shown.stdout)
    assert shown.status == 0, shown
    assert verdicts(view, "window") == {lab.url: "ok"}
    assert verdicts(view, "shm")[lab.url.removeprefix("shm:")] == "ok"
    assert "window read" not in {row["name"] for row in view["stages"]}
    after = lab.status(HOST)["sides"]
    assert [side["epoch"] for side in after] == [side["epoch"] for side in before]
    pinged = run(run_in(lab.namespaces[HOST], [need("ping"), "-c", "3", "-i", "0.05", "-w", "20", "10.10.10.5"]))
    assert " 0% packet loss" in pinged.stdout


def test_bar_is_judged_and_measured(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    bar = machine.card() / "resource2"
    shown = run([*DOCTOR, "--window", "pci:auto", "--json"], env={"VNETCARD_SYSROOT": str(tmp_path)})
    view = json.loads(shown.stdout)
    assert (shown.status, shown.stderr) == (0, "")
    assert set(verdicts(view, "pci").values()) == {"ok"}
    assert verdicts(view, "window") == {"pci:auto": "ok"}
    assert {"window read", "window write"} < {row["name"] for row in view["stages"]}
    assert bar.stat().st_size == 8 << 20


def test_bar_of_a_kernel_driver_is_to_be_fixed_and_not_touched(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    bar = machine.card(driver="snd_hda_intel") / "resource2"
    shown = run([*DOCTOR, "--window", "pci:03:00.0/2"], env={"VNETCARD_SYSROOT": str(tmp_path)})
    assert shown.status == 1
    assert "/sys/bus/pci/drivers/snd_hda_intel/unbind" in shown.stdout
    assert not any(bar.read_bytes())


def test_corrupt_window_is_to_be_fixed(tmp_path: Path) -> None:
    path = tmp_path / "window"
    path.write_bytes(b"no window at all" * 4096)
    shown = run([*DOCTOR, "--window", f"file:{path}", "--json"])
    (finding,) = [one for one in json.loads(shown.stdout)["findings"] if one["verdict"] == "fail"]
    assert shown.status == 1
    assert "no vnetcard window here" in finding["detail"]
    assert path.read_bytes() == b"no window at all" * 4096


def test_user_without_capabilities_sees_what_may_be_seen() -> None:
    with home_of_nobody() as home:
        shown = run(as_nobody([*DOCTOR, "--json"], OPEN_TUN), env={"HOME": str(home)})
    view = json.loads(shown.stdout)
    assert (shown.status, shown.stderr) == (0, "")
    assert verdicts(view, "system")["user"] == "warn"
    assert "FIFO" in {row["name"] for row in view["stages"]}


def test_interrupted_doctor_leaves_nothing() -> None:
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 130)):
        with started([*DOCTOR, "--window", f"shm:{NAME}"]) as doctor:
            deadline = time.monotonic() + 20
            while not Path("/dev/shm", NAME).exists() and doctor.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            doctor.send_signal(number)
            _, errors = doctor.communicate(timeout=20)
        assert doctor.returncode in (0, status), errors  # 0: it was through already
        assert "Traceback" not in errors
        assert not Path("/dev/shm", NAME).exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [("--window nvme:x", "'nvme:x'"), ("--side left", "'left'"), ("--window shm:", "expected a place after 'shm'")],
)
def test_bad_input_is_one_line_and_status_2(options: str, words: str) -> None:
    shown = run([*DOCTOR, *options.split()])
    assert (shown.status, shown.stdout) == (2, "")
    assert words in shown.stderr and len(shown.stderr.splitlines()) == 1
