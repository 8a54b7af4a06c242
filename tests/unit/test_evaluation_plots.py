"""Figures of a night: what is drawn is what was given, labelled, fast and the same every time."""

from __future__ import annotations

from datetime import datetime
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from evaluation import plots
from evaluation.traces import Trace, spectrogram
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES, N2, N3, UNSCORED, R, W


@pytest.fixture
def hypnogram(rng: np.random.Generator) -> Hypnogram:
    """A night of 240 epochs with a hypnodensity, ten of them unscored."""
    proba = rng.dirichlet(np.ones(5), 240)
    proba[100:110] = np.nan
    return Hypnogram.from_proba(
        proba, start=datetime(2024, 5, 1, 22, 40), lights_off_s=600.0, lights_on_s=6900.0
    )


def tone(frequency_hz: float, n_epochs: int = 4, rate_hz: int = 100) -> Trace:
    """A sine of 10 uV amplitude."""
    time = np.arange(n_epochs * 30 * rate_hz) / rate_hz
    wave = 10 * np.sin(2 * np.pi * frequency_hz * time)
    return Trace("C4-M1", wave.reshape(n_epochs, -1).astype(np.float32))


def panel(figure: Figure, label: str) -> object:
    """The panel with this label on its vertical axis."""
    return next(axes for axes in figure.axes if axes.get_ylabel() == label)


def lines_of(axes: object, colour: str) -> np.ndarray:
    """Points (n, 2) of the one line drawn in `colour`, its gaps included."""
    line = next(line for line in axes.lines if line.get_color() == colour)
    return line.get_xydata()


def test_stages_stand_in_aasm_order_from_top_to_bottom(hypnogram: Hypnogram) -> None:
    axes = plots.night_figure(hypnogram).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["W", "R", "N1", "N2", "N3"]
    assert axes.yaxis_inverted()


def test_four_classes_are_drawn_in_their_order() -> None:
    night = Hypnogram(stages=np.array([0, 1, 2, 3]), classes=FOUR_CLASSES)
    axes = plots.night_figure(night).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["W", "R", "L", "D"]


def test_each_stretch_is_drawn_where_and_when_it_was() -> None:
    night = Hypnogram(stages=np.array([W, W, N2, N2, N2, R]), onset_s=60.0)
    axes = plots.night_figure(night).axes[0]
    n2 = lines_of(axes, plots.COLOURS["N2"])
    np.testing.assert_allclose(n2[:2] * [3600, 1], [[120, 3], [210, 3]])
    rem = lines_of(axes, plots.COLOURS["R"])
    np.testing.assert_allclose(rem[:2] * [3600, 1], [[210, 1], [240, 1]])


def test_no_line_crosses_unscored_epochs_and_they_are_hatched() -> None:
    night = Hypnogram(stages=np.array([W, UNSCORED, N3]))
    axes = plots.night_figure(night).axes[0]
    assert len(lines_of(axes, plots.FAINT)) == 0
    (hatched,) = [patch for patch in axes.patches if patch.get_hatch()]
    np.testing.assert_allclose(hatched.get_x() * 3600, 30)
    np.testing.assert_allclose(hatched.get_width() * 3600, 30)


def test_axis_shows_whole_clock_hours_when_the_start_is_known(hypnogram: Hypnogram) -> None:
    axes = plots.night_figure(hypnogram).axes[-1]
    ticks = dict(
        zip([t.get_text() for t in axes.get_xticklabels()], axes.get_xticks(), strict=True)
    )
    assert axes.get_xlabel() == "Clock time"
    np.testing.assert_allclose(ticks["23:00"] * 60, 20)  # minutes after 22:40
    np.testing.assert_allclose(ticks["00:00"] * 60, 80)


def test_axis_shows_hours_when_the_start_is_unknown() -> None:
    axes = plots.night_figure(Hypnogram(stages=np.zeros(960, int))).axes[-1]
    assert axes.get_xlabel() == "Hours from the start of the recording"
    np.testing.assert_allclose(axes.get_xlim(), (0, 8))


