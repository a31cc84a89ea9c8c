"""The native engine: whole epochs in compiled code, along the path of the reference engine.

Shapes: N rows, n[l] units in layer l, L layers.
    x (N, n[0])    y (N,) class indices or (N, n[L])    weight (N,)    W (n[l], n[l−1])    b (n[l],)

The compiled part is a ``Stack``: a network of dense layers with its own copy of the parameters and of what the
optimiser remembers. It takes x as it lies in memory, or compressed without its zeros, which it then does not multiply.

Two environment variables choose among its code for tests: ``GLASSNET_NATIVE_ISA`` names an instruction set, and
``GLASSNET_NATIVE_BF16=1`` has bfloat16 computed where the processor cannot, slowly.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from glassnet import activations, losses, optimisers
from glassnet.arrays import Array, as_dense, is_sparse
from glassnet.data.examples import Examples
from glassnet.engine import devices
from glassnet.engine.base import Engine, Totals, threads_text
from glassnet.engine.devices import CPU
from glassnet.errors import ConfigError
from glassnet.layers import Dense, Dropout
from glassnet.losses import Loss
from glassnet.messages import say
from glassnet.network import Network, check_targets
from glassnet.optimisers import Clip, Optimiser, Updater
from glassnet.random import Purpose
from glassnet.regularisers import Regularisation

ACTIVATIONS = {
    *(activations.Identity, activations.Logistic, activations.Tanh, activations.ReLU, activations.LeakyReLU),
    *(activations.ELU, activations.GELU, activations.SiLU, activations.Softplus, activations.Softmax),
}
LOSSES = {
    *(losses.SquaredError, losses.AbsoluteError, losses.Huber, losses.CrossEntropy, losses.BinaryCrossEntropy),
    *(losses.LogLoss, losses.Poisson),
}
OPTIMISERS = {
    *(optimisers.SGD, optimisers.Momentum, optimisers.Nesterov, optimisers.RMSprop, optimisers.Adam),
    optimisers.AdamW,
}
"""What the compiled code computes: these classes and nothing that derives from them."""

AUTO_PRECISION = "exact"
"""What the precision "auto" stands for."""

MOST_ENTRIES = 0.35
"""The largest share of entries that are not zero at which x is compressed."""

BFLOAT16_SETS = ("avx512_bf16",)

_SAMPLE_ROWS = 1000
_BLOCK = 4096
_INPUT_DTYPES = (np.uint8, np.float32, np.float64)

_native: Any = None
_problem: ImportError | None = None
try:
    _native = importlib.import_module("glassnet.engine._native")
except ImportError as error:
    _problem = error


# What can be carried


def missing() -> str | None:
    """Why there is no native engine in this installation, or None."""
    if _native is not None:
        return None
    if isinstance(_problem, ModuleNotFoundError):
        return say("the native engine is not built here")
    return say("the native engine cannot be loaded: {error}", error=_problem)


def cannot_carry(
    network: Network, loss: Loss | None = None, updater: Updater | None = None, device: str = CPU
) -> str | None:
    """Why the native engine cannot train this network so, or None; without loss and updater: cannot run it."""
    reason = missing()
    if reason is None and device != CPU:
        reason = say("the device is {device}", device=device)
    if reason is None:
        reason = _cannot_run(network)
    if reason is None and loss is not None and type(loss) not in LOSSES:
        reason = say("the loss is a user's own")
    if reason is None and updater is not None:
        if type(updater.optimiser) not in OPTIMISERS:
            reason = say("the optimiser is a user's own")
        elif (type(updater), type(updater.regularisation), type(updater.clip)) != (Updater, Regularisation, Clip):
            reason = say("the rules of the update are a user's own")
    return reason


def _cannot_run(network: Network) -> str | None:
    for layer in network.layers:
        if type(layer) not in (Dense, Dropout):
            return say("layer {number} is a user's own", number=layer.number)
        if isinstance(layer, Dense) and type(layer.activation) not in ACTIVATIONS:
            return say("the activation of layer {number} is a user's own", number=layer.number)
    parameters = [theta for _, theta in network.parameters()]
    if not all(isinstance(theta, np.ndarray) and theta.dtype == parameters[0].dtype for theta in parameters):
        return say("the parameters are not NumPy arrays of one precision")
    if any(np.may_share_memory(one, other) for one, other in combinations(parameters, 2)):
        return say("layers share their parameters")
    return None


# How it computes


def instruction_sets() -> list[str]:
    """Those that this machine can run, best first."""
    sets: list[str] = _native.instruction_sets()
    return sets


def instruction_set() -> str:
    """The best, or the one that ``GLASSNET_NATIVE_ISA`` names; ConfigError if it is not there."""
    there = instruction_sets()
    asked = os.environ.get("GLASSNET_NATIVE_ISA") or there[0]
    if asked not in there:
        text = say("GLASSNET_NATIVE_ISA is {asked!r}; this machine has: {known}", asked=asked, known=", ".join(there))
        raise ConfigError(text)
    return asked


def has_bfloat16(isa: str) -> bool:
    """Whether an instruction set multiplies in bfloat16, or is made to."""
    return isa in BFLOAT16_SETS or os.environ.get("GLASSNET_NATIVE_BF16") == "1"


def mostly_zeros(x: np.ndarray) -> bool:
    """Whether at most :data:`MOST_ENTRIES` of the entries of x are not zero, going by rows evenly spaced."""
    sample = x[np.linspace(0, len(x) - 1, min(len(x), _SAMPLE_ROWS)).astype(np.int64)]
    return bool(np.count_nonzero(sample) <= MOST_ENTRIES * sample.size)


def _input(x: Any, dtype: str, *, sparse: bool, threads: int) -> Any:
    """x as a stack takes it: what it can read stays as it is, the rest is converted to ``dtype``."""
    if is_sparse(x) and sparse:
        data = x.data if x.data.dtype in _INPUT_DTYPES else x.data.astype(dtype)
        indices, indptr = x.indices.astype(np.int32, copy=False), x.indptr.astype(np.int64, copy=False)
        return _native.Csr(data, indices, indptr, x.shape[1])
    x = as_dense(x)
    x = np.require(x, x.dtype if x.dtype in _INPUT_DTYPES else dtype, ["C_CONTIGUOUS", "ALIGNED"])
    return _native.compress(x, threads) if sparse else x


def _structure(network: Network) -> dict[str, Any]:
    """What a stack is made for: everything about the network but its parameters' values."""
    dense = [layer for layer in network.layers if isinstance(layer, Dense)]
    keeps, inverted = [1.0] * (len(dense) + 1), [True] * (len(dense) + 1)
    for layer in network.layers:
        if isinstance(layer, Dropout):
            keeps[layer.number], inverted[layer.number] = layer.keep, layer.variant == "inverted"
    return {
        "dtype": network.dtype,
        "seed": network.seed,
        "sizes": list(network.sizes),
        "activations": [(layer.activation.name, *(_numbers(layer.activation) or [0.0])) for layer in dense],
        "biases": ["b" in layer.params for layer in dense],
        "frozen": [layer.frozen for layer in dense],
        "keeps": keeps,
        "inverted": inverted,
    }


