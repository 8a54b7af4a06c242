"""The registry and the strict loading of published weights."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

import models
from models import published
from tests.parity.recipes import fill


def weights_of(n_blocks: int = 1) -> dict[str, torch.Tensor]:
    """A small published state dict of the stage language model."""
    shapes = {"transformer.wte.weight": (6, 12), "transformer.wpe.weight": (20, 12)}
    shapes |= {f"transformer.ln_f.{part}": (12,) for part in ("weight", "bias")}
    for block in range(n_blocks):
        at = f"transformer.h.{block}"
        for name, (before, after) in {
            "attn.c_attn": (12, 36),
            "attn.c_proj": (12, 12),
            "mlp.c_fc": (12, 48),
            "mlp.c_proj": (48, 12),
        }.items():
            shapes |= {f"{at}.{name}.weight": (before, after), f"{at}.{name}.bias": (after,)}
        for name in ("ln_1", "ln_2"):
            shapes |= {f"{at}.{name}.{part}": (12,) for part in ("weight", "bias")}
    return {name: torch.from_numpy(fill(name, shape)) for name, shape in shapes.items()}


def test_sizes_are_read_from_the_shapes_and_options_go_before_them() -> None:
    model = published.load("sleepgpt", weights_of(n_blocks=2), n_heads=3)
    config = model.config
    assert (config.width, config.n_positions, config.n_layers, config.n_heads) == (12, 20, 2, 3)
    assert not model.training


def test_the_prefix_of_parallel_training_is_taken_off() -> None:
    prefixed = {f"module.{name}": tensor for name, tensor in weights_of().items()}
    ids = torch.tensor([[0, 1, 2]])
    plain = published.load("sleepgpt", weights_of(), n_heads=3)
    assert torch.equal(published.load("sleepgpt", prefixed, n_heads=3)(ids), plain(ids))


def test_the_two_constants_are_left_out_but_the_projection_bias_is_not() -> None:
    constants = {"transformer.h.0.attn.bias": torch.ones(1, 1, 20, 20)}
    constants["transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)
    model = published.load("sleepgpt", weights_of() | constants, n_heads=3)
    want = weights_of()["transformer.h.0.attn.c_attn.bias"]
    assert torch.equal(model.blocks[0].attention.qkv.bias, want)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transformer.ln_f.bias": None}, r"lack \['norm.bias'\]"),
        ({"transformer.wte.weight": None}, "lack 'transformer.wte.weight'"),
        ({"transformer.extra": torch.zeros(1)}, r"not used: \['transformer.extra'\]"),
        ({"transformer.ln_f.bias": torch.zeros(5)}, r"norm.bias has shape \(5,\), .* \(12,\)"),
        ({"lm_head.weight": torch.zeros(6, 12)}, "lm_head.weight differs from transformer.wte"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    change: dict[str, torch.Tensor | None], message: str
) -> None:
    changed = {k: v for k, v in (weights_of() | change).items() if v is not None}
    with pytest.raises(ValueError, match=message):
        published.load("sleepgpt", changed, n_heads=3)


def test_a_model_without_published_weights_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Config:
        size: int = 1

    class Own(torch.nn.Module):
        def __init__(self, config: Config) -> None:
            super().__init__()

    Own.__init__.__annotations__["config"] = Config
    monkeypatch.setitem(models._MODELS, "own", Own)
    with pytest.raises(ValueError, match="'own': no published weights are known"):
        published.load("own", {})


def test_unknown_names_and_fields_list_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no model 'lpsgn'; there are .*lpsgm"):
        models.create("lpsgn")
    with pytest.raises(ValueError, match=r"'sleepgpt' has no depth; it has .*n_layers"):
        models.create("sleepgpt", depth=3)


def test_a_name_can_be_taken_only_once() -> None:
    class Second(torch.nn.Module):
        pass

    with pytest.raises(ValueError, match="'lpsgm' is taken by models.lpsgm"):
        models.register("lpsgm")(Second)


def test_the_published_variants_of_lpsgm_have_the_published_numbers_of_parameters() -> None:
    def count(**config: object) -> int:
        return sum(p.numel() for p in models.create("lpsgm", **config).parameters())

    assert count() == count(architecture="cat_avg") == 9_862_661
    assert count(architecture="add_cls") == count(architecture="none_cls") == 7_290_309
    assert count(n_blocks=1) == 3_190_469


def test_the_published_stagers_of_sleepgpt_have_the_published_numbers_of_parameters() -> None:
    counts = {
        name: sum(p.numel() for p in models.create(name).parameters())
        for name in ("tinysleepnet-cnn", "tinysleepnet-seq")
    }
    assert counts == {"tinysleepnet-cnn": 410_245, "tinysleepnet-seq": 1_582_981}
