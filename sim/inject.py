"""Injected bus errors, as the command line names them: ``SIDE-ACCESS-ANSWER@WHEN``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L

ANSWERS: Final = {"slverr": 2, "decerr": 3, "hang": 4, "late": 5}
"""The codes in cpp/faults.h by name; ``hang`` never answers, ``late`` answers after all time limits of the agents."""
_FORM: Final = re.compile(r"(host|card)-(read|write)-(slverr|decerr|hang|late)@(?:1/)?([0-9]{1,18})")
HELP: Final = (
    "SIDE-ACCESS-ANSWER@WHEN: SIDE host or card, ACCESS read or write, ANSWER slverr, decerr, hang (none at all) or "
    "late (good, after 0.1 s of simulated time); WHEN a burst's number, or 1/N for each with that probability"
)


@dataclass(frozen=True, slots=True)
class Injection:
    """Burst ``number`` of that kind, counted from 1, or each with probability ``share``, ends with ``answer``."""

    side: int
    write: bool
    answer: int
    number: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> Injection:
        """Parse the argument of ``--inject``; raises ConfigError for an invalid one."""
        found = _FORM.fullmatch(text)
        if found is None or int(found[4]) == 0:
            raise ConfigError(f"--inject {text!r} is invalid: expected {HELP}; such as card-write-slverr@100")
        number = int(found[4])
        share = 1 / number if "@1/" in text else None
        return cls(
            L.SIDES.index(found[1]),
            found[2] == "write",
            ANSWERS[found[3]],
            number=None if share else number,
            share=share,
        )
