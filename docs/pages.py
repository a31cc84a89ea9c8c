"""What the scripts that measure share: tables, and where they stand on a page."""

from __future__ import annotations

from pathlib import Path


def table(heads, rows):
    """A table in Markdown, columns of equal width."""
    cells = [[str(cell) for cell in row] for row in [heads, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))} |" for row in cells]
    lines.insert(1, f"| {' | '.join('-' * w for w in widths)} |")
    return "\n".join(lines)


def write(page: Path, script: str, section: str, text: str) -> None:
    """Print a section, and put it between its two markers on the page."""
    print(f"\n{text}\n")
    begin, end = f"<!-- {section}: written by {script} -->\n", f"<!-- end of {section} -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(f"{before}{begin}\n{text}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")
