"""What the pages say is so: links lead somewhere, and numbers of the papers are those we keep."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evaluation.reproduction import published_tables
from tests.makers.doc_pages import PAGES, ROOT

SYSTEMS = ("sleepgpt", "lpsgm", "synthsleepnet", "wav2sleep", "seqsleepnet")
# Written by a run, made by the reader, or a line of somebody else's code
NO_FILES = {
    *("dataset.toml", "failed.jsonl", "best.json", "best.safetensors", "config.json", "env.json"),
    *("log.jsonl", "last.pt", "test.npz", "subsets.npz", "results.json", "report.html"),
    *("summary.html", "summary.csv", "cohort.html", "comparison.html", "night.json", "nights.csv"),
    *("predictions.csv", "hypnogram.csv", "hypnogram.txt", "uncorrected.csv", "manifest.json"),
    *("manifest.jsonl", "embedding.png", "night.png", "epoch_0120.png", "maps.npz"),
    *("explain.json", "train.slurm", "preprocess.slurm", "night.edf", "night.csv"),
    *("test_best.pth", "requirements.txt", "openapi.json", "reproduced-SYSTEM-TABLE.md"),
    *("band_power.py", "server.json", "subject_details.csv"),
}
ENDINGS = r"(?:py|sh|md|cff|txt|json|toml|npz|png|edf|csv|html|slurm|safetensors|jsonl|pt|pth)"


def text_of(page: Path) -> str:
    """Return a page without its blocks of code."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", text_of(page)):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_exist(page: Path) -> None:
    named = re.findall(rf"`((?:[\w.-]+/)*[\w-]+\.{ENDINGS})`", text_of(page))
    missing = [name for name in named if not (ROOT / name).exists() and not_made(name)]
    assert not missing


def not_made(name: str) -> bool:
    """Whether a file is part of the repository, or should be."""
    return not name.startswith(("runs/", "data/", "tutorial/", "raw/")) and (
        Path(name).name not in NO_FILES
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_folders_named_exist(page: Path) -> None:
    made = {"data", "runs", "raw", "figures", "splits", "tutorial"}
    for name in re.findall(r"`((?:[a-z]+/)+)`", text_of(page)):
        assert (ROOT / name).is_dir() or name.split("/")[0] in made, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_of_benchmarks_told_in_the_text_are_known(page: Path) -> None:
    joined = page.read_text(encoding="utf-8").replace("\\\n", " ").replace("\n", " ")
    for name, flags in re.findall(r"python -m benchmarks\.(\w+)((?: +-[^`#|]*?)?)[`#|\n]", joined):
        source = (ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
        for flag in re.findall(r"--[a-z][\w-]*", flags):
            assert f'"{flag}"' in source or flag[2:].replace("-", "_") in source, (name, flag)


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_system_has_its_faults_and_its_published_numbers(system: str) -> None:
    page = (ROOT / "docs" / f"{system}.md").read_text(encoding="utf-8")
    assert "## Published numbers" in page
    faults = page.partition("## Faults of the original, and what we do")[2].partition("\n## ")[0]
    assert faults.count("\n| ") >= 10


@pytest.mark.parametrize("system", SYSTEMS)
def test_numbers_of_the_papers_are_those_of_the_tables(system: str) -> None:
    page = (ROOT / "docs" / f"{system}.md").read_text(encoding="utf-8")
    told = set(re.findall(r"\d+(?:\.\d+)?", page))
    headline = next(iter(published_tables()[system].values()))
    for row in headline.rows:
        if row.published is not None:
            wanted = {f"{row.published:g}", f"{row.published:.1f}", f"{row.published:.2f}"}
            assert wanted & told, f"{system}: {row.row}, {row.measure} {row.published:g}"


def test_filled_examples_show_the_papers_numbers_that_are_kept() -> None:
    page = (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8")
    parts = re.split(r"`bash reproduce\.sh (\w+ [\w-]+)`:", page)
    filled = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert set(filled) == {
        *("seqsleepnet sleepedf20", "seqsleepnet mass-arnn"),
        *("sleepgpt correction", "sleepgpt language"),
    }
    for words, text in filled.items():
        system, name = words.split()
        lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
        shown = [line.strip("| ").split(" | ")[:3] for line in lines]
        assert shown == [
            [
                row.row,
                row.measure,
                "not at hand" if row.published is None else f"{row.published:g}",
            ]
            for row in published_tables()[system][name].rows
        ]


def test_every_table_is_listed_in_the_page() -> None:
    page = (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| `([\w-]+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(
        (system, name) for system, tables in published_tables().items() for name in tables
    )


def test_requirement_files_that_are_to_be_installed_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"pip install -r (\S+)", page.read_text(encoding="utf-8")):
            lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
            assert any("==" in line for line in lines), name


def test_pages_are_reached_from_the_readme() -> None:
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        assert f"docs/{page.name}" in front, f"README.md names no docs/{page.name}"
