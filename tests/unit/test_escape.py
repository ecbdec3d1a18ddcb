"""Text of the peer, of files and of devices is shown and never executed."""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import core

from tests.harness.evil_text import EVIL, EVIL_BYTES, harmful
from tests.unit.c_build import seed
from vnetcard.cli.main import main
from vnetcard.cli.metrics import Collector
from vnetcard.engine.register_text import decode
from vnetcard.observe.metrics import Metric
from vnetcard.report import page
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import decode_identity
from vnetcard.tap import pcapng
from vnetcard.terminal.escape import CLEAR, EscapedStream, escaped_output, printable
from vnetcard.window import open_window


def evil_file(folder: Path) -> str:
    """A window whose card names itself in escape sequences."""
    url = f"file:{folder}/window"
    window = open_window(f"{url}+64K", side=L.HOST)
    identity = bytes(16) + EVIL_BYTES.ljust(24, b"!") + EVIL_BYTES[::-1].ljust(24, b"!")
    window.memory.write(L.side_offset(L.CARD) + L.LINE, identity)
    copy = Path(folder, "window").read_bytes()
    window.close()
    Path(folder, "copy").write_bytes(copy)
    return f"file:{folder}/copy"


def test_printable_text_has_one_line_and_nothing_harmful() -> None:
    text = printable(EVIL)
    assert text.isprintable() and text.startswith(r"\x1b[2J") and r"\u202e" in text and r"\udc80" in text
    assert printable("déjà vu") == "déjà vu"


def test_stream_escapes_all_but_ends_of_lines_and_tabs() -> None:
    below = io.StringIO()
    stream = cast("io.StringIO", EscapedStream(below))
    print("a\tb", EVIL, CLEAR, CLEAR, file=stream)
    stream.writelines([EVIL, "\n"])
    assert below.getvalue().startswith("a\tb ") and below.getvalue().endswith("\n")
    assert not harmful(below.getvalue())


def test_json_stays_json_with_the_same_text() -> None:
    text = {"text": "\x7f\u202e\x9b\U000e0041" + EVIL.replace("\udc80", "")}
    for ascii_only in (True, False):
        below = io.StringIO()
        EscapedStream(below).write(json.dumps(text, ensure_ascii=ascii_only))
        assert json.loads(below.getvalue()) == text
        assert not harmful(below.getvalue())


def test_output_is_escaped_in_the_block_only(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with escaped_output():
        print(EVIL)
        print(EVIL, file=sys.stderr)
    assert (sys.stdout, sys.stderr) == before
    out, err = capsys.readouterr()
    assert not harmful(out) and not harmful(err) and "u001b" in out and "u001b" in err


def test_identity_of_any_bytes_is_printable() -> None:
    dice = random.Random(seed())
    for _ in range(500):
        found = decode_identity(dice.randbytes(L.LINE))
        assert found.software.isprintable() and found.machine.isprintable()


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_info_of_a_hostile_side_block_is_harmless(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = evil_file(tmp_path)
    assert main(["info", url, *options]) in (0, 1)
    out = capsys.readouterr().out
    assert "[2J" in out
    assert not harmful(out)


def test_info_of_a_hostile_superblock_is_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url, dice = evil_file(tmp_path), random.Random(seed())
    path = tmp_path / "copy"
    good = path.read_bytes()
    for _ in range(20):
        at = dice.randrange(2 * L.LINE)
        path.write_bytes(good[:at] + EVIL_BYTES + good[at + len(EVIL_BYTES) :])
        main(["info", url])
        out, err = capsys.readouterr()
        assert not harmful(out) and not harmful(err)


@pytest.mark.parametrize(
    "words",
    [["info", "shm:{}"], ["status", "--window", "{}"], ["replay", "{}"], ["ping", "{}"], ["{}"], ["show", "{}"]],
)
def test_errors_quote_harmlessly(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    evil = EVIL.replace("\0", "")
    try:
        status = main([word.format(evil) for word in words])
    except SystemExit as end:
        status = int(str(end.code))
    out, err = capsys.readouterr()
    assert status == 2 and err.count("\n") == 1
    assert not harmful(out) and not harmful(err)


def test_labels_of_metrics_are_harmless() -> None:
    one = Metric("vnetcard_cause", False, "meaning", (("code", EVIL), ("window", EVIL)), 1)
    collector = Collector([], core)
    for family in collector.families([one]):
        for sample in family.samples:
            assert all(value.isprintable() for value in sample.labels.values())


def test_comments_for_wireshark_are_harmless() -> None:
    block = pcapng.packet(0, 0, b"", 0, direction=pcapng.INBOUND, comments=[EVIL])
    block += pcapng.interface(EVIL, EVIL, 100)
    assert b"\x1b" not in block and b"\xe2\x80\xae" not in block and rb"\x1b[2J" in block


def test_text_in_a_page_is_harmless() -> None:
    text = page.escape(EVIL)
    assert text.isprintable() and "<" not in text


def test_registers_of_any_value_are_harmless() -> None:
    for row in decode(dict.fromkeys(("id", "version", "state", "tx_cause"), int.from_bytes(b"\x1b[2J", "little"))):
        assert not harmful(str(row))
