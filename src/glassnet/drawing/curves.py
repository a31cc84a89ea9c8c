"""Loss and metric, epoch by epoch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from glassnet.errors import require
from glassnet.messages import language, say
from glassnet.training.history import History

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#7f7f7f"  # from the palette of Okabe and Ito 2008

_CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "SimHei",
    "WenQuanYi Micro Hei",
)


def draw_curves(history: History, path: str | Path, *, title: str = "") -> Path:
    """Draw training and validation loss and metric over the epochs, with the best epoch marked.

    Parameters
    ----------
    history : History
    path : str or Path
        The picture's file; its ending decides the form (``.png``, ``.svg``, ``.pdf``).
    title : str, default ""

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    matplotlib = require("matplotlib", extra="plot")
    require("matplotlib.figure", extra="plot")
    metric = "accuracy" if history["accuracy"] else "r2"
    names = {"loss": _word("loss"), "accuracy": _word("accuracy"), "r2": "R²"}
    with matplotlib.rc_context(_style()):
        figure = matplotlib.figure.Figure(figsize=(9, 3.6), layout="constrained")
        for axes, key in zip(figure.subplots(1, 2), ("loss", metric), strict=True):
            _panel(axes, history, key, names[key])
        if title:
            figure.suptitle(title, parse_math=False)
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # a title in letters that no font here has
            figure.savefig(path, dpi=150)
    return path


def _panel(axes: Any, history: History, key: str, name: str) -> None:
    epochs = history["epoch"]
    axes.plot(epochs, history[key], color=BLUE, label=_word("training"))
    if history[f"val_{key}"]:
        axes.plot(epochs, history[f"val_{key}"], color=ORANGE, label=_word("validation"))
    if history.best_epoch is not None:
        label = f"{_word('best epoch')} ({history.best_epoch})"
        axes.axvline(history.best_epoch, color=GREY, linestyle="--", linewidth=1, label=label)
    if key == "loss" and min(history[key] + history[f"val_{key}"]) > 0:
        axes.set_yscale("log")
    axes.set_xlabel(_word("epoch"))
    axes.set_ylabel(name)
    axes.grid(alpha=0.25, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _word(text: str) -> str:
    """A word of the picture in the language in use, if a font for it is there."""
    return _WORDS[text]() if _font() or language() == "en" else text


_WORDS = {
    "loss": lambda: say("loss"),
    "accuracy": lambda: say("accuracy"),
    "training": lambda: say("training"),
    "validation": lambda: say("validation"),
    "best epoch": lambda: say("best epoch"),
    "epoch": lambda: say("epoch"),
}


def _font() -> str | None:
    """A font with Chinese characters, if the machine has one."""
    fonts = require("matplotlib.font_manager", extra="plot")
    installed = {font.name for font in fonts.fontManager.ttflist}
    return next((name for name in _CHINESE_FONTS if name in installed), None)


def _style() -> dict[str, Any]:
    font = _font()
    fonts = [font, "DejaVu Sans"] if language() == "zh" else ["DejaVu Sans", font]  # letters missing in one: the next
    return {"font.sans-serif": fonts, "font.family": "sans-serif"} if font else {}
