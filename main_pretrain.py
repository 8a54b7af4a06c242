"""Pre-train NeuroNet on one modality, or SynthSleepNet on several, without labels.

    python main_pretrain.py --preset eeg --nights data/shhs7/SHHS --out runs/neuronet-eeg
    python main_pretrain.py --model synthsleepnet --preset paper --nights data/shhs7/SHHS \\
        --encoders EEG=runs/neuronet-eeg EOG=runs/neuronet-eog ECG=runs/neuronet-ecg \\
        EMG=runs/neuronet-emg --out runs/synthsleepnet

The run folder gets config.json, env.json, splits/, log.jsonl, last.pt and best.safetensors with its
card best.json; `main_probe.py --init` takes it from there. Signals are read from nights of view
`shhs7`, which need not be scored and may lack channels.
"""

from __future__ import annotations

import sys

from command_line import run
from engine.pretraining_settings import Pretraining


def main(cfg: Pretraining) -> int:
    """Pre-train; say what the best pass reached on held-out persons."""
    from engine.pretraining_run import pretrain

    if best := pretrain(cfg):
        shown = {k: v for k, v in best.items() if k.startswith(("held_out", "probe"))}
        told = "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
        sys.stdout.write(f"{cfg.out}: best pass {best['pass']}  {told}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main, Pretraining))
