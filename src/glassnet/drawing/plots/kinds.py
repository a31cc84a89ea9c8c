"""The kinds of plots: what each needs, what it shows, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from glassnet.drawing import canvas
from glassnet.drawing.canvas import Figure, Theme
from glassnet.drawing.plots import results, series
from glassnet.drawing.plots.shown import Shown
from glassnet.errors import ConfigError, InputError
from glassnet.inspection import measures
from glassnet.messages import say

Say = Callable[..., str]
Draw = Callable[..., Figure]
"""Takes named data and a theme; of layers also which one."""


@dataclass(frozen=True)
class Kind:
    """A kind of plot.

    Attributes
    ----------
    name : str
    title : callable
        What it shows, said by a function such as :func:`glassnet.messages.say`.
    reading : callable
        How it is read, in a sentence, likewise.
    data : callable
        What is drawn, of a run; a dataclass.
    draw : callable
        A figure of the data of one run or more, each with its name.
    several : bool
        Whether runs can be laid over each other.
    layered : bool
        Whether it shows layers, so that one can be chosen.
    rows : bool
        Whether it shows how good predictions of held-out rows are.
    lacks : callable
        Why a run has no such plot; "" if it has.
    needs_data : callable
        Whether a run's data have to be read for it.
    """

    name: str
    title: Callable[[Say], str]
    reading: Callable[[Say], str]
    data: Callable[[Shown], Any]
    draw: Draw
    several: bool = False
    layered: bool = False
    rows: bool = False
    lacks: Callable[[Shown], str] = lambda shown: ""
    needs_data: Callable[[Shown], bool] = lambda shown: False


def _no_classes(shown: Shown) -> str:
    return "" if shown.model.task == "classification" else say("the run predicts no classes")


def _no_numbers(shown: Shown) -> str:
    return "" if shown.model.task == "regression" else say("the run predicts no numbers")


def _no_image(shown: Shown) -> str:
    encoding = shown.model.encoding
    return "" if encoding is not None and encoding.feature_shape else say("the run's input is no image")


def _not_two(shown: Shown) -> str:
    n = shown.model.network.sizes[0]
    return "" if n == 2 else say("regions need two features; this network has {n}", n=n)


def _not_recorded(shown: Shown) -> bool:
    return not shown.recorded


def _always(shown: Shown) -> bool:
    return True


def _no_epochs(shown: Shown) -> str:
    return "" if len(shown.history) else say("the run has no epoch")


def _filters(shown: Shown) -> measures.Filters:
    encoding = shown.model.encoding
    assert encoding is not None
    assert encoding.feature_shape is not None
    return measures.Filters.of_network(shown.model.network, encoding.feature_shape)


def _one(draw: Callable[[Any, Theme], Figure]) -> Draw:
    return lambda named, theme: draw(named[0][1], theme)


def _batch(shown: Shown) -> int:
    return int(shown.config.training.batch_size or 0)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "curves",
            lambda say: say("Loss and metric"),
            lambda say: say(
                "A validation loss that rises while the training loss falls is overfitting; two high curves side by "
                "side are underfitting."
            ),
            lambda shown: series.curves(shown.history, shown.config.training.early_stopping),
            series.draw_curves,
            several=True,
            lacks=_no_epochs,
        ),
        Kind(
            "norms",
            lambda say: say("Norms of δ, of the gradient and of the update"),
            lambda say: say(
                "Lines that lie far apart show errors that vanish or explode on their way down; lines that fall "
                "together show a network that settles."
            ),
            lambda shown: series.norms(shown.snapshots),
            series.draw_norms,
            several=True,
            layered=True,
            needs_data=_not_recorded,
        ),
        Kind(
            "distributions",
            lambda say: say("Distributions of z, a, δ and W"),
            lambda say: say(
                "Bands that keep their width are well; bands that shrink to nothing or spread from epoch to epoch are "
                "not."
            ),
            lambda shown: series.distributions(shown.snapshots),
            series.draw_distributions,
            layered=True,
            needs_data=_not_recorded,
        ),
        Kind(
            "health",
            lambda say: say("Health: units, steps, noise"),
            lambda say: say(
                "Shares near 1 are units that learn nothing more; steps above the grey band are too large, below it "
                "too small; a noise scale far above the batch means that steps are mostly chance."
            ),
            lambda shown: series.health(shown.snapshots, _batch(shown)),
            series.draw_health,
            several=True,
            layered=True,
            needs_data=_not_recorded,
        ),
        Kind(
            "lr",
            lambda say: say("Learning rate"),
            lambda say: say("The learning rate of each epoch's last step."),
            lambda shown: series.learning_rate(shown.history),
            series.draw_learning_rate,
            several=True,
            lacks=_no_epochs,
        ),
        Kind(
            "confusion",
            lambda say: say("Confusion matrix"),
            lambda say: say(
                "Rows are the true classes, columns the predicted ones: what lies off the diagonal is wrong."
            ),
            lambda shown: measures.Confusion.of(*measures.classes_of(shown.model, shown.examples)),
            _one(results.draw_confusion),
            rows=True,
            lacks=_no_classes,
            needs_data=_always,
        ),
        Kind(
            "calibration",
            lambda say: say("Calibration"),
            lambda say: say("Below the diagonal the network is surer than it is right, above it less sure."),
            lambda shown: measures.Calibration.of(*measures.classes_of(shown.model, shown.examples)[:2]),
            _one(results.draw_calibration),
            rows=True,
            lacks=_no_classes,
            needs_data=_always,
        ),
        Kind(
            "residuals",
            lambda say: say("Predictions and residuals"),
            lambda say: say(
                "A cloud along the line and around 0 is well; a bend or a funnel shows what is not learned."
            ),
            lambda shown: measures.residuals_of(shown.model, shown.examples),
            _one(results.draw_residuals),
            rows=True,
            lacks=_no_numbers,
            needs_data=_always,
        ),
        Kind(
            "weights",
            lambda say: say("Weights of the first layer"),
            lambda say: say(
                "Each tile shows what a unit looks for: orange where light raises its z, blue where it lowers it."
            ),
            _filters,
            _one(results.draw_filters),
            lacks=_no_image,
        ),
        Kind(
            "regions",
            lambda say: say("Decision regions"),
            lambda say: say("The colour is what the network says there, the stronger the surer; points are rows."),
            lambda shown: measures.Regions.of_model(shown.model, shown.examples),
            _one(results.draw_regions),
            rows=True,
            lacks=_not_two,
            needs_data=_always,
        ),
    )
}
"""All kinds by name."""


def that_apply(shown: Sequence[Shown]) -> list[str]:
    """The kinds that all of these runs have."""
    kinds = [kind for kind in KINDS.values() if len(shown) == 1 or kind.several]
    return [kind.name for kind in kinds if not any(kind.lacks(run) for run in shown)]


def checked(name: str, shown: Sequence[Shown]) -> Kind:
    """The kind of that name; ConfigError if there is none, or these runs have no such plot."""
    kind = KINDS.get(name)
    if kind is None:
        raise ConfigError(say("cannot plot {kind!r}; choose one of: {known}", kind=name, known=", ".join(KINDS)))
    for run in shown:
        reason = kind.lacks(run)
        if reason:
            raise ConfigError(
                say("{kind} cannot be plotted of {run}: {reason}", kind=name, run=run.folder, reason=reason)
            )
    return kind


def figure_of(name: str, shown: Sequence[Shown], theme: Theme, *, layer: int | None = None) -> Figure:
    """A figure, within a theme; InputError if the runs have no such plot."""
    kind = checked(name, shown)
    if len(shown) > 1 and not kind.several:
        known = ", ".join(k.name for k in KINDS.values() if k.several)
        raise ConfigError(say("{kind} shows one run; several go into: {known}", kind=name, known=known))
    if len(shown) > series.MOST_RUNS:
        raise ConfigError(say("at most {most} runs can be told apart, not {n}", most=series.MOST_RUNS, n=len(shown)))
    named = [(label, kind.data(run)) for label, run in zip(labels(shown), shown, strict=True)]
    if layer is None or not kind.layered:
        return kind.draw(named, theme)
    check_layer(layer, [run for _, run in named])
    return kind.draw(named, theme, layer)


def check_layer(layer: int, data: Sequence[Any]) -> None:
    """InputError if none of the runs whose data these are has such a layer."""
    depth = max(run.depth for run in data)
    if not 1 <= layer <= depth:
        text = say("there is no layer {number}; the network has layers 1 to {last}", number=layer, last=depth)
        raise InputError(text)


def labels(shown: Sequence[Shown]) -> list[str]:
    """A short name for each run, none twice: of equal names the folder's folder, of long ones where they differ."""
    folders = [run.folder.resolve() for run in shown]
    homes = {name: {f.parent for f in folders if f.name == name} for name in {f.name for f in folders}}
    names = [f.name if len(homes[f.name]) == 1 else f"{f.parent.name}/{f.name}" for f in folders]
    short = [canvas.shortened(name, _NAME) for name in names]
    for same in [[k for k, s in enumerate(short) if s == text] for text in dict.fromkeys(short)]:
        alike = {names[k] for k in same}
        if len(alike) > 1:
            ends = len(list(takewhile(lambda letters: len(set(letters)) == 1, zip(*alike, strict=False))))
            ends -= 8 if ends == min(map(len, alike)) else 0  # one is the beginning of another
            for k in same:
                short[k] = "…" + canvas.shortened(names[k][ends:], _NAME - 1)
    return [name if short.count(name) == 1 else f"{name} ({k})" for k, name in enumerate(short, 1)]


