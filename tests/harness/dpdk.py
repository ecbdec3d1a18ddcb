"""DPDK's testpmd behind a memif or as a virtio driver, answering ARP and pings (forward mode icmpecho)."""

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
from tests.harness.restarts import until

_numbers = itertools.count()


class Testpmd:
    """A running testpmd, which polls: it keeps a processor busy."""

    __test__ = False  # its name is DPDK's, not pytest's

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(LIMIT)

    def await_start(self) -> None:
        """Return once it forwards: its virtio driver discards what it has got before."""
        output = self.process.stdout
        assert output is not None
        until(lambda: "nb forwarding cores" in output.readline(), "testpmd forwards")

    def settle(self) -> None:
        """Return once it has polled for a while, so that it has received what was there."""
        wanted = self._processor_time() + 0.05
        until(lambda: self._processor_time() >= wanted, "testpmd polls")

    def _processor_time(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> tuple[int, int]:
        """End it; the number of frames that it has received and sent."""
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=LIMIT)
        received, sent = re.findall(r"[RT]X-packets: (\d+)", output)[-2:]
        return int(received), int(sent)


def net_memif(role: str, path: str, options: str = "") -> str:
    """The device of a memif: ``role`` is client or server, ``path`` its socket."""
    return f"net_memif0,role={role},socket-abstract=no,socket={path}{options}"


def virtio_user(role: str, path: str, options: str = "") -> str:
    """The device of a virtio driver, the front-end of vhost-user: ``role`` is client or server, ``path`` its socket."""
    return f"virtio_user0,path={path},server={int(role == 'server')}{options}"


@contextlib.contextmanager
def running_testpmd(device: str) -> Iterator[Testpmd]:
    """Run it with one ``device``, as the functions above make it."""
    prefix = f"vnc-{os.getpid()}-{next(_numbers)}"
    cores = min(2, os.cpu_count() or 1)
    command = [
        *(need("nice"), "-n", "5"),  # with 19 it starves beside tests that only compute
        *(need("stdbuf"), "-oL", need("dpdk-testpmd")),  # else its words stay in a buffer of 4096 bytes
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
