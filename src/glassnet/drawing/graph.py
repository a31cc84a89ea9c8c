"""The computational graph: what is computed of what, and what flows back."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from glassnet.drawing import canvas
from glassnet.drawing.canvas import Axes, Figure, Theme
from glassnet.drawing.sample import check_kinds, has_dropout, treats_units_alone
from glassnet.errors import ConfigError
from glassnet.layers import Dense, Dropout
from glassnet.losses import Loss
from glassnet.losses import loss as make_loss
from glassnet.messages import say
from glassnet.network import Network

Kind = Literal["tensor", "parameter", "operation"]


@dataclass(frozen=True)
class Node:
    """A tensor or an operation.

    Attributes
    ----------
    name : str
        Its own: "z1", "W1", "product1", …
    kind : {"tensor", "parameter", "operation"}
    label : str
        What stands in the box; symbols as mathtext.
    shape : tuple of int or None
        Of a tensor; None for an operation.
    row, column : int
        Where it stands: a row for each layer, a column for each step.
    beneath : bool
        Whether it stands below its place, as what an operation takes besides the chain does.
    """

    name: str
    kind: Kind
    label: str
    shape: tuple[int, ...] | None
    row: int
    column: int
    beneath: bool = False


@dataclass(frozen=True)
class Edge:
    """What flows from one node to another.

    Attributes
    ----------
    source, target : str
        Names of nodes; the values flow in this direction.
    back : str or None
        What flows back, as mathtext; None: nothing.
    """

    source: str
    target: str
    back: str | None


@dataclass(frozen=True)
class Graph:
    """The computational graph of a batch of so many rows in training.

    ``equations`` has BP.1 to BP.4 as they hold here, for a batch in rows, as mathtext under their names.
    """

    rows: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    equations: tuple[tuple[str, str], ...]

    def node(self, name: str) -> Node:
        """The node of a name."""
        return next(node for node in self.nodes if node.name == name)


class _Chain:
    """The chain from x to C, as it grows."""

    def __init__(self, rows: int, inputs: int) -> None:
        self.rows = rows
        self.nodes = [Node("x", "tensor", "$x = a^{0}$", (rows, inputs), 0, 0)]
        self.edges: list[Edge] = []
        self.last = self.nodes[0]
        self.back: str | None = None
        """What flows back into the last tensor; None below the first parameters."""

    def operation(self, name: str, label: str, back: str | None, new_row: int | None = None) -> None:
        """An operation on what came last; ``back`` flows out of it, backwards."""
        row = self.last.row if new_row is None else new_row
        column = self.last.column + 1 if row == self.last.row else 1
        self._add(Node(name, "operation", label, None, row, column), back)

    def tensor(self, name: str, label: str, shape: tuple[int, ...], back: str | None) -> None:
        """What the last operation gives; ``back`` is the derivative of C by it."""
        self._add(Node(name, "tensor", label, shape, self.last.row, self.last.column + 1), back)

    def _add(self, node: Node, back: str | None) -> None:
        self.nodes.append(node)
        self.edges.append(Edge(self.last.name, node.name, back))
        self.last = node

    def beside(self, name: str, kind: Kind, label: str, shape: tuple[int, ...], back: str | None) -> None:
        """Something that the last operation takes besides."""
        operation = self.last
        self.nodes.append(Node(name, kind, label, shape, operation.row, operation.column, beneath=True))
        self.edges.append(Edge(name, operation.name, back))


def computational_graph(network: Network, loss: Loss | str, *, rows: int) -> Graph:
    """What :func:`draw_graph` shows: the graph of a batch of ``rows`` in training, dropout masks included."""
    check_kinds(network)
    loss = make_loss(loss)
    if rows < 1:
        raise ConfigError(say("a batch has at least one row, not {rows}", rows=rows))
    sizes = network.sizes
    chain = _Chain(rows, sizes[0])
    row = int(isinstance(network.layers[0], Dropout))  # dropout of the inputs has a row of its own
    below: str | None = None  # ∂C/∂ what came last, if anything below needs it
    a_in = "a^{0}"
    for layer in network.layers:
        l = layer.number
        shape = (rows, sizes[l])
        if isinstance(layer, Dropout):
            masked = f"\\partial C / \\partial \\tilde{{a}}^{{{l}}}" if l else None
            chain.operation(f"drop{l}", _masked_label(layer), below)
            chain.beside(f"m{l}", "tensor", f"$m^{{{l}}}$", shape, None)
            chain.tensor(f"masked{l}", f"$\\tilde{{a}}^{{{l}}}$", shape, masked)
            below, a_in = masked, f"\\tilde{{a}}^{{{l}}}"
            continue
        assert isinstance(layer, Dense)
        _dense(chain, layer, rows, a_in, below, row + l - 1)
        a_in = f"a^{{{l}}}"
        below = f"\\partial C / \\partial a^{{{l}}}"
    chain.operation("loss", _wrapped(loss.name), below)
    chain.beside("y", "tensor", "$y$", (rows, sizes[-1]), None)
    chain.tensor("C", "$C$", (), "1")
    return Graph(rows, tuple(chain.nodes), tuple(chain.edges), tuple(_equations(network)))


def _equations(network: Network) -> list[tuple[str, str]]:
    dense = [layer for layer in network.layers if isinstance(layer, Dense)]
    a = r"\tilde{a}" if has_dropout(network) else "a"
    *hidden, last = [treats_units_alone(layer.activation) for layer in dense]
    alone = r"\delta^{%s} = \partial C/\partial a^{%s} \odot \sigma\prime(z^{%s})"
    mixed = r"\delta^{%s}_n = J_\sigma(z^{%s}_n)^\top \, \partial C/\partial a^{%s}_n"
    equations = [("BP.1", f"${(alone if last else mixed).replace('%s', 'L')}$")]
    if hidden:
        own = (alone if all(hidden) else mixed).replace("%s", "l")
        equations.append(("BP.2", rf"${own}, \;\; \partial C/\partial {a}^l = \delta^{{l+1}} W^{{l+1}}$"))
    if any("b" in layer.params for layer in dense):
        equations.append(("BP.3", r"$\partial C/\partial b^l = \sum_n \; \delta^l_n$"))
    return [*equations, ("BP.4", rf"$\partial C/\partial W^l = (\delta^l)^\top {a}^{{l-1}}$")]


def _dense(chain: _Chain, layer: Dense, rows: int, a_in: str, below: str | None, row: int) -> None:
    """z = a_in Wᵀ + b, a = σ(z), and on the way back δ, ∂C/∂b, ∂C/∂W, ∂C/∂a of the layer below."""
    l = layer.number
    shape = (rows, layer.n_out)
    delta = f"\\delta^{{{l}}}"
    chain.operation(f"product{l}", f"${a_in} \\, (W^{{{l}}})^\\top$", below, row)
    chain.beside(f"W{l}", "parameter", f"$W^{{{l}}}$", (layer.n_out, layer.n_in), f"\\partial C / \\partial W^{{{l}}}")
    if "b" in layer.params:
        chain.operation(f"sum{l}", f"$+\\; b^{{{l}}}$", delta)
        chain.beside(f"b{l}", "parameter", f"$b^{{{l}}}$", (layer.n_out,), f"\\partial C / \\partial b^{{{l}}}")
    chain.tensor(f"z{l}", f"$z^{{{l}}}$", shape, delta)
    chain.operation(f"activation{l}", f"$\\sigma$\n{_wrapped(layer.activation.name)}", delta)
    chain.tensor(f"a{l}", f"$a^{{{l}}}$", shape, f"\\partial C / \\partial a^{{{l}}}")


def _masked_label(layer: Dropout) -> str:
    factor = "m / p" if layer.variant == "inverted" else "m"
    return f"$\\odot\\; {factor}$\n$p$ = {canvas.number(layer.keep)}"


def _wrapped(name: str) -> str:
    return textwrap.fill(name.replace("_", " "), 11)


def draw_graph(network: Network, loss: Loss | str, path: str | Path, *, rows: int, dark: bool = False) -> Path:
    """Draw the computational graph of a batch in training: forward edges solid, backward edges dashed.

    Parameters
    ----------
    network : Network
    loss : Loss or its name
    path : str or Path
        The picture's file; its ending decides the form (``.png``, ``.svg``, ``.pdf``).
    rows : int
        N, the size of the batch.
    dark : bool, default False
        Light on dark.

    Raises
    ------
    ConfigError
        If there are no rows, or the file's ending is not one that can be drawn.
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    path = canvas.check_file(path)
    graph = computational_graph(network, loss, rows=rows)
    with canvas.themed(dark) as theme:
        return canvas.save(paint(graph, theme), path)


