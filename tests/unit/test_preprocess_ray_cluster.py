"""Nights over a Ray cluster: every item once, a lost worker costs its own night's retry."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from preprocess import find_dataset
from preprocess.recipe import Settings, make_nights, ray_cluster
from preprocess.recipe.conversion import DiskFull
from preprocess.recipe.workers import WorkerLost
from tests.makers.fake_ray import FakeRay, Killed
from tests.makers.raw_folders import folders

LOCAL = partial(ray_cluster.each, address="local")


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    """Stand in for Ray."""
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    return fake


def square(number: int) -> int:
    return number * number


def fills_disk(number: int) -> int:
    raise DiskFull("the disk is full")


def dies_at_three(number: int, times: int) -> int:
    """Die at the first attempts of one item."""
    ATTEMPTS.append(number)
    if number == 3 and ATTEMPTS.count(3) <= times:
        raise Killed
    return number


ATTEMPTS: list[int] = []


def test_every_item_is_done_once_and_no_more_wait_than_there_are_processors(ray: FakeRay) -> None:
    assert sorted(LOCAL(square, range(10), 0)) == [(i, i * i) for i in range(10)]
    assert ray.most == 2
    assert sorted(LOCAL(square, range(10), 5)) == [(i, i * i) for i in range(10)]
    assert ray.most == 5
    assert ray.started is None


@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_worker_costs_a_retry_of_its_night_alone(ray: FakeRay, times: int) -> None:
    ATTEMPTS.clear()
    work = partial(dies_at_three, times=times)
    done = dict(LOCAL(work, [3, 1, 2, 4], 2))
    assert {number: done[number] for number in (1, 2, 4)} == {1: 1, 2: 2, 4: 4}
    assert sorted(ATTEMPTS) == [1, 2, 3, 3, 4]
    if times == 1:
        assert done[3] == 3
    else:
        assert isinstance(done[3], WorkerLost)
        assert "lost 2 times (WorkerCrashedError)" in str(done[3])


def test_an_error_of_the_work_ends_the_run_as_it_was_raised(ray: FakeRay) -> None:
    with pytest.raises(DiskFull, match="^the disk is full$"):
        list(LOCAL(fills_disk, [1, 2], 1))
    assert ray.started is None


def test_workers_use_one_thread_and_find_the_programs(ray: FakeRay) -> None:
    for _ in LOCAL(square, [1], 3):
        variables = ray.started["runtime_env"]["env_vars"]
        assert variables["OMP_NUM_THREADS"] == "1"
        assert (Path(variables["PYTHONPATH"].split(":")[0]) / "main_preprocess.py").exists()
        assert ray.started["num_cpus"] == 3


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:9", "ray://127.0.0.1:9"])
def test_no_cluster_at_the_address_is_one_sentence(ray: FakeRay, address: str) -> None:
    with pytest.raises(ValueError, match=r"^--ray .*: no cluster there \(.*\)$"):
        list(ray_cluster.each(square, [1], 1, address=address))


def test_without_ray_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match="pip install -r requirements-cluster.txt"):
        list(LOCAL(square, [1], 1))


def store(root: Path) -> dict[str, bytes]:
    """Every file of a store but the lock."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def same_store(tmp_path: Path) -> None:
    """Make a store over Ray and one in this process, and compare every byte."""
    folder = folders()["hmc"]
    folder.write(tmp_path / "raw")
    for name, over in (("here", ""), ("ray", "local")):
        settings = Settings(tmp_path / "raw", tmp_path / name, ray=over, workers=2 * bool(over))
        tally = make_nights(find_dataset("hmc"), settings, spread=settings.spread)
        assert tally.made == {"psg9": sum(not night.refused for night in folder.nights)}
    assert store(tmp_path / "here") == store(tmp_path / "ray")


def test_the_store_is_the_same_byte_for_byte(ray: FakeRay, tmp_path: Path) -> None:
    same_store(tmp_path)


@pytest.mark.slow
def test_the_store_of_a_real_cluster_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="see requirements-cluster.txt")
    same_store(tmp_path)
