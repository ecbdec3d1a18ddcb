"""The handshake, case by case, under a clock that only the test moves."""

from __future__ import annotations

import pytest

from tests.unit.link_harness import MTU, TICK, LinkHarness
from vnetcard import _core
from vnetcard.codes.link import LinkReason
from vnetcard.errors import PortUnavailable
from vnetcard.link.brake import BackOff
from vnetcard.link.types import Agreement, LinkState, Offer
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SideBlock

CSUM, TSO4, USO4 = (L.FEATURES[name] for name in ("CSUM", "TSO4", "USO4"))
pytestmark = pytest.mark.usefixtures("memory_kind")


class Puppet:
    """A card whose words in the side block the test writes one by one."""

    def __init__(self, harness: LinkHarness, *, mtu: int = MTU, version: int = L.VERSION, epoch: int = 0xBEEF) -> None:
        self.harness, self.block, self.host = harness, SideBlock(harness.card.memory, L.CARD), harness.host
        self.say(version=version, mtu=mtu, features=0, queue_mask=1, epoch=epoch)

    def say(self, **words: int) -> None:
        for name, value in words.items():
            self.block.store(name, value)

    def tick(self, seconds: float = TICK) -> None:
        """The host ticks for a while, and this side's heart beats."""
        for _ in range(round(seconds / TICK)):
            self.harness.clock.now += TICK
            self.block.beat()
            self.host.tick()

    def come_up(self) -> None:
        if self.host.link is None:
            self.host.start()
        self.tick()
        self.say(answered=self.host.alive.epoch)
        self.tick()
        assert self.host.running


# --- up, down and the agreement --------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1])
def test_link_comes_up_in_either_order_of_start(first: int) -> None:
    harness = LinkHarness()
    harness.sides[first].start()
    harness.go_on(5.0)
    assert harness.sides[first].alive.state is LinkState.WAITING
    harness.sides[1 - first].start()
    harness.go_on()
    for side, other in (harness.sides, harness.sides[::-1]):
        assert side.running and side.journal.up
        assert side.send() and other.receive() and not other.receive()
    assert SideBlock(harness.memory, L.HOST).load("state") == L.STATES["RUN"]


@pytest.mark.parametrize(
    ("host", "card", "agreed"),
    [
        (CSUM | TSO4, CSUM, CSUM),
        (CSUM | TSO4, CSUM | TSO4 | USO4, CSUM | TSO4),
        (TSO4, TSO4, 0),
        (CSUM, 0, 0),
        (CSUM, 0xFFFF_FFFF, CSUM),
    ],
)
def test_features_are_the_intersection_and_nothing_without_csum(host: int, card: int, agreed: int) -> None:
    harness = LinkHarness(Offer(host, MTU), Offer(card, MTU))
    harness.start()
    for side in harness.sides:
        agreement = side.alive.agreement
        assert agreement is not None and agreement.features == agreed
        assert agreement.packet_max == (L.FRAME_MAX - L.VNET_HDR if agreed & ~CSUM else MTU)


@pytest.mark.parametrize(("host", "card"), [(1500, 9000), (9000, 1500), (68, 65535)])
def test_mtu_is_the_smaller_one(host: int, card: int) -> None:
    harness = LinkHarness(Offer(0, host), Offer(0, card))
    harness.start()
    for side in harness.sides:
        agreement = side.alive.agreement
        assert agreement is not None and agreement.mtu == agreement.packet_max == min(host, card)


@pytest.mark.parametrize(("host", "card"), [(1, 1), (2, 2), (2, 1), (1, 15), (15, 4)])
def test_link_runs_over_the_queue_pairs_that_both_serve(host: int, card: int) -> None:
    harness = LinkHarness(Offer(0, MTU, queues=host), Offer(0, MTU, queues=card))
    harness.start()
    for side in harness.sides:
        agreement = side.alive.agreement
        assert agreement is not None and agreement.queues == min(host, card)


