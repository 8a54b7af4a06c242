"""Embedded epochs in the plane, coloured by stage: do neighbours sleep alike?"""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from evaluation.plots.style import COLOURS, FAINT
from nights.stages import STAGES, UNSCORED

Method = Literal["pca", "tsne"]
AT_MOST = {"pca": 20_000, "tsne": 4_000}  # epochs: more hide each other, and t-SNE takes minutes
AXES = {"pca": "principal component", "tsne": "t-SNE"}


def projected(
    features: np.ndarray, method: Method, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Project embeddings to the plane.

    Parameters
    ----------
    features : float array (E, D)
        Rows of zeros (nothing recorded) are left out.
    method : str
        `pca`, linear and the same for everybody; `tsne` (after 50 principal components) shows
        neighbourhoods, but no distances between groups.
    rng : numpy.random.Generator
        Chooses the epochs, where there are more than can be seen, and begins t-SNE.

    Returns
    -------
    float array (n, 2)
        Points.
    int array (n,)
        Which epochs they are, in ascending order.

    Raises
    ------
    ValueError
        If fewer than three epochs are embedded.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    kept = np.flatnonzero(features.any(axis=1))
    if len(kept) < 3:
        raise ValueError(f"{len(kept)} embedded epochs are too few for a picture")
    if len(kept) > AT_MOST[method]:
        kept = np.sort(rng.choice(kept, AT_MOST[method], replace=False))
    rows = features[kept]
    spread = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1)
    if method == "pca":
        return PCA(2, random_state=0).fit_transform(rows), kept
    rows = PCA(min(50, *rows.shape), random_state=0).fit_transform(rows)
    perplexity = min(30.0, (len(rows) - 1) / 3)
    seed = int(rng.integers(2**31))
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(rows), kept


def embedding_figure(
    points: np.ndarray, stages: np.ndarray, *, title: str, method: Method
) -> Figure:
    """Draw points (n, 2), coloured by the stages (n,) of their epochs; grey where nobody scored."""
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.subplots()
    groups = [(UNSCORED, "unscored", FAINT)]
    groups += [(code, name, COLOURS[name]) for code, name in enumerate(STAGES)]
    for code, name, colour in groups:
        own = points[stages == code]
        if len(own):
            label = f"{name} ({len(own)})"
            axes.scatter(
                own[:, 0], own[:, 1], s=5, alpha=0.6, color=colour, label=label, linewidths=0
            )
    axes.set_xlabel(f"{AXES[method]} 1")
    axes.set_ylabel(f"{AXES[method]} 2")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=9)
    legend = axes.legend(frameon=False, fontsize=8, markerscale=2.5, loc="best")
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
    return figure
