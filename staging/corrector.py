"""A decoder with its models and settings, ready to be put to one night after another."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from engine.denoising import JudgedNight
from engine.weights import load
from models.denoiser import Denoiser
from nights.hypnogram import Hypnogram
from staging.choice import ABSTAINS, choose
from staging.correct import DENOISER, correct, denoise
from staging.denoiser import Committee, as_one
from staging.fitted import decoded, learn
from staging.outputs import read_judged, together
from staging.prior import StagePrior
from staging.ways import WEIGHTS

logger = logging.getLogger("nightstack")


class Corrector:
    """Corrects nights one by one and remembers, across nights, what the language model said.

    Parameters
    ----------
    language_model : str
        Weights of a stage language model, by name in the manifest or as a safetensors file.
    decoder : str
        One of `staging.decoders.DECODERS`, or `denoiser`.
    weight : float
        Share of the language model in the sum of log-probabilities; the denoiser has none.
    context : int
        Epochs the language model looks back.
    learn_from : sequence of Path
        The stager's output of scored nights of other people (see `evaluation.outputs`); of several
        stagers that are heard together a file each, in their order. The weight is chosen, or the
        denoiser fitted and the language model joined to it, on these nights; if nothing is gained
        there, nights stay as they are and say so.
    denoiser : str
        Weights of the generic denoiser.
    seed : int
        Of the fit to a stager; nothing else is drawn.
    """

    def __init__(
        self,
        language_model: str,
        *,
        decoder: str = "greedy",
        weight: float = 0.1,
        context: int = 30,
        learn_from: Sequence[Path] = (),
        denoiser: str = "denoiser-open",
        seed: int = 0,
    ) -> None:
        self.decoder, self.weight, self.context = decoder, weight, context
        self.abstains = False
        used = denoiser if decoder == DENOISER else language_model
        model: Any
        model, card = load(used)
        self.prior: StagePrior | None = None
        if decoder == DENOISER:
            self.committee, self.weight = Committee((model,)), 0.0
        elif not hasattr(model, "next_log_probs"):
            raise ValueError(f"weights {language_model!r} are no language model of stages")
        else:
            self.prior = StagePrior(model)
        decision = self._learn(learn_from, model, language_model, seed) if learn_from else ""
        kind = DENOISER if decoder == DENOISER else "language_model"
        self.provenance: dict[str, Any] = {
            "decoder": decoder,
            kind: Path(used).stem,
            "weight": self.weight,
            "context": context,
            "learned_from": ", ".join(file.name for file in learn_from),
            "decision": decision,
            "joined": Path(language_model).stem if decoder == DENOISER and self.weight else "",
            "abstains": self.abstains,
            f"{kind}_licence": card.get("licence", ""),
            f"{kind}_sha256": card.get("sha256", ""),
        }

    def __call__(self, hypnogram: Hypnogram, voices: np.ndarray | None = None) -> Hypnogram:
        """Return the corrected hypnogram.

        Parameters
        ----------
        hypnogram : Hypnogram
            What the stager, or several heard as one, made of the night.
        voices : float array (E, S, K) or None
            What each of several stagers said, for a denoiser that was fitted to all of them.
        """
        if self.abstains:
            told = f"{self.decoder} correction abstains: it gained nothing on other people's nights"
            return hypnogram.with_stages(
                hypnogram.stages, proba=hypnogram.proba, notes=(*hypnogram.notes, told)
            )
        if self.decoder != DENOISER:
            return self._decoded(hypnogram, self.decoder)
        several = self.committee.n_stagers > 1
        denoised = denoise(hypnogram, self.committee, voices if several else None)
        return self._decoded(denoised, "viterbi") if self.weight else denoised

    def _decoded(self, hypnogram: Hypnogram, decoder: str) -> Hypnogram:
        """Correct with the language model."""
        assert self.prior is not None
        settings = {"decoder": decoder, "weight": self.weight, "context": self.context}
        return correct(hypnogram, self.prior, **settings)  # type: ignore[arg-type]

    def _learn(self, files: Sequence[Path], model: Any, language_model: str, seed: int) -> str:
        """Learn from scored nights of the stager; return what was decided."""
        nights = together([read_judged(file) for file in files])
        if self.decoder == DENOISER:
            decision = self._fit(nights, model, language_model, seed)
        else:
            decision = self._choose_weight(nights)
        n_persons = len({night.person for night in nights})
        logger.info("%s: %s, learned from %d people", self.decoder, decision, n_persons)
        return decision

    def _fit(
        self, nights: Sequence[JudgedNight], generic: Denoiser, language_model: str, seed: int
    ) -> str:
        """Fit the denoiser to the stager, and join the language model if that gains more."""
        model: Any = load(language_model)[0] if language_model else None
        prior = StagePrior(model) if language_model else None
        with TemporaryDirectory() as folder:
            found = learn(nights, generic, Path(folder), prior=prior, seed=seed)
        self.committee, self.weight, self.abstains = found.committee, found.weight, found.abstains
        self.prior = prior if found.weight else None
        return found.choice

    def _choose_weight(self, nights: Sequence[JudgedNight]) -> str:
        """Choose the weight of the language model on scored nights."""
        assert self.prior is not None
        heard = [replace(night, evidence=as_one(night.evidence)[:, None]) for night in nights]
        options = {f"{w:g}": decoded(heard, self.prior, self.decoder, w) for w in WEIGHTS}
        chosen = choose(nights, options)
        self.abstains = chosen == ABSTAINS
        self.weight = self.weight if self.abstains else float(chosen)
        return chosen
