"""One end of a window for a process of its own: sends numbered records in one direction and checks those of the other.

fifo_end.py URL SIDE RECORDS        prints the machine and ``ok``
"""

from __future__ import annotations

import os
import random
import sys
import time

from vnetcard import Fifo, open_window
from vnetcard.ring import layout as L

LIMIT = 100.0
SIZE_MAX = 3000


def records(side: int, count: int) -> list[bytes]:
    """The records that ``side`` sends; the other end computes the same ones."""
    chance = random.Random(side)
    return [chance.randbytes(chance.randint(1, SIZE_MAX)) for _ in range(count)]


def main() -> None:
    """Send and receive everything."""
    url, side, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    window = open_window(url, side=side)
    out = Fifo(window.memory, window.geometry, L.DIRECTIONS[side], role="producer")
    into = Fifo(window.memory, window.geometry, L.DIRECTIONS[1 - side], role="consumer")
    mine, theirs = records(side, count), records(1 - side, count)
    sent = got = 0
    deadline = time.monotonic() + LIMIT
    while (sent < count or got < count) and time.monotonic() < deadline:
        moved = sent + got
        while sent < count and out.try_push(mine[sent]):
            sent += 1
        while got < count and (record := into.try_pop()) is not None:
            assert record == theirs[got], f"record {got} is not what was sent"
            got += 1
        if sent + got == moved:
            time.sleep(0.001)
    assert (sent, got) == (count, count), f"sent {sent}, received {got} of {count}"
    print(os.uname().machine, "ok", flush=True)
    sys.stdin.read()  # the other end may not have read its last ones yet
    out.close()
    into.close()
    window.close()


if __name__ == "__main__":
    main()