def test_lights_are_marked_at_their_time(hypnogram: Hypnogram) -> None:
    axes = plots.night_figure(hypnogram).axes[0]
    dashed = [line.get_xdata()[0] * 3600 for line in axes.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(sorted(dashed), [600, 6900])
    assert {"lights off", "lights on"} <= {text.get_text() for text in axes.texts}


def test_hypnodensity_image_covers_each_stage_by_its_probability() -> None:
    proba = np.array([[0.5, 0, 0, 0, 0.5], [0, 0, 0.25, 0.75, 0]])
    image = plots.hypnodensity_image(Hypnogram.from_proba(proba), height=8)
    colour = {name: np.array(to_rgb(plots.COLOURS[name])) for name in ("W", "R", "N2", "N3")}
    np.testing.assert_allclose(image[:4, 0], np.tile(colour["W"], (4, 1)), atol=1e-6)
    np.testing.assert_allclose(image[4:, 0], np.tile(colour["R"], (4, 1)), atol=1e-6)
    np.testing.assert_allclose(image[:2, 1], np.tile(colour["N2"], (2, 1)), atol=1e-6)
    np.testing.assert_allclose(image[2:, 1], np.tile(colour["N3"], (6, 1)), atol=1e-6)


def test_hypnodensity_pixel_mixes_the_stages_it_covers() -> None:
    image = plots.hypnodensity_image(Hypnogram.from_proba([[0.5, 0, 0, 0, 0.5]]), height=1)
    mixed = (np.array(to_rgb(plots.COLOURS["W"])) + to_rgb(plots.COLOURS["R"])) / 2
    np.testing.assert_allclose(image[0, 0], mixed, atol=1e-6)


def test_unscored_epochs_are_white_in_the_hypnodensity(hypnogram: Hypnogram) -> None:
    image = plots.hypnodensity_image(hypnogram)
    assert image.shape[1] == hypnogram.n_epochs
    assert (image[:, 100:110] == 1).all()
    assert not (image[:, :100] == 1).all(axis=2).any()


def test_confidence_is_the_probability_of_the_stage_given() -> None:
    proba = np.array([[0.6, 0.1, 0.1, 0.1, 0.1], [0.1, 0.1, 0.6, 0.1, 0.1]])
    night = Hypnogram(stages=np.array([W, R]), proba=proba)
    np.testing.assert_allclose(plots.confidence(night), [0.6, 0.1], atol=1e-6)
    assert np.isnan(plots.confidence(Hypnogram(stages=np.array([W])))).all()


def test_changed_epochs_are_marked_and_counted(hypnogram: Hypnogram) -> None:
    stages = hypnogram.stages.copy()
    places = [3, 4, 200]
    stages[places] = (stages[places] + 1) % 5
    figure = plots.night_figure(hypnogram.with_stages(stages), raw=hypnogram)
    axes = panel(figure, "Changed")
    drawn = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(np.flatnonzero(drawn[0] == 1), places)
    assert "3 epochs" in {text.get_text() for text in axes.texts}


@pytest.mark.parametrize("frequency_hz", [1.0, 10.0, 13.5, 25.0])
def test_spectrogram_has_its_peak_at_the_tone(frequency_hz: float) -> None:
    frequency, power_db = spectrogram(tone(frequency_hz))
    assert power_db.shape == (61, 4)
    np.testing.assert_allclose(frequency[power_db.argmax(axis=0)], frequency_hz)


def test_spectrogram_holds_the_power_of_the_signal(rng: np.random.Generator) -> None:
    noise = Trace("noise", rng.normal(0, 3, (200, 3000)).astype(np.float32))
    _, power_db = spectrogram(noise)
    density = 10 ** (power_db[2:-1] / 10)  # white noise: variance / (rate / 2) at every frequency
    np.testing.assert_allclose(density.mean(), 9 / 50, rtol=0.01)


def test_flat_epochs_are_blank_in_the_spectrogram() -> None:
    trace = tone(10)
    trace.samples[2] = 7.0
    _, power_db = spectrogram(trace)
    np.testing.assert_array_equal(np.isnan(power_db).all(axis=0), [False, False, True, False])


def test_spectrogram_of_a_slow_signal_ends_at_half_its_rate() -> None:
    frequency, power_db = spectrogram(tone(3.0, rate_hz=32))
    assert frequency[-1] == 16.0
    assert len(power_db) == len(frequency)


def test_drawn_spectrogram_lies_on_the_time_axis_of_the_hypnogram(hypnogram: Hypnogram) -> None:
    figure = plots.night_figure(hypnogram, eeg=tone(12.0, hypnogram.n_epochs))
    axes = panel(figure, "Hz")
    assert axes.images[0].get_extent() == [0, 2, 0, 30]
    assert axes.get_xlim() == figure.axes[0].get_xlim()
    assert axes.images[0].get_array().shape == (61, hypnogram.n_epochs)


def test_colours_of_the_spectrogram_are_set_by_the_night_and_not_by_an_artefact(
    hypnogram: Hypnogram, rng: np.random.Generator
) -> None:
    clean = Trace("C4", rng.normal(0, 10, (hypnogram.n_epochs, 3000)).astype(np.float32))
    loose = Trace("C4", clean.samples.copy())
    loose.samples[:60] *= 100
    limits = [
        panel(plots.night_figure(hypnogram, eeg=trace), "Hz").images[0].get_clim()
        for trace in (clean, loose)
    ]
    np.testing.assert_allclose(limits[0], limits[1], atol=0.5)


def test_a_band_that_was_cut_off_does_not_use_up_the_colours(hypnogram: Hypnogram) -> None:
    slow = tone(2.0, hypnogram.n_epochs)  # nothing but one tone: the rest lies 100 dB below
    low, high = panel(plots.night_figure(hypnogram, eeg=slow), "Hz").images[0].get_clim()
    assert high - low <= 45


def test_pieces_of_another_length_are_refused(hypnogram: Hypnogram) -> None:
    with pytest.raises(ValueError, match="240 epochs was given one of 4"):
        plots.night_figure(hypnogram, eeg=tone(12.0))


def test_signals_are_drawn_around_the_epoch_with_a_scale_bar() -> None:
    axes = plots.epoch_figure([tone(1.0), tone(2.0)], 1).axes[0]
    time = axes.lines[0].get_xdata()
    np.testing.assert_allclose([time[0], time[-1]], [-15, 44.99], atol=1e-6)
    assert [text.get_text().strip() for text in axes.texts] == ["5 µV", "5 µV"]


def test_scale_bar_is_as_long_as_it_says() -> None:
    axes = plots.epoch_figure([tone(1.0)], 1).axes[0]
    wave, bar = axes.lines[0].get_ydata(), axes.lines[1].get_ydata()
    np.testing.assert_allclose(np.ptp(wave) / np.ptp(bar), 20 / 5, rtol=1e-3)


def test_the_first_epoch_is_drawn_without_what_was_before() -> None:
    axes = plots.epoch_figure([tone(1.0)], 0).axes[0]
    assert axes.lines[0].get_xdata()[0] == 0
    assert axes.get_xlim() == (-15, 45)


def test_labels_are_shown_as_written_and_never_read_as_formulas(hypnogram: Hypnogram) -> None:
    trace = Trace(r"C4 $\broken{$", tone(10, hypnogram.n_epochs).samples)
    svg = plots.encode(plots.night_figure(hypnogram, eeg=trace), "svg").decode()
    assert r"C4 $\broken{$" in svg
    assert plots.encode(plots.epoch_figure([trace], 3), "png")


def test_matrix_shows_counts_and_shares_of_the_row() -> None:
    figure = plots.matrix_figure(np.array([[3, 1], [0, 0]]), "WR", rows="From", columns="To")
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 0]])
    assert [text.get_text() for text in axes.texts] == ["3\n75 %", "1\n25 %", "0\n0 %", "0\n0 %"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("From", "To")


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_same_night_gives_the_same_bytes(hypnogram: Hypnogram, kind: str) -> None:
    first, second = (plots.encode(plots.night_figure(hypnogram), kind) for _ in range(2))
    assert first == second


def test_figure_is_written_in_the_format_of_its_suffix(
    hypnogram: Hypnogram, tmp_path: Path
) -> None:
    plots.save_figure(plots.night_figure(hypnogram), tmp_path / "night.png")
    assert (tmp_path / "night.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="'gif'"):
        plots.save_figure(plots.night_figure(hypnogram), tmp_path / "night.gif")


def test_small_png_is_much_smaller_than_the_full_one() -> None:
    figure = plots.epoch_figure([tone(10.0)] * 4, 1)
    assert len(plots.small_png(figure)) < 0.6 * len(plots.encode(figure, "png", dpi=110))


@pytest.mark.parametrize(
    "stages",
    [[], [W], [UNSCORED] * 3, [R] * 5],
    ids=["no epoch", "one epoch", "all unscored", "one stage"],
)
def test_strange_nights_can_be_drawn(stages: list[int]) -> None:
    night = Hypnogram(stages=np.array(stages, dtype=int))
    assert plots.encode(plots.night_figure(night, raw=night), "svg")


# Linear RGB of what a person without red-sensitive, green-sensitive or blue-sensitive cones sees
# (Machado, Oliveira and Fernandes 2009, severity 1.0).
BLINDNESS = {
    "full colour vision": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def _lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB, white point D65."""
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    scaled = np.asarray(matrix) @ rgb / [0.9505, 1.0, 1.089]
    cubic = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    x, y, z = cubic
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_stage_colours_differ_for_every_kind_of_colour_vision(blindness: str) -> None:
    seen = {}
    for name in ("W", "N1", "N2", "N3", "R"):
        linear = ((np.array(to_rgb(plots.COLOURS[name])) + 0.055) / 1.055) ** 2.4
        seen[name] = _lab(np.clip(np.asarray(BLINDNESS[blindness]) @ linear, 0, 1))
    distance = {
        pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]]) for pair in combinations(seen, 2)
    }
    assert min(distance.values()) > 20, distance  # 2.3 is the least difference an eye notices
