"""Runs: from a source of data to a trained model in a folder of its own.

A run's folder holds ``config.json`` (everything that decided its outcome), ``model.safetensors`` with its manifest
``model.json``, ``history.jsonl``, ``results.json`` and ``figures/``; and ``checkpoints/``, from which it can go on.
"""

from __future__ import annotations

import difflib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from glassnet.activations import ACTIVATIONS
from glassnet.arrays import as_dense
from glassnet.config import BRANCHES, RunConfig, TrainingConfig, branch_of
from glassnet.data import Arrays, Source, Table, TargetEncoding, load_source, split
from glassnet.data.examples import Examples
from glassnet.errors import ConfigError, DataError, NotFiniteError, unwritable
from glassnet.folders import (
    CONFIG,
    HISTORY,
    RESULTS,
    SNAPSHOTS,
    config_of,
    load_model,
    read_history,
    read_snapshots,
    whole,
)
from glassnet.layers import Dense
from glassnet.lock import LOCK, check_free, locked
from glassnet.losses import loss as make_loss
from glassnet.messages import say
from glassnet.model import MANIFEST, Model, fit_encodings
from glassnet.network import Network
from glassnet.optimisers import OPTIMISERS, Updater
from glassnet.schedules import SCHEDULES
from glassnet.storage import digest, read_bytes, remove_leftovers, write_bytes, write_document
from glassnet.trace import Trace, trace
from glassnet.training import Callback, History, Trainer, pretrain
from glassnet.training.checkpoint import KEEP
from glassnet.training.interruption import halted_by_signals
from glassnet.training.preparation import default_batch_size
from glassnet.training.recording import Recorder, Snapshot, to_jsonl
from glassnet.training.resuming import BEGUN, CHECKPOINTS, Resuming, check_resumable, describe
from glassnet.training.trainer import HALTED

FIGURES, EVENTS = "figures", "tensorboard"
WRITTEN = (CONFIG, HISTORY, RESULTS, SNAPSHOTS, "model.json", "model.safetensors")
TASK_LOSS = {"classification": "cross_entropy", "multilabel": "binary_cross_entropy", "regression": "squared_error"}

Note = Callable[[str], None]


@dataclass(frozen=True)
class Parts:
    """A source's rows, shared out; and the targets of all of them, encoded, which tells the task."""

    train: Table | Arrays
    validation: Table | Arrays | None
    test: Table | Arrays | None
    kind: TargetEncoding | None


@dataclass
class Run:
    """A run that has ended.

    Attributes
    ----------
    folder : Path or None
    model : Model
    history : History
    test : dict
        Figures of the test set, as :meth:`Model.evaluate` gives them; empty without one.
    config : RunConfig
        With every choice made.
    seconds : float
        All of it, from reading the data on.
    broken_off : bool
        Whether it was told to end before its time, with a checkpoint from which it can go on.
    snapshots : list of Snapshot
        If they were recorded.
    """

    folder: Path | None
    model: Model
    history: History
    test: dict[str, Any]
    config: RunConfig
    seconds: float
    broken_off: bool = False
    snapshots: list[Snapshot] = field(default_factory=list)


