r"""Raw data sets become nights: the facts of each, and what is the same for all.

How to add a data set: write one file here, `preprocess/<name>.py`, with a docstring (files,
quirks), the facts `SPEC = DatasetSpec(...)` and `recordings(raw_dir)`, which yields a `RawNight`
for each night it finds. Nothing else is edited: a module that assigns `SPEC` is found by its file::

    SPEC = DatasetSpec(
        name="HMC",                              # folder in the store; `hmc-` begins every person
        title="Haaglanden Medisch Centrum sleep staging database",
        source=Source("physionet", ...),         # where it is, its licence, what to apply for
        channels={"C4": ["EEG C4-M1", ("C4", "M1")], ...},   # label, or plus and minus; best first
        scoring=ScoringFormat("hmc_txt"),        # options of `recordings.scoring.read_scoring`
    )

    def recordings(raw_dir: Path) -> Iterator[RawNight]:
        for path, ids in find(raw_dir, "recordings/SN*.edf", r"(?P<night>SN\d{3})"):
            yield RawNight(ids["night"], person=ids["night"], signals=path, scoring=...)

    if __name__ == "__main__":
        raise SystemExit(run_alone(Dataset(SPEC, recordings)))

`recordings` reads names and small tables only (persons, families, diagnoses: `read_rows`); it opens
no signal. Nights that are known to be bad, cohorts with other channels, several scorers: every kind
of fact has a field in `preprocess/dataset.py`. A miniature of the raw folder in
`tests/makers/raw_<name>.py` puts the data set under the contract tests.
One's own folder needs no Python: `main_preprocess.py init FOLDER` writes its description.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preprocess.dataset import Dataset

_ASSIGNS_SPEC = re.compile(r"^SPEC\b.*=", re.MULTILINE)


@cache
def names() -> tuple[str, ...]:
    """Return the module name of every data set, sorted: the files here that assign `SPEC`."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return tuple(f.stem for f in files if _ASSIGNS_SPEC.search(f.read_text(encoding="utf-8")))


def find_dataset(name: str) -> Dataset:
    """Return a data set by the name of its module or store folder, or a described folder.

    Parameters
    ----------
    name : str
        Case, `-` and `_` do not count (`DOD-H` is `dod_h`). The path of a description that
        `main_preprocess.py init` wrote (`.toml`) is a name too.

    Raises
    ------
    ValueError
        If there is no such data set, or the description is wrong.
    """
    from preprocess.dataset import Dataset

    if name.endswith(".toml"):
        from preprocess.custom import described

        return described(Path(name))
    wanted = re.sub(r"[-_]", "", name).lower()
    # The file of that name first: others are opened only for a store folder of another name (ABC)
    for known in sorted(names(), key=lambda known: known.replace("_", "") != wanted):
        module = import_module(f"preprocess.{known}")
        if wanted in (known.replace("_", ""), module.SPEC.prefix):
            return Dataset(module.SPEC, module.recordings)
    raise ValueError(f"no data set {name!r}; there are {', '.join(names())}")