STEP, ROW = 1.5, 2.1  # from column to column and from row to row, in inches
BELOW = 0.9  # from an operation down to what it takes besides
BOX = (0.9, 0.5)
MARGIN, HEAD, FOOT = 0.9, 1.25, 1.1
APART = 0.065  # between an edge and the middle of the pair that goes forward and back


def paint(graph: Graph, theme: Theme) -> Figure:
    """The picture."""
    rows = 1 + max(node.row for node in graph.nodes)
    columns = 1 + max(node.column for node in graph.nodes)
    width, height = 2 * MARGIN + STEP * (columns - 1), HEAD + ROW * (rows - 1) + BELOW + BOX[1] / 2 + FOOT
    figure, axes = canvas.sheet(width, height)
    title = canvas.say("Computational graph of a batch of {rows} in training", rows=graph.rows)
    canvas.headline(axes, MARGIN - 0.45, height - 0.35, title)
    _legend(axes, height - 0.68, theme)
    places = {}
    for node in graph.nodes:
        y = height - HEAD - ROW * node.row - BELOW * node.beneath
        places[node.name] = (MARGIN + STEP * node.column, y)
    for edge in graph.edges:
        source, target = graph.node(edge.source), graph.node(edge.target)
        ends = (places[edge.source], places[edge.target])
        if source.beneath:
            _upward(axes, ends, edge.back, theme)
        elif source.row == target.row:
            _onward(axes, ends, edge.back, theme)
        else:
            _next_row(axes, ends, edge.back, theme)
    for node in graph.nodes:
        _box(axes, node, *places[node.name], theme)
    _tags(axes, graph, places, theme)
    for i, (tag, equation) in enumerate(graph.equations):
        x, y = MARGIN - 0.45 + 3.0 * (i % 2), FOOT - 0.35 - 0.28 * (i // 2)
        canvas.draw_tag(axes, x + 0.16, y, tag, theme)
        axes.text(x + 0.4, y, equation, fontsize=10, va="center")
    note = canvas.say("samples n are rows; C is their mean, so that each δ carries 1/N")
    axes.text(MARGIN - 0.45, 0.2, note, fontsize=7.5, va="center", color=theme.faint)
    return figure


def _tags(axes: Axes, graph: Graph, places: dict[str, tuple[float, float]], theme: Theme) -> None:
    """Where each of the four equations acts."""
    depth = sum(node.name.startswith("W") for node in graph.nodes)
    for name, (x, y) in places.items():
        if name.startswith("activation"):
            tag = "BP.1" if name == f"activation{depth}" else "BP.2"
            canvas.draw_tag(axes, x, y - BOX[1] / 2 - 0.14, tag, theme)
        elif graph.node(name).kind == "parameter":
            tag = "BP.4" if name.startswith("W") else "BP.3"
            canvas.draw_tag(axes, x + 0.85, y + BELOW / 2, tag, theme)


def _legend(axes: Axes, y: float, theme: Theme) -> None:
    x = MARGIN - 0.45
    for text, back in ((canvas.say("forward: values"), False), (canvas.say("backward: derivatives of C"), True)):
        ends = [(x + 0.45, y), (x, y)] if back else [(x, y), (x + 0.45, y)]
        _arrow(axes, ends, back, theme)
        axes.text(x + 0.55, y, text, fontsize=8, va="center")
        x += 2.4
    looks = {"edgecolor": theme.negative, "linewidth": 1.6}
    canvas.draw_box(axes, x + 0.15, y, 0.3, 0.18, "", theme, **looks)
    axes.text(x + 0.4, y, canvas.say("parameters"), fontsize=8, va="center")


def _box(axes: Axes, node: Node, x: float, y: float, theme: Theme) -> None:
    text = node.label if node.shape is None else f"{node.label}\n{canvas.shape(*node.shape)}"
    looks: dict[Any, Any] = {
        "operation": {"boxstyle": "round,pad=0,rounding_size=0.25"},
        "parameter": {"edgecolor": theme.negative, "linewidth": 1.6},
        "tensor": {},
    }
    canvas.draw_box(axes, x, y, *BOX, text, theme, **looks[node.kind])


def _arrow(axes: Axes, points: list[tuple[float, float]], back: bool, theme: Theme) -> None:
    canvas.draw_arrow(axes, points, theme.positive if back else theme.ink, dashed=back)


Ends = tuple[tuple[float, float], tuple[float, float]]


def _onward(axes: Axes, ends: Ends, back: str | None, theme: Theme) -> None:
    """To the next column, and back."""
    (x0, y), (x1, _) = ends
    x0, x1 = x0 + BOX[0] / 2, x1 - BOX[0] / 2
    if back is None:
        _arrow(axes, [(x0, y), (x1, y)], False, theme)
        return
    _arrow(axes, [(x0, y + APART), (x1, y + APART)], False, theme)
    _arrow(axes, [(x1, y - APART), (x0, y - APART)], True, theme)
    axes.text(
        (x0 + x1) / 2, y - APART - 0.17, f"${back}$", ha="center", va="center", fontsize=8.5, color=theme.positive
    )


def _upward(axes: Axes, ends: Ends, back: str | None, theme: Theme) -> None:
    """Up into an operation, and back."""
    (x, y0), (_, y1) = ends
    y0, y1 = y0 + BOX[1] / 2, y1 - BOX[1] / 2
    if back is None:
        _arrow(axes, [(x, y0), (x, y1)], False, theme)
        return
    _arrow(axes, [(x - APART, y0), (x - APART, y1)], False, theme)
    _arrow(axes, [(x + APART, y1), (x + APART, y0)], True, theme)
    axes.text(x + APART + 0.08, (y0 + y1) / 2, f"${back}$", va="center", fontsize=8.5, color=theme.positive)


def _next_row(axes: Axes, ends: Ends, back: str | None, theme: Theme) -> None:
    """Around the end of a row to the start of the next, and back."""
    (x0, y0), (x1, y1) = ends
    x0, x1 = x0 + BOX[0] / 2, x1 - BOX[0] / 2
    right, between, left = x0 + 0.2, y1 + BOX[1] / 2 + 0.3, x1 - 0.35
    far = 0.0 if back is None else APART
    forward = [
        (x0, y0 + far),
        (right + far, y0 + far),
        (right + far, between - far),
        (left + far, between - far),
        (left + far, y1 + far),
        (x1, y1 + far),
    ]
    _arrow(axes, forward, False, theme)
    if back is None:
        return
    backward = [
        (x0, y0 - far),
        (right - far, y0 - far),
        (right - far, between + far),
        (left - far, between + far),
        (left - far, y1 - far),
        (x1, y1 - far),
    ]
    _arrow(axes, backward[::-1], True, theme)
    middle = (left + right) / 2
    axes.text(middle, between + far + 0.17, f"${back}$", ha="center", va="center", fontsize=8.5, color=theme.positive)
