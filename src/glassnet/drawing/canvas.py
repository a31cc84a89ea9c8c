"""What all pictures share: themes, words, numbers, sheets, layers of units, and files.

Diagrams are drawn on a sheet whose coordinates are inches, so that what fits on one fits on any: a network of 1,000
units a layer is folded to as many as can be read.
"""

from __future__ import annotations

import logging
import math
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from glassnet import messages
from glassnet.errors import ConfigError, require, unwritable

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
    """The theme in which figures are made while this lasts.

    Letters of SVG and PDF are outlines, so that a picture looks the same where its fonts are not installed, symbols
    and Chinese included. What SVG derives names from is fixed, so that the same picture is the same file.
    """
    theme = DARK if dark else LIGHT
    colours = {f"{part}.facecolor": theme.paper for part in ("figure", "axes", "savefig")}
    colours |= dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), theme.ink)
    files = {"svg.fonttype": "path", "svg.hashsalt": "glassnet", "mathtext.fontset": "stix"}
    with require("matplotlib", extra="plot").rc_context(
        {**colours, **files, "axes.edgecolor": theme.faint, "legend.frameon": False, **_fonts()}
    ):
        yield theme


_CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",  # the first of a collection, which holds the Chinese one
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "SimHei",
    "WenQuanYi Micro Hei",
)
_CHINESE_FILES = ("notosanscjk", "sourcehansans", "msyh", "pingfang", "simhei", "wqy-microhei")


@cache
def _chinese_font() -> str | None:
    """A font with Chinese characters, if the machine has one, also one that came after matplotlib made its list."""
    fonts = require("matplotlib.font_manager", extra="plot")
    listed = {font.name for font in fonts.fontManager.ttflist}
    if not listed & set(_CHINESE_FONTS):
        for file in sorted(fonts.findSystemFonts()):
            if Path(file).name.lower().startswith(_CHINESE_FILES):
                fonts.fontManager.addfont(file)
        listed = {font.name for font in fonts.fontManager.ttflist}
    return next((name for name in _CHINESE_FONTS if name in listed), None)


def _fonts() -> dict[str, Any]:
    """The fonts' families; letters that are missing in one are taken from the next."""
    font = _chinese_font()
    order = [font, "DejaVu Sans"] if messages.language() == "zh" else ["DejaVu Sans", font]
    return {"font.family": order} if font else {}


# Words and numbers


def say(text: str, /, **values: object) -> str:
    """:func:`glassnet.messages.say` for a picture: in English if no font has the language's letters."""
    speak = messages.say if _chinese_font() else str.format
    return speak(text, **values)


def number(value: float, digits: int = 3) -> str:
    """A number in at most ``digits`` figures: 0.123, −1.2·10⁻⁵."""
    value += 0.0  # −0 to 0
    text = f"{value:.{digits}g}"
    if 0 < abs(value) < 1e-3:
        text = f"{value:.{digits - 1}e}"
    mantissa, _, exponent = text.replace("-", "−").partition("e")
    if not exponent:
        return mantissa
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}·{power(int(exponent.replace('−', '-')))}"


_RAISED = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"


def power(exponent: int) -> str:
    """A power of ten: 10⁻³."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", _RAISED))


def beside_math(text: str) -> str:
    """A number for a text with formulas in it: such a text has one font only, which may lack raised figures."""
    lowered = str.maketrans(_RAISED, "-0123456789")
    return re.sub(f"[{_RAISED}]+", lambda found: f"$^{{{found[0].translate(lowered)}}}$", text)


@dataclass(frozen=True)
class Numbers:
    """How the numbers of a panel are written: all in one unit, a power of ten, and so short that a circle holds each.

    Attributes
    ----------
    exponent : int
        Of the unit 10^exponent.
    decimals : int
    """

    exponent: int
    decimals: int

    @classmethod
    def up_to(cls, limit: float) -> Numbers:
        """For numbers of which none is larger than ``limit``."""
        size = math.floor(math.log10(float(f"{limit:.2e}")))
        exponent = 0 if -1 <= size <= 2 else size
        return cls(exponent, {-1: 3, 2: 1}.get(size - exponent, 2))

    def __call__(self, value: float) -> str:
        """The number in the panel's unit; 0 only if it is exactly 0."""
        if value == 0 or not math.isfinite(value):
            return number(value)
        text = f"{value / 10.0**self.exponent:.{self.decimals}f}"
        return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")

    def label(self, symbol: str) -> str:
        """A quantity with its unit, for a colour bar."""
        unit = beside_math(power(self.exponent))
        return say("{symbol}, in {unit}", symbol=symbol, unit=unit) if self.exponent else symbol


