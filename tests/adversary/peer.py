"""The hostile card or host of peer.c in this process: built at first use, run in a thread on a window's memory."""

from __future__ import annotations

import ctypes
import functools
import mmap
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.harness.needs import need
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry

HERE: Final = Path(__file__).parent
CORE: Final = HERE.parents[1] / "vnetcard/_c"

SET, RANDOM, ADD, XOR = range(4)
"""How a poke makes its value."""
ALWAYS, RUNNING, NOT_RUNNING = range(3)
NOTHING, EVERYTHING, SLOWLY = range(3)
"""What is consumed: nothing, at once, or a line in 10 ms."""


@dataclass(frozen=True, slots=True)
class Poke:
    """A store of ``size`` bytes at ``at``; with more than 8 bytes one at random places of that area."""

    at: int
    size: int = 4
    how: int = RANDOM
    value: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """``data`` from the record's header on; ``advance`` of prod in bytes; ``seq_add`` to the right number.

    ``flip``: place, size and other value of a field that alternates once the record is published.
    """

    data: bytes
    advance: int
    seq_add: int = 0
    flip: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Attack:
    """What a side does beside a correct handshake, with places as of a card; peer.c has the same fields."""

    pokes: tuple[Poke, ...] = ()
    records: tuple[Record, ...] = ()
    when: int = ALWAYS
    pokes_a_round: int = 8
    pause_us: int = 0
    consume: int = EVERYTHING
    greet_again_ms: int = 0
    """A new epoch after so long without a running link; 0: the same one for ever."""
    quiet_ms: int = 0
    """The heartbeat stops for so long, and beats for as long."""
    restart_when_running: int = 0
    random_mtu: int = 0
    random_features: int = 0
    random_version: int = 0
    random_mask: int = 0
    claim: int = 0
    """More records received in the last generation than were sent."""
    wake: int = 0
    version: int = L.VERSION
    mtu: int = 1500
    features: int = 0
    mask: int = 1


class _Poke(ctypes.Structure):
    _fields_ = (
        ("at", ctypes.c_uint64),
        ("bytes", ctypes.c_uint32),
        ("how", ctypes.c_uint32),
        ("value", ctypes.c_uint64),
    )


_RECORD = ("bytes", "advance", "seq_add", "flip_at", "flip_bytes", "flip_value")


class _Record(ctypes.Structure):
    _fields_ = (("data", ctypes.c_char_p), *((name, ctypes.c_uint32) for name in _RECORD))


_SAME = tuple(
    [
        "consume",
        "greet_again_ms",
        "quiet_ms",
        "restart_when_running",
        "random_mtu",
        "random_features",
        "random_version",
        "random_mask",
        "claim",
        "wake",
        "version",
        "mtu",
        "features",
        "mask",
    ]
)
_PLACES = ("side", "tx_at", "tx_bytes")
_WORDS = ("seed", "when", "pokes_a_round", "pause_us", "n_pokes", "n_records", *_SAME, *_PLACES)


class _Plan(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint32) for name in _WORDS),
        ("pokes", ctypes.POINTER(_Poke)),
        ("records", ctypes.POINTER(_Record)),
        *((name, ctypes.c_uint64) for name in ("rounds", "runs", "produced")),
    )


def mirrored(at: int) -> int:
    """The place of the host that corresponds to ``at``, one of the card, and the other way round."""
    for side in (L.HOST, L.CARD):
        if 0 <= (within := at - L.side_offset(side)) < L.SIDE_BYTES:
            return L.side_offset(1 - side) + within
    within = at - L.queue_offset(0)
    if not 0 <= within < L.QUEUE_BYTES:
        return at
    parts = [
        (offset, group[{"h2c": "c2h", "c2h": "h2c"}[name[:3]] + name[3:]])
        for group in (L.QUEUE_LINES, L.QUEUE_LEDGERS, L.QUEUE_BATCHES)
        for name, offset in group.items()
    ]
    start, other = max(part for part in parts if part[0] <= within)
    return at - start + other


@functools.cache
def _core() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "peer.so")
        command = [need("gcc"), "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{CORE}"]
        subprocess.run([*command, "-o", library, HERE / "peer.c"], check=True)
        return ctypes.CDLL(str(library))


@dataclass(slots=True)
class Done:
    """What an attack reached: rounds, times that the link ran, records produced."""

    rounds: int = 0
    runs: int = 0
    produced: int = 0


class Card:
    """The card's side of the window in the file at ``path``, or the host's, without its lock: it asks nobody."""

    def __init__(self, path: Path, side: int = L.CARD) -> None:
        self._side = side
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)
        self.geometry = Geometry.decode(self.memory[:HEADER_BYTES], len(self.memory))
        self._header = self.memory[: L.SIDE_OFFSET]
        self._base = ctypes.c_ubyte.from_buffer(self.memory)
        self._stop = ctypes.c_int(0)
        self._thread: threading.Thread | None = None
        self._plan = _Plan()
        self.done = Done()

    @property
    def rounds(self) -> int:
        """Of the attack that runs."""
        return int(self._plan.rounds)

    @property
    def produced(self) -> int:
        """Records of the attack that runs."""
        return int(self._plan.produced)

    def run(self, attack: Attack, seconds: float, *, seed: int) -> Done:
        """Attack for ``seconds`` or until ``stop``."""
        ring = self.geometry.rings[0][self._side]
        places = [mirrored(p.at) if self._side == L.HOST else p.at for p in attack.pokes]
        pokes = (_Poke * max(1, len(places)))(
            *(_Poke(at, p.size, p.how, p.value) for at, p in zip(places, attack.pokes, strict=True))
        )
        records = (_Record * max(1, len(attack.records)))(
            *(_Record(r.data, len(r.data), r.advance, r.seq_add % 2**32, *r.flip) for r in attack.records)
        )
        words = {name: getattr(attack, name) for name in ("when", "pokes_a_round", "pause_us", *_SAME)}
        words |= {"seed": seed % 2**32, "n_pokes": len(attack.pokes), "n_records": len(attack.records)}
        words |= {"side": self._side, "tx_at": ring.offset, "tx_bytes": ring.size}
        self._plan = plan = _Plan(pokes=pokes, records=records, **words)
        _core().adversary(ctypes.byref(self._base), ctypes.byref(plan), int(1000 * seconds), ctypes.byref(self._stop))
        self.done = Done(plan.rounds, plan.runs, plan.produced)
        return self.done

    def start(self, attack: Attack, *, seed: int) -> None:
        """Attack in a thread of its own until ``stop``."""
        self._stop.value = 0
        self._plan = _Plan()
        self._thread = threading.Thread(target=self.run, args=(attack, 3600.0), kwargs={"seed": seed})
        self._thread.start()

    def stop(self) -> Done:
        """End the attack and leave the window as an agent does that stops: epoch 0."""
        self._stop.value = 1
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        at = L.side_offset(self._side) + L.SIDE_CONTROL.offset("epoch")
        self.memory[at : at + 4] = bytes(4)
        return self.done

    def restore_header(self) -> None:
        """Write the superblock again as it was before the attack."""
        self.memory[: L.SIDE_OFFSET] = self._header

    def close(self) -> None:
        """Unmap the window."""
        self.stop()
        del self._base
        self.memory.close()
