"""Tables and figures of an evaluation: on the screen, and as one HTML file that needs no other."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from evaluation.plots import encode
from nights.atomic import write_bytes, write_text

LOUD = "#9a1f5c"  # as the banner of the page


@dataclass(frozen=True)
class Table:
    """Figures that are read together: cells are text; `note` says what they mean."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def text(self) -> str:
        """Return the table for a screen: words left, everything after the first column right."""
        lines = [list(map(str, row)) for row in (self.head, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        shown = (
            "  ".join(
                cell.rjust(width) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )
        note = "".join(f"{line}\n" for line in textwrap.wrap(self.note, 100))
        return "\n".join([self.title, *shown]) + f"\n{note}"


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, the name of its PNG file, and what it shows in words."""

    name: str
    figure: Figure
    caption: str


def percent(value: float, digits: int = 1) -> str:
    """Return a share as a percentage without its sign, a dash when it is undefined."""
    return "–" if value != value else f"{100 * value:.{digits}f}"


def fixed(value: float, digits: int = 1, *, sign: bool = False) -> str:
    """Return a number with so many digits, a dash when it is undefined."""
    return "–" if value != value else f"{value:{'+' if sign else ''}.{digits}f}"


def screen(tables: Sequence[Table], warnings: Sequence[str] = ()) -> str:
    """Return all tables as text, what a reader must know first on top."""
    return "\n".join([*(f"NOTE: {warning}\n" for warning in warnings), *(t.text() for t in tables)])


def write_summary(
    folder: Path,
    title: str,
    parts: Sequence[Table | Picture],
    warnings: Sequence[str] = (),
    command: str = "",
    stamp: str = "",
) -> None:
    """Write every picture as a PNG and all parts as `summary.html`.

    Parameters
    ----------
    folder : Path
        Of the evaluation.
    title : str
        Of the page.
    parts : sequence of Table or Picture
        In their order on the page.
    warnings : sequence of str
        What a reader must know first, such as that nights are simulated.
    command : str
        What gives the same page again.
    stamp : str
        Printed on every picture, which may be seen without its page.
    """
    import jinja2

    images = {}
    for part in parts:
        if isinstance(part, Picture):
            part.figure.text(0.003, 0.997, stamp, va="top", fontsize=7, color=LOUD)
            png = encode(part.figure, "png", dpi=130)
            write_bytes(folder / f"{part.name}.png", png)
            images[part.name] = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # names of nights and stagers come from files: none may become markup
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("summary.html.j2").render(
        title=title, parts=parts, images=images, warnings=warnings, command=command
    )
    write_text(folder / "summary.html", page)
