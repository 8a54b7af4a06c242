"""Every format on a small example of its own: what is a stage, what is an event, and when."""

from __future__ import annotations

import gzip
import re
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import openpyxl
import pyedflib
import pytest
import wfdb

from recordings.recording import RecordingError
from recordings.scoring import (
    FORMATS,
    Event,
    page_windows,
    read_events,
    read_scoring,
    read_sessions,
)
from tests.makers.recordings import ArrayRecording

PROFUSION = """<CMPStudyConfig>
  <EpochLength>30</EpochLength>
  <ScoredEvents>
    <ScoredEvent><Name>Obstructive Apnea</Name>
      <Start>6120.4</Start><Duration>18.5</Duration><Input>Airflow</Input></ScoredEvent>
  </ScoredEvents>
  <SleepStages><SleepStage>0</SleepStage><SleepStage>2</SleepStage>
    <SleepStage>4</SleepStage><SleepStage>9</SleepStage></SleepStages>
</CMPStudyConfig>
"""


def nsrr_event(kind: str, concept: str, start: str, duration: str, clock: str = "") -> str:
    kind, concept = f"<EventType>{kind}</EventType>", f"<EventConcept>{concept}</EventConcept>"
    times = f"<Start>{start}</Start><Duration>{duration}</Duration>{clock}"
    return f"<ScoredEvent>{kind}{concept}{times}</ScoredEvent>\n"


CLOCK = "<ClockTime>01.01.85 22.15.00</ClockTime>"
NSRR = (
    "<PSGAnnotation><EpochLength>30</EpochLength><ScoredEvents>\n"
    + nsrr_event("", "Recording Start Time", "0", "28800.0", CLOCK)
    + nsrr_event("Stages|Stages", "Wake|0", "0.0", "1230.0")
    + nsrr_event("Stages|Stages", "Stage 2 sleep|2", "1230.0", "60.0")
    + nsrr_event("Respiratory|Respiratory", "Hypopnea|Hypopnea", "1300.2", "21.0")
    + "</ScoredEvents></PSGAnnotation>\n"
)
LUNA = """# arousal | EEG arousal
class\tinstance\tchannel\tstart\tstop\tmeta
W\t.\t.\t22:31:10\t22:31:40\t.
N2\t.\t.\t00:02:10\t00:02:40\t.
arousal\t.\t.\t00:02:21\t00:02:27.5\t.
"""
NCHSDB = """onset\tduration\tdescription
1.03515625\t0.0\tStart Recording
240.9609375\t30.0\tSleep stage W
270.9609375\t30.0\tSleep stage N1
"""
BOAS = """onset\tduration\tbegsample\tendsample\tstage_hum\tstage_ai
0\t30\t1\t7680\t0\t0
30\t30\t7681\t15360\t8\t-2
60\t30\t15361\t23040\t2\t3
"""
HMC = """Date, Time, Recording onset, Duration, Annotation, Linked channel
2018-01-01, 22:10:07, 0, 30, Sleep stage W,
2018-01-01, 22:10:37, 30, 30, Sleep stage N1,
"""
STAGES_CSV = """Start Time,Duration (seconds),Event
22:58:30, 30, Wake
22:59:00, 90, Stage2
01:12:30, 11, Arousal
"""
GAMMA = "Epoch\tUser-Defined Stage\tCAST-Defined Stage\n1\t0\t0\n2\t1\t1\n3\t4\t3\n"
TWIN = """22:05:12.00\tSTART RECORDING
22:05:12.00\tSTAGE - W
22:41:42.00\tSTAGE - N1
22:43:12.00\tSTAGE - NO STAGE
"""
CAP = """RemLogic Event Export
Patient:\tSOMEBODY

Sleep Stage\tPosition\tTime [hh:mm:ss]\tEvent\tDuration[s]\tLocation
W\tSupine\t22:31:09\tSLEEP-S0\t30\tROC-LOC
S2\tSupine\t22:31:39\tSLEEP-S2\t30\tROC-LOC
S2\tSupine\t22:31:45\tMCAP-A1\t6\tF4-C4
"""


def read(tmp_path: Path, text: str, **options: object):
    path = tmp_path / "scoring"
    path.write_bytes(text.encode())
    return read_scoring(path, **options)  # type: ignore[arg-type]


