"""Measures a FIFO in ordinary memory between two threads: the C ring alone, without port, bus or kernel."""

from __future__ import annotations

import mmap
import threading
import time

from vnetcard._core import Memory
from vnetcard.doctor.timing import LARGE, MOMENT, SMALL, Stage, gbit
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo
from vnetcard.ring.geometry import Geometry

BATCH_BYTES = 256 << 10
"""A batch stays in the cache, and Python's memory in its pool."""


def stage() -> Stage:
    """Packets in batches from one thread to another; both share Python's lock, so it is a lower bound."""
    return Stage("FIFO", None, _gbit(SMALL), _gbit(LARGE), "two threads of this process, in batches")


def _gbit(record: int) -> float:
    geometry = Geometry.plan(L.WINDOW_DEFAULT, instance=1, removable=False)
    buffer = mmap.mmap(-1, L.WINDOW_DEFAULT)
    memory = Memory(buffer)
    producer = Fifo(memory, geometry, "h2c", role="producer")
    consumer = Fifo(memory, geometry, "h2c", role="consumer")
    stop = threading.Event()
    packet, most = bytes(record - L.RECORD_HEADER), min(64, BATCH_BYTES // record)
    batch = [packet] * most

    def produce() -> None:
        while not stop.is_set():
            if producer.push_batch(batch) < most:
                time.sleep(0)

    pusher = threading.Thread(target=produce, name="producer")
    pusher.start()
    start, received = time.perf_counter(), 0
    try:
        while (now := time.perf_counter()) - start < 2 * MOMENT:
            packets = consumer.pop_batch(most)
            received += len(packets)
            if not packets:
                time.sleep(0)
    finally:
        stop.set()
        pusher.join()
        producer.close()
        consumer.close()
    return gbit(received * len(packet), now - start)
