"""The documentation site: it builds without a warning, its internal links work, and it has the public names."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import vnetcard

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


class Page(HTMLParser):
    """The link targets and anchors of one HTML page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note each href, src and id."""
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.targets.append(value)


def build(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of the tree ``source`` into ``out`` as ``make docs`` does."""
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-c",
        str(source / "docs"),
        str(source),
        str(out),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    out = tmp_path_factory.mktemp("site")
    built = build(ROOT, out)
    assert built.returncode == 0, built.stderr
    return out


def broken_links(site: Path) -> list[str]:
    """Every link to a page, file or anchor that the site does not have."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[file].anchors if file in pages else set()
            if not file.exists() or (parts.fragment and file in pages and unquote(parts.fragment) not in anchors):
                broken.append(f"{path.relative_to(site)}: {target}")
    return broken


def test_site_builds_without_warning_and_internal_links_work(site: Path) -> None:
    assert (site / "index.html").exists()
    assert broken_links(site) == []


def test_api_page_has_every_public_name(site: Path) -> None:
    anchors = Page((site / "docs/api.html").read_text(encoding="utf-8")).anchors
    missing = []
    for name in vnetcard.__all__:
        home = getattr(getattr(vnetcard, name), "__module__", "vnetcard")
        if not {f"vnetcard.{name}", f"{home}.{name}"} & anchors:
            missing.append(name)
    assert missing == []


def test_every_page_is_in_the_navigation(site: Path) -> None:
    listed = set(re.findall(r'href="([^"#]+)"', (site / "docs/index.html").read_text(encoding="utf-8")))
    listed = {str((site / "docs" / target).resolve()) for target in listed if "://" not in target}
    pages = [path for path in (site / "docs").glob("*.html") if path.name not in ("index.html",)]
    assert [path.name for path in pages if str(path.resolve()) not in listed] == []


def test_broken_link_ends_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("conf.py", "_static"):
        (tmp_path / "docs" / name).symlink_to(ROOT / "docs" / name)
    index = tmp_path / "docs/index.md"
    index.write_text("# Front\n\n[a page](missing.md)\n", encoding="utf-8")
    built = build(tmp_path, tmp_path / "out")
    assert built.returncode != 0
    assert "missing.md" in built.stderr


def test_missing_anchor_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#there">b</a><a href="b.html#here">b</a><a href="c.html">c</a>')
    (tmp_path / "b.html").write_text('<h1 id="here">b</h1>')
    assert broken_links(tmp_path) == ["a.html: b.html#there", "a.html: c.html"]
