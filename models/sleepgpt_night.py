"""A stage language model that remembers the whole night, and may know the person.

SleepGPT's language model sees 90 epochs. Here a small network behind it reads what it holds at an
epoch beside what the night has been so far (`night_history`) and, if the weights were trained with
them, facts of the person and the hour; what it returns is added to the language model's logits. It
begins as that language model exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import nn

from models import register
from models.layers import gelu
from models.night_history import n_features, night_history
from models.sleepgpt import Config as LanguageConfig
from models.sleepgpt import StageLanguageModel

# How a condition is brought to the order of one; its second column says that it is known
SCALES = {"lights_off_h": 8.0, "age": 100.0, "sex": 1.0}
UNBOUNDED = 1e4  # log units, more than any float32 softmax can tell apart
HEAD_DROPOUT = 0.3  # by the loss of held-out persons: without it pass 4 is the last that helps
STRIDE = 15  # epochs by which the window moves over a night, see `running_log_probs`


@dataclass(frozen=True)
class Config(LanguageConfig):
    """Sizes of the language model inside and of the network behind it."""

    hidden: int = 192
    conditions: tuple[str, ...] = ()  # of `SCALES`


PRESETS = {"night": Config()}


@register("sleepgpt-night")
class NightLanguageModel(nn.Module):
    """Language model of sleep stages that takes the whole night into account.

    Parameters
    ----------
    config : Config
        `language` inside has the sizes of SleepGPT's.
    """

    fresh = ("read", "mix", "head")  # what stands behind the language model

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        own = {field.name: getattr(config, field.name) for field in fields(LanguageConfig)}
        self.language = StageLanguageModel(LanguageConfig(**own))
        described = n_features(config.n_stages) + 2 * len(config.conditions)
        # Of the description alone, without weights: hours, rates and shares on one scale
        self.scale = nn.BatchNorm1d(described, affine=False)
        self.read = nn.Linear(config.width + described, config.hidden)
        self.mix = nn.Linear(config.hidden, config.hidden)
        self.dropout = nn.Dropout(HEAD_DROPOUT)
        self.head = nn.Linear(config.hidden, config.vocab_size)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: torch.Tensor, described: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, T, vocab) of the stage that follows each place.

        Parameters
        ----------
        ids : int64 tensor (B, T)
            Stages, T at most `config.n_positions`.
        described : float32 tensor (B, T, F)
            `describe` at the same places, from the beginning of each night.
        """
        held = self.language.hidden(ids)  # (B, T, E)
        scaled = self.scale(described.flatten(0, 1)).view_as(described)
        hidden = self.dropout(gelu(self.read(torch.cat([held, scaled], dim=-1))))
        hidden = self.dropout(gelu(self.mix(hidden)))
        told = nn.functional.linear(held, self.language.tokens.weight)
        return told + self.head(hidden)

    def describe(
        self, stages: np.ndarray, conditions: Mapping[str, np.ndarray | float] | None = None
    ) -> torch.Tensor:
        """Describe nights up to each epoch, as `forward` wants it.

        Parameters
        ----------
        stages : int array (B, T)
            From the beginning of each night.
        conditions : {name: float or array (T,)}, optional
            What is known of `config.conditions`: hours since lights off, age in years, sex (1 male,
            0 female); NaN where unknown.

        Returns
        -------
        float32 tensor (B, T, F)
        """
        history = night_history(stages, self.config.n_stages)
        columns = [history]
        for name in self.config.conditions:
            value = np.asarray((conditions or {}).get(name, np.nan), dtype=np.float32)
            value = np.broadcast_to(value, history.shape[:2])
            known = np.isfinite(value)
            columns += [np.where(known, value / SCALES[name], 0)[..., None], known[..., None]]
        return torch.from_numpy(np.concatenate(columns, axis=-1).astype(np.float32))

    @torch.inference_mode()
    def next_log_probs(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities (B, vocab) of the stage that follows `ids` (B, T).

        T may be longer than the window: all of it is the night so far.
        """
        described = self.describe(ids.cpu().numpy()).to(ids.device)
        length = self.config.n_positions
        return self(ids[:, -length:], described[:, -length:])[:, -1].log_softmax(dim=-1)

    @torch.inference_mode()
    def running_log_probs(
        self, stages: np.ndarray, conditions: Mapping[str, np.ndarray | float] | None = None
    ) -> torch.Tensor:
        """Return the log-probabilities (n, K) of what follows each epoch of `stages` (n,).

        The window of the language model moves by `STRIDE` epochs: all places but the first see 76
        to 90 epochs, and all see the description of the whole night so far.
        """
        device, length = self.head.weight.device, self.config.n_positions
        ids = torch.from_numpy(np.asarray(stages, dtype=np.int64)).to(device)
        described = self.describe(np.asarray(stages)[None], conditions)[0].to(device)
        ends = [*range(min(length, len(ids)), len(ids), STRIDE), len(ids)]
        told, done = [], 0
        for end in ends:
            first = max(0, end - length)
            logits = self(ids[None, first:end], described[None, first:end])[0]
            told.append(logits[done - first :])
            done = end
        return torch.cat(told)[:, : self.config.n_stages].log_softmax(dim=-1)

    def max_log_odds(self) -> torch.Tensor:
        """Return (vocab, vocab): no bound is known, so a decoder has to ask every time."""
        return torch.full((self.config.vocab_size,) * 2, UNBOUNDED)
