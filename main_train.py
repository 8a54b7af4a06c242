"""Train a stager from scratch on stored nights.

    python main_train.py --model lpsgm --preset paper --nights data/psg9 --out runs/lpsgm
    python main_train.py --model lpsgm --nights data/psg9 --hold-out HANG7 SYSU
    python main_train.py --model wav2sleep --nights data/cr --subsets --writers mlflow
    python main_train.py --model seqsleepnet --nights data/seq3/MASS --split mass20
    torchrun --nproc-per-node 4 main_train.py --model lpsgm --nights data/psg9 --precision bf16

Nobody is on two sides. The run folder gets config.json, env.json, splits/, log.jsonl, last.pt,
best.safetensors with its card best.json (`main_stage_slm.py --stager` takes it as it is), test.npz
(what it said of the test nights, for `main_evaluate.py staging`) and results.json; with --subsets
also subsets.npz. Of a split with folds each has such a folder, and the figures are pooled.
"""

from __future__ import annotations

import sys

from command_line import run
from engine.staging_settings import Training


def main(cfg: Training) -> int:
    """Train, test, print the table."""
    from engine.staging_results import table
    from engine.staging_run import train_stager

    if results := train_stager(cfg):
        sys.stdout.write(table(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main, Training))
