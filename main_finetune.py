"""Tune the weights of a stager to a centre, in folds by person, and show what that gains.

    python main_finetune.py --init runs/lpsgm/best.safetensors --nights data/psg9/HANG7 \\
        --label diagnosis --out runs/lpsgm-hang7
    python main_finetune.py --init seqsleepnet-mass-eeg --nights data/seq3/SleepEDF \\
        --channels EEG --mode head --trim-minutes 30 --out runs/transfer

Every person is tested once, by weights that have not seen them: before tuning and after, with the
differences by person. Each fold is a run folder of its own (`fold0`, ...), which can be resumed,
with before.npz and after.npz for `main_evaluate.py`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from command_line import run
from engine.staging_settings import Settings


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """Tune weights to a centre; what is not given is as the recipe says (engine/recipes.py)."""

    init: str = ""  # weights by name (main_weights.py list) or a .safetensors file
    # which parts are trained: all; head (softmax only); sequence, epoch (each with the head) where
    # the model has them
    mode: str = "all"
    out: Path = Path("runs/finetune")  # gets config.json, results.json and a folder for each fold
    folds: int = 5  # by person, every person tested once
    fold: tuple[int, ...] = ()  # run these folds only, from 0
    label: str = ""  # divide each value of this label alike, such as a diagnosis
    split: str = ""  # splits/NAME.json of the store, or a file, instead of drawn folds

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.init:
            raise ValueError("--init NAME|FILE is wanted: the weights to begin with")


def main(cfg: Config) -> int:
    """Tune, test before and after, print the table."""
    from engine.finetune_run import finetune_stager, table

    results = finetune_stager(
        cfg,
        init=cfg.init,
        mode=cfg.mode,
        n_folds=min(2, cfg.folds) if cfg.dry_run else cfg.folds,
        only=(0,) if cfg.dry_run else cfg.fold,
        label=cfg.label,
        split=cfg.split,
        out=cfg.out,
    )
    if results:  # the first of several processes alone tests
        sys.stdout.write(table(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main, Config))
