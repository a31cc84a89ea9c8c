"""The lecture's classes, used as the lecture's script uses them, against autograd and against the slides' mistake."""

import math
import re

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import glassnet
from glassnet import lecture
from glassnet.errors import ConfigError, InputError, NotFiniteError, ShapeError
from glassnet.lecture import FNN, FNN2
from glassnet.random import Draws
from glassnet.training import Callback


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def show(text):
    """A figure for whoever runs the tests with -s."""
    print(text)  # noqa: T201


# What a script brings along


def relu(z):
    """In place, as a careless script has it."""
    z[z < 0] = 0
    return z


def relu_derivative(z):
    z[z > 0] = 1
    z[z < 0] = 0
    return z


def logistic(z):
    return 1 / (1 + torch.exp(-z))


def logistic_derivative(z):
    return logistic(z) * (1 - logistic(z))


def softmax(z):
    exps = torch.exp(z)
    return exps / exps.sum(dim=1, keepdim=True)


def softmax_derivative(z):
    """The slides': the Jacobian's diagonal only."""
    a = softmax(z)
    return a * (1 - a)


def tanh_derivative_float32(z):
    return (1 - torch.tanh(z) ** 2).float()


def softmax_jacobian(z):
    a = torch.softmax(z, dim=1)
    return torch.stack([torch.diag(row) - torch.outer(row, row) for row in a])


RELU = (relu, relu_derivative)
LOGISTIC = (logistic, logistic_derivative)
TANH = (torch.tanh, lambda z: 1 - torch.tanh(z) ** 2)
SOFTMAX = (softmax, softmax_derivative)


def make_params(sizes, pairs, *, dtype=torch.float64, seed=0, scale=0.5):
    draw = torch.Generator().manual_seed(seed)
    params = []
    for n_in, n_out, pair in zip(sizes, sizes[1:], pairs, strict=False):
        W = scale * torch.randn(n_out, n_in, dtype=torch.float64, generator=draw)
        b = scale * torch.randn(n_out, dtype=torch.float64, generator=draw)
        params.append((W.to(dtype), b.to(dtype), *pair))
    return params


def make_data(n, n_in, classes, *, dtype=torch.float64, seed=1):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, n_in, dtype=dtype, generator=draw), torch.randint(classes, (n,), generator=draw)


def pure(function):
    """Autograd's own form of the functions above, none of which may change its argument there."""
    return {relu: torch.relu, logistic: torch.sigmoid, softmax: lambda z: torch.softmax(z, 1)}.get(function, function)


def autograd(params, X, y, masks=None):
    """z of every layer with each sample's own δ in its grad, and the gradients of the batch's mean, by autograd."""
    masks = masks or {}
    W = [p[0].clone().requires_grad_() for p in params]
    b = [p[1].clone().requires_grad_() for p in params]
    a, zs = X * masks.get(0, 1), []
    for l, (_, _, function, _) in enumerate(params, start=1):
        z = a @ W[l - 1].T + b[l - 1]
        z.retain_grad()
        zs.append(z)
        if l == len(params):
            z = z * masks.get(l, 1)
        a = pure(function)(z) * (masks.get(l, 1) if l < len(params) else 1)
    loss = -torch.log(a[torch.arange(len(y)), y]).sum()
    loss.backward()
    n = len(y)
    return float(loss.detach()) / n, [z.grad for z in zs], [w.grad / n for w in W], [v.grad / n for v in b]


def close(ours, theirs, rel=1e-12):
    """Each array within ``rel`` of the other's largest entry."""
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert float((a - b).abs().max()) <= rel * float(b.abs().max())


NETWORKS = [
    ([5, 4], [SOFTMAX]),
    ([5, 7, 4], [RELU, SOFTMAX]),
    ([5, 7, 4], [LOGISTIC, SOFTMAX]),
    ([5, 7, 6, 4], [TANH, RELU, SOFTMAX]),
    ([5, 7, 6, 4], [SOFTMAX, TANH, SOFTMAX]),
    ([5, 7, 2], [TANH, SOFTMAX]),
    ([5, 7, 4], [TANH, LOGISTIC]),
    ([5, 7, 4], [(torch.nn.functional.softplus, torch.sigmoid), LOGISTIC]),
    ([5, 7, 1], [TANH, LOGISTIC]),
    ([5, 7, 300], [RELU, SOFTMAX]),
]


