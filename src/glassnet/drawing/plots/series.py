"""Plots over the epochs: curves, norms, distributions, health, the learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.drawing import canvas
from glassnet.drawing.canvas import Axes, Figure, Theme, say
from glassnet.errors import require
from glassnet.training import History, Snapshot

RUNS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
"""Colours of runs, from the palette of Okabe and Ito 2008."""
MOST_LAYERS = 6  # that get a panel or a line of their own
USUAL = (1e-4, 1e-2)  # of ‖ΔW‖ / ‖W‖

Named = Sequence[tuple[str, Any]]
"""Data of runs, with the runs' names."""


# Curves


@dataclass(frozen=True)
class Curves:
    """Loss and metric of every epoch.

    Attributes
    ----------
    epochs : list of int
    loss, metric, val_loss, val_metric : list of float
        The last two are empty without a validation set.
    metric_name : str
        "accuracy" or "r2".
    best_epoch : int or None
    criterion : str
        Of early stopping, where it ended training.
    """

    epochs: list[int]
    loss: list[float]
    metric: list[float]
    val_loss: list[float]
    val_metric: list[float]
    metric_name: str
    best_epoch: int | None
    criterion: str


def curves(history: History, criterion: Any = None) -> Curves:
    """Those of a history."""
    name = "accuracy" if history["accuracy"] else "r2"
    stopped = history.stop_code == "early_stopping"
    return Curves(
        history["epoch"],
        history["loss"],
        history[name],
        history["val_loss"],
        history[f"val_{name}"],
        name,
        history.best_epoch,
        str(criterion) if stopped and criterion not in (None, "none") else "",
    )


def draw_curves(named: Named, theme: Theme) -> Figure:
    """Loss and metric side by side."""
    figure, panels = _panels(1, 2, width=4.5, height=3.4)
    metrics = {run.metric_name for _, run in named}
    metric = say("accuracy") if metrics == {"accuracy"} else "R²" if metrics == {"r2"} else say("accuracy or R²")
    for axes, key, title in zip(panels[0], ("loss", "metric"), (say("loss"), metric), strict=True):
        lowest = np.inf
        for k, (name, run) in enumerate(named):
            train, held = getattr(run, key), getattr(run, f"val_{key}")
            lowest = min([lowest, *train, *held])
            marker = "o" if len(run.epochs) == 1 else None  # a line of one point cannot be seen
            if len(named) == 1:
                axes.plot(run.epochs, train, marker=marker, color=theme.negative, label=say("training"))
                if held:
                    axes.plot(run.epochs, held, marker=marker, color=theme.positive, label=say("validation"))
                _mark(axes, run, theme)
            else:
                colour = RUNS[k % len(RUNS)]
                axes.plot(
                    run.epochs,
                    train,
                    marker=marker,
                    color=colour,
                    linestyle=":" if held else "-",
                    label=None if held else name,
                )
                if held:
                    axes.plot(run.epochs, held, marker=marker, color=colour, label=name)
                if run.best_epoch is not None:
                    at = run.epochs.index(run.best_epoch)
                    axes.plot(run.best_epoch, (held or train)[at], marker="o", color=colour, markersize=5)
        if key == "loss" and lowest > 0:
            axes.set_yscale("log")
            _few_labels(axes)
        _over_epochs(axes, title)
    panels[0][0].legend(fontsize=8)
    if len(named) > 1:
        figure.supxlabel(say("solid: validation; dotted: training; dot: the epoch that was kept"), fontsize=8)
    return figure


def _mark(axes: Axes, run: Curves, theme: Theme) -> None:
    """The epoch that was kept, and where and by what training was stopped."""
    if run.best_epoch is not None:
        label = say("best epoch ({epoch})", epoch=run.best_epoch)
        axes.axvline(run.best_epoch, color=theme.faint, linestyle="--", linewidth=1, label=label)
    if run.criterion:
        label = say("stopped by {criterion} ({epoch})", criterion=run.criterion, epoch=run.epochs[-1])
        axes.axvline(run.epochs[-1], color=theme.ink, linestyle=":", linewidth=1, label=label)


