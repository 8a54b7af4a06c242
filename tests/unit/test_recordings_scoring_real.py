"""Real scoring files of ten sources against counts made independently of this reader."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nights.hypnogram import Hypnogram
from nights.stages import STAGES
from recordings.edf import EdfRecording
from recordings.scoring import Scoring, read_scoring, read_sessions

RESPIRATORY = ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea")


def counts(*scorings: Scoring) -> list[int]:
    """Return epochs of W N1 N2 N3 R."""
    return sum(np.bincount(s.hypnogram.stages + 1, minlength=6)[1:] for s in scorings).tolist()


@pytest.mark.data("real/sleepedf_original")
def test_sleepedf_original_annotations(shared_data):
    folder = shared_data / "real" / "sleepedf_original"
    assert len(EdfRecording(folder / "SC4001EC-Hypnogram.edf").annotations) == 154
    scoring = read_scoring(folder / "SC4001EC-Hypnogram.edf")
    assert scoring.hypnogram.n_epochs == 2880
    assert set(scoring.hypnogram.stages[-230:]) == {-1}
    hyp = read_scoring(folder / "SC4001E0-PSG.edf.hyp")
    assert (hyp.format, hyp.hypnogram.n_epochs) == ("wfdb_ann", 2650)
    np.testing.assert_array_equal(hyp.hypnogram.stages, scoring.hypnogram.stages[:2650])


@pytest.mark.data("real/sleepedf_original")
def test_scoring_is_cut_to_its_recording(shared_data):
    folder = shared_data / "real" / "sleepedf_original"
    recording = EdfRecording(folder / "short_psg.edf")
    scoring = read_scoring(folder / "SC4001EC-Hypnogram.edf", recording=recording)
    assert scoring.hypnogram.stages.tolist() == [0] * 10
    assert scoring.hypnogram.start == recording.start


@pytest.mark.data("real/sleepedf_annotations")
def test_sleepedf_tables_equal_the_annotations(shared_data):
    table = read_scoring(shared_data / "real/sleepedf_annotations/SC4001E.csv")
    original = read_scoring(shared_data / "real/sleepedf_original/SC4001EC-Hypnogram.edf")
    np.testing.assert_array_equal(table.hypnogram.stages, original.hypnogram.stages)


@pytest.mark.data("real/sleepedf_annotations")
def test_every_sleepedf_table_is_read_with_wake_in_its_gaps(shared_data):
    tables = sorted((shared_data / "real/sleepedf_annotations").glob("S[CT]*.csv"))
    assert len(tables) == 124
    for path in tables:
        scoring = read_scoring(path)
        rows = list(csv.DictReader(path.open()))
        seconds = Counter()
        for row in rows:
            seconds[row["stage"]] += int(row["end_s"]) - int(row["onset_s"])
        expected = [seconds[name] / 30 for name in "123R"]
        wake, *sleep = counts(scoring)
        assert sleep == expected
        assert wake == scoring.hypnogram.n_epochs - sum(expected) - seconds["?"] / 30


@pytest.mark.data("real/sleepedf20_strings")
def test_sleepedf_letters_and_digits_a_second(shared_data):
    folder = shared_data / "real/sleepedf20_strings"
    for path in sorted(folder.glob("*letters.txt"))[:6]:
        letters = Counter(path.read_bytes().split(b"\r"))
        scoring = read_scoring(path)
        expected = [letters[n] for n in (b"W", b"1", b"2", b"R")]
        assert [counts(scoring)[k] for k in (0, 1, 2, 4)] == expected
        assert counts(scoring)[3] == letters[b"3"] + letters[b"4"]
        digits = read_scoring(str(path).replace("24h_30s_letters.txt", "truncated_1s_digits.csv"))
        assert "one code per second" in digits.notes
        assert digits.hypnogram.scored.all()
        assert abs(counts(digits)[4] - counts(scoring)[4]) <= 10  # movement was dropped elsewhere


@pytest.mark.data("real/cap_remlogic")
def test_cap_epochs_are_its_sleep_rows(shared_data):
    for path in sorted((shared_data / "real/cap_remlogic").glob("*.txt")):
        rows = Counter(
            field
            for line in path.read_text().splitlines()
            for field in line.split("\t")[2:4]
            if field.startswith(("SLEEP-", "MCAP-"))
        )
        scoring = read_scoring(path)
        names = [("SLEEP-S0",), ("SLEEP-S1",), ("SLEEP-S2",), ("SLEEP-S3", "SLEEP-S4")]
        expected = [sum(rows[n] for n in group) for group in (*names, ("SLEEP-REM",))]
        assert counts(scoring) == expected
        kinds = Counter(event.text for event in scoring.events)
        assert kinds == {n: c for n, c in rows.items() if n.startswith("MCAP-")}
        assert not scoring.conflicts
        assert not scoring.offgrid


@pytest.mark.data("real/cap_remlogic")
def test_cap_night_ends_where_its_clock_says(shared_data):
    hypnogram = read_scoring(shared_data / "real/cap_remlogic/nfle5.txt").hypnogram
    assert hypnogram.n_epochs == 1056  # 22:48:25 ... 07:35:55 + 30 s
    assert hypnogram.clock(1055).time().isoformat() == "07:35:55"


@pytest.mark.data("real/boas")
def test_boas_human_counts_and_agreement(shared_data):
    tables = sorted((shared_data / "real/boas").glob("*psg_events.tsv"))
    human = [read_scoring(path) for path in tables]
    stager = [read_scoring(path, column="stage_ai") for path in tables]
    assert counts(*human) == [13259, 3252, 50516, 3738, 12538]
    true = np.concatenate([s.hypnogram.stages for s in human])
    told = np.concatenate([s.hypnogram.stages for s in stager])
    both = (true >= 0) & (told >= 0)
    assert (true[both] == told[both]).mean() == pytest.approx(0.869, abs=5e-4)
    assert {s.hypnogram.n_epochs for s in human} <= set(range(666, 1115))


@pytest.mark.data("real/eesm17")
def test_eesm17_counts(shared_data):
    tables = sorted((shared_data / "real/eesm17").glob("*events.tsv"))
    assert counts(*map(read_scoring, tables)) == [978, 353, 2197, 754, 927]


@pytest.mark.data("real/surrey_ceegrid")
def test_surrey_counts(shared_data):
    tables = sorted((shared_data / "real/surrey_ceegrid").glob("*PSGScoring_events.tsv"))
    assert counts(*map(read_scoring, tables)) == [6191, 1406, 6207, 2091, 2438]


@pytest.mark.data("real/eegfmri_sleep")
def test_eegfmri_sessions_stay_apart(shared_data):
    sessions = [
        (path, name, scoring)
        for path in sorted((shared_data / "real/eegfmri_sleep").glob("sub-*.tsv"))
        for name, scoring in read_sessions(path).items()
    ]
    assert len({path for path, _, _ in sessions}) == 22
    # counted in the files: W 2093 + 31 uncertain + 1 behind a lost tab, 1 1262 + 20, 2 998 + 11 ...
    assert counts(*(s for _, _, s in sessions)) == [2125, 1282, 1009, 33, 0]
    assert all(s.hypnogram.n_epochs <= 31 for _, _, s in sessions)


@pytest.mark.data("real/ucddb")
def test_ucddb_ahi_is_the_published_one(shared_data):
    folder = shared_data / "real/ucddb"
    details = csv.DictReader((folder / "subject_details.csv").open())
    published = {row["Study Number"].lower(): float(row["PSG AHI"]) for row in details}
    away = {}
    for path in sorted((folder / "epochs_events").glob("*.csv")):
        scoring = read_scoring(path)
        breathing = [event for event in scoring.events if event.type in RESPIRATORY]
        hours = (scoring.hypnogram.stages > 0).sum() / 120
        away[path.stem] = abs(len(breathing) / hours - published[path.stem])
    assert sum(difference <= 1 for difference in away.values()) == 13
    assert max((d, name) for name, d in away.items())[1] == "ucddb027"


@pytest.mark.data("real/ucddb")
def test_ucddb_list_and_table_agree(shared_data):
    folder = shared_data / "real/ucddb"
    for path in sorted((folder / "stage").glob("*.txt")):
        codes = read_scoring(path, stage_map="ucddb").hypnogram.stages
        table = read_scoring(folder / "epochs_events" / f"{path.stem[:8]}.csv").hypnogram.stages
        shared = min(len(codes), len(table))
        assert abs(len(codes) - len(table)) <= 1
        np.testing.assert_array_equal(codes[:shared], table[:shared])


@pytest.mark.data("real/dreams_spindles")
def test_dreams_codes_of_5_s(shared_data):
    folder = shared_data / "real/dreams_spindles"
    for path in sorted(folder.glob("Hypnogram_*.txt")):
        scoring = read_scoring(path)
        assert scoring.hypnogram.n_epochs == 60
        crlf = read_scoring(folder / "crlf" / path.name)
        np.testing.assert_array_equal(crlf.hypnogram.stages, scoring.hypnogram.stages)
        assert read_scoring(path, epoch_s=5).hypnogram.n_epochs == 360


@pytest.mark.data("real/dreams_spindles")
def test_dreams_hypnogram_channel_equals_its_text(shared_data):
    folder = shared_data / "real/dreams_spindles"
    channel = read_scoring(folder / "excerpt3.edf", epoch_s=5)
    text = read_scoring(folder / "Hypnogram_excerpt3.txt", epoch_s=5)
    np.testing.assert_array_equal(channel.hypnogram.stages, text.hypnogram.stages)
    assert "stages from the channel 'hypnogram'" in channel.notes


@pytest.mark.data("real/score_formats")
@pytest.mark.parametrize(
    ("name", "n_epochs", "stages"),
    [
        ("basictype_scorefile.txt", 920, [51, 55, 541, 121, 146]),
        ("lattype_scorefile.txt", 205, [24, 19, 66, 33, 59]),
        ("humetype1_scorefile.mat", 10, [2, 2, 4, 2, 0]),
        ("humetype2_scorefile.mat", 1230, [55, 13, 616, 197, 317]),
    ],
)
def test_score_file_examples(shared_data, name, n_epochs, stages):
    scoring = read_scoring(shared_data / "real/score_formats" / name)
    assert scoring.hypnogram.n_epochs == n_epochs
    assert counts(scoring) == stages


@pytest.mark.data("real/score_formats")
def test_hume_struct_holds_the_clock_and_the_lights(shared_data):
    scoring = read_scoring(shared_data / "real/score_formats/humetype1_scorefile.mat")
    hypnogram = scoring.hypnogram
    assert hypnogram.start.isoformat() == "2016-01-01T00:00:00"
    assert hypnogram.lights_off_s == pytest.approx(102.841)
    assert hypnogram.lights_on_s == pytest.approx(4207.921)


@pytest.mark.data("real/rsleep_nox")
@pytest.mark.parametrize(
    ("name", "stages", "events"),
    [
        ("noxturnal_events_example_unicode.csv", [213, 66, 466, 364, 249], {"arousal": 22}),
        (
            "noxturnal_events_example_unicode_2.csv",
            [169, 38, 354, 141, 146],
            {"desaturation": 191, "obstructive_apnea": 114, "hypopnea": 89, "mixed_apnea": 1},
        ),
    ],
)
def test_noxturnal_exports_in_french(shared_data, name, stages, events):
    scoring = read_scoring(shared_data / "real/rsleep_nox" / name)
    kinds = Counter(event.type for event in scoring.events)
    assert counts(scoring) == stages
    assert {kind: kinds[kind] for kind in events} == events
    assert not scoring.conflicts


@pytest.mark.data("real/slpdb_rr")
def test_slpdb_stages_beside_beat_intervals(shared_data):
    paths = sorted((shared_data / "real/slpdb_rr").glob("*.csv.gz"))
    total = counts(*map(read_scoring, paths))
    assert total == [2029, 1083, 3118, 401 + 147, 463]


@pytest.mark.data("real/yasa_samples")
def test_yasa_lists(shared_data):
    folder = shared_data / "real/yasa_samples"
    digits = read_scoring(folder / "data_full_6hrs_100Hz_hypno_30s.txt")
    assert counts(digits) == [43, 22, 318, 182, 155]
    words = read_scoring(folder / "sub-02_hypno_30s.txt")
    assert counts(words) == [36, 9, 31, 22, 0]


@pytest.mark.data("real")
def test_no_real_scoring_lets_personal_text_through(shared_data):
    scoring = read_scoring(shared_data / "real/cap_remlogic/brux1.txt")
    shown = repr(scoring).upper()
    assert "BRUX" not in shown
    assert isinstance(scoring.hypnogram, Hypnogram)
    assert scoring.hypnogram.classes == STAGES


@pytest.mark.data("real")
def test_files_that_are_no_scoring_are_refused(shared_data):
    real: Path = shared_data / "real"
    others = ["README.md", "ucddb/subject_details.csv", "boas/participants.tsv"]
    others += ["dreams_spindles/Visual_scoring1_excerpt1.txt", "sleepedf_original/short_psg.bdf"]
    others += ["dreams_spindles/excerpt3.txt", "yasa_samples/data_EOGs_REM_256Hz.npz"]
    others += ["ucddb/raw/ucd022_wake_g.mat", "yasa_samples/data_N3_no-spindles_30sec_100Hz.txt"]
    for name in others:
        with pytest.raises(ValueError, match=Path(name).name):
            read_scoring(real / name)