def _numbers(component: Any) -> list[float]:
    """The parameters of an activation, a loss or an optimiser."""
    return [float(getattr(component, field.name)) for field in fields(component)]


def _set_parameters(stack: Any, network: Network) -> None:
    for layer in network.layers:
        if layer.params:
            _give(stack.set_parameters, (layer.number,), layer.params)


def _give(put: Callable[..., None], where: tuple[int, ...], arrays: dict[str, Array]) -> None:
    """Call ``put`` with W and b, in C order."""
    put(*where, *(np.ascontiguousarray(arrays[name]) if name in arrays else None for name in ("W", "b")))


def _fetch(get: Callable[..., None], where: tuple[int, ...], arrays: dict[str, Array]) -> None:
    """Have ``get`` fill W and b in place: through a copy where they are not in C order."""
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    get(*where, plain["W"], plain.get("b"))
    for name, array in arrays.items():
        if plain[name] is not array:
            array[...] = plain[name]


class Forward:
    """The outputs of a network as it is now, without dropout: x (N, n[0]) to (N, n[L]).

    Parameters
    ----------
    network : Network
        One that can be carried. Its parameters are copied.
    sparse : bool
        Whether zeros in x are to be skipped.
    threads : int, optional
        At most; by default one a core.
    """

    def __init__(self, network: Network, *, sparse: bool, threads: int | None = None) -> None:
        self._network = network
        self._sparse = sparse
        self._threads = _threads(threads)
        self._stack = _native.Stack(
            isa=instruction_set(), bf16=False, threads=self._threads, sparse=sparse, **_structure(network)
        )
        _set_parameters(self._stack, network)

    def __call__(self, x: Any) -> np.ndarray:
        if is_sparse(x):
            self._network.check_shape(x)
        else:
            x = self._network.checked_x(x)
        out = np.empty((x.shape[0], self._network.sizes[-1]), dtype=self._network.dtype)
        self._stack.forward(_input(x, self._network.dtype, sparse=self._sparse, threads=self._threads), out)
        return out


def _threads(asked: int | None) -> int:
    return min(asked, devices.available_cores()) if asked else devices.default_threads()


# The engine


