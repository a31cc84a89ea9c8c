"""A model: a trained network with all that it takes to use it on raw rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.arrays import as_csr, as_dense, is_sparse, to_numpy
from glassnet.data import Arrays, Encoding, Table, TargetEncoding, load_source
from glassnet.data.examples import Examples
from glassnet.engine import native
from glassnet.engine.base import r2
from glassnet.errors import ConfigError, DataError, ModelFileError, ShapeError
from glassnet.losses import LOSSES, Loss
from glassnet.losses import loss as make_loss
from glassnet.messages import say
from glassnet.network import Network, check_targets, parameter_values
from glassnet.storage import damaged, read_pair, write_pair
from glassnet.trace import Trace, checked_rows, trace

FORMAT = "glassnet-model"
VERSION = 2
ARRAYS = "model.safetensors"
MANIFEST = "model.json"

_ROWS = 4096  # predicted at a time
_NATIVE_ROWS = 64  # from which on it pays to hand them to the native engine


@dataclass(frozen=True)
class Prediction:
    """What a model says of some rows.

    Attributes
    ----------
    values : ndarray (N,) or (N, K)
        Labels, or numbers in the target's units; for many labels 0 and 1, (N, K).
    probabilities : ndarray (N, K) or None
        Of each class or label; None for regression.
    spread : ndarray (N, K) or None
        Standard deviation over Monte-Carlo dropout's masks, of the probabilities or of the numbers; None without it.
    classes : list
        What the columns of ``probabilities`` stand for.
    """

    values: np.ndarray
    probabilities: np.ndarray | None
    spread: np.ndarray | None
    classes: list[Any]


class Model:
    """A network, its loss (which turns outputs into probabilities) and the encodings of its data.

    Parameters
    ----------
    network : Network
    loss : str, dict or Loss
    target : TargetEncoding, optional
        How targets were encoded; None: as they are.
    encoding : Encoding, optional
        How rows were encoded; None: arrays (N, n[0]) as they are.
    target_name : str, optional
        The name of the target's column, if the model learned from a table.

    See Also
    --------
    glassnet.load : the model of a file or run.
    """

    def __init__(
        self,
        network: Network,
        loss: Any,
        target: TargetEncoding | None = None,
        encoding: Encoding | None = None,
        target_name: str | None = None,
    ) -> None:
        self.network = network
        self.loss: Loss = make_loss(loss)
        self.target = target
        self.encoding = encoding
        self.target_name = target_name

    @property
    def task(self) -> str:
        """What is predicted: "classification", "multilabel" or "regression"."""
        if self.target is not None:
            return self.target.task
        return {"classes": "classification", "labels": "multilabel"}.get(self.loss.target, "regression")

    # Raw rows to arrays

    def part(self, data: Any, *, need_target: bool = False) -> Table | Arrays:
        """The rows of a source, an object or a part; a source with a test set of its own gives that."""
        if isinstance(data, (Table, Arrays)):
            return data
        source = load_source(data, target=self.target_name, need_target=need_target)
        return source.train if source.test is None else source.test

    def features(self, part: Table | Arrays | Any) -> Any:
        """The network's input for raw rows, (N, n[0]). Sparse rows are an input already, if there is no encoding."""
        if is_sparse(part):
            if self.encoding is not None:
                raise DataError(say("this model has an encoding, which takes no sparse rows; make them dense"))
            return as_csr(part)
        if self.encoding is not None:
            return self.encoding.encode(part, dtype=self.network.dtype)
        if isinstance(part, Table):
            columns = [part.columns.column(name).to_numpy() for name in part.feature_columns]
            if len(columns) == self.network.sizes[0] and all(column.dtype.kind in "biuf" for column in columns):
                return np.column_stack(columns).astype(self.network.dtype)
            raise DataError(
                say(
                    "this model was saved without an encoding; give it arrays of shape (N, {n})",
                    n=self.network.sizes[0],
                )
            )
        return part.x.reshape(len(part.x), -1).astype(self.network.dtype)

    def examples(self, data: Any) -> Examples:
        """Encoded rows and targets of a source, for evaluation or a gradient check."""
        if isinstance(data, tuple) and len(data) == 2 and is_sparse(data[0]):
            part, y = data
        else:
            part = self.part(data, need_target=True)
            y = part.y
        if y is None:
            raise DataError(say("these rows have no target to compare with"))
        x = self.features(part)  # first: of rows that are altogether different it says the most
        y = np.asarray(y) if self.target is None else self.target.encode(y, dtype=self.network.dtype)
        return Examples(x, y)

    # Predictions

    def predict(self, data: Any, *, samples: int = 0) -> Prediction:
        """Predict raw rows.

        Parameters
        ----------
        data : source, array, data frame, Table or Arrays; for a model without an encoding also a sparse array
        samples : int, default 0
            T > 0: Monte-Carlo dropout, the mean over T random masks and its spread (Gal and Ghahramani 2016).

        Raises
        ------
        DataError
            If the rows cannot be encoded as in training.
        ConfigError
            If ``samples`` is asked of a network without dropout.
        """
        part = data if is_sparse(data) else self.part(data)
        return self.predict_features(self.features(part), samples=samples)

    def predict_features(self, x: Any, *, samples: int = 0, threads: int | None = None) -> Prediction:
        """Predict encoded rows: an array (N, n[0]), or a sparse array of SciPy; at most with so many threads."""
        if samples < 0 or (samples and not any(layer.kind == "dropout" for layer in self.network.layers)):
            raise ConfigError(say("samples must be 0 or more, and needs a network with dropout"))
        x = as_csr(x) if is_sparse(x) else np.asarray(x)
        forward = self._forward(x, threads) if not samples else None
        means, spreads = [], []
        for start in range(0, max(x.shape[0], 1), _ROWS):
            rows = x[start : start + _ROWS]
            if forward is None:
                outputs = self.network.sample(as_dense(rows), samples, first=start)
                draws = np.stack([self._linked(a) for a in outputs])
                means.append(draws.mean(axis=0))
                spreads.append(draws.std(axis=0))
            else:
                means.append(self._linked(forward(rows)))
        mean = np.concatenate(means)
        spread = np.concatenate(spreads) if samples else None
        return self._prediction(mean, spread)

    def _forward(self, x: Any, threads: int | None) -> Callable[[Any], Any]:
        """What takes rows of x to outputs: the native engine, or the network itself for few rows or if it cannot."""
        if x.shape[0] >= _NATIVE_ROWS and native.cannot_carry(self.network) is None:
            return native.Forward(self.network, sparse=is_sparse(x), threads=threads)
        return lambda rows: self.network.forward(as_dense(rows))

    def _linked(self, a: Any) -> np.ndarray:
        return np.asarray(self.loss.link(np.asarray(to_numpy(a), dtype=np.float64)))

    def _prediction(self, mean: np.ndarray, spread: np.ndarray | None) -> Prediction:
        classes = list(range(mean.shape[1])) if self.target is None else list(self.target.classes)
        if self.task == "classification":
            # A softmax in float32 sums to 1 in its precision only; outputs that were trained one by one need not, and
            # may be negative. The largest stays the largest.
            sums = mean.sum(axis=1, keepdims=True)
            if mean.min(initial=0.0) < 0 or np.abs(sums - 1).max(initial=0.0) > 4 * np.finfo(np.float64).eps:
                mean = mean - np.minimum(mean.min(axis=1, keepdims=True), 0.0) + np.finfo(np.float64).tiny
                mean = mean / mean.sum(axis=1, keepdims=True)
            values = mean.argmax(axis=1) if self.target is None else self.target.decode(mean)
            return Prediction(values, mean, spread, classes)
        if self.task == "multilabel":
            return Prediction((mean > 0.5).astype(np.int64), mean, spread, classes)
        if self.target is not None:
            scale = np.asarray(self.target.scale)
            values = self.target.decode(mean)
            return Prediction(values, None, None if spread is None else spread * scale, [])
        return Prediction(mean[:, 0] if mean.shape[1] == 1 else mean, None, spread, [])

    # Evaluation

    def evaluate(self, data: Any) -> dict[str, Any]:
        """How good the predictions of raw rows with known targets are.

        Returns
        -------
        dict
            For classes: ``accuracy``, ``log_loss``, ``classes`` (for each: ``label``, ``precision``, ``recall``,
            ``f1``, ``support``) and ``confusion`` (rows: true, columns: predicted). For many labels: ``accuracy`` (all
            labels right), ``log_loss`` and ``classes``. For numbers: ``rmse``, ``mae`` and ``r2``, in the target's
            units. Always ``rows``.
        """
        return self.evaluate_examples(data if isinstance(data, Examples) else self.examples(data))

    def evaluate_examples(self, examples: Examples, *, threads: int | None = None) -> dict[str, Any]:
        """The same for encoded examples, at most with so many threads."""
        prediction = self.predict_features(examples.x, threads=threads)
        n, outputs = len(prediction.values), self.network.sizes[-1]
        y = check_targets(np.asarray(examples.y), n=n, outputs=outputs, loss=self.loss, dtype=np.float64)
        if self.task == "classification":
            assert prediction.probabilities is not None
            y = y if y.ndim == 1 else y.argmax(axis=1)
            return _classification_figures(y, prediction.probabilities, prediction.classes)
        if self.task == "multilabel":
            assert prediction.probabilities is not None
            return _label_figures(y, prediction.probabilities, prediction.classes)
        true = y if self.target is None else self.target.decode(y)
        return _regression_figures(true.reshape(len(true), -1), prediction.values.reshape(len(true), -1))

    def trace(self, data: Any, *, rows: Sequence[int] | None = None) -> Trace:
        """Every z, a, δ and gradient of some raw rows with known targets, without dropout.

        Parameters
        ----------
        data : source, Table, Arrays, or pair (x, y)
        rows : sequence of int, optional
            Which of its rows are the batch, from 0; all by default.

        Raises
        ------
        InputError
            If there is no such row, or the rows cannot be encoded as in training.
        """
        examples = self.examples(data)
        if rows is not None:
            examples = examples.take(checked_rows(rows, len(examples)))
        return trace(self.network, self.loss, as_dense(examples.x), examples.y)

    # Files

    def save(self, folder: str | Path) -> Path:
        """Write ``model.safetensors`` and its manifest ``model.json`` into a folder.

        Raises
        ------
        ConfigError
            If an activation or the loss is a user's own: a file cannot hold code.
        ModelFileError
            If the files cannot be written.
        """
        folder = Path(folder)
        write_pair(folder / MANIFEST, self.manifest(), ARRAYS, parameter_values(self.network))
        return folder

    def manifest(self) -> dict[str, Any]:
        """Everything but the parameters' values, as pure JSON; ConfigError if something is a user's own."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "network": self.network.config(),
            "loss": LOSSES.spec(self.loss),
            "target": None if self.target is None else self.target.to_json(),
            "target_name": self.target_name,
            "encoding": None if self.encoding is None else self.encoding.to_json(),
        }

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """The model of a folder that :meth:`save` or a run wrote.

        Raises
        ------
        ModelFileError
            If it is missing, damaged, or of another format; the message names the file.
        """
        path = Path(path)
        folder = path if path.is_dir() else path.parent
        if path.name in (ARRAYS, MANIFEST) or path.is_dir():
            manifest_path = folder / MANIFEST
        else:
            raise ModelFileError(say("{path} is not a run or a model's folder", path=path))
        if not manifest_path.exists():
            raise ModelFileError(say("{path} holds no model: there is no {name}", path=folder, name=MANIFEST))
        manifest, arrays = read_pair(manifest_path, ARRAYS, FORMAT, VERSION)
        with damaged(manifest_path):
            network = Network.from_config(manifest["network"], arrays)
            target = None if manifest["target"] is None else TargetEncoding.from_json(manifest["target"])
            encoding = None if manifest["encoding"] is None else Encoding.from_json(manifest["encoding"])
            if not isinstance(manifest["target_name"], (str, type(None))):
                raise TypeError(say("{name} has a value of another kind", name="target_name"))
            inputs, outputs = network.sizes[0], network.sizes[-1]
            if encoding is not None and encoding.n_features != inputs:
                raise ShapeError(say("{n} features go into {inputs} inputs", n=encoding.n_features, inputs=inputs))
            if target is not None and outputs != target.n_outputs:
                raise ShapeError(say("{outputs} outputs give {n} numbers", outputs=outputs, n=target.n_outputs))
            return cls(network, manifest["loss"], target, encoding, manifest["target_name"])


load: Callable[[str | Path], Model] = Model.load


def fit_encodings(
    part: Table | Arrays,
    *,
    task: Any = None,
    scaling: Any = "auto",
    max_categories: int = 100,
    standardise_target: bool = True,
) -> tuple[Encoding, TargetEncoding]:
    """Encodings of rows and targets, from the training rows only."""
    target = TargetEncoding.fit(part.y, task, part.class_names if isinstance(part, Arrays) else None)
    if target.task == "regression" and not standardise_target:
        target = replace(target, mean=(0.0,) * target.n_outputs, scale=(1.0,) * target.n_outputs)
    return Encoding.fit(part, scaling=scaling, max_categories=max_categories), target


def confusion(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """How many rows of each true class (N,) were taken for which, by probabilities (N, K): int64 (K, K)."""
    counts = np.zeros((p.shape[1], p.shape[1]), dtype=np.int64)
    np.add.at(counts, (y, p.argmax(axis=1)), 1)
    return counts


def _classification_figures(y: np.ndarray, p: np.ndarray, classes: list[Any]) -> dict[str, Any]:
    counts = confusion(y, p)
    chosen = np.clip(p[np.arange(len(y)), y], np.finfo(np.float64).tiny, None)
    right = np.diag(counts)
    return {
        "rows": len(y),
        "accuracy": float(right.sum() / len(y)),
        "log_loss": float(-np.log(chosen).mean()),
        "classes": _per_class(right, counts.sum(axis=0), counts.sum(axis=1), classes),
        "confusion": counts.tolist(),
    }


def _label_figures(y: np.ndarray, p: np.ndarray, classes: list[Any]) -> dict[str, Any]:
    tiny = np.finfo(np.float64).tiny
    predicted, true = p > 0.5, y > 0.5
    log_loss = -(y * np.log(np.clip(p, tiny, None)) + (1 - y) * np.log(np.clip(1 - p, tiny, None)))
    right = (predicted & true).sum(axis=0)
    return {
        "rows": len(y),
        "accuracy": float((predicted == true).all(axis=1).mean()),
        "log_loss": float(log_loss.sum(axis=1).mean()),
        "classes": _per_class(right, predicted.sum(axis=0), true.sum(axis=0), classes),
    }


def _per_class(right: np.ndarray, predicted: np.ndarray, true: np.ndarray, classes: list[Any]) -> list[dict[str, Any]]:
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(true, 1)
    f1 = 2 * right / np.maximum(predicted + true, 1)
    return [
        {
            "label": label,
            "precision": float(precision[k]),
            "recall": float(recall[k]),
            "f1": float(f1[k]),
            "support": int(true[k]),
        }
        for k, label in enumerate(classes)
    ]


def _regression_figures(y: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    residual = y - predicted
    mean = y.mean(axis=0)
    each = r2(np.square(residual).sum(axis=0), mean, np.square(y - mean).sum(axis=0), len(y))
    return {
        "rows": len(y),
        "rmse": float(np.sqrt(np.square(residual).mean())),
        "mae": float(np.abs(residual).mean()),
        "r2": float(each.mean()),
    }
