"""Searches for inputs with libFuzzer, and adds to the corpora those that reach something new.

``python -m tests.fuzz.minimize [--seconds 60] [HARNESS...]``; VNETCARD_SEED chooses the seed.  What scripts.py has
written, and regressions (all inputs with a name), stay as they are.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Final

from tests.fuzz import build, corpora, scripts
from tests.fuzz.campaign import search
from tests.unit.c_build import seed

LONGEST: Final = 160
"""Bytes of an input that is kept: long ones hardly reach more."""


def grow(harness: str, seconds: float, folder: Path) -> tuple[int, int]:
    """Search for ``seconds``, and store the smallest corpus that reaches as much.  Returns inputs before and after."""
    known = corpora.load(harness)
    named = {name: data for name, data in known.items() if name != corpora.digest(data)}
    program = build.fuzzer(folder, harness)
    corpora.unpack(known, folder / "all")
    search(program, folder / "all", seconds, seed())
    corpora.unpack(named, folder / "least")
    options = ["-merge=1", "-use_counters=0", f"-max_len={LONGEST}"]
    search(program, folder / "least", 0, 1, options=options, more=[folder / "all"])
    corpora.store(harness, named | corpora.collect((folder / "least").iterdir()))
    return len(known), len(corpora.load(harness))


def main() -> None:
    """Grow the corpora; fails when they are larger than ``corpora.BYTES_MAX``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("harness", nargs="*", default=list(build.HARNESSES))
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    os.nice(10)
    scripts.main()
    for harness in arguments.harness:
        with tempfile.TemporaryDirectory() as folder:
            before, after = grow(harness, arguments.seconds, Path(folder))
        print(f"{harness}: {before} inputs, now {after}")
    size = sum(path.stat().st_size for path in corpora.CORPUS.rglob("*") if path.is_file())
    print(f"all corpora: {size} bytes of {corpora.BYTES_MAX}")
    raise SystemExit(size > corpora.BYTES_MAX)


if __name__ == "__main__":
    main()
