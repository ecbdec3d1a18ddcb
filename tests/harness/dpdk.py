"""DPDK's testpmd behind a memif, answering ARP and pings (forward mode icmpecho)."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.harness.needs import need
from tests.harness.programs import LIMIT, started

_numbers = itertools.count()


class Testpmd:
    """A running testpmd, which polls: it keeps a processor busy."""

    __test__ = False  # its name is DPDK's, not pytest's

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(LIMIT)

    def stop(self) -> tuple[int, int]:
        """End it; the number of frames that it has received and sent."""
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=LIMIT)
        received, sent = re.findall(r"[RT]X-packets: (\d+)", output)[-2:]
        return int(received), int(sent)


def net_memif(role: str, path: str, options: str = "") -> str:
    """The device of a memif: ``role`` is client or server, ``path`` its socket."""
    return f"net_memif0,role={role},socket-abstract=no,socket={path}{options}"


@contextlib.contextmanager
def running_testpmd(device: str) -> Iterator[Testpmd]:
    """Run it with one ``device``, as the functions above make it."""
    prefix = f"vnc-{os.getpid()}-{next(_numbers)}"
    cores = min(2, os.cpu_count() or 1)
    command = [
        *(need("nice"), "-n", "19", need("dpdk-testpmd")),
        *("--no-huge", "-m", "256", "--no-pci", "--no-telemetry", f"--file-prefix={prefix}"),
        *("-l", f"0-{cores - 1}", "--main-lcore", "0"),
        f"--vdev={device}",
        *(
            "--",
            "--auto-start",
            "--forward-mode=icmpecho",
            "--total-num-mbufs=16384",
            "--no-flush-rx",
            "--stats-period=3600",
        ),
    ]
    try:
        with started(command, stderr=subprocess.DEVNULL) as process:
            yield Testpmd(process)
    finally:
        shutil.rmtree(Path("/var/run/dpdk", prefix), ignore_errors=True)
