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
MARKS = ("", "s", "^", "D", "v")  # of runs, each for all colours before the next
MOST_RUNS = len(RUNS) * len(MARKS)
MOST_LAYERS = 8  # that get a panel or a line of their own
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
            if len(named) == 1:
                marker = "o" if len(run.epochs) == 1 else None  # a line of one point cannot be seen
                axes.plot(run.epochs, train, marker=marker, color=theme.negative, label=say("training"))
                if held:
                    axes.plot(run.epochs, held, marker=marker, color=theme.positive, label=say("validation"))
                _mark(axes, run, theme)
            else:
                looks = _run_looks(k, run.epochs)
                if held:
                    axes.plot(run.epochs, train, linestyle=":", **looks)
                axes.plot(run.epochs, held or train, label=name, **looks)
                if run.best_epoch is not None:
                    at = run.epochs.index(run.best_epoch)
                    axes.plot(run.best_epoch, (held or train)[at], marker="o", color=looks["color"], markersize=5)
        if key == "loss" and lowest > 0:
            axes.set_yscale("log")
            _few_labels(axes)
        _over_epochs(axes, title)
    if len(named) == 1:
        panels[0][0].legend(fontsize=8)
    else:
        _run_legend(figure, panels[0], [name for name, _ in named])
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
        axes.plot(run.epochs, run.lr, drawstyle="steps-mid", label=name, **_run_looks(k, run.epochs))
    values = [value for _, run in named for value in run.lr]
    if min(values) > 0 and max(values) > 3 * min(values):
        axes.set_yscale("log")
        _few_labels(axes)
    _over_epochs(axes, say("learning rate"))
    if len(named) > 1:
        _run_legend(figure, [axes], [name for name, _ in named])
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

    @property
    def depth(self) -> int:
        """Layers with parameters."""
        return len(self.delta)


def norms(snapshots: Sequence[Snapshot]) -> Norms:
    """Those of a run's snapshots."""
    layers = range(1, len(snapshots[0].layers) + 1)
    return Norms(
        [s.epoch for s in snapshots],
        [[s.layer(l).delta.norm for s in snapshots] for l in layers],
        [[s.layer(l).gradient_norm for s in snapshots] for l in layers],
        [[s.layer(l).update_norm for s in snapshots] for l in layers],
    )


def draw_norms(named: Named, theme: Theme, layer: int | None = None) -> Figure:
    """δ, gradient and update: a line for each layer; of several runs a panel for each layer."""
    quantities = (("delta", "‖δ‖"), ("gradient", "‖∂C/∂θ‖"), ("update", "‖ΔW‖"))
    if len(named) == 1:
        figure, panels = _panels(1, 3, width=3.4, height=3.2)
        run = named[0][1]
        shown = _shown(run.depth, layer)
        for axes, (key, title) in zip(panels[0], quantities, strict=True):
            for l, colour in zip(shown, _depths(len(shown), theme), strict=True):
                _log_line(axes, run.epochs, getattr(run, key)[l], color=colour, label=say("layer {layer}", layer=l + 1))
            _over_epochs(axes, title)
        _layer_legend(figure, panels[0][0], shown, run.depth, layer)
        return figure
    depth = max(run.depth for _, run in named)
    shown = _shown(depth, layer)
    figure, panels = _panels(3, len(shown), width=_width(len(shown)), height=2.1)
    for r, (row, (key, title)) in enumerate(zip(panels, quantities, strict=True)):
        for axes, l in zip(row, shown, strict=True):
            for k, (name, run) in enumerate(named):
                if l < run.depth:
                    _log_line(axes, run.epochs, getattr(run, key)[l], label=name, **_run_looks(k, run.epochs))
            _over_epochs(axes, title if l == shown[0] else "", last=r == len(panels) - 1)
            if r == 0:
                axes.set_title(say("layer {layer}", layer=l + 1), fontsize=9)
    _run_legend(figure, panels.flat, [name for name, _ in named])
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

    @property
    def depth(self) -> int:
        """Layers with parameters."""
        return len(self.quantiles["z"])


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
    shown = _shown(run.depth, layer)
    figure, panels = _panels(4, len(shown), width=_width(len(shown)), height=1.8)
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
    notes = [say("line: median; bands: half, 90 % and 98 % of the values")]
    if layer is None and len(shown) < run.depth:
        notes.append(say("{shown} of {count} layers", shown=len(shown), count=run.depth))
    figure.supxlabel("; ".join(notes), fontsize=8)
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

    @property
    def depth(self) -> int:
        """Layers with parameters."""
        return len(self.ratio)

    def by_layer(self, key: str) -> dict[int, list[float]]:
        """The figures of "dead", "saturated" or "ratio" by layer number."""
        found: dict[int, list[float]] = dict(enumerate(self.ratio, 1)) if key == "ratio" else getattr(self, key)
        return found


