"""Learn staging, apnea or hypopnea from few labels on weights of `main_pretrain.py`.

    python main_probe.py --init runs/synthsleepnet --nights data/shhs7/SHHS --out runs/probe \\
        --fractions 0.01 0.05 0.1 0.5 1
    python main_probe.py --init runs/synthsleepnet --nights data/shhs7/SHHS --mode tune \\
        --context 20 --task apnea --out runs/apnea
    python main_probe.py --init runs/synthsleepnet --nights data/shhs7/SHHS --export features

Only people whom the encoder has not seen are tested, each once. Beside accuracy stand the figures
that rare classes need; test.npz holds the probabilities of every epoch. `--export` writes the
embedding of every epoch for other people's work, and a picture.
"""

from __future__ import annotations

import sys

from command_line import run
from engine.probing_settings import Probing


def main(cfg: Probing) -> int:
    """Export embeddings, or learn, test and print the table."""
    from engine.probing_results import table
    from engine.probing_run import export, probe

    if cfg.export is not None:
        if features := export(cfg):
            nights, dim = len(features.manifest["nights"]), features.manifest["dim"]
            sys.stdout.write(f"{cfg.export}: {nights} nights, {dim} numbers an epoch\n")
    elif results := probe(cfg):
        sys.stdout.write(table(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main, Probing))
