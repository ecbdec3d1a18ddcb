"""Searches for inputs that a parser in Python mishandles: mutates a corpus, and keeps what reaches new lines.

``python -m tests.fuzz.search [--seconds 60] [PARSER...]`` adds what it keeps to the corpora; VNETCARD_SEED chooses
the seed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from types import FrameType
from typing import Any, Final

from tests.fuzz import corpora
from tests.fuzz.limits import bounded
from tests.fuzz.parsers import PARSERS, Parser
from tests.unit.c_build import seed

LONGEST: Final = 1 << 17
KEPT: Final = 600
"""Characters of a line in a corpus that is worth its place."""
INTERESTING: Final = (0, 1, 7, 8, 63, 64, 127, 128, 255, 0x7FFF, 0xFFFF, 0x8000_0000, 0x7FFF_FFFF, 0xFFFF_FFFF, 2**63,
                      2**64 - 1)  # fmt: skip


class Failure(AssertionError):
    """An input that a parser mishandles; the message has the input and the reason."""


def attempt(name: str, data: bytes) -> bool:
    """Parse ``data``; returns whether it was accepted.  Raises Failure for anything but a documented refusal."""
    parser = PARSERS[name]
    try:
        with bounded():
            parser.read(data)
    except parser.refusals:
        return False
    except Exception as error:
        lines = "".join(traceback.format_exception(error)[-4:])
        raise Failure(f"{name}: {type(error).__name__}: {error}\ninput: {data[:2000].hex()}\n{lines}") from None
    return True


def _place(data: bytearray, rng: random.Random) -> int:
    """A place in ``data``, which is not empty: seldom one in the zeros that most of a window consists of."""
    at = 0
    for _ in range(8):
        at = rng.randrange(len(data))
        if any(data[max(0, at - 4) : at + 4]):
            break
    return at


def _put(data: bytearray, rng: random.Random, _: Parser, __: list[bytes]) -> None:
    size = rng.choice((1, 1, 2, 4, 4, 8))
    if len(data) < size:
        return
    at = min(_place(data, rng), len(data) - size)
    at -= at % size if rng.random() < 0.7 else 0
    value = rng.choice(INTERESTING) if rng.random() < 0.6 else rng.getrandbits(64)
    if rng.random() < 0.3:
        value = int.from_bytes(data[at : at + size], "little") + rng.choice((1, -1, 64, -64, 4096))
    data[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, rng.choice(("little", "little", "big")))


def _flip(data: bytearray, rng: random.Random, _: Parser, __: list[bytes]) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _cut(data: bytearray, rng: random.Random, _: Parser, __: list[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : None if rng.random() < 0.3 else start + rng.randrange(1, 70)]


def _repeat(data: bytearray, rng: random.Random, _: Parser, __: list[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    piece = data[start : start + rng.randrange(1, 80)]
    data[start:start] = piece * rng.choice((1, 1, 2, 3, 300))


def _insert(data: bytearray, rng: random.Random, parser: Parser, _: list[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    word = rng.choice(parser.words) if parser.words else rng.randbytes(rng.randrange(1, 9))
    data[at:at] = word * rng.choice((1, 1, 1, 2, 5000))


def _splice(data: bytearray, rng: random.Random, _: Parser, corpus: list[bytes]) -> None:
    other = rng.choice(corpus)
    start = rng.randrange(len(other) + 1)
    at = rng.randrange(len(data) + 1)
    data[at : at + rng.randrange(0, 100)] = other[start : start + rng.randrange(1, 200)]


_MUTATIONS: Final = (_put, _put, _put, _flip, _flip, _cut, _repeat, _insert, _splice)


def mutate(rng: random.Random, parser: Parser, corpus: list[bytes]) -> bytes:
    """One input of ``corpus``, changed in one to four ways."""
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        rng.choice(_MUTATIONS)(data, rng, parser, corpus)
    return bytes(data[:LONGEST])


class Reached:
    """The lines of vnetcard that were executed so far."""

    def __init__(self) -> None:
        self._lines: set[tuple[str, int, int]] = set()
        self._ours: dict[str, bool] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if name not in self._ours:
            self._ours[name] = "/vnetcard/" in name
        if not self._ours[name]:
            return None
        last = 0

        def line(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal last
            if event == "line":
                self._lines.add((name, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line

    def new(self, name: str, data: bytes) -> bool:
        """Parse ``data``; returns whether lines were executed in an order that is new.  Raises as ``attempt``."""
        before = len(self._lines)
        sys.settrace(self._trace)
        try:
            attempt(name, data)
        finally:
            sys.settrace(None)
        return len(self._lines) > before


def search(
    name: str, seed_of_run: int, *, seconds: float = 0, inputs: int = 0, guided: bool = True
) -> tuple[int, list[bytes]]:
    """Try mutations for ``seconds``, or ``inputs`` of them.  Returns how many, and those that reached something new.

    The inputs are the same for one seed.  Raises Failure.
    """
    rng = random.Random(f"{name} {seed_of_run}")
    corpus = list(corpora.load(name).values())
    reached, found, tried = Reached(), list[bytes](), 0
    for data in corpus if guided else ():
        reached.new(name, data)
    end = shown = time.monotonic()
    end += seconds
    while (time.monotonic() < end) if seconds else tried < inputs:
        data = mutate(rng, PARSERS[name], corpus)
        tried += 1
        if not guided:
            attempt(name, data)
        elif reached.new(name, data):
            corpus.append(data)
            found.append(data)
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"{name}: {tried} inputs, {len(reached)} steps reached, {end - shown:.0f} s left", flush=True)
    return tried, found


def main() -> None:
    """Search, and add the short inputs that reached something new to the corpora."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parser", nargs="*", default=list(PARSERS))
    arguments.add_argument("--seconds", type=float, default=60)
    chosen = arguments.parse_args()
    for name in chosen.parser:
        tried, found = search(name, seed(), seconds=chosen.seconds)
        kept = {corpora.digest(data): data for data in found if len(corpora.encode(data)) <= KEPT}
        corpora.store(name, corpora.load(name) | kept)
        print(f"{name}: {tried} inputs, {len(found)} reached something new, kept {len(kept)}")


if __name__ == "__main__":
    main()
