"""Recurrent cells as TensorFlow 1 defines them; `torch.nn` has others of the same names.

The GRU applies its reset gate before the product with the state, and the LSTM sees its cell state
in all gates ("peepholes"; Gers et al., JMLR 2002). Weights cannot be carried over to `torch.nn`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class GRU(nn.Module):
    """One direction: rows of `gates` are reset, then update; columns inputs, then state."""

    def __init__(self, n_inputs: int, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Linear(n_inputs + hidden, 2 * hidden)
        self.candidate = nn.Linear(n_inputs + hidden, hidden)
        for layer, bias in ((self.gates, 1.0), (self.candidate, 0.0)):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.constant_(layer.bias, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, inputs) -> (N, T, hidden)."""
        hidden, n_inputs = len(self.candidate.bias), x.shape[-1]
        layers = self.gates, self.candidate
        by_x = torch.cat([layer.weight[:, :n_inputs] for layer in layers])
        bias = torch.cat([layer.bias for layer in layers])
        gates_by_h, candidate_by_h = (layer.weight[:, n_inputs:].t() for layer in layers)
        h, outputs = x.new_zeros(len(x), hidden), []
        for driven in F.linear(x, by_x, bias).unbind(1):  # (N, 3 hidden)
            to_gates, to_candidate = driven.split([2 * hidden, hidden], dim=-1)
            reset, update = torch.addmm(to_gates, h, gates_by_h).sigmoid().chunk(2, dim=-1)
            candidate = torch.addmm(to_candidate, reset * h, candidate_by_h).tanh()
            h = torch.lerp(candidate, h, update)
            outputs.append(h)
        return torch.stack(outputs, dim=1)


class PeepholeLSTM(nn.Module):
    """One layer: rows input, candidate, forget, output gate; columns inputs, then state."""

    forget_bias = 1.0  # added at run time, on top of the trained bias
    w_i_diag: nn.Parameter
    w_f_diag: nn.Parameter
    w_o_diag: nn.Parameter

    def __init__(self, n_inputs: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4 * hidden, n_inputs + hidden))
        self.bias = nn.Parameter(torch.zeros(4 * hidden))
        nn.init.xavier_uniform_(self.weight)
        bound = (6 / (2 * hidden)) ** 0.5  # that library's rule for a vector
        for gate in "ifo":
            diagonal = nn.Parameter(torch.empty(hidden).uniform_(-bound, bound))
            self.register_parameter(f"w_{gate}_diag", diagonal)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, inputs) -> (N, T, hidden)."""
        by_x, by_h = self.weight.split([x.shape[-1], self.weight.shape[1] - x.shape[-1]], dim=1)
        see_i, see_f, see_o = self.w_i_diag, self.w_f_diag, self.w_o_diag
        h = c = x.new_zeros(len(x), len(see_i))
        outputs = []
        for driven in F.linear(x, by_x, self.bias).unbind(1):
            write, candidate, forget, out = torch.addmm(driven, h, by_h.t()).chunk(4, dim=-1)
            forget = (forget + self.forget_bias + see_f * c).sigmoid()
            c = forget * c + (write + see_i * c).sigmoid() * candidate.tanh()
            h = (out + see_o * c).sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs, dim=1)


class BothWays(nn.Module):
    """Layers over a sequence and over its reverse, side by side.

    Parameters
    ----------
    fw, bw : Module
        (N, T, inputs) -> (N, T, hidden) each.
    dropout : float
        On the input of each direction, on the output of each, independently.
    """

    def __init__(self, fw: nn.Module, bw: nn.Module, dropout: float) -> None:
        super().__init__()
        self.fw, self.bw, self.dropout = fw, bw, nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, inputs) -> (N, T, 2 hidden)."""
        forward = self.dropout(self.fw(self.dropout(x)))
        backward = self.dropout(self.bw(self.dropout(x).flip(1)).flip(1))
        return torch.cat([forward, backward], dim=-1)