# The learning rate


@dataclass(frozen=True)
class LearningRate:
    """η of each epoch's last step."""

    epochs: list[int]
    lr: list[float]


def learning_rate(history: History) -> LearningRate:
    """That of a history."""
    return LearningRate(history["epoch"], history["lr"])


def draw_learning_rate(named: Named, theme: Theme) -> Figure:
    """η over the epochs."""
    figure, panels = _panels(1, 1, width=5.5, height=3.0)
    axes = panels[0][0]
    for k, (name, run) in enumerate(named):
        marker = "o" if len(run.epochs) == 1 else None
        axes.plot(run.epochs, run.lr, drawstyle="steps-mid", marker=marker, color=RUNS[k % len(RUNS)], label=name)
    values = [value for _, run in named for value in run.lr]
    if min(values) > 0 and max(values) > 3 * min(values):
        axes.set_yscale("log")
        _few_labels(axes)
    _over_epochs(axes, say("learning rate"))
    if len(named) > 1:
        axes.legend(fontsize=8)
    return figure


# Norms


@dataclass(frozen=True)
class Norms:
    """Norms of each layer over the epochs.

    Attributes
    ----------
    epochs : list of int
    delta, gradient, update : list of list of float
        By layer, then by epoch: ‖δ‖ of all traced rows, each row's own; ‖∂C/∂θ‖; ‖ΔW‖ of the next step.
    """

    epochs: list[int]
    delta: list[list[float]]
    gradient: list[list[float]]
    update: list[list[float]]


def norms(snapshots: Sequence[Snapshot]) -> Norms:
    """Those of a run's snapshots."""
    layers = range(1, len(snapshots[0].layers) + 1)
    return Norms(
        [s.epoch for s in snapshots],
        [[s.layer(l).delta.norm for s in snapshots] for l in layers],
        [[s.layer(l).gradient_norm for s in snapshots] for l in layers],
        [[s.layer(l).update_norm for s in snapshots] for l in layers],
    )


def draw_norms(named: Named, theme: Theme) -> Figure:
    """δ, gradient and update: a line for each layer; of several runs a panel for each layer."""
    quantities = (("delta", "‖δ‖"), ("gradient", "‖∂C/∂θ‖"), ("update", "‖ΔW‖"))
    if len(named) == 1:
        figure, panels = _panels(1, 3, width=3.4, height=3.2)
        run = named[0][1]
        shown = _folded(len(run.delta))
        for axes, (key, title) in zip(panels[0], quantities, strict=True):
            for l, colour in zip(shown, _depths(len(shown), theme), strict=True):
                _log_line(axes, run.epochs, getattr(run, key)[l], color=colour, label=say("layer {layer}", layer=l + 1))
            _over_epochs(axes, title)
        panels[0][0].legend(fontsize=7.5)
        return figure
    depth = max(len(run.delta) for _, run in named)
    shown = _folded(depth)
    figure, panels = _panels(3, len(shown), width=2.6, height=2.1)
    for r, (row, (key, title)) in enumerate(zip(panels, quantities, strict=True)):
        for axes, l in zip(row, shown, strict=True):
            for k, (name, run) in enumerate(named):
                if l < len(run.delta):
                    _log_line(axes, run.epochs, getattr(run, key)[l], color=RUNS[k % len(RUNS)], label=name)
            _over_epochs(axes, title if l == shown[0] else "", last=r == len(panels) - 1)
            if r == 0:
                axes.set_title(say("layer {layer}", layer=l + 1), fontsize=9)
    panels[0][0].legend(fontsize=7.5)
    return figure


# Distributions


@dataclass(frozen=True)
class Distributions:
    """Quantiles of each layer's z, a, δ and W over the epochs.

    Attributes
    ----------
    epochs : list of int
    shares : list of float
        Of the quantiles.
    quantiles : dict of list
        By quantity ("z", "a", "delta", "W"), layer, epoch and share.
    """

    epochs: list[int]
    shares: list[float]
    quantiles: dict[str, list[list[list[float]]]]