@pytest.mark.parametrize(("sizes", "pairs"), NETWORKS, ids=[str(sizes) for sizes, _ in NETWORKS])
def test_errors_and_gradients_are_autograds(sizes, pairs):
    params = make_params(sizes, pairs)
    X, y = make_data(9, sizes[0], sizes[-1])
    net = FNN(X, y, params)
    hat = net.forward(X)
    net.backward(y)
    value, deltas, weights, biases = autograd(params, X, y)
    assert net.cross_entropy(y, hat) == pytest.approx(value, rel=1e-12)
    close(net.error_list, deltas)
    close(net.der_weight_list, weights)
    close(net.der_bias_list, biases)


def test_the_attributes_and_their_shapes():
    sizes = [5, 7, 6, 4]
    X, y = make_data(9, 5, 4)
    net = FNN(X, y, make_params(sizes, [RELU, TANH, SOFTMAX]))
    hat = net.forward(X)
    errors = net.cal_neuron_errors(y)
    weights, biases = net.cal_params_partial()
    assert [tuple(a.shape) for a in net.a_list] == [(9, 5), (9, 7), (9, 6), (9, 4)]
    assert [tuple(z.shape) for z in net.z_list] == [tuple(d.shape) for d in net.error_list] == [(9, 7), (9, 6), (9, 4)]
    assert [tuple(w.shape) for w in net.der_weight_list] == [(7, 5), (6, 7), (4, 6)]
    assert [tuple(b.shape) for b in net.der_bias_list] == [(7,), (6,), (4,)]
    assert hat is net.a_list[-1]
    assert errors is net.error_list
    assert (weights, biases) == (net.der_weight_list, net.der_bias_list)
    assert torch.equal(net.a_list[0], X)
    assert torch.allclose(net.a_list[1], torch.relu(net.z_list[0]))
    assert torch.allclose(hat, torch.softmax(net.z_list[2], dim=1))
    assert torch.allclose(net.error_list[-1], hat - torch.eye(4, dtype=hat.dtype)[y])


def test_the_lectures_own_functions_are_right():
    pairs = [
        (lecture.identity, lecture.identity_derivative),
        (lecture.logistic, lecture.logistic_derivative),
        (lecture.tanh, lecture.tanh_derivative),
        (lecture.relu, lecture.relu_derivative),
        (lecture.softmax, lecture.softmax_derivative),
    ]
    params = make_params([5, 4, 4, 4, 4, 4], pairs)
    X, y = make_data(9, 5, 4)
    net = FNN(X, y, params)
    net.forward(X)
    net.backward(y)
    close(net.der_weight_list, autograd(params, X, y)[2])
    z = torch.randn(3, 4, dtype=torch.float64)
    assert torch.allclose(lecture.softmax_derivative(z), softmax_jacobian(z))


def test_a_jacobian_as_derivative():
    """An activation that mixes the units of a row and is not softmax: its Jacobians go through the general form."""

    def twice_softmax(z):
        return 2 * torch.softmax(z, dim=1)

    params = make_params([5, 6, 4], [(twice_softmax, lambda z: 2 * softmax_jacobian(z)), SOFTMAX])
    X, y = make_data(9, 5, 4)
    net = FNN(X, y, params)
    net.forward(X)
    net.backward(y)
    close(net.der_weight_list, autograd(params, X, y)[2])


# The script


