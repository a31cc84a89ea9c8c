"""The kinds of plots: what each needs, what it shows, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
Draw = Callable[[Sequence[tuple[str, Any]], Theme], Figure]


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
    lacks : callable
        Why a run has no such plot; "" if it has.
    """

    name: str
    title: Callable[[Say], str]
    reading: Callable[[Say], str]
    data: Callable[[Shown], Any]
    draw: Draw
    several: bool = False
    lacks: Callable[[Shown], str] = lambda shown: ""


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
            lacks=_no_classes,
        ),
        Kind(
            "calibration",
            lambda say: say("Calibration"),
            lambda say: say("Below the diagonal the network is surer than it is right, above it less sure."),
            lambda shown: measures.Calibration.of(*measures.classes_of(shown.model, shown.examples)[:2]),
            _one(results.draw_calibration),
            lacks=_no_classes,
        ),
        Kind(
            "residuals",
            lambda say: say("Predictions and residuals"),
            lambda say: say(
                "A cloud along the line and around 0 is well; a bend or a funnel shows what is not learned."
            ),
            lambda shown: measures.residuals_of(shown.model, shown.examples),
            _one(results.draw_residuals),
            lacks=_no_numbers,
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
            lacks=_not_two,
        ),
    )
}
"""All kinds by name."""


def that_apply(shown: Sequence[Shown]) -> list[str]:
    """The kinds that all of these runs have."""
    kinds = [kind for kind in KINDS.values() if len(shown) == 1 or kind.several]
    return [kind.name for kind in kinds if not any(kind.lacks(run) for run in shown)]


def figure_of(name: str, shown: Sequence[Shown], theme: Theme, *, layer: int | None = None) -> Figure:
    """A figure, within a theme; InputError if the runs have no such plot."""
    kind = KINDS.get(name)
    if kind is None:
        raise ConfigError(say("cannot plot {kind!r}; choose one of: {known}", kind=name, known=", ".join(KINDS)))
    if len(shown) > 1 and not kind.several:
        known = ", ".join(k.name for k in KINDS.values() if k.several)
        raise ConfigError(say("{kind} shows one run; several go into: {known}", kind=name, known=known))
    for run in shown:
        reason = kind.lacks(run)
        if reason:
            raise ConfigError(
                say("{kind} cannot be plotted of {run}: {reason}", kind=name, run=run.folder, reason=reason)
            )
    named = [(label, kind.data(run)) for label, run in zip(labels(shown), shown, strict=True)]
    if name != "distributions":
        return kind.draw(named, theme)
    depth = len(named[0][1].quantiles["z"])
    if layer is not None and not 1 <= layer <= depth:
        text = say("there is no layer {number}; the network has layers 1 to {last}", number=layer, last=depth)
        raise InputError(text)
    return series.draw_distributions(named, theme, layer)


def labels(shown: Sequence[Shown]) -> list[str]:
    """A short name for each run, none twice."""
    names = [canvas.shortened(run.name, 24) for run in shown]
    return [name if names.count(name) == 1 else f"{name} ({k})" for k, name in enumerate(names, 1)]


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
        The only layer to show, of distributions.

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
        if len(shown) == 1:
            title = f"{canvas.shortened(shown[0].name, 40)}: {KINDS[name].title(canvas.say)}"
            figure.suptitle(canvas.shortened(title, 70), parse_math=False, fontsize=10)
        return canvas.save(figure, path)
