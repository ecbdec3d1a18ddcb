"""``python -m vnetcard.hdl.formal``: prove everything and print a table; exit 1 when a result is not as expected."""

from __future__ import annotations

import argparse
import itertools
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from vnetcard.hdl.formal import flow
from vnetcard.hdl.formal.proofs import PROOFS
from vnetcard.hdl.tools import ToolMissing


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    depth: int
    result: str
    good: bool
    seconds: float


def property_rows(built: flow.Model) -> Iterator[Row]:
    """Yield a row per property: base and induction."""
    for base, induction in zip(*flow.prove(built), strict=True):
        result = "FALSE" if not base.good else "proved" if induction.good else "NOT INDUCTIVE"
        yield Row(base.name, built.proof.depth, result, base.good and induction.good, base.seconds + induction.seconds)


def cover_rows(built: flow.Model) -> Iterator[Row]:
    """Yield a row per cover."""
    for answer in flow.cover(built):
        result = "reached" if answer.good else "NOT REACHED"
        yield Row(answer.name, built.proof.reach, result, answer.good, answer.seconds)


def bug_rows(proof: flow.Proof) -> Iterator[Row]:
    """Yield a row per negative control: a planted bug that must make one property false."""
    for number, bug in enumerate(proof.bugs, 1):
        answer = flow.control(proof, bug)
        name = f"bug {number}: {bug.fails}"
        yield Row(name, proof.reach, "MISSED" if answer.good else "detected", not answer.good, answer.seconds)


def show(proof: flow.Proof) -> bool:
    """Print the rows of one proof; return whether all of them are good."""
    good = True
    with flow.model(proof) as built:
        for row in itertools.chain(property_rows(built), cover_rows(built), bug_rows(proof)):
            print(f"{proof.name:11} {row.name:50} {row.depth:5}  {row.result:13} {row.seconds:7.1f}", flush=True)
            good &= row.good
    return good


def end(_signal: int, _frame: FrameType | None) -> None:
    """Exit by an exception, so that solvers are ended and folders removed."""
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m vnetcard.hdl.formal", description=__doc__)
    parser.add_argument("name", nargs="*", help="proofs to run (all): " + " ".join(proof.name for proof in PROOFS))
    wanted = parser.parse_args().name
    unknown = set(wanted) - {proof.name for proof in PROOFS}
    if unknown:
        parser.error(f"no proof {', '.join(sorted(unknown))} (found: {', '.join(proof.name for proof in PROOFS)})")
    signal.signal(signal.SIGTERM, end)
    print(f"{'proof':11} {'property':50} {'depth':>5}  {'result':13} {'seconds':>7}")
    started = time.monotonic()
    try:
        good = all([show(proof) for proof in PROOFS if not wanted or proof.name in wanted])
    except (flow.FormalError, ToolMissing) as error:
        print(f"formal: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(f"{'all good' if good else 'NOT all good'}, {time.monotonic() - started:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
