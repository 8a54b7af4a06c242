"""The Mamba layers: what a chunk may change (nothing), what a step may see (the past)."""

from __future__ import annotations

import pytest
import torch

from benchmarks.mamba_scan import WAYS, s6_steps, ssd_steps
from models import selective_scan
from models.mamba import FIRST_STEP, Mamba, Mamba2
from models.selective_scan import s6, ssd

LAYERS = {"S6": lambda: Mamba(24, 8), "SSD": lambda: Mamba2(32, 8, headdim=16, ngroups=2)}


def scan_inputs(scan: str, length: int, batch: int = 2) -> list[torch.Tensor]:
    """Small inputs of a scan; four heads in two groups."""
    torch.manual_seed(length)
    if scan == "S6":
        sizes = [(batch, length, 6), (batch, length, 6), (6, 4), (batch, length, 4)]
    else:
        sizes = [(batch, length, 4, 5), (batch, length, 4), (4,), (batch, length, 2, 3)]
    x, delta, rate, write = (torch.randn(size) for size in sizes)
    tensors = [x, delta.abs(), -rate.abs() - 0.1, write, torch.randn_like(write)]
    return [tensor.requires_grad_() for tensor in tensors]


def with_gradients(work, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Output of a scan and the gradients of a weighted sum of it."""
    y = work(*tensors)
    weights = torch.linspace(-1, 1, y.numel()).view(y.shape)
    return [y, *torch.autograd.grad((y * weights).sum(), tensors, materialize_grads=True)]


def ssd_by_group(x, delta, rate, write, read):  # type: ignore[no-untyped-def]
    """The definition, with what a group shares given to each of its heads."""
    spread = (t.repeat_interleave(x.shape[2] // t.shape[2], dim=2) for t in (write, read))
    heads = [
        ssd_steps(x[:, :, h : h + 1], delta[:, :, h : h + 1], rate[h : h + 1], w, r)
        for h, (w, r) in enumerate(zip(*(t.split(1, dim=2) for t in spread), strict=True))
    ]
    return torch.cat(heads, dim=2)


@pytest.mark.parametrize("length", [1, 2, 7, 33, 70])
@pytest.mark.parametrize("scan", WAYS)
def test_scans_do_what_their_definition_says_step_by_step(scan: str, length: int) -> None:
    tensors = scan_inputs(scan, length)
    ours, steps = {"S6": (s6, s6_steps), "SSD": (ssd, ssd_by_group)}[scan]
    for mine, defined in zip(
        with_gradients(ours, tensors), with_gradients(steps, tensors), strict=True
    ):
        torch.testing.assert_close(mine, defined, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("chunk", [1, 5, 16, 64, 1000])
@pytest.mark.parametrize("scan", WAYS)
def test_the_size_of_chunks_does_not_change_the_result(scan: str, chunk: int) -> None:
    tensors, work = scan_inputs(scan, 41), {"S6": s6, "SSD": ssd}[scan]
    usual = with_gradients(work, tensors)
    other = with_gradients(lambda *given: work(*given, chunk=chunk), tensors)
    for mine, wanted in zip(other, usual, strict=True):
        torch.testing.assert_close(mine, wanted, atol=2e-4, rtol=2e-4)


def test_the_number_of_samples_held_at_once_does_not_change_s6(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tensors = scan_inputs("S6", 9, batch=5)
    whole = with_gradients(s6, tensors)
    monkeypatch.setattr(selective_scan, "S6_BLOCK", 1)
    for mine, wanted in zip(with_gradients(s6, tensors), whole, strict=True):
        torch.testing.assert_close(mine, wanted, atol=1e-5, rtol=1e-5)


def test_fast_decay_over_a_long_chunk_gives_finite_gradients() -> None:
    x, delta, rate, write, read = scan_inputs("SSD", 150)
    strong = (rate.detach() * 50).requires_grad_()
    tensors = [x, delta, strong, write, read]
    results = with_gradients(lambda *given: ssd(*given, chunk=150), tensors)
    assert all(result.isfinite().all() for result in results)


@pytest.mark.parametrize("scan", WAYS)
def test_scans_keep_their_digits_under_autocast(scan: str) -> None:
    tensors, work = scan_inputs(scan, 41), {"S6": s6, "SSD": ssd}[scan]
    with torch.autocast("cpu", torch.bfloat16):
        mixed = work(*tensors)
    assert torch.equal(mixed, work(*tensors))


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_run_in_half_precision(kind: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[kind]()
    u = torch.randn(2, 20, layer.in_proj.in_features)
    plain = layer(u)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = layer(u)
    assert (plain - mixed).abs().max() < 0.05 * plain.abs().max()


@pytest.mark.parametrize("kind", LAYERS)
def test_step_by_step_a_layer_gives_what_it_gives_for_the_sequence(kind: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[kind]()
    u = torch.randn(3, 12, layer.in_proj.in_features)
    with torch.no_grad():
        whole, memory, steps = layer(u), layer.start(3), []
        for t in range(u.shape[1]):
            y, memory = layer.step(u[:, t], memory)
            steps.append(y)
    torch.testing.assert_close(torch.stack(steps, dim=1), whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", LAYERS)
def test_an_epoch_does_not_change_what_was_said_before_it(kind: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[kind]()
    u = torch.randn(1, 20, layer.in_proj.in_features)
    other = u.clone()
    other[:, 11] += 1
    with torch.no_grad():
        apart = (layer(u) - layer(other)).abs().amax(dim=(0, 2))
    assert apart[:11].max() < 1e-6
    assert apart[11:].min() > 1e-6


def test_step_sizes_begin_in_the_range_of_the_papers() -> None:
    torch.manual_seed(0)
    for bias in (Mamba(512).dt_proj.bias, Mamba2(512).dt_bias):
        delta = torch.nn.functional.softplus(bias)
        assert delta.min() >= 0.99 * FIRST_STEP[0]
        assert delta.max() <= 1.01 * FIRST_STEP[1]


def test_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="headdim 64"):
        Mamba2(40)


def kernel_or_skip(module: str, name: str) -> None:
    """Skip, saying why, where the kernels cannot run."""
    if not torch.cuda.is_available():
        pytest.skip("the kernels of mamba_ssm need a CUDA device; there is none")
    if selective_scan._kernel(module, name) is None:
        pytest.skip(f"{name} of mamba_ssm cannot be imported")


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("scan", "module", "name"),
    [
        ("S6", "mamba_ssm.ops.selective_scan_interface", "selective_scan_fn"),
        ("SSD", "mamba_ssm.ops.triton.ssd_combined", "mamba_chunk_scan_combined"),
    ],
)
def test_the_kernels_of_mamba_ssm_agree_with_ours(scan: str, module: str, name: str) -> None:
    kernel_or_skip(module, name)
    inputs, work, _ = WAYS[scan]
    tensors = inputs(2, 100)
    on_card = [tensor.detach().cuda().requires_grad_() for tensor in tensors]
    for mine, theirs in zip(
        with_gradients(work, tensors), with_gradients_on_card(work, on_card), strict=True
    ):
        scale = mine.abs().max().item()
        torch.testing.assert_close(theirs.cpu(), mine, atol=2e-3 * scale, rtol=0)


def with_gradients_on_card(work, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """The same as `with_gradients`, with its weights on the card."""
    y = work(*tensors)
    weights = torch.linspace(-1, 1, y.numel(), device=y.device).view(y.shape)
    return [y, *torch.autograd.grad((y * weights).sum(), tensors, materialize_grads=True)]
