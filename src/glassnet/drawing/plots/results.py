"""Plots of what a trained network does: confusion, calibration, residuals, first-layer weights, decision regions."""

from __future__ import annotations

import math

import numpy as np

from glassnet.drawing import canvas
from glassnet.drawing.canvas import Figure, Theme, say
from glassnet.drawing.plots.series import RUNS, plain_legend
from glassnet.errors import require
from glassnet.inspection.measures import Calibration, Confusion, Filters, Regions, Residuals

MOST_NAMES = 30  # classes that get a name on an axis


def draw_confusion(found: Confusion, theme: Theme) -> Figure:
    """A square for each true and predicted class; colours are shares of the true class's rows."""
    counts = np.array(found.counts)
    size = min(max(3.2, 0.42 * len(counts) + 1.6), 9.0)
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(size + 1.3, size), layout="constrained")
    axes = figure.add_subplot()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(share, cmap=_shades(theme), vmin=0, vmax=1)
    if len(counts) <= 20:
        for (i, j), n in np.ndenumerate(counts):
            if n:
                ink = canvas.ink_on(image.cmap(image.norm(share[i, j])))
                axes.text(j, i, str(n), ha="center", va="center", fontsize=7.5 if n < 1000 else 6, color=ink)
    if len(counts) <= MOST_NAMES:
        names = [canvas.shortened(name, 12) for name in found.names]
        turned = max(map(len, names)) > 3
        axes.set_xticks(range(len(names)), names, fontsize=8, rotation=90 if turned else 0, parse_math=False)
        axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    axes.set_xlabel(say("predicted"), fontsize=9)
    axes.set_ylabel(say("true"), fontsize=9)
    axes.set_title(say("accuracy {accuracy:.4f}", accuracy=found.accuracy), fontsize=9)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label(say("share of the true class"), fontsize=8)
    bar.ax.tick_params(labelsize=7.5)
    return figure


def draw_calibration(found: Calibration, theme: Theme) -> Figure:
    """Accuracy over confidence, and how many rows there are in each bin."""
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(4.2, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color=theme.faint, linestyle="--", linewidth=1)
    full = [k for k, n in enumerate(found.counts) if n]
    points = [[values[k] for k in full] for values in (found.confidence, found.accuracy)]
    upper.plot(*points, color=theme.negative, linewidth=0.8, alpha=0.6)
    sizes = [10 + 70 * found.counts[k] / max(found.counts) for k in full]  # few rows say little
    upper.scatter(*points, s=sizes, color=theme.negative, linewidths=0, zorder=3)
    upper.set_title(say("expected calibration error {ece:.4f}", ece=found.ece), fontsize=9)
    upper.set_ylabel(say("accuracy"), fontsize=9)
    width = found.edges[1] - found.edges[0]
    lower.bar(found.edges[:-1], found.counts, width=0.92 * width, align="edge", color=theme.negative)
    lower.set_ylabel(say("rows"), fontsize=9)
    lower.set_xlabel(say("confidence: the largest probability"), fontsize=9)
    for axes in (upper, lower):
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    lower.yaxis.set_major_locator(require("matplotlib.ticker", extra="plot").MaxNLocator(nbins=3, integer=True))
    return figure


def draw_residuals(found: list[Residuals], theme: Theme) -> Figure:
    """Predicted over true, and what is left over, for each output (at most four)."""
    count, found = len(found), found[:4]
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(7.6, 3.3 * len(found)), layout="constrained")
    if count > len(found):
        figure.supxlabel(say("{shown} of {count} outputs", shown=len(found), count=count), fontsize=8)
    for (left, right), one in zip(figure.subplots(len(found), 2, squeeze=False), found, strict=True):
        true, predicted = np.array(one.true), np.array(one.predicted)
        looks = {"color": theme.negative, "alpha": max(0.15, min(0.8, 150 / len(true))), "s": 9, "linewidths": 0}
        ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
        left.plot(ends, ends, color=theme.faint, linestyle="--", linewidth=1)
        left.scatter(true, predicted, **looks)
        left.set_xlabel(say("true"), fontsize=9)
        left.set_ylabel(say("predicted"), fontsize=9)
        left.set_title(
            f"{canvas.shortened(one.name, 24)}: RMSE {one.rmse:,.4g}, R² {one.r2:.3f}", fontsize=9, parse_math=False
        )
        right.axhline(0, color=theme.faint, linestyle="--", linewidth=1)
        right.scatter(predicted, true - predicted, **looks)
        right.set_xlabel(say("predicted"), fontsize=9)
        right.set_ylabel(say("true − predicted"), fontsize=9)
        for axes in (left, right):
            axes.tick_params(labelsize=8)
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(require("matplotlib.ticker", extra="plot").MaxNLocator(nbins=5))
    return figure


