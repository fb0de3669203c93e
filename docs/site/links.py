"""Links of a built site: inside they lead somewhere, outside they are well formed, and nothing is fetched."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


class _Page(HTMLParser):
    """The addresses of a page, each with the tag and the attribute that hold it, and the names that links lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[tuple[str, str, str]] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag leads to and what it is called."""
        for key, value in attrs:
            if key in ("id", "name") and value:
                self.names.add(value)
            elif key in ("href", "src") and value:
                self.addresses.append((tag, key, value))


def broken_links(site: Path) -> list[str]:
    """Return a line for each address of the site that is wrong: a page or a heading that is not there, or a fetch.

    Addresses outside are not fetched: they must be https, with a host.
    """
    pages = {page: _Page(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}
    live = site / "live"  # documents that classlab wrote; their own tests look at them
    return [line for page in sorted(pages) if live not in page.parents for line in _wrong(page, pages, site)]


def _wrong(page: Path, pages: dict[Path, _Page], site: Path) -> Iterator[str]:
    for tag, key, address in pages[page].addresses:
        parts = urlsplit(address)
        where = f"{page.relative_to(site)}: {address}"
        if parts.scheme in ("data", "mailto"):
            continue
        if parts.scheme or parts.netloc:
            if (tag, key) in FETCHED:
                yield f"{where} would be fetched from elsewhere"
            elif parts.scheme != "https" or "." not in parts.netloc:
                yield f"{where} is no address of a page: https:// and a host"
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.exists():
            yield f"{where} leads to no file"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
            yield f"{where} leads to no heading"