def fit(
    source: Any,
    target: str | None = None,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    callbacks: Iterable[Callback] = (),
    record: bool = False,
    verbose: bool = False,
    checkpoint_every: Any = None,
    checkpoint_keep: int = KEEP,
    resume: bool = False,
    allow: Iterable[str] = (),
    **options: Any,
) -> Run:
    """Train a network on a source of data, in one call: what ``glassnet train`` does.

    Parameters
    ----------
    source : path, name of a bundled set, data frame, arrays, pair (x, y), …
        See :func:`glassnet.data.load_source`.
    target : str, optional
        The column to predict, for tables.
    out : path, optional
        The folder of the run; by default nothing is saved.
    overwrite : bool, default False
        Whether a run that is there already may be replaced.
    callbacks : iterable of Callback, default ()
    record : bool, default False
        Whether to take snapshots of the network as it is trained (:mod:`glassnet.training.recording`).
    verbose : bool, default False
        Whether to print what was chosen.
    checkpoint_every : str or number, optional
        "30s", "5m", "200-steps", "epoch", "3-epochs": how often everything that is needed to go on is saved in ``out``.
    checkpoint_keep : int, default 2
        How many of these are kept.
    resume : bool, default False
        Go on from the newest checkpoint in ``out``, with the same data and options.
    allow : iterable of str, default ()
        Options, or "data", that may differ from those of the run that is resumed: "epochs", "lr", …
    **options
        The fields of :class:`~glassnet.config.DataConfig` (``validation``, ``test``, ``task``, …),
        :class:`~glassnet.config.NetworkConfig` (``hidden``, ``activation``, ``dropout``, …),
        :class:`~glassnet.config.TrainingConfig` (``optimiser``, ``lr``, ``epochs``, ``early_stopping``, …) and
        :class:`~glassnet.config.RunConfig` (``start_from``, ``freeze``, ``pretrain``, …).

    Returns
    -------
    Run
        With ``model``, ``history`` and the figures of the ``test`` set.

    Raises
    ------
    InputError
        If data or options cannot be used.
    NotFiniteError
        If training diverges.

    Examples
    --------
    >>> import glassnet
    >>> run = glassnet.fit("iris", hidden=(16,), epochs=60)
    >>> run.test["accuracy"] > 0.8
    True
    >>> run.model.predict("iris").values[:3].tolist()
    ['setosa', 'setosa', 'setosa']
    """
    tree: dict[str, Any] = {"data": {"source": source, "target": target}, "network": {}, "training": {"epochs": 200}}
    own = [name for name in RunConfig.model_fields if name not in BRANCHES]
    for name, value in options.items():
        place = branch_of(name)
        if place is None and name not in own:
            known = [name for branch in BRANCHES.values() for name in branch.model_fields] + own
            close = difflib.get_close_matches(name, known, n=1)
            hint = say(" Did you mean {close!r}?", close=close[0]) if close else ""
            raise ConfigError(say("there is no option {name!r}.{hint}", name=name, hint=hint))
        (tree if place is None else tree[place])[name] = value
    note: Note = print if verbose else lambda text: None
    run = execute(
        RunConfig.make(**tree),
        folder=None if out is None else Path(out),
        overwrite=overwrite,
        callbacks=callbacks,
        record=record,
        note=note,
        checkpoint_every=checkpoint_every,
        checkpoint_keep=checkpoint_keep,
        resume=resume,
        allow=allow,
    )
    if run.broken_off:
        note(say("go on with: resume=True"))
    return run


def execute(
    config: RunConfig,
    *,
    folder: Path | None = None,
    overwrite: bool = False,
    callbacks: Iterable[Callback] = (),
    record: bool = False,
    note: Note = lambda text: None,
    checkpoint_every: Any = None,
    checkpoint_keep: int = KEEP,
    resume: bool = False,
    allow: Iterable[str] = (),
) -> Run:
    """Read the data, choose what is left open, train, test, and save.

    Where there is a folder, SIGTERM and Ctrl-C end training after the step under way with a checkpoint.

    Parameters
    ----------
    config : RunConfig
    folder : Path, optional
        Where to save; None: nowhere.
    overwrite : bool, default False
        Whether a run that is there already may be replaced.
    callbacks : iterable of Callback, default ()
    record : bool, default False
        Whether to take snapshots of the network as it is trained.
    note : callable, optional
        Gets a sentence for each choice that was made for the user, as it is made.
    checkpoint_every, checkpoint_keep, resume, allow : as in :func:`fit`

    Raises
    ------
    InputError
        If data or options cannot be used; nothing is written then.
    NotFiniteError
        If training diverges.
    """
    started = time.perf_counter()
    wanted = Resuming(checkpoint_every, checkpoint_keep, resume, frozenset(allow))
    if folder is None and (checkpoint_every is not None or resume):
        raise ConfigError(say("checkpoints need a folder for the run"))
    with nullcontext() if folder is None else _held(folder, overwrite=overwrite, resume=resume):
        recorder = Recorder() if record else None
        job = ready(
            config,
            [*callbacks, *([recorder] if recorder else [])],
            note,
            storable=folder is not None,
            pretrains=not resume,
        )
        run = _execute(job, folder, started, wanted, note)
        run.snapshots = recorder.snapshots if recorder else []
        if folder is not None:
            _write(run, resumed=resume)
    return run


@dataclass
class Job:
    """A run that is ready to be trained."""

    config: RunConfig
    model: Model
    trainer: Trainer
    train_set: Examples
    validation_set: Examples | None
    test_set: Examples | None


