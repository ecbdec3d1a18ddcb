"""What the doctor says of a PCI card, shown to it as files (fake_machine.py, a mock)."""

from __future__ import annotations

import pytest

from tests.harness.fake_board import MEMORY, PREFETCHABLE
from tests.unit.fake_machine import DECODES, FakeMachine, find
from vnetcard.doctor import cards
from vnetcard.doctor.verdict import Finding, Verdict, a_link_could_run, concerning
from vnetcard.doctor.wanted import Wanted
from vnetcard.window import WindowUrl

CARD = "0000:03:00.0"


def about_card(board: FakeMachine, subject: str, kind: str | None = None) -> Finding:
    return find(cards.inspect(board.system, Wanted(kind)), f"{CARD} {subject}".strip())


# --- cards -------------------------------------------------------------------------------------------


def test_right_board_has_nothing_to_fix(board: FakeMachine) -> None:
    board.card()
    found = cards.inspect(board.system, Wanted("pci"))
    assert {one.verdict for one in found} == {Verdict.OK}
    assert find(found, CARD).detail == "10ee:7024 Xilinx PCIe core, BAR2 8 MiB 64-bit prefetchable, driver none"
    assert find(found, f"{CARD} mapping").detail == "BAR2 8 MiB 64-bit prefetchable by resource2_wc, write-combining"
    assert find(found, f"{CARD} bus").detail == "8.0 GT/s PCIe x8"


def test_bar_that_a_kernel_driver_owns_fails_and_is_to_be_unbound(board: FakeMachine) -> None:
    board.card(driver="snd_hda_intel")
    finding = about_card(board, "driver")
    assert finding.verdict is Verdict.FAIL
    assert f"echo {CARD} > /sys/bus/pci/drivers/snd_hda_intel/unbind" in finding.fix


@pytest.mark.parametrize(("driver", "kind"), [("vfio-pci", "vfio"), ("xdma", "xdma")])
def test_driver_that_hands_the_card_to_user_space_is_fine_for_its_kind_of_window_only(
    board: FakeMachine, driver: str, kind: str
) -> None:
    board.card(driver=driver)
    assert about_card(board, "driver").detail == f"{driver}: use a {kind}: window"
    assert about_card(board, "driver", kind).verdict is Verdict.OK
    assert about_card(board, "driver", "pci").verdict is Verdict.FAIL


def test_card_behind_vfio_needs_neither_decoding_nor_files_of_sysfs(board: FakeMachine) -> None:
    folder = board.card(driver="vfio-pci", command=0)
    for file in ("enable", "resource2", "resource2_wc"):
        board.close(folder / file)
    assert a_link_could_run(cards.inspect(board.system, Wanted("vfio")))
    assert not a_link_could_run(cards.inspect(board.system, Wanted("pci")))


def test_card_behind_xdma_needs_no_bar_for_a_window(board: FakeMachine) -> None:
    board.card(driver="xdma", bars={0: (8 << 10, MEMORY)})
    assert a_link_could_run(cards.inspect(board.system, Wanted()))
    assert not a_link_could_run(cards.inspect(board.system, Wanted("pci")))


def test_vfio_without_its_driver_shows_how_to_bind_it(board: FakeMachine) -> None:
    board.card()
    assert "modprobe vfio-pci" in about_card(board, "driver", "vfio").fix


def test_disabled_decoding_fails_for_a_user_who_may_not_enable_it(board: FakeMachine) -> None:
    folder = board.card(command=0)
    assert about_card(board, "decoding").verdict is Verdict.WARN
    board.close(folder / "enable")
    finding = about_card(board, "decoding")
    assert finding.verdict is Verdict.FAIL
    assert "read as all ones" in finding.detail and f"echo 1 > {folder}/enable" in finding.fix


def test_card_without_bus_mastering_cannot_do_dma(board: FakeMachine) -> None:
    board.card(command=DECODES)
    finding = about_card(board, "decoding", "xdma")
    assert finding.verdict is Verdict.WARN
    assert "not for a DMA engine" in finding.detail
    assert about_card(board, "decoding", "pci").verdict is Verdict.OK


def test_resource_without_permission_fails_and_names_the_group(board: FakeMachine) -> None:
    folder = board.card()
    board.close(folder / "resource2_wc")
    finding = about_card(board, "permission")
    assert finding.verdict is Verdict.FAIL
    assert "install-units" in finding.fix


def test_bar_too_small_for_a_window_fails(board: FakeMachine) -> None:
    board.card(bars={0: (8 << 10, MEMORY)})
    finding = about_card(board, "window")
    assert finding.verdict is Verdict.FAIL
    assert "BAR0 8 KiB 32-bit is the largest" in finding.detail


def test_window_goes_into_the_prefetchable_bar_not_into_the_registers(board: FakeMachine) -> None:
    board.card(bars={0: (16 << 20, MEMORY), 2: (4 << 20, PREFETCHABLE)})
    assert about_card(board, "mapping").detail.startswith("BAR2 4 MiB")


