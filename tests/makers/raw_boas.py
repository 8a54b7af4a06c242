"""BOAS in miniature: two nights of a person, both names of the consensus, one eye or two."""

from tests.makers.raw_folders import Night, RawFolder, Signals

EEG = tuple(f"PSG_{name}" for name in ("F3", "F4", "C3", "C4", "O1", "O2"))
TWO_EYES = Signals(dict.fromkeys((*EEG, "PSG_EOGL", "PSG_EOGR", "PSG_EMG", "PSG_THER"), 256))
ONE_EYE = Signals(dict.fromkeys((*EEG, "PSG_EOG", "PSG_EMG"), 256))
HEADBAND = Signals({"HB_1": 256, "HB_2": 256})
CODES = {"W": 0, "1": 1, "2": 2, "3": 3, "R": 4, "?": 8, "x": -2}
ALL = {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin"}


def table(**columns: str) -> str:
    """Return a table of events, one row per epoch; its columns in the order given."""
    head = ["onset", "duration", "begsample", "endsample", "offset", *columns]
    lines = ["\t".join(head)]
    for k, stages in enumerate(zip(*columns.values(), strict=True)):
        row = (30 * k, 30, 7680 * k + 1, 7680 * (k + 1), 0, *(CODES[stage] for stage in stages))
        lines.append("\t".join(map(str, row)))
    return "\n".join(lines) + "\n"


def night(number: int, signals: Signals, scoring: str) -> dict[str, Signals | str]:
    """Return the files of one night."""
    stem = f"sub-{number}/eeg/sub-{number}_task-Sleep_acq"
    return {
        f"{stem}-psg_eeg.edf": signals,
        f"{stem}-psg_events.tsv": scoring,
        f"{stem}-headband_eeg.edf": HEADBAND,
        f"{stem}-headband_events.tsv": table(stage_ai="WWWWWW"),
    }


FOLDER = RawFolder(
    files={
        "participants.tsv": "participant_id\tage\tsex\tbmi\tpid\n"
        "sub-1\t27\tF\t19.8\t89\nsub-2\t27\tF\t19.8\t89\nsub-10\tn/a\tM\t24\t4\n",
        **night(1, TWO_EYES, table(stage_hum="W12?3R", stage_ai="x1111R")),
        **night(2, ONE_EYE, table(ai_hb="222222", majority="WW123R", ai_psg="333333")),
        **night(10, TWO_EYES, table(stage_ai="111111")),
        **night(128, ONE_EYE, table(stage_ai="x22222", stage_hum="2RR??W")),
    },
    nights=(
        Night("sub-1", "boas-89", "W12?3R", ALL, taken={"E1": "'PSG_EOGL'"}),
        Night("sub-2", "boas-89", "WW123R", ALL - {"E2"}, taken={"E1": "'PSG_EOG'"}),
        Night("sub-10", refused="no column 'stage_hum'"),
        Night("sub-128", "boas-night-128", "2RR??W"),
    ),
)
