"""A window beyond a DMA driver's devices keeps its promises, and unsuitable devices are refused."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vnetcard.errors import ConfigError, VnetcardError, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry
from vnetcard.window import Window, WindowUrl, open_window, read_window

SIZE = 64 << 10
BASE = 0x10000


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    """The folder with the devices ``xdma0_*``, behind which is a card's memory, with a window at BASE."""
    geometry = Geometry.plan(SIZE, instance=7, removable=False)
    with (tmp_path / "ddr").open("xb") as file:
        file.write(bytes(BASE) + geometry.encode())
        file.truncate(BASE + SIZE)
    for device in ("h2c_0", "c2h_0"):
        (tmp_path / f"xdma0_{device}").symlink_to(tmp_path / "ddr")
    yield tmp_path
    assert hosts_memory(tmp_path) == [], "the host's memory was left behind"


def hosts_memory(card: Path) -> list[Path]:
    """The shared memory of windows on the card in this folder, which it is named after."""
    return list(Path("/dev/shm").glob(f"vnetcard-xdma-{'-'.join(card.parts[1:])}-*"))


def url(card: Path, rest: str = f"@{BASE:#x}+64K") -> str:
    return f"xdma:{card}/xdma0{rest}"


def opened(card: Path) -> contextlib.closing[Window]:
    return contextlib.closing(open_window(url(card), side=L.HOST))


def test_side_is_free_after_close_which_is_idempotent(card: Path) -> None:
    for _ in range(3):
        window = open_window(url(card), side=L.HOST)
        assert window.vanished() is None
        window.close()
        window.close()


def test_refused_second_opener_gets_the_pid_of_the_first(card: Path) -> None:
    with opened(card) as first:
        with pytest.raises(WindowUnavailable, match=f"the host side of xdma:.* is taken by process {os.getpid()}"):
            open_window(url(card), side=L.HOST)
        assert first.vanished() is None
        assert str(WindowUrl.parse(first.url)) == first.url


def test_opening_writes_nothing_to_the_card(card: Path) -> None:
    before = (card / "ddr").read_bytes()
    with opened(card) as window:
        assert window.geometry.window_bytes == SIZE
        assert window.engine is not None and "DMA copier over" in window.engine.describe()
    assert (card / "ddr").read_bytes() == before


def test_reading_shows_the_cards_memory(card: Path) -> None:
    copy = read_window(url(card, f"@{BASE:#x}"))
    assert len(copy) == SIZE and Geometry.decode(copy, SIZE).instance == 7
    (card / "ddr").write_bytes(bytes(BASE) + b"nothing of ours".ljust(SIZE, b"."))
    assert read_window(url(card, f"@{BASE:#x}")).startswith(b"nothing of ours")


@pytest.mark.parametrize("option", ["?events=3", "?channel=0&events=3", "?events=3&format"])
def test_interrupts_are_listened_to(card: Path, option: str) -> None:
    os.mkfifo(card / "xdma0_events_3")
    with contextlib.closing(open_window(url(card, f"@{BASE:#x}{option}+64K"), side=L.HOST)) as window:
        assert "events=3" in window.url


# --- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("+64K", "expected xdma:N@ADDRESS"),
        ("@0x10001+64K", "not a multiple of 4 KiB"),
        ("@elsewhere", "'elsewhere' is no number"),
        ("@-4096", "'-4096' is no number"),
        ("@0x1ffffffffffffffff", "is no number"),
        ("@0+1000", "window size 1000 bytes"),
        ("@0?chanel=1+64K", r"no option 'chanel' \(known: channel, events, format\)"),
        ("@0?channel+64K", "'' is no number"),
        ("@0?channel=x+64K", "'x' is no number"),
    ],
)
def test_invalid_url_is_refused_with_the_remedy(card: Path, rest: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        open_window(url(card, rest), side=L.HOST)


def test_card_side_is_referred_to_its_own_memory(card: Path) -> None:
    with pytest.raises(ConfigError, match="the card's agent opens its own memory, such as mem:ADDRESS"):
        open_window(url(card), side=L.CARD)


def without(card: Path) -> None:
    (card / "xdma0_h2c_0").unlink()


def short(card: Path) -> None:
    os.truncate(card / "ddr", BASE + SIZE - 64)


def foreign(card: Path) -> None:
    (card / "ddr").write_bytes(b"other data".ljust(BASE + SIZE, b"."))


def all_ones(card: Path) -> None:
    (card / "ddr").write_bytes(b"\xff" * (BASE + SIZE))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (without, "cannot open .*xdma0_h2c_0 .No such file or directory.: load the xdma driver"),
        (
            short,
            "no memory of 64 KiB at this address: READ, .* at card address 0x1ffc0",
        ),
        (foreign, r"no vnetcard window here: .*add the option \?format"),
        (all_ones, "reads as all ones: the card is gone, or in reset"),
    ],
)
def test_missing_card_is_reported(card: Path, harm: Callable[[Path], None], words: str) -> None:
    harm(card)
    with pytest.raises(VnetcardError, match=words):
        open_window(url(card), side=L.HOST)


def test_missing_event_device_is_reported_and_everything_closed(card: Path) -> None:
    with pytest.raises(WindowUnavailable, match=r"cannot open .*xdma0_events_5"):
        open_window(url(card, f"@{BASE:#x}?events=5+64K"), side=L.HOST)
    with opened(card):
        pass


def test_removed_device_is_noticed(card: Path) -> None:
    with opened(card) as window:
        (card / "xdma0_c2h_0").unlink()
        assert "xdma0_c2h_0 is gone" in (window.vanished() or "")


def test_hosts_memory_is_its_owners_alone(card: Path) -> None:
    with opened(card):
        (path,) = hosts_memory(card)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
