"""`torchrun` with one process: its options are read as it reads them, then the script is run."""

from __future__ import annotations

import runpy
import sys

from torch.distributed.run import get_args_parser

options = get_args_parser().parse_args()
sys.argv = [options.training_script, *options.training_script_args]
sys.path.insert(0, "")
runpy.run_path(options.training_script, run_name="__main__")
