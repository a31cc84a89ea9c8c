"""All about a run on one page of HTML that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from glassnet.drawing import canvas
from glassnet.drawing.plots.kinds import KINDS, figure_of, that_apply
from glassnet.drawing.plots.series import depth_colours
from glassnet.drawing.plots.shown import Shown
from glassnet.errors import require
from glassnet.inspection.case import Finding
from glassnet.inspection.diagnosis import diagnose
from glassnet.messages import language, say
from glassnet.registry import component_text
from glassnet.storage import write_bytes

REPORT = "report.html"


def write_report(
    run: Path | str, out: Path | str | None = None, note: Callable[[str], None] = lambda text: None
) -> Path:
    """Write the page about a run.

    Parameters
    ----------
    run : path
        Its folder.
    out : path, optional
        The file; by default ``report.html`` in the run's folder.
    note : callable, optional
        Gets a sentence if the run has to be trained again for its snapshots.

    Raises
    ------
    InputError
        If there is no run, its data are not at hand, or the file cannot be written.
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    shown = Shown(Path(run), note)
    path = Path(out) if out is not None else shown.folder / REPORT
    write_bytes(path, report(shown).encode())
    return path


def report(shown: Shown) -> str:
    """The page."""
    title = say("Report of the run {name}", name=shown.name)
    sections = [
        _section(say("Summary"), _facts(_summary(shown))),
        _section(say("Diagnosis"), _findings(diagnose(shown.inside))),
        _section(say("On {rows}", rows=shown.which()), _figures(shown)),
        *(_plot(name, shown) for name in that_apply([shown])),
    ]
    return (
        f'<!doctype html>\n<html lang="{language()}">\n<head><meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n<h1>{html.escape(title)}</h1>\n"
        + "\n".join(sections)
        + "\n</body>\n</html>\n"
    )


