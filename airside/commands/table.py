"""Aligned columns for a person's eyes."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, right: str = "") -> str:
    """Columns two blanks apart. ``right``: one letter a column, ``r`` where it is flushed right (numbers)."""
    cells = [list(head), *([str(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    flush_right = [right[column : column + 1] == "r" for column in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, flush_right, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join(lines)
