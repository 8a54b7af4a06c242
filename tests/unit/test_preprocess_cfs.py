"""CFS: relatives stay together, and nobody is taken whose relatives are not known."""

from __future__ import annotations

from pathlib import Path

from preprocess.cfs import recordings


def test_without_the_table_of_families_every_night_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "polysomnography/edfs/cfs-visit5-800002.edf"
    path.parent.mkdir(parents=True)
    path.touch()
    (night,) = recordings(tmp_path)
    assert "datasets/cfs-visit5-dataset-*.csv" in night.bad