def test_profusion_epochs_count_from_second_0_and_9_is_unscored(tmp_path):
    scoring = read(tmp_path, PROFUSION)
    assert scoring.format == "profusion_xml"
    assert scoring.hypnogram.stages.tolist() == [0, 2, 3, -1]
    assert scoring.events == (Event(6120.4, 18.5, "obstructive_apnea", "Obstructive Apnea"),)


def test_nsrr_runs_are_placed_by_their_start_on_the_declared_recording(tmp_path):
    scoring = read(tmp_path, NSRR)
    stages = scoring.hypnogram.stages
    assert (scoring.format, len(stages)) == ("nsrr_xml", 960)
    assert stages[:43].tolist() == [0] * 41 + [2, 2]
    assert set(stages[43:]) == {-1}
    assert scoring.events == (Event(1300.2, 21.0, "hypopnea", "Hypopnea|Hypopnea"),)
    assert scoring.hypnogram.start == datetime(1985, 1, 1, 22, 15)


def test_events_of_a_file_without_stages_are_read_on_the_clock(tmp_path):
    without = re.sub(r"<ScoredEvent><EventType>Stages.*?</ScoredEvent>", "", NSRR, flags=re.DOTALL)
    path = tmp_path / "events.xml"
    path.write_text(without)
    recording = ArrayRecording({"C4": np.zeros(960 * 30, np.float32)}, 1)
    assert read_events(path, recording=recording) == (
        Event(1300.2, 21.0, "hypopnea", "Hypopnea|Hypopnea"),
    )
    with pytest.raises(RecordingError, match="holds no sleep stage"):
        read_scoring(path, recording=recording)


def test_nsrr_missing_run_leaves_a_gap_and_shifts_nothing(tmp_path):
    text = "\n".join(line for line in NSRR.splitlines() if "Wake|0" not in line)
    stages = read(tmp_path, text).hypnogram.stages
    assert set(stages[:41]) == {-1}
    assert stages[41:43].tolist() == [2, 2]


@pytest.mark.parametrize("text", [PROFUSION, NSRR], ids=["profusion", "nsrr"])
@pytest.mark.parametrize("end", ["\n", "\r\n", ""], ids=["lf", "crlf", "one line"])
def test_xml_does_not_depend_on_lines_or_indentation(tmp_path, text, end):
    wanted = read(tmp_path, text)
    changed = text.replace(">\n", f">{end}").replace("><", f">{end}\t  <").replace("\n  <", "\n<")
    found = read(tmp_path, f'<?xml version="1.0" encoding="UTF-8"?>{end}{changed}')
    assert found.hypnogram.stages.tolist() == wanted.hypnogram.stages.tolist()
    assert found.events == wanted.events


def test_luna_clock_times_pass_midnight(tmp_path):
    scoring = read(tmp_path, LUNA, start=datetime(2020, 1, 1, 22, 31, 10), n_epochs=200)
    stages = scoring.hypnogram.stages
    assert (scoring.format, stages[0], stages[182]) == ("luna_annot", 0, 2)
    assert (stages != -1).sum() == 2
    assert scoring.events == (Event(5471.0, 6.5, "arousal", "arousal"),)


def test_luna_plain_seconds_are_elapsed_time(tmp_path):
    text = "class\tinstance\tchannel\tstart\tstop\tmeta\nR\t.\t.\t60\t120\t.\n"
    assert read(tmp_path, text).hypnogram.stages.tolist() == [-1, -1, 4, 4]


def test_luna_epoch_list_is_read_as_words(tmp_path):
    assert read(tmp_path, "wake\nN1\nN2\nN3\nREM\nunscored\n").hypnogram.stages.tolist() == [
        *(0, 1, 2, 3, 4, -1)
    ]


def test_events_table_keeps_the_fraction_that_its_epochs_share(tmp_path):
    scoring = read(tmp_path, NCHSDB)
    assert (scoring.format, scoring.hypnogram.onset_s) == ("bids_tsv", 0.961)
    assert scoring.hypnogram.stages.tolist() == [-1] * 8 + [0, 1]
    assert scoring.events == ()


def test_label_first_table_without_header_gives_the_same(tmp_path):
    rows = [line.split("\t") for line in NCHSDB.splitlines()[1:]]
    text = "\n".join(f"{label}\t{onset}\t{duration}" for onset, duration, label in rows)
    scoring = read(tmp_path, text)
    assert scoring.format == "ids"
    assert scoring.hypnogram.stages.tolist() == [-1] * 8 + [0, 1]