def shortened(text: str, width: int) -> str:
    """A name in at most so many letters; wide ones, as Chinese has them, count twice."""
    text = "".join(letter for letter in text if letter.isprintable())
    widths = [1 + (unicodedata.east_asian_width(letter) in "FW") for letter in text]
    if sum(widths) <= width:
        return text
    kept = next(n for n in range(len(text), -1, -1) if sum(widths[:n]) < width)
    return text[:kept].rstrip() + "…"


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


def inset(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes on a sheet; their left bottom corner, width and height in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def scale_bar(figure: Figure, mapping: Any, left: float, bottom: float, symbol: str) -> None:
    """A scale's colour bar on a sheet, its left bottom corner in inches."""
    limit = mapping.norm.vmax
    numbers = Numbers.up_to(limit)
    bar = figure.colorbar(mappable=mapping, cax=inset(figure, left, bottom, 1.5, 0.1), orientation="horizontal")
    bar.set_ticks([-limit, 0.0, limit], labels=[numbers(v) for v in (-limit, 0.0, limit)])
    bar.ax.tick_params(labelsize=7, length=2)
    bar.ax.set_title(numbers.label(symbol), fontsize=8.5, pad=3)


def width_bar(axes: Axes, left: float, bottom: float, symbol: str, theme: Theme) -> None:
    """What the edges' colours and widths mean, its left bottom corner in inches; 1.5 wide, as a colour bar."""
    steps = np.linspace(-1, 1, 13)
    xs = left + 1.5 * (np.arange(13) + 0.5) / 13
    ends = np.stack([np.stack([xs - 0.05, xs + 0.05]), np.full((2, 13), bottom + 0.05)]).T
    colours = [theme.positive if step > 0 else theme.negative for step in steps]
    draw_lines(axes, ends, colours, np.abs(steps))
    axes.text(left + 0.75, bottom + 0.15, symbol, ha="center", va="bottom", fontsize=8.5)
    for x, text in ((0.0, "−max"), (0.75, "0"), (1.5, "max")):
        axes.text(left + x, bottom - 0.04, text, ha="center", va="top", fontsize=7)


# Sheets and files


def sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one empty plane over all of it, whose coordinates are inches from the left bottom corner."""
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def headline(axes: Axes, x: float, y: float, text: str) -> None:
    """What a picture shows, in a line; also the title of its file."""
    axes.figure.set_label(text)
    axes.text(x, y, text, fontsize=12, fontweight="bold", va="center")


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
        with warnings.catch_warnings(), _quiet("matplotlib.font_manager"):  # a Chinese font that has no bold letters
            warnings.filterwarnings("ignore", message="Glyph")  # a title in letters that no font here has
            _settle(figure)
            options = {"dpi": 200, "metadata": _metadata(figure, path.suffix.lower())}
            if path.suffix.lower() == ".svg":
                text = StringIO()
                figure.savefig(text, format="svg", **options)
                path.write_text(_compact(text.getvalue()), encoding="utf-8", newline="\n")
            else:
                figure.savefig(path, **options)
    except OSError as error:
        raise unwritable(ConfigError, path, error) from error
    return path


def _compact(svg: str) -> str:
    """A drawing in thousandths of a point and without indentation: shorter, and without the noise of rounding."""
    svg = re.sub(r"(?<!scale\()(\d+\.\d{3})\d+", r"\1", svg)
    return "\n".join(line.strip() for line in svg.splitlines()) + "\n"


def _settle(figure: Figure) -> None:
    """Fix the layout to a millionth of the page: the last digits that its solver finds are not always the same."""
    if figure.get_layout_engine() is None:
        return
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, 6))


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """A logger without its warnings, while this lasts."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _metadata(figure: Figure, ending: str) -> dict[str, str | None]:
    """What a file says of itself: its title, and neither the time nor the version of what drew it."""
    never = {".png": ("Software",), ".svg": ("Date", "Creator"), ".pdf": ("CreationDate", "Creator", "Producer")}
    title = figure.get_label()
    return {**dict.fromkeys(never[ending]), **({"Title": title} if title else {})}


# Layers of units

ROOM = 10  # units of a layer that can be shown
RADIUS = 0.21  # of a unit; this and the next in inches
PITCH = 0.57  # from unit to unit


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


def height_of(folds: Sequence[Fold], pitch: float = PITCH) -> float:
    """Of the highest column, in inches."""
    return pitch * max(fold.slots for fold in folds)


def column(fold: Fold, middle: float, pitch: float = PITCH) -> np.ndarray:
    """The heights of a column's units around ``middle``, (slots,); the last is the mark's, if there is one."""
    return middle + pitch * ((fold.slots - 1) / 2 - np.arange(fold.slots))


def draw_more(axes: Axes, x: float, y: float, text: str) -> None:
    """The mark for units that are not shown."""
    axes.text(x, y + 0.1, "⋮", ha="center", va="center", fontsize=11)
    axes.text(x, y - 0.04, text, ha="center", va="top", fontsize=7.5)


def draw_lines(axes: Axes, ends: np.ndarray, colours: Sequence[Any], strengths: np.ndarray) -> None:
    """Straight lines (n, 2, 2), the wider and the less transparent the stronger (0 to 1), the strongest on top."""
    collections = require("matplotlib.collections", extra="plot")
    strengths = np.nan_to_num(strengths)
    order = np.argsort(strengths, kind="stable")
    strengths = strengths[order]
    lines = collections.LineCollection(
        ends[order],
        colors=[colours[i] for i in order],
        linewidths=0.3 + 2.4 * strengths,
        alpha=0.12 + 0.78 * strengths,
        zorder=1,
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
        axes.text(x, y, text, ha="center", va="center", fontsize=7 + 2.5 * (size - 1), color=ink)


def draw_box(
    axes: Axes, x: float, y: float, width: float, height: float, text: str, theme: Theme, **looks: Any
) -> None:
    """A box around a text."""
    patches = require("matplotlib.patches", extra="plot")
    looks = {"facecolor": theme.paper, "edgecolor": theme.ink, "linewidth": 0.9, "boxstyle": "square,pad=0", **looks}
    axes.add_artist(patches.FancyBboxPatch((x - width / 2, y - height / 2), width, height, **looks))
    axes.text(x, y, text, ha="center", va="center", fontsize=8, linespacing=1.3)


def draw_label(axes: Axes, x: float, y: float, text: str, theme: Theme, size: float = 7.5, **looks: Any) -> None:
    """A few words at a unit, on a piece of paper so that lines do not cross them."""
    plate = {"boxstyle": "square,pad=0.05", "facecolor": theme.paper, "edgecolor": "none", "alpha": 0.75}
    looks = {"ha": "center", "va": "center", "color": theme.ink, **looks}
    axes.text(x, y, text, fontsize=size, bbox=plate, **looks)


def draw_arrow(
    axes: Axes, points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False, width: float = 1.1
) -> None:
    """A line through the points with a head at its end."""
    patches = require("matplotlib.patches", extra="plot")
    paths = require("matplotlib.path", extra="plot")
    style = (0, (4, 2.5)) if dashed else "-"
    (x0, y0), (x1, y1) = points[-2:]
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    start = (x1 - (x1 - x0) * 0.09 / length, y1 - (y1 - y0) * 0.09 / length)
    line = paths.Path([*points[:-1], start])
    axes.add_artist(patches.PathPatch(line, facecolor="none", edgecolor=colour, linestyle=style, linewidth=width))
    head = {"arrowstyle": "-|>", "mutation_scale": 8, "shrinkA": 0, "shrinkB": 0, "linewidth": 0.8}
    axes.add_artist(patches.FancyArrowPatch(start, points[-1], color=colour, **head))


def draw_tag(axes: Axes, x: float, y: float, text: str, theme: Theme) -> None:
    """The name of the equation that acts here."""
    box = {"boxstyle": "round,pad=0.2", "facecolor": theme.paper, "edgecolor": theme.faint, "linewidth": 0.6}
    axes.text(x, y, text, ha="center", va="center", fontsize=7, color=theme.ink, bbox=box)
