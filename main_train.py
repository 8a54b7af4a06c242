"""Train a stager from scratch on stored nights.

    python main_train.py --model lpsgm --preset paper --nights data/psg9 --out runs/lpsgm
    python main_train.py --model lpsgm --preset paper --nights data/psg9 --hold-out HANG7
    python main_train.py --model seqsleepnet --nights data/seq3/MASS --split mass20 --fold 3
    torchrun --nproc-per-node 4 main_train.py --model lpsgm --nights data/psg9 --precision bf16

Nobody is on two sides. The run folder gets config.json, env.json, splits/, log.jsonl, last.pt,
best.safetensors with its card best.json (`main_stage_slm.py --stager` takes it as it is), test.npz
(what it said of the test nights, for `main_evaluate.py`) and results.json.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from command_line import run
from engine.staging_settings import Settings


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """Train a stager from scratch; what is not given is as the recipe says (engine/recipes.py)."""

    model: str = "lpsgm"  # a stager of the registry
    # paper, script (where a paper's code differs), trial (a processor, minutes), or a preset of the
    # model, such as paper-10 of seqsleepnet
    preset: str = "paper"
    field: tuple[str, ...] = ()  # KEY=VALUE of the model's configuration: architecture=cat_avg
    classes: Literal[5, 4] = 5  # 5: W N1 N2 N3 R; 4: W L D R
    init: str = ""  # weights of the first step, of a model that is trained in two (deepsleepnet)
    out: Path = Path("runs/train")  # run folder; one that holds a run is refused without --resume
    # --- who is trained and tested on
    split: str = ""  # splits/NAME.json of the store, or a file; drawn by person when empty
    fold: int = 0  # of the split
    # data sets, or parts of one such as SHHS-2, that are tested and never trained on
    hold_out: tuple[str, ...] = ()
    test_share: float = 0.1  # share of the persons tested; with --hold-out nobody else is


def main(cfg: Config) -> int:
    """Train, test, print the table."""
    from engine.staging_run import table, train_stager

    results = train_stager(
        cfg,
        model=cfg.model,
        preset=cfg.preset,
        fields=cfg.field,
        classes=cfg.classes,
        init=cfg.init,
        split=cfg.split,
        fold=cfg.fold,
        hold_out=cfg.hold_out,
        test_share=cfg.test_share,
        out=cfg.out,
    )
    if results:  # the first of several processes alone tests
        sys.stdout.write(table(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main, Config))
