"""What all pictures share: themes, words, numbers, sheets, layers of units, and files.

Diagrams are drawn on a sheet whose coordinates are inches, so that what fits on one fits on any: a network of 1,000
units a layer is folded to as many as can be read.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from glassnet import messages
from glassnet.errors import ConfigError, require

Figure: TypeAlias = Any
"""A ``matplotlib.figure.Figure``."""
Axes: TypeAlias = Any
"""A ``matplotlib.axes.Axes``."""

# Themes


@dataclass(frozen=True)
class Theme:
    """The colours of a picture; those of values are from the palette of Okabe and Ito 2008, for all eyes."""

    paper: str
    ink: str
    faint: str
    negative: str
    positive: str


LIGHT = Theme(paper="#ffffff", ink="#1a1a1a", faint="#767676", negative="#0072b2", positive="#d55e00")
DARK = Theme(paper="#16191d", ink="#ececec", faint="#a0a0a0", negative="#56b4e9", positive="#e69f00")


@contextmanager
def themed(dark: bool) -> Iterator[Theme]:
    """The theme in which figures are made while this lasts."""
    theme = DARK if dark else LIGHT
    colours = {f"{part}.facecolor": theme.paper for part in ("figure", "axes", "savefig")}
    colours |= dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), theme.ink)
    with require("matplotlib", extra="plot").rc_context(
        {**colours, "axes.edgecolor": theme.faint, "legend.frameon": False, **_fonts()}
    ):
        yield theme


_CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "SimHei",
    "WenQuanYi Micro Hei",
)


def _chinese_font() -> str | None:
    """A font with Chinese characters, if the machine has one."""
    fonts = require("matplotlib.font_manager", extra="plot")
    installed = {font.name for font in fonts.fontManager.ttflist}
    return next((name for name in _CHINESE_FONTS if name in installed), None)


def _fonts() -> dict[str, Any]:
    font = _chinese_font()
    chinese = messages.language() == "zh"
    order = [font, "DejaVu Sans"] if chinese else ["DejaVu Sans", font]  # letters missing in one: the next
    return {"font.sans-serif": order, "font.family": "sans-serif"} if font else {}


# Words and numbers


def say(text: str, /, **values: object) -> str:
    """:func:`glassnet.messages.say` for a picture: in English if no font has the language's letters."""
    speak = messages.say if _chinese_font() else str.format
    return speak(text, **values)


def number(value: float, digits: int = 3) -> str:
    """A number in at most ``digits`` figures: 0.123, −1.2e−5."""
    value += 0.0  # −0 to 0
    text = f"{value:.{digits}g}"
    if 0 < abs(value) < 1e-3:
        text = f"{value:.{digits - 1}e}"
    mantissa, _, exponent = text.partition("e")
    if exponent:
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−")


def short(value: float) -> str:
    """A number in as many of three figures as fit into a unit's circle."""
    texts = [number(value, digits) for digits in (3, 2, 1)]
    return next((text for text in texts if len(text) <= 7), texts[-1])


def shape(*sizes: int) -> str:
    """A shape as it is written in the text: (16, 64)."""
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"


# Colours of values


def largest(arrays: Sequence[np.ndarray]) -> float:
    """The largest finite |value|, or 1 if there is none above 0: the end of a scale that has 0 in its middle."""
    found = max((float(np.max(np.abs(a), where=np.isfinite(a), initial=0.0)) for a in arrays), default=0.0)
    return found or 1.0


def scale(theme: Theme, limit: float) -> Any:
    """A mapping from values in [−limit, limit] to colours: blue below 0, the paper at 0, orange above."""
    colours = require("matplotlib.colors", extra="plot")
    cm = require("matplotlib.cm", extra="plot")
    ends = [theme.negative, theme.paper, theme.positive]
    colour_map = colours.LinearSegmentedColormap.from_list("signed", ends)
    return cm.ScalarMappable(colours.Normalize(-limit, limit), colour_map)


def ink_on(colour: Sequence[float]) -> str:
    """Black or white, whichever is easier to read on a colour (its relative luminance, WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.18 else "#ffffff"


def scale_bar(figure: Figure, mapping: Any, left: float, bottom: float, width: float, label: str) -> None:
    """A scale's colour bar on a sheet, its left bottom corner and width in inches."""
    sheet_width, sheet_height = figure.get_size_inches()
    place = (left / sheet_width, bottom / sheet_height, width / sheet_width, 0.1 / sheet_height)
    limit = mapping.norm.vmax
    bar = figure.colorbar(mappable=mapping, cax=figure.add_axes(place), orientation="horizontal")
    bar.set_ticks([-limit, 0.0, limit], labels=[number(v) for v in (-limit, 0.0, limit)])
    bar.ax.tick_params(labelsize=7, length=2)
    bar.ax.set_title(label, fontsize=8, pad=3)


