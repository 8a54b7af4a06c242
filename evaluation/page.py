"""What all pages share: one look, numbers as a reader wants them, pictures inside the page."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any
from urllib.parse import quote

from evaluation.plots import COLOURS
from nights.hypnogram import Hypnogram

PURPOSE = "For research. This is not a medical device and no basis for a diagnosis or a treatment."


def render_page(template: str, **values: Any) -> str:
    """Return a page as text, from a template of this folder; the same values give the same text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # labels and names come from files: none may become markup
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "share": share}
    page = environment.get_template(template)
    return page.render(purpose=PURPOSE, nan=math.nan, colours=COLOURS, **values)


def number(value: float) -> str:
    """Return a number as a reader wants it: whole when it is, a dash when there is none."""
    if not math.isfinite(value):
        return "–"
    if float(value).is_integer():
        return f"{int(value)}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.3g}"


def share(value: float) -> str:
    """Return a probability as a percentage, a dash when there is none."""
    return "–" if not math.isfinite(value) else f"{100 * value:.0f} %"


def epoch_place(hypnogram: Hypnogram, epoch: int) -> dict[str, Any]:
    """Return number (from 1, as scoring programs count) and clock time of an epoch."""
    clock = hypnogram.clock(epoch)
    seconds = int(hypnogram.onset_s + epoch * hypnogram.epoch_s)
    since = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return {"number": epoch + 1, "time": f"{clock:%H:%M:%S}" if clock else since}


def epoch_words(hypnogram: Hypnogram, epoch: int) -> str:
    """Return number and clock time of an epoch in words."""
    told = epoch_place(hypnogram, epoch)
    return f"Epoch {told['number']} ({told['time']})"


def png_address(png: bytes) -> str:
    """Return a PNG as a data address."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def svg_address(svg: bytes) -> str:
    """Return an SVG as a data address; as an image it can neither run scripts nor clash in ids."""
    return "data:image/svg+xml," + quote(svg, safe=" /:=,;@!$()*+?")
