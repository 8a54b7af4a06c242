"""One staged night explained: the maps of its epochs, as figures, as numbers and in its report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from evaluation.page import epoch_words
from evaluation.plain import plain
from evaluation.plots import confidence, map_figure, night_map_figure, save_figure, small_png
from evaluation.report import Explanation, NightReport, write_report
from evaluation.traces import Trace
from explain.attention import frame_attention, segment_attention, signal_attention
from explain.gradcam import explain_night
from explain.occlusion import occlude_channels, occlude_spans
from models.htn import HTN
from models.lpsgm import LPSGM
from models.time_frequency import SpectralStager
from models.wav2sleep import Wav2Sleep
from nights.atomic import atomic_path, write_text
from nights.hypnogram import Hypnogram
from staging.results import versions
from staging.stage import StagedNight

Method = Literal["gradcam", "guided", "attention", "occlusion"]

REPORT_BYTES = 450_000  # of pictures in the report; every epoch asked for has a file of its own
WORDS = {
    "gradcam": "Grad-CAM: where the last convolutions of both branches were active and raised the "
    "logit of the stage, scaled over all derivations of an epoch.",
    "guided": "Guided Grad-CAM: Grad-CAM times the envelope of guided backpropagation, scaled over "
    "all derivations of an epoch.",
    "attention": "Attention: the weight the network itself gave to each part. Weight is not cause.",
    "occlusion": "Occlusion: what the probability of the stage lost when a span was noise of "
    "the usual spectrum, or a channel absent. Below zero: the stage was surer without it.",
}
CAUTION = (
    "A map tells what the network used, not whether it is right; another method may draw another."
)


@dataclass(frozen=True, eq=False)
class Explained:
    """Why a network gave the stages of a night.

    Parameters
    ----------
    method : str
    epochs : {epoch from 0: Figure-making callable}
        Drawn when they are written: a night has a thousand.
    night : Figure or None
        The whole night at once.
    arrays : {name: array}
        The maps as numbers, for `maps.npz`.
    caption : str
        What the picture of the night shows.
    """

    method: Method
    epochs: dict[int, Callable[[], Figure]] = field(default_factory=dict)
    night: Figure | None = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    caption: str = ""


def methods_of(stager: Any) -> tuple[Method, ...]:
    """Return the methods that serve a stager, the most telling first."""
    model = getattr(stager, "model", None)
    if isinstance(model, LPSGM):
        return "gradcam", "guided", "occlusion"
    if isinstance(model, SpectralStager | Wav2Sleep):
        return "attention", "occlusion"
    return ("occlusion",)


def explain_staged(
    staged: StagedNight,
    traces: Sequence[Trace],
    method: Method | Literal["auto"] = "auto",
    epochs: Sequence[int] | None = None,
    *,
    as_published: bool = False,
    seed: int = 0,
) -> Explained:
    """Explain epochs of a staged night.

    Parameters
    ----------
    staged : StagedNight
    traces : sequence of Trace
        The signals as they are drawn, in physical units.
    method : str
        One of `methods_of`; `auto` is the first of them.
    epochs : sequence of int, optional
        Which epochs, counted from 0; default: every one that has a stage.
    as_published : bool
        See `explain.gradcam.explain_night`.
    seed : int
        Of the noise of occlusion.

    Raises
    ------
    ValueError
        If the method does not serve the stager, the stager read no signals, or an epoch is not in
        the night or has no stage.
    """
    known = methods_of(staged.stager)
    chosen = known[0] if method == "auto" else method
    if chosen not in known:
        name = staged.stager.name
        raise ValueError(f"--method {chosen} does not serve {name}: {', '.join(known)} do")
    if staged.reading.signals is None:
        raise ValueError(f"{staged.stager.name} read no signals, so nothing of them can be shown")
    night = _Night(staged, traces, _checked(staged.hypnogram, epochs))
    if chosen == "attention":
        return night.attention()
    if chosen == "occlusion":
        return night.occlusion(seed)
    return night.gradcam(chosen, as_published)


def doubtful(hypnogram: Hypnogram, n_epochs: int) -> list[int]:
    """Return the epochs whose stage was the least sure, in the order of the night."""
    sure = confidence(hypnogram)
    order = np.argsort(np.where(np.isnan(sure), np.inf, sure), kind="stable")
    return sorted(order[np.isfinite(sure[order])][:n_epochs].tolist())


def _checked(hypnogram: Hypnogram, epochs: Sequence[int] | None) -> np.ndarray:
    """Return the epochs (N,) to explain; those asked for must have a stage."""
    scored = np.flatnonzero(hypnogram.scored)
    if epochs is None:
        return scored
    missing = sorted(set(epochs) - set(scored.tolist()))
    if missing:
        numbers = ", ".join(str(epoch + 1) for epoch in missing)
        raise ValueError(f"epochs {numbers} have no stage; the night has 1 to {hypnogram.n_epochs}")
    return np.array(sorted(set(epochs)), dtype=np.int64)


class _Night:
    """A staged night, and how the maps of its epochs are drawn."""

    def __init__(self, staged: StagedNight, traces: Sequence[Trace], epochs: np.ndarray) -> None:
        self.staged, self.hypnogram = staged, staged.hypnogram
        self.traces, self.epochs = traces, epochs

    def gradcam(self, method: Method, as_published: bool) -> Explained:
        """Explain LPSGM from inside."""
        signals, present = self._inputs()
        stages = None if as_published else self.hypnogram.stages
        maps = explain_night(
            self.staged.stager.model,  # type: ignore[attr-defined]
            signals,
            present,
            epochs=self.epochs,
            stages=stages,
            as_published=as_published,
        )
        seen = maps.fused() if method == "gradcam" else maps.guided_gradcam()
        arrays = {name: getattr(maps, name) for name in ("epochs", "stages", "fine", "coarse")}
        arrays |= {"guided": maps.guided, "channels": np.array(maps.channels)}
        share = np.full((len(maps.channels), self.hypnogram.n_epochs), np.nan)
        share[:, maps.epochs] = np.nanmean(seen, axis=2).T
        return Explained(
            method,
            self._figures(maps.epochs, maps.channels, seen, maps.stages),
            self._picture(share, maps.channels, "Mean of the map"),
            arrays,
            "The mean of its map in each derivation.",
        )

    def attention(self) -> Explained:
        """Show the weights the network gave."""
        model: Any = self.staged.stager.model  # type: ignore[attr-defined]
        signals, present = self._inputs()
        if isinstance(model, Wav2Sleep):
            channels, shares = signal_attention(model, signals, present)
            seen, rows = shares[self.epochs][:, :, None], list(channels)
            night, label = shares.T, "Share of signals"
        else:
            weights = _by_second(frame_attention(model, signals, present))  # (E, 30)
            channels = tuple(name for name in model.channels if name in signals)
            seen = np.repeat(weights[self.epochs][:, None], len(channels), axis=1)
            rows = [str(second) if second % 5 == 0 else "" for second in range(weights.shape[1])]
            night, label = weights.T, "Second of the epoch"
            shares = weights
        night = np.where(self.hypnogram.scored, night, np.nan)
        arrays = {"attention": shares, "channels": np.array(channels)}
        return Explained(
            "attention",
            self._figures(self.epochs, channels, seen, words="weight"),
            self._picture(night, rows, label, words="weight"),
            arrays,
            f"{label}: the weight of each, epoch by epoch.",
        )

    def occlusion(self, seed: int) -> Explained:
        """Take pieces away and see what is lost."""
        stager, reading, hypnogram = self.staged.stager, self.staged.reading, self.hypnogram
        assert hypnogram.proba is not None
        lost = occlude_channels(stager, reading, hypnogram.proba, hypnogram.stages)
        arrays = {f"without_{name}": loss for name, loss in lost.items()}
        figures: dict[int, Callable[[], Figure]] = {}
        if hasattr(stager, "model"):
            asked = {"epochs": self.epochs, "stages": hypnogram.stages, "seed": seed}
            found = occlude_spans(stager.model, *self._inputs(), **asked)  # type: ignore[arg-type]
            arrays |= {"epochs": found.epochs, "spans": found.spans, "absent": found.absent}
            arrays |= {"channels": np.array(found.channels)}
            maps = found.epochs, found.channels, found.spans
            figures = self._figures(*maps, words="probability lost", signed=True)
        picture = None
        if lost:
            rows = np.stack(list(lost.values()))
            picture = self._picture(
                rows, list(lost), "Absent", words="probability lost", signed=True
            )
        words = "What the probability of the stage lost when the whole channel was absent."
        return Explained("occlusion", figures, picture, arrays, words)

    def _inputs(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return what the network read, {channel: (E, T)} and {channel: bool (E,)}."""
        signals, recorded = next(self.staged.stager.inputs(self.staged.reading.signals))  # type: ignore[attr-defined]
        return signals, dict.fromkeys(signals, recorded)

    def _figures(
        self,
        epochs: np.ndarray,
        channels: Sequence[str],
        maps: np.ndarray,
        stages: np.ndarray | None = None,
        **look: Any,
    ) -> dict[int, Callable[[], Figure]]:
        """Return what draws each epoch."""
        by_name = {trace.name: trace for trace in self.traces}
        # a network that takes any EEG reads it under a name of its own
        shown = [by_name.get(name, self.traces[place]) for place, name in enumerate(channels)]
        said = self.hypnogram.stages[epochs] if stages is None else stages

        def draw(epoch: int, place: int) -> Figure:
            title = self._title(epoch, int(said[place]))
            return map_figure(shown, epoch, maps[place], title=title, **look)

        return {
            epoch: (lambda epoch=epoch, place=place: draw(epoch, place))  # type: ignore[misc]
            for place, epoch in enumerate(epochs.tolist())
        }

    def _title(self, epoch: int, stage: int) -> str:
        """Return which epoch it is, its stage, and the stage explained if it is another."""
        night = self.hypnogram
        sure = confidence(night)[epoch]
        told = f"{epoch_words(night, epoch)}: {night.names[epoch]}"
        told += f", {100 * sure:.0f} %" if np.isfinite(sure) else ""
        if stage == night.stages[epoch]:
            return told
        return f"{told}; its window said {night.classes[stage]}, which is explained"

    def _picture(
        self, values: np.ndarray, rows: Sequence[str], label: str, **look: Any
    ) -> Figure | None:
        """Draw the whole night, unless few of its epochs were explained."""
        if np.isfinite(values).any(axis=0).sum() < self.hypnogram.scored.sum() / 2:
            return None
        return night_map_figure(self.hypnogram, values, rows, label=label, **look)


