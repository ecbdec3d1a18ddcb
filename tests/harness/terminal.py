"""A terminal for our programs and for shells: tmux draws it, the test types and reads."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.harness.needs import need

LIMIT_S = 30.0


class Terminal:
    """A tmux of our own with one window, in which ``command`` runs."""

    def __init__(self, folder: Path, command: list[str], *, columns: int = 80, rows: int = 24) -> None:
        self._tmux = [need("tmux"), "-f", "/dev/null", "-S", str(folder / "tmux")]
        size = ["-x", str(columns), "-y", str(rows)]
        self.command("new-session", "-d", *size, f"{shlex.join(command)}; echo ended with status $?; exec cat")

    def command(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def press(self, key: str) -> None:
        self.command("send-keys", key)

    def lines(self) -> list[str]:
        return self.command("capture-pane", "-p").splitlines()

    def wait(self, what: Callable[[list[str]], object]) -> list[str]:
        """The lines once ``what`` is true of them."""
        deadline = time.monotonic() + LIMIT_S
        while not what(lines := self.lines()):
            assert time.monotonic() < deadline, "\n".join(lines)
            time.sleep(0.1)
        return lines

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first match of ``pattern`` on the screen, once there is one."""
        lines = self.wait(lambda lines: re.search(pattern, "\n".join(lines)))
        found = re.search(pattern, "\n".join(lines))
        assert found
        return found
