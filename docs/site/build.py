"""Build the site: `python docs/site/build.py [FOLDER]`, by default build/site. No network; a warning is an error.

The chapters are Markdown files that also read well on a code host. They are copied into a folder of sources, with the
pages that are made from the code (reference.py) and from real runs on the small digits (gallery.py) beside them.
"""

import re
import shutil
import sys
from pathlib import Path

from gallery import write_gallery, write_measured
from links import broken_links
from reference import write_reference
from sphinx.cmd.build import build_main

DOCS = Path(__file__).resolve().parents[1]
PROJECT = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")  # pages of the site that lie in the repository's root


def build(out: Path) -> int:
    """Write the site into `out` and return 0, or what is wrong with it as another exit code."""
    sources = out.with_name(f"{out.name}-sources")
    for folder in (out, sources):
        shutil.rmtree(folder, ignore_errors=True)
    lay_together(sources)
    write_reference(sources / "reference")
    write_measured(sources / "beside.md", DOCS / "benchmarks")
    write_gallery(sources, out.with_name(f"{out.name}-runs"))
    code = build_main(["-b", "html", "-W", "--keep-going", "-q", str(sources), str(out)])
    wrong = broken_links(out)
    for line in wrong:
        print(line, file=sys.stderr)
    if not code and not wrong:
        print(f"{out / 'index.html'}: {sum(1 for _ in out.rglob('*.html'))} pages, every link inside leads somewhere")
    return code or bool(wrong)


def lay_together(sources: Path) -> None:
    """Copy the chapters and the project's pages, and let their links lead to where they lie now."""
    shutil.copytree(DOCS, sources, ignore=shutil.ignore_patterns("site", "__pycache__", "*.json"))
    (sources / "_static").mkdir()
    shutil.copy(DOCS / "site" / "site.css", sources / "_static")
    shutil.copy(DOCS / "site" / "conf.py", sources)
    for name in PROJECT:
        shutil.copy(DOCS.parent / name, sources)
    (sources / "search.md").rename(sources / "searches.md")  # search.html is the page on which readers search the site
    place_chapters(sources / "index.md")
    for file in sources.rglob("*.md"):
        text = file.read_text(encoding="utf-8")
        # a source file is no page of the site; README is the repository's first page, and index.md the site's
        text = re.sub(r"\[([^\]]+)\]\((?:\.\./)*(?:classlab|tests|benchmarks)/[^)]*\.py\)", r"\1", text)
        text = re.sub(r"\]\((?:\.\./)*README\.md", "](/index.md", text)
        text = re.sub(rf"\]\((?:\.\./)*({'|'.join(PROJECT)})", r"](/\1", text)
        text = text.replace("](search.md", "](searches.md").replace("/search.md", "/searches.md")
        if file.name == "CHANGELOG.md" or file.name.startswith("log"):
            text = f"---\nnosearch: true\n---\n{text}"  # who looks for a word wants the page that explains it
        if file.name in PROJECT:
            text = text.replace("](docs/", "](/")
        file.write_text(re.sub(r"(?m)^search$", "searches", text), encoding="utf-8")


def place_chapters(index: Path) -> None:
    """Put the chapters that the start page lists nowhere at the end of its how-to pages: they are found by file."""
    text = index.read_text(encoding="utf-8")
    listed = set(re.findall(r"(?m)^[\w/-]+$", text)) | {"index", "searches", *(Path(name).stem for name in PROJECT)}
    new = sorted(file.stem for file in index.parent.glob("*.md") if file.stem not in listed and file.stem[:3] != "log")
    how_to = re.search(r":caption: How to\n\n(?:[\w/-]+\n)+", text)[0]
    index.write_text(text.replace(how_to, how_to + "".join(f"{name}\n" for name in new)), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1] if sys.argv[1:] else "build/site").resolve()))
