"""``make hdl PCAP=in.pcap [PCAP_OUT=out.pcap]``: send the packets of a capture through the engine and back.

The simulation is built in a temporary folder, which is removed at the end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from tests.hdl import build
from vnetcard.errors import ConfigError
from vnetcard.tap import pcap_reader
from vnetcard.tap.pcap_reader import Packet


def replay(source: Path, target: Path | None, width: int, folder: Path) -> str:
    """Send ``source`` through the engine of data width ``width``; return a one-line summary.

    Raises ConfigError when the file cannot be replayed, and AssertionError when the simulation fails; ``target`` is
    then unchanged.
    """
    capture = pcap_reader.read(source)
    total = sum(len(packet.data) for packet in capture.packets)
    left_out = f", {capture.others} frames that are not IP skipped" if capture.others else ""
    say(f"{source}: {len(capture.packets)} packets, {total} bytes{left_out}; building the engine at {width} bit")
    with pytest.MonkeyPatch.context() as patch:
        build.use_verilator(patch)
        built = build.build(folder / f"w{width}", width)
        say("simulating")
        arrived = through(built, source, folder / "out.pcap")
    if target:
        shutil.copyfile(folder / "out.pcap", target)
    took = (arrived[-1].time - capture.packets[0].time) / 1000
    return f"all {len(arrived)} packets arrived and returned in order, none changed, in {took:.1f} us simulated"


def through(built: Path, source: Path, target: Path) -> tuple[Packet, ...]:
    """Send ``source`` through the built engine; return the packets that arrive, which are also written to ``target``.

    Raises AssertionError when the simulation fails or a packet differs.
    """
    paths = {"VNETCARD_PCAP": str(source.resolve()), "VNETCARD_PCAP_OUT": str(target.resolve())}
    outcome = build.simulate(
        built, "capture_arrives_and_returns_unchanged", module="cases_pcap", label=f"-{source.stem}", extra_env=paths
    )
    assert not outcome.why, f"{outcome.output[-6000:]}\n{outcome.why}"
    sent, arrived = pcap_reader.read(source).packets, pcap_reader.read(target).packets
    assert [packet.data for packet in arrived] == [packet.data for packet in sent], "the packets differ from those sent"
    times = [sent[0].time, *(packet.time for packet in arrived)]
    assert times == sorted(times), "a packet arrived before the one ahead of it"
    return arrived


class Ended(BaseException):
    """SIGTERM was received; not a SystemExit, which the simulation runner treats as its own failure."""


def end(*_: object) -> NoReturn:
    raise Ended


def say(line: str) -> None:
    print(f"replay: {line}", flush=True)


def check_target(path: Path, source: Path) -> None:
    """Raise ConfigError unless ``path`` can be written and is not ``source``, before the long simulation starts."""
    if path.exists() and source.exists() and path.samefile(source):
        raise ConfigError(f"{path} is the capture itself: name another file for the output")
    if not path.parent.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK) or path.is_dir():
        raise ConfigError(f"{path} cannot be written: name a file in a folder that exists")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="replay", description="replay a capture through the simulated engine")
    parser.add_argument("capture", type=Path)
    parser.add_argument(
        "--out", type=Path, help="write the packets that arrived to this file, stamped with simulated time"
    )
    parser.add_argument("--interface", help="replay only the packets of this interface (for a file of several)")
    parser.add_argument("--width", type=int, default=64, choices=(64, 128, 256, 512), help="data width in bits")
    given = parser.parse_args(arguments)
    try:
        if given.out:
            check_target(given.out, given.capture)
        with tempfile.TemporaryDirectory(prefix="vnetcard-replay-") as folder:
            if given.interface:
                chosen = pcap_reader.read(given.capture, interface=given.interface)
                given.capture = Path(folder) / given.capture.name
                pcap_reader.write(given.capture, chosen.packets)
            say(replay(given.capture, given.out, given.width, Path(folder)))
    except (ConfigError, AssertionError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 1
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        print(f"replay: {missing.msg}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except Ended:
        return 143
    if given.out:
        say(f"packets that the card received: {given.out}")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    sys.exit(main())
