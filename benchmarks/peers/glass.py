"""glassnet through its public calls, one engine and precision a class."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from benchmarks.peers.base import Contestant
from benchmarks.workloads import Data, Parameters, Workload


class Glassnet(Contestant):
    """One training, which waits between turns: its set-up is done once, as in any run of many epochs."""

    libraries = (("glassnet", "glassnet.training"),)
    ours = True
    engine: ClassVar[str]
    turns: Any = None
    precision: ClassVar[str | None] = None

    @classmethod
    def missing(cls) -> str:
        return super().missing() or _engine_missing(cls.engine, cls.precision)

    def setup(self, workload: Workload, data: Data, first: Parameters, seed: int, threads: int) -> None:
        self.workload = workload
        self.network = network(workload, first, seed)
        self.turns = _turns()
        options = training_options(workload, self.engine, self.precision, threads)
        self._thread = threading.Thread(target=self._train, args=(data, seed, options), daemon=True)
        self.failure: BaseException | None = None
        self._thread.start()
        self._await()

    def _train(self, data: Data, seed: int, options: dict[str, Any]) -> None:
        import glassnet

        try:
            glassnet.train(self.network, data.x, data.y, callbacks=[self.turns], seed=seed, **options)
        except Enough:
            pass
        except BaseException as error:  # it is raised in the thread that waits
            self.failure = error
        self.turns.done.set()

    def _await(self) -> None:
        self.turns.done.wait()
        self.turns.done.clear()
        if self.failure is not None:
            raise self.failure

    def advance(self, steps: int) -> None:
        """Let training go on for so many steps."""
        self.turns.left = steps
        self.turns.go.set()
        self._await()

    def whole(self, workload: Workload, data: Data, first: Parameters, seed: int, threads: int, epochs: int) -> float:
        """One call, whose set-up is not told apart."""
        import glassnet

        self.workload = workload
        self.network = network(workload, first, seed)
        options = training_options(workload, self.engine, self.precision, threads)
        glassnet.train(self.network, data.x, data.y, seed=seed, **{**options, "epochs": epochs})
        return 0.0

    def parameters(self) -> Parameters:
        if self.turns is not None:
            self.turns.trainer.engine.sync()  # training waits, perhaps in the middle of an epoch
        values = {name: theta.copy() for name, theta in self.network.parameters()}
        return [(values[f"{l}.W"], values[f"{l}.b"]) for l in range(1, len(self.workload.sizes))]

    def close(self) -> None:
        if not hasattr(self, "_thread"):
            return
        self.turns.over = True
        self.turns.go.set()
        self._thread.join()


def _engine_missing(engine: str, precision: str | None) -> str:
    """Why glassnet cannot compute so here; "" if it can."""
    if engine == "native":
        from glassnet.engine import native

        if (reason := native.missing()) is not None:
            return reason
        if precision == "fast" and not native.has_bfloat16(native.instruction_set()):
            return "no bfloat16 here"
    return ""


def network(workload: Workload, first: Parameters, seed: int) -> Any:
    """The workload's network with the given weights."""
    import glassnet

    made = glassnet.Network.dense(
        workload.sizes,
        workload.activation,
        dropout=1 - workload.keep_hidden,
        input_dropout=1 - workload.keep_input,
        seed=seed,
    )
    values = {f"{l}.{name}": theta for l, pair in enumerate(first, 1) for name, theta in zip("Wb", pair, strict=True)}
    made.set_parameters(values)
    return made


def training_options(workload: Workload, engine: str, precision: str | None, threads: int) -> dict[str, Any]:
    """Options of :func:`glassnet.train`."""
    return {
        "loss": "cross_entropy",
        "optimiser": workload.optimiser,
        "lr": workload.lr,
        "schedule": workload.schedule,
        "batch_size": workload.batch,
        "epochs": workload.epochs if workload.schedule != "constant" else 1_000_000,
        "device": "cpu",
        "engine": engine,
        "threads": threads,
        **({} if precision is None else {"precision": precision}),
    }


class Enough(Exception):  # noqa: N818 - not an error
    """Ends a training that waits in the middle of an epoch."""


def _turns() -> Any:
    """A callback that lets training make ``left`` steps each time that ``go`` is set, and sets ``done`` after them."""
    from glassnet.training import Callback

    class Turns(Callback):
        def __init__(self) -> None:
            self.go, self.done = threading.Event(), threading.Event()
            self.left = 0
            self.position = 0
            self.over = False
            self.trainer: Any = None

        def on_epoch_begin(self, trainer: Any) -> None:
            self.trainer = trainer
            self.position = 0
            self._go_on()

        def on_batch_end(self, trainer: Any) -> None:
            position = trainer.step - (trainer.epoch - 1) * trainer.steps_per_epoch
            self.left -= position - self.position
            self.position = position
            if position < trainer.steps_per_epoch:
                self._go_on()

        def on_epoch_end(self, trainer: Any, record: dict[str, Any]) -> None:
            if self.left == 0:
                self._wait()

        def _go_on(self) -> None:
            if self.left == 0:
                self._wait()
            self.every = self.position + self.left  # the next call of on_batch_end is then after ``left`` steps

        def _wait(self) -> None:
            self.done.set()
            self.go.wait()
            self.go.clear()
            if self.over:
                raise Enough

    return Turns()


class GlassnetReference(Glassnet):
    """NumPy, equation by equation."""

    key = "glassnet-reference"
    name = "glassnet, reference engine"
    engine = "reference"


class GlassnetExact(Glassnet):
    """The native engine in float32."""

    key = "glassnet-exact"
    name = "glassnet, native engine, exact"
    engine = "native"
    precision = "exact"


class GlassnetFast(Glassnet):
    """The native engine with products in bfloat16."""

    key = "glassnet-fast"
    name = "glassnet, native engine, fast"
    engine = "native"
    precision = "fast"
