"""Tune the weights of a stager to a centre, in folds by person, and show what that gains.

    python main_finetune.py --init runs/lpsgm/best.safetensors --nights data/psg9/HANG7 \\
        --label diagnosis --out runs/lpsgm-hang7
    python main_finetune.py --init seqsleepnet-mass-eeg --nights data/seq3/SleepEDF --mode head \\
        --trim-minutes 30 --folds 20 --out runs/transfer

Every person is tested once, by weights that have not seen them: before tuning and after, with the
differences by person. Each fold is a run folder of its own (`fold0`, ...), which can be resumed,
with before.npz and after.npz for `main_evaluate.py`.
"""

from __future__ import annotations

import sys

from command_line import run
from engine.staging_settings import Tuning


def main(cfg: Tuning) -> int:
    """Tune, test before and after, print the table."""
    from engine.finetune_run import finetune_stager, gain_table

    if results := finetune_stager(cfg):
        sys.stdout.write(gain_table(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main, Tuning))
