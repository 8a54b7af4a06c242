"""Stagers' outputs of scored nights (`evaluation.outputs`) as the evidence that decoders weigh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from engine.denoising import JudgedNight
from evaluation.outputs import NightOutput, largest, read_outputs
from nights.stages import STAGES
from staging.correct import EPSILON
from staging.noise import hard_log_probs


def read_judged(path: Path) -> list[JudgedNight]:
    """Read a file of `evaluation.outputs` as evidence, one stager, each night once.

    Raises
    ------
    ValueError
        As `read_outputs`; if the stager tells other stages than W N1 N2 N3 R apart; or if a night
        is there for several subsets of channels.
    """
    nights = read_outputs(path)
    if any(night.classes != STAGES for night in nights):
        raise ValueError(f"{path.name}: correction wants the stages {' '.join(STAGES)}")
    if len({night.night for night in nights}) < len(nights):
        raise ValueError(f"{path.name}: a night is there twice; correction wants it once")
    return [
        JudgedNight(night.night, night.person, _log_probs(night)[:, None], night.labels)
        for night in nights
    ]


def together(outputs: Sequence[Sequence[JudgedNight]]) -> list[JudgedNight]:
    """Put the outputs of several stagers of the same nights side by side."""
    first = outputs[0]
    by_name = [{night.night: night for night in nights} for nights in outputs]
    if any(set(one) != set(by_name[0]) for one in by_name):
        raise ValueError("the stagers' files hold different nights: fusion needs the same ones")
    evidence = {
        n.night: np.concatenate([one[n.night].evidence for one in by_name], axis=1) for n in first
    }
    return [replace(night, evidence=evidence[night.night]) for night in first]


def raw_stages(night: JudgedNight, stager: int = 0) -> np.ndarray:
    """Return the stages int8 (E,) of one stager, -1 where it said nothing."""
    return largest(night.evidence[:, stager])


def _log_probs(night: NightOutput) -> np.ndarray:
    """Return float32 log-probabilities (E, 5), rows normalised."""
    if night.proba is None:
        return hard_log_probs(night.stages)
    return log_softmax(np.log(night.proba + EPSILON), axis=1).astype(np.float32)
