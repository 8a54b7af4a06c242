"""The commands that README.md and the pages of docs/ tell people to type, in the order told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
SHELL = ("bash", "sh", "")
# A block with one of these is typed as a whole: a line of it sets what a later one uses
TOGETHER = re.compile(r"^(?:export |read |mkdir |\w+=\$\()", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code of a page.

    Parameters
    ----------
    page : str
        Path below the root.
    language : str
        What stands behind the opening marks.
    text : str
        Its lines.
    named : str
        The file that the words before it name last; a script is kept under that name.
    """

    page: str
    language: str
    text: str
    named: str

    @property
    def is_script(self) -> bool:
        """Whether it is the text of a file rather than something to type."""
        return self.text.startswith("#!")

    @property
    def commands(self) -> tuple[str, ...]:
        """What is typed, without comments; nothing for text of other languages and scripts."""
        if self.language not in SHELL or self.is_script:
            return ()
        lines = (without_comment(line) for line in self.text.replace("\\\n", " ").splitlines())
        typed = tuple(re.sub(r" +", " ", line) for line in lines if line)
        return ("\n".join(typed),) if TOGETHER.search(self.text) else typed


def without_comment(line: str) -> str:
    """Return a line of shell without the comment behind it."""
    return re.sub(r"(?:^|\s+)# .*$", "", line).strip()


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page."""
    text, before = page.read_text(encoding="utf-8"), 0
    for found in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        named = re.findall(r"`([\w./-]+)`", text[before : found.start()])
        name = str(page.relative_to(ROOT))
        yield Block(name, found[1], found[2], named[-1] if named else "")
        before = found.end()


def commands(page: Path) -> tuple[str, ...]:
    """Return every command of a page."""
    return tuple(command for block in blocks(page) for command in block.commands)