def test_bar_that_is_named_is_the_one_that_is_judged(board: FakeMachine) -> None:
    board.card(bars={0: (8 << 10, MEMORY), 2: (4 << 20, PREFETCHABLE), 4: (1 << 20, MEMORY)})
    found = cards.inspect(board.system, Wanted.of(WindowUrl.parse("pci:auto/4")))
    assert find(found, f"{CARD} mapping").detail.startswith("BAR4 1 MiB")
    found = cards.inspect(board.system, Wanted.of(WindowUrl.parse(f"pci:{CARD}/0")))
    assert find(found, f"{CARD} window").verdict is Verdict.FAIL


def test_bar_without_a_bus_address_fails(board: FakeMachine) -> None:
    folder = board.card()
    (folder / "resource").write_text("0 0 0\n0 0 0\n0x0 0x7fffff 0x14220c\n")
    assert "no bus address" in about_card(board, "window").detail


def test_bar_that_is_not_prefetchable_is_slow_but_works(board: FakeMachine) -> None:
    board.card(bars={2: (8 << 20, MEMORY)})
    finding = about_card(board, "mapping")
    assert (finding.verdict, "uncached" in finding.detail) == (Verdict.WARN, True)


def test_bar_without_its_file_fails(board: FakeMachine) -> None:
    folder = board.card()
    (folder / "resource2").unlink()
    (folder / "resource2_wc").unlink()
    assert about_card(board, "mapping").verdict is Verdict.FAIL


def test_iommu_that_is_off_is_reported(board: FakeMachine) -> None:
    board.card(iommu=False)
    board.write("proc/cpuinfo", "vendor_id\t: AuthenticAMD\n")
    finding = about_card(board, "IOMMU", "vfio")
    assert (finding.verdict, "amd_iommu=on" in finding.fix) == (Verdict.FAIL, True)
    assert about_card(board, "IOMMU", "xdma").verdict is Verdict.WARN
    assert about_card(board, "IOMMU", "pci").verdict is Verdict.OK


@pytest.mark.parametrize(("speed", "width"), [("2.5 GT/s PCIe", 8), ("8.0 GT/s PCIe", 1)])
def test_slot_that_trained_below_its_speed_or_width_is_reported(board: FakeMachine, speed: str, width: int) -> None:
    board.card(speed=(speed, width, "8.0 GT/s PCIe", 8))
    finding = about_card(board, "bus")
    assert finding.verdict is Verdict.WARN
    assert finding.detail == f"{speed} x{width}, but it could 8.0 GT/s PCIe x8"


def test_errors_that_the_bus_counted_are_reported(board: FakeMachine) -> None:
    board.card()
    board.write(f"sys/bus/pci/devices/{CARD}/aer_dev_fatal", "Undefined 0\nDLP 3\nTOTAL_ERR_FATAL 3\n")
    board.write(f"sys/bus/pci/devices/{CARD}/aer_dev_nonfatal", "Undefined 0\nTOTAL_ERR_NONFATAL 0\n")
    found = [one for one in cards.inspect(board.system, Wanted()) if "errors" in one.subject]
    assert [(one.subject, one.detail) for one in found] == [(f"{CARD} fatal errors", "the bus counted 3")]


def test_device_that_has_left_the_bus_has_one_finding(board: FakeMachine) -> None:
    board.card(command=0xFFFF)
    (finding,) = cards.inspect(board.system, Wanted())
    assert (finding.verdict, "all ones" in finding.detail) == (Verdict.FAIL, True)


def test_functions_that_are_no_card_are_counted_or_listed(board: FakeMachine) -> None:
    board.card("0000:00:1f.3", ids=(0x8086, 0xA348), driver="snd_hda_intel")
    found = cards.inspect(board.system, Wanted())
    assert a_link_could_run(found)
    assert find(found, "others").detail.startswith("1 functions")
    assert "8086:a348" in find(cards.inspect(board.system, Wanted(), everything=True), "0000:00:1f.3").detail


def test_function_that_is_named_is_judged_as_a_card_with_and_without_its_domain(board: FakeMachine) -> None:
    board.card("0000:00:1f.3", ids=(0x8086, 0xA348), driver="snd_hda_intel")
    for named in ("00:1f.3", "0000:00:1f.3", "8086:A348"):
        assert not a_link_could_run(cards.inspect(board.system, Wanted.of(WindowUrl.parse(f"pci:{named}/2?force"))))


def test_function_that_is_named_and_not_there_fails_whatever_else_is_there(board: FakeMachine) -> None:
    board.card()
    found = cards.inspect(board.system, Wanted.of(WindowUrl.parse("pci:07:00.0/2")))
    assert find(found, "07:00.0").verdict is Verdict.FAIL


def test_no_card_is_nothing_to_fix_unless_a_card_was_asked_for(board: FakeMachine) -> None:
    assert a_link_could_run(cards.inspect(board.system, Wanted()))
    assert a_link_could_run(cards.inspect(board.system, Wanted("shm")))
    assert not a_link_could_run(cards.inspect(board.system, Wanted("pci")))


# --- what counts -------------------------------------------------------------------------------------


def test_other_kinds_failures_only_warn_when_a_window_is_named(board: FakeMachine) -> None:
    board.card(driver="snd_hda_intel")
    found = cards.inspect(board.system, Wanted("shm"))
    assert not a_link_could_run(found)
    assert a_link_could_run(concerning(found, "shm"))
    assert not a_link_could_run(concerning(found, "pci"))
    assert not a_link_could_run(concerning(found, None))
