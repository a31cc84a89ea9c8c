"""One typed tree for a run. Each branch belongs to the component that reads it.

Components inside a branch (an activation, an optimiser, …) are given as in :mod:`glassnet.registry`: a name, a name
with parameters, a mapping, or, in Python, an object.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from glassnet.errors import ConfigError
from glassnet.messages import say
from glassnet.reading import read_all, shortened

B = TypeVar("B", bound="Branch")

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**64)]


class Branch(BaseModel):
    """A part of the tree: unknown keys and values out of range are refused, and nothing changes once it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @classmethod
    def make(cls, /, **values: Any) -> Self:
        """The branch of these values, or ConfigError naming the first that is wrong."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise ConfigError(_first_problem(cls, error)) from None

    def replaced(self, **values: Any) -> Self:
        """The branch with some values replaced, checked again."""
        return self.make(**{**{name: getattr(self, name) for name in type(self).model_fields}, **values})


class NetworkConfig(Branch):
    """The network: see :meth:`glassnet.Network.dense`.

    ``hidden`` is the hidden layers' sizes; None lets the run choose by the size of the data. ``output`` "auto" is
    softmax for the log loss and else the identity.
    """

    hidden: tuple[Annotated[int, Field(gt=0)], ...] | None = None
    activation: Any = "relu"
    output: Any = "auto"
    init: Any = "auto"
    bias: Any = 0.0
    dropout: Share | list[Share] = 0.0
    input_dropout: Share = 0.0
    dropout_variant: Literal["inverted", "plain"] = "inverted"
    dtype: Literal["float32", "float64"] = "float32"


class TrainingConfig(Branch):
    """Training: the loss, the steps and when to stop. See :func:`glassnet.train` for the meaning of each."""

    loss: Any = "auto"
    optimiser: Any = "adam"
    lr: Positive | None = None
    schedule: Any = "auto"
    batch_size: Annotated[int, Field(gt=0)] | None = None
    epochs: Annotated[int, Field(gt=0)] = 100
    shuffle: bool = True
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    alpha: NonNegative = 0.0
    weight_decay: NonNegative | None = None
    decay_form: Literal["step", "lr"] = "step"
    max_norm: Positive | None = None
    regularise_biases: bool = False
    clip_norm: Positive | None = None
    clip_value: Positive | None = None
    early_stopping: Any = None
    monitor: Literal["loss", "metric"] = "loss"
    restore_best: bool = True
    train_figures: Literal["running", "after"] = "running"
    on_nonfinite: Literal["stop", "skip", "halve"] = "stop"
    class_weight: Any = None
    seed: Seed = 0
    device: str = "auto"
    engine: str = "auto"
    precision: Literal["auto", "exact", "fast"] = "auto"
    threads: Annotated[int, Field(gt=0)] | None = None


def _part(given: Any) -> Any:
    """A share of the rows, from 0 to below 1; or a source: a path, a data frame, arrays."""
    if isinstance(given, (int, float)) and not 0 <= given < 1:
        raise ValueError(say("a share is at least 0 and below 1"))
    return given


Part = Annotated[Any, AfterValidator(_part)]


class DataConfig(Branch):
    """The data: where they are, what is the target, how they are encoded and shared out.

    ``source`` is whatever :func:`glassnet.data.load_source` reads; ``validation`` and ``test`` are shares of its rows,
    or sources of their own.
    """

    source: Any
    target: str | None = None
    task: Literal["classification", "regression", "multilabel"] | None = None
    scaling: Literal["auto", "standard", "minmax", "none"] = "auto"
    max_categories: Annotated[int, Field(gt=0)] = 100
    validation: Part = 0.1
    test: Part = 0.2

    # ``source`` is None in the file of a run that was trained on objects of Python


class RunConfig(Branch):
    """A run: everything that decides its outcome."""

    data: DataConfig
    network: NetworkConfig = NetworkConfig()
    training: TrainingConfig = TrainingConfig()
    start_from: str | None = None
    load_layers: tuple[int, ...] | None = None
    freeze: tuple[int, ...] = ()
    pretrain: Literal["greedy", "whole"] | None = None
    pretrain_epochs: Annotated[int, Field(gt=0)] = 20


BRANCHES: dict[str, type[Branch]] = {"data": DataConfig, "network": NetworkConfig, "training": TrainingConfig}
"""The branches of a run's tree by their names."""


