"""Compare today's ratios with recorded ones: has vnetcard become slower relative to the same contenders?

Figures depend on the machine, ratios much less.  The bounds are generous: they find blunders, not percents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from vnetcard.errors import ConfigError

WORSE: Final = {"us": 2.5, "ms": 2.5}
"""The factor by which a ratio may be worse, by unit; times of single packets vary most."""
WORSE_ELSE: Final = 1.6


def read(path: Path) -> dict[str, Any]:
    """The figures of a ``bench.json`` that ``--output`` wrote; ConfigError when the file holds anything else."""
    try:
        figures: dict[str, Any] = json.loads(path.read_text())["figures"]
        for figure in figures.values():
            {contender: float(ratio["median"]) for contender, ratio in figure["ratios"].items()}
    except OSError as error:
        raise ConfigError(f"--check {path}: cannot read it ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"--check {path}: no results of `vnetcard bench --output`") from error
    return figures


def compare(now: Mapping[str, Any], recorded: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """For each ratio that is in both: whether it is good enough, and a line that says so."""
    for name, figure in now.items():
        for contender, ratio in figure["ratios"].items():
            before = recorded.get(name, {"ratios": {}})["ratios"].get(contender)
            if before is None or not before["median"] or not ratio["median"]:
                continue
            gain = ratio["median"] / before["median"]
            bound = WORSE.get(figure["unit"], WORSE_ELSE)
            good = (gain if figure["more_is_better"] else 1 / gain) * bound >= 1
            word = "at least" if figure["more_is_better"] else "at most"
            limit = before["median"] / bound if figure["more_is_better"] else before["median"] * bound
            values = f"{ratio['median']:.3g}, recorded {before['median']:.3g}, {word} {limit:.3g}"
            yield good, f"{name} against {contender}: {values}"
