"""A network beside one of the thinned networks that dropout trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glassnet.arrays import namespace, to_numpy
from glassnet.drawing import canvas
from glassnet.drawing.canvas import Axes, Figure, Fold, Theme
from glassnet.drawing.sample import check_kinds
from glassnet.errors import ConfigError
from glassnet.layers import Dropout
from glassnet.messages import say
from glassnet.network import Network

GAP, PITCH = 1.4, 0.43  # from layer to layer and from unit to unit, in inches
SIZE = 0.8  # of a unit, which holds no number here
ROOM = 12  # units of a layer that can be shown
MARGIN, HEAD, FOOT = 0.75, 1.3, 0.25  # of a panel
BELOW = 0.85  # for the equations


@dataclass(frozen=True)
class Thinned:
    """One sample's masks.

    Attributes
    ----------
    epoch, position : int
        Where in training the sample stands, both from 0; they and the network's seed decide the masks.
    keep : tuple of float
        p of layers 0 to L; 1 where there is no dropout.
    variant : str
        "inverted" (ã = m ⊙ a / p) or "plain" (ã = m ⊙ a): that of the network's dropout.
    masks : tuple of ndarray of bool (n[l],)
        m of layers 0 to L: True where the unit stays.
    folds : tuple of Fold
        The units that are shown.
    """

    epoch: int
    position: int
    keep: tuple[float, ...]
    variant: str
    masks: tuple[np.ndarray, ...]
    folds: tuple[Fold, ...]


def thinned(network: Network, *, epoch: int = 0, position: int = 0) -> Thinned:
    """What :func:`draw_dropout` shows."""
    check_kinds(network)
    for name, value in (("epoch", epoch), ("position", position)):
        if not 0 <= value < 2**32:
            raise ConfigError(
                say("{name} must be a whole number from 0 to 2**32 - 1, not {value}", name=name, value=value)
            )
    drops = {layer.number: layer for layer in network.layers if isinstance(layer, Dropout)}
    if not drops:
        raise ConfigError(
            say("this network has no dropout, so nothing thins it; train one with dropout (--dropout 0.5)")
        )
    draws = network.draws(1, first=position, epoch=epoch)
    theta = next(network.parameters())[1]
    masks = [np.ones(size, dtype=bool) for size in network.sizes]
    for l, layer in drops.items():
        ones = namespace(theta).ones((1, network.sizes[l]), dtype=theta.dtype, device=theta.device)
        kept, _ = layer.forward(ones, training=draws)
        masks[l] = to_numpy(kept)[0] > 0
    folds = tuple(canvas.fold(-np.arange(size), ROOM) for size in network.sizes)  # the first units: no others tell more
    keep = tuple(drops[l].keep if l in drops else 1.0 for l in range(len(network.sizes)))
    variant = next(iter(drops.values())).variant
    return Thinned(epoch, position, keep, variant, tuple(masks), folds)


def draw_dropout(network: Network, path: str | Path, *, epoch: int = 0, position: int = 0, dark: bool = False) -> Path:
    """Draw the whole network beside the thinned one that one sample trained.

    Parameters
    ----------
    network : Network
    path : str or Path
        The picture's file; its ending decides the form (``.png``, ``.svg``, ``.pdf``).
    epoch, position : int, default 0
        Which epoch, and which place in its order, both from 0: they decide the mask.
    dark : bool, default False
        Light on dark.

    Raises
    ------
    ConfigError
        If the network has no dropout, or the file's ending is not one that can be drawn.
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    path = canvas.check_file(path)
    data = thinned(network, epoch=epoch, position=position)
    with canvas.themed(dark) as theme:
        return canvas.save(paint(data, theme), path)


