"""What the pictures show is what back-propagation computes."""

import numpy as np
import pyarrow as pa
import pytest

from cases.networks import random_problem
from glassnet.activations import Custom
from glassnet.backprop import backprop, backward_pass, forward_pass
from glassnet.drawing import Names, draw_gradients, draw_passes, draw_unit, names_of
from glassnet.drawing.dropout import thinned
from glassnet.drawing.gradients import gradients, strongest
from glassnet.drawing.graph import computational_graph
from glassnet.drawing.passes import passes
from glassnet.drawing.sample import follow
from glassnet.drawing.unit import TERMS, unit_error
from glassnet.errors import ConfigError, ShapeError
from glassnet.layers import Dense, Dropout, Layer
from glassnet.losses import loss as make_loss
from glassnet.model import Model
from glassnet.network import Network
from glassnet.runs import fit

PROBLEMS = range(30)


def core(network, loss, x, y):
    """The batch's pass without dropout: caches and gradients of the dense layers, the value and the output."""
    x, y, _, loss = network.checked_batch(x, y, None, loss)
    output, caches = forward_pass(network, x, None)
    grads = backward_pass(network, caches, loss.gradient(output, y))
    dense = [i for i, layer in enumerate(network.layers) if layer.params]
    return [caches[i] for i in dense], [grads[i] for i in dense], loss.value(output, y), output


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", PROBLEMS)
def test_a_sample_is_its_row_of_the_batch(seed):
    problem = random_problem(seed)
    network, loss, n = problem.network, make_loss(problem.loss.given), len(problem.x)
    caches, grads, value, output = core(network, loss, problem.x, problem.y)
    samples = [follow(network, loss, problem.x, problem.y, row) for row in range(n)]
    for row, sample in enumerate(samples):
        assert sample.row == row
        assert [layer.number for layer in sample.layers] == list(range(1, len(network.sizes)))
        close(sample.x, problem.x[row])
        close(sample.prediction, loss.link(output)[row])
        for layer, (a_in, z), own in zip(sample.layers, caches, grads, strict=True):
            close(layer.a_in, a_in[row])
            close(layer.z, z[row])
            close(layer.a, layer.activation(z)[row])
            close(layer.delta, n * own.delta[row])
            close(layer.weight_gradient, n * np.outer(own.delta[row], a_in[row]))
        assert sample.leaves_out_dropout == problem.has_dropout
    close(np.mean([sample.value for sample in samples]), value)
    for l, own in enumerate(grads):
        close(np.mean([sample.layers[l].weight_gradient for sample in samples], axis=0), own.params["W"])


@pytest.mark.parametrize("seed", PROBLEMS)
def test_the_terms_of_each_unit_make_its_error(seed):
    problem = random_problem(seed)
    network, loss = problem.network, make_loss(problem.loss.given)
    _, grads, _, _ = core(network, loss, problem.x[:1], problem.y[:1])
    for l, own in enumerate(grads, 1):
        for j in range(network.sizes[l]):
            data = unit_error(network, loss, problem.x, problem.y, unit=(l, j))
            close(data.delta, own.delta[0, j])
            products = [abs(term.product) for term in data.terms]
            assert products == sorted(products, reverse=True)
            for term in data.terms:
                close(term.product, term.factor * term.error)
            if data.slope is None:
                close(data.total, data.delta)
                continue
            close(data.grad_a * data.slope, data.delta)
            if data.is_output:
                assert data.terms == ()
            else:
                close(data.total * data.keep, data.grad_a)
                for term in data.terms:
                    assert term.factor == network.layer(l + 1).params["W"][term.unit, j]
                    close(term.error, grads[l].delta[0, term.unit])


def test_both_dropout_variants_and_softmax_are_among_the_problems():
    layers = [layer for seed in PROBLEMS for layer in random_problem(seed).network.layers]
    assert {layer.variant for layer in layers if isinstance(layer, Dropout)} == {"inverted", "plain"}
    assert "softmax" in {layer.activation.name for layer in layers if isinstance(layer, Dense)}


