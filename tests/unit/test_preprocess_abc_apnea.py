"""ABC: of two electrodes of one name the one at the chin is taken."""

from __future__ import annotations

from pathlib import Path

from preprocess.abc_apnea import SPEC
from preprocess.dataset import RawNight
from preprocess.recipe.conversion import Order, choose_channels
from recordings.views import VIEWS
from tests.makers.raw_abc_apnea import OTHER
from tests.makers.recordings import with_labels


def test_the_chin_electrode_beside_the_other_is_subtracted() -> None:
    labels = [label for label, _ in OTHER]
    at_t3, at_chin = (place for place, label in enumerate(labels) if label == "CChin")
    night = RawNight("night", person="somebody", signals=Path("night.edf"))
    order = Order(Path("data"))
    chin = choose_channels(with_labels(*labels), night, SPEC, order, VIEWS["psg9"])["Chin"]
    assert chin.plus == labels.index("LChin")
    assert chin.minus == at_chin != at_t3