def paint(data: Thinned, theme: Theme) -> Figure:
    """The picture."""
    width = max(2 * MARGIN + GAP * (len(data.folds) - 1), 4.0)  # the equations are as wide
    height = HEAD + canvas.height_of(data.folds, PITCH) + FOOT
    beside = len(data.folds) <= 4  # else one below the other
    total = (2 * width, height) if beside else (width, 2 * height)
    figure, axes = canvas.sheet(total[0], BELOW + total[1] + 0.45)
    title = canvas.say(
        "Dropout: the network that the sample at position {position} of epoch {epoch} trains",
        position=data.position,
        epoch=data.epoch,
    )
    canvas.headline(axes, MARGIN - 0.35, BELOW + total[1] + 0.12, title)
    whole = [np.ones_like(mask) for mask in data.masks]
    title = canvas.say("The whole network")
    _network(axes, data, whole, (0.0, BELOW + (0.0 if beside else height), height), title, theme)
    title = canvas.say("Thinned by its mask {m}", m="$m$")
    _network(axes, data, list(data.masks), (width if beside else 0.0, BELOW, height), title, theme, thin=True)
    scaled = "\\; / \\; p^l" if data.variant == "inverted" else ""
    masked = rf"$\tilde{{a}}^l = m^l \odot a^l {scaled}$"
    error = rf"$\delta^l = m^l \odot (W^{{l+1}})^\top \delta^{{l+1}} \odot \sigma\prime(z^l) {scaled}$"
    axes.text(MARGIN - 0.35, 0.65, f"{masked}      {error}", fontsize=10.5, va="center")
    note = canvas.say("{p}: probability of staying; a unit that is dropped has δ = 0, and gets no gradient", p="$p$")
    axes.text(MARGIN - 0.35, 0.25, note, fontsize=7.5, va="center", color=theme.faint)
    return figure


def _network(
    axes: Axes,
    data: Thinned,
    masks: list[np.ndarray],
    place: tuple[float, float, float],
    title: str,
    theme: Theme,
    thin: bool = False,
) -> None:
    left, bottom, height = place
    axes.text(left + MARGIN - 0.35, bottom + height - 0.2, title, fontsize=11, va="center")
    middle = bottom + FOOT + (height - HEAD - FOOT) / 2
    xs = [left + MARGIN + GAP * l for l in range(len(masks))]
    heights = [canvas.column(fold, middle, PITCH) for fold in data.folds]
    for l in range(1, len(masks)):
        pairs = [
            ((xs[l - 1], heights[l - 1][k]), (xs[l], heights[l][j]))
            for k, unit_below in enumerate(data.folds[l - 1].units)
            for j, unit in enumerate(data.folds[l].units)
            if masks[l - 1][unit_below] and masks[l][unit]
        ]
        if pairs:
            canvas.draw_lines(axes, np.array(pairs), [theme.faint] * len(pairs), np.full(len(pairs), 0.2))
    for l, fold in enumerate(data.folds):
        for unit, y in zip(fold.units, heights[l], strict=False):
            _unit(axes, xs[l], y, bool(masks[l][unit]), theme)
        if fold.more:
            text = canvas.say("{n} more", n=f"{fold.more:,}")
            if thin and data.keep[l] < 1:
                text += "\n" + canvas.say("{n} of them dropped", n=f"{_dropped_unseen(masks[l], fold):,}")
            canvas.draw_more(axes, xs[l], heights[l][-1], text)
        _head(axes, data, l, xs[l], bottom + height, masks[l], thin)


def _dropped_unseen(mask: np.ndarray, fold: Fold) -> int:
    """How many of the units that are not shown are dropped."""
    return int((~mask).sum() - (~mask[list(fold.units)]).sum())


def _unit(axes: Axes, x: float, y: float, stays: bool, theme: Theme) -> None:
    if stays:
        canvas.draw_unit_circle(axes, x, y, fill=theme.negative, edge=theme.ink, size=SIZE)
        return
    canvas.draw_unit_circle(axes, x, y, fill=theme.paper, edge=theme.faint, style="--", size=SIZE)
    arm = SIZE * canvas.RADIUS * 0.6
    for slope in (-1, 1):
        axes.plot([x - arm, x + arm], [y - slope * arm, y + slope * arm], color=theme.positive, linewidth=1.4)


def _head(axes: Axes, data: Thinned, l: int, x: float, top: float, mask: np.ndarray, thin: bool) -> None:
    symbol = f"$\\tilde{{a}}^{{{l}}}$" if thin and data.keep[l] < 1 else f"$a^{{{l}}}$"
    axes.text(x, top - 0.6, symbol, ha="center", va="center", fontsize=12)
    text = f"{len(mask):,}"
    if thin and data.keep[l] < 1:
        text = canvas.say("{kept} of {n}", kept=f"{int(mask.sum()):,}", n=text)
    axes.text(x, top - 0.83, text, ha="center", va="center", fontsize=7.5)
    if data.keep[l] < 1:
        axes.text(x, top - 1.0, f"$p$ = {canvas.number(data.keep[l])}", ha="center", va="center", fontsize=7.5)