def test_an_output_unit_of_cross_entropy_has_p_minus_y(batch):
    network, loss, x, y = batch(5, 4, 3)
    for j in range(3):
        data = unit_error(network, loss, x, y, row=2, unit=(2, j))
        assert data.is_difference
        assert (data.output, data.target) == ("p", float(y[2] == j))
        close(data.delta, data.prediction - data.target)


def test_a_smoothed_target_is_no_plain_difference(batch):
    network, _, x, y = batch(5, 4, 3)
    data = unit_error(network, "cross_entropy(label_smoothing=0.1)", x, y, unit=(2, 0))
    assert not data.is_difference


def test_many_terms_are_summed_but_for_the_largest(batch):
    network, loss, x, y = batch(5, 6, 40, 3, activation="tanh")
    data = unit_error(network, loss, x, y, unit=(1, 2))
    assert (len(data.terms), data.rest) == (TERMS, 40 - TERMS)
    _, grads, _, _ = core(network, loss, x[:1], y[:1])
    products = network.layer(2).params["W"][:, 2] * grads[1].delta[0]
    order = np.argsort(-np.abs(products))
    assert [term.unit for term in data.terms] == order[:TERMS].tolist()
    close(data.rest_sum, products[order[TERMS:]].sum())
    nine = batch(5, 6, TERMS + 1, 3, activation="tanh")
    data = unit_error(*nine, unit=(1, 2))
    assert (len(data.terms), data.rest, data.rest_sum) == (TERMS + 1, 0, 0.0)


def test_a_users_own_activation(batch):
    own = Custom(np.sin, np.cos)
    mixing = Custom(lambda z: z.mean(1, keepdims=True) + 0 * z, None, lambda g, z: g.mean(1, keepdims=True) + 0 * g)
    network, loss, x, y = batch(5, 4, 4, 3, activation=[own, mixing])
    first, second = unit_error(network, loss, x, y, unit=(1, 0)), unit_error(network, loss, x, y, unit=(2, 0))
    close(first.slope, np.cos(first.z))
    assert second.slope is None
    close(second.total, second.delta)


@pytest.mark.parametrize("seed", range(8))
def test_gradients_are_the_batchs(seed):
    problem = random_problem(seed)
    loss = make_loss(problem.loss.given)
    _, grads, value, _ = core(problem.network, loss, problem.x, problem.y)
    data = gradients(problem.network, loss, problem.x, problem.y)
    assert (data.rows, data.value, data.leaves_out_dropout) == (len(problem.x), float(value), problem.has_dropout)
    for layer, own in zip(data.layers, grads, strict=True):
        assert np.array_equal(layer.weight_gradient, own.params["W"])
        if "b" in own.params:
            assert np.array_equal(layer.bias_gradient, own.params["b"])
        else:
            assert layer.bias_gradient is None


def test_the_folded_edges_are_those_of_the_shown_units(batch):
    network, loss, x, y = batch(50, 30, 7)
    data = passes(network, loss, x, y, row=4)
    _, grads, _, _ = core(network, loss, x[4:5], y[4:5])
    assert [len(fold.units) for fold in data.folds] == [8, 8, 7]
    assert [fold.more for fold in data.folds] == [42, 22, 0]
    assert set(data.folds[0].units) == set(np.argsort(-np.abs(x[4]))[:8].tolist())
    for l in (1, 2):
        W = data.forward_edges(l)
        backward = data.backward_edges(l)
        for j, unit in enumerate(data.folds[l].units):
            for k, below in enumerate(data.folds[l - 1].units):
                assert W[j, k] == network.layer(l).params["W"][unit, below]
                close(backward[j, k], grads[l - 1].params["W"][unit, below])


def test_the_largest_units_forward_and_backward_are_shown(batch):
    data = passes(*batch(50, 30, 7), row=4)
    layer = data.sample.layers[0]
    assert np.abs(layer.a).argmax() in data.folds[1].units
    assert np.abs(layer.delta).argmax() in data.folds[1].units