def _execute(job: Job, folder: Path | None, started: float, wanted: Resuming, note: Note) -> Run:
    """The run, not saved yet."""
    trainer = job.trainer
    go_on = False
    if folder is None:
        history = trainer.fit(job.train_set, job.validation_set)
    else:
        about = describe(plain(job.config), trainer, job.train_set, job.validation_set)
        writer = wanted.begin(folder, trainer, about, len(job.train_set), note)
        try:
            with halted_by_signals(trainer):
                history = trainer.fit(job.train_set, job.validation_set)
        except NotFiniteError:
            if writer.written is not None:
                note(say("what it was before that step is kept: glassnet resume {run} --allow lr=…", run=folder))
            raise
        go_on = history.stop_code in HALTED and writer.written is not None
        if writer.written is None and not wanted.resume:
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)  # those of a run that this one overwrites
    threads = trainer.config.threads
    test = {} if job.test_set is None else job.model.evaluate_examples(job.test_set, threads=threads)
    return Run(folder, job.model, history, test, job.config, time.perf_counter() - started, go_on)


def ready(
    config: RunConfig, callbacks: Iterable[Callback], note: Note, *, storable: bool, pretrains: bool = True
) -> Job:
    """Everything up to the first step of training."""
    if config.load_layers is not None and config.start_from is None:
        raise ConfigError(say("load_layers needs a run to take the layers from (--from RUN)"))
    parts = share_out(config, note)
    target_name = parts.train.target if isinstance(parts.train, Table) else None
    base = None if config.start_from is None else Model.load(config.start_from)
    config = _like_base(config, base)
    model = _new_model(config, parts, target_name, base, note)
    if storable:
        model.manifest()  # what cannot be stored is refused before it is trained
    train_set, validation_set, test_set = (
        _encoded(model, part) for part in (parts.train, parts.validation, parts.test)
    )
    assert train_set is not None
    if base is None:
        _forget_unused_inputs(model.network, train_set.x)
    training = _training(config, model, train_set, validation_set, note)
    # "none" and not null, so that the run made from this file chooses no criterion of its own
    recorded = training if training.early_stopping is not None else training.replaced(early_stopping="none")
    config = config.replaced(training=recorded, network=config.network.replaced(hidden=model.network.sizes[1:-1]))
    if config.pretrain is not None and pretrains:
        note(
            say(
                "pre-training of the hidden layers: {how}, {epochs} epochs",
                how=config.pretrain,
                epochs=config.pretrain_epochs,
            )
        )
        pretrain(
            model.network,
            train_set.x,
            how=config.pretrain,
            epochs=config.pretrain_epochs,
            seed=training.seed,
            device=training.device,
            engine=training.engine,
            precision=training.precision,
            threads=training.threads,
            batch_size=training.batch_size,
        )
    weights = _class_weights(training.class_weight, model)
    trainer = Trainer(model.network, training.replaced(class_weight=weights), callbacks)
    trainer.encoding = model.encoding
    return Job(config, model, trainer, train_set, validation_set, test_set)


@dataclass
class Moment:
    """A run just before one of its steps.

    Attributes
    ----------
    step : int
        From 0.
    epoch : int
        From 1.
    position : int
        Of the batch's first row in the epoch's order.
    rows : ndarray of int
        The batch's rows, by their number among the training rows.
    batch : Examples
        Encoded, with the weights that training gives them.
    lr : float
        Of the step.
    model : Model
        With the parameters as they are at this moment.
    updater : Updater
        With what the optimiser remembers.
    """

    step: int
    epoch: int
    position: int
    rows: np.ndarray
    batch: Examples
    lr: float
    model: Model
    updater: Updater

    def trace(self) -> Trace:
        """What the step computes: its masks, errors and gradients, and the update."""
        network = self.model.network
        draws = network.draws(len(self.rows), first=self.position, epoch=self.epoch - 1)
        x, batch = as_dense(self.batch.x), self.batch
        return trace(
            network, self.model.loss, x, batch.y, weight=batch.weight, draws=draws, updater=self.updater, lr=self.lr
        )


class _HaltError(Exception):
    """Training has come to the step that was asked for."""


