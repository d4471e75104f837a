"""Curves as inline SVG: nothing to install, nothing to fetch."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import isfinite

WIDTH, HEIGHT, MARGIN = 300, 120, 24
#: Points of a curve: more than a screen shows would only make the notebook large.
POINTS = 300


def curve(title: str, values: Sequence[float]) -> str:
    """A curve with its last value, readable on light and dark pages."""
    shown = [value for value in values if isfinite(value)]
    stride = max(1, len(shown) // POINTS)
    shown = shown[::stride] + (shown[-1:] if stride > 1 else [])
    low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
    span = (high - low) or 1.0
    across = max(1, len(shown) - 1)
    points = " ".join(
        f"{MARGIN + (WIDTH - 2 * MARGIN) * place / across:.1f},"
        f"{HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - low) / span:.1f}"
        for place, value in enumerate(shown)
    )
    last = f"{shown[-1]:.3f}" if shown else "–"
    label = escape(f"{title}: {last}")
    return (
        f'<svg role="img" aria-label="{label}" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" xmlns="http://www.w3.org/2000/svg">'
        f'<text x="{MARGIN}" y="16" font-size="13" fill="currentColor">{label}</text>'
        f'<text x="2" y="{MARGIN + 6}" font-size="9" fill="currentColor">{high:.2f}</text>'
        f'<text x="2" y="{HEIGHT - MARGIN}" font-size="9" fill="currentColor">{low:.2f}</text>'
        f'<polyline fill="none" stroke="#2a7de1" stroke-width="1.6" points="{points}"/></svg>'
    )
