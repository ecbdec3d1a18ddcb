"""``python -m vnetcard.hdl.formal``: prove everything, print a table; exit 1 when something is not as it should be."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from vnetcard.hdl.formal import flow
from vnetcard.hdl.formal.proofs import PROOFS


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; ``seconds`` only in the first line of what was asked at once."""

    name: str
    depth: int
    result: str
    good: bool
    seconds: float | None = None


def property_rows(proof: flow.Proof) -> Iterator[Row]:
    """Base and induction: all properties of a module at once."""
    with flow.model(proof) as built:
        names = built.names("assert")
    started = time.monotonic()
    base, induction = flow.prove(proof)
    seconds: float | None = time.monotonic() - started
    failed = {*base.names, *induction.names}
    for name in names:
        if base.good and induction.good:
            result = "proved"
        elif name in failed:
            result = "FALSE" if name in base.names else "NOT INDUCTIVE"
        else:
            result = "not proved"
        yield Row(name, proof.depth, result, result == "proved", seconds)
        seconds = None


def cover_rows(proof: flow.Proof) -> Iterator[Row]:
    """What must be possible."""
    with flow.model(proof) as built:
        names = built.names("cover")
        answer = built.cover()
    seconds: float | None = answer.seconds
    for name in names:
        reached = name not in answer.names
        yield Row(name, proof.reach, "reached" if reached else "NOT REACHED", reached, seconds)
        seconds = None


def bug_rows(proof: flow.Proof) -> Iterator[Row]:
    """The negative controls: planted bugs that one property must notice."""
    for number, bug in enumerate(proof.bugs, 1):
        answer = flow.control(proof, bug)
        noticed = not answer.good
        result = "noticed" if noticed else "MISSED"
        yield Row(f"bug {number}: {bug.fails}", proof.search, result, noticed, answer.seconds)


def show(proof: flow.Proof) -> bool:
    """Print the lines of one proof; whether all of them are good."""
    good = True
    for rows in (property_rows, cover_rows, bug_rows):
        for row in rows(proof):
            seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
            print(f"{proof.module:16} {row.name:50} {row.depth:5}  {row.result:13} {seconds:>7}", flush=True)
            good &= row.good
    return good


def end(_signal: int, _frame: FrameType | None) -> None:
    """Leave by an exception, so that solvers and folders go as well."""
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m vnetcard.hdl.formal", description=__doc__)
    parser.add_argument("name", nargs="*", help="proofs to run (all): " + " ".join(proof.name for proof in PROOFS))
    wanted = parser.parse_args().name
    unknown = set(wanted) - {proof.name for proof in PROOFS}
    if unknown:
        parser.error(f"there is no proof {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, end)
    print(f"{'module':16} {'property':50} {'depth':>5}  {'result':13} {'seconds':>7}")
    started = time.monotonic()
    try:
        good = all([show(proof) for proof in PROOFS if not wanted or proof.name in wanted])
    except flow.FormalError as error:
        print(f"formal: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(f"{'all good' if good else 'NOT all good'}, {time.monotonic() - started:.0f} s (yosys, k-induction by z3)")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