@dataclass(frozen=True)
class _Placed(Examples):
    """Examples as a stack takes them; x may be a ``Csr``."""

    @cached_property
    def moments(self) -> Totals:
        """Of all rows."""
        return _moments(self, np.arange(len(self)))


@np.errstate(over="ignore", invalid="ignore")  # as in the reference engine: the trainer says what became of the loss
def _moments(examples: Examples, rows: np.ndarray) -> Totals:
    """Mean and spread of y over these rows, summed up block by block."""
    totals = Totals()
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        y = examples.y[block].astype(np.float64)
        w = np.ones(len(block)) if examples.weight is None else examples.weight[block].astype(np.float64)
        weight = w.sum()
        mean = w @ y / (weight + (weight == 0))
        totals = totals + Totals(weight, mean=mean, spread=w @ np.square(y - mean))
    return totals


class NativeEngine(Engine):
    """Has a ``Stack`` make the steps, and brings network and updater up to date when :meth:`sync` is called.

    The stack follows the path of the reference engine to rounding: its parameters, dropout masks and order of updates
    are the same. Between a :meth:`sync` and the next steps the network may be changed: the stack starts from what it
    then is.
    """

    name: ClassVar[str] = "native"
    holds_copies: ClassVar[bool] = False

    def __init__(
        self,
        network: Network,
        loss: Loss,
        updater: Updater,
        device: str,
        *,
        threads: int | None = None,
        precision: str = "auto",
    ) -> None:
        super().__init__(network, loss, updater, device, threads=threads, precision=precision)
        self.threads = _threads(threads)
        self.isa = instruction_set()
        wanted = AUTO_PRECISION if precision == "auto" else precision
        self.bf16 = wanted == "fast" and network.dtype == "float32" and has_bfloat16(self.isa)
        self._sparse: bool | None = None  # until the training set is placed
        self._stack: Any = None
        self._made_for: dict[str, Any] = {}
        self._ahead = False  # whether the stack has made steps that the network has not seen
        self._held_t = 0

    @contextmanager
    def limited(self) -> Iterator[int]:
        """The threads are the engine's own."""
        yield self.threads

    def describe(self) -> str:
        """Instruction set, threads and precision."""
        precision = "fast" if self.bf16 else "exact"
        if self.precision == "fast" and not self.bf16:
            precision = (
                say("exact: the network is {dtype}", dtype=self.network.dtype)
                if self.network.dtype != "float32"
                else say("exact: the processor has no bfloat16 instructions")
            )
        return say(
            "native ({isa}, {threads}, {precision})",
            isa=self.isa,
            threads=threads_text(self.threads),
            precision=precision,
        )

    def place(self, examples: Examples) -> Examples:
        """Leave x where it is if the compiled code can read it; compress it if it is sparse or mostly zeros.

        The first examples decide; those placed later take the same form.
        """
        x, dtype, n = examples.x, self.network.dtype, len(examples)
        y = check_targets(np.asarray(examples.y), n=n, outputs=self.network.sizes[-1], loss=self.loss, dtype=dtype)
        if self._sparse is None:
            self._sparse = is_sparse(x) or mostly_zeros(x)
        weight = None if examples.weight is None else np.ascontiguousarray(examples.weight, dtype=dtype)
        return _Placed(_input(x, dtype, sparse=self._sparse, threads=self.threads), np.ascontiguousarray(y), weight)

    def order(self, n: int, *, seed: int, epoch: int) -> np.ndarray:
        """The same in compiled code, which takes a tenth of the time."""
        order: np.ndarray = _native.permutation(
            isa=self.isa, n=n, epoch=epoch, purpose=int(Purpose.SHUFFLE), seed=seed, threads=self.threads
        )
        return order

    def train(
        self,
        examples: Examples,
        order: np.ndarray,
        *,
        first: int,
        epoch: int,
        batch_size: int,
        lrs: np.ndarray,
        totals: Totals | None = None,
    ) -> Totals:
        """One call of the compiled code. Of an interrupted one the steps that were made count."""
        order = np.ascontiguousarray(order, dtype=np.int64)
        stack = self._current()
        self._ahead = True
        so_far = Totals() if totals is None else totals
        self.steps_made, self.failed = 0, False
        try:
            sums = stack.train(
                x=examples.x,
                y=examples.y,
                weight=examples.weight,
                order=order,
                first=first,
                epoch=epoch,
                batch_size=batch_size,
                lrs=np.ascontiguousarray(lrs, dtype=np.float64),
                t=self.updater.t,
                before=(
                    float(so_far.weight),
                    float(so_far.loss),
                    float(so_far.hits),
                    np.ravel(so_far.squares).tolist(),
                ),
                halted=lambda: self.halted,
            )
        finally:
            self.steps_made, self.failed = stack.steps_done, stack.failed
            self.updater.t += self.steps_made
        end = first + self.steps_made * batch_size
        # of the targets' spread an epoch that is split is told at its end
        rows = order[first:end] if totals is None else order if end >= len(order) else order[:0]
        return self._totals(examples, sums, rows)

    def evaluate(self, examples: Examples) -> Totals:
        """One call of the compiled code."""
        sums = self._current().evaluate(x=examples.x, y=examples.y, weight=examples.weight)
        return self._totals(examples, sums)

    def reload(self) -> None:
        """The next steps start from network and updater."""
        self._ahead = False

    def hold(self) -> None:
        """The network's arrays stay as they are until the next :meth:`sync`."""
        self._held_t = self.updater.t

    def back(self) -> None:
        """Forget the stack's steps."""
        self.updater.t = self._held_t
        self._ahead = False

    def sync(self) -> None:
        """Copy the stack's parameters into the network's arrays, and what the optimiser remembers into the updater."""
        self.syncs += 1
        if not self._ahead:
            return
        for layer in self._trained():
            _fetch(self._stack.get_parameters, (layer.number,), layer.params)
            for k, slots in enumerate(self._slots(layer)):
                _fetch(self._stack.get_slot, (layer.number, k), slots)
        self._ahead = False

    def _current(self) -> Any:
        """The stack, made and filled anew from network and updater unless it is ahead of them."""
        if self._ahead:
            return self._stack
        structure = _structure(self.network)
        if structure != self._made_for:
            reason = cannot_carry(self.network, self.loss, self.updater, self.device)
            if reason is not None:
                raise ConfigError(say("the native engine cannot go on: {reason}", reason=reason))
            self._stack = _native.Stack(
                isa=self.isa, bf16=self.bf16, threads=self.threads, sparse=bool(self._sparse), **structure
            )
            self._stack.set_loss(self.loss.name, *(_numbers(self.loss) or [0.0]))
            self._made_for = structure
        self._set_rules()
        _set_parameters(self._stack, self.network)
        for layer in self._trained():
            for k, slots in enumerate(self._slots(layer)):
                _give(self._stack.set_slot, (layer.number, k), slots)
        return self._stack

    def _set_rules(self) -> None:
        optimiser, rules, clip = self.updater.optimiser, self.updater.regularisation, self.updater.clip
        self._stack.set_rules(
            optimiser=optimiser.name,
            parameters=_rule_numbers(optimiser),
            l1=rules.l1,
            l2=rules.l2,
            alpha=rules.alpha,
            decay=rules.weight_decay,
            decay_by_lr=rules.decay_form == "lr",
            biases=rules.biases,
            max_norm=rules.max_norm or 0.0,
            clip_norm=clip.norm or 0.0,
            clip_value=clip.value or 0.0,
        )

    def _trained(self) -> list[Dense]:
        return [layer for layer in self.network.layers if isinstance(layer, Dense) and not layer.frozen]

    def _slots(self, layer: Dense) -> list[dict[str, Array]]:
        """The updater's arrays for each slot of the optimiser, by parameter; zeros where it has none yet."""
        slots: list[dict[str, Array]] = []
        for slot in self.updater.optimiser.slots:
            arrays = {}
            for name, theta in layer.params.items():
                own = self.updater.slots.setdefault(f"{layer.number}.{name}", {})
                if slot not in own:
                    own[slot] = np.zeros_like(theta)
                arrays[name] = own[slot]
            slots.append(arrays)
        return slots

    def _totals(self, examples: Examples, sums: tuple[Any, ...], rows: np.ndarray | None = None) -> Totals:
        """What the compiled code summed up, with mean and spread of numeric targets; of all rows if None are named."""
        weight, loss, hits, squares = sums
        right = examples.y.ndim == 1 or self.loss.target in ("classes", "labels")
        totals = Totals(weight, loss, right, hits)
        if not right:
            assert isinstance(examples, _Placed)
            moments = examples.moments if rows is None or _is_all(rows, len(examples)) else _moments(examples, rows)
            totals.squares, totals.mean, totals.spread = squares, moments.mean, moments.spread
        return totals


def _is_all(rows: np.ndarray, n: int) -> bool:
    """Whether these are all of ``n`` rows, each once."""
    return len(rows) == n and bool(np.bincount(rows, minlength=n).all())


def _rule_numbers(optimiser: Optimiser) -> list[float]:
    """The optimiser's parameters; AdamW's decay is among the rules of the updater."""
    numbers = _numbers(optimiser)
    return numbers[:-1] if type(optimiser) is optimisers.AdamW else numbers
