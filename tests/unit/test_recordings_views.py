"""The views say what their systems read, and their hashes tell them apart."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from recordings.channels import TARGETS
from recordings.responses import NONE, butter2
from recordings.views import NINE, VIEWS

# Night stores and weight files carry these: a change here makes every one of them unreadable.
HASHES = {
    "bb100": "401b49f90c574f2a",
    "psg9": "08f8c81989de753e",
    "psg9c": "de9a73fa3eb22847",
    "seq3": "ef3360b465cbc4e2",
    "shhs7": "3bf1085c59bb052c",
    "cr": "35ac7cf34a9fc7e1",
    "eog": "b129bf78179f02c5",
    "hr": "63b71343b7c6b378",
}


def test_every_view_is_there() -> None:
    assert tuple(VIEWS) == ("bb100", "psg9", "psg9c", "seq3", "shhs7", "cr", "eog", "hr")
    assert all(name == view.name for name, view in VIEWS.items())


def test_lpsgm_s_channels_are_in_the_order_of_its_embedding() -> None:
    assert NINE == ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin")
    assert VIEWS["psg9"].channels == VIEWS["psg9c"].channels == NINE


def test_every_channel_is_a_target() -> None:
    assert {channel for view in VIEWS.values() for channel in view.channels} <= set(TARGETS)


def test_rates_are_exact() -> None:
    assert VIEWS["psg9"].rate_hz("C4") == 100
    assert VIEWS["cr"].rate_hz("ECG") == Fraction(1024, 30)
    assert VIEWS["cr"].rate_hz("ABD") == Fraction(256, 30)
    assert VIEWS["eog"].rate_hz("E1") == Fraction(4096, 30)


def test_a_channel_that_is_not_declared_has_the_rate_all_others_share() -> None:
    assert VIEWS["bb100"].samples_of("SpO2") == 3000
    with pytest.raises(KeyError):
        VIEWS["cr"].samples_of("SpO2")


def test_responses_go_by_kind() -> None:
    assert VIEWS["psg9"].response_of("E1") == butter2(4, 0.3, 35)
    assert VIEWS["psg9"].response_of("Chin") == butter2(4, 10, None)
    assert VIEWS["bb100"].response_of("C4") == NONE


def test_hashes_are_what_stores_and_weights_carry() -> None:
    assert {name: view.hash[:16] for name, view in VIEWS.items()} == HASHES


@pytest.mark.parametrize(
    "change",
    [
        {"resample": "endpoints"},
        {"normalise": "none"},
        {"samples": dict.fromkeys(reversed(NINE), 3000)},
        {"response": {"eeg": butter2(4, 0.3, 30)}},
        {"right_closed": True},
    ],
)
def test_any_change_of_the_declaration_changes_the_hash(change: dict) -> None:
    assert replace(VIEWS["psg9"], **change).hash != VIEWS["psg9"].hash
