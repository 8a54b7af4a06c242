"""The fast recurrent layers do what the plain ones do, step by step."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from models.recurrent_norm import EPS, MOMENTUM, Direction, Recurrent, StepNorm
from models.tensorflow_cells import GRU, BothWays, PeepholeLSTM


def plain(way: Direction, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """One direction by the formulas, for (N, T, inputs), and the moments of each step."""

    def normal(value: torch.Tensor, norm: nn.Module, name: str) -> torch.Tensor:
        mean, var = value.mean(dim=0), value.var(dim=0, correction=0)
        moments.setdefault(f"{name}.running_mean", []).append(mean)
        moments.setdefault(f"{name}.running_var", []).append(var)
        scaled = (value - mean) / (var + EPS).sqrt() * norm.weight
        return scaled if norm.bias is None else scaled + norm.bias

    moments: dict[str, list] = {}
    h = c = x.new_zeros(len(x), way.weight_hh.shape[1])
    outputs = []
    for step in x.unbind(1):
        gates = normal(step @ way.weight_xh.T, way.bn_xh, "bn_xh")
        gates = gates + normal(h @ way.weight_hh.T, way.bn_hh, "bn_hh")
        forget, write, out, candidate = gates.chunk(4, dim=1)
        c = forget.sigmoid() * c + write.sigmoid() * candidate.tanh()
        h = out.sigmoid() * normal(c, way.bn_c, "bn_c").tanh()
        outputs.append(h)
    return torch.stack(outputs, dim=1), {k: torch.stack(v) for k, v in moments.items()}


@pytest.fixture
def layer() -> Recurrent:
    """A layer in double precision with scales of its own for every unit."""
    torch.manual_seed(3)
    layer = Recurrent(5, 6, 4, 0.0).double()
    for name, parameter in layer.named_parameters():
        if "bn_" in name:
            nn.init.normal_(parameter, 0.5, 0.3)
    return layer


def test_outputs_and_statistics_of_a_batch_follow_the_formulas(layer: Recurrent) -> None:
    x = torch.randn(7, 5, 6, dtype=torch.float64)
    layer = layer.float()
    found = layer(x.float())
    for at, (way, turned) in enumerate(((layer.fw, x), (layer.bw, x.flip(1)))):
        want, moments = plain(way, turned.float())
        want = want if at == 0 else want.flip(1)
        torch.testing.assert_close(found[..., 4 * at : 4 * at + 4], want, atol=1e-5, rtol=0)
        for name, now in moments.items():
            begun = 0.0 if name.endswith("mean") else 1.0
            running = begun * (1 - MOMENTUM) + MOMENTUM * now
            torch.testing.assert_close(way.get_buffer(name), running, atol=1e-6, rtol=0)


def test_gradients_follow_from_the_formulas(layer: Recurrent) -> None:
    layer = layer.float()
    x = torch.randn(7, 5, 6, requires_grad=True)
    told = torch.randn(7, 5, 8)
    parameters = dict(layer.named_parameters())
    found = torch.autograd.grad((layer(x) * told).sum(), [x, *parameters.values()])
    forward = plain(layer.fw, x)[0]
    backward = plain(layer.bw, x.flip(1))[0].flip(1)
    loss = (torch.cat([forward, backward], dim=-1) * told).sum()
    want = torch.autograd.grad(loss, [x, *parameters.values()])
    for name, mine, theirs in zip(["x", *parameters], found, want, strict=True):
        scale = theirs.abs().max()
        assert (mine - theirs).abs().max() <= 1e-4 * scale + 1e-6, name


def test_frozen_layers_keep_to_their_running_statistics(layer: Recurrent) -> None:
    layer = layer.float().requires_grad_(False).train()
    x = torch.randn(7, 5, 6, requires_grad=True)
    before = {name: value.clone() for name, value in layer.named_buffers()}
    trained = layer(x)
    torch.testing.assert_close(trained, layer.eval()(x))
    for name, value in layer.named_buffers():
        assert torch.equal(value, before[name]), name
    trained.sum().backward()  # what stands below it is still trained
    assert x.grad.any()


def test_every_step_has_its_statistics_and_steps_beyond_them_those_of_the_last() -> None:
    norm = StepNorm(3, 1, offset=False)
    norm.running_mean.copy_(torch.tensor([[1.0], [2.0], [5.0]]))
    scale, shift = norm.affine(5)
    torch.testing.assert_close(-shift / scale, torch.tensor([[1.0], [2.0], [5.0], [5.0], [5.0]]))


def test_a_batch_of_one_sequence_cannot_be_trained_on_but_evaluated(layer: Recurrent) -> None:
    x = torch.randn(1, 5, 6)
    with pytest.raises(ValueError, match="train on two or more"):
        layer.float()(x)
    assert layer.eval()(x).isfinite().all()


def test_low_precision_around_the_layer_does_not_reach_into_it(layer: Recurrent) -> None:
    layer = layer.float()
    x = torch.randn(7, 5, 6)
    want = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, want)


def test_dropout_changes_inputs_and_outputs_of_each_direction_by_itself() -> None:
    torch.manual_seed(0)
    layer = Recurrent(3, 400, 300, 0.5)
    out = layer(torch.ones(4, 3, 400) * torch.randn(4, 1, 1))
    dropped = out == 0
    assert dropped.float().mean() == pytest.approx(0.5, abs=0.05)
    assert not torch.equal(dropped[..., :300], dropped[..., 300:])


def test_the_reset_gate_stands_before_the_product() -> None:
    torch.manual_seed(0)
    cell, x = GRU(3, 2), torch.randn(4, 2, 3)
    gates, candidate = cell.gates, cell.candidate
    h = torch.zeros(4, 2)
    for step in x.unbind(1):
        reset, update = gates(torch.cat([step, h], dim=1)).sigmoid().chunk(2, dim=1)
        told = candidate(torch.cat([step, reset * h], dim=1)).tanh()
        h = update * h + (1 - update) * told
    torch.testing.assert_close(cell(x)[:, -1], h)


def test_peepholes_see_the_cell_before_and_after() -> None:
    torch.manual_seed(0)
    cell, x = PeepholeLSTM(3, 2), torch.randn(4, 3, 3)
    h = c = torch.zeros(4, 2)
    for step in x.unbind(1):
        i, j, f, o = (torch.cat([step, h], dim=1) @ cell.weight.T + cell.bias).chunk(4, dim=1)
        kept = (f + 1 + cell.w_f_diag * c).sigmoid() * c
        c = kept + (i + cell.w_i_diag * c).sigmoid() * j.tanh()
        h = (o + cell.w_o_diag * c).sigmoid() * c.tanh()
    torch.testing.assert_close(cell(x)[:, -1], h)


def test_the_backward_direction_is_the_forward_one_of_the_reverse() -> None:
    torch.manual_seed(0)
    both = BothWays(PeepholeLSTM(3, 2), PeepholeLSTM(3, 2), dropout=0.0)
    both.bw.load_state_dict(both.fw.state_dict())
    x = torch.randn(4, 5, 3)
    out = both(x)
    torch.testing.assert_close(out[..., 2:], both(x.flip(1))[..., :2].flip(1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_outputs_gradients_and_statistics(layer: Recurrent) -> None:
    layer = layer.float()
    there = deepcopy(layer).cuda()
    x = torch.randn(7, 5, 6)
    layer(x).square().sum().backward()
    there(x.cuda()).square().sum().backward()
    for (name, mine), theirs in zip(layer.named_parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(theirs.grad.cpu(), mine.grad, atol=1e-3, rtol=1e-3, msg=name)
    for (name, mine), theirs in zip(layer.named_buffers(), there.buffers(), strict=True):
        torch.testing.assert_close(theirs.cpu(), mine, atol=1e-5, rtol=1e-4, msg=name)
