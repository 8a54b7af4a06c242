"""Every command that README.md and docs/ tell people to type is typed here, in the order told.

It runs in a copy of the repository, with what a reader would have (`tests/makers/doc_material.py`).
Where a command cannot run as it stands, `tests/makers/doc_table.py` says why, and what is run in
its place.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import SHARED_DATA
from tests.makers import doc_material, warm_python
from tests.makers.doc_pages import PAGES, ROOT, Block, blocks, commands
from tests.makers.doc_table import TABLE, Otherwise, rule_of, stores, typed_for

TORCHRUN = Path(__file__).parents[1] / "makers" / "one_process.py"
LIMIT_S, STARTS_S = 300, 120  # for one command, and for the warm python, on a busy machine
EVERY = tuple(dict.fromkeys(command for page in PAGES for command in commands(page)))

# The scheduler of one machine: the job is done when it is handed in
SBATCH = """#!/bin/bash
set -eu
export SLURM_NNODES=1 SLURM_NODEID=0 SLURM_JOB_NODELIST=localhost
export SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=1 SLURM_CPUS_PER_TASK=1
while [[ $1 == -* && $1 != --wrap ]]; do shift; done
if [[ $1 == --wrap ]]; then bash -c "$2" >&2; else bash "$@" >&2; fi
echo 1
"""


@dataclass
class Workplace:
    """A copy of the repository in which commands are typed, each once.

    Parameters
    ----------
    root : Path
        The copy.
    environment : mapping of str to str
        `python` there is warm (`tests/makers/warm_python.py`).
    """

    root: Path
    environment: dict[str, str]
    told: dict[str, str] = field(default_factory=dict)

    def run(self, command: str) -> str:
        """Type a command as the table wants it; return what went wrong, or nothing."""
        if command not in self.told:
            self.told[command] = self._run(command)
        return self.told[command]

    def _run(self, command: str) -> str:
        rule = rule_of(command)
        typed = typed_for(command)
        if not typed:
            return parsed(command)
        words = set(re.split(r"[\s=,]+", command)).union(rule.needs if rule else ())
        for view in doc_material.STORES:
            words.update(stores(view) if f"data/{view}" in words else ())
        for given in doc_material.GIVEN:
            if given in words:
                doc_material.make(given, self.root)
        begun = time.monotonic()
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", typed],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        print(f"{time.monotonic() - begun:5.1f} s  {command}")  # noqa: T201 - pytest keeps it
        if done.returncode == (rule.status if rule else 0):
            return ""
        said = done.stdout[-400:] + done.stderr[-1500:]
        return f"$ {typed}\n  ended with {done.returncode}\n{said}"


def parsed(command: str) -> str:
    """Parse the flags of one of our own programs without running it."""
    from importlib import import_module

    found = re.search(r"main_preprocess\.py (.*)", command)
    if found:
        module = import_module("main_preprocess")
        from command_line import parse

        action, *rest = found[1].split(" #")[0].split()
        parse(module.COMMANDS[action][0], rest)
    return ""


@pytest.fixture(scope="module")
def workplace(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workplace]:
    """A copy of the tree, the shared material beside it, weights, scheduler and a warm python."""
    top = tmp_path_factory.mktemp("docs")
    root = top / "nightstack"
    kept = shutil.ignore_patterns("tests", ".*", "__pycache__", "runs", "data", "raw", "tutorial")
    shutil.copytree(ROOT, root, ignore=kept, symlinks=True)
    for block in (block for page in PAGES for block in blocks(page)):
        keep(block, root)
    if SHARED_DATA.exists():
        (top / "shared").mkdir()
        (top / "shared" / "data").symlink_to(SHARED_DATA.resolve())
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "activate").touch()
    (top / "bin").mkdir()
    socket = f"/tmp/nightstack-{os.getpid()}"  # noqa: S108 - paths of sockets must be short
    for name, text in programs(socket).items():
        (top / "bin" / name).write_text(text, encoding="utf-8")
        (top / "bin" / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{top / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHON": "python",
        "NIGHTSTACK_WEIGHTS": str(top / "weights"),
        "OMP_NUM_THREADS": "1",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTSTACK_WEIGHTS", environment["NIGHTSTACK_WEIGHTS"])
        doc_material.placed(top / "weights", SHARED_DATA)
    stages = any(item.get_closest_marker("slow") for item in request.session.items)
    with served(socket, root, environment, stages=stages):
        yield Workplace(root, environment)


@contextmanager
def served(socket: str, root: Path, environment: dict[str, str], *, stages: bool) -> Iterator[None]:
    """Keep a warm python at a socket; with `stages`, one that has YASA compiled."""
    words = [sys.executable, warm_python.__file__, "serve", socket, *(["yasa"] if stages else [])]
    server = subprocess.Popen(words, cwd=root, env=environment)
    end = time.monotonic() + STARTS_S
    try:
        while not Path(socket).exists():
            assert server.poll() is None, "the warm python ended before it was ready"
            assert time.monotonic() < end, f"no warm python after {STARTS_S} s"
            time.sleep(0.1)
        yield
    finally:
        server.kill()
        server.wait()
        Path(socket).unlink(missing_ok=True)


def keep(block: Block, root: Path) -> None:
    """Save a block that is the text of a file: a script under its name, a model in models/."""
    if block.is_script:
        (root / block.named).write_text(block.text, encoding="utf-8")
    elif "@register(" in block.text:
        (root / "models" / "band_power.py").write_text(block.text, encoding="utf-8")


def programs(socket: str) -> dict[str, str]:
    """Return scripts for the folder of programs: a warm python, and a scheduler of one machine."""
    start = f'exec {sys.executable} -S -E {warm_python.__file__} run {socket} "$@"\n'
    return {
        "python": f"#!/bin/sh\n{start}",
        "torchrun": f'#!/bin/sh\nset -- {TORCHRUN} "$@"\n{start}',
        "sbatch": SBATCH,
        "srun": '#!/bin/sh\nexec "$@"\n',
        "scontrol": "#!/bin/sh\necho localhost\n",
    }


QUICK = {"docs/reproduction.md", "docs/your_data.md"}
# Pages that read nothing of the shared material
ALONE = {f"docs/{name}.md" for name in ("cluster", "tutorial", "web", "your_data", "your_model")}


def pages() -> list:
    """Return the pages that tell commands; those that take long are marked as slow."""
    named = [str(page.relative_to(ROOT)) for page in PAGES if commands(page)]
    return [
        pytest.param(
            name,
            marks=[
                *([] if name in QUICK else [pytest.mark.slow]),
                *([] if name in ALONE else [pytest.mark.data("real/ucddb")]),
            ],
        )
        for name in named
    ]


@pytest.mark.parametrize("page", pages())
def test_every_command_of_the_page_does_its_work(page: str, workplace: Workplace) -> None:
    wrong = [told for command in commands(ROOT / page) if (told := workplace.run(command))]
    assert not wrong, "\n\n".join(wrong)


def test_the_folder_of_the_page_becomes_a_data_set_by_person(workplace: Workplace) -> None:
    typed = commands(ROOT / "docs" / "your_data.md")
    assert not [told for command in typed[:5] if (told := workplace.run(command))]
    sidecars = sorted((workplace.root / "data" / "psg9" / "my_folder").glob("*.json"))
    persons = [json.loads(path.read_text(encoding="utf-8"))["person"] for path in sidecars]
    assert len(persons) == 6
    assert len(set(persons)) == 5
    (shown,) = (
        block for block in blocks(ROOT / "docs" / "your_data.md") if block.language == "toml"
    )
    written = (workplace.root / "my_folder" / "dataset.toml").read_text(encoding="utf-8")
    for line in shown.text.splitlines():
        assert line in written or line.startswith("person"), line


@pytest.mark.slow
def test_the_tutorial_gives_what_it_tells(workplace: Workplace) -> None:
    page = ROOT / "docs" / "tutorial.md"
    assert not [told for command in commands(page) if (told := workplace.run(command))]
    runs = workplace.root / "tutorial" / "runs"
    scores = json.loads((runs / "arnn" / "results.json").read_text(encoding="utf-8"))["scores"]
    assert scores["kappa"] == pytest.approx(0.733, abs=0.1)  # as told; other processors round
    assert (runs / "stage" / "BAR0001N1" / "report.html").exists()
    assert (runs / "night" / "comparison.html").exists()
    corrected = json.loads((runs / "correction" / "results.json").read_text(encoding="utf-8"))
    assert corrected["generic"]["kappa"] > corrected["none"]["kappa"] + 0.05


@pytest.mark.parametrize("rule", TABLE, ids=lambda rule: rule.told[:40])
def test_every_line_of_the_table_speaks_of_a_command_that_is_told(rule: Otherwise) -> None:
    assert any(rule_of(command) is rule for command in EVERY), f"no page tells {rule.told}"
    assert rule.why