class _HaltBefore(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_epoch_begin(self, trainer: Trainer) -> None:
        left = self.step - trainer.step
        if left == 0:
            raise _HaltError
        self.every = min(left, trainer.steps_per_epoch)

    def on_batch_end(self, trainer: Trainer) -> None:
        if trainer.step == self.step and self.every < trainer.steps_per_epoch:
            trainer.engine.sync()
            raise _HaltError


def replay(config: RunConfig, step: int) -> Moment:
    """Train a run again, up to one of its steps: it repeats to the bit, so this is what it was then.

    Parameters
    ----------
    config : RunConfig
        As a run's folder holds it.
    step : int
        From 0, over all epochs: the step to stop before.

    Raises
    ------
    InputError
        If the run has no such step, or its data are not at hand.
    """
    if step < 0:
        raise ConfigError(say("steps are numbered from 0, so there is no step {step}", step=step))
    if config.data.source is None:
        raise ConfigError(say("the run does not say which data it was trained on, so it cannot be repeated"))
    job = ready(config, [_HaltBefore(step)], lambda text: None, storable=False)
    trainer = job.trainer
    try:
        trainer.fit(job.train_set, job.validation_set)
    except _HaltError:
        pass
    else:
        raise ConfigError(say("the run has steps 0 to {last}, but no step {step}", last=trainer.step - 1, step=step))
    per_epoch = trainer.steps_per_epoch
    first = (step - (trainer.epoch - 1) * per_epoch) * trainer.batch_size
    rows = trainer.order(len(job.train_set))[first : first + trainer.batch_size]
    factor = trainer.schedule.factor(step, per_epoch, trainer.config.epochs, trainer.schedule_state)
    return Moment(
        step=step,
        epoch=trainer.epoch,
        position=first,
        rows=rows,
        batch=trainer.prepare(job.train_set).take(rows),
        lr=trainer.base_lr * factor,
        model=job.model,
        updater=trainer.updater,
    )


def share_out(config: RunConfig, note: Note) -> Parts:
    """Training, validation and test rows of the source, each share stratified by class."""
    data, seed = config.data, config.training.seed
    source = load_source(data.source, target=data.target)
    train = source.train
    path = str(data.source) if isinstance(data.source, (str, Path)) else ""
    one_array = isinstance(data.source, np.ndarray) or path.endswith(".npy")  # whose column the target can be
    if data.target is not None and isinstance(train, Arrays) and not one_array:
        text = say(
            "{name} brings its own targets, so a target {target!r} cannot be chosen",
            name=source.name,
            target=data.target,
        )
        raise ConfigError(text)
    kind: TargetEncoding | None = None
    with suppress(DataError) if config.start_from is not None else nullcontext():
        kind = TargetEncoding.fit(
            train.y, _task(config)
        )  # on all rows: the task, and errors that name the source's rows
    test: Table | Arrays | None
    if not isinstance(data.test, (int, float)):
        test = _other(data.test, source)
    elif source.test is not None:
        test = source.test
        note(say("the source's own test set is used: {rows:,} rows", rows=test.rows))
    else:
        train, test = _hold_out(train, data.test, seed, kind)
    if not isinstance(data.validation, (int, float)):
        validation: Table | Arrays | None = _other(data.validation, source)
    else:
        train, validation = _hold_out(train, data.validation, seed, kind, stream=1)
    rows = [say("{rows:,} to train", rows=train.rows)]
    rows += [] if validation is None else [say("{rows:,} to validate", rows=validation.rows)]
    rows += [] if test is None else [say("{rows:,} to test", rows=test.rows)]
    note(say("rows: {rows}", rows=", ".join(rows)))
    return Parts(train, validation, test, kind)


def _other(given: Any, source: Source) -> Table | Arrays:
    """A validation or test set from a file of its own."""
    target = source.train.target if isinstance(source.train, Table) else None
    other = load_source(given, target=target)
    return other.train


def _hold_out(
    part: Table | Arrays, share: float, seed: int, kind: TargetEncoding | None, *, stream: int = 0
) -> tuple[Table | Arrays, Table | Arrays | None]:
    """Rows to keep and rows held out, each class with its share."""
    if share == 0:
        return part, None
    classes = kind is not None and kind.task == "classification"
    labels = kind.encode(part.y) if kind is not None and classes else None
    kept, held = split(part.rows, share, seed=seed, labels=labels, stream=stream)
    return part.take(kept), part.take(held)


def _like_base(config: RunConfig, base: Model | None) -> RunConfig:
    """The activations of the run to start from, where none are given: its weights were learned for them."""
    network = config.network
    if base is None or "activation" in network.model_fields_set:
        return config
    hidden = [layer for layer in base.network.layers if isinstance(layer, Dense)][:-1]
    if not hidden or (network.hidden is not None and len(network.hidden) != len(hidden)):
        return config
    specs = [ACTIVATIONS.spec(layer.activation) for layer in hidden]
    same = all(spec == specs[0] for spec in specs)
    return config.replaced(network=network.replaced(activation=specs[0] if same else specs))


def _new_model(config: RunConfig, parts: Parts, target_name: str | None, base: Model | None, note: Note) -> Model:
    """A network with fitted encodings, started from another run's if that is asked for."""
    network_config, loss = config.network, config.training.loss
    if base is not None and base.encoding is not None and base.target is not None:
        encoding, target = base.encoding, base.target
        if config.data.scaling != "auto":
            raise ConfigError(say("a run that starts from another has its encoding; leave scaling out"))
        same_target = config.data.target is None or config.data.target == base.target_name
        same_task = config.data.task is None or config.data.task == base.target.task
        if not (same_target and same_task) or config.load_layers is not None:
            _, target = _fitted(config, parts)
        note(say("rows and targets are encoded as in {run}", run=config.start_from))
    else:
        encoding, target = _fitted(config, parts)
        for text in (parts.kind.note if parts.kind is not None else target.note, *encoding.notes):
            note(text)
    chosen = make_loss(TASK_LOSS[target.task] if loss == "auto" else loss)
    _check_loss(chosen.target, target.task, chosen.name)
    output = network_config.output
    if output == "auto" and base is not None and make_loss(base.loss).name == chosen.name:
        output = base.network.layers[-1].config().get("activation", "identity")
    elif output == "auto":
        output = "softmax" if chosen.name == "log_loss" else "identity"
    hidden = network_config.hidden
    if hidden is None:
        hidden = base.network.sizes[1:-1] if base is not None else default_hidden(parts.train.rows)
    sizes = (encoding.n_features, *hidden, target.n_outputs)
    network = Network.dense(
        sizes,
        network_config.activation,
        output=output,
        init=network_config.init,
        bias=network_config.bias,
        dropout=network_config.dropout,
        input_dropout=network_config.input_dropout,
        dropout_variant=network_config.dropout_variant,
        dtype=network_config.dtype,
        seed=config.training.seed,
    )
    if base is not None:
        loaded = network.load_layers(base.network, config.load_layers)
        note(say("layers {layers} start from {run}", layers=", ".join(map(str, loaded)), run=config.start_from))
    if config.freeze:
        network.freeze(config.freeze)
        note(say("frozen layers: {layers}", layers=", ".join(map(str, config.freeze))))
    return Model(network, chosen, target, encoding, target_name)


def _forget_unused_inputs(network: Network, x: np.ndarray) -> None:
    """Weight 0 for inputs that are 0 in every training row: training cannot change it, and chance should not decide.

    Such are the slots for categories that did not occur, columns of one value, and pixels at the edge.
    """
    first = network.layer(1).params["W"]
    first[:, ~x.any(axis=0)] = 0.0


def _fitted(config: RunConfig, parts: Parts) -> Any:
    data = config.data
    return fit_encodings(
        parts.train,
        task=_task(config) or (None if parts.kind is None else parts.kind.task),
        scaling=data.scaling,
        max_categories=data.max_categories,
        standardise_target=not _counts(config),
    )


def _counts(config: RunConfig) -> bool:
    """Whether the loss is one for counts, which are left as they are."""
    loss = config.training.loss
    return bool(loss != "auto" and make_loss(loss).target == "counts")


def _task(config: RunConfig) -> Any:
    """The task asked for; counts are a regression however few they are."""
    return config.data.task or ("regression" if _counts(config) else None)


def _check_loss(wants: str, task: str, name: str) -> None:
    fits = {
        "classification": ("classes", "labels", "values"),  # classes are one-hot rows to the latter two
        "multilabel": ("labels", "values"),
        "regression": ("values", "counts"),
    }
    if wants not in fits[task]:
        text = say(
            "the loss {loss!r} does not go with {task}; choose another, or another --task", loss=name, task=say(task)
        )
        raise ConfigError(text)


def default_hidden(rows: int) -> tuple[int, ...]:
    """Hidden layers for a table of so many training rows."""
    return (64, 32) if rows < 1000 else (128, 64)


def _encoded(model: Model, part: Table | Arrays | None) -> Examples | None:
    return None if part is None else model.examples(part)


def _training(
    config: RunConfig, model: Model, train_set: Examples, validation_set: Examples | None, note: Note
) -> TrainingConfig:
    """The training branch with every choice made."""
    training = config.training
    optimiser = OPTIMISERS.make(training.optimiser)
    batch_size = training.batch_size or default_batch_size(len(train_set))
    if batch_size > len(train_set):
        note(say("the batch is all {rows} rows: there are fewer than {asked}", rows=len(train_set), asked=batch_size))
        batch_size = len(train_set)
    stopping = training.early_stopping
    if stopping == "none":
        stopping = None
    elif stopping is None and validation_set is not None:
        stopping = "patience20"
    schedule, lr = training.schedule, training.lr or optimiser.default_lr
    if schedule == "auto":
        falls = validation_set is not None and stopping is not None and optimiser.name in ("adam", "adamw")
        schedule = "reduce_on_plateau(patience=5)" if falls else "constant"
        lr = lr if training.lr or not falls else 2 * lr  # what will fall may start higher
    training = training.replaced(
        loss=model.loss,
        lr=lr,
        schedule=schedule,
        batch_size=batch_size,
        early_stopping=stopping,
    )
    sizes = "-".join(map(str, model.network.sizes))
    note(
        say(
            "network {sizes} ({parameters:,} parameters), loss {loss}, {optimiser} with learning rate {lr:g} "
            "({schedule}), batch {batch}",
            sizes=sizes,
            parameters=model.network.n_parameters,
            loss=model.loss.name,
            optimiser=optimiser.name,
            lr=training.lr,
            schedule=SCHEDULES.make(schedule).name,
            batch=batch_size,
        )
    )
    if stopping is not None:
        note(say("early stopping: {criterion}, on the validation set", criterion=stopping))
    return training


def _class_weights(given: Any, model: Model) -> Any:
    """Weights by class, which are given by label, by class index."""
    if not isinstance(given, dict) or model.target is None or model.target.task != "classification":
        return given
    index = {str(label): k for k, label in enumerate(model.target.classes)}
    unknown = [label for label in given if str(label) not in index]
    if unknown:
        text = say(
            "class_weight names {unknown!r}; the classes are {classes}", unknown=unknown[0], classes=", ".join(index)
        )
        raise ConfigError(text)
    return {index[str(label)]: weight for label, weight in given.items()}


# The folder


def check_folder(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that holds something else, or a run that may not be replaced."""
    try:
        if _is_empty(folder):
            return
    except OSError as error:
        raise unwritable(ConfigError, folder, error) from error
    if (folder / CHECKPOINTS / BEGUN).exists() and not (folder / CONFIG).exists():
        if overwrite:
            return
        text = say(
            "{folder} holds a run that was broken off: glassnet resume {folder}, or --overwrite it", folder=folder
        )
        raise ConfigError(text)
    if not folder.is_dir() or not (folder / CONFIG).exists():
        raise ConfigError(say("{folder} is there already and is not a run; choose another name", folder=folder))
    if not overwrite:
        raise ConfigError(
            say("the run {folder} is there already; choose another name, or --overwrite it", folder=folder)
        )


def _is_empty(folder: Path) -> bool:
    """Whether there is nothing in it, or only what a run leaves that was killed before it could begin."""
    if not folder.exists():
        return True
    if not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir() if not path.name.startswith(tuple(f".{n}." for n in WRITTEN))}
    names.discard(LOCK)
    begun = (folder / CHECKPOINTS).iterdir() if CHECKPOINTS in names else ()
    return names <= {EVENTS, CHECKPOINTS} and all(path.name.startswith(".") for path in begun)


@contextmanager
def _held(folder: Path, *, overwrite: bool, resume: bool) -> Iterator[None]:
    """The run's folder, made and tried before there is work to lose, and locked; gone again if nothing was put into it.

    Whether it may be used is asked before, as nothing is put into a folder that may not, and once more when it is
    locked, as another process may have trained there in between.
    """

    def check() -> None:
        if resume:
            check_resumable(folder)
        else:
            check_folder(folder, overwrite)

    check_free(folder)
    check()
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        _try_writing(folder)
        with locked(folder):
            check()
            yield
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.rmdir()
        raise


def _try_writing(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise unwritable(ConfigError, folder, error) from error


def free_folder(root: Path, name: str) -> Path:
    """``root``/``name``, or with the first number behind it that is free."""
    name = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:100] or "run"
    candidates = [name, *(f"{name}-{k}" for k in range(2, 10_000))]
    return next(root / c for c in candidates if not (root / c).exists())


def _write(run: Run, *, resumed: bool) -> None:
    folder = run.folder
    assert folder is not None
    remove_leftovers(folder, WRITTEN)
    shutil.rmtree(folder / FIGURES, ignore_errors=True)
    (folder / SNAPSHOTS).unlink(missing_ok=True)
    for events in (folder / EVENTS).glob("*") if not resumed and not (folder / EVENTS).is_symlink() else ():
        if events.stat().st_mtime < time.time() - run.seconds:  # of the run that is overwritten
            events.unlink()
    run.model.save(folder)
    contents = {HISTORY: run.history.to_jsonl().encode()}
    if run.snapshots:
        contents[SNAPSHOTS] = to_jsonl(run.snapshots).encode()
    for name, content in contents.items():
        write_bytes(folder / name, content)
    contents[CONFIG] = (json.dumps(plain(run.config), ensure_ascii=False, indent=1) + "\n").encode()
    contents[MANIFEST] = read_bytes(folder / MANIFEST)
    results = {
        "test": run.test,
        "stop_reason": run.history.stop_reason,
        "seconds": run.seconds,
        "engine": run.history.engine,
        "files": {name: digest(content) for name, content in contents.items()},
    }
    write_document(folder / RESULTS, results)
    write_bytes(folder / CONFIG, contents[CONFIG])  # last: a folder that has it holds a run


def plain(config: RunConfig) -> dict[str, Any]:
    """A configuration as pure JSON; components as mappings."""

    def simple(value: Any) -> Any:
        if isinstance(value, BaseModel):
            return {key: simple(getattr(value, key)) for key in type(value).model_fields}
        if isinstance(value, dict):
            return {str(key): simple(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [simple(item) for item in value]
        if value is None or isinstance(value, (str, int, float, bool)):
            return value
        if isinstance(value, Path):
            return str(value)
        name = getattr(value, "name", None)
        if name is None or not is_dataclass(value):
            return repr(value)
        return {"name": name, **{item.name: simple(getattr(value, item.name)) for item in fields(value)}}

    objects = [key for key, value in config.data if not isinstance(value, (str, float, int, Path, type(None)))]
    data = config.data.replaced(**dict.fromkeys(objects))  # objects of Python: a file cannot hold them
    tree: dict[str, Any] = simple(
        config.replaced(data=data)
    )  # not model_dump(), which would lose the components' names
    return tree


# A run looked into


@dataclass
class Inside:
    """A run that has ended, with its data at hand.

    Attributes
    ----------
    folder : Path
    config : RunConfig
    model : Model
        As it was saved.
    history : History
    snapshots : list of Snapshot
        From before training to its end.
    train_set, validation_set, test_set : Examples
        Encoded, as they were trained on; None where there are none.
    """

    folder: Path
    config: RunConfig
    model: Model
    history: History
    snapshots: list[Snapshot]
    train_set: Examples
    validation_set: Examples | None
    test_set: Examples | None


def look_into(folder: Path, note: Note = lambda text: None) -> Inside:
    """A run's folder and the data it was trained on.

    A run that took no snapshots is trained again for them: it repeats to the bit, on the same machine with the same
    number of threads.

    Raises
    ------
    InputError
        If the folder holds no run, or its data are not at hand.
    """
    config, model, history, snapshots = whole(
        folder, lambda: (config_of(folder), load_model(folder), read_history(folder), read_snapshots(folder))
    )
    if config.data.source is None:
        raise ConfigError(say("the run does not say which data it was trained on, so it cannot be repeated"))
    recorder = Recorder()
    job = ready(config, [recorder], lambda text: None, storable=False)
    if not snapshots:
        note(say("the run took no snapshots (--record): it is trained again for them"))
        again = job.trainer.fit(job.train_set, job.validation_set)
        snapshots = recorder.snapshots
        losses, before = again["loss"], history["loss"]
        if losses[: len(before)] != before[: len(losses)]:
            note(say("it did not go the same way: its data, the machine or the number of threads are others now"))
    return Inside(folder, config, model, history, snapshots, job.train_set, job.validation_set, job.test_set)
