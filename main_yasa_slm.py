"""YASA, then the language model of sleep: `main_stage_slm.py --stager yasa` under its own name."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    if any(word.startswith("--stager") for word in sys.argv[1:]):
        raise SystemExit(
            "this script stages with YASA; for others: main_stage_slm.py --stager NAME"
        )
    sys.argv[1:1] = ["--stager", "yasa"]
    runpy.run_path(str(Path(__file__).with_name("main_stage_slm.py")), run_name="__main__")
