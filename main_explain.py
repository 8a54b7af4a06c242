"""Why a network gave its stages: maps on the signals of a night."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from command_line import dump, run

MOST_DOUBTFUL = 6  # epochs, when none are named


@dataclass(frozen=True)
class Config:
    """Explain the stages of a night by maps on its signals.

    Examples:
      python main_explain.py night.edf --stager lpsgm-block4
      python main_explain.py night.edf --stager seqsleepnet-mass-eeg --epochs 120 200-210
      python main_explain.py night.edf --stager wav2sleep --method attention --epochs all
      python main_explain.py night.edf --stager yasa
      python main_explain.py hypnogram.csv --stager runs/diagnose/best.safetensors
    """

    night: Path  # a recording, a stored night (its .json); a hypnogram for a classifier of nights
    stager: str = "yasa"  # yasa, or weights by name or file: of a stager, or of an HTN
    # gradcam, guided: LPSGM; attention: SeqSleepNet, the ARNNs, wav2sleep, HTN; occlusion: all.
    # auto takes the first of these that serves
    method: Literal["auto", "gradcam", "guided", "attention", "occlusion"] = "auto"
    epochs: tuple[str, ...] = ()  # 12 30-40, counted from 1; all; default: the six least sure
    out: Path = Path("runs/explain")  # a folder per night: figures, maps.npz, report.html
    kind: Literal["png", "svg"] = "png"  # of the figures
    channel: tuple[str, ...] = ()  # channels named by hand: C4=EEG2-A1, Chin=#7, E1= (leave out)
    channel_file: Path | None = None  # the same in a file: lines or a JSON object
    signals: str = ""  # use only these of the channels a network knows: ECG,THX
    scoring: str = "auto"  # compare with: auto (in or beside the recording), none, file or folder
    as_published: bool = (
        False  # gradcam: an epoch at the beginning of its window; as main_stage_slm
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0  # of the noise of occlusion; nothing else is drawn
    dry_run: bool = False  # the first ten minutes, two epochs


def main(cfg: Config) -> int:
    """Explain one night and say where the figures are."""
    from explain.night import night_classifier

    model = night_classifier(cfg.stager)
    folder = cfg.out / cfg.night.stem
    written = _explain_hypnogram(cfg, model, folder) if model else _explain_signals(cfg, folder)
    dump(cfg, folder / "config.json")
    sys.stdout.write(f"{len(written)} figures in {folder}/\n")
    return 0


def _explain_signals(cfg: Config, folder: Path) -> list[Path]:
    """Stage the night and explain the epochs asked for."""
    from explain.night import doubtful, explain_staged, write_explained
    from staging.batch import find_sources
    from staging.results import judge, report_of
    from staging.run import DRY_RUN_EPOCHS, NightReader, named_channels
    from staging.stage import load_stager, stage_reading

    only = tuple(name for name in cfg.signals.split(",") if name)
    stager = load_stager(cfg.stager, device=cfg.device, signals=only, as_published=cfg.as_published)
    overrides = named_channels(cfg.channel, cfg.channel_file)
    n_epochs = DRY_RUN_EPOCHS if cfg.dry_run else None
    reader = NightReader(stager, overrides, scoring=cfg.scoring, n_epochs=n_epochs)
    (source,) = find_sources([cfg.night])[:1]
    found = reader(source)
    staged = stage_reading(found.reading, stager)
    result = judge(source.name, staged, staged.hypnogram, {}, found.reference, events=found.events)
    report, n_least = report_of(result), 2 if cfg.dry_run else MOST_DOUBTFUL
    chosen = numbered(cfg.epochs, staged.hypnogram.n_epochs)
    epochs = doubtful(staged.hypnogram, n_least) if chosen == () else chosen
    explained = explain_staged(
        staged, report.signals, cfg.method, epochs, as_published=cfg.as_published, seed=cfg.seed
    )
    facts = {"night": source.name, "stager": stager.provenance}
    return write_explained(folder, explained, kind=cfg.kind, report=report, facts=facts)


def _explain_hypnogram(cfg: Config, model, folder: Path) -> list[Path]:  # type: ignore[no-untyped-def]
    """Explain what a classifier of nights looked at."""
    from explain.night import explain_classifier, write_explained
    from recordings.scoring import read_scoring

    if cfg.method not in ("auto", "attention"):
        raise ValueError(f"--method {cfg.method} does not serve {cfg.stager}: attention does")
    explained = explain_classifier(model, read_scoring(cfg.night).hypnogram)
    facts = {"night": cfg.night.stem, "stager": {"stager": Path(cfg.stager).stem}}
    return write_explained(folder, explained, kind=cfg.kind, report=None, facts=facts)


def numbered(texts: Sequence[str], n_epochs: int) -> tuple[int, ...] | None:
    """Return the epochs named by `12` or `30-40`, counted from 0; None for `all`."""
    if list(texts) == ["all"]:
        return None
    found: list[int] = []
    for text in texts:
        first, _, last = text.partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            raise ValueError(f"--epochs {text}: numbers such as 12 or 30-40 are wanted, or all")
        if not 1 <= int(first) <= int(last or first) <= n_epochs:
            raise ValueError(f"--epochs {text}: the night has epochs 1 to {n_epochs}")
        found += range(int(first) - 1, int(last or first))
    return tuple(found)


if __name__ == "__main__":
    raise SystemExit(run(main, Config))
