"""What the doctor says of a machine and of devices other than PCI cards, shown to it as files (a mock)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from tests.harness.soft_sim import soft_simulation
from tests.unit.fake_machine import FakeMachine, find
from vnetcard.doctor import devices, memory, software
from vnetcard.doctor.survey import survey
from vnetcard.doctor.verdict import Verdict, a_link_could_run
from vnetcard.hw.sysfs import System
from vnetcard.ring import layout as L
from vnetcard.window import WindowUrl, open_window
from vnetcard.window.sim_bus import bus_name

# --- other devices -----------------------------------------------------------------------------------


def test_uio_with_a_map_of_a_window_is_fine(board: FakeMachine) -> None:
    board.write("sys/class/uio/uio0/name", "vnetcard-window\n")
    board.write("sys/class/uio/uio0/maps/map0/size", "0x00800000\n")
    node = board.write("dev/uio0", "")
    (finding,) = devices.inspect(board.system, "uio")
    assert (finding.verdict, finding.detail) == (Verdict.OK, "vnetcard-window: map0 8 MiB")
    board.close(node)
    assert devices.inspect(board.system, "uio")[0].verdict is Verdict.FAIL
    node.unlink()
    assert "there is no" in devices.inspect(board.system, "uio")[0].detail


def test_uio_map_too_small_is_reported(board: FakeMachine) -> None:
    board.write("sys/class/uio/uio0/maps/map0/size", "0x1000\n")
    board.write("dev/uio0", "")
    (finding,) = devices.inspect(board.system, None)
    assert (finding.verdict, "no window's size" in finding.detail) == (Verdict.WARN, True)


def test_udmabuf_shows_size_address_and_mode(board: FakeMachine) -> None:
    for name, value in {"size": "8388608", "phys_addr": "0x0000000070000000", "sync_mode": "1"}.items():
        board.write(f"sys/class/u-dma-buf/udmabuf0/{name}", value)
    board.write("dev/udmabuf0", "")
    (finding,) = devices.inspect(board.system, "udmabuf")
    assert (finding.verdict, finding.detail) == (Verdict.OK, "8 MiB at 0x70000000, sync_mode 1")


def test_xdma_needs_a_channel_in_each_direction_and_permission_to_open_it(board: FakeMachine) -> None:
    node = board.write("dev/xdma0_h2c_0", "")
    (finding,) = devices.inspect(board.system, "xdma")
    assert (finding.verdict, "no c2h channel" in finding.detail) == (Verdict.FAIL, True)
    board.write("dev/xdma0_c2h_0", "")
    assert devices.inspect(board.system, "xdma")[0].verdict is Verdict.OK
    board.close(node)
    assert "no permission for xdma0_h2c_0" in devices.inspect(board.system, "xdma")[0].detail


def test_xdma_with_registers_alone_serves_an_engine_alone(board: FakeMachine) -> None:
    for device in ("user", "events_0"):
        board.write(f"dev/xdma0_{device}", "")
    (finding,) = (one for one in devices.inspect(board.system, "udmabuf") if one.area == "xdma")
    assert finding.verdict is Verdict.WARN
    assert ": no h2c and no c2h channel, so registers alone (?engine=xdma:0)" in finding.detail


def test_vfio_device_without_a_group_is_shown(board: FakeMachine) -> None:
    board.write("dev/iommu", "")
    board.write("dev/vfio/devices/vfio3", "")
    found = devices.inspect(board.system, "vfio")
    assert find(found, "iommu").verdict is Verdict.OK
    assert "vfio3" in find(found, "vfio3").detail


def test_vfio_without_an_iommu_fails(board: FakeMachine) -> None:
    board.write("dev/vfio/vfio", "")
    assert find(devices.inspect(board.system, "vfio"), "IOMMU").verdict is Verdict.FAIL
    board.card()
    group = board.write("dev/vfio/14", "")
    assert {one.verdict for one in devices.inspect(board.system, "vfio")} == {Verdict.OK}
    board.close(group)
    assert find(devices.inspect(board.system, "vfio"), "14").verdict is Verdict.FAIL


def test_reserved_memory_is_shown_and_wants_no_map(board: FakeMachine) -> None:
    board.write("dev/mem", "")
    node = "proc/device-tree/reserved-memory/vnetcard@70000000"
    for kind in ("address", "size"):
        board.write(f"proc/device-tree/reserved-memory/#{kind}-cells", (2).to_bytes(4, "big"))
    board.write(f"{node}/reg", (0x7000_0000).to_bytes(8, "big") + (8 << 20).to_bytes(8, "big"))
    assert find(devices.inspect(board.system, "mem"), "vnetcard@70000000").verdict is Verdict.WARN
    board.write(f"{node}/no-map", "")
    finding = find(devices.inspect(board.system, "mem"), "vnetcard@70000000")
    assert finding.detail == "reserved in the device tree: 8 MiB at 0x70000000"


def test_kernel_that_is_locked_down_fails(board: FakeMachine) -> None:
    board.write("dev/mem", "")
    board.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    assert find(devices.inspect(board.system, "mem"), "lockdown").verdict is Verdict.FAIL


@pytest.mark.parametrize("kind", ["uio", "vfio", "udmabuf", "xdma", "mem"])
def test_kind_that_was_asked_for_and_is_not_there_fails_with_what_to_load(board: FakeMachine, kind: str) -> None:
    assert devices.inspect(board.system, None) == []
    (finding,) = devices.inspect(board.system, kind)
    assert finding.verdict is Verdict.FAIL and finding.fix


# --- the machine -------------------------------------------------------------------------------------


def test_machine_without_a_tun_or_permission_to_open_it_fails(board: FakeMachine) -> None:
    tun = board.root / "dev/net/tun"
    assert a_link_could_run(software.inspect(board.system))
    board.close(tun)
    assert find(software.inspect(board.system), "TUN").fix.startswith("`chmod 666")
    tun.unlink()
    assert find(software.inspect(board.system), "TUN").fix == "`modprobe tun`"


def test_finding_about_missing_capabilities_names_what_root_has_to_do(board: FakeMachine) -> None:
    board.write("proc/self/status", "CapEff:\t0000000000000000\n")
    board.write("sys/class/net/tun0/tun_flags", "0x5001\n")
    board.write("sys/class/net/tun0/owner", "1000\n")
    found = software.inspect(board.but(uid=1000))
    assert find(found, "user").verdict is Verdict.WARN
    assert "ip tuntap add" in find(found, "user").fix
    assert find(found, "tun0").detail == "a TUN that was made for this user"


@pytest.mark.parametrize(
    ("release", "verdict", "words"),
    [
        ("4.19.0", Verdict.WARN, "untested"),
        ("5.10.0-9", Verdict.OK, "USO6 came with 6.2"),
        ("6.12.1+rpi", Verdict.OK, "and USO"),
        ("odd", Verdict.WARN, "untested"),
    ],
)
def test_kernel_is_judged_by_its_version(board: FakeMachine, release: str, verdict: Verdict, words: str) -> None:
    finding = find(software.inspect(board.but(release=release)), "kernel")
    assert (finding.verdict, words in finding.detail) == (verdict, True)


def test_library_that_is_missing_fails_for_what_needs_it(board: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "find_spec", lambda name: None)
    found = software.inspect(board.system)
    assert [(one.area, one.subject) for one in found if one.verdict is Verdict.FAIL] == [
        ("system", "pyroute2"),
        ("shm", "posix_ipc"),
    ]


def test_single_cpu_is_reported(board: FakeMachine) -> None:
    assert find(software.inspect(board.but(cpus=1)), "CPUs").verdict is Verdict.WARN


def test_missing_shared_memory_folder_fails(board: FakeMachine) -> None:
    (board.root / "dev/shm").rmdir()
    assert memory.inspect(board.system)[0].verdict is Verdict.FAIL


# --- memory in this machine --------------------------------------------------------------------------


def test_windows_are_shown_with_who_uses_them() -> None:
    name = f"vnc-doctor-seen-{os.getpid()}"
    with contextlib.closing(open_window(f"shm:{name}+64K", side=L.CARD)):
        finding = find(memory.inspect(System.here()), name)
    assert (finding.area, finding.verdict) == ("shm", Verdict.OK)
    assert finding.detail == "64 KiB window, 1 queue pair, rings of 16 KiB; in use by card"


def test_damaged_window_is_reported_and_other_files_are_ignored(board: FakeMachine) -> None:
    damaged = L.MAGIC.to_bytes(8, "little") + b"\xff" * 65528
    board.write("dev/shm/lab0", damaged)
    board.write("dev/shm/sem.something", "other")
    found = [one for one in memory.inspect(board.system) if one.subject != "room"]
    assert [(one.subject, one.verdict) for one in found] == [("lab0", Verdict.WARN)]
    assert f"rm {board.root}/dev/shm/lab0" in found[0].fix


def test_simulation_that_runs_is_shown_and_one_that_was_killed_too(board: FakeMachine) -> None:
    with soft_simulation() as simulation:
        finding = find(memory.inspect(System.here()), simulation.name)
        assert (finding.verdict, finding.detail) == (Verdict.OK, f"running: --window sim:{simulation.name}")
        board.write("dev/shm/vnetcard-sim-dead", Path("/dev/shm", bus_name(simulation.name)).read_bytes())
    finding = find(memory.inspect(board.system), "dead")
    assert (finding.verdict, "was killed" in finding.detail) == (Verdict.WARN, True)


# --- garbage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("garbage", [b"", b"\xff\xfe\0", b"0x", b"-1 -1 -1\n", b"9" * 5000, b"CapEff:\nTOTAL"])
def test_no_file_of_the_system_can_end_the_doctor(board: FakeMachine, garbage: bytes) -> None:
    """Each file in turn says something that no kernel says."""
    board.card()
    for name, value in {"size": "8388608", "phys_addr": "0x70000000", "sync_mode": "1"}.items():
        board.write(f"sys/class/u-dma-buf/udmabuf0/{name}", value)
    board.write("sys/class/uio/uio0/maps/map0/size", "0x800000")
    board.write("sys/class/net/tun0/tun_flags", "0x5001\n")
    board.write("sys/class/net/tun0/owner", "0\n")
    board.write("sys/kernel/security/lockdown", "[none]")
    board.write("proc/device-tree/reserved-memory/vnetcard/reg", bytes(16))
    for kind in ("address", "size"):
        board.write(f"proc/device-tree/reserved-memory/#{kind}-cells", (2).to_bytes(4, "big"))
    for device in ("uio0", "udmabuf0", "mem", "xdma0_h2c_0", "shm/window"):
        board.write(f"dev/{device}", "")
    for path in sorted(path for path in board.root.rglob("*") if path.is_file()):
        kept = path.read_bytes()
        path.write_bytes(garbage)
        for url in ("pci:auto", "mem:vnetcard", None):
            found = survey(board.system, WindowUrl.parse(url) if url else None, everything=True)
            assert all(one.detail for one in found)
        path.write_bytes(kept)
