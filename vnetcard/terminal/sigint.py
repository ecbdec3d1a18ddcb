"""SIGINT in the first moments of a program, while its modules are imported."""

from __future__ import annotations

import signal


def end_without_a_traceback() -> None:
    """Let SIGINT end this process as it ends a C program, unless it is ignored, as in a shell's background process.

    A Ctrl-C that comes just before has the same effect.
    """
    try:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
