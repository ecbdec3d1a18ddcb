"""What `vnetcard report` does to the files that it is told to write, before it has anything to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from vnetcard.cli.report import _check_writable
from vnetcard.errors import ConfigError


def test_file_that_exists_is_not_removed_before_it_is_written(tmp_path: Path) -> None:
    """Also an empty one, as a device is: of root this removed /dev/null."""
    there, new = tmp_path / "there", tmp_path / "new"
    there.touch(0o600)
    before = there.stat()
    for path in (there, new):
        _check_writable("--output", path)
    assert (there.stat().st_ino, there.stat().st_mode) == (before.st_ino, before.st_mode)
    assert not new.exists()


def test_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        _check_writable("--output", tmp_path / "nowhere" / "file")