def draw_filters(found: Filters, theme: Theme) -> Figure:
    """A tile for each unit: blue weights speak against it, orange ones for it."""
    count = len(found.units)
    columns = min(8, math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    weights = found.weights
    if weights.ndim == 4:  # channels: their mean is what grey light would feel
        weights = weights.mean(axis=3 if weights.shape[3] <= 4 else 1)
    height, width = weights.shape[1:]
    across, down = width + math.ceil(width / 10), height + math.ceil(height / 3)  # with room for a number
    size = 0.95 * columns / max(1.0, down / across * rows / 9)
    figure = require("matplotlib.figure", extra="plot").Figure(
        figsize=(size + 1.3, size * down * rows / (across * columns) + 0.9), layout="constrained"
    )
    axes = figure.add_subplot()
    mapping = canvas.scale(theme, float(np.quantile(np.abs(weights), 0.995)) or 1.0)
    tiles = np.full((rows * down, columns * across), np.nan)
    for k, (unit, image) in enumerate(zip(found.units, weights, strict=True)):
        left, top = k % columns * across, k // columns * down + down - height
        tiles[top : top + height, left : left + width] = image
        axes.text(left + width / 2, top - 0.03 * height, str(unit), fontsize=7, ha="center", va="bottom")
    extent = (0, columns * across, rows * down, 0)
    axes.imshow(tiles, cmap=mapping.cmap, norm=mapping.norm, extent=extent, interpolation="nearest")
    axes.set_axis_off()
    bar = figure.colorbar(mapping, ax=axes, shrink=0.7, fraction=0.05)
    bar.ax.tick_params(labelsize=7)
    if found.of > count:
        figure.supxlabel(say("the {count} units of {of} with the largest norms", count=count, of=found.of), fontsize=8)
    return figure


def draw_regions(found: Regions, theme: Theme) -> Figure:
    """The plane of two features in the colours of what the network says, with the rows on it."""
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(5.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    colours = require("matplotlib.colors", extra="plot")
    extent = (found.first[0], found.first[-1], found.second[0], found.second[-1])
    if found.classes:
        paper = np.array(colours.to_rgb(theme.paper))
        own = _class_colours(len(found.classes))
        floor = 1 / len(found.classes)
        sure = np.clip((found.surest - floor) / (1 - floor), 0, 1)[..., None]
        image = paper + (own[found.values] - paper) * (0.15 + 0.5 * sure)
        axes.imshow(image, origin="lower", extent=extent, aspect="auto", interpolation="bilinear")
        points = []
        for k in range(len(found.classes)):
            looks = {"color": own[k], "marker": _POINTS[k % len(_POINTS)], "edgecolors": theme.ink}
            points.append(axes.scatter(*found.rows[found.labels == k].T, **looks, linewidths=0.4, s=14))
        names = [canvas.shortened(name, 16) for name in found.classes]
        if len(names) <= MOST_NAMES:
            columns = -(-len(names) // 15)
            plain_legend(axes, points, names, loc="upper left", bbox_to_anchor=(1.01, 1), ncols=columns)
    else:
        image = axes.imshow(found.values, origin="lower", extent=extent, aspect="auto", cmap="cividis")
        if np.ptp(found.values) > 0:
            axes.contour(found.first, found.second, found.values, 8, colors="#ffffff", linewidths=0.7, alpha=0.6)
        axes.scatter(
            *found.rows.T, c=found.labels, cmap="cividis", norm=image.norm, edgecolors=theme.ink, linewidths=0.4, s=14
        )
        bar = figure.colorbar(image, ax=axes)
        bar.ax.tick_params(labelsize=8)
    axes.set_xlabel(canvas.shortened(found.names[0], 30), fontsize=9, parse_math=False)
    axes.set_ylabel(canvas.shortened(found.names[1], 30), fontsize=9, parse_math=False)
    axes.tick_params(labelsize=8)
    return figure


_POINTS = ("o", "s", "^", "D", "v")


def _class_colours(count: int) -> np.ndarray:
    """(K, 3), those of runs if there are enough, else as many as tab20 has, and again."""
    pyplot = require("matplotlib", extra="plot")
    if count <= len(RUNS):
        return np.array([pyplot.colors.to_rgb(colour) for colour in RUNS[:count]])
    return np.array([pyplot.colormaps["tab20"].colors[k % 20] for k in range(count)])


def _shades(theme: Theme) -> object:
    """From the paper to a strong colour."""
    colours = require("matplotlib.colors", extra="plot")
    return colours.LinearSegmentedColormap.from_list("shades", [theme.paper, theme.negative])
