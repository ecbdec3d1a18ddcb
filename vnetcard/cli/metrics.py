"""``vnetcard metrics``: the agents' counters for Prometheus, over HTTP or once on stdout."""

from __future__ import annotations

import argparse
import ipaddress
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.resources import files
from itertools import chain
from types import FrameType
from typing import TYPE_CHECKING, Any

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.observe import views
from vnetcard.observe.metrics import Metric, metrics
from vnetcard.terminal.arguments import DEFAULT_WINDOW, Subparsers, add_command
from vnetcard.terminal.escape import printable
from vnetcard.window import WindowUrl

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family


PORT = 9817
FILES = {"dashboard": "grafana.json", "alerts": "alerts.yml"}
EPILOG = """\
examples:
  vnetcard metrics                              serve http://127.0.0.1:9817/metrics until Ctrl-C
  vnetcard metrics --listen 0.0.0.0:9817        ... to the network: anyone there can read it
  vnetcard metrics --window shm:lab0 --window shm:lab1    two links; each series has its label window
  vnetcard metrics --once | grep drop_
  vnetcard metrics --dashboard > grafana.json   a dashboard for Grafana
  vnetcard metrics --alerts > alerts.yml        rules for Prometheus

Each scrape asks the agents of the window; it needs the package prometheus_client (pip install 'vnetcard[tools]').
exit status: 0 served until it was stopped, 2 bad input
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``metrics`` to the commands."""
    parser = add_command(
        subparsers,
        "metrics",
        help="the agents' counters for Prometheus; a Grafana dashboard and alert rules",
        description="Serve every counter of the agents on this machine to Prometheus.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument(
        "--window",
        action="append",
        metavar="URL",
        help=f"may be repeated for several links (default: {DEFAULT_WINDOW})",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--listen", metavar="[HOST:]PORT", help=f"where to serve (default: 127.0.0.1:{PORT})")
    what.add_argument("--once", action="store_true", help="print them once; status 2 when no agent answers")
    what.add_argument("--dashboard", action="store_true", help="print the Grafana dashboard")
    what.add_argument("--alerts", action="store_true", help="print the alert rules")


def run(args: argparse.Namespace) -> int:
    """Serve, or print."""
    for option, file in FILES.items():
        if getattr(args, option):
            sys.stdout.write(files("vnetcard.observe").joinpath(file).read_text(encoding="utf-8"))
            return 0
    library = _library()
    registry = library.CollectorRegistry(auto_describe=False)
    windows = args.window or [DEFAULT_WINDOW]
    registry.register(Collector(windows, import_module("prometheus_client.core")))
    if args.once:
        for window in windows:
            views.gather(window)  # for its error
        sys.stdout.write(library.generate_latest(registry).decode())
        return 0
    host, port = parse_listen(args.listen or str(PORT))
    _serve(library, registry, host, port)
    return 0


def parse_listen(text: str) -> tuple[str, int]:
    """(host, port) from ``9817``, ``0.0.0.0:9817`` or ``[::1]:9817``; ConfigError for anything else."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535:
        raise ConfigError(
            f"--listen {text!r} is invalid: expected PORT, ADDRESS:PORT or [IPV6]:PORT", code=ErrorCode.BAD_ADDRESS
        )
    return host, number


class Collector:
    """The collector that ``prometheus_client`` calls at each scrape."""

    def __init__(self, windows: Sequence[str], core: Any) -> None:
        """``core``: the library's module of metric families; raises ConfigError for an invalid window URL."""
        self._windows = list(dict.fromkeys(str(WindowUrl.parse(window)) for window in windows))
        self._core = core

    def collect(self) -> Iterator[Family]:
        """One family per metric name."""
        return self.families(chain.from_iterable(map(self._metrics, self._windows)))

    def _metrics(self, window: str) -> Iterator[Metric]:
        """The metrics of one window; without an agent only ``agent_up`` 0."""
        try:
            snapshot = views.gather(window)
        except ConfigError:
            snapshot = views.Snapshot([])
        return metrics(snapshot, window)

    def families(self, found: Iterable[Metric]) -> Iterator[Family]:
        """``found`` as metric families of the library."""
        families: dict[str, Any] = {}
        for one in found:
            if one.name not in families:
                kind = self._core.CounterMetricFamily if one.counter else self._core.GaugeMetricFamily
                families[one.name] = kind(one.name, one.meaning, labels=[name for name, _ in one.labels])
            families[one.name].add_metric([printable(value) for _, value in one.labels], one.value)
        yield from families.values()


def _library() -> Any:
    """The module ``prometheus_client``; raises ConfigError when it is missing."""
    try:
        library = import_module("prometheus_client")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "metrics needs the package prometheus_client: pip install 'vnetcard[tools]'", code=ErrorCode.TOOL_MISSING
        ) from error
    return library


def _serve(library: Any, registry: Any, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    try:
        server, thread = library.start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise ConfigError(f"--listen {host}:{port}: {error.strerror}", code=ErrorCode.ADDRESS_MISSING) from error
    place = f"[{host}]" if ":" in host else host
    print(f"vnetcard metrics: http://{place}:{server.server_port}/metrics", flush=True)
    stop.wait()
    server.shutdown()
    server.server_close()
    thread.join()
