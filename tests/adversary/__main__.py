"""``python -m tests.adversary``: attack a real agent in every mode, and print what it cost; needs root and iperf3.

Each mode: a host's agent that has just served an honest card, a hostile card in its place for a few seconds while a
second link of the machine carries TCP, then the honest card again.  Exit status 0: within all limits; 1: not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from tests.adversary.flaws import FLAWS, command_with
from tests.adversary.modes import BY_NAME, MODES, Mode
from tests.adversary.trial import CPU, CPU_BUSY, LINES, UP_S, Seen, Victim, megabits
from vnetcard.lab.lab import Lab
from vnetcard.link.brake import CARRIER_CHANGES
from vnetcard.ring import layout as L

HEAD = (
    f"{'mode':22}{'runs':>6}{'lines/s':>9}{'carrier/s':>10}{'restarts':>9}{'CPU %':>7}  {'state, cause':38}"
    f"{'other link':>11}{'up s':>6}{'TCP after':>10}  verdict"
)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser("python -m tests.adversary", description=__doc__.splitlines()[0])
    made.add_argument("--modes", metavar="NAMES", help="some modes only, separated by commas")
    made.add_argument("--seconds", type=float, default=3.0, help="length of each attack (3)")
    made.add_argument("--seed", type=int, default=1, help="of the random choices (1)")
    made.add_argument("--json", type=Path, metavar="FILE", help="write all figures into FILE")
    made.add_argument(
        "--without", choices=sorted(FLAWS), help="take this protection out of the agent: a limit must break"
    )
    made.add_argument("--list", action="store_true", help="print the modes and end")
    return made


def row(seen: Seen) -> str:
    """One line of the table."""

    def percent(value: float | None) -> str:
        return "-" if value is None else f"{value:.0%}"

    restarts = "-" if seen.restarts is None else str(seen.restarts)
    up = "-" if seen.up_s is None else f"{seen.up_s:.2f}"
    return (
        f"{seen.mode:22}{seen.runs:6}{seen.lines:9.1f}{seen.carrier:10.1f}{restarts:>9}{100 * seen.cpu:7.0f}"
        f"  {seen.state + ', ' + seen.cause:38}{percent(seen.during):>11}{up:>6}{percent(seen.after):>10}"
        f"  {'; '.join(seen.wrong) or 'ok'}"
    )


class Range:
    """The attacked link and an honest one beside it, each with what TCP reached before any attack."""

    def __init__(self, stack: ExitStack, log: IO[str], *, without: str | None) -> None:
        self.other = stack.enter_context(Lab("bystander"))
        for side in (L.HOST, L.CARD):
            self.other.start(side)
        self.other.wait_up()
        lab = stack.enter_context(Lab("adversary", log=log))
        if without:
            lab.commands[L.HOST] = command_with(FLAWS[without])
        lab.launch(L.HOST, "--json-log")
        self.victim = Victim(lab, Path(log.name))
        lab.start(L.CARD)
        lab.wait_up()
        self.features = lab.status(L.HOST)["link"]["features"]
        self.before, self.other_before = megabits(lab, 2), megabits(self.other, 2)

    def trial(self, mode: Mode, seconds: float, *, seed: int) -> Seen:
        """One mode; the honest card runs before and after it."""
        lab = self.victim.lab
        lab.stop(L.CARD)

        def during() -> float:
            return megabits(self.other, seconds) / self.other_before

        seen = self.victim.attack(mode, seconds, seed=seed, during=during)
        self.victim.judge_cost(seen, mode)
        self.victim.honest(seen, self.features, limit=30.0)
        if seen.up_s is not None:
            seen.after = megabits(lab, 1) / self.before
            if seen.up_s > UP_S:
                seen.wrong.append(f"up after {seen.up_s:.1f} s")
            if not seen.after:
                seen.wrong.append("no TCP afterwards")
        return seen


def main(words: Sequence[str] | None = None) -> int:
    """Run the chosen modes; returns the exit status."""
    args = parser().parse_args(words)
    if args.list:
        for mode in MODES:
            print(f"{mode.name:22}{mode.what}")
        return 0
    names = args.modes.split(",") if args.modes else [mode.name for mode in MODES]
    if unknown := sorted(set(names) - set(BY_NAME)):
        print(f"no mode {', '.join(unknown)}: see --list", file=sys.stderr)
        return 2
    if os.geteuid():
        print("needs root, for network namespaces", file=sys.stderr)
        return 2
    with tempfile.NamedTemporaryFile("w+") as log, ExitStack() as stack:
        range_ = Range(stack, log, without=args.without)
        print(f"before: {range_.before:.0f} Mbit/s over the attacked link, {range_.other_before:.0f} over the other")
        print(
            f"limits: {LINES} log lines and {CARRIER_CHANGES} carrier changes in any second, {CPU:.0%} of a core "
            f"({CPU_BUSY:.0%} while packets move), up within {UP_S:g} s, offloads as before\n"
        )
        print(HEAD)
        results = []
        for name in names:
            results.append(range_.trial(BY_NAME[name], args.seconds, seed=args.seed))
            print(row(results[-1]), flush=True)
            if results[-1].up_s is None:  # a lasting fault of one mode is not one of the next
                break
    if args.json:
        figures = {
            "before_mbit_s": range_.before,
            "other_before_mbit_s": range_.other_before,
            "seconds": args.seconds,
            "limits": {"lines": LINES, "carrier": CARRIER_CHANGES, "cpu": CPU, "cpu_busy": CPU_BUSY, "up_s": UP_S},
            "modes": [seen.as_json() for seen in results],
        }
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    failed = [seen.mode for seen in results if seen.wrong]
    print(
        f"\n{len(results) - len(failed)} of {len(names)} modes within all limits"
        + (f"; not: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed or len(results) < len(names) else 0


if __name__ == "__main__":
    sys.exit(main())