def test_boas_column_is_chosen_by_name(tmp_path):
    assert read(tmp_path, BOAS).hypnogram.stages.tolist() == [0, -1, 2]
    assert read(tmp_path, BOAS, column="stage_ai").hypnogram.stages.tolist() == [0, -1, 3]
    with pytest.raises(RecordingError, match=r"no column 'stage'.*stage_hum"):
        read(tmp_path, BOAS, column="stage")


def test_hmc_text(tmp_path):
    scoring = read(tmp_path, HMC)
    assert (scoring.format, scoring.hypnogram.stages.tolist()) == ("hmc_txt", [0, 1])


@pytest.mark.parametrize("run", [True, False], ids=["a line per run", "a line per epoch"])
def test_stages_table_in_both_styles(tmp_path, run):
    epochs = "".join(f"22:{59 + k // 2}:{k % 2 * 30:02}, 30, Stage2\n" for k in range(2))
    epochs += "23:00:00, 30, Stage2\n"
    text = STAGES_CSV if run else STAGES_CSV.replace("22:59:00, 90, Stage2\n", epochs)
    scoring = read(tmp_path, text, start=datetime(2020, 1, 1, 22, 58, 0))
    assert scoring.hypnogram.stages.tolist() == [-1, 0, 2, 2, 2]
    assert scoring.events == (Event(8070.0, 11.0, "arousal", "Arousal"),)


def test_id_list_of_runs(tmp_path):
    stages = read(tmp_path, "0,1260,W\n1260,30,N1\n").hypnogram.stages
    assert stages.tolist() == [0] * 42 + [1]


@pytest.mark.parametrize(
    ("text", "stage_map", "stages"),
    [
        ("0\n0\n2\n\n\n", None, [0, 0, 2]),
        ("0\n1\n2\n3\n5\n", None, [0, 1, 2, 3, 4]),
        ("0\n1\n2\n3\n4\n", None, [0, 1, 2, 3, 4]),
        ("0\n4\n5\n", None, [0, 3, 4]),
        ("0\n1\n2\n3\n4\n5\n8\n", "ucddb", [0, 4, 1, 2, 3, 3, -1]),
        ("W\r1\r4\rR\r?\r", None, [0, 1, 3, 4, -1]),
        ("NN1\nWK\n2\n5\nM\n", "hang7", [1, 0, 2, 4, -1]),
        ("7\n8\n", {"7": 0, "8": 4}, [0, 4]),
    ],
)
def test_one_code_a_line(tmp_path, text, stage_map, stages):
    assert read(tmp_path, text, stage_map=stage_map).hypnogram.stages.tolist() == stages


def test_guessed_meaning_of_plain_digits_is_noted(tmp_path):
    assert "'rk'" in read(tmp_path, "0\n5\n").notes[0]
    assert "'aasm'" in read(tmp_path, "0\n4\n").notes[0]


def test_gamma_hypnogram_with_and_without_header(tmp_path):
    for text in (GAMMA, GAMMA.split("\n", 1)[1]):
        scoring = read(tmp_path, text)
        assert (scoring.format, scoring.hypnogram.stages.tolist()) == ("wsc_stg", [0, 1, 3])


def test_twin_stage_holds_until_the_next_change(tmp_path):
    scoring = read(tmp_path, TWIN, n_epochs=80)
    assert scoring.format == "wsc_allscore"
    assert scoring.hypnogram.stages.tolist() == [0] * 73 + [1] * 3 + [-1] * 4


def test_twin_lines_before_the_start_do_not_move_the_night(tmp_path):
    old = "16:00:00.00\tSTAGE - N3\n16:00:05.00\tCALIBRATION\n"
    start = datetime(2020, 1, 1, 22, 5, 12)
    scoring = read(tmp_path, old + TWIN, start=start, n_epochs=80)
    assert scoring.hypnogram.stages.tolist() == [0] * 73 + [1] * 3 + [-1] * 4


def test_twin_events_keep_their_kind_and_duration(tmp_path):
    lines = [
        "22:42:00.47\tRESPIRATORY EVENT - DUR: 44.9 SEC. - HYPOPNEA - DESAT 91.6 %",
        "22:42:10.00\tAROUSAL - DUR: 3.0 SEC. - SPONTANEOUS",
        "22:42:20.00\tPOSITION - LEFT",
    ]
    events = read(tmp_path, TWIN + "\n".join(lines), n_epochs=80).events
    assert [(e.onset_s, e.duration_s, e.type) for e in events] == [
        (pytest.approx(2208.47), 44.9, "hypopnea"),
        (2218.0, 3.0, "arousal"),
    ]


