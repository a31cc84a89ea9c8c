"""``glassnet train``: from a source of data to a trained model in a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassnet.cli import common
from glassnet.cli.common import JsonOption
from glassnet.cli.diagnose import show
from glassnet.errors import ConfigError, MissingExtraError
from glassnet.messages import say

if TYPE_CHECKING:
    from glassnet.config import RunConfig
    from glassnet.inspection import Diagnosis
    from glassnet.runs import Run

NAME = "train"

DATA, NETWORK, TRAINING = say("Data"), say("Network"), say("Training")
CHECKPOINTS = say("Checkpoints")
REGULARISATION, START = say("Regularisation"), say("Start from")


def help_text() -> str:
    """What the command does."""
    return say(
        "Train a network on a table, images or arrays, and save it as a run. What is not said is chosen, and told."
    )


def _option(text: str, panel: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar, show_default=False)


def command(
    source: Annotated[str | None, common.SOURCE] = None,
    target: Annotated[str | None, _option(say("Column to predict."), DATA, "--target")] = None,
    task: Annotated[
        str | None, _option(say("classification, regression or multilabel; else inferred."), DATA, "--task")
    ] = None,
    scaling: Annotated[
        str | None, _option(say("Of numbers: auto, standard, minmax or none."), DATA, "--scaling")
    ] = None,
    max_categories: Annotated[
        int | None, _option(say("Most categories kept of a text column (100)."), DATA, "--max-categories")
    ] = None,
    validation: Annotated[
        str | None,
        _option(
            say("Share of the rows that the test leaves (0.1), or a file, to watch for early stopping."),
            DATA,
            "--validation",
        ),
    ] = None,
    test: Annotated[
        str | None, _option(say("Share of the rows (0.2), or a file, to test on at the end."), DATA, "--test")
    ] = None,
    hidden: Annotated[
        str | None, _option(say("Units of the hidden layers: 256,128; or none."), NETWORK, "--hidden")
    ] = None,
    activation: Annotated[
        str | None,
        _option(
            say(
                "relu, tanh, logistic, identity, leaky_relu, elu, gelu, silu, softplus; or a list, one a hidden layer."
            ),
            NETWORK,
            "--activation",
        ),
    ] = None,
    output: Annotated[
        str | None,
        _option(
            say("Activation of the output layer (identity: the losses for classes take logits)."), NETWORK, "--output"
        ),
    ] = None,
    init: Annotated[
        str | None,
        _option(
            say(
                "auto, he, xavier, xavier_logistic, lecun, orthogonal, normal, uniform, constant, zeros; "
                "with parameters: normal(variance=0.01)."
            ),
            NETWORK,
            "--init",
        ),
    ] = None,
    bias: Annotated[
        str | None, _option(say("Initial biases: a number or an initialiser (0)."), NETWORK, "--bias")
    ] = None,
    dropout: Annotated[
        str | None, _option(say("Probability of dropping a hidden unit: 0.5, or one a layer."), NETWORK, "--dropout")
    ] = None,
    input_dropout: Annotated[
        float | None, _option(say("Probability of dropping an input."), NETWORK, "--input-dropout")
    ] = None,
    dropout_variant: Annotated[
        str | None,
        _option(say("inverted (scaled in training) or plain (scaled in testing)."), NETWORK, "--dropout-variant"),
    ] = None,
    dtype: Annotated[str | None, _option(say("float32 or float64."), NETWORK, "--dtype")] = None,
    loss: Annotated[
        str | None,
        _option(
            say(
                "cross_entropy, binary_cross_entropy, squared_error, absolute_error, huber, poisson, log_loss; "
                "else by the task."
            ),
            TRAINING,
            "--loss",
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        _option(say("adam, adamw, sgd, momentum, nesterov, rmsprop."), TRAINING, "--optimizer", "--optimiser"),
    ] = None,
    lr: Annotated[
        float | None,
        _option(
            say(
                "Learning rate; else 0.1 for sgd, 0.01 with momentum, 0.001 for the others "
                "(0.002 if it falls by itself)."
            ),
            TRAINING,
            "--lr",
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        _option(
            say(
                "constant, step, exponential, inverse_scaling, linear, cosine, one_cycle, reduce_on_plateau "
                "(the last for adam with held-out rows, else the first); "
                "with parameters: cosine(warmup=2)."
            ),
            TRAINING,
            "--schedule",
        ),
    ] = None,
    batch_size: Annotated[
        int | None, _option(say("Rows in a batch; else by the number of rows."), TRAINING, "--batch-size")
    ] = None,
    epochs: Annotated[int | None, _option(say("Epochs at the most (200)."), TRAINING, "--epochs")] = None,
    clip_norm: Annotated[float | None, _option(say("Largest norm of the gradient."), TRAINING, "--clip-norm")] = None,
    clip_value: Annotated[
        float | None, _option(say("Largest entry of the gradient."), TRAINING, "--clip-value")
    ] = None,
    early_stopping: Annotated[
        str | None,
        _option(
            say("GL5, PQ0.5, UP3, patience20 or none (patience20 if rows are held out)."), TRAINING, "--early-stopping"
        ),
    ] = None,
    monitor: Annotated[
        str | None, _option(say("What early stopping watches: loss or metric."), TRAINING, "--monitor")
    ] = None,
    on_nonfinite: Annotated[
        str | None,
        _option(
            say("At NaN or infinity: stop, skip (the batch) or halve (the learning rate; the epoch begins anew)."),
            TRAINING,
            "--on-nonfinite",
        ),
    ] = None,
    class_weight: Annotated[
        str | None, _option(say("balanced: every class counts alike."), TRAINING, "--class-weight")
    ] = None,
    seed: Annotated[int | None, _option(say("Of everything random (0)."), TRAINING, "--seed")] = None,
    device: Annotated[str | None, _option(say("auto, cpu, cuda or what torch offers."), TRAINING, "--device")] = None,
    engine: Annotated[str | None, _option(say("auto, native or reference."), TRAINING, "--engine")] = None,
    precision: Annotated[
        str | None,
        _option(
            say("exact (float32), fast (bfloat16 products where the processor has them) or auto."),
            TRAINING,
            "--precision",
        ),
    ] = None,
    threads: Annotated[int | None, _option(say("Threads; else one a core."), TRAINING, "--threads")] = None,
    l1: Annotated[float | None, _option(say("λ of λ‖W‖₁."), REGULARISATION, "--l1")] = None,
    l2: Annotated[float | None, _option(say("λ of ½λ‖W‖²."), REGULARISATION, "--l2")] = None,
    weight_decay: Annotated[
        float | None, _option(say("Share by which weights shrink at each step."), REGULARISATION, "--weight-decay")
    ] = None,
    decay_form: Annotated[
        str | None, _option(say("step, or lr: the share times the learning rate."), REGULARISATION, "--decay-form")
    ] = None,
    max_norm: Annotated[
        float | None, _option(say("Largest norm of the weights into a unit."), REGULARISATION, "--max-norm")
    ] = None,
    regularise_biases: Annotated[
        bool | None,
        _option(
            say("ℓ1, ℓ2 and decay act on biases too."), REGULARISATION, "--regularise-biases/--no-regularise-biases"
        ),
    ] = None,
    start_from: Annotated[
        Path | None, _option(say("A run whose weights to start from."), START, "--from", metavar="RUN")
    ] = None,
    load_layers: Annotated[
        str | None, _option(say("Which layers to take from it: 1,2 (all)."), START, "--load-layers")
    ] = None,
    freeze: Annotated[str | None, _option(say("Layers to leave as they are: 1,2."), START, "--freeze")] = None,
    pretrain: Annotated[
        str | None, _option(say("Pre-train hidden layers without labels: greedy or whole."), START, "--pretrain")
    ] = None,
    pretrain_epochs: Annotated[
        int | None, _option(say("Epochs of each autoencoder (20)."), START, "--pretrain-epochs")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help=say("A TOML file, or a run's config.json; options given here come before it.")),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help=say("The run's folder; else runs/ and the source's name."))
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help=say("Replace a run of that name."))] = False,
    checkpoint_every: common.CheckpointEvery = None,
    checkpoint_keep: common.CheckpointKeep = 2,
    resume: Annotated[
        Path | None,
        _option(
            say("A run that was broken off, to go on from its newest checkpoint."),
            CHECKPOINTS,
            "--resume",
            metavar="RUN",
        ),
    ] = None,
    allow: Annotated[
        str | None,
        _option(say("Options that may differ from those of the resumed run: epochs,lr."), CHECKPOINTS, "--allow"),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help=say("Take snapshots of the network for plot, report and diagnose."))
    ] = False,
    track: Annotated[
        bool,
        typer.Option("--track", help=say("Write event files for TensorBoard into the run's folder (extra track).")),
    ] = False,
    diagnose: Annotated[
        bool, typer.Option("--diagnose", help=say("Say at the end what is wrong, also if training diverges."))
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help=say("Print the result only."))] = False,
    as_json: JsonOption = False,
) -> int:
    """Gather the options into a configuration, execute it, and report."""
    missing = say("SOURCE is missing: give it here, or as data.source in the configuration")
    if source is None and config is None and resume is None:
        raise ConfigError(missing)
    from glassnet.config import RunConfig, merge
    from glassnet.runs import free_folder

    given = {
        "data": {
            "source": source,
            "target": target,
            "task": task,
            "scaling": scaling,
            "max_categories": max_categories,
            "validation": None if validation is None else common.share_or_path(validation),
            "test": None if test is None else common.share_or_path(test),
        },
        "network": {
            "hidden": None if hidden is None else common.numbers(hidden, "--hidden"),
            "activation": None if activation is None else common.components(activation),
            "output": output,
            "init": None if init is None else common.components(init),
            "bias": None if bias is None else common.share_or_path(bias),
            "dropout": None if dropout is None else common.shares(dropout, "--dropout"),
            "input_dropout": input_dropout,
            "dropout_variant": dropout_variant,
            "dtype": dtype,
        },
        "training": {
            "loss": loss,
            "optimiser": optimizer,
            "lr": lr,
            "schedule": schedule,
            "batch_size": batch_size,
            "epochs": epochs,
            "clip_norm": clip_norm,
            "clip_value": clip_value,
            "early_stopping": early_stopping,
            "monitor": monitor,
            "class_weight": class_weight,
            "seed": seed,
            "device": device,
            "engine": engine,
            "precision": precision,
            "threads": threads,
            "l1": l1,
            "l2": l2,
            "weight_decay": weight_decay,
            "decay_form": decay_form,
            "max_norm": max_norm,
            "regularise_biases": regularise_biases,
            "on_nonfinite": on_nonfinite,
        },
        "start_from": None if start_from is None else str(start_from),
        "load_layers": None if load_layers is None else common.numbers(load_layers, "--load-layers"),
        "freeze": None if freeze is None else common.numbers(freeze, "--freeze"),
        "pretrain": pretrain,
        "pretrain_epochs": pretrain_epochs,
    }
    defaults = {"training": {"epochs": 200}}
    stored = {} if config is None else _checked(config, source)
    if resume is not None:
        if out is not None or overwrite or config is not None:
            raise ConfigError(
                say("--resume RUN goes on in that run's folder: leave out --out, --overwrite and --config")
            )
        stored = common.stored_config(resume)
    tree = merge(merge(defaults, stored), _without_none(given))
    if tree["data"].get("source") is None:
        raise ConfigError(missing)
    run_config = RunConfig.make(**tree)
    name = Path(run_config.data.source).name.split(".")[0]
    folder = resume or out or free_folder(Path("runs"), name)
    options: dict[str, Any] = {
        "overwrite": overwrite,
        "record": record,
        "track": track,
        "diagnose": diagnose,
        "checkpoint_every": checkpoint_every,
        "checkpoint_keep": checkpoint_keep,
        "resume": resume is not None,
        "allow": [] if allow is None else allow.split(","),
    }
    return execute_and_report(run_config, folder, quiet=quiet, as_json=as_json, **options)


def execute_and_report(
    config: RunConfig,
    folder: Path,
    *,
    quiet: bool,
    as_json: bool,
    track: bool = False,
    diagnose: bool = False,
    **options: Any,
) -> int:
    """Execute a configuration, with its progress and its results shown."""
    from glassnet.cli.progress import JsonLines, Progress
    from glassnet.runs import EVENTS, execute

    reporter: Any = JsonLines() if as_json else Progress(quiet=quiet)
    callbacks: list[Any] = [reporter]
    if track:
        from glassnet.inspection.tracking import Tracker

        callbacks.append(Tracker(folder=folder / EVENTS))
    watch = _watch() if diagnose else None
    callbacks += [] if watch is None else [watch]
    try:
        with reporter:
            run = execute(config, folder=folder, callbacks=callbacks, note=reporter.note, **options)
        figure = _draw(run, reporter)
        go_on = say("go on with: glassnet resume {run}", run=folder)
        if as_json:
            if run.broken_off:
                reporter.note(go_on)
            reporter.done(run)
        else:
            _report(run, figure)
            if run.broken_off:
                print(go_on)
    finally:
        if watch is not None and watch.snapshots:
            show(watch.findings, as_json=as_json)
    return 0


def _watch() -> Diagnosis:
    from glassnet.inspection import Diagnosis

    return Diagnosis()


def _checked(path: Path, source: str | None) -> dict[str, Any]:
    """The tree of a configuration file, each of its values checked before options come before them."""
    from glassnet.config import RunConfig, merge, read_config

    tree = read_config(path)
    try:
        RunConfig.make(**merge({"data": {"source": source or ""}}, tree))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return tree


def _without_none(tree: dict[str, Any]) -> dict[str, Any]:
    cleaned = {key: _without_none(value) if isinstance(value, dict) else value for key, value in tree.items()}
    return {key: value for key, value in cleaned.items() if value is not None}


def _draw(run: Run, reporter: Any) -> Path | None:
    """The curves of the run, if the extra is there."""
    from glassnet.drawing import draw_curves
    from glassnet.runs import FIGURES

    assert run.folder is not None
    if not len(run.history):
        return None
    try:
        criterion = run.config.training.early_stopping
        path = run.folder / FIGURES / "curves.png"
        return draw_curves(run.history, path, title=run.folder.name, criterion=criterion)
    except MissingExtraError as error:
        reporter.note(str(error))
        return None


def _report(run: Run, figure: Path | None) -> None:
    history = run.history
    if not len(history):  # interrupted in the first epoch
        common.console().print(history.stop_reason, markup=False)
        return
    kept = history.best_epoch or len(history)  # the epoch whose parameters the model has
    last = history.epochs[kept - 1]
    metric = "accuracy" if "accuracy" in last else "r2"
    rows = [
        (say("epochs"), len(history)),
        (say("why it stopped"), history.stop_reason),
        (say("model of epoch"), kept),
        (say("training loss"), f"{last['loss']:.4f}"),
        (say("training accuracy") if metric == "accuracy" else say("training R²"), f"{last[metric]:.4f}"),
    ]
    if "val_loss" in last:
        name = say("validation accuracy") if metric == "accuracy" else say("validation R²")
        rows += [(say("validation loss"), f"{last['val_loss']:.4f}"), (name, f"{last[f'val_{metric}']:.4f}")]
    if "accuracy" in run.test:
        rows.append((say("test accuracy"), f"{run.test['accuracy']:.4f}"))
        rows.append((say("test log-loss"), f"{run.test['log_loss']:.4f}"))
    elif run.test:
        rows += [(say("test RMSE"), f"{run.test['rmse']:,.6g}"), (say("test MAE"), f"{run.test['mae']:,.6g}")]
        rows.append((say("test R²"), f"{run.test['r2']:.4f}"))
    rows.append((say("seconds of training"), f"{history.seconds:.2f}"))
    rows.append((say("run"), run.folder))
    if figure is not None:
        rows.append((say("picture"), figure))
    common.print_table("", (say("result"), say("value")), rows)
    sys.stdout.flush()
