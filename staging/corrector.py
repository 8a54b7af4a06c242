"""A decoder with its language model and settings, ready to be put to one night after another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.weights import load
from nights.hypnogram import Hypnogram
from staging.correct import correct
from staging.prior import StagePrior


class Corrector:
    """Corrects nights one by one and remembers, across nights, what the language model said.

    Parameters
    ----------
    language_model : str
        Weights of a stage language model, by name in the manifest or as a safetensors file.
    decoder : str
        One of `staging.decoders.DECODERS`.
    weight : float
        Share of the language model in the sum of log-probabilities.
    context : int
        Epochs the language model looks back.
    """

    def __init__(
        self,
        language_model: str,
        *,
        decoder: str = "greedy",
        weight: float = 0.1,
        context: int = 30,
    ) -> None:
        model: Any
        model, card = load(language_model)
        if not hasattr(model, "next_log_probs"):
            raise ValueError(f"weights {language_model!r} are no language model of stages")
        self.prior = StagePrior(model)
        self.decoder, self.weight, self.context = decoder, weight, context
        self.provenance: dict[str, Any] = {
            "decoder": decoder,
            "language_model": Path(language_model).stem,
            "weight": weight,
            "context": context,
            "language_model_licence": card.get("licence", ""),
            "language_model_sha256": card.get("sha256", ""),
        }

    def __call__(self, hypnogram: Hypnogram) -> Hypnogram:
        """Return the corrected hypnogram."""
        return correct(
            hypnogram,
            self.prior,
            decoder=self.decoder,
            weight=self.weight,
            context=self.context,
        )
