"""Networks over whole nights: padding changes nothing, sizes are the published ones."""

from __future__ import annotations

import pytest
import torch

import models
from models.htn import segments_of

NIGHTS = [torch.randint(0, 5, (n,), generator=torch.Generator().manual_seed(n)) for n in (50, 7)]


def built(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return models.create(name, n_positions=10).eval()


@pytest.mark.parametrize("name", ["htn", "htn-lstm"])
def test_a_night_gives_the_same_alone_and_padded_in_a_batch(name: str) -> None:
    model = built(name)
    ids, valid = segments_of(NIGHTS, 10)
    with torch.no_grad():
        together = model(ids, valid).logits
        alone = [model(*segments_of([night], 10)).logits[0] for night in NIGHTS]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "count"), [("htn", 321_650), ("htn-lstm", 460_658), ("stage-classifier", 88_176)]
)
def test_sizes_are_the_published_ones(name: str, count: int) -> None:
    assert sum(p.numel() for p in models.create(name).parameters()) == count


def test_attention_rows_are_shares_and_padding_gets_none() -> None:
    ids, valid = segments_of(NIGHTS, 10)
    with torch.no_grad():
        (seen,) = built("htn")(ids, valid).attention
    torch.testing.assert_close(seen.sum(dim=-1), torch.ones(2, 6))
    assert (seen[1, 0, 2:] == 0).all()  # the second night fills one segment of five


def test_more_segments_than_places_are_refused() -> None:
    model = models.create("htn", n_positions=10, max_segments=2)
    with pytest.raises(ValueError, match="5 segments given, the model sees 2"):
        model(*segments_of(NIGHTS, 10))


def test_a_classifier_reads_the_last_stage_and_no_padding() -> None:
    model = built("stage-classifier")
    with torch.no_grad():
        padded = model(torch.tensor([[0, 1, 2, 5, 5]])).logits
        torch.testing.assert_close(padded, model(torch.tensor([[0, 1, 2]])).logits)


def test_mean_readouts_do_not_see_padding_either() -> None:
    torch.manual_seed(0)
    sizes = {"n_positions": 10, "readout": "mean", "segment_readout": "mean"}
    for name in ("htn", "htn-lstm"):
        model = models.create(name, **sizes).eval()
        with torch.no_grad():
            together = model(*segments_of(NIGHTS, 10)).logits
            alone = [model(*segments_of([night], 10)).logits[0] for night in NIGHTS]
        torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=0)


def test_a_night_of_segments_read_alone_is_their_mean_probability() -> None:
    model = built("stage-classifier")
    ids, valid = segments_of(NIGHTS[:1], 10)
    with torch.no_grad():
        whole = model.classify(*model.segments(ids, valid)).logits.softmax(dim=-1)
        each = model(ids[0]).logits.softmax(dim=-1)
    torch.testing.assert_close(whole[0], each.mean(dim=0), atol=1e-6, rtol=0)
