"""Sleep statistics against hypnograms worked out by hand, and against YASA where both agree."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from evaluation.statistics import DEFINITIONS, in_bed, sleep_statistics, transition_matrix
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES, to_four_classes

LETTERS = {"w": 0, "1": 1, "2": 2, "3": 3, "r": 4, "?": -1}


def night(text: str, **fields: object) -> Hypnogram:
    """Build a hypnogram from one letter per epoch; blanks are for the reader."""
    stages = [LETTERS[letter] for letter in text.replace(" ", "")]
    return Hypnogram(np.array(stages, dtype=int), **fields)  # type: ignore[arg-type]


# 4 W, then a sleep period of 18 epochs with 2 epochs of W in two awakenings, then 2 W
BY_HAND = "wwww 11 222 w 2 33 2 rrr w 1 2 rr ww"


@pytest.mark.parametrize(
    ("name", "value"),
    {
        "tib_min": 12.0,
        "spt_min": 9.0,
        "tst_min": 8.0,
        "unscored_min": 0.0,
        "se_percent": 100 * 8 / 12,
        "sme_percent": 100 * 8 / 9,
        "sol_min": 2.0,
        "persistent_sol_min": math.nan,
        "waso_min": 1.0,
        "wake_after_final_min": 1.0,
        "awakenings": 2.0,
        "awakenings_per_h": 15.0,
        # 1-2 2-w w-2 2-3 3-2 2-r r-w w-1 1-2 2-r
        "stage_shifts": 10.0,
        "stage_shifts_per_h": 75.0,
        "fragmentation_per_h": 15.0,
        "rem_periods": 1.0,
        "nrem_min": 5.5,
        "nrem_percent": 100 * 11 / 16,
        "wake_min": 4.0,
        "wake_bouts": 4.0,
        "wake_bout_mean_min": 1.0,
        "n1_min": 1.5,
        "n1_percent": 100 * 3 / 16,
        "n1_bouts": 2.0,
        "n1_bout_mean_min": 0.75,
        "n1_latency_min": 0.0,
        "n2_min": 3.0,
        "n2_bouts": 4.0,
        "n2_latency_min": 1.0,
        "n3_min": 1.0,
        "n3_latency_min": 3.5,
        "rem_min": 2.5,
        "rem_percent": 100 * 5 / 16,
        "rem_latency_min": 5.0,
    }.items(),
)
def test_a_night_worked_out_by_hand(name: str, value: float) -> None:
    assert sleep_statistics(night(BY_HAND))[name] == pytest.approx(value, nan_ok=True)


def test_every_statistic_has_a_definition_and_keeps_the_order() -> None:
    five = list(sleep_statistics(night(BY_HAND)))
    four = list(sleep_statistics(Hypnogram(np.array([0, 1, 2, 3]), classes=FOUR_CLASSES)))
    for names in (five, four):
        assert names == [name for name in DEFINITIONS if name in names]
    assert set(five) | set(four) == set(DEFINITIONS)
    assert all(definition.text for definition in DEFINITIONS.values())


def test_rem_latency_counts_from_sleep_onset() -> None:
    early, late = night("w 22 rr"), night("wwwwwwww 22 rr")
    assert sleep_statistics(early)["rem_latency_min"] == 1.0
    assert sleep_statistics(late)["rem_latency_min"] == 1.0
    assert sleep_statistics(late)["sol_min"] == 4.0


def test_the_last_awakening_is_not_wake_after_sleep_onset() -> None:
    found = sleep_statistics(night("ww 22 www"))
    assert (found["waso_min"], found["wake_after_final_min"], found["awakenings"]) == (0, 1.5, 0)


def test_persistent_sleep_asks_for_ten_unbroken_minutes() -> None:
    assert math.isnan(sleep_statistics(night("w" + "2" * 19 + "w"))["persistent_sol_min"])
    found = sleep_statistics(night("ww 22 w" + "1" * 5 + "r" * 15 + "w"))
    assert found["persistent_sol_min"] == 2.5
    assert math.isnan(sleep_statistics(night("2" * 10 + "?" + "2" * 19))["persistent_sol_min"])
    twenty_s = Hypnogram(np.array([0] + [2] * 30), epoch_s=20)
    assert sleep_statistics(twenty_s)["persistent_sol_min"] == pytest.approx(1 / 3)


def test_fragmentation_counts_shifts_to_wake_and_to_n1_from_deeper_stages() -> None:
    found = sleep_statistics(night("w 1 2 1 3 1 r 1 w 1 2"))
    # three shifts to N1 and one awakening in 4.5 minutes of sleep
    assert found["fragmentation_per_h"] == pytest.approx(4 / (4.5 / 60))


def test_rem_periods_join_short_breaks_and_drop_short_ones_within_the_night() -> None:
    nrem = "2" * 30
    assert sleep_statistics(night("2r" + "2" * 29 + "r"))["rem_periods"] == 1
    assert sleep_statistics(night("2r" + nrem + "r"))["rem_periods"] == 2
    assert sleep_statistics(night("r" + nrem + "rrr" + nrem + "r"))["rem_periods"] == 2
    assert sleep_statistics(night("r" + nrem + "r" * 10 + nrem + "r"))["rem_periods"] == 3


def test_lights_bound_the_time_in_bed_by_the_centre_of_epochs() -> None:
    found = in_bed(night("w222w w", onset_s=15.0, lights_off_s=60.0, lights_on_s=150.0))
    # centres at 30, 60, 90, ...: epochs 1 to 4 are in bed
    assert found.stages.tolist() == [2, 2, 2, 0]
    assert found.onset_s == 45.0
    assert sleep_statistics(found)["tib_min"] == 2.0


def test_lights_beyond_the_recording_and_crossed_lights_do_no_harm() -> None:
    assert sleep_statistics(night("w22", lights_off_s=-100.0, lights_on_s=1e6))["tib_min"] == 1.5
    crossed = sleep_statistics(night("w22", lights_off_s=60.0, lights_on_s=0.0))
    assert crossed["tib_min"] == 0


def test_without_lights_unscored_ends_are_not_time_in_bed() -> None:
    assert sleep_statistics(night("??w22w???"))["tib_min"] == 2.0
    assert sleep_statistics(night("??w22w???", lights_off_s=0.0))["tib_min"] == 3.0


def test_unscored_epochs_take_time_but_are_neither_sleep_nor_wake() -> None:
    found = sleep_statistics(night("w 22 ?? 22 ? w 2 w"))
    assert found["spt_min"] == 4.5
    assert found["tst_min"] == 2.5
    assert found["waso_min"] == 0.5
    assert found["unscored_min"] == 1.5
    assert found["awakenings"] == 0  # what came before the second wake is not known
    assert found["n2_bouts"] == 3
    assert found["stage_shifts"] == 1


@pytest.mark.parametrize("text", ["", "?????", "wwww", "2", "w", "2?", "3333"])
def test_nights_that_are_hardly_nights_give_numbers_and_no_crash(text: str) -> None:
    found = sleep_statistics(night(text))
    assert set(found) == set(sleep_statistics(night(BY_HAND)))
    assert all(isinstance(value, float) for value in found.values())
    assert found["tst_min"] == 0.5 * sum(letter in "123r" for letter in text)
    assert found["rem_min"] == 0
    assert math.isnan(found["rem_latency_min"])
    assert math.isnan(found["rem_bout_mean_min"])
    counts, proba = transition_matrix(night(text))
    assert counts.sum() == max(0, len(text.replace("?", "")) - 1)
    assert proba.shape == (5, 5)


def test_all_wake_has_no_sleep_efficiency_above_zero() -> None:
    found = sleep_statistics(night("w" * 100))
    assert found["se_percent"] == 0
    for name in ("sol_min", "waso_min", "sme_percent", "n2_percent", "fragmentation_per_h"):
        assert math.isnan(found[name])


def test_four_class_nights_have_the_same_totals() -> None:
    five = night(BY_HAND)
    four = Hypnogram(to_four_classes(five.stages), classes=FOUR_CLASSES)
    ours, theirs = sleep_statistics(five), sleep_statistics(four)
    for name in ("tib_min", "tst_min", "waso_min", "rem_min", "rem_latency_min", "nrem_min"):
        assert ours[name] == theirs[name]
    assert theirs["light_min"] == ours["n1_min"] + ours["n2_min"]
    assert theirs["deep_min"] == ours["n3_min"]
    assert theirs["fragmentation_per_h"] == theirs["awakenings_per_h"]


def test_transitions_are_counted_from_row_to_column_and_not_across_gaps() -> None:
    counts, proba = transition_matrix(night("w 2 2 ? r w"))
    assert counts.sum() == 3
    assert (counts[0, 2], counts[2, 2], counts[4, 0]) == (1, 1, 1)
    assert proba[0].tolist() == [0, 0, 1, 0, 0]
    assert np.isnan(proba[1]).all()


# --- YASA -----------------------------------------------------------------------------------------

ROUNDED = 1e-4  # YASA rounds to four decimals
SAME_AS_YASA = {
    "tib_min": "TIB",
    "spt_min": "SPT",
    "waso_min": "WASO",
    "tst_min": "TST",
    "se_percent": "SE",
    "sme_percent": "SME",
    "sol_min": "SOL",
    "wake_min": "WAKE",
    "n1_min": "N1",
    "n2_min": "N2",
    "n3_min": "N3",
    "rem_min": "REM",
    "n1_percent": "%N1",
    "n2_percent": "%N2",
    "n3_percent": "%N3",
    "rem_percent": "%REM",
}


def _compare_with_yasa(stages: np.ndarray) -> None:
    yasa = pytest.importorskip("yasa")
    names = np.array(["WAKE", "N1", "N2", "N3", "REM", "UNS"])
    theirs = yasa.Hypnogram(names[stages], freq="30s")
    known = theirs.sleep_statistics()
    ours = sleep_statistics(Hypnogram(stages))
    for name, same in SAME_AS_YASA.items():
        assert ours[name] == pytest.approx(known[same], abs=ROUNDED, nan_ok=True), name
    # YASA counts R latency from the beginning of the hypnogram, and the last awakening in its SFI
    rem_latency = ours["sol_min"] + ours["rem_latency_min"]
    assert rem_latency == pytest.approx(known["Lat_REM"], abs=ROUNDED, nan_ok=True)
    asleep = np.flatnonzero(stages > 0)
    last = int(asleep[-1] + 1 < len(stages) and stages[asleep[-1] + 1] == 0) if asleep.size else 0
    if ours["tst_min"]:
        per_h = (ours["awakenings"] + last) / ours["tst_min"] * 60
        assert per_h == pytest.approx(known["SFI"], abs=ROUNDED)
    counts, proba = transition_matrix(Hypnogram(stages))
    if (stages >= 0).all():
        table, shares = theirs.transition_matrix()
        labels = [label for label in names[:5] if label in table.index]
        at = [names.tolist().index(label) for label in labels]
        assert counts[np.ix_(at, at)].tolist() == table.loc[labels, labels].to_numpy().tolist()
        left = counts[at].sum(axis=1) > 0
        assert proba[np.ix_(at, at)][left] == pytest.approx(
            shares.loc[labels, labels].to_numpy()[left]
        )


def test_yasa_agrees_on_drawn_nights(rng: np.random.Generator) -> None:
    for _ in range(8):
        runs = rng.geometric(0.15, size=60)
        stages = np.repeat(rng.integers(0, 5, size=60), runs)
        _compare_with_yasa(stages)
        stages[rng.random(len(stages)) < 0.05] = -1
        stages[[0, -1]] = 0
        _compare_with_yasa(stages)


@pytest.mark.data("real/dod/dod.npz")
def test_yasa_agrees_on_real_nights(shared_data: Path) -> None:
    nights = np.load(shared_data / "real" / "dod" / "dod.npz")
    for key in [key for key in nights if key.endswith("scorers")][::10]:
        for stages in nights[key][:2]:
            scored = np.flatnonzero(stages >= 0)
            _compare_with_yasa(stages[scored[0] : scored[-1] + 1])


@pytest.mark.parametrize(
    ("classes", "codes", "absent"),
    [
        (FOUR_CLASSES, [0, 1, 1, 2, 3, -1], ("n1_", "n2_", "n3_")),
        (("W", "NREM", "R"), [0, 1, 1, 1, 2, -1], ("n1_", "n2_", "n3_", "light_", "deep_")),
        (("W", "S"), [0, 1, 1, 1, 1, -1], ("n1_", "light_", "rem_", "nrem_")),
    ],
)
def test_fewer_classes_give_what_they_define_and_no_false_stage(
    classes: tuple[str, ...], codes: list[int], absent: tuple[str, ...]
) -> None:
    five = night(BY_HAND)
    fewer = Hypnogram(np.array(codes)[five.stages], classes=classes)
    known, found = sleep_statistics(five), sleep_statistics(fewer)
    assert not any(name.startswith(absent) for name in found)
    differ = ("stage_shifts", "stage_shifts_per_h", "fragmentation_per_h", "nrem_bout")
    shared = [name for name in found if name in known and name not in differ]
    assert {"tst_min", "waso_min", "sol_min", "awakenings"} <= set(shared)
    for name in shared:
        assert found[name] == pytest.approx(known[name], nan_ok=True), name
    assert found["fragmentation_per_h"] == found["awakenings_per_h"]
    if "D" in classes:
        assert found["light_min"] == known["n1_min"] + known["n2_min"]
        assert found["deep_percent"] == pytest.approx(known["n3_percent"])