def distributions(snapshots: Sequence[Snapshot]) -> Distributions:
    """Those of a run's snapshots."""
    from glassnet.training.recording import SHARES

    layers = range(1, len(snapshots[0].layers) + 1)
    quantities = ("z", "a", "delta", "W")
    return Distributions(
        [s.epoch for s in snapshots],
        list(SHARES),
        {q: [[list(getattr(s.layer(l), q).quantiles) for s in snapshots] for l in layers] for q in quantities},
    )


def draw_distributions(named: Named, theme: Theme, layer: int | None = None) -> Figure:
    """A fan for each quantity and layer: the median, and what lies between the outer quantiles."""
    run = named[0][1]
    shown = _folded(len(run.quantiles["z"])) if layer is None else [layer - 1]
    figure, panels = _panels(4, len(shown), width=2.5 if len(shown) > 1 else 5.0, height=1.8)
    quantities = (("z", "z"), ("a", "a"), ("delta", "δ"), ("W", "W"))
    for r, (row, (key, title)) in enumerate(zip(panels, quantities, strict=True)):
        for axes, l in zip(row, shown, strict=True):
            values = np.array(run.quantiles[key][l])
            for low, high, alpha in ((0, 6, 0.18), (1, 5, 0.28), (2, 4, 0.45)):
                axes.fill_between(
                    run.epochs, values[:, low], values[:, high], color=theme.negative, alpha=alpha, linewidth=0
                )
            axes.plot(run.epochs, values[:, 3], color=theme.ink, linewidth=1)
            _over_epochs(axes, title if l == shown[0] else "", last=r == len(panels) - 1)
            if r == 0:
                axes.set_title(say("layer {layer}", layer=l + 1), fontsize=9)
    figure.supxlabel(say("line: median; bands: half, 90 % and 98 % of the values"), fontsize=8)
    return figure


# Health


@dataclass(frozen=True)
class Health:
    """What tells whether a network can learn.

    Attributes
    ----------
    epochs : list of int
    dead, saturated : dict of list of float
        Shares by layer number, of layers that can have such units.
    ratio : list of list of float
        ‖ΔW‖ / ‖W‖ by layer.
    noise : list of float or None
        The gradient's noise scale, in rows.
    batch_size : int
    """

    epochs: list[int]
    dead: dict[int, list[float]]
    saturated: dict[int, list[float]]
    ratio: list[list[float]]
    noise: list[float | None]
    batch_size: int


def health(snapshots: Sequence[Snapshot], batch_size: int) -> Health:
    """That of a run's snapshots."""
    layers = range(1, len(snapshots[0].layers) + 1)

    def shares(key: str) -> dict[int, list[float]]:
        found = {l: [getattr(s.layer(l), key) for s in snapshots] for l in layers}
        return {l: values for l, values in found.items() if values[0] is not None}

    ratio = [[s.layer(l).update_ratio for s in snapshots] for l in layers]
    noise = [s.noise for s in snapshots]
    return Health([s.epoch for s in snapshots], shares("dead"), shares("saturated"), ratio, noise, batch_size)