LINE = r"第(\d+)个回合, 训练集交叉熵损失为:(\d+\.\d{4}), 分类准确率(\d\.\d{4})"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make", [FNN, FNN2])
def test_the_script_and_its_printed_lines(capsys, make, dtype):
    X, y = make_data(40, 5, 3, dtype=dtype)
    net = make(X, y, make_params([5, 8, 3], [RELU, SOFTMAX], dtype=dtype), batch_size=16)
    net.minibatch_sgd_trainer(max_epochs=3, lr=0.2)
    lines = capsys.readouterr().out.splitlines()
    found = [re.fullmatch(LINE, line) for line in lines]
    assert [int(match[1]) for match in found] == [1, 2, 3]
    hat = net.predict_forward(X) if make is FNN2 else net.forward(X)
    loss = -torch.log(hat[torch.arange(40), y]).mean()
    assert float(found[-1][2]) == pytest.approx(float(loss), abs=6e-5)
    assert float(found[-1][3]) == pytest.approx(float((hat.argmax(dim=1) == y).double().mean()), abs=6e-5)
    assert hat.dtype == dtype


def test_the_defaults_are_the_lectures(capsys):
    X, y = make_data(300, 5, 3)
    for net in (FNN(X, y, make_params([5, 3], [SOFTMAX])), FNN2(X, y, make_params([5, 3], [SOFTMAX]))):
        net.minibatch_sgd_trainer()
        assert len(capsys.readouterr().out.splitlines()) == 10
        assert net.batch_size == 256
    assert net.prob_dropout == (0.95, 0.5, 1)


def test_the_logarithm_is_natural_and_exact_where_the_output_underflows():
    X, y = make_data(6, 5, 3)
    net = FNN(X, y, make_params([5, 3], [SOFTMAX]))
    net.weights[0].mul_(2000)
    hat = net.forward(X)
    assert float(hat.min()) == 0
    z = net.z_list[0]
    expected = (torch.logsumexp(z, dim=1) - z[torch.arange(6), y]).mean()
    assert net.cross_entropy(y, hat) == pytest.approx(float(expected), rel=1e-12)
    assert net.cross_entropy([0], torch.tensor([[0.1, 0.2, 0.7]], dtype=torch.float64)) == pytest.approx(math.log(10))


@pytest.mark.parametrize("make", [FNN, FNN2])
def test_what_the_caller_gave_is_not_changed(capsys, make):
    X, y = make_data(30, 5, 3)
    params = make_params([5, 8, 3], [RELU, SOFTMAX])
    tensors = [X, y, *(tensor for param in params for tensor in param[:2])]
    before = [tensor.clone() for tensor in tensors]
    net = make(X, y, params, batch_size=8)
    net.minibatch_sgd_trainer(max_epochs=2)
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
    assert not torch.equal(net.weights[0], params[0][0])


def test_parameters_that_autograd_watches_are_taken_by_value(capsys):
    X, y = make_data(30, 5, 3)
    W, b, *pair = make_params([5, 3], [SOFTMAX])[0]
    net = FNN(X, y, [(W.requires_grad_(), b.requires_grad_(), *pair)])
    net.minibatch_sgd_trainer(max_epochs=1)
    assert W.grad is None
    assert not net.weights[0].requires_grad


LABELS = [
    lambda y: torch.eye(3)[y],
    lambda y: torch.eye(3, dtype=torch.int64)[y],
    lambda y: y.to(torch.uint8),
    lambda y: y[:, None],
    lambda y: y.double(),
    lambda y: y.tolist(),
    lambda y: y.numpy(),
]


@pytest.mark.parametrize("form", LABELS)
def test_the_forms_of_labels(capsys, form):
    X, y = make_data(30, 5, 3)
    params = make_params([5, 4, 3], [TANH, SOFTMAX])
    nets = [FNN(X, labels, params, batch_size=8) for labels in (y, form(y))]
    for net in nets:
        net.minibatch_sgd_trainer(max_epochs=1)
    assert all(torch.equal(a, b) for a, b in zip(nets[0].weights, nets[1].weights, strict=True))
    hat = nets[0].forward(X)
    assert nets[0].accuracy(form(y), hat) == nets[0].accuracy(y, hat)
    assert nets[0].cross_entropy(form(y), hat) == nets[0].cross_entropy(y, hat)


def test_images_are_flattened(capsys):
    images = torch.rand(20, 4, 4)
    net = FNN(images, torch.arange(20) % 3, make_params([16, 3], [SOFTMAX], dtype=torch.float32))
    net.minibatch_sgd_trainer(max_epochs=1)
    assert tuple(net.forward(images).shape) == (20, 3)