def _by_second(weights: np.ndarray) -> np.ndarray:
    """Return weights (E, 29) of frames of two seconds as weights (E, 30) of seconds."""
    spread = np.zeros((len(weights), weights.shape[1] + 1), dtype=np.float32)
    spread[:, :-1] += weights / 2
    spread[:, 1:] += weights / 2
    return spread


def night_classifier(name_or_path: str) -> HTN | None:
    """Return the classifier of hypnograms among the weights; None for any stager."""
    from engine.weights import load, manifest

    if Path(name_or_path).suffix != ".safetensors" and name_or_path not in manifest():
        return None
    model, _ = load(name_or_path)
    return model if isinstance(model, HTN) else None


def explain_classifier(model: HTN, hypnogram: Hypnogram) -> Explained:
    """Show which segments of a night a classifier of hypnograms looked at."""
    shares = segment_attention(model, hypnogram.stages)
    by_epoch = np.repeat(shares, model.config.n_positions)[: hypnogram.n_epochs]
    figure = night_map_figure(hypnogram, by_epoch[None], ["share"], label="", words="share")
    minutes = model.config.n_positions * hypnogram.epoch_s / 60
    words = f"What the class of the night owes to each segment of {minutes:g} minutes."
    return Explained("attention", night=figure, arrays={"segments": shares}, caption=words)


