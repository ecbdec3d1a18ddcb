"""Ctrl-C in the first moments of an agent ends it without a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from vnetcard.lab.lab import MODULES

EARLIER = """
import importlib, signal
def getsignal(number):
    raise KeyboardInterrupt  # it comes just before SIGINT has another effect
signal.getsignal = getsignal
importlib.import_module({module!r}).main()
"""


@pytest.mark.parametrize("module", MODULES)
def test_interrupt_before_main_has_set_its_effect_leaves_no_traceback(module: str) -> None:
    command = [sys.executable, "-c", EARLIER.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