@pytest.mark.parametrize("variant", ["inverted", "plain"])
def test_the_mask_is_the_one_of_training(batch, variant):
    network, loss, x, y = batch(40, 30, 20, 3, dropout=[0.5, 0.0], input_dropout=0.2, dropout_variant=variant)
    data = thinned(network, epoch=4, position=9)
    draws = network.draws(1, first=9, epoch=4)
    _, caches = forward_pass(network, x[:1], draws)
    _, grads = backprop(network, loss, x[:1], y[:1], draws=draws)
    assert data.keep == (0.8, 0.5, 1.0, 1.0)
    assert data.variant == variant
    for l, i in ((0, 0), (1, 2)):
        assert np.array_equal(data.masks[l], caches[i][0] > 0)
    assert data.masks[2].all()
    assert data.masks[3].all()
    dropped = ~data.masks[1]
    assert dropped.any()
    assert not grads[1].delta[0, dropped].any()
    assert not grads[3].params["W"][:, dropped].any()
    assert not np.array_equal(data.masks[1], thinned(network, epoch=5, position=9).masks[1])


def test_the_graph_has_the_shapes_of_the_pass(batch):
    network, loss, x, y = batch(5, 4, 3, dropout=0.5, input_dropout=0.2)
    graph = computational_graph(network, loss, rows=6)
    output, caches = forward_pass(network, x, network.draws(6))
    _, grads = backprop(network, loss, x, y)
    shapes = {node.name: node.shape for node in graph.nodes if node.shape is not None}
    for l, i in ((1, 1), (2, 3)):
        assert shapes[f"W{l}"] == grads[i].params["W"].shape
        assert shapes[f"b{l}"] == grads[i].params["b"].shape
        assert shapes[f"z{l}"] == shapes[f"a{l}"] == grads[i].delta.shape
    assert shapes["x"] == shapes["m0"] == shapes["masked0"] == x.shape
    assert shapes["m1"] == shapes["masked1"] == caches[2].shape
    assert shapes["y"] == output.shape
    assert shapes["C"] == ()


def test_what_flows_in_the_graph(batch):
    network, loss, _, _ = batch(5, 4, 3, dropout=0.5)
    back = {(edge.source, edge.target): edge.back for edge in computational_graph(network, loss, rows=6).edges}
    assert back[("x", "product1")] is None
    assert back[("W1", "product1")] == r"\partial C / \partial W^{1}"
    assert back[("b1", "sum1")] == r"\partial C / \partial b^{1}"
    assert back[("product1", "sum1")] == back[("sum1", "z1")] == back[("z1", "activation1")] == r"\delta^{1}"
    assert back[("activation1", "a1")] == back[("a1", "drop1")] == r"\partial C / \partial a^{1}"
    assert back[("drop1", "masked1")] == back[("masked1", "product2")] == r"\partial C / \partial \tilde{a}^{1}"
    assert back[("a2", "loss")] == r"\partial C / \partial a^{2}"
    assert back[("loss", "C")] == "1"
    assert back[("y", "loss")] is back[("m1", "drop1")] is None


def test_the_graph_without_biases(batch):
    network, loss, _, _ = batch(5, 4, 3, bias=False)
    names = {node.name for node in computational_graph(network, loss, rows=1).nodes}
    assert {"W1", "W2"} <= names
    assert not names & {"b1", "sum1", "b2", "sum2"}


def test_strongest():
    matrix = np.array([[1.0, -5.0, 0.0], [2.0, 3.0, -1.0], [0.0, 0.5, 0.0]])
    assert strongest(matrix, (2, 2)).tolist() == [[-5.0, -1.0], [0.5, 0.0]]
    assert strongest(matrix, (3, 3)).tolist() == matrix.tolist()
    assert strongest(np.ones((1000, 7)), (120, 480)).shape == (112, 7)


# What inputs and outputs are called


TABLE = {"size": np.arange(30.0), "colour": ["red", "blue", "green"] * 10, "kind": ["one", "two"] * 15}
IMAGES = np.arange(30 * 12, dtype=np.uint8).reshape(30, 3, 4)


