"""A folder of staged nights on one page: alarms first, refusals, distributions, every night."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from evaluation.alarm import SEVERITIES
from evaluation.metrics import metrics_from
from evaluation.page import render_page, svg_address
from evaluation.plots import encode
from evaluation.plots.cohort import spread_figure
from evaluation.statistics import DEFINITIONS
from nights.atomic import write_text
from nights.outcome import Refusal

PAGE = "cohort.html"
# Statistic -> words above its column and its panel; those of four-class stagers stand in
COLUMNS = {
    "tst_min": "Sleep, min",
    "se_percent": "Efficiency, %",
    "sol_min": "Onset, min",
    "waso_min": "WASO, min",
    "rem_latency_min": "REM latency, min",
    "n1_percent": "N1, %",
    "n2_percent": "N2, %",
    "n3_percent": "N3, %",
    "light_percent": "Light, %",
    "deep_percent": "Deep, %",
    "rem_percent": "REM, %",
}
FEWEST_TO_SPREAD = 3  # nights; fewer are read in the table
# Sorts a table by the column whose button is pressed; the page is whole without it.
SCRIPT = """
document.querySelectorAll("table.sortable").forEach(table => {
  const value = (row, place) => {
    const cell = row.cells[place], given = cell.dataset.value;
    return given === undefined ? cell.textContent.trim().toLowerCase() : Number(given);
  };
  const missing = x => typeof x === "number" && Number.isNaN(x);
  table.querySelectorAll("thead th").forEach((head, place) => {
    head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("thead th").forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((one, two) => {
        const a = value(one, place), b = value(two, place);
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        return (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
      });
      table.tBodies[0].append(...rows);
    });
  });
});
"""


@dataclass(frozen=True)
class Cohort:
    """The nights of one run.

    Parameters
    ----------
    name : str
        Of the folder.
    nights : sequence of mapping
        What `night.json` holds of each: `night`, `statistics`, `alarms`, `agreement`, `stager`,
        `correction`, `simulated`.
    refusals : sequence of Refusal
        Recordings without a result.
    links : mapping of str to str
        Where the report of a night lies, from the page: {night: relative path}.
    """

    name: str
    nights: Sequence[Mapping[str, Any]]
    refusals: Sequence[Refusal] = ()
    links: Mapping[str, str] | None = None


def write_cohort(cohort: Cohort, path: Path) -> None:
    """Write the page as one HTML file, whole or not at all."""
    write_text(path, render(cohort))


def render(cohort: Cohort) -> str:
    """Return the page as text; it needs no other file, only its links lead to the reports."""
    rows = sorted((_row(cohort, facts) for facts in cohort.nights), key=lambda row: row["night"])
    rows.sort(key=lambda row: -row["gravity"])
    known = {name for facts in cohort.nights for name in facts["statistics"]}
    columns = {name: words for name, words in COLUMNS.items() if name in known}
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    simulated = sum(bool(facts["simulated"]) for facts in cohort.nights)
    return render_page(
        "cohort.html.j2",
        cohort=cohort,
        script=SCRIPT,
        script_hash=f"sha256-{digest}",
        columns=columns,
        definitions=DEFINITIONS,
        rows=rows,
        alarmed=[row for row in rows if row["gravity"] > 0],
        spread=_spread(cohort, columns),
        agreement=_pooled(cohort.nights),
        judged=any(math.isfinite(row["kappa"]) for row in rows),
        stagers=sorted({str(facts["stager"].get("stager", "")) for facts in cohort.nights}),
        simulated=simulated,
    )


def _row(cohort: Cohort, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page tells of one night."""
    night, alarms = facts["night"], facts["alarms"]
    levels = [SEVERITIES.index(alarm["severity"]) for alarm in alarms]
    worst = max(levels, default=-1)
    link = (cohort.links or {}).get(night, f"{night}/report.html")
    statistics = {name: _number(value) for name, value in facts["statistics"].items()}
    judged = (facts["agreement"] or {}).get("result", {})
    return {
        "night": night,
        "link": quote(link),
        "gravity": max(worst, 0) if levels else -1,
        "severity": SEVERITIES[worst] if levels else "",
        "alarms": [alarm for alarm in alarms if alarm["severity"] != SEVERITIES[0]],
        "n_alarms": len(alarms),
        "hours": facts["n_epochs"] / 120,
        "statistics": statistics,
        "kappa": _number(judged.get("kappa")),
    }


def _number(value: Any) -> float:
    """Return a number as JSON holds it; null is NaN."""
    return math.nan if value is None else float(value)


def _spread(cohort: Cohort, columns: Mapping[str, str]) -> str:
    """Return the figure of the distributions, nothing for a handful of nights."""
    if len(cohort.nights) < FEWEST_TO_SPREAD:
        return ""
    values = {
        words: np.array([_number(facts["statistics"].get(name)) for facts in cohort.nights])
        for name, words in columns.items()
    }
    return svg_address(encode(spread_figure(values), "svg"))


def _pooled(nights: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, dict[str, Any]]]:
    """Return (which, nights, metrics) of all scored nights, epochs pooled, by number of stages."""
    sums: dict[tuple[str, int], list[np.ndarray]] = {}
    for facts in nights:
        for which, found in (facts["agreement"] or {}).items():
            counts = np.array(found["confusion"])
            sums.setdefault((which, len(counts)), []).append(counts)
    return [
        (which, len(found), metrics_from(np.sum(found, axis=0)))
        for (which, _), found in sorted(sums.items(), reverse=True)
    ]
