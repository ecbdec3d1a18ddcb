"""Background load: TCP from the first end to the second at full speed, while something else is measured."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from vnetcard.bench import iperf
from vnetcard.bench.validity import Endpoints, Invalid

RAMP = 0.5
"""Seconds until TCP has reached its full speed."""


@contextlib.contextmanager
def streaming(ends: Endpoints, run: iperf.Run) -> Iterator[None]:
    """Run the body, for ``run.seconds``, under the load of one stream; Invalid when the stream ends before it."""
    failed: list[str] = []
    started = threading.Event()

    def stream() -> None:
        try:
            iperf.run(ends, run.seconds + 2 * RAMP, run.tcp, started=started.set)
        except Invalid as error:
            failed.append(str(error))
            started.set()

    thread = threading.Thread(target=stream, name="stream")
    thread.start()
    try:
        started.wait()
        threading.Event().wait(RAMP)
        yield
    finally:
        still = thread.is_alive()
        thread.join()
    if failed or not still:
        raise Invalid(f"the background load ended before the measurement: {'; '.join(failed) or 'that took too long'}")
