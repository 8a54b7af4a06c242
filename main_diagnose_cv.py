"""Diagnose from nights, cross-validated by person: encoders side by side under one protocol.

    python main_diagnose_cv.py --question simulated-narcolepsy --out runs/trial
    python main_diagnose_cv.py --question dod-apnea --data ../shared/data --out runs/dod
    python main_diagnose_cv.py --question mnc --nights data/psg9/MNC --encoders lpsgm htn \\
        --backbone runs/lpsgm/best.safetensors --out runs/mnc
    python main_diagnose_cv.py --labels mine.csv --nights my/scorings --out runs/mine

The run folder gets config.json, splits/, the models of every fold, predictions.csv, results.json,
figures and summary.html. What is confounded with the label is said first.
"""

from __future__ import annotations

import sys

from command_line import run
from engine.diagnosis.settings import CrossValidation


def main(cfg: CrossValidation) -> int:
    """Cross-validate and print the tables."""
    from engine.diagnosis.run import cross_validate

    sys.stdout.write(cross_validate(cfg))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main, CrossValidation))
