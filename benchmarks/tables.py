"""Tables in Markdown, and the ratios in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.contest import Result


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Columns of equal width, so that it reads well as text too; numbers to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(heads), *cells]) for i in range(len(heads))]
    right = [
        i > 0 and any(row[i] for row in cells) and all(_number(row[i]) for row in cells) for i in range(len(heads))
    ]

    def line(row: Sequence[str]) -> str:
        padded = [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = [f"{'-' * (w - 1)}{':' if r else '-'}" for w, r in zip(widths, right, strict=True)]
    return "\n".join([line(heads), line(rule), *map(line, cells)])


def _number(cell: str) -> bool:
    return re.fullmatch(r"[—+−<]?[\d.,]*%?( [(±].*)?", cell) is not None


def seconds(value: float) -> str:
    """With three digits that mean something."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.{2 if value >= 1 else 3 if value >= 0.1 else 4}f}"


def best_peer(results: Iterable[Result]) -> Result | None:
    """The fastest contestant that is not glassnet and does the workload as it stands."""
    able = [result for result in results if not (result.ours or result.missing or result.note)]
    return min(able, key=lambda result: result.median, default=None)


def contest_table(results: Sequence[Result]) -> str:
    """A line for each contestant: times of an epoch, the best peer's over its own, accuracy, what is to be said."""
    best = best_peer(results)
    rows = []
    for result in results:
        if result.missing:
            rows.append([result.name, *["—"] * 6, f"missing: {result.missing}"])
            continue
        ratio = "" if best is None else f"{best.median / result.median:.2f}"
        accuracy = "—" if result.accuracy is None else f"{result.accuracy:.4f}"
        rows.append(
            [
                result.name,
                seconds(result.median),
                seconds(min(result.quiet)),
                seconds(max(result.quiet)),
                ratio,
                accuracy,
                seconds(result.setup),
                "; ".join(remarks(result)),
            ]
        )
    heads = ["", "s an epoch, median", "least", "most", "times the best peer", "test accuracy", "set-up, s", "remarks"]
    return table(heads, rows)


def remarks(result: Result) -> list[str]:
    """What a reader must know of a result."""
    said = [result.note] if result.note else []
    if result.part < 1:
        said.append(f"turns of {result.part:.0%} of the others', accuracy after {result.epochs:.2g} epochs")
    spoiled = sum(result.disturbed)
    if spoiled == len(result.disturbed):
        said.append("every turn disturbed by other processes")
    elif spoiled:
        said.append(f"{spoiled} disturbed turns left out")
    return said
