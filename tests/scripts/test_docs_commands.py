"""Every command that README.md and docs/ tell people to type is typed here, in the order told.

It runs in a copy of the repository, with what a reader would have (`tests/makers/doc_material.py`).
Where a command cannot run as it stands, `TABLE` says why, and what is run in its place.
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
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import SHARED_DATA
from tests.makers import doc_material, warm_python
from tests.makers.doc_pages import PAGES, ROOT, Block, blocks, commands

TORCHRUN = Path(__file__).parents[1] / "makers" / "one_process.py"
LIMIT_S = 300  # for one command, on a busy machine
EVERY = tuple(dict.fromkeys(command for page in PAGES for command in commands(page)))


@dataclass(frozen=True)
class Otherwise:
    """Commands that do not run as they stand.

    Parameters
    ----------
    told : str
        Regular expression of the whole command; the first that fits counts.
    why : str
    typed : str
        What is typed in its place, `{}` for the command, `\\1` for groups of `told`; nothing is run
        where it is empty.
    needs : tuple of str
        Paths it needs without naming them, of `doc_material.GIVEN`.
    swap : tuple of (str, str)
        Texts of the command that are changed first.
    status : int
        How it must end.
    """

    told: str
    why: str
    typed: str = ""
    needs: tuple[str, ...] = ()
    swap: tuple[tuple[str, str], ...] = ()
    status: int = 0


DAYS = "days of a GPU: two steps on the shortest nights, all outputs"
STAND_INS = "licensed nights: simulated ones under the name of the data set"


def stores(view: str) -> tuple[str, ...]:
    """Return the stand-ins of a view."""
    return tuple(f"data/{view}/{name}" for name in doc_material.STORES[view])


TABLE = (
    # --- not run
    Otherwise(r"pip install -r .*", "the network: the file named is read by the test below"),
    Otherwise(r"bash test\.sh.*", "this very suite"),
    Otherwise(r"bash demo\.sh$", "installs; test_readme.py runs it where nothing is to install"),
    Otherwise(r"ray start .*", "wants a cluster: test_preprocess_ray_cluster.py has one"),
    Otherwise(r"python main_preprocess\.py run SHHS .* --ray auto", "a Ray cluster, as above"),
    Otherwise(r"python main_preprocess\.py get .*", "the network: its flags are parsed"),
    Otherwise(r"read -rs NSRR_TOKEN .*(\n.*)*", "a token and the network: the flags are parsed"),
    # --- run otherwise
    Otherwise(
        r"mkdir -p logs\n(RUN=\S+) (sbatch train\.slurm .*)",
        "a scheduler and GPUs: `sbatch` runs the script of the page here, two steps",
        r"mkdir -p logs; \1 \2 --dry-run",
        ("data/psg9/Simulated",),
        swap=(("/shared/", "shared/"),),
    ),
    Otherwise(
        r"mkdir -p logs\nexport DATASET(.*\n?)*",
        "a scheduler: `sbatch` runs the script of the page here",
        "{}",
        ("shared/raw/shhs",),
        swap=(("/shared/", "shared/"),),
    ),
    Otherwise(
        r"(python (?:main_preprocess\.py run (?:HMC|MASS)|-m preprocess\.hmc) .*?)( --out data)?",
        "nights of minutes, not all with an ECG: kept apart from those that are trained on",
        r"\1 --out data-in-miniature --skip-errors",
    ),
    Otherwise(
        r"bash demo\.sh my_night\.edf",
        "installs first: the command that it ends with",
        "python main_stage_slm.py my_night.edf --out runs/demo",
    ),
    Otherwise(
        r"python main_weights\.py get (lpsgm-block4|wav2sleep)",
        "the network, or a shared drive",
        "{} --dry-run",
    ),
    Otherwise(
        r"(python main_stage_slm\.py night\.edf) --channel C4=EEG2-A1",
        "a label of somebody's file: one of this file",
        r"\1 --channel C4=C3-M2 --force",
    ),
    Otherwise(
        r"python main_stage_slm\.py folder_of_nights --strict",
        "quarter hours are distrusted, as the flag wants it told",
        "{} --out runs/strict",
        status=1,
    ),
    Otherwise(
        r"(python main_stage_slm\.py night\.edf --events) runs/.*",
        "weights of a quarter of an hour of training: those that ship",
        r"\1 apnea-small-simulated --out runs/stage-$RANDOM",
    ),
    Otherwise(
        r"python main_stage_slm\.py night\.edf( .*)?",
        "each keeps its own results: a rerun would skip the night",
        "{} --out runs/stage-$RANDOM",
    ),
    Otherwise(
        r"bash train\.sh simulated( && bash train\.sh trial-lpsgm)?",
        "a minute: six people instead of sixteen, 24 minutes each; two steps",
        f"NIGHTS={doc_material.N_PERSONS} HOURS={doc_material.HOURS} bash train.sh simulated"
        " && bash train.sh trial-lpsgm --dry-run --out runs/trial-$RANDOM",
    ),
    Otherwise(
        r"bash train\.sh simulated-heart",
        "a minute: six people of each laboratory instead of 30",
        f"NIGHTS={doc_material.N_PERSONS} HOURS={doc_material.HOURS} {{}}",
    ),
    Otherwise(
        r"bash train\.sh (language|whole-night|lag2)",
        "minutes: one source, one pass",
        "OUT=runs/language-$RANDOM {} --dry-run",
    ),
    Otherwise(
        r"bash train\.sh (lpsgm|lpsgm-variants)",
        f"{STAND_INS}; {DAYS}",
        "OUT=runs/recipe-$RANDOM {} --dry-run",
        stores("psg9"),
    ),
    Otherwise(
        r"bash train\.sh trial-wav2sleep",
        "five minutes: two steps",
        "{} --dry-run --out runs/heart-$RANDOM",
        ("data/cr/Simulated",),
    ),
    Otherwise(
        r"bash train\.sh (seqsleepnet|e2e-arnn|trial-seqsleepnet)",
        f"{STAND_INS}; {DAYS}",
        "SPLIT=trial OUT=runs/recipe-$RANDOM {} --dry-run",
        ("data/seq3/MASS", "data/seq3/Simulated", "data/seq3/splits/trial.json"),
    ),
    Otherwise(
        r"bash train\.sh tinysleepnet",
        f"{DAYS}; the simulated nights have no Fpz-Cz",
        "OUT=runs/recipe-$RANDOM {} --dry-run --channels C4",
        ("data/bb100/SleepEDF", "data/bb100/splits/sleepedf20.json"),
    ),
    Otherwise(
        r"bash finetune\.sh lpsgm",
        f"{STAND_INS}; {DAYS}",
        "INIT=runs/lpsgm/best.safetensors OUT=runs/tuned-$RANDOM {} --dry-run",
        ("data/psg9/HANG7", "runs/lpsgm/best.safetensors"),
    ),
    Otherwise(
        r"bash finetune\.sh seqsleepnet",
        DAYS,
        "OUT=runs/tuned-$RANDOM {} --dry-run",
        ("data/seq3/SleepEDF",),
    ),
    Otherwise(
        r"((?:python|torchrun .*) main_(?:train|finetune)\.py (?!.*(?:tutorial|band-power)).*?)"
        r"( --out \S+)?( --accumulate 1)?( --resume)?",
        f"{STAND_INS}; {DAYS}; one process for torchrun, since tests/learning/ proves several",
        r"\1\3 --dry-run --out runs/train-$RANDOM",
        ("data/seq3/splits/trial.json",),
        swap=(
            ("--node-rank NUMBER", "--node-rank 0"),
            ("--split mass20", "--split trial"),
            ("--find-batch", "--find-batch --memory-mb 4000"),  # wanted where there is no GPU
        ),
    ),
    Otherwise(
        r"bash diagnose\.sh (mnc|open)",
        f"{STAND_INS}; hours: two folds, one pass",
        "OUT=runs/diagnose-$RANDOM BACKBONE=runs/lpsgm/best.safetensors {} --dry-run",
        ("data/psg9/MNC", "runs/lpsgm/best.safetensors"),
    ),
    Otherwise(
        r"python main_diagnose_cv\.py --question .*",
        "minutes: two folds, one pass",
        "{} --dry-run --out runs/diagnose-$RANDOM",
    ),
    Otherwise(
        r"python main_diagnose_cv\.py --labels .*",
        "minutes: two folds, one pass",
        "{} --dry-run",
    ),
    Otherwise(
        r"bash pretrain\.sh simulated && bash pretrain\.sh trial",
        "minutes: 24 minutes each, two steps, in folders without other laboratories",
        "export RAW=raw-own STORE=data-own OUT=runs/own-$RANDOM N=12 HOURS=0.4; "
        "bash pretrain.sh simulated && bash pretrain.sh trial --dry-run",
    ),
    Otherwise(
        r"N=36 bash pretrain\.sh simulated && bash pretrain\.sh respiration",
        "a quarter of an hour: twelve people, 24 minutes each, two steps",
        "export RAW=raw-own STORE=data-own OUT=runs/own-$RANDOM N=12 HOURS=0.4; "
        "bash pretrain.sh simulated && bash pretrain.sh respiration --dry-run",
    ),
    Otherwise(
        r"bash pretrain\.sh (unimodal|multimodal|probe)",
        f"{STAND_INS}; {DAYS}; the networks of 72 million weights would take minutes even so: "
        "`trial` goes through the same programs, tests/scripts/test_main_pretrain.py too",
    ),
    Otherwise(
        r"(python main_evaluate\.py scorers \.\./shared/data/real/dod/dod\.npz) --predictions .*",
        "the reader's stager on the 50 nights: one that says what the first scorer says",
        r"\1 --predictions ours-on-dod.npz",
        ("ours-on-dod.npz",),
    ),
    Otherwise(
        r"python -m benchmarks\.train",
        "an hour: one stager, once",
        "{} --stagers tinysleepnet-cnn --repeat 1",
    ),
    Otherwise(
        r"python -m benchmarks\.stagers_on_simulated .*",
        "a quarter of an hour: one stager for a second",
        "{} --stagers tinysleepnet-cnn --cpu-seconds 1 --out runs/stagers",
        ("data/psg9/Simulated", "data/seq3/Simulated", "data/bb100/Simulated", "data/cr/Simulated"),
    ),
    Otherwise(
        r"python -m benchmarks\.slpdb_staging .*",
        "ten minutes; tests/scripts/test_cardiostage_main_train.py runs its pieces",
    ),
    Otherwise(
        r"python -m staging\.streaming .*",
        "waits for a file that grows: the first ten minutes of what is there",
        "{} --dry-run",
    ),
    Otherwise(
        r"python app\.py",
        "serves until it is stopped, on a port that may be taken",
        "{} --dry-run --port 0",
    ),
    Otherwise(
        r"python main_explain\.py night\.edf .*",
        "a minute each: two epochs of ten minutes",
        "{} --dry-run --out runs/explain-$RANDOM",
        swap=(("120 200-210", "12 15-16"),),
    ),
    Otherwise(
        r"bash reproduce\.sh seqsleepnet mass --print",
        "prints what it would run: as it stands, with folders that are free",
        "RAW=raw-none STORE=none {}",
    ),
)


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


def rule_of(command: str) -> Otherwise | None:
    """Return the line of the table that speaks of a command."""
    return next((rule for rule in TABLE if re.fullmatch(rule.told, command)), None)


def typed_for(command: str) -> str:
    """Return what is typed for a command; nothing where it cannot run."""
    rule = rule_of(command)
    if rule is None:
        return command
    found = re.fullmatch(rule.told, command)
    typed = found.expand(rule.typed).replace("{}", command) if found else ""
    for old, new in rule.swap:
        typed = typed.replace(old, new)
    return typed


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
    words = [sys.executable, warm_python.__file__, "serve", socket, *(["yasa"] if stages else [])]
    server = subprocess.Popen(words, cwd=root, env=environment)
    try:
        for _ in range(1200):
            if Path(socket).exists() or server.poll() is not None:
                break
            time.sleep(0.1)
        yield Workplace(root, environment)
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