def test_twin_restart_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="started several times"):
        read(tmp_path, TWIN + "23:00:00.00\tSTART RECORDING\n")


@pytest.mark.parametrize("style", ["as is", "no position", "points", "crlf", "spaced"])
def test_cap_text_in_all_its_styles(tmp_path, style):
    text = CAP
    if style == "no position":
        text = text.replace("Position\t", "").replace("Supine\t", "")
    if style == "points":
        text = text.replace("22:31:", "22.31.")
    if style == "spaced":
        text = text.replace("Duration[s]", "Duration [s]")
    scoring = read(tmp_path, text.replace("\n", "\r\n") if style == "crlf" else text)
    assert (scoring.format, scoring.hypnogram.stages.tolist()) == ("cap_txt", [0, 2])
    assert scoring.events == (Event(36.0, 6.0, "cap_a1", "MCAP-A1"),)


def test_no_text_of_the_file_but_event_names_is_kept(tmp_path):
    text = NCHSDB + "300.0\t1.0\tJane Doe moved\n310.0\t10.0\tHypopnea\n"
    scoring = read(tmp_path, text)
    assert [event.text for event in scoring.events] == ["Hypopnea"]
    assert "Doe" not in repr(scoring)
    assert "2 lines that are no stage and no known event left out" in scoring.notes


def test_unsure_means_what_the_data_set_says(tmp_path):
    text = NCHSDB + "300\t10\tUnsure\n"
    assert read(tmp_path, text).events[0].type == "unsure"
    assert read(tmp_path, text, unsure="mixed_apnea").events[0].type == "mixed_apnea"


def test_lights_come_from_the_events(tmp_path):
    text = NCHSDB + "245\t0\tLights off\n290\t0\tLights on\n"
    hypnogram = read(tmp_path, text).hypnogram
    assert (hypnogram.lights_off_s, hypnogram.lights_on_s) == (245.0, 290.0)


def write_edf(path: Path, marks: list[tuple[float, float, str]], start: datetime) -> None:
    with pyedflib.EdfWriter(str(path), 0, file_type=pyedflib.FILETYPE_EDFPLUS) as writer:
        writer.setStartdatetime(start)
        for mark in marks:
            writer.writeAnnotation(*mark)


def test_edfplus_runs_and_events(tmp_path):
    path = tmp_path / "a.edf"
    marks = [(0, 60, "Sleep stage W"), (60, 30, "Sleep stage 4"), (70, 12, "Central apnea")]
    write_edf(path, marks, datetime(2020, 1, 1, 22))
    scoring = read_scoring(path)
    assert scoring.hypnogram.stages.tolist() == [0, 0, 3]
    assert scoring.hypnogram.start == datetime(2020, 1, 1, 22)
    assert scoring.events == (Event(70.0, 12.0, "central_apnea", "Central apnea"),)


def test_edfplus_that_starts_before_the_recording_is_moved(tmp_path):
    path = tmp_path / "a.edf"
    write_edf(path, [(60, 30, "Sleep stage R")], datetime(2020, 1, 1, 22))
    scoring = read_scoring(path, start=datetime(2020, 1, 1, 22, 1), n_epochs=2)
    assert scoring.hypnogram.stages.tolist() == [4, -1]
    assert "-60 s" in scoring.notes[0]


def test_edfplus_of_another_date_is_not_moved(tmp_path):
    path = tmp_path / "a.edf"
    write_edf(path, [(60, 30, "Sleep stage R")], datetime(2020, 1, 1, 22))
    scoring = read_scoring(path, start=datetime(1990, 5, 1, 22), n_epochs=3)
    assert scoring.hypnogram.stages.tolist() == [-1, -1, 4]


def test_bare_stage_names_in_edfplus_are_taken_and_noted(tmp_path):
    path = tmp_path / "a.edf"
    write_edf(path, [(0, 30, "N2"), (30, 30, "REM")], datetime(2020, 1, 1, 22))
    scoring = read_scoring(path)
    assert scoring.hypnogram.stages.tolist() == [2, 4]
    assert "stages written as bare names" in scoring.notes


