"""Every stager of the registry, trained for the same time of one core on simulated nights.

    bash train.sh simulated                        # makes the nights: two hours each, 12 + 4 people
    python -m benchmarks.stagers_on_simulated --nights data --out runs/stagers_on_simulated

Each is trained by the recipe `trial`, with the sizes of its paper, and judged on the same four
people of a laboratory it never saw; the majority guess and a logistic regression on band powers
stand beside. The nights are simulated: no person slept them. The table tells that the code learns
and what it costs, never which stager is the better one: on real nights, with days of training, the
order is another.

The folder OUT keeps one run per stager; a finished one is not done again, so that
`--stagers lpsgm:small seqsleepnet` can be run side by side. Table, JSON and figure hold all there
are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import table
from command_line import run

ONE = ("C4",)
THREE = ("C4", "EOGh", "Chin")
# Of nine derivations of LPSGM three are trained on, the kinds that SeqSleepNet reads
GIVEN = {"lpsgm": ("C4", "E1", "Chin")}
MORE = (("lpsgm", "small"),)  # presets beside the first of every stager
SIMULATED = "Simulated nights: no person slept them."


@dataclass(frozen=True)
class Config:
    """Train every stager for the same CPU time on simulated nights and judge it on others."""

    nights: Path = Path("data")  # parent of the stores that `bash train.sh simulated` made
    hold_out: tuple[str, ...] = ("Simulated-BAR",)  # tested, never trained on
    cpu_seconds: float = 60.0  # of one core, for the steps of each training
    stagers: tuple[str, ...] = ()  # NAME or NAME:PRESET; default: every one
    out: Path = Path("runs/stagers_on_simulated")  # runs, table.md, results.json
    figure: Path | None = None  # PNG of kappa and cost
    seed: int = 0  # of split, weights and windows


def main(cfg: Config) -> int:
    """Train what is not trained yet, and write the table of all."""
    import torch

    torch.set_num_threads(1)
    for name, preset in wanted(cfg.stagers):
        if not (cfg.out / f"{name}_{preset}.json").exists():
            train_one(cfg, name, preset)
    rows = [json.loads(path.read_text("utf-8")) for path in sorted(cfg.out.glob("*_*.json"))]
    beside = references(cfg)
    told = {"simulated": True, "cpu_seconds": cfg.cpu_seconds, "stagers": rows, "beside": beside}
    shown = markdown(cfg, rows, beside)
    write(cfg, told, shown)
    sys.stdout.write(shown)
    return 0


def wanted(asked: Sequence[str]) -> list[tuple[str, str]]:
    """Return (name, preset) of the stagers asked for: the first preset of each, and `MORE`."""
    import models
    from benchmarks.stager_trials import LARGEST, n_parameters

    first = [(name, next(iter(models.presets(name)))) for name in models.stagers()]
    if not asked:
        return sorted([*(p for p in first if n_parameters(*p) <= LARGEST), *MORE])
    default = dict(first)
    pairs = [text.partition(":")[::2] for text in asked]
    return [(name, preset or default[name]) for name, preset in pairs]


def train_one(cfg: Config, name: str, preset: str) -> None:
    """Train one stager and write what came of it."""
    import models
    from benchmarks.stager_trials import open_nights, trial, view_of
    from nights.atomic import write_text

    view = view_of(models.create(name, **vars(models.presets(name)[preset])))
    nights = open_nights(cfg.nights, view, cfg.hold_out, seed=cfg.seed)
    done = trial(
        name,
        preset,
        nights,
        cfg.out / f"{name}_{preset}",
        cpu_seconds=cfg.cpu_seconds,
        channels=GIVEN.get(name, ()),
        seed=cfg.seed,
    )
    facts = {"stager": name, "preset": preset, "view": view.name, **asdict(done)}
    write_text(cfg.out / f"{name}_{preset}.json", json.dumps(facts, indent=2) + "\n")


def references(cfg: Config) -> list[dict[str, Any]]:
    """Return what the majority guess and logistic regressions reach on the same nights."""
    from benchmarks.stager_trials import logistic_regression, majority, open_nights
    from recordings.views import VIEWS

    nights = open_nights(cfg.nights, VIEWS["bb100"], cfg.hold_out, seed=cfg.seed)
    found = {"majority guess": ((), majority(nights))}
    for channels in (ONE, THREE):
        scores = logistic_regression(nights, channels)
        found[f"band powers, {len(channels)} channel{'s'[: len(channels) - 1]}"] = channels, scores
    metrics = ("accuracy", "kappa", "macro_f1")
    return [
        {"name": name, "channels": channels, **{m: float(scores[m]) for m in metrics}}
        for name, (channels, scores) in found.items()
    ]


def markdown(cfg: Config, rows: Sequence[dict[str, Any]], beside: Sequence[dict[str, Any]]) -> str:
    """Return the table, the best kappa first."""
    lines: list[list[Any]] = []
    for row in sorted(rows, key=lambda row: -row["scores"]["kappa"]):
        name = row["stager"] + ("" if row["preset"].startswith("paper") else f", {row['preset']}")
        scores = [f"{100 * row['scores'][metric]:.1f}" for metric in ("kappa", "macro_f1")]
        falls = f"{row['losses'][0]:.2f} to {row['losses'][-1]:.2f}"
        sizes = [f"{row['n_parameters'] / 1e6:.2f}", row["step_s"], row["n_steps"], falls]
        lines.append(
            [name, " ".join(row["channels"]), *scores, *sizes, row["cpu_s"] / 60, row["night_s"]]
        )
    for row in beside:
        scores = [f"{100 * row[metric]:.1f}" for metric in ("kappa", "macro_f1")]
        lines.append([row["name"], " ".join(row["channels"]), *scores, *[""] * 6])
    head = [
        "stager",
        "reads",
        "kappa",
        "macro F1",
        "parameters, million",
        "CPU s per step",
        "steps",
    ]
    head += ["loss", "CPU minutes of training", "CPU s per night of 8 h"]
    title = f"{cfg.cpu_seconds:.0f} CPU seconds of steps each, simulated nights"
    note = "Percent, on the held-out simulated nights. Minutes are those of steps and validations."
    return f"{table(title, head, lines)}\n{SIMULATED} {note}\n"


def write(cfg: Config, told: dict[str, Any], shown: str) -> None:
    """Write table, JSON and, where asked for, the figure."""
    from nights.atomic import write_text

    write_text(cfg.out / "table.md", shown)
    write_text(cfg.out / "results.json", json.dumps(told, indent=2) + "\n")
    if cfg.figure:
        from evaluation.plots import save_figure

        save_figure(draw(told["stagers"], told["beside"]), cfg.figure)


def draw(rows: Sequence[dict[str, Any]], beside: Sequence[dict[str, Any]]) -> Any:
    """Draw kappa of each stager, a row each, with the CPU seconds of a night beside it."""
    from matplotlib.figure import Figure

    ordered = sorted(rows, key=lambda row: row["scores"]["kappa"])
    figure = Figure(figsize=(8, 0.9 + 0.3 * len(ordered)), layout="constrained")
    axes = figure.add_subplot(xlim=(-0.05, 1.12))
    names = []
    for place, row in enumerate(ordered):
        kappa, preset = row["scores"]["kappa"], row["preset"]
        axes.plot(kappa, place, "o", color="#2b5c8a")
        axes.annotate(f"  {row['night_s']:.2g} s", (kappa, place), va="center", size=8)
        names.append(row["stager"] + ("" if preset.startswith("paper") else f", {preset}"))
    for row in beside:
        axes.axvline(row["kappa"], color="#9a1f5c", lw=0.8, ls="--")
    told = "; ".join(f"{row['name']} {row['kappa']:.2f}" for row in beside)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel(
        f"kappa, held-out simulated nights; CPU seconds a night\ndashed: {told}", size=8
    )
    axes.set_title("Stagers after the same CPU time on SIMULATED nights", size=10)
    axes.grid(axis="x", color="#e8eaee")
    return figure


if __name__ == "__main__":
    raise SystemExit(run(main, Config))
