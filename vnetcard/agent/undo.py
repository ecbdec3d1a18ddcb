"""Undoing what was made, so that an error of it never hides the one that came first."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def undoing(*steps: Callable[[], object]) -> Iterator[None]:
    """Call all ``steps`` in their order after the block, each also where the block or another step has failed.

    The first error of all is the one that is raised.
    """
    first: Exception | None = None
    try:
        yield
    except BaseException:
        for step in steps:
            with contextlib.suppress(Exception):
                step()
        raise
    for step in steps:
        try:
            step()
        except Exception as error:
            first = first or error
    if first is not None:
        raise first
