"""The frame of every report: one HTML page with its style inside and nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

STYLE = Path(__file__).with_name("page.css")

Section = tuple[str, str, str]  # title, lead, body


def page(
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    footer: str,
    facts: Sequence[tuple[str, str]] = (),
    made_by: str = "python -m eval.road",
) -> str:
    """Sections without a body are left out; titles, leads, ``footer`` and ``facts`` (figure, words) are text, bodies
    are HTML already."""
    boxes = "".join(f'<div class="fact"><b>{escape(a)}</b><span>{escape(b)}</span></div>' for a, b in facts)
    kept = [section for section in sections if section[2]]
    shown = "".join(f"<section><h2>{escape(name)}</h2>{_lead(lead)}{body}</section>" for name, lead, body in kept)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} – airside</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE.read_text()}</style></head>'
        f"<body><main><header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></header>"
        + (f'<div class="facts">{boxes}</div>' if boxes else "")
        + f"{shown}<footer>{escape(footer)}. Made by airside, {escape(made_by)}.</footer></main></body></html>\n"
    )


def _lead(words: str) -> str:
    return f'<p class="lead">{escape(words)}</p>' if words else ""