@pytest.mark.parametrize(("batch_size", "sizes"), [(8, [8, 8, 8, 6]), (30, [30]), (256, [30]), (1, [1] * 30)])
def test_the_batches(capsys, batch_size, sizes):
    class Spy(FNN):
        def backward(self, labels):
            seen.append(len(labels))
            super().backward(labels)

    seen = []
    X, y = make_data(30, 5, 3)
    X[:, 0] = torch.arange(30)
    net = Spy(X, y, make_params([5, 3], [SOFTMAX]), batch_size)
    net.minibatch_sgd_trainer(max_epochs=2, lr=0.01)
    assert seen == sizes * 2
    orders = []
    for epoch in (0, 1, 0):
        rows = torch.cat([batch[:, 0].long() for batch, _ in net.data_loader(epoch)])
        labels = torch.cat([labels for _, labels in net.data_loader(epoch)])
        assert sorted(rows.tolist()) == list(range(30))
        assert torch.equal(labels, y[rows])
        orders.append(rows.tolist())
    assert orders[0] == orders[2] != orders[1]


def test_the_gradient_of_a_short_batch_is_divided_by_its_own_length(capsys):
    X, y = make_data(5, 4, 3)
    params = make_params([4, 3], [SOFTMAX])
    net = FNN(X, y, params, batch_size=4)
    net.minibatch_sgd_trainer(max_epochs=1, lr=0.1)
    W, b = params[0][0].clone(), params[0][1].clone()
    for rows, labels in net.data_loader(0):
        _, _, (dW,), (db,) = autograd([(W, b, *SOFTMAX)], rows, labels)
        W, b = W - 0.1 * dW, b - 0.1 * db
    close([net.weights[0], net.biases[0]], [W, b])


# What is refused


WRONG = [
    (torch.relu, logistic_derivative),
    (torch.tanh, lambda z: 1 + torch.tanh(z) ** 2),
    (logistic, lambda a: a * (1 - a)),  # of a, not of z
    (torch.relu, lambda z: (z >= -0.5).double()),
    (torch.tanh, torch.ones_like),
    (lambda z: torch.softmax(z, dim=0), softmax_derivative),
    (lambda z: 2 * torch.softmax(z, dim=1), lambda z: 2 * softmax_derivative(z)),
]


@pytest.mark.parametrize("pair", WRONG)
@pytest.mark.parametrize("layer", [1, 2])
def test_a_derivative_of_another_function_is_refused(pair, layer):
    pairs = [TANH, TANH, SOFTMAX]
    pairs[layer - 1] = pair
    X, y = make_data(9, 5, 3)
    with pytest.raises(ConfigError, match=f"the derivative given for layer {layer} is not that of its activation"):
        FNN(X, y, make_params([5, 6, 6, 3], pairs))


def test_softmax_is_known_by_what_it_computes_not_by_its_name():
    def softmax(z):
        return torch.sigmoid(z)

    X, y = make_data(9, 5, 3)
    params = make_params([5, 3], [(softmax, logistic_derivative)])
    net = FNN(X, y, params)
    assert torch.allclose(net.forward(X), torch.sigmoid(net.z_list[0]))
    params = make_params([5, 3], [(lambda z: torch.exp(torch.log_softmax(z, 1)), torch.ones_like)])
    net = FNN(X, y, params)
    net.forward(X)
    net.backward(y)
    close(net.der_weight_list, autograd(make_params([5, 3], [SOFTMAX]), X, y)[2])


@pytest.mark.parametrize("pair", [(torch.tanh, tanh_derivative_float32), (lambda z: softmax(z).float(), None)])
def test_functions_of_mixed_precision(pair):
    X, y = make_data(9, 5, 3)
    pairs = [pair, SOFTMAX] if pair[1] else [TANH, pair]
    net = FNN(X, y, make_params([5, 4, 3], pairs))
    net.forward(X)
    net.backward(y)
    assert net.der_weight_list[0].dtype == torch.float64


X0, Y0 = make_data(9, 5, 3)
PARAMS = make_params([5, 4, 3], [TANH, SOFTMAX])

