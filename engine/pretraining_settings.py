"""What `main_pretrain.py` can be told. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.learning_settings import Learning


@dataclass(frozen=True, kw_only=True)
class Pretraining(Learning):
    """Learn from signals without labels; what is not given is as the recipe says."""

    field: tuple[str, ...] = ()  # KEY=VALUE of the model's configuration: n_blocks=2
    model: Literal["neuronet", "synthsleepnet"] = "neuronet"  # one modality, or several
    # eeg eog emg ecg (published size), eeg-small ... (a processor), original-b original-t of
    # neuronet; paper, paper-eeg, small of synthsleepnet
    preset: str = "eeg"
    # of synthsleepnet: NAME=RUN, its trained neuronet for each modality (EEG=runs/eeg) or channel
    encoders: tuple[str, ...] = ()
    # batch statistics for each frame apart, decoders that read the tokens the public code reads
    as_published: bool = False
    out: Path = Path(
        "runs/pretrain"
    )  # run folder; one that holds a run is refused without --resume
    # --- what is learnt
    mask_ratio: float | None = None  # share of the frames that are hidden
    temperature: float | None = None  # of the contrast
    alpha: float = 1.0  # weight of the contrast
    detach_target: bool = False  # hold the features that are predicted fixed
    # of synthsleepnet: recordings with fewer channels; drop: each with probability 0.5, crop: keep
    # k of C, k uniform
    channel_draw: Literal["none", "crop", "drop"] = "none"
    probe_nights: int = 0  # scored nights to fit a linear probe on after each pass; 0 = no probe
    # --- who is learnt from
    # data sets, or parts of one such as SHHS-2, that nothing is learnt from
    hold_out: tuple[str, ...] = ()
    test_share: float = 0.1  # share of the persons kept for tests; with --hold-out nobody else is