_NAME = 24  # letters of a run's name in a legend


def plot(
    name: str,
    runs: Sequence[Shown | Path | str],
    path: str | Path,
    *,
    dark: bool = False,
    layer: int | None = None,
) -> Path:
    """Draw a plot of one run, or of several laid over each other.

    Parameters
    ----------
    name : str
        One of :data:`KINDS`.
    runs : sequence of Shown or path
    path : str or Path
        The picture's file; its ending decides the form (``.png``, ``.svg``, ``.pdf``).
    dark : bool, default False
        Light on dark.
    layer : int, optional
        The only layer to show, of norms, distributions and health.

    Raises
    ------
    InputError
        If there is no such kind, the runs have no such plot, or the file cannot be written.
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    path = canvas.check_file(path)
    shown = [run if isinstance(run, Shown) else Shown(Path(run)) for run in runs]
    with canvas.themed(dark) as theme:
        figure = figure_of(name, shown, theme, layer=layer)
        title = KINDS[name].title(canvas.say)
        if len(shown) == 1:
            title = f"{canvas.shortened(shown[0].name, 40)}: {title}"
        if KINDS[name].rows:
            title = f"{title}, {shown[0].which(canvas.say)}"
        if len(shown) == 1:
            figure.suptitle(canvas.shortened(title, 70), parse_math=False, fontsize=10)
        else:
            figure.legends[0].set_title(title)
        return canvas.save(figure, path)
