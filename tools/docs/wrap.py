"""Re-wrap the prose of the Markdown pages at 120 columns: `python tools/docs/wrap.py [--check]`.

Tables, code, headings, pictures, quotations and formulas stay as they are; a list item is wrapped under its own indent.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
WIDTH = 120
_ITEM = re.compile(r"^(\s*)([-*]|\d+\.)\s+")
_KEPT = re.compile(r"^\s*(\||#|!\[|>|<|\$\$|:::|!!!|\[\^|---|    \S)")


def pages() -> list[Path]:
    """Every page of prose."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def wrapped(text: str) -> str:
    """The page with its prose wrapped."""
    out: list[str] = []
    paragraph: list[str] = []
    fenced = formula = False
    for line in text.split("\n"):
        opens = line.lstrip().startswith("```")
        closes = formula and line.rstrip().endswith(("$$", "$$,", "$$."))
        begins = not formula and line.startswith("$$")
        kept = bool(_KEPT.match(line)) and not (paragraph and line.startswith("    "))
        if fenced or opens or formula or begins or kept or not line.strip():
            out += _flush(paragraph)
            out.append(line)
        else:
            if _ITEM.match(line):
                out += _flush(paragraph)
            paragraph.append(line)
        fenced ^= opens
        formula = (formula or (begins and line.count("$$") == 1)) and not closes
    return "\n".join([*out, *_flush(paragraph)])


def _flush(paragraph: list[str]) -> list[str]:
    if not paragraph:
        return []
    lines = paragraph[:]
    paragraph.clear()
    item = _ITEM.match(lines[0])
    indent = " " * len(item[0]) if item else re.match(r"\s*", lines[0])[0]  # type: ignore[index]
    lead = item[0] if item else indent
    words = " ".join(line.strip() for line in lines)[len(lead.strip()) :].split() if item else " ".join(lines).split()
    if all(len(line) <= WIDTH for line in lines):
        return lines
    return textwrap.wrap(
        " ".join(words),
        WIDTH,
        initial_indent=lead,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def main() -> int:
    """Wrap, or with --check list the pages that are not wrapped. Returns the exit code."""
    changed = [
        page for page in pages() if wrapped(page.read_text(encoding="utf-8")) != page.read_text(encoding="utf-8")
    ]
    for page in changed:
        print(page.relative_to(ROOT))
        if "--check" not in sys.argv:
            page.write_text(wrapped(page.read_text(encoding="utf-8")), encoding="utf-8")
    return int(bool(changed) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
