"""A decoder with its models and settings, ready to be put to one night after another."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.weights import load
from evaluation.outputs import largest
from nights.hypnogram import Hypnogram
from staging.correct import DENOISER, correct, denoise
from staging.denoiser import Committee, fit
from staging.outputs import read_judged
from staging.prior import StagePrior
from staging.ways import ABSTAINS, WEIGHTS, choose, decoded

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
    learn_from : Path or None
        The stager's output of scored nights of other people (see `evaluation.outputs`). The
        weight is chosen, or the denoiser fitted, on these nights; if nothing is gained there,
        nights stay as they are and say so.
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
        learn_from: Path | None = None,
        denoiser: str = "denoiser-open",
        seed: int = 0,
    ) -> None:
        used = denoiser if decoder == DENOISER else language_model
        model: Any
        model, card = load(used)
        self.decoder, self.weight, self.context = decoder, weight, context
        self.abstains = False
        if decoder == DENOISER:
            self.committee = Committee((model,))
        elif not hasattr(model, "next_log_probs"):
            raise ValueError(f"weights {language_model!r} are no language model of stages")
        else:
            self.prior = StagePrior(model)
        if learn_from is not None:
            self._learn(learn_from, model, seed)
        kind = DENOISER if decoder == DENOISER else "language_model"
        self.provenance: dict[str, Any] = {
            "decoder": decoder,
            kind: Path(used).stem,
            "weight": None if decoder == DENOISER else self.weight,
            "context": context,
            "learned_from": learn_from.name if learn_from else "",
            "abstains": self.abstains,
            f"{kind}_licence": card.get("licence", ""),
            f"{kind}_sha256": card.get("sha256", ""),
        }

    def __call__(self, hypnogram: Hypnogram) -> Hypnogram:
        """Return the corrected hypnogram."""
        if self.abstains:
            told = f"{self.decoder} correction abstains: it gained nothing on other people's nights"
            return hypnogram.with_stages(
                hypnogram.stages, proba=hypnogram.proba, notes=(*hypnogram.notes, told)
            )
        if self.decoder == DENOISER:
            return denoise(hypnogram, self.committee)
        return correct(
            hypnogram,
            self.prior,
            decoder=self.decoder,
            weight=self.weight,
            context=self.context,
        )

    def _learn(self, file: Path, model: Any, seed: int) -> None:
        """Choose the weight, or fit the denoiser, on scored nights of the stager."""
        nights = read_judged(file)
        if self.decoder == DENOISER:
            with TemporaryDirectory() as folder:
                self.committee = fit(nights, model, Path(folder), seed=seed)
            nights = [night for night in nights if night.night in self.committee.unseen]
            options = {DENOISER: [largest(self.committee.unseen[n.night]) for n in nights]}
        else:
            options = {
                f"{weight:g}": decoded(nights, self.prior, self.decoder, weight)
                for weight in WEIGHTS
            }
        chosen = choose(nights, options) if nights else DENOISER
        self.abstains = chosen == ABSTAINS
        if not self.abstains and self.decoder != DENOISER:
            self.weight = float(chosen)
        persons = len({night.person for night in nights})
        logger.info("%s: %s, decided on %d people of %s", self.decoder, chosen, persons, file.name)
