"""SleepGPT's stage language model: a GPT-2 decoder over the stages of a night.

Tokens are the stages W N1 N2 N3 R = 0..4 of consecutive epochs; token 5 is padding and end. The
published models see 60 or 90 epochs, are 48 wide and have 3 blocks of 6 heads: 88,080 and 89,520
parameters. The output layer is the token embedding itself (tied), kept once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from models import register
from models.layers import SelfAttention, gelu
from models.published import Adapter, StateDict

INIT_STD = 0.02  # GPT-2 (Radford et al. 2019)


@dataclass(frozen=True)
class Config:
    """Sizes of the stage language model."""

    vocab_size: int = 6  # five stages and the padding token
    n_positions: int = 90  # longest context, in epochs
    width: int = 48
    n_layers: int = 3
    n_heads: int = 6
    dropout: float = 0.1

    @property
    def n_stages(self) -> int:
        """Stages it foretells: every token but padding."""
        return self.vocab_size - 1


PRESETS = {
    "paper-60": Config(n_positions=60),
    "paper-90": Config(n_positions=90),
    "paper-120": Config(n_positions=120),
    "whole-night": Config(n_positions=1200),  # 10 h
    "script-default": Config(n_positions=120, width=192),  # defaults of the published script
}


class Block(nn.Module):
    """Pre-norm transformer block: x += attention(norm(x)); x += mlp(norm(x))."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(config.width)
        self.attention = SelfAttention(config.width, config.n_heads, config.dropout)
        self.norm_2 = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, 4 * config.width)
        self.down = nn.Linear(4 * config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor, allowed: torch.Tensor | None = None) -> torch.Tensor:
        """Return the new residual stream (B, T, E).

        `allowed` (B, 1, T, T) says which place sees which; None: itself and all before it.
        """
        return self._finish(x, self.attention(self.norm_1(x), allowed, causal=allowed is None))

    def last(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last place of the new residual stream only, (B, E)."""
        normed = self.norm_1(x)
        width = x.shape[-1]
        weight, bias = self.attention.qkv.weight, self.attention.qkv.bias
        q = F.linear(normed[:, -1:], weight[:width], bias[:width])
        k, v = F.linear(normed, weight[width:], bias[width:]).chunk(2, dim=-1)
        return self._finish(x[:, -1:], self.attention.mix(q, k, v))[:, 0]

    def _finish(self, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """Add what attention found, then the MLP."""
        x = x + self.dropout(attended)
        hidden = gelu(self.up(self.norm_2(x)))
        return x + self.dropout(self.down(hidden))


def published_sizes(state_dict: StateDict) -> dict[str, int]:
    """Read the sizes from published weights; the number of heads is not among them."""
    vocab_size, width = state_dict["transformer.wte.weight"].shape
    return {
        "vocab_size": vocab_size,
        "width": width,
        "n_positions": len(state_dict["transformer.wpe.weight"]),
        "n_layers": sum(key.endswith("attn.c_attn.weight") for key in state_dict),
    }


def published_layout(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Published projections are stored (in, out), the transpose of a Linear layer."""
    projection = ("qkv.weight", "out.weight", "up.weight", "down.weight")
    return tensor.T if name.endswith(projection) else tensor


@register("sleepgpt")
class StageLanguageModel(nn.Module):
    """Language model of sleep stages.

    Parameters
    ----------
    config : Config
        `PRESETS["paper-90"]` is the size published for correction, `["paper-60"]` for diagnosis.
    """

    published = Adapter(
        config=published_sizes,
        renames=(
            (r"^transformer\.wte\.", "tokens."),
            (r"^transformer\.wpe\.", "positions."),
            (r"^transformer\.ln_f\.", "norm."),
            (r"^transformer\.h\.", "blocks."),
            (r"\.ln_([12])\.", r".norm_\1."),
            (r"\.attn\.c_attn\.", ".attention.qkv."),
            (r"\.attn\.c_proj\.", ".attention.out."),
            (r"\.mlp\.c_fc\.", ".up."),
            (r"\.mlp\.c_proj\.", ".down."),
        ),
        # The causal mask and the value it puts on hidden places: full names, because the ending
        # `attn.bias` alone is close to that of the parameter `attn.c_attn.bias`.
        constants=(r"transformer\.h\.\d+\.attn\.bias", r"transformer\.h\.\d+\.attn\.masked_bias"),
        tied={"lm_head.weight": "transformer.wte.weight"},
        tensor=published_layout,
    )

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.width)
        self.positions = nn.Embedding(config.n_positions, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(config.width)
        self._initialise()

    def forward(self, ids: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits (B, T, vocab) of the stage that follows each place.

        Parameters
        ----------
        ids : int64 tensor (B, T)
            Stages 0..4 (5 = padding), T at most `config.n_positions`.
        valid : bool tensor (B, T), optional
            False where there is padding, which no place then sees. Positions count from the left
            edge in either case, as published.
        """
        return F.linear(self.hidden(ids, valid), self.tokens.weight)

    def hidden(self, ids: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        """Return the final features (B, T, E), after the last norm."""
        x, allowed = self.embed(ids), _allowed(valid)
        for block in self.blocks:
            x = block(x, allowed)
        return self.norm(x)

    def next_log_probs(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities (B, vocab) of the stage that follows `ids` (B, T).

        The last block is computed at the last place only: nothing else is read there.
        """
        x, (*blocks, final) = self.embed(ids), self.blocks
        for block in blocks:
            x = block(x)
        x = self.norm(cast(Block, final).last(x))
        return F.log_softmax(F.linear(x, self.tokens.weight), dim=-1)

    @torch.no_grad()
    def max_log_odds(self) -> torch.Tensor:
        """Return (vocab, vocab): no context can prefer a stage (column) to another (row) by more.

        What the last norm gives lies on a sphere of radius sqrt(E) orthogonal to (1, ..., 1),
        stretched by its weight and moved by its bias: the largest projection of that onto the
        difference of two token embeddings bounds the difference of their log-probabilities.
        """
        tokens = self.tokens.weight.double()
        apart = tokens[None] - tokens[:, None]  # (row, column, E): column minus row
        stretched = apart * self.norm.weight
        across = stretched - stretched.mean(dim=-1, keepdim=True)
        reach = across.norm(dim=-1) * math.sqrt(self.config.width)
        return (reach + apart @ self.norm.bias.double()).float()

    @torch.inference_mode()
    def generate(
        self, ids: torch.Tensor, n_epochs: int, *, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Continue `ids` (B, T) by `n_epochs` stages: the likeliest ones, or drawn by `generator`.

        Returns
        -------
        int64 tensor (B, T + n_epochs)
        """
        for _ in range(n_epochs):
            log_probs = self.next_log_probs(ids[:, -self.config.n_positions :])
            if generator is None:
                stage = log_probs.argmax(dim=-1, keepdim=True)
            else:
                stage = torch.multinomial(log_probs.exp(), 1, generator=generator)
            ids = torch.cat([ids, stage], dim=1)
        return ids

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Return stage plus position embeddings (B, T, E).

        Raises
        ------
        ValueError
            If there are more places than the model has positions.
        """
        n_places = ids.shape[1]
        if n_places > self.config.n_positions:
            raise ValueError(f"{n_places} epochs given, the model sees {self.config.n_positions}")
        places = torch.arange(n_places, device=ids.device)
        return self.dropout(self.tokens(ids) + self.positions(places))

    def _initialise(self) -> None:
        """Draw the weights as GPT-2 does, smaller where they enter the residual stream."""
        for name, parameter in self.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                nn.init.normal_(parameter, std=INIT_STD / math.sqrt(2 * self.config.n_layers))
            elif parameter.ndim == 2:
                nn.init.normal_(parameter, std=INIT_STD)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)


def resized(model: StageLanguageModel, config: Config) -> StageLanguageModel:
    """Return a copy of a model with another dropout, context or number of stages.

    More positions begin as copies of the last third of those there are (the very last row of the
    published tables was never trained); fewer are the first ones. Of five stages, four keep the
    rows of W, N2 (as L), N3 (as D) and R.
    """
    tensors = dict(model.state_dict())
    places = tensors["positions.weight"]
    third = places[-(len(places) // 3) - 1 : -1]
    n_more = max(0, config.n_positions - len(places))
    more = third.repeat(-(-n_more // len(third)) + 1, 1)[:n_more]
    tensors["positions.weight"] = torch.cat([places, more])[: config.n_positions]
    if (model.config.n_stages, config.n_stages) == (5, 4):
        tensors["tokens.weight"] = tensors["tokens.weight"][[0, 2, 3, 4, 5]]
    copy = StageLanguageModel(config)
    copy.load_state_dict(tensors)
    return copy


def _allowed(valid: torch.Tensor | None) -> torch.Tensor | None:
    """Causal mask (B, 1, T, T) without the places where `valid` (B, T) is False."""
    if valid is None:
        return None
    n_places = valid.shape[1]
    seen = torch.ones(n_places, n_places, dtype=torch.bool, device=valid.device).tril()
    itself = torch.eye(n_places, dtype=torch.bool, device=valid.device)  # padding sees itself
    return ((seen & valid[:, None].bool()) | itself)[:, None]