def health(snapshots: Sequence[Snapshot], batch_size: int) -> Health:
    """That of a run's snapshots."""
    layers = range(1, len(snapshots[0].layers) + 1)

    def shares(key: str) -> dict[int, list[float]]:
        found = {l: [getattr(s.layer(l), key) for s in snapshots] for l in layers}
        return {l: values for l, values in found.items() if values[0] is not None}

    ratio = [[s.layer(l).update_ratio for s in snapshots] for l in layers]
    noise = [s.noise for s in snapshots]
    return Health([s.epoch for s in snapshots], shares("dead"), shares("saturated"), ratio, noise, batch_size)


def draw_health(named: Named, theme: Theme, layer: int | None = None) -> Figure:
    """Dead and saturated shares and the size of steps by layer; the noise of the gradient."""
    units = [key for key in ("dead", "saturated") if any(getattr(run, key) for _, run in named)]
    titles = {"dead": say("share of dead units"), "saturated": say("share of saturated a")}
    titles["ratio"] = say("‖ΔW‖ / ‖W‖ (grey: usual)")
    if len(named) == 1:
        run = named[0][1]
        shown = _shown(run.depth, layer)
        figure, panels = _panels(1, 2 + len(units), width=3.3, height=3.2)
        for axes, key in zip(panels[0], (*units, "ratio"), strict=False):
            values = run.by_layer(key)
            for l, colour in zip(shown, _depths(len(shown), theme), strict=True):
                if l + 1 in values:
                    label = say("layer {layer}", layer=l + 1)
                    _health_line(axes, key, run.epochs, values[l + 1], color=colour, label=label)
            _health_axes(axes, key, theme)
            _over_epochs(axes, titles[key])
        _draw_noise(panels[0][-1], named, theme)
        _layer_legend(figure, panels[0][len(units)], shown, run.depth, layer)
        return figure
    depth = max(run.depth for _, run in named)
    layers = _shown(depth, layer)
    rows = (*units, "ratio")
    across = max(len(layers), 2)
    width, height = _width(across), 2.1
    figure = require("matplotlib.figure", extra="plot").Figure(
        figsize=(width * across, height * (len(rows) + 1)), layout="constrained"
    )
    grid = figure.add_gridspec(len(rows) + 1, across)
    drawn = []
    for r, key in enumerate(rows):
        title = titles[key]
        for c, l in enumerate(layers):
            axes = figure.add_subplot(grid[r, c])
            if r == 0:
                axes.set_title(say("layer {layer}", layer=l + 1), fontsize=9)
            if not any(l + 1 in run.by_layer(key) for _, run in named):
                axes.set_axis_off()
                continue
            drawn.append(axes)
            for k, (name, run) in enumerate(named):
                values = run.by_layer(key)
                if l + 1 in values:
                    looks = _run_looks(k, run.epochs)
                    _health_line(axes, key, run.epochs, values[l + 1], label=name, **looks)
            _health_axes(axes, key, theme)
            _over_epochs(axes, title, last=key == "ratio")
            title = ""  # said once a row
    noise = figure.add_subplot(grid[len(rows), :2])
    _draw_noise(noise, named, theme)
    _run_legend(figure, [*drawn, noise], [name for name, _ in named])
    return figure


def _health_line(axes: Axes, key: str, epochs: Sequence[int], values: Sequence[float], **looks: Any) -> None:
    if key == "ratio":
        _log_line(axes, epochs, values, **looks)
    else:
        axes.plot(epochs, values, **{"marker": "o" if len(epochs) == 1 else None, **looks})


def _health_axes(axes: Axes, key: str, theme: Theme) -> None:
    """The range of shares, or of usual steps in grey."""
    if key != "ratio":
        axes.set_ylim(-0.03, 1.03)
        return
    axes.axhspan(*USUAL, color=theme.faint, alpha=0.2, linewidth=0)
    axes.set_yscale("log", nonpositive="mask")
    _few_labels(axes)


def _draw_noise(axes: Axes, named: Named, theme: Theme) -> None:
    """The batch size at which noise and gradient are alike, and the batches of the runs."""
    several = len(named) > 1
    for k, (name, run) in enumerate(named):
        looks = _run_looks(k, run.epochs) if several else {"color": theme.negative}
        values = [np.nan if v is None else v for v in run.noise]
        _log_line(axes, run.epochs, values, label=name if several else say("noise scale"), **looks)
        batch = {"color": looks["color"] if several else theme.faint, "linestyle": "--", "linewidth": 1}
        axes.axhline(run.batch_size, label=None if several else say("batch"), **batch)
    _over_epochs(axes, say("noise scale, in rows"))
    if not several:
        axes.legend(fontsize=7.5)
    else:
        axes.set_title(say("dashed: the batch"), fontsize=8)