REFUSED = [
    (lambda: FNN(X0, Y0, []), ConfigError, "params needs at least one"),
    (lambda: FNN(X0, Y0, PARAMS, 0), ConfigError, "batch_size must be a whole number above 0, not 0"),
    (lambda: FNN(X0, Y0, PARAMS, 2.5), ConfigError, "not 2.5"),
    (lambda: FNN(X0, Y0[:8], PARAMS), ShapeError, "9 rows of x but 8 of y"),
    (lambda: FNN(X0[:, :4], Y0, PARAMS), ShapeError, r"x must have the shape \(N, 5\)"),
    (lambda: FNN(X0, Y0 + 1, PARAMS), InputError, "class indices must be 0 to 2 for 3 outputs; they go from 1 to 3"),
    (lambda: FNN(X0, Y0 + 0.5, PARAMS), InputError, "class indices must be whole numbers"),
    (lambda: FNN(X0, Y0, [PARAMS[0], PARAMS[0]]), ShapeError, "layer 2 takes 5 inputs, but 4 come"),
    (lambda: FNN(X0, Y0, [(PARAMS[0][0], torch.zeros(3), *TANH)]), ShapeError, "needs W of shape"),
    (lambda: FNN(X0, Y0, [(*PARAMS[1][:2], lambda z: z[:, :2], torch.ones_like)]), ShapeError, "must keep the shape"),
    (lambda: FNN(X0, Y0, PARAMS).cal_neuron_errors(Y0), ConfigError, "call forward first"),
    (lambda: FNN(X0, Y0, PARAMS).cal_params_partial(), ConfigError, "call cal_neuron_errors first"),
    (lambda: FNN(X0, Y0, PARAMS).forward(X0[:, :3]), ShapeError, r"x must have the shape \(N, 5\), not \(9, 3\)"),
    (lambda: FNN(X0, Y0, PARAMS).cross_entropy(X0, Y0), ShapeError, r"takes \(labels, outputs\)"),
    (
        lambda: FNN2(X0, Y0, PARAMS, (0.5, 0.5)),
        ConfigError,
        "prob_dropout needs 3 entries, or one for each of the 3 layers",
    ),
    (
        lambda: FNN2(X0, Y0, PARAMS, (0.0, 0.5, 1)),
        ConfigError,
        "keep probability must be at least 2..-16 and at most 1",
    ),
    (lambda: FNN2(X0, Y0, PARAMS, (0.9, 1.5, 1)), ConfigError, "keep probability"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[case[2] for case in REFUSED])
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_errors_need_as_many_labels_as_rows():
    net = FNN(X0, Y0, PARAMS)
    net.forward(X0)
    with pytest.raises(ShapeError, match="9 rows of x but 5 of y"):
        net.backward(Y0[:5])


# FNN2: dropout and decay


DROPOUTS = [
    ([5, 7, 4], (0.8, 0.5, 1), (0.8, 0.5, 1)),
    ([5, 7, 6, 4], (0.8, 0.5, 1), (0.8, 0.5, 0.5, 1)),
    ([5, 7, 6, 4], (1, 0.9, 0.4, 1), (1, 0.9, 0.4, 1)),
    ([5, 7, 4], (0.8, 0.5, 0.7), (0.8, 0.5, 0.7)),
    ([5, 4], (0.6, 0.5, 1), (0.6, 1)),
]


@pytest.mark.parametrize(("sizes", "given", "keeps"), DROPOUTS, ids=str)
def test_dropout_forward_and_backward_use_the_same_masks(sizes, given, keeps):
    params = make_params(sizes, [TANH] * (len(sizes) - 2) + [SOFTMAX])
    X, y = make_data(9, 5, 4)
    net = FNN2(X, y, params, given, seed=3)
    hat = net.train_forward(X, epoch=2)
    net.backward(y)
    draws = Draws(3, torch.arange(9), epoch=2)
    masks = {l: draws.at(l).keep_mask(sizes[l], p).double() for l, p in enumerate(keeps) if p < 1}
    value, deltas, weights, biases = autograd(params, X, y, masks)
    assert net.cross_entropy(y, hat) == pytest.approx(value, rel=1e-12)
    close(net.error_list, deltas)
    close(net.der_weight_list, weights)
    close(net.der_bias_list, biases)
    assert len(masks) == sum(p < 1 for p in keeps) > 0


def test_the_input_is_masked_in_training_only():
    X = torch.ones(500, 8, dtype=torch.float64)
    net = FNN2(X, torch.zeros(500), make_params([8, 4, 3], [TANH, SOFTMAX]), (0.8, 1, 1))
    net.train_forward(X)
    assert set(net.a_list[0].unique().tolist()) == {0.0, 1.0}
    assert float(net.a_list[0].mean()) == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / 4000))
    net.predict_forward(X)
    assert torch.equal(net.a_list[0], 0.8 * X)


