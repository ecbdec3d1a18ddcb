"""A real sshd in the card's namespace, as on a board, and the ssh command that reaches it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.harness.needs import need
from tests.harness.programs import started
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring.layout import CARD

PRIVILEGE_SEPARATION = Path("/run/sshd")
"""The empty folder into which sshd changes its root; a system that has started sshd has it."""


@contextlib.contextmanager
def sshd(lab: Lab, folder: Path, environment: dict[str, str]) -> Iterator[list[str]]:
    """The ssh command that runs the words added to it on the card, with ``environment``; keys are in ``folder``."""
    for key in ("host", "user"):
        made = [need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
        subprocess.run(made, check=True)
    variables = " ".join(f"{name}={value}" for name, value in environment.items())
    settings = folder / "sshd_config"
    settings.write_text(
        f"HostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'user.pub'}\nPidFile none\n"
        f"StrictModes no\nUsePAM no\nSetEnv {variables}\n"
    )
    with _privilege_separation():
        command = run_in(lab.namespaces[CARD], [need("sshd"), "-D", "-e", "-f", str(settings)])
        with started(command) as server:
            assert server.stderr is not None
            while "listening on" not in server.stderr.readline():
                assert server.poll() is None
            options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
            words = [need("ssh"), "-F", "none", "-i", str(folder / "user")]
            yield [*words, *(word for one in options for word in ("-o", one)), "root@10.10.10.5"]


@contextlib.contextmanager
def _privilege_separation() -> Iterator[None]:
    made = not PRIVILEGE_SEPARATION.exists()
    PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    try:
        yield
    finally:
        if made:
            PRIVILEGE_SEPARATION.rmdir()
