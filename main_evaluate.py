"""Judge what others can rerun: stagers, scorers, corrections, language models on anyone's nights.

python main_evaluate.py staging --predictions stager.npz
python main_evaluate.py compare ours.npz theirs.npz
python main_evaluate.py scorers several_scorers.npz
python main_evaluate.py correction --outputs stager.npz
python main_evaluate.py language --weights sleepgpt-night-open --hypnograms scorings
python main_evaluate.py night scored_by_hand.xml runs/stage/night
python main_evaluate.py cohort runs/stage
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from command_line import dump, run_command
from evaluation.settings import Cohort, Compare, Correction, Language, Night, Scorers, Staging


def staging(cfg: Staging) -> int:
    """Judge each stager on its scored nights."""
    from evaluation.commands import evaluate_stagers
    from evaluation.outputs import first_nights
    from staging.scored import read_stagers

    stagers = read_stagers(cfg.predictions, cfg.scorings, person_letters=cfg.person_letters)
    if cfg.dry_run:
        stagers = {name: first_nights(nights, 2) for name, nights in stagers.items()}
    told = evaluate_stagers(stagers, cfg.out, n_folds=cfg.n_folds, seed=cfg.seed)
    return _done(cfg, told)


def compare(cfg: Compare) -> int:
    """Compare two stagers on the same nights."""
    from evaluation.commands import evaluate_pair
    from evaluation.outputs import first_nights
    from staging.scored import read_stagers

    paths = (cfg.first, cfg.second)
    stagers = read_stagers(paths, cfg.scorings, person_letters=cfg.person_letters, corrected=True)
    if cfg.dry_run:
        stagers = {name: first_nights(nights, 2) for name, nights in stagers.items()}
    return _done(cfg, evaluate_pair(stagers, cfg.out, seed=cfg.seed))


def scorers(cfg: Scorers) -> int:
    """Judge scorers and stagers alike."""
    from evaluation.commands import evaluate_scorers
    from evaluation.outputs import read_outputs
    from evaluation.scorers import first_of_each, read_scored, with_stager

    nights = read_scored(cfg.scorings)
    nights = first_of_each(nights, 2) if cfg.dry_run else nights
    for path in cfg.predictions:
        nights = with_stager(nights, path.stem, read_outputs(path))
    return _done(cfg, evaluate_scorers(nights, cfg.out, n_voters=cfg.voters or None, seed=cfg.seed))


def correction(cfg: Correction) -> int:
    """Try each way of correction."""
    import torch

    from staging.trial import evaluate_correction

    torch.set_num_threads(cfg.threads)
    return _done(cfg, evaluate_correction(**_settings(cfg)))


def language(cfg: Language) -> int:
    """Judge language models on nights that none was trained with."""
    import torch

    from engine.language import evaluate_language

    torch.set_num_threads(cfg.threads)
    return _done(cfg, evaluate_language(**_settings(cfg)))


def night(cfg: Night) -> int:
    """Lay two scorings of one night side by side."""
    from evaluation.comparison_page import write_comparison
    from evaluation.metrics import metrics_from
    from staging.scored import read_pair

    pair = read_pair(cfg.first, cfg.second)
    write_comparison(pair, cfg.out / "comparison.html")
    found = metrics_from(pair.confusion)
    told = f"kappa {found['kappa']:.3f}, accuracy {found['accuracy']:.3f}, "
    return _done(cfg, f"{told}{found['n_epochs']:.0f} epochs\n{cfg.out / 'comparison.html'}\n")


def cohort(cfg: Cohort) -> int:
    """Show a folder of staged nights on one page."""
    from evaluation.cohort_page import PAGE, write_cohort
    from staging.scored import read_cohort

    found, out = read_cohort(cfg.folder, 2 if cfg.dry_run else None), cfg.out or cfg.folder
    if cfg.out:
        way = Path(os.path.relpath(cfg.folder, cfg.out))
        links = {f["night"]: str(way / f["night"] / "report.html") for f in found.nights}
        found = replace(found, links=links)
    write_cohort(found, out / PAGE)
    told = f"{len(found.nights)} nights, {len(found.refusals)} refused"
    sys.stdout.write(f"{told}\n{out / PAGE}\n")
    return 0


def _settings(cfg: Any) -> dict[str, Any]:
    """Return what decides a result: every field but those of the machine."""
    return {name: v for name, v in vars(cfg).items() if name not in ("threads", "device")}


def _done(cfg: Any, told: str) -> int:
    """Write config.json, which runs the same again, and print the tables."""
    dump(cfg, cfg.out / "config.json")
    sys.stdout.write(told)
    return 0


COMMANDS: dict[str, tuple[type, Callable[[Any], int]]] = {
    "staging": (Staging, staging),
    "compare": (Compare, compare),
    "scorers": (Scorers, scorers),
    "correction": (Correction, correction),
    "language": (Language, language),
    "night": (Night, night),
    "cohort": (Cohort, cohort),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command named by the first word."""
    return run_command(COMMANDS, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
