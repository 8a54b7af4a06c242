"""Mamba (S6) and Mamba-2 (SSD) layers with the tensors of `mamba_ssm`, name for name.

References
----------
Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", COLM 2024.
Dao and Gu, "Transformers are SSMs", ICML 2024.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from models.selective_scan import s6, ssd

# Step sizes at the start: log-uniform in this range, never below the floor (both papers' code).
FIRST_STEP, STEP_FLOOR = (1e-3, 0.1), 1e-4
NORM_EPS = 1e-5  # of the gated norm of Mamba-2


@dataclass
class Memory:
    """What a layer keeps from one step to the next: inputs of its convolution, and its state."""

    inputs: torch.Tensor  # (B, C, W - 1)
    state: torch.Tensor  # S6 (B, D, N), SSD (B, H, P, N)


class CausalConv(nn.Conv1d):
    """Depthwise convolution over time that sees a step and the W - 1 before it."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__(width, width, kernel, groups=width, padding=kernel - 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, L, C) -> (B, L, C): W shifted products, in half the time of a grouped convolution."""
        assert self.bias is not None
        kernel, length = self.kernel_size[0], x.shape[1]
        padded = F.pad(x, (0, 0, kernel - 1, 0))
        y = torch.addcmul(self.bias, padded[:, :length], self.weight[:, 0, 0])
        for tap in range(1, kernel):
            y = torch.addcmul(y, padded[:, tap : tap + length], self.weight[:, 0, tap])
        return y

    def step(self, x: torch.Tensor, before: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one step: x (B, C) and the inputs (B, C, W - 1) before it -> output, inputs."""
        assert self.bias is not None
        seen = torch.cat([before, x[..., None]], dim=-1)
        return (seen * self.weight[:, 0]).sum(dim=-1) + self.bias, seen[..., 1:]


def first_steps(count: int) -> torch.Tensor:
    """Draw the biases whose softplus gives log-uniform step sizes."""
    low, high = map(math.log, FIRST_STEP)
    delta = (torch.rand(count) * (high - low) + low).exp().clamp(min=STEP_FLOOR)
    return delta + (-(-delta).expm1()).log()  # the inverse of softplus


class Mamba(nn.Module):
    """S6: a decay and a step size for every channel.

    Parameters
    ----------
    d_model : int
        Width of input and output.
    d_state, d_conv, expand : int
        States N per channel, taps W of the convolution, inner width over `d_model`.
    """

    def __init__(self, d_model: int, d_state: int = 16, d_conv: int = 4, expand: int = 2) -> None:
        super().__init__()
        inner, self.rank, self.d_state = expand * d_model, -(-d_model // 16), d_state
        self.in_proj = nn.Linear(d_model, 2 * inner, bias=False)
        self.conv1d = CausalConv(inner, d_conv)
        self.x_proj = nn.Linear(inner, self.rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        self.A_log = nn.Parameter(torch.arange(1.0, d_state + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, d_model, bias=False)
        nn.init.uniform_(self.dt_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
        with torch.no_grad():
            self.dt_proj.bias.copy_(first_steps(inner))

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """Turn a sequence (B, L, d_model) into one of the same shape; step t sees steps up to t."""
        x, gate = self.in_proj(u).chunk(2, dim=-1)
        x = F.silu(self.conv1d(x))
        delta, write, read = self._selected(x)
        y = s6(x, delta, -self.A_log.float().exp(), write, read) + self.D * x
        return self.out_proj((y * F.silu(gate)).to(u.dtype))

    def step(self, u: torch.Tensor, memory: Memory) -> tuple[torch.Tensor, Memory]:
        """Take one step of a stream: u (B, d_model) -> output (B, d_model) and what to keep."""
        x, gate = self.in_proj(u).chunk(2, dim=-1)
        x, inputs = self.conv1d.step(x, memory.inputs)
        x = F.silu(x)
        delta, write, read = self._selected(x)
        kept = (-delta[..., None] * self.A_log.exp()).exp()
        state = kept * memory.state + (delta * x)[..., None] * write[:, None]
        y = (state @ read[..., None]).squeeze(-1) + self.D * x
        return self.out_proj(y * F.silu(gate)), Memory(inputs, state)

    def start(self, batch: int) -> Memory:
        """Return the memory before the first step."""
        inner = len(self.D)
        inputs = self.D.new_zeros(batch, inner, self.conv1d.kernel_size[0] - 1)
        return Memory(inputs, self.D.new_zeros(batch, inner, self.d_state))

    def _selected(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return step sizes (..., D), and what to write and read (..., N)."""
        sizes = (self.rank, self.d_state, self.d_state)
        delta, write, read = self.x_proj(x).split(sizes, dim=-1)
        return F.softplus(self.dt_proj(delta).float()), write, read


class GatedNorm(nn.Module):
    """Root-mean-square norm over each group of channels, gated before it is taken."""

    def __init__(self, width: int, n_groups: int) -> None:
        super().__init__()
        self.n_groups = n_groups
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, y: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """Both (..., D); in float32."""
        gated = (y * F.silu(gate.float())).unflatten(-1, (self.n_groups, -1))
        return F.rms_norm(gated, gated.shape[-1:], eps=NORM_EPS).flatten(-2) * self.weight


class Mamba2(nn.Module):
    """SSD: one decay and one step size per head.

    Parameters
    ----------
    d_model : int
        Width of input and output.
    d_state, d_conv, expand : int
        As in `Mamba`.
    headdim, ngroups : int
        Channels P per head; groups of heads that share what they write and read.

    Raises
    ------
    ValueError
        If the inner width is no multiple of `headdim`, or the heads none of `ngroups`.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        headdim: int = 64,
        ngroups: int = 1,
    ) -> None:
        super().__init__()
        inner, n_heads = expand * d_model, expand * d_model // headdim
        if inner % headdim or n_heads % ngroups:
            raise ValueError(
                f"inner width {inner} must be a multiple of headdim {headdim}, "
                f"and its {n_heads} heads of ngroups {ngroups}"
            )
        self.sizes = (inner, ngroups * d_state, ngroups * d_state)  # of x, write, read
        self.headdim, self.ngroups = headdim, ngroups
        self.in_proj = nn.Linear(d_model, inner + sum(self.sizes) + n_heads, bias=False)
        self.conv1d = CausalConv(sum(self.sizes), d_conv)
        self.dt_bias = nn.Parameter(first_steps(n_heads))
        self.A_log = nn.Parameter(torch.empty(n_heads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(n_heads))
        self.norm = GatedNorm(inner, ngroups)
        self.out_proj = nn.Linear(inner, d_model, bias=False)

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """Turn a sequence (B, L, d_model) into one of the same shape; step t sees steps up to t."""
        gate, x, delta = self._projected(u)
        x, write, read = self._selected(self.conv1d(x))
        y = ssd(x, delta, -self.A_log.float().exp(), write, read) + self.D[:, None] * x
        return self.out_proj(self.norm(y.flatten(-2), gate).to(u.dtype))

    def step(self, u: torch.Tensor, memory: Memory) -> tuple[torch.Tensor, Memory]:
        """Take one step of a stream: u (B, d_model) -> output (B, d_model) and what to keep."""
        gate, x, delta = self._projected(u)
        x, inputs = self.conv1d.step(x, memory.inputs)
        x, write, read = self._selected(x)  # (B, H, P), (B, G, N)
        write, read = (t.repeat_interleave(len(self.D) // self.ngroups, 1) for t in (write, read))
        kept = (-delta * self.A_log.exp())[..., None, None].exp()
        state = kept * memory.state + (delta[..., None] * x)[..., None] * write[..., None, :]
        y = (state @ read[..., None]).squeeze(-1) + self.D[:, None] * x
        return self.out_proj(self.norm(y.flatten(-2), gate)), Memory(inputs, state)

    def start(self, batch: int) -> Memory:
        """Return the memory before the first step."""
        inputs = self.D.new_zeros(batch, sum(self.sizes), self.conv1d.kernel_size[0] - 1)
        d_state = self.sizes[1] // self.ngroups
        return Memory(inputs, self.D.new_zeros(batch, len(self.D), self.headdim, d_state))

    def _projected(self, u: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the gate, the input of the convolution, and the step sizes (..., H)."""
        sizes = (self.sizes[0], sum(self.sizes), len(self.D))
        gate, x, delta = self.in_proj(u).split(sizes, dim=-1)
        return gate, x, F.softplus(delta.float() + self.dt_bias)

    def _selected(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return x by head (..., H, P), and what to write and read by group (..., G, N)."""
        x, write, read = F.silu(x).split(self.sizes, dim=-1)
        groups = (self.ngroups, -1)
        return x.unflatten(-1, (-1, self.headdim)), *(
            t.unflatten(-1, groups) for t in (write, read)
        )
