"""Run a soak and print what was done, what grew and what failed; the exit status is 1 if any check failed.

``make soak HOURS=0.5``, or ``python -m tests.soak --help``.  Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.soak.actions import DISTURBANCES, SCRIBBLES
from tests.soak.soak import Soak
from vnetcard.errors import VnetcardError
from vnetcard.lab.lab import Lab

ACTIONS = {action.__name__: action for action in (*DISTURBANCES, *SCRIBBLES)}
PROGRESS_S = 10.0
"""Seconds between two lines of progress where the output is no terminal."""


class Progress:
    """One line that is written over on a terminal, else a line now and then, both to standard error."""

    def __init__(self) -> None:
        self._terminal, self._due = sys.stderr.isatty(), 0.0

    def __call__(self, line: str) -> None:
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
        elif time.monotonic() >= self._due:
            self._due = time.monotonic() + PROGRESS_S
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")


def table(summary: dict[str, Any]) -> str:
    """The summary as lines for people."""
    recovery, lines = summary["recovery_ms"], []
    lines.append(f"{summary['seconds']:.0f} s, {summary['rounds']} rounds")
    lines += [f"  {count:6} x {name}" for name, count in summary["actions"].items()]
    streamed = ", ".join(f"{name} {count / 1e9:.2f} GB" for name, count in summary["streamed_bytes"].items())
    lines.append(f"verified TCP: {streamed}")
    lines.append(f"link up after a disturbance: median {recovery['median']} ms, at most {recovery['max']} ms")
    lines.append("")
    lines.append(f"{'agent':>5} {'pid':>8} {'samples':>8} {'PSS KiB':>9} {'fds':>5} {'threads':>8} {'tmpfs KiB':>10}")
    for agent in summary["agents"]:
        growth = agent["growth"]
        lines.append(
            f"{agent['side']:>5} {agent['pid']:>8} {agent['samples']:>8} {growth['pss_kib']:>+9} "
            f"{growth['descriptors']:>+5} {growth['threads']:>+8} {growth['tmpfs_kib']:>+10}"
        )
    lines.append("(growth of each agent that lived for more than one quiet moment, after the warm-up)")
    lines.append("")
    lines.append("counters: " + ", ".join(f"{name} {count}" for name, count in summary["counters"].items()))
    lines += [f"FAILED {failure}" for failure in summary["failures"]]
    lines.append("no check failed" if not summary["failures"] else f"{len(summary['failures'])} checks failed")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; 0: no check failed, 1: some did, 2: it could not run."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__, allow_abbrev=False)
    parser.add_argument("--hours", type=float, default=1.0, help="how long, may be a fraction (default: 1)")
    parser.add_argument("--seed", type=int, help="repeats the choices of a run (default: a new one)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures, too")
    parser.add_argument("--no-scribbles", action="store_true", help="let no program overwrite the window")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=sorted(ACTIONS), help=f"only {', '.join(ACTIONS)}")
    parser.add_argument("--host-command", nargs="+", metavar="WORD", help="another command for the host's agent")
    parser.add_argument("--log", metavar="FILE", type=Path, help="the agents' logs")
    args = parser.parse_args(argv)
    if not 0 < args.hours <= 10_000:  # nor NaN
        parser.error(f"--hours {args.hours:g} is out of range (above 0, to 10000)")
    if os.geteuid() != 0:
        parser.error("needs root: it makes network namespaces")
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1 << 32)
    progress = Progress()
    print(f"soak of {args.hours:g} hours, --seed {seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="vnetcard-soak-") as folder,
        (args.log or Path(os.devnull)).open("a") as log,
    ):
        try:
            with Lab("soak", log=log) as lab:
                if args.host_command:
                    lab.commands[0] = args.host_command
                names = args.only or [*ACTIONS]
                actions = [ACTIONS[name] for name in names if not (args.no_scribbles and ACTIONS[name] in SCRIBBLES)]
                soak = Soak(lab, Path(folder), args.hours * 3600, seed, progress=progress, actions=actions)
                result = soak.run()
        except VnetcardError as error:
            progress.end()
            print(f"soak: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            progress.end()
            return 130
    progress.end()
    summary = result.summary(soak.watch) | {"seed": seed}
    print(table(summary))
    if args.json is not None:
        args.json.write_text(json.dumps(summary, indent=1) + "\n")
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