def branch_of(name: str) -> str | None:
    """The branch that has an option of this name, or None."""
    return next((key for key, branch in BRANCHES.items() if name in branch.model_fields), None)


MOST_TOML, MOST_JSON = 64 << 10, 4 << 20
"""The most bytes of a configuration; what is larger is not one, and TOML of some forms would take minutes to read."""


def read_config(path: str | Path) -> dict[str, Any]:
    """The tree in a TOML file, or in a JSON file such as a run's; ConfigError naming the file and what is wrong."""
    path = Path(path)
    try:
        content = read_all(path, most=MOST_JSON if path.suffix == ".json" else MOST_TOML)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(say("cannot read the configuration {path}: {reason}", path=path, reason=reason)) from error
    return parse_config(content, path)


def parse_config(content: bytes, path: Path) -> dict[str, Any]:
    """The tree in the content of a configuration file."""
    kind = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = content.decode()
        tree = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            say("{path} is not valid {kind}: {error}", path=path, kind=kind, error=shortened(str(error)))
        ) from error
    if not isinstance(tree, dict):
        raise ConfigError(say("{path} must hold options by name", path=path))
    return tree


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The tree ``base`` with the values of ``over`` in place of its own, branch by branch."""
    result = dict(base)
    for key, value in over.items():
        mine = result.get(key)
        result[key] = merge(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return result


def _first_problem(cls: type[BaseModel], error: ValidationError) -> str:
    problems = error.errors()
    same = [problem for problem in problems if problem["loc"][:1] == problems[0]["loc"][:1]]
    problem = max(same, key=lambda problem: len(problem["loc"]))  # of several types the nearest
    path = [part for part in problem["loc"] if isinstance(part, int) or part.isidentifier()]  # without pydantic's tags
    where = ".".join(map(str, path)) or cls.__name__
    if problem["type"] == "extra_forbidden":
        *parents, name = map(str, problem["loc"])
        where = shortened(".".join([*parents, name]))
        branch: Any = cls
        for part in parents:
            branch = branch.model_fields[part].annotation
        close = difflib.get_close_matches(name, branch.model_fields, n=1)
        hint = say(" Did you mean {close!r}?", close=close[0]) if close else ""
        known = ", ".join(branch.model_fields)
        return say(
            "unknown option {where!r}; the options here are: {known}.{hint}", where=where, known=known, hint=hint
        )
    if problem["type"] == "missing":
        return say("the option {where!r} is missing", where=where)
    return say(
        "bad value for {where!r}: {came}; {reason}",
        where=where,
        came=shortened(repr(problem["input"])),
        reason=_reason(problem),
    )


def _reason(problem: Any) -> str:
    """What was expected, in the language in use where pydantic's kind of problem is one of the usual."""
    limits = problem.get("ctx", {})
    texts = {
        "greater_than": lambda: say("it must be above {gt}", **limits),
        "greater_than_equal": lambda: say("it must be at least {ge}", **limits),
        "less_than": lambda: say("it must be below {lt}", **limits),
        "literal_error": lambda: say("choose one of: {expected}", **limits),
        "int_parsing": lambda: say("it must be a whole number"),
        "int_from_float": lambda: say("it must be a whole number"),
        "int_type": lambda: say("it must be a whole number"),
        "float_parsing": lambda: say("it must be a number"),
        "float_type": lambda: say("it must be a number"),
        "finite_number": lambda: say("it must be finite"),
        "value_error": lambda: str(limits["error"]),
        "model_type": lambda: say("it must hold options by name"),
    }
    known = texts.get(problem["type"])
    return known() if known else shortened(str(problem["msg"]))
