"""Published weights: list, get, verify, convert.

python main_weights.py list
python main_weights.py get sleepgpt-shhs-90
python main_weights.py get sleepgpt-shhs-90 --source file:/media/stick/90_48_3_6.pth.tar
python main_weights.py verify
python main_weights.py convert tinysleepnet-sleepedf
"""

from __future__ import annotations

from dataclasses import dataclass

from command_line import parse

ACTIONS = ("list", "get", "verify", "convert")


@dataclass(frozen=True)
class Config:
    """List, get, verify or convert published weights.

    The first word is what to do, the others are names of weights; `verify` without names takes all.
    Fetched files lie in weights/cache, or in the folder NIGHTSTACK_WEIGHTS.
    """

    what: tuple[str, ...]  # list | get NAME... | verify [NAME...] | convert NAME...
    source: str = ""  # another address than the published one: a mirror, file:/path, or a path
    dry_run: bool = False  # say what would be done, touch nothing

    def __post_init__(self) -> None:
        action, names = self.what[0], self.what[1:]
        if action not in ACTIONS:
            raise ValueError(f"{action!r} is none of {', '.join(ACTIONS)}")
        if action in ("get", "convert") and not names:
            raise ValueError(f"{action}: name the weights; `list` shows them")
        if self.source and (action != "get" or len(names) != 1):
            raise ValueError("--source goes with `get` and one name")


def main(cfg: Config) -> int:
    """Do it for each name; 0 only if all went well."""
    from engine import weights

    action, names = cfg.what[0], cfg.what[1:]
    if action == "list":
        print(listing())
        return 0
    failed = 0
    for name in names or weights.manifest():
        try:
            print(f"{name}: {act(action, name, cfg)}")
        except ValueError as error:
            failed += 1
            print(error)
    return int(failed > 0)


def act(action: str, name: str, cfg: Config) -> str:
    """Get, verify or convert one set of weights and say what came of it."""
    from engine import weights

    if action == "verify":
        return weights.verify(name)
    entry = weights.entry(name)
    if cfg.dry_run:
        return f"would {action} {cfg.source or entry.address or entry.path}"
    path = weights.get(name, cfg.source) if action == "get" else weights.convert(name)
    return f"{path} ({path.stat().st_size:,} bytes, {entry.licence})"


def listing() -> str:
    """Return the table of all weights."""
    from engine import weights

    rows = [("name", "model", "licence", "here", "source")]
    for entry in weights.manifest().values():
        here = "in the tree" if entry.in_tree else "yes" if entry.path.exists() else "no"
        rows.append((entry.name, entry.model, entry.licence, here, entry.source))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[4]])
        for row in rows
    )


if __name__ == "__main__":
    raise SystemExit(main(parse(Config)))
