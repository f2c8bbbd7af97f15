"""Builds the docs as a web site (`make site`): the pages of the repository, and a reference.

The pages keep their places in the repository, so that a link that works there works on the site.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = ROOT / "target" / "site_pages"  # mkdocs.yml names it
SITE: Final = ROOT / "site"
BESIDE_DOCS: Final = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
    "experiments/README.md",
)
FETCHED: Final = re.compile(r'<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="?(?:https?:)?//')


def gather(pages: Path) -> None:
    """Put the pages of the site into a folder, made anew: docs, and a reference page per wing."""
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(ROOT / "docs", pages / "docs", ignore=shutil.ignore_patterns("*.py", "__*"))
    for name in BESIDE_DOCS:
        (pages / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, pages / name)
    (pages / "reference").mkdir()
    for package in sorted(ROOT.glob("msm_py/*/__init__.py")):
        wing = package.parent.name
        text = f"# msm_py.{wing}\n\n::: msm_py.{wing}\n"
        (pages / "reference" / f"{wing}.md").write_text(text, encoding="utf-8")


def faults() -> list[str]:
    """Return what strict building lets pass: pages in no menu, and what a browser would fetch."""
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [file.relative_to(PAGES).as_posix() for file in sorted(PAGES.rglob("*.md"))]
    return [
        *(f"{page} stands in no menu (nav of mkdocs.yml)" for page in pages if page not in menu),
        *(
            f"{file.relative_to(SITE)} would load from elsewhere: {found[0]}"
            for file in sorted(SITE.rglob("*.html"))
            for found in FETCHED.finditer(file.read_text(encoding="utf-8"))
        ),
    ]


def main() -> None:
    """Build the site; exit code 1 when a link is broken or a fault is found."""
    gather(PAGES)
    command = [Path(sys.executable).parent / "zensical", "build", "--strict", "--clean"]
    if code := subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit(code)
    if found := faults():
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