def write_explained(
    folder: Path, explained: Explained, *, kind: str, report: NightReport | None, facts: Any
) -> list[Path]:
    """Write every figure, `maps.npz`, `explain.json` and, if there is one, the report.

    Parameters
    ----------
    folder : Path
    explained : Explained
    kind : str
        `png` or `svg`.
    report : NightReport or None
        Of the night; gets a section with the picture of the night and the first epochs.
    facts : mapping
        For `explain.json`: what was explained, and how.

    Returns
    -------
    list of Path
        The figures.
    """
    written = []
    pictures: list[tuple[str, bytes]] = []
    if explained.night is not None:
        written.append(folder / f"night.{kind}")
        save_figure(explained.night, written[-1])
        pictures.append((explained.caption, small_png(explained.night, colours=64)))
    for epoch, draw in explained.epochs.items():
        figure = draw()
        written.append(folder / f"epoch_{epoch + 1:04d}.{kind}")
        save_figure(figure, written[-1])
        if report is not None and sum(len(png) for _, png in pictures) < REPORT_BYTES:
            words = f"{epoch_words(report.hypnogram, epoch)}: {report.hypnogram.names[epoch]}"
            pictures.append((words, small_png(figure, dpi=85, colours=32)))
    with atomic_path(folder / "maps.npz") as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **explained.arrays)
    told = {"method": explained.method, "words": f"{WORDS[explained.method]} {CAUTION}"}
    text = json.dumps(plain(told | dict(facts) | {"versions": versions()}), indent=1)
    write_text(folder / "explain.json", text + "\n")
    if report is not None:
        section = Explanation(told["words"], tuple(pictures))
        write_report(replace(report, explanation=section), folder / "report.html")
    return written