@pytest.mark.parametrize(
    ("source", "target", "names"),
    [
        (TABLE, "kind", Names(["size", "colour=blue", "colour=green", "colour=red", "colour.other"], ("one", "two"))),
        (TABLE, "size", Names(["colour=blue"], ("size",))),
        ((IMAGES, [0, 1, 2] * 10), None, Names((), ("0", "1", "2"), (3, 4))),
        ((IMAGES[..., None], [0, 1, 2] * 10), None, Names((), ("0", "1", "2"), (3, 4))),
        ((IMAGES.reshape(30, 12), [0, 1, 2] * 10), None, Names((), ("0", "1", "2"))),
        ((IMAGES.reshape(30, 2, 2, 3), [0, 1, 2] * 10), None, Names((), ("0", "1", "2"))),
    ],
)
def test_names_of_a_model(source, target, names):
    source = pa.table(source) if isinstance(source, dict) else source
    model = fit(source, target, epochs=1, hidden=[2]).model
    found = names_of(model).check(model.network)
    assert list(found.inputs)[: len(names.inputs)] == list(names.inputs)
    assert (tuple(found.outputs), found.image) == (tuple(names.outputs), names.image)


def test_a_bare_model_has_numbers_only(batch):
    network, loss, _, _ = batch(3, 2, 2)
    assert names_of(Model(network, loss)) == Names()


@pytest.mark.parametrize("names", [Names(["a"]), Names(outputs=["a"]), Names(image=(2, 2))])
def test_names_that_are_not_as_many_as_the_units(batch, tmp_path, names):
    network, loss, x, y = batch(3, 2, 2)
    for draw in (draw_passes, draw_unit, draw_gradients):
        with pytest.raises(ConfigError, match="names or pixels for"):
            draw(network, loss, x, y, tmp_path / "a.png", names=names)


# What is refused


@pytest.mark.parametrize("row", [-1, 6])
def test_a_row_that_is_not_there(batch, row):
    with pytest.raises(ConfigError, match="rows are 0 to 5"):
        follow(*batch(3, 2, 2), row=row)


@pytest.mark.parametrize(("unit", "words"), [((0, 0), "layers 1 to 2"), ((3, 0), "layers 1 to 2"), ((1, 4), "0 to 3")])
def test_a_unit_that_is_not_there(batch, unit, words):
    with pytest.raises(ConfigError, match=words):
        unit_error(*batch(3, 4, 2), unit=unit)


def test_a_negative_unit(batch):
    with pytest.raises(ConfigError, match="no unit -1"):
        unit_error(*batch(3, 4, 2), unit=(1, -1))


def test_no_dropout_to_show(batch):
    network, *_ = batch(3, 4, 2)
    with pytest.raises(ConfigError, match=r"--dropout 0\.5"):
        thinned(network)


@pytest.mark.parametrize("where", [{"epoch": -1}, {"position": -1}, {"epoch": 2**32}])
def test_an_epoch_or_position_that_is_none(batch, where):
    network, *_ = batch(3, 4, 2, dropout=0.5)
    with pytest.raises(ConfigError, match=next(iter(where))):
        thinned(network, **where)


def test_no_rows(batch):
    network, loss, x, y = batch(3, 4, 2)
    with pytest.raises(ConfigError, match="at least one"):
        gradients(network, loss, x[:0], y[:0])
    with pytest.raises(ConfigError, match="at least one row"):
        computational_graph(network, loss, rows=0)


def test_rows_of_another_width(batch):
    network, loss, x, y = batch(3, 4, 2)
    with pytest.raises(ShapeError):
        follow(network, loss, x[:, :2], y)


def test_a_layer_of_another_kind(batch):
    class Strange(Layer):
        kind = "strange"
        forward = backward = config = from_config = lambda *args: None

    network = Network([Dense(np.ones((2, 3)), None), Strange()])
    for call in (thinned, lambda n: computational_graph(n, "squared_error", rows=1)):
        with pytest.raises(ConfigError, match="Strange"):
            call(network)