@pytest.mark.parametrize(("mask", "queues"), [(0, 1), (0b1, 1), (0b11, 2), (0b101, 1), (0b110, 1), (0xFFFF_FFFF, 3)])
def test_queue_mask_counts_up_to_its_first_gap_and_at_least_pair_0(mask: int, queues: int) -> None:
    harness = LinkHarness(Offer(0, MTU, queues=3))
    puppet = Puppet(harness)
    puppet.say(queue_mask=mask)
    puppet.come_up()
    agreement = harness.host.alive.agreement
    assert agreement is not None and agreement.queues == queues


def test_clean_stop_is_seen_at_once() -> None:
    harness = LinkHarness()
    harness.start()
    harness.card.stop()
    harness.host.tick()
    assert harness.host.alive.state is LinkState.WAITING and not harness.host.journal.up
    assert harness.host.alive.reason_code is LinkReason.PEER_STOPPED
    assert not harness.host.send()
    harness.card.start()
    harness.go_on()
    assert harness.host.running and harness.card.running


def test_restarted_peer_is_counted_and_records_it_did_not_receive_are_lost() -> None:
    harness = LinkHarness()
    harness.start()
    assert all(harness.host.send() for _ in range(5)) and harness.card.receive()
    harness.card.crash()
    harness.card.start()
    harness.go_on()
    assert harness.host.counters()["peer_restart"] == 1
    assert harness.host.ledger.lost == 4
    harness.check_ledgers()


def test_withdrawn_feature_leads_to_a_link_without_it() -> None:
    harness = LinkHarness(Offer(CSUM | TSO4, MTU), Offer(CSUM | TSO4, MTU))
    harness.start()
    harness.host.alive.withdraw(TSO4, "the kernel said no")
    harness.go_on()
    for side in harness.sides:
        agreement = side.alive.agreement
        assert agreement is not None and agreement.features == CSUM
    assert LinkReason.OFFLOAD_WITHDRAWN in harness.host.journal.codes
    assert harness.host.counters()["offload_refused"] == 1


# --- what a peer must not say ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, L.VERSION + 1, 0xFFFF_FFFF])
@pytest.mark.parametrize("epoch", [0xBEEF, 0xCAFE], ids=["same epoch", "new epoch"])
def test_other_version_is_refused_once_by_code_and_recovers(version: int, epoch: int) -> None:
    harness = LinkHarness()
    puppet = Puppet(harness, version=version)
    harness.host.start()
    puppet.tick(1.0)
    link = harness.host.alive
    assert link.state is LinkState.REFUSED
    assert link.reason_code is LinkReason.VERSION_MISMATCH
    assert f"{version}, this side {L.VERSION}" in link.reason
    assert harness.host.journal.codes.count(LinkReason.VERSION_MISMATCH) == 1
    assert harness.host.counters()["refused"] == 1
    assert (link.own.load("state"), link.own.load("answered")) == (L.STATES["REFUSED"], 0)
    puppet.say(version=L.VERSION, epoch=epoch)
    puppet.come_up()


@pytest.mark.parametrize("frames", [L.FRAMES["ETHERNET"], 7, 0xFFFF_FFFF])
def test_peer_with_other_frames_is_refused_once_by_code_and_recovers(frames: int) -> None:
    harness = LinkHarness()
    puppet = Puppet(harness)
    puppet.say(frames=frames)
    harness.host.start()
    puppet.tick(1.0)
    link = harness.host.alive
    assert link.state is LinkState.REFUSED
    assert link.reason_code is LinkReason.FRAMES_MISMATCH
    assert "this side IP packets (tun): give both agents a --port of the same kind" in link.reason
    assert harness.host.journal.codes.count(LinkReason.FRAMES_MISMATCH) == 1
    assert (link.own.load("state"), link.own.load("answered")) == (L.STATES["REFUSED"], 0)
    puppet.say(frames=L.FRAMES["IP"])
    puppet.come_up()