_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1a1a1a;--faint:#767676;--line:#ddd}
.dark{display:none}
@media screen and (prefers-color-scheme:dark){
:root{--paper:#16191d;--ink:#ececec;--faint:#a0a0a0;--line:#3a3f45}.dark{display:inline}.light{display:none}}
body{background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
body{max-width:64rem;margin:0 auto;padding:1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}
p.read{color:var(--faint);margin:.3rem 0 1rem}
div.wide{overflow-x:auto}table{border-collapse:collapse}
td,th{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
div.finding{border-left:4px solid #d55e00;padding:0 0 0 1rem;margin:1rem 0}div.finding p{margin:.3rem 0}
svg{max-width:100%;min-width:34rem;height:auto}
@media print{section{break-inside:avoid}}
"""


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{html.escape(title)}</h2>\n{content}\n</section>"


def _facts(rows: Iterable[tuple[str, Any]]) -> str:
    cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>" for name, value in rows)
    return f'<div class="wide"><table>{cells}</table></div>'


def _summary(shown: Shown) -> list[tuple[str, Any]]:
    config, history, inside = shown.config, shown.history, shown.inside
    training, network = config.training, shown.model.network
    counts = [(say("to train"), inside.train_set), (say("to validate"), inside.validation_set)]
    counts.append((say("to test"), inside.test_set))
    rows = ", ".join(f"{len(part):,} {name}" for name, part in counts if part is not None)
    lr = training.lr
    optimiser = say("{optimiser}, learning rate {lr}", optimiser=component_text(training.optimiser), lr=lr)
    return [
        (say("data"), config.data.source),
        (say("rows"), rows),
        (say("task"), say(shown.model.task)),
        (say("network"), f"{'-'.join(map(str, network.sizes))}, {component_text(config.network.activation)}"),
        (say("parameters"), f"{network.n_parameters:,}"),
        (say("loss"), shown.model.loss.name),
        (say("optimiser"), f"{optimiser}, {component_text(training.schedule)}"),
        (say("batch"), training.batch_size),
        (say("epochs"), len(history)),
        (say("why it stopped"), history.stop_reason),
        (say("model of epoch"), history.best_epoch or len(history)),
        (say("seconds of training"), f"{history.seconds:.2f}"),
        (say("engine"), history.engine),
        (say("seed"), training.seed),
    ]


def _figures(shown: Shown) -> str:
    """The model's figures on rows that it has not seen, and by class."""
    found = shown.model.evaluate_examples(shown.examples)
    names = {"rows": say("rows"), "accuracy": say("accuracy"), "log_loss": say("log-loss"), "rmse": "RMSE"}
    names |= {"mae": "MAE", "r2": "R²"}
    text = _facts((name, f"{found[key]:,.6g}") for key, name in names.items() if key in found)
    if "classes" not in found:
        return text
    heads = (say("class"), say("precision"), say("recall"), "F1", say("rows"))
    head = "".join(f'<th class="{"number" if k else ""}">{html.escape(name)}</th>' for k, name in enumerate(heads))
    rows = "".join(
        f"<tr><td>{html.escape(str(c['label']))}</td>"
        + "".join(f'<td class="number">{c[key]:.4f}</td>' for key in ("precision", "recall", "f1"))
        + f'<td class="number">{c["support"]:,}</td></tr>'
        for c in found["classes"]
    )
    return f'{text}<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return f"<p>{html.escape(say('nothing found: the network learns as networks do'))}</p>"
    parts = []
    for finding in findings:
        title, evidence, reason, remedy = (html.escape(line.strip()) for line in finding.text().split("\n"))
        parts.append(
            f'<div class="finding"><p><strong>{title}</strong></p><p class="read">{evidence}</p>'
            f"<p>{reason}</p><p>{remedy}</p></div>"
        )
    return "\n".join(parts)


def _plot(name: str, shown: Shown) -> str:
    kind = KINDS[name]
    reading = f'<p class="read">{html.escape(kind.reading(say))}</p>'
    title = f"{kind.title(say)}, {shown.which()}" if kind.rows else kind.title(say)
    return _section(title, f'<div class="wide">{_picture(name, shown)}</div>\n{reading}')


def _picture(name: str, shown: Shown) -> str:
    """A plot whose colours are the page's; one that has pixels, which have colours of their own, in both themes."""
    text = _svg(name, shown, dark=False)
    if "<image" in text:
        looks = ((text, "light"), (_svg(name, shown, dark=True), "dark"))
        return "\n".join(_named(svg, name, look) for svg, look in looks)
    dark = dict(zip(_colours(canvas.LIGHT), _colours(canvas.DARK), strict=True))
    pattern = re.compile(rf"\b(fill|stroke): ({'|'.join(dark)})\b")
    used = dict.fromkeys(found[2] for found in pattern.finditer(text))
    text = pattern.sub(lambda found: f"{found[1]}: var(--{found[2][1:]})", text)
    rules = [
        f"#{name}-plot{{{';'.join(f'--{own[1:]}:{colour}' for own, colour in pairs)}}}"
        for pairs in (((own, own) for own in used), ((own, dark[own]) for own in used))
    ]
    style = f"<style>{rules[0]}\n@media screen and (prefers-color-scheme:dark){{{rules[1]}}}</style>\n"
    return style + _named(text, name, "plot")


def _colours(theme: canvas.Theme) -> list[str]:
    """All colours of lines and letters that a theme has, in the same order for each theme."""
    return [theme.ink, theme.faint, theme.negative, theme.positive, *depth_colours(theme)]


def _svg(name: str, shown: Shown, *, dark: bool) -> str:
    """A plot as SVG without paper."""
    clear = dict.fromkeys(("savefig.facecolor", "axes.facecolor"), "none")
    with (
        canvas.themed(dark) as theme,
        require("matplotlib", extra="plot").rc_context(clear),
        TemporaryDirectory() as folder,
    ):
        path = canvas.save(figure_of(name, [shown], theme), Path(folder) / f"{name}.svg")
        text = path.read_text(encoding="utf-8")
    return text[text.index("<svg") :]


def _named(text: str, name: str, look: str) -> str:
    """The drawing with names that no other drawing of the page has, and one for itself."""
    start = f'<svg id="{name}-{look}" class="{look}" role="img" aria-label="{html.escape(KINDS[name].title(say))}" '
    return _own_names(text, f"{name}-{look}").replace("<svg ", start, 1)


def _own_names(text: str, prefix: str) -> str:
    """The drawing with names that no other drawing of the page has."""
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    return text.replace("url(#", f"url(#{prefix}-")