def test_in_testing_every_unit_is_scaled_by_its_p():
    (W1, b1, *_), (W2, b2, *_) = params = make_params([5, 7, 4], [RELU, SOFTMAX])
    X, y = make_data(9, 5, 4)
    net = FNN2(X, y, params, (0.95, 0.5, 1))
    hat = net.predict_forward(X)
    expected = torch.softmax((0.5 * torch.relu(0.95 * X @ W1.T + b1)) @ W2.T + b2, dim=1)
    assert torch.allclose(hat, expected, rtol=1e-13, atol=0)
    assert torch.equal(net.predict_forward(X), hat)
    assert not torch.allclose(net.train_forward(X), hat)


def test_mask():
    net = FNN2(X0, Y0, PARAMS)
    ones = torch.ones(2000, 5, dtype=torch.float64)
    masked = net.mask(ones, 0.3)
    assert set(masked.unique().tolist()) == {0.0, 1.0}
    assert float(masked.mean()) == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / 10000))
    assert torch.equal(net.mask(ones, 0.3, training=False), 0.3 * ones)
    assert torch.equal(net.mask(ones, 1.0), ones)
    assert not torch.equal(net.mask(ones, 0.3, epoch=1), masked)
    assert (ones == 1).all()


def test_every_batch_and_epoch_has_masks_of_its_own(capsys):
    class Spy(FNN2):
        def _forward(self, X, draws):
            output = super()._forward(X, draws)
            seen.append(self.a_list[0].clone())
            return output

    seen = []
    X, y = torch.ones(20, 16, dtype=torch.float64), torch.zeros(20)
    net = Spy(X, y, make_params([16, 3], [SOFTMAX]), (0.5, 1, 1), batch_size=10)
    net.minibatch_sgd_trainer(max_epochs=2)
    assert len({mask.numpy().tobytes() for mask in seen}) == len(seen) == 4


def test_decay_shrinks_the_weights_by_its_share_at_each_step_and_not_the_biases(capsys):
    X, y = make_data(30, 5, 4)
    params = make_params([5, 7, 4], [RELU, SOFTMAX])
    net = FNN2(X, y, params, batch_size=8)
    net.minibatch_sgd_trainer(max_epochs=3, lr=0.0)  # 12 steps of nothing but decay
    close(net.weights, [W * 0.9995**12 for W, *_ in params])
    assert all(torch.equal(b, param[1]) for b, param in zip(net.biases, params, strict=True))
    net.minibatch_sgd_trainer(max_epochs=1, lr=0.0, decay=0.0)
    close(net.weights, [W * 0.9995**12 for W, *_ in params])


def test_without_dropout_and_decay_the_classes_are_one(capsys):
    X, y = make_data(30, 5, 4)
    params = make_params([5, 7, 4], [RELU, SOFTMAX])
    one, two = FNN(X, y, params, batch_size=8), FNN2(X, y, params, (1, 1, 1), batch_size=8)
    one.minibatch_sgd_trainer(max_epochs=2, lr=0.3)
    two.minibatch_sgd_trainer(max_epochs=2, lr=0.3, decay=0.0)
    assert all(torch.equal(a, b) for a, b in zip(one.weights, two.weights, strict=True))


# The same as glassnet.train


def params_of(network, pairs):
    theta = {name: torch.tensor(values) for name, values in network.parameters()}
    return [(theta[f"{l}.W"], theta[f"{l}.b"], *pair) for l, pair in enumerate(pairs, start=1)]