# What they share


def _panels(rows: int, columns: int, *, width: float, height: float) -> tuple[Figure, Any]:
    figure = require("matplotlib.figure", extra="plot").Figure(
        figsize=(width * columns, height * rows), layout="constrained"
    )
    return figure, figure.subplots(rows, columns, squeeze=False)


def _over_epochs(axes: Axes, title: str, *, last: bool = True) -> None:
    axes.xaxis.set_major_locator(require("matplotlib.ticker", extra="plot").MaxNLocator(integer=True, nbins=5))
    axes.tick_params(labelsize=8)
    low, high = axes.get_xlim()
    if high - low < 1:  # a single epoch
        middle = round((low + high) / 2)
        axes.set_xlim(middle - 1, middle + 1)
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
    if not looks.get("marker"):
        looks["marker"] = "o" if len(epochs) == 1 else "." if np.isnan(shown).any() else None
        looks.pop("markevery", None)
    axes.plot(epochs, shown, **looks)
    if not np.isfinite(shown).any() and not axes.has_data():
        axes.set_ylim(0.1, 1)


def _few_labels(axes: Axes) -> None:
    """Numbers at powers of ten; where fewer than two of those are in sight, also between them."""
    formatter = require("matplotlib.ticker", extra="plot").FuncFormatter

    def between(value: float, _: Any) -> str:
        low, high = np.log10(axes.get_ylim())
        powers = np.floor(high) - np.ceil(low) + 1
        first = round(value / 10 ** np.floor(np.log10(value) + 1e-9))
        return canvas.number(value) if powers < 1 or (powers == 1 and first in (2, 5)) else ""

    axes.yaxis.set_minor_formatter(formatter(between))
    axes.tick_params(which="minor", labelsize=7)


def _run_looks(k: int, epochs: Sequence[int]) -> dict[str, Any]:
    """The colour of a run of several, and a mark where colours begin again."""
    mark = MARKS[k // len(RUNS)] or ("o" if len(epochs) == 1 else "")  # a line of one point cannot be seen
    return {"color": RUNS[k % len(RUNS)], "marker": mark, "markersize": 4, "markevery": max(1, len(epochs) // 6)}


def _run_legend(figure: Figure, panels: Sequence[Axes], names: Sequence[str]) -> None:
    """The runs' names, above all panels."""
    lines: dict[str, Any] = {}
    for axes in panels:
        for line in axes.get_lines():
            lines.setdefault(line.get_label(), line)
    known = [name for name in names if name in lines]
    columns = max(1, int(figure.get_size_inches()[0] // (0.6 + 0.08 * max(map(len, names)))))
    plain_legend(figure, [lines[name] for name in known], known, loc="outside upper center", ncols=columns)


def plain_legend(owner: Any, handles: Sequence[Any], names: Sequence[str], **looks: Any) -> None:
    """A legend of names as they are: neither "_" at their beginning nor "$" means anything."""
    legend = owner.legend(handles, ["x"] * len(names), fontsize=8, **looks)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False)


def _shown(count: int, layer: int | None = None) -> list[int]:
    """The layers that are shown, from 0."""
    return _folded(count) if layer is None else [layer - 1]


def _width(panels: int) -> float:
    """Of each of so many panels side by side."""
    return 5.0 if panels == 1 else 2.6 if panels <= 6 else 2.1


def _layer_legend(figure: Figure, axes: Axes, shown: Sequence[int], count: int, layer: int | None) -> None:
    """The layers' colours beside all panels, and how many layers there are if not all are shown."""
    title = {}
    if layer is None and len(shown) < count:
        title = {"title": say("{shown} of {count} layers", shown=len(shown), count=count), "title_fontsize": 7.5}
    lines = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
    figure.legend(handles=lines, loc="outside right upper", fontsize=7.5, **title)


def _folded(count: int) -> list[int]:
    """Of so many layers those that are shown, from 0: all, or the first, the last, and some in between."""
    if count <= MOST_LAYERS:
        return list(range(count))
    return sorted(set(np.round(np.linspace(0, count - 1, MOST_LAYERS)).astype(int).tolist()))


def _depths(count: int, theme: Theme) -> list[Any]:
    """A colour for each layer, by its depth, for all eyes (viridis)."""
    plotting = require("matplotlib", extra="plot")
    low, high = (0.0, 0.85) if theme is canvas.LIGHT else (0.3, 1.0)
    shades = plotting.colormaps["viridis"](low + (high - low) * np.arange(count) / max(count - 1, 1))
    return [plotting.colors.to_hex(shade) for shade in shades]


def depth_colours(theme: Theme) -> list[Any]:
    """All that layers can have, however many there are; in the same order for each theme."""
    return [colour for count in range(1, MOST_LAYERS + 1) for colour in _depths(count, theme)]
