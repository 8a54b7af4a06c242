"""The usual layout of the cohorts of sleepdata.org (NSRR): recordings here, two XML scorings there.

    polysomnography/edfs/<visit>/<night>.edf
    polysomnography/annotations-events-profusion/<visit>/<night>-profusion.xml   stages, events
    polysomnography/annotations-events-nsrr/<visit>/<night>-nsrr.xml             both, harmonised

Stages are taken from Profusion, one code per epoch from second 0; events from the harmonised file,
where they have one name in all cohorts. Where one of the two is missing the other serves for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import RawNight, Source, find, first_file

XML_LAYOUT = ("polysomnography/edfs/*", "polysomnography/annotations-events-*/*")


def sleepdata_source(name: str, *, terms: str = "", files: tuple[str, ...] = XML_LAYOUT) -> Source:
    """Return the source of a cohort; `terms` is what its agreement adds, such as non-commercial."""
    return Source(
        "nsrr",
        page=f"https://sleepdata.org/datasets/{name}",
        licence=", ".join(filter(None, ("NSRR data access and use agreement", terms))),
        name=name,
        files=files,
        apply="a data request on sleepdata.org, with the signed agreement",
    )


def xml_nights(raw_dir: Path, pattern: str, name: str) -> Iterator[RawNight]:
    """Yield the nights of a cohort in the usual layout, sorted by path.

    Parameters
    ----------
    raw_dir : Path
        Where the data set was unpacked.
    pattern : str
        Glob pattern of the recordings below `polysomnography/edfs`.
    name : str
        Regular expression for the end of a recording's path without `.edf`; its groups are
        `person` and, where there are several nights of one, `visit`.
    """
    polysomnography = raw_dir / "polysomnography"
    edfs = polysomnography / "edfs"
    for path, ids in find(raw_dir, f"polysomnography/edfs/{pattern}", name):
        below = path.relative_to(edfs).with_suffix("")
        profusion, nsrr = (
            polysomnography / f"annotations-events-{kind}" / f"{below}-{kind}.xml"
            for kind in ("profusion", "nsrr")
        )
        yield RawNight(
            night=path.stem,
            person=ids["person"],
            signals=path,
            scoring=first_file(profusion, nsrr),
            events=first_file(nsrr, profusion),
            visit=ids.groupdict().get("visit", ""),
        )