def test_mass_pages_of_20_s_stay_pages(tmp_path):
    path = tmp_path / "a.edf"
    marks = [(0.46 + 20 * k, 20, f"Sleep stage {'12R'[k]}") for k in range(3)]
    write_edf(path, marks, datetime(2000, 1, 1, 22))
    scoring = read_scoring(path)
    assert scoring.hypnogram.epoch_s == 20
    assert scoring.hypnogram.stages.tolist() == [1, 2, 4]
    assert scoring.hypnogram.onset_s == 0.46
    onsets, pages = page_windows(scoring.hypnogram, 60.5)
    np.testing.assert_allclose(onsets, [0, 15.46, 30.5])
    np.testing.assert_array_equal(page_windows(scoring.hypnogram, 60.5, edge="drop")[1], [1])


def test_old_mass_annotation_text(tmp_path):
    path = tmp_path / "a.saf"
    path.write_bytes(b"+0.5\x1530\x14Sleep stage W\x14\x00+30.5\x1530\x14Sleep stage 2\x14\x00")
    scoring = read_scoring(path)
    assert (scoring.format, scoring.hypnogram.stages.tolist()) == ("saf", [0, 2])


def test_dod_h5(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["hypnogram"] = np.array([-1, 0, 1, 2, 3, 4])
    assert read_scoring(path).hypnogram.stages.tolist() == [-1, 0, 1, 2, 3, 4]


def test_challenge_vectors_take_the_majority_and_unset_is_unscored(tmp_path):
    path = tmp_path / "a.mat"
    n = 6000 * 3
    wake, rem, arousals = np.zeros((3, n), dtype=np.uint8)
    wake[:3500], rem[3500:6000], rem[6000:8000], arousals[400:1000] = 1, 1, 1, 1
    rem[12000:] = 1
    with h5py.File(path, "w", userblock_size=512) as file:
        for name in ("nonrem1", "nonrem2", "nonrem3", "undefined"):
            file[f"data/sleep_stages/{name}"] = np.zeros((1, n), dtype=np.uint8)
        file["data/sleep_stages/wake"], file["data/sleep_stages/rem"] = wake[None], rem[None]
        file["data/arousals"] = arousals[:, None]
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + path.read_bytes()[512:])
    scoring = read_scoring(path)
    assert scoring.format == "p2018_mat"
    assert scoring.hypnogram.stages.tolist() == [0, -1, 4]
    assert scoring.events == (Event(2.0, 3.0, "arousal", "Arousal"),)


def test_spreadsheet_column(tmp_path):
    book = openpyxl.Workbook()
    for value in ("Stage", "W", "N3", "R", "U"):
        book.active.append([value])
    book.save(tmp_path / "a.xlsx")
    scoring = read_scoring(tmp_path / "a.xlsx")
    assert (scoring.format, scoring.hypnogram.stages.tolist()) == ("xlsx_col", [0, 3, 4, -1])


def wfdb_file(folder: Path, samples: list[int], texts: list[str], fs: int) -> Path:
    symbols = ['"'] * len(samples)
    wfdb.wrann("rec", "st", np.array(samples), symbols, aux_note=texts, write_dir=str(folder))
    (folder / "rec.hea").write_text(f"rec 1 {fs}/0.03(160) 1000\n")
    return folder / "rec.st"


def test_wfdb_stage_and_apnea_codes_per_epoch(tmp_path):
    path = wfdb_file(tmp_path, [1, 7501, 15001], ["W", "2 HA", "4 X LA"], 250)
    scoring = read_scoring(path)
    assert (scoring.format, scoring.hypnogram.stages.tolist()) == ("wfdb_ann", [0, 2, 3])
    kinds = [event.type for event in scoring.events]
    assert sorted(kinds[:2]) == ["arousal", "hypopnea"]
    assert sorted(kinds[2:]) == ["arousal", "arousal", "limb_movement", "obstructive_apnea"]


def test_wfdb_changes_and_bracketed_events(tmp_path):
    texts = ["W", "N1", "(resp_hypopnea", "resp_hypopnea)", "R"]
    path = wfdb_file(tmp_path, [0, 12000, 13000, 16000, 24000], texts, 200)
    scoring = read_scoring(path)
    assert scoring.hypnogram.stages.tolist()[:5] == [0, 0, 1, 1, 4]
    assert scoring.events == (Event(65.0, 15.0, "hypopnea", "resp_hypopnea"),)


def test_wfdb_without_a_rate_is_refused_with_the_way_out(tmp_path):
    path = wfdb_file(tmp_path, [0], ["W"], 250)
    path.with_suffix(".hea").unlink()
    with pytest.raises(RecordingError, match=r"no sampling rate; place its \.hea file beside it"):
        read_scoring(path)
    assert read_scoring(path, rate_hz=250).hypnogram.stages.tolist() == [0]


