"""What pumps report to the handshake: generations, events, and a ledger that a peer cannot change."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.c_build import ASAN, CHECKED, PUMP, TSAN, build, must_pass, seed
from tests.unit.memories import KINDS
from tests.unit.pump_harness import C2H_PROD, LEDGERS, PEER_EPOCH, Host
from vnetcard import _core
from vnetcard.link.endpoints import Generation
from vnetcard.ring import layout as L


@pytest.fixture(params=KINDS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    host = Host(kind=request.param)
    yield host
    host.close()


def test_last_generation_received_is_the_last_one_with_a_record(host: Host) -> None:
    host.begin(1, 2)
    host.deliver(3)
    host.begin(3, 4)
    host.endpoints.hold()
    assert host.endpoints.received() == Generation(1, 2, 3)  # a peer that has not settled it yet asks for it
    host.begin(3, 4)
    host.deliver(1)
    host.endpoints.hold()
    assert host.endpoints.received() == Generation(3, 4, 1)


def test_generation_sent_begins_without_a_record(host: Host) -> None:
    host.begin(1, 2)
    host.take(3)
    host.endpoints.hold()
    assert host.endpoints.sent() == Generation(1, 2, 3)
    host.begin(3, 4)
    host.endpoints.hold()
    assert host.endpoints.sent() == Generation(3, 4, 0)


def test_events_of_a_generation_end_with_it(host: Host) -> None:
    host.begin(1, 2)
    host.peer.store32(C2H_PROD, 1)
    assert select.select([host.attention], [], [], 2)[0]
    host.begin(3, 4)
    assert host.endpoints.take_events() == 0
    os.eventfd_read(host.attention)
    host.peer.store32(C2H_PROD, 1)
    assert select.select([host.attention], [], [], 2)[0]
    assert host.endpoints.take_events() == _core.EVENT_VIOLATION


def test_peer_cannot_change_the_ledger_that_the_handshake_uses(host: Host) -> None:
    host.begin(1, 2)
    host.deliver(2)
    host.take(2)
    host.endpoints.hold()
    for ledger in LEDGERS:
        host.peer.write(ledger, b"\xff" * 2 * L.LEDGER_SLOT_BYTES)
    assert host.endpoints.sent() == host.endpoints.received() == Generation(1, 2, 2)
    host.endpoints.settle(0)
    host.begin(3, 4)
    host.take(1)
    host.endpoints.hold()
    assert host.endpoints.sent() == Generation(3, 4, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "wrap"), [("pump_inline_tx.c", ()), ("pump_inline_rx.c", ("-Wl,--wrap=writev",))])
@pytest.mark.parametrize("flags", [(), TSAN, ASAN], ids=["plain", "tsan", "asan"])
def test_inline_moves_take_each_packet_once_and_none_in_hold(
    tmp_path: Path, name: str, wrap: tuple[str, ...], flags: tuple[str, ...]
) -> None:
    program = build(tmp_path, name, *PUMP, flags=(*flags, *wrap))
    must_pass(program, 20000)


@pytest.mark.slow
def test_thread_that_takes_a_pump_over_finds_no_older_index(tmp_path: Path) -> None:
    program = build(tmp_path, "pump_handover.c", *PUMP, "vnc_checked.c", flags=CHECKED)
    assert must_pass(program, seed(), 50).endswith(" packets\n")


def test_tx_pump_of_a_pair_cannot_be_closed_first(host: Host) -> None:
    tx, rx = host.endpoints.tx, host.endpoints.rx
    with pytest.raises(ValueError, match="close the rx pump first"):
        tx.close()
    with pytest.raises(ValueError, match="paired already"):
        rx.pair_with(tx)
    with pytest.raises(ValueError, match="paired with a tx pump"):
        tx.pair_with(rx)
    with pytest.raises(TypeError):
        rx.pair_with(None)  # type: ignore[arg-type]


def test_packet_that_waits_when_a_record_is_delivered_is_sent(host: Host) -> None:
    """Whichever of the two threads takes it."""
    host.begin(1, 2)
    for _ in range(100):
        host.deliver(1)
        host.take(1)
    host.endpoints.hold()
    assert host.endpoints.sent().records == host.endpoints.received().records == 100


@pytest.mark.slow
def test_late_kick_does_not_keep_an_idle_pump_awake(tmp_path: Path) -> None:
    program = build(tmp_path, "pump_kick.c", *PUMP)
    assert int(must_pass(program)) <= 5


@pytest.mark.slow
def test_pump_holds_itself_although_its_command_is_given_again(tmp_path: Path) -> None:
    assert must_pass(build(tmp_path, "pump_hold.c", *PUMP)) == "ok\n"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wait", ["adaptive", "poll", "sleep"])
def test_record_under_a_new_epoch_is_never_delivered(wait: str, kind: str) -> None:
    """Index and record are valid; only the epoch shows that they are of another generation."""
    host = Host(wait, kind=kind)
    try:
        host.begin(1, 2)
        host.deliver(1)
        host.peer.store32(PEER_EPOCH, 3)  # as a restarting peer does, before it touches prod
        assert host.to_host.try_push(b"E stale packet")
        assert select.select([host.attention], [], [], 10)[0], "the pump did not notice the new epoch"
        assert host.endpoints.take_events() == _core.EVENT_EPOCH
        host.endpoints.hold()
        assert not select.select([host.port.far], [], [], 0)[0]
        assert host.endpoints.received() == Generation(1, 2, 1)
    finally:
        host.close()
