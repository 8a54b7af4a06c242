"""What the worker processes tell of a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from recordings.channels import TARGETS
from recordings.recording import RecordingError
from recordings.simulate import simulate_night
from tests.makers.page_server import ROOT
from web import work
from web.page import _for_visitor
from web.visitors import Night


def quiet(_: str) -> None:
    """Listen to no step."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nights") / "recording.edf"
    simulate_night(1, hours=0.1, montage="aasm9").write(path)
    return path


def test_every_target_has_its_row_and_derivations_are_drawn_as_found(
    recording: Path, tmp_path: Path
) -> None:
    told = work.look(recording, step=quiet)
    assert [row["target"] for row in told["montage"]] == list(TARGETS)
    assert told["starts"] == "23:00:00"  # never the date
    assert told["simulated"]
    keys = [row["key"] for row in work.draw(recording, tmp_path, (), step=quiet)]
    pairs = {(row["plus"], row["minus"]) for row in told["montage"] if row["minus"] is not None}
    assert {f"{plus}-{minus}" for plus, minus in pairs} == {key for key in keys if "-" in key}
    assert len(keys) == len(pairs) + len(told["channels"])


def test_a_fif_file_is_looked_into_like_any_other(tmp_path: Path) -> None:
    import mne

    names = ["C4-M1", "E1-M2", "Chin"]
    info = mne.create_info(names, 100.0, ["eeg", "eog", "emg"])
    info["subject_info"] = {"last_name": "Secret"}
    noise = np.random.default_rng(1).normal(0, 2e-5, (3, 6000))
    path = tmp_path / "recording.fif"
    mne.io.RawArray(noise, info, verbose=False).save(path, verbose=False)
    told = work.look(path, step=quiet)
    assert [channel["label"] for channel in told["channels"]] == names
    assert "Secret" not in json.dumps(told, default=str)
    shown = work.draw(path, tmp_path, (), step=quiet)
    assert [row["error"] for row in shown] == ["", "", ""]


def test_a_channel_that_is_not_there_is_refused(recording: Path) -> None:
    with pytest.raises(RecordingError, match="neither a label"):
        work.choose(recording, {"C4": "nothing"}, step=quiet)


def test_only_weights_that_are_here_can_be_chosen() -> None:
    told = work.offered(step=quiet)
    assert told["stagers"][0]["name"] == "yasa"
    assert {"greedy", "denoiser", "none"} <= set(told["decoders"])
    from engine.weights import entry

    for row in told["stagers"][1:]:
        weights = entry(row["name"])
        assert row["there"] == (weights.converted.exists() or weights.path.exists())


def test_an_error_is_told_in_the_words_of_the_page(tmp_path: Path) -> None:
    night = Night(tmp_path, "my night", 1)
    night.path = tmp_path / "recording.edf"
    error = f"{night.path}: no EEG; name one with --channel C4=LABEL"
    assert _for_visitor(error, night) == "my night: no EEG; name one under Channels"


def test_the_page_names_no_other_host() -> None:
    import re

    for file in sorted((ROOT / "web/static").iterdir()):
        named = set(re.findall(r"(?:https?:)?//[\w.-]+", file.read_text(encoding="utf-8")))
        assert not {name for name in named if "." in name and "www.w3.org" not in name}, file.name