@pytest.mark.parametrize("make", [FNN, FNN2])
def test_it_is_the_library(capsys, make):
    x, y = load_digits(return_X_y=True)
    x, y = x[:300] / 16, y[:300]
    dropout = {"input_dropout": 0.05, "dropout": 0.5, "dropout_variant": "plain"} if make is FNN2 else {}
    network = glassnet.Network.dense([64, 20, 15, 10], "relu", dtype="float64", seed=4, **dropout)
    net = make(x, y, params_of(network, [RELU, RELU, SOFTMAX]), batch_size=32, seed=4)
    config = {"optimiser": "sgd", "lr": 0.3, "batch_size": 32, "epochs": 3, "seed": 4, "train_figures": "after"}
    config["weight_decay"] = 0.0005 if make is FNN2 else 0.0
    net.minibatch_sgd_trainer(max_epochs=3, lr=0.3)
    history = glassnet.train(network, x, y, engine="reference", device="cpu", **config)
    theirs = [torch.from_numpy(theta) for name, theta in network.parameters() if name.endswith("W")]
    close(net.weights, theirs, rel=1e-11)
    close(
        net.biases, [torch.from_numpy(theta) for name, theta in network.parameters() if name.endswith("b")], rel=1e-11
    )
    found = re.findall(LINE, capsys.readouterr().out)
    assert [(loss, accuracy) for _, loss, accuracy in found] == [
        (f"{record['loss']:.4f}", f"{record['accuracy']:.4f}") for record in history
    ]


def test_the_seed_decides_every_bit(capsys):
    X, y = make_data(30, 5, 4)
    params = make_params([5, 7, 4], [RELU, SOFTMAX])
    nets = [FNN2(X, y, params, batch_size=8, seed=seed) for seed in (1, 1, 2)]
    for net in nets:
        net.minibatch_sgd_trainer(max_epochs=2)
    first, second, third = ([w.numpy().tobytes() for w in net.weights] for net in nets)
    assert first == second != third


# The slides' mistake: the derivative of the layer above


def slides_gradients(params, X, y):
    """The gradients by the slides' loop: δ^l = (δ^{l+1} W^{l+1}) ⊙ f′_{l+1}(z^l), at a hidden layer the softmax's."""
    a_list, z_list = [X], []
    for W, b, function, _ in params:
        z_list.append(a_list[-1] @ W.T + b)
        a_list.append(function(z_list[-1].clone()))
    delta = a_list[-1] - torch.nn.functional.one_hot(y, a_list[-1].shape[1])
    deltas = [delta]
    for l in range(len(params) - 1, 0, -1):
        W_above, _, _, derivative_above = params[l]
        delta = (delta @ W_above) * derivative_above(z_list[l - 1].clone())
        deltas.insert(0, delta)
    pairs = list(zip(deltas, a_list, strict=False))
    return [(d.T @ a / len(X), d.mean(dim=0)) for d, a in pairs]


def slides_accuracy(params, X, y, X_test, y_test, loader, epochs, lr):
    params = [(W.clone(), b.clone(), function, derivative) for W, b, function, derivative in params]
    for epoch in range(epochs):
        for rows, labels in loader(epoch):
            for (W, b, *_), (dW, db) in zip(params, slides_gradients(params, rows, labels), strict=True):
                W -= lr * dW
                b -= lr * db
    a = X_test
    for W, b, function, _ in params:
        a = function(a @ W.T + b)
    return float((a.argmax(dim=1) == y_test).double().mean())


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = torch.tensor(x[order] / 16, dtype=torch.float32), torch.tensor(y[order])
    return x[:1437], y[:1437], x[1437:], y[1437:]


def script_params(hidden, seed):
    """He's initial weights for 64-hidden-…-10, with ReLU and softmax."""
    network = glassnet.Network.dense([64, *hidden, 10], "relu", seed=seed)
    return params_of(network, [RELU] * len(hidden) + [SOFTMAX])


