"""What the doctor measures: no byte of a window changes, and the slowest stage is named."""

from __future__ import annotations

import json
import mmap
import os
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.harness.fake_board import FakeBoard
from tests.harness.soft_sim import soft_simulation
from vnetcard._core import Memory
from vnetcard.cli import doctor
from vnetcard.codes.finding import FindingCode
from vnetcard.doctor import fifo_speed, link_speed, memory_speed, stages, tun_speed
from vnetcard.doctor.timing import Stage
from vnetcard.doctor.verdict import Finding, Verdict
from vnetcard.errors import WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry
from vnetcard.window import open_window

MACHINE = [
    Stage("RAM read", 0.1, 50.0, 500.0, ""),
    Stage("FIFO", None, 40.0, 40.0, ""),
    Stage("TUN read", 1.0, 9.0, 90.0, ""),
    Stage("TUN write", 1.0, 7.0, 80.0, ""),
]
OFFLOADS = {"CSUM": "", "TSO4": ""}


@pytest.mark.parametrize("device", [False, True], ids=["coherent", "device"])
@pytest.mark.parametrize("side", [L.HOST, L.CARD])
def test_measuring_a_window_changes_no_byte_of_it(device: bool, side: int) -> None:
    geometry = Geometry.plan(256 << 10, instance=7, removable=False)
    buffer = mmap.mmap(-1, geometry.window_bytes)
    before = secrets.token_bytes(geometry.window_bytes)
    buffer[:] = before
    rows = memory_speed.stages(Memory(buffer, device=device), geometry, side, "window")
    assert buffer[:] == before
    assert [row.name for row in rows] == ["window read", "window write"]
    assert all(row.latency_us and row.small_gbit and row.large_gbit for row in rows)


def test_smallest_window_can_be_measured() -> None:
    geometry = Geometry.plan(L.WINDOW_MIN, instance=7, removable=False)
    rows = memory_speed.stages(Memory(mmap.mmap(-1, L.WINDOW_MIN)), geometry, L.HOST, "window")
    assert len(rows) == 2


def test_device_that_hardly_answers_is_given_up_at_once() -> None:
    class Slow:
        size = L.WINDOW_MIN

        def load32(self, offset: int) -> int:
            time.sleep(0.005)
            return 0

        def read(self, offset: int, count: int) -> bytes:
            return bytes(count)

    geometry = Geometry.plan(L.WINDOW_MIN, instance=7, removable=False)
    with pytest.raises(WindowUnavailable, match="does not answer in time"):
        memory_speed.stages(cast(Memory, Slow()), geometry, L.HOST, "window")


def test_fifo_moves_packets_of_both_sizes() -> None:
    row = fifo_speed.stage()
    assert row.small_gbit and row.large_gbit


def test_link_within_one_process_has_a_latency() -> None:
    window = link_speed.PrivateWindow()
    row = link_speed.stage((window, window), "link in RAM", stream=False)
    window.close()
    assert row.latency_us and row.small_gbit is None


def bottlenecks(*more: Stage, offloads: dict[str, str] = OFFLOADS) -> list[Finding]:
    return stages.slowest([*MACHINE, *more], offloads)


def test_tun_is_what_limits_small_packets_where_all_else_is_fast() -> None:
    small, large = bottlenecks()
    assert small.detail.startswith("TUN write is the slowest stage, 7 Gbit/s with packets of 1500")
    assert large.detail.startswith("FIFO is the slowest stage, 40 Gbit/s with super-packets")
    assert {small.verdict, large.verdict} == {Verdict.OK}
    assert "--offload" in small.fix


def test_bar_that_is_slow_to_read_is_named_with_its_fix() -> None:
    slow = Stage("window read", 1.2, 0.05, 0.053, "")
    small, large = bottlenecks(slow, Stage("window write", 1.3, 3.0, 9.0, ""))
    assert small.detail.startswith("window read") and large.detail.startswith("window read")
    assert (large.verdict, "DMA engine" in large.fix) == (Verdict.WARN, True)


def test_super_packets_are_not_mentioned_where_the_kernel_has_none() -> None:
    (only,) = bottlenecks(offloads={"CSUM": "", "TSO4": "the kernel refuses it (EINVAL)"})
    assert "1500 bytes" in only.detail


def test_stage_that_was_not_measured_is_no_bottleneck() -> None:
    assert bottlenecks(Stage("engine registers", 9.0, None, None, "")) == bottlenecks()


def test_engine_of_a_simulation_is_measured_with_a_whole_link_through_it() -> None:
    with soft_simulation() as simulation:
        done = stages.Measured()
        stages._named(done, f"sim:{simulation.name}", L.HOST)
        names = [row.name for row in done.stages]
        assert names == ["window read", "window write", "engine registers", "link by engine"]
        assert done.stages[-1].small_gbit and done.stages[-1].latency_us
        assert {one.verdict for one in done.findings} == {Verdict.OK}


