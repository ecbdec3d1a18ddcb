"""Which QEMU is the client of vfio-user: this system's if it can, a fetched one, or a message that says what to do."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.sim.guest import vfio_user_qemu
from vnetcard.sim.guest.machines import X86_64


def program(folder: Path, script: str) -> Path:
    """A QEMU that is a shell script, in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / X86_64.qemu
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


OLD = '[ "$1" = --version ] && echo QEMU emulator version 7.2.22 && exit; exit 1'
NEW = 'echo "vfio-user-pci options:"'


def no_archive(*arguments: object) -> Path:
    raise ConfigError("this system's apt has no Debian archive")


def test_the_systems_qemu_is_taken_if_it_has_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = program(tmp_path, NEW)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(vfio_user_qemu, "program_of", no_archive)
    assert vfio_user_qemu.find(print) == str(own)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (OLD, "QEMU 7.2.22 has no vfio-user-pci: install qemu-system-x86 10.1 or later"),
        ("", "QEMU is missing: install"),
    ],
)
def test_what_to_install_is_named_where_none_can_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    if script:
        program(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(vfio_user_qemu, "program_of", no_archive)
    with pytest.raises(ConfigError, match=words) as raised:
        vfio_user_qemu.find(print)
    assert raised.value.code is ErrorCode.TOOL_MISSING
    assert "no Debian archive" in str(raised.value) and "\n" not in str(raised.value)


def test_fetched_qemu_runs_by_its_own_loader_wherever_the_cache_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "it's a cache"
    here = vfio_user_qemu._HERE[platform.machine()]
    loader = root / "usr" / here.loader
    loader.parent.mkdir(parents=True)
    loader.write_text('#!/bin/sh\necho "vfio-user-pci $@"\n')
    loader.chmod(0o755)
    monkeypatch.setattr(vfio_user_qemu, "program_of", lambda *arguments: root)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    script = Path(vfio_user_qemu.find(print))
    assert script == root / "run" / X86_64.qemu
    assert f'"$r/usr/bin/{X86_64.qemu}"' in script.read_text()
