"""A step of the native engine is the gradient: by back-propagation's reckoning and by the slope of the loss."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

import glassnet
from cases.networks import Problem, random_problem
from glassnet.config import TrainingConfig
from glassnet.data.examples import Examples
from glassnet.errors import GlassnetWarning
from glassnet.network import parameter_values
from glassnet.regularisers import Regularisation
from glassnet.training import Trainer

SEEDS = range(156)
"""With them every loss meets every activation."""

FORMS = ["dense", "zeros", "CSR", "bytes"]
"""Of x; the engine leaves out the zeros of "zeros" and "CSR" in the first layer."""


def trainer_of(problem: Problem) -> Trainer:
    """A trainer whose steps are the gradient itself: plain descent with the learning rate 1."""
    rules = problem.rules
    config = TrainingConfig.make(
        loss=problem.loss.given,
        optimiser="sgd",
        lr=1.0,
        l1=rules.l1,
        l2=rules.l2,
        regularise_biases=rules.biases,
        engine="native",
        threads=2,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GlassnetWarning)  # a softmax before a loss that has its own is a case too
        return Trainer(problem.network, config)


def examples_of(problem: Problem, form: str) -> Examples:
    return Examples(scipy.sparse.csr_array(problem.x) if form == "CSR" else problem.x, problem.y, problem.weight)


def in_form(problem: Problem, form: str) -> Problem:
    """The problem with an x that suits the form: mostly zeros, or bytes from 0 to 255."""
    rng = np.random.default_rng(len(problem.x))
    if form == "bytes":
        return replace(problem, x=rng.integers(0, 256, problem.x.shape).astype(np.uint8))
    return replace(problem, x=problem.x * (rng.random(problem.x.shape) < (1.0 if form == "dense" else 0.2)))


def step(problem: Problem, form: str) -> dict[str, np.ndarray]:
    """What one step subtracts from each parameter, on the masks of the problem's place in the run."""
    problem = replace(problem, network=problem.network.copy())
    trainer, before = trainer_of(problem), parameter_values(problem.network)
    examples = trainer.engine.place(trainer.prepare(examples_of(problem, form)))
    n, first = len(problem.x), int(problem.draws.positions[0])
    order = np.concatenate([np.zeros(first, np.int64), np.arange(n)])
    trainer.engine.train(examples, order, first=first, epoch=problem.draws.epoch, batch_size=n, lrs=np.ones(1))
    trainer.engine.sync()
    return {name: before[name] - after for name, after in problem.network.parameters()}


def backprop(problem: Problem) -> dict[str, np.ndarray]:
    """The gradients by the reference's equations, with the penalties' own."""
    network, rules = problem.network, problem.rules
    x, y, weight, draws = problem.x, problem.y, problem.weight, problem.draws
    _, grads = glassnet.backprop(network, problem.loss.given, x, y, weight=weight, draws=draws)
    return {
        f"{layer.number}.{name}": grads[i].params[name] + rules.penalty_gradient(name, theta)
        for i, layer in enumerate(network.layers)
        for name, theta in layer.params.items()
    }


def slopes(problem: Problem, form: str, epsilon: float = 1e-5) -> dict[str, np.ndarray]:
    """Central differences of the loss that the engine evaluates, by every entry of every parameter."""
    problem = replace(problem, network=problem.network.copy())
    trainer = trainer_of(problem)
    examples = trainer.engine.place(trainer.prepare(examples_of(problem, form)))

    def loss(theta, entry, value):
        before, theta[entry] = theta[entry], value
        totals = trainer.engine.evaluate(examples)
        theta[entry] = before
        return totals.loss / totals.weight

    result = {}
    for name, theta in problem.network.parameters():
        result[name] = np.zeros_like(theta)
        for entry in np.ndindex(theta.shape):
            above, below = (loss(theta, entry, theta[entry] + sign * epsilon) for sign in (1, -1))
            result[name][entry] = (above - below) / (2 * epsilon)
    return result


def check(mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray], tolerance: float) -> None:
    """All entries agree, relative to the largest of the whole gradient and to 1."""
    assert mine.keys() == theirs.keys()
    scale = 1 + max(np.abs(gradient).max() for gradient in theirs.values())
    for name, gradient in theirs.items():
        np.testing.assert_allclose(mine[name], gradient, rtol=tolerance, atol=tolerance * scale, err_msg=name)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_step_is_what_backprop_gives_under_the_same_masks(seed, isa):
    for form in FORMS:
        problem = in_form(random_problem(seed), form)
        check(step(problem, form), backprop(problem), 1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_step_is_the_slope_of_the_loss(seed, isa):
    problem = random_problem(seed, dropout=False)
    form = FORMS[seed % 3]
    problem = replace(in_form(problem, form), rules=Regularisation())
    check(step(problem, form), slopes(problem, form), 1e-7)
