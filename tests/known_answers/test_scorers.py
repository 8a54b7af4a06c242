"""Scorers and stagers judged alike: the Dreem table against a computation written anew."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from evaluation.outputs import NightOutput
from evaluation.prospective import paired_t, soft_study, statistic_errors
from evaluation.scorers import ScoredNight, first_of_each, rate, read_scored, with_stager


def scored(rng: np.random.Generator, n: int = 4, n_scorers: int = 3) -> list[ScoredNight]:
    """Nights of scorers who each get a share of the truth wrong, and a stager that gets more."""
    found = []
    for number in range(n):
        truth = np.repeat(rng.integers(0, 5, 30), 6)
        noisy = [
            np.where(rng.random(180) < share, truth, rng.integers(0, 5, 180)).astype(np.int8)
            for share in (*np.linspace(0.9, 0.8, n_scorers), 0.7)
        ]
        dataset = "A" if number % 2 else "B"
        stagers = {"net": noisy[-1]}
        found.append(ScoredNight(dataset, f"n{number}", np.stack(noisy[:-1]), stagers))
    return found


# --- the same rules, epoch by epoch, with nothing of ours ---------------------------------------


def soft_agreement_anew(own: np.ndarray, others: list[np.ndarray]) -> float:
    """Mean share of the most votes that the own stage got, over epochs with votes."""
    shares = []
    for epoch, stage in enumerate(own):
        votes = Counter(int(other[epoch]) for other in others if other[epoch] >= 0)
        if stage >= 0 and votes:
            shares.append(votes[int(stage)] / max(votes.values()))
    return float(np.mean(shares))


def consensus_anew(voters: list[np.ndarray], n_best: int | None) -> tuple[list[int], list[float]]:
    """Majority of the best ranked, ties to the best ranked among those tied; share of votes."""
    rank = []
    for place, own in enumerate(voters):
        rank.append(soft_agreement_anew(own, [v for i, v in enumerate(voters) if i != place]))
    order = sorted(range(len(voters)), key=lambda place: -rank[place])[:n_best]
    stages, shares = [], []
    for epoch in range(len(voters[0])):
        said = [int(voters[place][epoch]) for place in order if voters[place][epoch] >= 0]
        if not said:
            stages.append(-1)
            shares.append(0.0)
            continue
        votes = Counter(said)
        most = max(votes.values())
        stages.append(next(stage for stage in said if votes[stage] == most))
        shares.append(most / len(said))
    return stages, shares


def judged_anew(own: np.ndarray, voters: list[np.ndarray], n_best: int | None) -> dict[str, float]:
    """Weighted kappa and macro F1, accuracy and soft agreement of one rater on one night."""
    stages, shares = consensus_anew(voters, n_best)
    kept = [i for i, stage in enumerate(stages) if stage >= 0 and own[i] >= 0]
    truth, said = np.array(stages)[kept], own[kept]
    weight = np.array(shares)[kept]
    present = np.union1d(truth, said)
    return {
        "kappa": cohen_kappa_score(truth, said, sample_weight=weight),
        "macro_f1": f1_score(truth, said, labels=present, average="macro", sample_weight=weight),
        "accuracy": float((truth == said).mean()),
        "soft_agreement": soft_agreement_anew(own, voters),
    }


@pytest.mark.data("real/dod/dod.npz")
@pytest.mark.parametrize(
    ("n_voters", "every"),
    [
        pytest.param(None, 13, id="some nights, all five"),
        pytest.param(4, 13, id="some nights, best four"),
        pytest.param(None, 1, id="fifty nights, all five", marks=pytest.mark.slow),
    ],
)
def test_the_dreem_table_is_that_of_a_computation_written_anew(
    shared_data: Path, n_voters: int | None, every: int
) -> None:
    nights = read_scored(shared_data / "real" / "dod" / "dod.npz")[::every]
    found = rate(nights, n_voters=n_voters)
    assert list(found) == ["dodh", "dodo", "together"]
    for dataset in found:
        of = [night for night in nights if dataset in (night.dataset, "together")]
        anew: dict[str, list[dict[str, float]]] = {}
        for night in of:
            rows = list(night.scorings)
            for scorer, own in enumerate(rows):
                others = rows[:scorer] + rows[scorer + 1 :]
                judged = judged_anew(own, others, None)
                anew.setdefault(f"scorer {scorer + 1}", []).append(judged)
            for stager, said in night.stagers.items():
                anew.setdefault(stager, []).append(judged_anew(said, rows, n_voters))
        assert list(found[dataset]) == list(anew)
        for rater, nights_of in anew.items():
            for figure in ("kappa", "macro_f1", "accuracy", "soft_agreement"):
                values = [night[figure] for night in nights_of]
                mean, sd = found[dataset][rater]["nights"][figure]
                assert mean == pytest.approx(np.mean(values), abs=1e-9), (rater, figure)
                assert sd == pytest.approx(np.std(values, ddof=1), abs=1e-9)


@pytest.mark.data("real/dod/dod.npz")
def test_the_fifty_nights_hold_five_scorers_and_six_stagers(shared_data: Path) -> None:
    table = rate(read_scored(shared_data / "real" / "dod" / "dod.npz"))
    assert {group: len(raters) for group, raters in table.items()} == {
        "dodh": 11,
        "dodo": 11,
        "together": 11,
    }
    together = table["together"]
    kinds = Counter(found["kind"] for found in together.values())
    assert kinds == {"scorer": 5, "stager": 6}
    assert {found["n_nights"] for found in together.values()} == {50}
    # the order the data's authors found: SimpleNet and DeepSleepNet above every scorer
    kappa = {rater: found["pooled"]["kappa"] for rater, found in together.items()}
    best_scorer = max(kappa[f"scorer {number}"] for number in range(1, 6))
    assert min(kappa["SimpleNet"], kappa["DeepSleepNet"]) > best_scorer
    assert min(kappa, key=kappa.__getitem__) == "Tsinalis_et_Al"


def test_figures_lie_within_their_intervals(rng: np.random.Generator) -> None:
    for raters in rate(scored(rng)).values():
        for found in raters.values():
            low, high = found["interval"]["low"], found["interval"]["high"]
            assert low <= found["pooled"]["kappa"] <= high


def test_a_pack_is_read_and_names_are_one_whatever_their_capitals(tmp_path: Path) -> None:
    pack = {
        "A/n/scorers": np.zeros((3, 4), np.int8),
        "A/n/models": np.ones((1, 4), np.int8),
        "A/model_names": np.array(["Net_Al"]),
        "B/m/scorers": np.zeros((3, 5), np.int8),
        "B/m/models": np.ones((1, 5), np.int8),
        "B/model_names": np.array(["Net_al"]),
    }
    np.savez(tmp_path / "pack.npz", **pack)
    nights = read_scored(tmp_path / "pack.npz")
    assert [night.name for night in nights] == ["A/n", "B/m"]
    assert [list(night.stagers) for night in nights] == [["Net_Al"], ["Net_Al"]]
    np.savez(tmp_path / "pack.npz", **(pack | {"B/m/models": np.ones((1, 6), np.int8)}))
    with pytest.raises(ValueError, match=r"'B/m': scorings of 5 epochs, Net_Al gives 6"):
        read_scored(tmp_path / "pack.npz")
    np.savez(tmp_path / "pack.npz", labels=np.zeros(3))
    with pytest.raises(ValueError, match="no <dataset>/<night>/scorers"):
        read_scored(tmp_path / "pack.npz")


def test_a_stager_of_ones_own_joins_by_the_names_of_nights(rng: np.random.Generator) -> None:
    nights = scored(rng)
    outputs = [
        NightOutput(n.name, n.name, n.scorings[0], stages=n.scorings[0].copy()) for n in nights
    ]
    joined = with_stager(nights, "twin", outputs)
    np.testing.assert_array_equal(joined[1].stagers["twin"], nights[1].scorings[0])
    assert list(joined[0].stagers) == ["net", "twin"]
    with pytest.raises(ValueError, match="twin: nothing on A/n3"):
        with_stager(nights, "twin", outputs[:3])
    with pytest.raises(ValueError, match="different scorers or stagers"):
        rate([*joined[:1], *nights[1:]])


def test_the_first_nights_of_each_data_set_are_kept(rng: np.random.Generator) -> None:
    assert [night.name for night in first_of_each(scored(rng), 1)] == ["B/n0", "A/n1"]


# --- soft labels of the prospective study -------------------------------------------------------


def test_soft_figures_worked_out_by_hand() -> None:
    scorings = np.array([[0, 2, 2, 4], [0, 2, 3, 4], [0, 3, 3, 4]], dtype=np.int8)
    night = ScoredNight("A", "n", scorings, {"net": np.array([0, 2, 3, 0], dtype=np.int8)})
    found = soft_study([night], "net")["accuracy"]
    # majority of all: W N2 N3 R; of all but each: ties of N2 and N3 share the mass
    assert found["stager_against_all"][0] == 0.75
    assert [mean for mean, _ in found["stager_against_each"]] == [0.5, 0.75, 0.5]
    assert [mean for mean, _ in found["stager_against_others"]] == [0.625, 0.5, 0.625]
    assert [mean for mean, _ in found["experts_against_others"]] == [0.625, 0.75, 0.625]
    assert found["experts"][0] == pytest.approx(2 / 3)


def test_a_hypnodensity_counts_by_the_mass_on_the_majority() -> None:
    scorings = np.array([[0, 2], [0, 2], [0, 3]], dtype=np.int8)
    proba = np.array([[0.7, 0.3, 0, 0, 0], [0, 0, 0.4, 0.6, 0]])
    night = ScoredNight("A", "n", scorings)
    (joined,) = with_stager(
        [night], "net", [NightOutput("n", "p", scorings[0], proba, dataset="A")]
    )
    found = soft_study([joined], "net")["accuracy"]
    assert found["hypnodensity_against_all"][0] == pytest.approx((0.7 + 0.4) / 2)
    assert found["stager_against_all"][0] == 0.5


def test_an_expert_who_poses_as_a_stager_has_the_experts_figures(rng: np.random.Generator) -> None:
    nights = [
        ScoredNight(n.dataset, n.night, n.scorings, {"x": n.scorings[0]}) for n in scored(rng)
    ]
    found = soft_study(nights, "x")
    for score in ("accuracy", "kappa"):
        against = found[score]["stager_against_others"][0]
        assert against == found[score]["experts_against_others"][0]
        assert found[score]["stager_against_each"][0][0] == pytest.approx(1)


def test_errors_of_statistics_worked_out_by_hand() -> None:
    scorings = np.array([[0, 2, 2, 4], [0, 2, 2, 2], [0, 0, 2, 4]], dtype=np.int8)
    night = ScoredNight("A", "n", scorings, {"net": np.array([0, 2, 4, 4], dtype=np.int8)})
    found = statistic_errors([night], "net")
    # minutes of sleep: stager 1.5; experts 1.5, 1.5, 1
    assert found["tst_min"]["stager"] == pytest.approx(0.5 / 3)
    assert found["tst_min"]["experts"] == pytest.approx((0 + 0.5 + 0.5) / 3)
    # REM latency is undefined for the second expert: one pair of experts is left
    assert found["rem_latency_min"]["experts"] == 0.5
    assert found["rem_latency_min"]["stager"] == pytest.approx((0.5 + 0) / 2)
    assert found["n3_latency_min"]["n_nights"] == 0


def test_a_paired_t_test_needs_pairs_that_differ() -> None:
    assert np.isnan(paired_t(np.array([1.0, 2]), np.array([1.0, 2])))
    assert np.isnan(paired_t(np.array([1.0, np.nan]), np.array([2.0, 3])))
    assert paired_t(np.array([1.0, 2, 3]), np.array([2.0, 3.1, 3.9])) < 0.01
