"""What all figures share: colours, letters, and how a figure becomes a file.

Everything is drawn with Matplotlib's objects (no pyplot, no global state), so figures can be made
in any thread.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from nights.atomic import write_bytes

# One colour per stage everywhere: warm for wake, red for REM, a blue that darkens with depth. The
# steps in lightness keep them apart for red-green and blue-yellow blindness (held by a test).
COLOURS = {
    "W": "#f2b84b",
    "R": "#c4304f",
    "N1": "#b5d9ee",
    "N2": "#5b9bd0",
    "N3": "#1c3f78",
    "L": "#5b9bd0",
    "D": "#1c3f78",
}
TOP_TO_BOTTOM = ("W", "R", "N1", "N2", "N3", "L", "D")  # AASM manual: W, R, N1, N2, N3 downwards
INK, FAINT, CHANGED = "#2b2f36", "#9aa1ab", "#111111"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "none",  # text stays text: small files that can be searched
    "svg.hashsalt": "nightstack",  # the same night gives the same bytes
}


def save_figure(figure: Figure, path: Path, *, dpi: int = 150) -> None:
    """Write a figure as PNG, SVG or PDF, chosen by the suffix of `path`."""
    write_bytes(path, encode(figure, path.suffix.lstrip(".").lower(), dpi=dpi))


def encode(figure: Figure, kind: str, *, dpi: int = 150) -> bytes:
    """Return a figure as the bytes of a `png`, `svg` or `pdf` file, the same for the same night."""
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    if kind not in undated:
        raise ValueError(f"figures are written as {', '.join(undated)}, not {kind!r}")
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=undated[kind])
    return buffer.getvalue()


def small_png(figure: Figure, *, dpi: int = 110, colours: int = 16) -> bytes:
    """Return a line drawing as a PNG of few colours, about a fifth of the size of a full one."""
    from PIL import Image

    full = Image.open(io.BytesIO(encode(figure, "png", dpi=dpi))).convert("RGB")
    buffer = io.BytesIO()
    full.quantize(colours).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def shown(unit: str) -> str:
    """Return a unit as it is printed: uV becomes the micro sign and V."""
    return unit.replace("uV", "µV")