@pytest.mark.parametrize("mtu", [0, L.MTU_MIN - 1, L.MTU_MAX + 1, 0xFFFF_FFFF])
def test_impossible_mtu_is_refused_counted_once_and_recovers(mtu: int) -> None:
    harness = LinkHarness()
    puppet = Puppet(harness, mtu=mtu)
    harness.host.start()
    puppet.say(answered=harness.host.alive.epoch)
    puppet.tick(1.0)
    assert harness.host.alive.state is LinkState.REFUSED
    assert harness.host.alive.reason_code is LinkReason.MTU_OUT_OF_RANGE
    assert str(mtu) in harness.host.alive.reason and f"{L.MTU_MIN} to {L.MTU_MAX}" in harness.host.alive.reason
    assert harness.host.counters()["refused"] == 1
    puppet.say(mtu=MTU)
    puppet.come_up()


def test_mtu_that_turns_bad_after_it_was_answered_is_a_violation() -> None:
    harness = LinkHarness()
    puppet = Puppet(harness)
    harness.host.start()
    puppet.tick()
    puppet.say(mtu=0, answered=harness.host.alive.epoch)
    puppet.tick()
    assert harness.host.alive.reason_code is LinkReason.MTU_OUT_OF_RANGE
    assert harness.host.counters()["viol_side_block"] == 1
    puppet.say(mtu=MTU)
    puppet.tick(2 * BackOff.FIRST)
    puppet.come_up()


def test_epoch_that_changes_back_is_a_violation_and_the_link_comes_back() -> None:
    harness = LinkHarness()
    harness.start()
    before = harness.host.alive.epoch
    card = SideBlock(harness.memory, L.CARD)
    epoch = card.load("epoch")
    card.store("epoch", epoch ^ 1)
    assert not harness.host.receive()
    card.store("epoch", epoch)
    harness.go_on()
    assert harness.host.running and harness.card.running
    assert harness.host.alive.epoch != before
    count = harness.host.counters()
    assert (count["viol_side_block"], count["own_restart"]) == (1, 1)
    assert LinkReason.EPOCH_CHANGED_BACK in harness.host.journal.codes


