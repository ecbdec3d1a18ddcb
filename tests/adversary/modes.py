"""The ways in which a card can be hostile to a live agent through the window alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.adversary import decks
from tests.adversary.peer import (
    ADD,
    NOTHING,
    RUNNING,
    SET,
    SLOWLY,
    XOR,
    Attack,
    Poke,
)
from vnetcard.ring import layout as L

OFFLOADS: Final = sum(L.FEATURES[name] for name in L.OFFLOADS)
WAKE: Final = L.FEATURES["WAKE"]
HOST, CARD = L.side_offset(L.HOST), L.side_offset(L.CARD)
QUEUE: Final = L.queue_offset(0)
PROD, CONS = (QUEUE + L.QUEUE_LINES[name] for name in ("c2h_prod", "h2c_cons"))
CONTROL: Final = L.SIDE_CONTROL.offset
STATISTICS: Final = 2 * L.LEDGER_SLOT_BYTES


def words(base: int, *names: str, how: int = 1, value: int = 0) -> tuple[Poke, ...]:
    """Pokes into words of the control line at ``base``; by default with random values."""
    return tuple(Poke(base + CONTROL(name), 4, how, value) for name in names)


def bytes_of(at: int, size: int) -> tuple[Poke, ...]:
    """Pokes of single bytes: a word that is never written whole."""
    return tuple(Poke(at + n, 1) for n in range(size))


@dataclass(frozen=True, slots=True)
class Mode:
    """``attack`` in words; ``traffic``: the host sends during it; ``busy``: it is also a flood of packets.

    ``header``: it ruins the superblock, which an honest side puts right only by creating the window again.
    ``ruins_counters``: the host's link counters say nothing afterwards.
    """

    name: str
    what: str
    attack: Attack
    traffic: bool = False
    busy: bool = False
    header: bool = False
    ruins_counters: bool = False


MODES: Final = (
    Mode("none", "nothing hostile: a correct card that polls without a pause", Attack()),
    # --- words of the handshake ---
    Mode(
        "epoch-random",
        "a random epoch, and the right one again",
        Attack(words(CARD, "epoch"), when=RUNNING),
    ),
    Mode(
        "epoch-flicker",
        "another epoch for the time of one store",
        Attack(words(CARD, "epoch", how=XOR, value=1), when=RUNNING),
    ),
    Mode("epoch-stops", "epoch 0 for a moment", Attack(words(CARD, "epoch", how=SET), when=RUNNING)),
    Mode(
        "epoch-ones",
        "an epoch of all ones, as of a device that is gone",
        Attack(words(CARD, "epoch", how=SET, value=2**32 - 1)),
    ),
    Mode("answered-flicker", "answers other epochs", Attack(words(CARD, "answered"))),
    Mode("state-nonsense", "states that do not exist", Attack(words(CARD, "state"))),
    Mode("restarts", "a new epoch as soon as the link runs", Attack(restart_when_running=1, greet_again_ms=50)),
    Mode(
        "greets",
        "a new epoch every 2 ms, at once where the link runs",
        Attack(restart_when_running=1, greet_again_ms=2),
    ),
    Mode("heartbeat-jumps", "random heartbeats", Attack(words(CARD, "heartbeat"))),
    Mode(
        "heartbeat-backwards",
        "a heartbeat that counts down",
        Attack(words(CARD, "heartbeat", how=ADD, value=-1 % 2**64)),
    ),
    Mode("heartbeat-pauses", "silent for 1.2 s, alive for 1.2 s", Attack(quiet_ms=1200)),
    Mode(
        "version-lies",
        "another version in each epoch",
        Attack(random_version=1, restart_when_running=1, greet_again_ms=5),
    ),
    Mode(
        "version-flicker", "another version for the time of one store", Attack(words(CARD, "version"), greet_again_ms=5)
    ),
    Mode(
        "mtu-flips",
        "an MTU of 68 to 65535 in each epoch",
        Attack(random_mtu=1, restart_when_running=1, greet_again_ms=50),
    ),
    Mode(
        "mtu-lies", "an impossible MTU in most epochs", Attack(random_mtu=2, restart_when_running=1, greet_again_ms=5)
    ),
    Mode("mtu-flicker", "another MTU for the time of one store", Attack(words(CARD, "mtu"), greet_again_ms=5)),
    Mode(
        "feature-lies",
        "other features in each epoch, and for the time of one store",
        Attack(words(CARD, "features"), random_features=1, restart_when_running=1, greet_again_ms=50),
    ),
    Mode(
        "queue-lies",
        "another number of queues and of interrupts in each epoch",
        Attack(words(CARD, "queue_mask", "irq_number"), random_mask=1, restart_when_running=1, greet_again_ms=50),
    ),
    Mode(
        "final-lies",
        "more received than was sent",
        Attack(claim=1, restart_when_running=1, greet_again_ms=50),
        traffic=True,
    ),
    Mode(
        "unused-bits",
        "all bits that have no meaning",
        Attack(
            (Poke(CARD + 0x34, 4), Poke(CARD + 0x38, 8), Poke(CARD + L.LINE + 4, 4)),
            features=0xFFFF_FFFF & ~sum(L.FEATURES.values()),
        ),
    ),
    Mode(
        "reclaims",
        "writes the host's own epoch and answer",
        Attack(words(HOST, "epoch", "answered"), greet_again_ms=50),
    ),
    # --- indices ---
    Mode("prod-odd", "prod is no multiple of 64", Attack((Poke(PROD, 4, SET, 7),), when=RUNNING)),
    Mode("prod-beyond", "more than a ring is produced", Attack((Poke(PROD, 4, ADD, 1 << 26),), when=RUNNING)),
    Mode(
        "prod-backwards",
        "prod goes back",
        Attack((Poke(PROD, 4, ADD, -64 % 2**64),), (decks.GOOD,), when=RUNNING),
        busy=True,  # between two steps back its records are good
    ),
    Mode("prod-flicker", "prod is wrong for the time of one store", Attack((Poke(PROD),), (decks.GOOD,), when=RUNNING)),
    Mode(
        "cons-beyond",
        "more consumed than was produced",
        Attack((Poke(CONS, 4, ADD, 64),), when=RUNNING, consume=NOTHING),
        traffic=True,
    ),
    Mode(
        "cons-flicker",
        "cons is any value for the time of one store",
        Attack((Poke(CONS), Poke(CONS, 4, SET)), when=RUNNING, consume=NOTHING),
        traffic=True,
    ),
    Mode(
        "torn-words",
        "indices and control words byte by byte",
        Attack(bytes_of(PROD, 8) + bytes_of(CONS, 8) + bytes_of(CARD, 32)),
    ),
    # --- records ---
    Mode("record-lengths", "lengths 0, 1, odd, huge", Attack(records=decks.LENGTHS, greet_again_ms=1100)),
    Mode(
        "record-too-long", "records longer than what prod covers", Attack(records=decks.TOO_SHORT, greet_again_ms=1100)
    ),
    Mode("record-headers", "bad flags, hdr_len, seq and crc", Attack(records=decks.HEADERS, greet_again_ms=1100)),
    Mode(
        "record-changes",
        "header fields that change after the check",
        Attack(records=decks.CHANGING, greet_again_ms=1100),
        busy=True,
    ),
    Mode(
        "vnet-changes",
        "fields of virtio_net_hdr, IP and TCP that change after the check",
        Attack(records=decks.CHANGING_VNET, features=OFFLOADS, greet_again_ms=1100),
        busy=True,
    ),
    Mode(
        "vnet-headers",
        "gso_size 0, 1, huge; checksums out of the packet; types that do not exist",
        Attack(records=decks.VNET_HEADERS, features=OFFLOADS),
        busy=True,
    ),
    Mode(
        "transport-headers",
        "wrong IP and TCP headers under TSO",
        Attack(records=decks.TRANSPORT, features=OFFLOADS),
        busy=True,
    ),
    Mode(
        "segments-many",
        "65,483 and 744 segments in a record",
        Attack(records=decks.MANY_SEGMENTS, features=OFFLOADS),
        busy=True,
    ),
    Mode(
        "segments-most",
        "records of the most segments that are admitted",
        Attack(records=decks.WORST_ADMITTED, features=OFFLOADS),
        busy=True,
    ),
    Mode("garbage", "packets without meaning", Attack(records=decks.GARBAGE), busy=True),
    Mode(
        "flood", "good packets as fast as the ring takes them", Attack(records=(decks.GOOD,), features=WAKE), busy=True
    ),
    # --- whole blocks ---
    Mode("scribble-superblock", "any bytes in superblock and descriptors", Attack((Poke(0, 0x400),)), header=True),
    Mode("scribble-own-block", "any bytes in the card's side block", Attack((Poke(CARD, L.SIDE_BYTES),))),
    Mode(
        "scribble-host-block",
        "any bytes in the host's side block",
        Attack((Poke(HOST, L.SIDE_BYTES),)),
        ruins_counters=True,
    ),
    Mode(
        "scribble-ledgers",
        "any bytes in ledgers, statistics and batches",
        Attack(
            tuple(Poke(QUEUE + at, STATISTICS + L.STATS_BYTES) for at in L.QUEUE_LEDGERS.values())
            + tuple(Poke(QUEUE + at, 64) for at in L.QUEUE_BATCHES.values())
        ),
        traffic=True,
    ),
    Mode(
        "scribble-queue-block",
        "any bytes in all lines of the queue",
        Attack((Poke(QUEUE, L.QUEUE_BYTES),)),
        traffic=True,
    ),
    Mode(
        "scribble-everything",
        "any bytes anywhere in front of the rings",
        Attack((Poke(0, QUEUE + L.QUEUE_BYTES),)),
        header=True,
        ruins_counters=True,
    ),
    Mode(
        "times-backwards",
        "start and last movement in the past and future",
        Attack((Poke(CARD + L.LINE + 8, 8), Poke(QUEUE + L.QUEUE_LEDGERS["c2h_tx"] + STATISTICS + 72, 8))),
    ),
    Mode(
        "text",
        "control characters as names of software and machine",
        Attack((Poke(CARD + L.LINE + 16, 48, SET, 0x1B), Poke(CARD + L.LINE + 16, 48))),
    ),
    # --- load ---
    Mode("wake-storm", "wakes every sleeper all the time", Attack(wake=1, features=WAKE)),
    Mode(
        "wake-flicker",
        "need_wakeup changes all the time",
        Attack((Poke(PROD + 4), Poke(CONS + 4)), (decks.GOOD,), features=WAKE),
        traffic=True,
        busy=True,
    ),
    Mode("never-consumes", "the ring is full for ever", Attack(consume=NOTHING, features=WAKE), traffic=True),
    Mode("consumes-slowly", "a line in 10 ms", Attack(consume=SLOWLY, features=WAKE), traffic=True),
)
BY_NAME: Final = {mode.name: mode for mode in MODES}