def test_halted_engine_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_speed, "UP_LIMIT", 0.5)
    with soft_simulation() as simulation:
        simulation.engine.broken = lambda what, side, offset: what == "read"
        done = stages.Measured()
        stages._named(done, f"sim:{simulation.name}", L.HOST)
    assert done.findings[-1].verdict is Verdict.FAIL
    assert done.findings[-1].code is FindingCode.NO_PACKETS


def test_side_of_a_simulation_that_is_taken_is_left_alone() -> None:
    with soft_simulation() as simulation:
        peer = open_window(f"sim:{simulation.name}", side=L.CARD)
        done = stages.Measured()
        stages._named(done, f"sim:{simulation.name}", L.HOST)
        peer.close()
    assert "not free" in done.findings[-1].detail
    assert done.findings[-1].verdict is Verdict.WARN


def test_card_behind_xdma_is_read_over_its_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path))
    memory = FakeBoard(tmp_path).physical(start=0x1000_0000, size=1 << 20)
    for device in ("xdma0_h2c_0", "xdma0_c2h_0"):
        (memory.parent / device).symlink_to(memory)
    done = stages.Measured()
    stages._named(done, "xdma:0@0x10000000+1M", L.HOST)
    assert {one.verdict for one in done.findings} == {Verdict.OK}
    assert "DMA copier" in done.findings[-1].detail
    assert [row.name for row in done.stages] == ["window read", "window write", "DMA read"]
    assert done.stages[-1].latency_us and done.stages[-1].large_gbit
    assert not list(Path("/dev/shm").glob(f"*{str(tmp_path).strip('/').replace('/', '-')}*"))


def test_machine_too_busy_to_be_measured_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_speed, "UP_LIMIT", 1e-9)
    monkeypatch.setattr(tun_speed, "LIMIT", 0.01)
    done = stages.measure(None, L.HOST)
    unmeasured = {one.subject for one in done.findings if one.code is FindingCode.NOT_MEASURED}
    assert unmeasured == {"link in RAM", "TUN"}
    assert {one.verdict for one in done.findings} == {Verdict.OK, Verdict.WARN}


# --- the command -------------------------------------------------------------------------------------


def test_table_shows_marks_fixes_and_what_is_to_be_done() -> None:
    bad = Finding("pci", "0000:03:00.0 driver", Verdict.FAIL, "owned", "unbind it")
    shown = doctor.text([Finding("system", "CPUs", Verdict.OK, "8", "no need"), bad], MACHINE)
    assert "FAIL  pci     0000:03:00.0 driver      " in shown
    assert "fix: unbind it" in shown and "no need" not in shown
    assert "1 to fix before a link can run: 0000:03:00.0 driver" in shown
    good = doctor.text([replace(bad, verdict=Verdict.WARN)], [])
    assert "fix: unbind it" in good and "a link could run" not in good
    tried = doctor.text([Finding("window", "shm:lab", Verdict.OK, "8 MiB")], [])
    assert tried.endswith("a link could run: the window was opened and read")


def test_name_of_a_file_cannot_forge_a_line_or_command_the_terminal() -> None:
    name = "lab\x1b[2J\nok    system  all"
    shown = doctor.text([Finding("shm", name, Verdict.FAIL, f"damaged {name}", f"`rm {name}`")], [])
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 4


def test_json_has_findings_stages_and_the_conclusion() -> None:
    full = Finding("shm", "room", Verdict.FAIL, "full", code=FindingCode.ROOM)
    view = json.loads(json.dumps(doctor.view([full], MACHINE[:1])))
    assert view["link_could_run"] is False
    finding = {"area": "shm", "subject": "room", "verdict": "fail", "detail": "full", "fix": ""}
    assert view["findings"] == [{**finding, "code": "room", "file": ""}]
    assert view["stages"][0]["small_gbit"] == 50.0


def test_named_window_is_gone_again_when_the_doctor_made_it() -> None:
    name = f"vnc-doctor-{os.getpid()}"
    done = stages.Measured()
    stages._named(done, f"shm:{name}+64K", L.HOST)
    assert [one.verdict for one in done.findings] == [Verdict.OK]
    assert not Path("/dev/shm", name).exists()


def test_window_that_cannot_be_opened_is_to_be_fixed(tmp_path: Path) -> None:
    done = stages.Measured()
    stages._named(done, f"file:{tmp_path}", L.HOST)
    assert done.findings[0].verdict is Verdict.FAIL
    assert "Is a directory" in done.findings[0].detail