def both_accuracies(digits, hidden, seeds, epochs, lr=0.5):
    X, y, X_test, y_test = digits
    ours, slides = [], []
    for seed in seeds:
        params = script_params(hidden, seed)
        net = FNN(X, y, params, batch_size=64, seed=seed)
        slides.append(slides_accuracy(params, X, y, X_test, y_test, net.data_loader, epochs, lr))
        net.minibatch_sgd_trainer(max_epochs=epochs, lr=lr)
        ours.append(net.accuracy(y_test, net.forward(X_test)))
    return np.array(ours), np.array(slides)


def test_the_slides_gradient_is_far_off_and_ours_is_exact(digits):
    X, y = digits[0][:64].double(), digits[1][:64]
    params = [(W.double(), b.double(), *pair) for W, b, *pair in script_params([64], 0)]
    truth = autograd(params, X, y)[2]
    net = FNN(X, y, params)
    net.forward(X)
    net.backward(y)
    close(net.der_weight_list, truth)
    slides = slides_gradients(params, X, y)
    off = float((slides[0][0] - truth[0]).norm() / truth[0].norm())
    show(f"the slides' gradient of the hidden weights is off by {off:.0%}")
    assert off > 0.3
    close([slides[1][0]], [truth[1]])  # the output layer's is right


CASES = [
    pytest.param([64], range(3), 40, id="one layer"),
    pytest.param([64, 64, 64], range(3), 40, id="three layers", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("hidden", "seeds", "epochs"), CASES)
def test_the_mistake_costs_accuracy(digits, hidden, seeds, epochs):
    ours, slides = both_accuracies(digits, hidden, seeds, epochs)
    show(f"digits, {hidden} ReLU, {epochs} epochs, test accuracy: ours {ours.round(4)}, mean {ours.mean():.4f};")
    show(f"with the slides' mistake {slides.round(4)}, mean {slides.mean():.4f}")
    assert ours.mean() > slides.mean() + 0.005
    assert ours.mean() > 0.96


# Orthogonal weights: the learning time of deep linear networks


class Until(Callback):
    """Stops when the training loss is down to a target, or far up."""

    def __init__(self, target):
        self.target = target

    def on_epoch_end(self, trainer, record):
        if record["loss"] <= self.target:
            trainer.stop("learnt", "the target is met")
        elif record["loss"] > 10:
            trainer.stop("lost", "it diverges")


def learning_time(x, y, depth, init, epochs=300):
    """Epochs of gradient descent until the loss is met, at the best of six learning rates."""
    times = []
    for lr in (0.125, 0.25, 0.5, 1, 2, 4):
        network = glassnet.Network.dense([64, *[32] * (depth - 1), 10], "identity", init=init)
        config = {"loss": "squared_error", "optimiser": "sgd", "lr": lr, "batch_size": len(x), "epochs": epochs}
        try:
            history = glassnet.train(network, x, y, device="cpu", threads=1, callbacks=[Until(0.2)], **config)
        except NotFiniteError:
            continue
        times.append(len(history) if history.stop_code == "learnt" else math.inf)
    return min(times)


@pytest.mark.slow
def test_orthogonal_weights_make_the_learning_time_independent_of_depth():
    """Saxe, McClelland and Ganguli 2014: deep linear networks, the learning rate chosen for each depth.

    The inputs are centred and scaled to a mean square norm of 1. The least squares' loss is 0.11, the mean's 0.45.
    """
    x, y = load_digits(return_X_y=True)
    x, y = x[:400] - x[:400].mean(axis=0), np.eye(10)[y[:400]]
    x, y = x / np.sqrt((x**2).sum(axis=1).mean()), y - y.mean(axis=0)
    small = "lecun(distribution='normal', gain=0.8)"
    times = {}
    for init in ("orthogonal", small):
        times[init] = [learning_time(x, y, depth, init) for depth in (2, 4, 8, 16)]
        show(f"deep linear networks of depth 2, 4, 8, 16, {init}: {times[init]} epochs to a loss of 0.2")
    assert max(times["orthogonal"]) <= 2 * min(times["orthogonal"])
    assert times[small][1] > 3 * times[small][0]
    assert times[small][2] > 3 * times[small][1]
    assert times[small][3] > times[small][2]