def test_stage_column_takes_its_levels_from_the_sidecar(tmp_path):
    path = tmp_path / "sub-1_events.tsv"
    path.write_text("onset\tduration\tstaging\n0\t0\t1\n30\t0\t2\n60\t0\t7\n")
    assert read_scoring(path).hypnogram.stages.tolist() == [0, 4, -1]
    path.with_suffix(".json").write_text('{"staging": {"Levels": {"1": "N3", "2": "Wake"}}}')
    assert read_scoring(path).hypnogram.stages.tolist() == [3, 0, -1]


def test_sessions_are_never_joined(tmp_path):
    path = tmp_path / "a.tsv"
    rows = ["a\t0\tW", "a\t30\t1 (uncertain)", "b\t0\t2 or 3 (unscorable)", "b\t30 2"]
    path.write_text("\n".join(["session\tepoch_start_time_sec\t30-sec_epoch_sleep_stage", *rows]))
    with pytest.raises(RecordingError, match=r"2 sessions.*\(a, b\).*session="):
        read_scoring(path)
    sessions = read_sessions(path)
    assert sessions["a"].hypnogram.stages.tolist() == [0, 1]
    assert sessions["b"].hypnogram.stages.tolist() == [-1, 2]
    assert "1 rows with lost columns mended" in sessions["b"].notes


def test_table_that_never_names_wake_has_wake_in_its_gaps(tmp_path):
    text = "onset_s,end_s,stage\n60,90,1\n120,150,?\n"
    assert read(tmp_path, text, n_epochs=6).hypnogram.stages.tolist() == [0, 0, 1, 0, -1, 0]
    text += "150,180,W\n"
    assert read(tmp_path, text).hypnogram.stages.tolist() == [-1, -1, 1, -1, -1, 0]


def test_epoch_table_as_yasa_writes_it(tmp_path):
    assert read(tmp_path, "Epoch,Stage\n0,WAKE\n1,REM\n2,UNS\n").hypnogram.stages.tolist() == [
        *(0, 4, -1)
    ]


def test_noxturnal_in_another_language_and_order(tmp_path):
    text = (
        "Event,Start Time,End Time,Duration,\n[],[],[],[s],\n"
        "Wake,7/25/2018 11:59:30 PM,7/26/2018 12:00:00 AM,30,\n"
        "N1,7/26/2018 12:00:00 AM,7/26/2018 12:00:30 AM,30,\n"
        "Hypopnea,7/26/2018 12:00:02 AM,7/26/2018 12:00:14 AM,11.5,\n"
    )
    scoring = read(tmp_path, text)
    assert scoring.hypnogram.stages.tolist() == [0, 1]
    assert scoring.hypnogram.start == datetime(2018, 7, 25, 23, 59, 30)
    assert scoring.events == (Event(32.0, 11.5, "hypopnea", "Hypopnea"),)


def test_utf16_and_gzip_are_unpacked(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(HMC.encode("utf-16"))
    assert read_scoring(path).hypnogram.stages.tolist() == [0, 1]
    path.write_bytes(gzip.compress(HMC.encode()))
    assert read_scoring(path).hypnogram.stages.tolist() == [0, 1]


def test_format_can_be_named_and_must_then_fit(tmp_path):
    assert read(tmp_path, HMC, format="hmc_txt").format == "hmc_txt"
    with pytest.raises(RecordingError, match="is not of the format 'cap_txt'"):
        read(tmp_path, HMC, format="cap_txt")
    with pytest.raises(ValueError, match="no scoring format 'hmc'; known: .*hmc_txt"):
        read(tmp_path, HMC, format="hmc")


def test_the_content_decides_and_never_the_name(tmp_path):
    for name in ("a.xml", "ucddb002_stage.txt", "a.edf", "a.csv.gz"):
        path = tmp_path / name
        path.write_text(HMC)
        assert read_scoring(path).format == "hmc_txt"


def test_every_format_of_the_catalog_has_a_parser():
    catalog = "profusion_xml nsrr_xml luna_annot luna_eannot bids_tsv hmc_txt edfplus stages_csv"
    catalog += " ids index_txt dod_h5 p2018_mat wsc_stg wsc_allscore cap_txt xlsx_col"
    assert set(catalog.split()) <= set(FORMATS)
