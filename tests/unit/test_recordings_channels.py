"""Channels are found by their labels, by rules that can be read, and by what the user says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recordings.channels import (
    GENERIC,
    TARGETS,
    best_available,
    parse_overrides,
    ranked,
    read_overrides,
    resolve,
)
from recordings.formats import open_recording
from recordings.labels import canonical_name, canonical_names
from recordings.recording import RecordingError
from tests.makers.recordings import with_labels

CATALOG = json.loads(
    (Path(__file__).parents[1] / "makers" / "catalog_channels.json").read_text(encoding="utf-8")
)
ALTERNATIVES = [
    (dataset, target, alternative)
    for dataset, targets in CATALOG.items()
    for target, alternatives in targets.items()
    for alternative in alternatives
]
# Labels that only the documentation of their data set explains: no rule may guess them.
UNTOLD = {"X1", "X2", "24", "E1-E2", "L.", "EEG3", "Aux_AC", "PSG_EOG"}
UNTOLD |= {"EEG", "EEG2", "EEG 2", "EEG sec", "EEG(sec)", "EEG(SEC)", "EEG (sec)"}


def labels_of(alternative: str | list[str]) -> list[str]:
    return [alternative] if isinstance(alternative, str) else alternative


@pytest.mark.parametrize("dataset", CATALOG)
def test_every_alternative_of_the_catalog_resolves_on_its_own_header(dataset: str) -> None:
    for target, alternatives in CATALOG[dataset].items():
        for alternative in alternatives:
            labels = labels_of(alternative)
            told = {target: [tuple(labels) if len(labels) == 2 else labels[0]]}
            choice = resolve(with_labels("other", *labels), [target], candidates=told)[target]
            assert (choice.plus, choice.minus) == (1, 2 if len(labels) == 2 else None)


def test_rules_alone_find_what_the_catalog_lists_but_untold_labels() -> None:
    lost = [
        (dataset, target, alternative)
        for dataset, target, alternative in ALTERNATIVES
        if resolve(with_labels(*labels_of(alternative)), [target]).choices[0].plus is None
    ]
    known = [found for found in lost if not UNTOLD.intersection(labels_of(found[2]))]
    # In MESA `Flow` is the nasal pressure; elsewhere it is the airflow.
    assert known == [("MESA", "NasalP", "Flow")]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("EEG C4-A1", "C4-M1"),
        ("C4/A1", "C4-M1"),
        ("EEG C4:M1", "C4-M1"),
        ("C4 - M1", "C4-M1"),
        ("C4A1", "C4-M1"),
        ("EEG C4-Ref", "C4"),
        ("EEG C4-LER", "C4-LE"),
        ("F3-A1A2", "F3-LE"),
        ("C3_AVG", "C3-AVG"),
        ("C3..", "C3"),
        ("EEG Fpz-Cz", "Fpz-Cz"),
        ("EOG horizontal", "EOGh"),
        ("EOG1-A2", "E1-M2"),
        ("EOG(R)", "E2"),
        ("R-EOG", "E2"),
        ("LOC-ROC", "E1-E2"),
        ("EMG submental", "Chin"),
        ("L Chin-R Chin", "Chin"),
        ("ECG EKG2-EKG", "ECG"),
        ("EKG", "ECG"),
        ("SaO2", "SpO2"),
        ("Resp oro-nasal", "Airflow"),
        ("THOR RES", "THX"),
        ("A1-A2", "M1-M2"),
    ],
)
def test_a_label_is_read_as(label: str, name: str) -> None:
    assert canonical_name(label) == name


@pytest.mark.parametrize(
    "label",
    [
        *("C3 Impédance", "C3-M2 (Imp)", "EMG LAT", "Left Leg", "POL $A1", "EMG Tib"),
        *("RIP Flow Cal", "Flow Limitation", "Resp Rate", "Temp rectal", "hypnogram", "Status"),
        *("sine 15 Hz", "POSITION", "OX stat", "EEG2", "C30", ""),
    ],
)
def test_what_is_no_known_signal_gets_no_name(label: str) -> None:
    assert canonical_name(label) == ""


def test_numbered_electrode_caps_hold_no_named_electrodes() -> None:
    sockets = [f"{bank}{i}" for bank in "ABCD" for i in range(1, 9)]
    assert set(canonical_names(sockets)) == {""}


@pytest.mark.parametrize(
    ("labels", "taken"),
    [
        (["C4", "C4-LE", "C4-M2", "C4-M1", "M1", "M2"], "'C4-M1'"),
        (["C4", "C4-LE", "C4-M2", "M1", "M2"], "'C4' - 'M1'"),
        (["C4", "C4-LE", "C4-M2", "M2"], "'C4-M2'"),
        (["C4", "C4-LE", "M2"], "'C4' - 'M2'"),
        (["C4", "C4-LE"], "'C4-LE'"),
        (["C4"], "'C4'"),
    ],
)
def test_the_other_side_s_mastoid_comes_first_and_the_bare_lead_last(
    labels: list[str], taken: str
) -> None:
    assert resolve(with_labels(*labels), ["C4"])["C4"].how == taken


def test_two_leads_against_one_reference_are_subtracted() -> None:
    recording = with_labels("EEG C4-Ref", "EEG A1-Ref", "EEG C3-CLE", "EEG A2-CLE")
    montage = resolve(recording, ["C4", "C3"])
    assert [(c.plus, c.minus, c.referenced) for c in montage.choices] == [
        (0, 1, True),
        (2, 3, True),
    ]


def test_leads_against_different_references_are_never_subtracted() -> None:
    choice = resolve(with_labels("C4-Cz", "M1-Fz"), ["C4"]).choices[0]
    assert choice.plus is None


def test_a_bare_electrode_is_marked_as_not_referenced() -> None:
    assert not resolve(with_labels("PSG_F3"), ["F3"]).choices[0].referenced
    assert resolve(with_labels("Chin"), ["Chin"]).choices[0].referenced


def test_blanks_and_underscores_are_equal_and_another_case_counts_only_when_unique() -> None:
    told = {"F3": ["eeg f3_m2"]}
    assert resolve(with_labels(" EEG  F3 M2"), ["F3"], candidates=told).found == ("F3",)
    twice = with_labels("EEG F3_M2", "Eeg F3_M2")
    assert resolve(twice, ["F3"], candidates=told).found == ()
    exact = with_labels("EEG F3_M2", "eeg f3_m2")
    assert resolve(exact, ["F3"], candidates=told).choices[0].plus == 1


def test_priority_is_that_of_the_list_not_of_the_file() -> None:
    told = {"C4": [("C4", "M1"), "C4-A1"]}
    recording = with_labels("C4-A1", "M1", "C4")
    choice = resolve(recording, ["C4"], candidates=told).choices[0]
    assert (choice.plus, choice.minus) == (2, 1)


def test_dead_channels_are_passed_over_with_the_reason() -> None:
    recording = with_labels("C4-M1", "C4-A1", dead={"C4-M1": "zero range"})
    choice = resolve(recording, ["C4"]).choices[0]
    assert choice.plus == 1
    assert "zero range" in choice.how
    gone = with_labels("C4-M1", dead={"C4-M1": "zero range"})
    assert "zero range" in resolve(gone, ["C4"]).choices[0].how


def test_of_two_channels_with_one_label_the_usable_one_is_taken() -> None:
    recording = with_labels("EMG", "EMG")
    choice = resolve(recording, ["Chin"]).choices[0]
    assert choice.plus == 0
    assert "2 so called" in choice.how


def test_an_impedance_in_ohm_is_no_eeg() -> None:
    recording = with_labels("C4-M1", "C3-M2", units={"C4-M1": "Ohm"})
    montage = resolve(recording, ["C4", "C3"])
    assert montage.found == ("C3",)
    assert "Ohm" in montage["C4"].how


def test_known_layouts_give_bare_labels_their_documented_meaning() -> None:
    shhs = resolve(with_labels("EEG(sec)", "ECG", "EMG", "EOG(L)", "EEG"), ["C3", "C4"])
    assert [choice.plus for choice in shhs.choices] == [0, 4]
    assert resolve(with_labels("EEG", "EEG 2"), ["C4"]).found == ()
    assert resolve(with_labels("1", "2", "F", "1-F"), ["Chin"]).choices[0].plus == 3


def test_as_recorded_takes_the_bare_lead_and_never_subtracts() -> None:
    recording = with_labels("E1", "M2", "E1-M2", "ECG1", "ECG2")
    montage = resolve(recording, ["E1", "ECG"], as_recorded=True)
    assert [(c.plus, c.minus) for c in montage.choices] == [(0, None), (3, None)]


def test_the_best_eeg_is_central_and_referenced() -> None:
    recording = with_labels("C4", "O1-M2", "EEG Cz-Ref", "F3-M2")
    names = [choice.target for choice in ranked(recording, "eeg")]
    assert names == ["F3", "O1", "C4", "EEG"]
    assert best_available(recording, "eeg").how == "'F3-M2'"


def test_any_eeg_is_better_than_none_but_a_mastoid_is_no_eeg() -> None:
    assert best_available(with_labels("M1", "EEG2"), "eeg").how == "'EEG2'"
    none = best_available(with_labels("M1", "ECG"), "eeg")
    assert none.plus is None
    assert "M1, ECG" in none.how


def test_what_the_user_names_comes_first() -> None:
    recording = with_labels("C4-M1", "EEG7", "X9")
    overrides = parse_overrides(["O2=EEG7"])
    assert [choice.plus for choice in ranked(recording, "eeg", overrides=overrides)] == [1, 0]
    assert resolve(recording, ["Chin"], overrides={"Chin": "X9"}).choices[0].plus == 2


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("EEG2-A1", (0, None)),  # the label that is there comes before the difference
        ("EEG3-A1", (1, 3)),
        ("A-B-A1", (2, 3)),  # cut where both sides are labels
        ("#1", (1, None)),
        ("#1-#3", (1, 3)),
        ("eeg3", (1, None)),
    ],
)
def test_an_override_is_a_label_a_difference_or_a_position(
    text: str, places: tuple[int, int | None]
) -> None:
    recording = with_labels("EEG2-A1", "EEG3", "A-B", "A1")
    choice = resolve(recording, ["C4"], overrides=parse_overrides([f"C4={text}"])).choices[0]
    assert (choice.plus, choice.minus) == places
    assert "as asked" in choice.how


def test_an_empty_override_leaves_the_channel_out() -> None:
    montage = resolve(with_labels("C4-M1"), ["C4"], overrides=parse_overrides(["C4="]))
    assert montage.found == ()


@pytest.mark.parametrize("wanted", ["EEG9", "#7", "EEG1-EEG9"])
def test_an_override_that_is_not_in_the_file_is_refused_with_its_labels(wanted: str) -> None:
    with pytest.raises(RecordingError, match=r"C4=.*the file has: #0 EEG1"):
        resolve(with_labels("EEG1"), ["C4"], overrides={"C4": wanted})


def test_an_override_onto_a_dead_channel_is_refused() -> None:
    recording = with_labels("EEG1", dead={"EEG1": "zero range"})
    with pytest.raises(RecordingError, match="zero range"):
        resolve(recording, ["C4"], overrides={"C4": "EEG1"})


@pytest.mark.parametrize("text", ["C4", "C5=EEG", "=EEG"])
def test_an_override_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"TARGET=LABEL|no channel"):
        parse_overrides([text])


def test_overrides_are_read_from_lines_and_from_json(tmp_path: Path) -> None:
    lines, table = tmp_path / "channels.txt", tmp_path / "channels.json"
    lines.write_text("# montage of ward 3\nC4 = EEG2-A1\n\nChin=#7\n", encoding="utf-8")
    table.write_text('{"C4": ["EEG2", "A1"], "Chin": "#7"}', encoding="utf-8")
    assert read_overrides(lines) == {"C4": "EEG2-A1", "Chin": "#7"}
    assert read_overrides(table) == {"C4": ("EEG2", "A1"), "Chin": "#7"}
    table.write_text('{"C4": 7}', encoding="utf-8")
    with pytest.raises(ValueError, match="channels.json: channel of C4"):
        read_overrides(table)


def test_the_table_shows_what_was_wanted_found_and_whether_it_is_referenced() -> None:
    recording = with_labels("Chin1", "Chin2", "O1")
    table = resolve(recording, ["Chin", "O1", "C4"]).table(recording).splitlines()
    assert table[0].split() == ["wanted", "found", "rate", "referenced", "how"]
    assert table[1].split()[:7] == ["Chin", "#0", "-", "#1", "100", "Hz", "yes"]
    assert table[2].split()[:5] == ["O1", "#2", "100", "Hz", "no"]
    assert table[3].split()[:4] == ["C4", "-", "-", "-"]


def test_every_target_can_be_found_by_rule() -> None:
    assert set(GENERIC) == set(TARGETS)


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("dreams_spindles/excerpt3.edf", "C3 O1 E1 E2 Chin EOGh ECG ABD THX Airflow SpO2"),
        ("sleepedf_original/short_psg.edf", "Chin FpzCz PzOz EOGh Airflow"),
        ("odd_edf/mne-testing-data__MB0400FU.EDF", "F3 F4 C3 C4 O1 O2"),
        (
            "rsleep_nox/subject1.edf",
            "F3 F4 C3 C4 O1 O2 E1 E2 Chin EOGh ECG PPG ABD THX Airflow NasalP SpO2",
        ),
        ("odd_edf/pyedflib__test_generator.bdf", ""),
    ],
)
@pytest.mark.data("real")
def test_real_files(shared_data: Path, file: str, found: str) -> None:
    recording = open_recording(shared_data / "real" / file)
    wanted = [target for target in TARGETS if target not in ("EEG", "EOG")]
    assert resolve(recording, wanted).found == tuple(sorted(found.split(), key=wanted.index))
