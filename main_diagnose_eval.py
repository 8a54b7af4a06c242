"""Judge models of `main_diagnose_cv.py` on nights of another place; nothing is fitted here.

    python main_diagnose_eval.py --run runs/mnc --question hang7-narcolepsy --nights data/psg9/HANG7
    python main_diagnose_eval.py --run runs/mine --labels theirs.csv --nights their/scorings

The run folder gets config.json, predictions.csv, results.json, figures and summary.html.
"""

from __future__ import annotations

import sys

from command_line import run
from engine.diagnosis.settings import External


def main(cfg: External) -> int:
    """Ask the models and print the tables."""
    from engine.diagnosis.run import evaluate_external

    sys.stdout.write(evaluate_external(cfg))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main, External))
