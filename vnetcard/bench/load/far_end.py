"""The program at a contender's second end that a load's own program talks to."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from vnetcard.bench.validity import Endpoints, Invalid
from vnetcard.lab.lab import die_with_parent, run_in


@contextlib.contextmanager
def far_end(ends: Endpoints, *words: str) -> Iterator[subprocess.Popen[str]]:
    """``words`` as a process once it has printed "ready", killed afterwards; Invalid when it does not get so far."""
    process = subprocess.Popen(
        run_in(ends.namespaces[1], list(words)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - as in lab.py
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise Invalid(f"{' '.join(words[1:])}: it does not start: the port may be in use")
        yield process
    finally:
        process.kill()
        process.communicate()