@pytest.mark.parametrize("event", [_core.EVENT_EPOCH, _core.EVENT_VIOLATION])
def test_event_of_the_previous_generation_is_no_violation_in_this_one(
    event: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A pump may meet the new epoch, or what stands behind it, while the link is just answering it.
    harness = LinkHarness()
    harness.start()
    harness.card.crash()
    harness.card.start()
    endpoints, hold = harness.host.endpoints, harness.host.endpoints.hold

    def hold_late() -> None:
        hold()
        if endpoints._current.peer_epoch != harness.card.alive.epoch:
            endpoints._events |= event

    monkeypatch.setattr(endpoints, "hold", hold_late)
    harness.host.tick()
    harness.go_on()
    assert harness.host.running and harness.card.running
    count = harness.host.counters()
    assert (count["viol_side_block"], count["own_restart"], count["peer_restart"]) == (0, 0, 1)


@pytest.mark.parametrize("line", ["h2c_cons", "c2h_prod"])
def test_impossible_index_leads_to_a_new_epoch_and_back(line: str) -> None:
    harness = LinkHarness()
    harness.start()
    while harness.host.send():
        pass
    harness.memory.store32(L.queue_offset(0) + L.QUEUE_LINES[line], 1)
    assert not harness.host.send() and not harness.host.receive()
    harness.go_on()
    assert harness.host.running and harness.card.running
    assert harness.host.counters()["own_restart"] == 1
    assert harness.card.counters()["own_restart"] == 0
    assert LinkReason.FORMAT_VIOLATION in harness.host.journal.codes
    harness.drain()
    harness.check_ledgers()


@pytest.mark.parametrize("claimed", [4, 2**32, 2**64 - 1])
def test_final_count_above_what_was_sent_is_clamped_and_counted(claimed: int) -> None:
    harness = LinkHarness()
    puppet = Puppet(harness)
    puppet.come_up()
    assert all(harness.host.send() for _ in range(3))
    ours = harness.host.alive.epoch
    puppet.say(answered=0, epoch=0xF00D)
    puppet.say(final_own_epoch=0xBEEF, final_peer_epoch=ours)
    puppet.block.store64("final_records", claimed)
    puppet.come_up()
    assert harness.host.counters()["viol_final_count"] == 1
    assert LinkReason.FINAL_COUNT_IMPOSSIBLE in harness.host.journal.codes
    assert harness.host.ledger.lost == 0


def test_final_count_of_another_generation_counts_for_nothing() -> None:
    harness = LinkHarness()
    puppet = Puppet(harness)
    puppet.come_up()
    assert all(harness.host.send() for _ in range(3))
    puppet.say(answered=0, epoch=0xF00D, final_own_epoch=0xBEEF, final_peer_epoch=harness.host.alive.epoch ^ 1)
    puppet.block.store64("final_records", 3)
    puppet.come_up()
    assert harness.host.ledger.lost == 3


# --- the watch ---------------------------------------------------------------------------------------------


def test_peer_without_heartbeat_is_dead_after_a_second_and_comes_back_without_loss() -> None:
    harness = LinkHarness()
    harness.start()
    assert harness.card.send()
    harness.card.stalled = True
    harness.go_on(0.85)
    assert harness.host.running
    harness.go_on(0.25)
    assert harness.host.alive.state is LinkState.PEER_DEAD and not harness.host.journal.up
    assert harness.host.alive.reason_code is LinkReason.HEARTBEAT_LOST
    assert not harness.host.send()
    harness.card.stalled = False
    harness.go_on()
    assert harness.host.running and harness.host.journal.up
    assert harness.host.alive.reason_code is LinkReason.PEER_BACK
    count = harness.host.counters()
    assert (count["peer_dead"], count["peer_back"], count["own_restart"], count["link_up"]) == (1, 1, 0, 1)
    assert harness.host.receive()
    harness.check_ledgers()
    assert (harness.host.ledger.lost, harness.card.ledger.lost) == (0, 0)


@pytest.mark.parametrize("gap", [0.9, 1.5, 60.0, 86400.0])
def test_pause_of_this_process_does_not_make_the_peer_dead(gap: float) -> None:
    harness = LinkHarness()
    harness.start()
    harness.clock.now += gap  # the whole machine slept
    harness.host.tick()
    assert harness.host.running
    harness.go_on()
    for side in harness.sides:
        assert side.running and side.counters()["peer_dead"] == 0


def test_window_of_all_ones_is_a_device_that_is_gone_until_it_is_back() -> None:
    harness = LinkHarness()
    harness.start()
    harness.host.mortal.device_gone = True  # reads give all ones, writes go nowhere
    harness.host.tick()
    assert harness.host.alive.state is LinkState.GONE and not harness.host.journal.up
    assert harness.host.alive.reason_code is LinkReason.DEVICE_GONE
    assert not harness.host.send()
    harness.host.mortal.device_gone = False
    harness.go_on()
    assert harness.host.running and harness.card.running


@pytest.mark.parametrize("word", ["epoch", "answered"])
@pytest.mark.parametrize("value", [0, 1, 0xFFFF_FFFF])
def test_foreign_write_into_the_own_side_block_is_noticed_and_undone(word: str, value: int) -> None:
    harness = LinkHarness()
    harness.start()
    harness.memory.store32(L.side_offset(L.HOST) + L.SIDE_CONTROL.offset(word), value)
    harness.go_on()
    assert harness.host.running and harness.card.running
    assert harness.host.counters()["viol_side_block"] == 1
    assert LinkReason.SIDE_BLOCK_OVERWRITTEN in harness.host.journal.codes


def test_port_that_refuses_a_setting_delays_the_link_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = LinkHarness()

    def refuse(agreement: Agreement) -> None:
        raise PortUnavailable(f"cannot use {agreement.queues} queues")

    harness.host.start()
    harness.card.start()
    with monkeypatch.context() as broken:
        broken.setattr(harness.host.journal, "link_up", refuse)
        harness.go_on(1.0)
        assert not harness.host.running and not harness.host.journal.up
        assert LinkReason.PORT_NOT_READY in harness.host.journal.codes
    harness.go_on(BackOff.LONGEST)
    assert harness.host.running and harness.card.running
    harness.check_ledgers()