# Sheets and files


def sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one empty plane over all of it, whose coordinates are inches from the left bottom corner."""
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


ENDINGS = (".png", ".svg", ".pdf")


def check_file(path: str | Path) -> Path:
    """``path``, if its ending is one that can be drawn, or ConfigError."""
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        text = messages.say(
            "cannot draw a file with the ending {ending!r}: {path}; use one of {known}",
            ending=path.suffix,
            path=path,
            known=", ".join(ENDINGS),
        )
        raise ConfigError(text)
    return path


def save(figure: Figure, path: Path) -> Path:
    """Write a picture; ConfigError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # a title in letters that no font here has
            figure.savefig(path, dpi=150)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(messages.say("cannot write {path}: {reason}", path=path, reason=reason)) from error
    return path


# Layers of units

ROOM = 10  # units of a layer that can be shown
RADIUS = 0.24  # of a unit; this and the next in inches
PITCH = 0.63  # from unit to unit


@dataclass(frozen=True)
class Fold:
    """Which units of a layer are shown.

    Attributes
    ----------
    units : tuple of int
        Their indices, from 0, in order.
    more : int
        How many are not shown.
    """

    units: tuple[int, ...]
    more: int

    @property
    def slots(self) -> int:
        """Places in the column: the units and the mark that stands for the rest."""
        return len(self.units) + (self.more > 0)


def fold(scores: np.ndarray, room: int = ROOM) -> Fold:
    """All units if there is room, else those of the largest scores."""
    n = len(scores)
    if n <= room:
        return Fold(tuple(range(n)), 0)
    first = np.argsort(-scores, kind="stable")[: room - 2]
    return Fold(tuple(sorted(first.tolist())), n - len(first))


def height_of(folds: Sequence[Fold]) -> float:
    """Of the highest column, in inches."""
    return PITCH * max(fold.slots for fold in folds)


def column(fold: Fold, middle: float) -> np.ndarray:
    """The heights of a column's units around ``middle``, (slots,); the last is the mark's, if there is one."""
    return middle + PITCH * ((fold.slots - 1) / 2 - np.arange(fold.slots))


def draw_more(axes: Axes, x: float, y: float, text: str) -> None:
    """The mark for units that are not shown."""
    axes.text(x, y + 0.12, "⋮", ha="center", va="center", fontsize=11)
    axes.text(x, y - 0.1, text, ha="center", va="center", fontsize=7)


def draw_lines(axes: Axes, ends: np.ndarray, colours: Sequence[Any], strengths: np.ndarray) -> None:
    """Straight lines (n, 2, 2) from unit to unit, the thicker and the less transparent the stronger, from 0 to 1."""
    collections = require("matplotlib.collections", extra="plot")
    strengths = np.nan_to_num(strengths)
    lines = collections.LineCollection(
        ends, colors=colours, linewidths=0.3 + 2.5 * strengths, alpha=0.12 + 0.78 * strengths, zorder=1
    )
    axes.add_collection(lines)


def draw_unit_circle(
    axes: Axes, x: float, y: float, *, fill: Any, edge: str, text: str = "", size: float = 1.0, style: str = "-"
) -> None:
    """A unit."""
    patches = require("matplotlib.patches", extra="plot")
    circle = patches.Circle((x, y), size * RADIUS, facecolor=fill, edgecolor=edge, linewidth=0.9, linestyle=style)
    axes.add_artist(circle)
    if text:
        ink = ink_on(require("matplotlib.colors", extra="plot").to_rgb(fill))
        axes.text(x, y, text, ha="center", va="center", fontsize=6.5 + 2.5 * (size - 1), color=ink)


def draw_box(
    axes: Axes, x: float, y: float, width: float, height: float, text: str, theme: Theme, **looks: Any
) -> None:
    """A box around a text."""
    patches = require("matplotlib.patches", extra="plot")
    looks = {"facecolor": theme.paper, "edgecolor": theme.ink, "linewidth": 0.9, "boxstyle": "square,pad=0", **looks}
    axes.add_artist(patches.FancyBboxPatch((x - width / 2, y - height / 2), width, height, **looks))
    axes.text(x, y, text, ha="center", va="center", fontsize=8, linespacing=1.3)


def draw_label(axes: Axes, x: float, y: float, text: str, theme: Theme, size: float = 6) -> None:
    """A few words at a unit, with the paper around the letters so that lines do not cross them."""
    effects = require("matplotlib.patheffects", extra="plot")
    halo = [effects.withStroke(linewidth=2.5, foreground=theme.paper)]
    axes.text(x, y, text, ha="center", va="center", fontsize=size, color=theme.ink, path_effects=halo)
