"""The ledger by name: the counters, and the sums that must be equal.

It works on a window's memory, so it serves for a running agent, for the peer and for an agent that has died.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vnetcard._core import Memory
from vnetcard.ring import layout as L
from vnetcard.ring.link_counters import read_link_counters

BOOKKEEPING = {*L.LEDGER_COMMON, "gen_serial"}
"""Words of a ledger that are no counters."""
MAXIMA = {"moved_at_ns", "high_water"}
"""Statistics that are maxima: over several queues the largest is taken, not the sum."""
TX_DROPS = tuple(name for name in L.TX_LEDGER if name.startswith("drop_"))
RX_DROPS = tuple(name for name in L.RX_LEDGER if name.startswith("drop_"))


@dataclass(frozen=True, slots=True)
class EndCounters:
    """Ledger, stats and batches of one end by name, for one queue or summed over all; ``tx``: of the producer.

    ``ruined``: another program has overwritten a ledger, of which the counters are shown as 0.
    """

    tx: bool
    ledger: dict[str, int]
    stats: dict[str, int]
    batches: dict[str, int] = field(default_factory=dict)
    ruined: bool = False

    @classmethod
    def total(cls, ends: Sequence[EndCounters]) -> EndCounters:
        """The sums over the same end of several queues."""
        return cls(
            ends[0].tx,
            _total([end.ledger for end in ends]),
            _total([end.stats for end in ends]),
            _total([end.batches for end in ends]),
            any(end.ruined for end in ends),
        )

    @property
    def unaccounted(self) -> int:
        """Packets in, minus packets out, minus drops: 0 unless the ledger is wrong."""
        if self.tx:
            return self.ledger["tx_taken"] - self.ledger["tx_sent"] - sum(self.ledger[name] for name in TX_DROPS)
        return self.ledger["rx_received"] - self.ledger["rx_delivered"] - sum(self.ledger[name] for name in RX_DROPS)

    def flat(self) -> dict[str, int]:
        """All counters in one table; stats get the prefix ``tx_`` or ``rx_``, as both ends have some of one name."""
        prefix = "tx_" if self.tx else "rx_"
        own = self.stats | self.batches
        return self.ledger | {name if name.startswith("viol_") else prefix + name: n for name, n in own.items()}


def _total(tables: Sequence[Mapping[str, int]]) -> dict[str, int]:
    if len(tables) == 1:
        return dict(tables[0])

    def fold(name: str) -> Callable[[Iterable[int]], int]:
        return max if name in MAXIMA else sum

    return {name: fold(name)(table[name] for table in tables) for name in tables[0]}


def read_end(memory: Memory, direction: str, *, tx: bool, queue: int = 0) -> EndCounters:
    """The counters of one end of FIFO ``direction``, a consistent snapshot of its ledger."""
    end, block = f"{direction}_{'tx' if tx else 'rx'}", L.queue_offset(queue)
    at = block + L.QUEUE_LEDGERS[end]
    names, stats = (L.TX_LEDGER, L.TX_STATS) if tx else (L.RX_LEDGER, L.RX_STATS)
    words = memory.ledger(at)
    figures = memory.words(at + 2 * L.LEDGER_SLOT_BYTES, len(stats))
    ledger = {name: word for name, word in zip(names, words, strict=False) if name not in BOOKKEEPING}
    batches = memory.words(block + L.QUEUE_BATCHES[end], len(L.BATCHES))
    return EndCounters(
        tx,
        ledger,
        dict(zip(stats, figures, strict=True)),
        dict(zip(L.BATCHES, batches, strict=True)),
        not any(words) and memory.ledger_ruined(at),
    )


@dataclass(frozen=True, slots=True)
class Balance:
    """One direction across the link, in records.

    ``restarted``: a side's counters were ruined and began again at 0, so that the sums of both sides do not belong
    together; then ``generation``, sent minus received in this generation, is what is in flight.
    """

    direction: str
    sent: int
    received: int
    lost_restart: int
    in_ring: int
    restarted: bool = False
    generation: int = 0

    @classmethod
    def of(cls, direction: str, tx: Mapping[str, int], rx: Mapping[str, int], in_ring: int) -> Balance:
        """The balance from the counters of both ends by name."""
        return cls(direction, tx["tx_sent"], rx["rx_received"], tx["lost_restart"], in_ring)

    @property
    def in_flight(self) -> int:
        """Records sent, and neither received nor counted as lost: those in the ring, unless a ledger is wrong."""
        if self.restarted:
            return self.generation
        return self.sent - self.received - self.lost_restart

    @property
    def even(self) -> bool:
        """Whether the ledgers agree with the ring; meaningful only while the link is idle."""
        return self.in_flight == self.in_ring


def read_ends(memory: Memory, direction: str, *, tx: bool, queues: int) -> EndCounters:
    """``read_end`` over the first ``queues`` queue pairs."""
    return EndCounters.total([read_end(memory, direction, tx=tx, queue=queue) for queue in range(queues)])


def balance(memory: Memory, direction: str, in_ring: int, queues: int = 1) -> Balance:
    """The balance of ``direction`` over all queues; losses of a restart are counted on queue 0 for all of them."""
    tx = read_ends(memory, direction, tx=True, queues=queues)
    rx = read_ends(memory, direction, tx=False, queues=queues)
    link = [read_link_counters(memory, side) for side in (L.HOST, L.CARD)]
    restarted = tx.ruined or rx.ruined or any(ruined or counters["ledger_restarted"] for counters, ruined in link)
    return replace(
        Balance.of(direction, tx.ledger, rx.ledger, in_ring),
        restarted=restarted,
        generation=_in_generation(memory, direction, queues) if restarted else 0,
    )


def _in_generation(memory: Memory, direction: str, queues: int) -> int:
    """Records sent and not received in the generation that the sender names; 0 when it is settled."""
    at = [L.queue_offset(queue) for queue in range(queues)]
    tx = [memory.ledger(block + L.QUEUE_LEDGERS[f"{direction}_tx"]) for block in at]
    rx = [memory.ledger(block + L.QUEUE_LEDGERS[f"{direction}_rx"]) for block in at]
    generation, records = (L.LEDGER_COMMON.index(name) for name in ("generation", "gen_records"))
    current = tx[0][generation]
    mirrored = (current & 0xFFFF_FFFF) << 32 | current >> 32  # each side names its own epoch first
    sent = sum(words[records] for words in tx if words[generation] == current)
    received = sum(words[records] for words in rx if words[generation] == mirrored)
    return sent - received if current else 0