def draw_health(named: Named, theme: Theme) -> Figure:
    """Dead and saturated shares, the size of steps, the noise of the gradient."""
    several = len(named) > 1
    units = [key for key in ("dead", "saturated") if any(getattr(run, key) for _, run in named)]
    figure, panels = _panels(1, 2 + len(units), width=3.3, height=3.2)
    titles = {"dead": say("share of dead units"), "saturated": say("share of saturated a")}
    for axes, key in zip(panels[0], units, strict=False):
        for k, (name, run) in enumerate(named):
            found = getattr(run, key)
            shown = [list(found)[i] for i in _folded(len(found))]
            for l, colour in zip(shown, _depths(len(shown), theme), strict=True):
                looks = {"color": RUNS[k % len(RUNS)], "alpha": 0.9} if several else {"color": colour}
                label = name if several else say("layer {layer}", layer=l)
                axes.plot(run.epochs, found[l], label=label if not several or l == shown[0] else None, **looks)
        axes.set_ylim(-0.03, 1.03)
        _over_epochs(axes, titles[key])
        axes.legend(fontsize=7.5)
    ratio, noise = panels[0][len(units) :]
    ratio.axhspan(*USUAL, color=theme.faint, alpha=0.2, linewidth=0)
    for k, (name, run) in enumerate(named):
        shown = _folded(len(run.ratio))
        for l, colour in zip(shown, _depths(len(shown), theme), strict=True):
            looks = {"color": RUNS[k % len(RUNS)]} if several else {"color": colour}
            label = name if several else say("layer {layer}", layer=l + 1)
            _log_line(ratio, run.epochs, run.ratio[l], label=label if not several or l == shown[0] else None, **looks)
        colour = RUNS[k % len(RUNS)] if several else theme.negative
        _log_line(
            noise,
            run.epochs,
            [np.nan if v is None else v for v in run.noise],
            color=colour,
            label=say("noise scale") if not several else name,
        )
        noise.axhline(
            run.batch_size,
            color=colour if several else theme.faint,
            linestyle="--",
            linewidth=1,
            label=say("batch") if not several else None,
        )
    _over_epochs(ratio, say("‖ΔW‖ / ‖W‖ (grey: usual)"))
    _over_epochs(noise, say("rows"))
    ratio.legend(fontsize=7.5)
    noise.legend(fontsize=7.5)
    return figure


# What they share


def _panels(rows: int, columns: int, *, width: float, height: float) -> tuple[Figure, Any]:
    figure = require("matplotlib.figure", extra="plot").Figure(
        figsize=(width * columns, height * rows), layout="constrained"
    )
    return figure, figure.subplots(rows, columns, squeeze=False)


def _over_epochs(axes: Axes, title: str, *, last: bool = True) -> None:
    axes.xaxis.set_major_locator(require("matplotlib.ticker", extra="plot").MaxNLocator(integer=True, nbins=5))
    axes.tick_params(labelsize=8)
    if last:
        axes.set_xlabel(say("epoch"), fontsize=9)
    if title:
        axes.set_ylabel(title, fontsize=9)
    axes.grid(alpha=0.25, which="major")
    axes.spines[["top", "right"]].set_visible(False)


def _log_line(axes: Axes, epochs: Sequence[int], values: Sequence[float], **looks: Any) -> None:
    """A line on a logarithmic axis; nothing where a value is 0 or not finite."""
    shown = np.array(values, dtype=float)
    shown[~np.isfinite(shown) | (shown <= 0)] = np.nan
    axes.set_yscale("log", nonpositive="mask")
    _few_labels(axes)
    gaps = np.isnan(shown).any()
    axes.plot(epochs, shown, marker="o" if len(epochs) == 1 else "." if gaps else None, **looks)
    if not np.isfinite(shown).any() and not axes.has_data():
        axes.set_ylim(0.1, 1)


def _few_labels(axes: Axes) -> None:
    """Numbers at powers of ten; between them only where there is room for no more than one."""
    ticker = require("matplotlib.ticker", extra="plot")
    axes.yaxis.set_minor_formatter(ticker.LogFormatterSciNotation(minor_thresholds=(0.9, 0.3)))
    axes.tick_params(which="minor", labelsize=7)


def _folded(count: int) -> list[int]:
    """Of so many layers those that are shown, from 0: all, or the first, the last, and some in between."""
    if count <= MOST_LAYERS:
        return list(range(count))
    return sorted(set(np.round(np.linspace(0, count - 1, MOST_LAYERS)).astype(int).tolist()))


def _depths(count: int, theme: Theme) -> list[Any]:
    """A colour for each layer, by its depth, for all eyes (viridis)."""
    colours = require("matplotlib", extra="plot").colormaps["viridis"]
    low, high = (0.0, 0.85) if theme is canvas.LIGHT else (0.3, 1.0)
    return [colours(low + (high - low) * k / max(count - 1, 1)) for k in range(count)]
