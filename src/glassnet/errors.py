"""Exceptions and warnings.

Exception
└── GlassnetError                  everything raised on purpose
    ├── InputError (ValueError)    a bad argument: what was expected, what came, what to do
    │   ├── ShapeError             arrays whose shapes do not fit
    │   ├── ConfigError            a bad option, component name or configuration file
    │   ├── DataError              a file, table or array of data that cannot be used
    │   └── ModelFileError         a saved model or run that is missing, damaged or foreign
    ├── NotFiniteError (ArithmeticError)    NaN or infinity arose during training
    └── MissingExtraError (ImportError)     an optional dependency is not installed
UserWarning
└── GlassnetWarning                legal, but probably not what was meant
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TypeVar

from glassnet.messages import say

E = TypeVar("E", bound="InputError")


class GlassnetError(Exception):
    """Base class of every exception that glassnet raises on purpose."""


class InputError(GlassnetError, ValueError):
    """A bad argument. The message names what was expected, what came and what to do."""


class ShapeError(InputError):
    """Arrays whose shapes do not fit the network or one another."""


class ConfigError(InputError):
    """A bad option, component name or configuration file."""


class DataError(InputError):
    """A file, table or array of data that cannot be used."""


class ModelFileError(InputError):
    """A saved model or run that is missing, damaged or not glassnet's."""


class NotFiniteError(GlassnetError, ArithmeticError):
    """NaN or infinity arose during training.

    Attributes
    ----------
    quantity : str
        What was not finite: "z", "a", "loss", "delta", "1.W.gradient", "1.W", "val_loss" and so on.
    layer : int or None
    epoch, batch : int or None
        From 1.
    """

    def __init__(
        self,
        text: str,
        *,
        quantity: str = "",
        layer: int | None = None,
        epoch: int | None = None,
        batch: int | None = None,
    ) -> None:
        super().__init__(text)
        self.quantity, self.layer, self.epoch, self.batch = quantity, layer, epoch, batch


class MissingExtraError(GlassnetError, ImportError):
    """An optional dependency is not installed. The message names the extra that brings it."""


class GlassnetWarning(UserWarning):
    """Something legal that is probably not what was meant."""


def unwritable(kind: type[E], path: object, error: OSError) -> E:
    """The error of this kind that says why a file or folder cannot be written."""
    return kind(say("cannot write {path}: {reason}", path=path, reason=error.strerror or str(error)))


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional dependency, or raise :class:`MissingExtraError` naming its extra."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        text = say(
            "this needs {package}, which is not installed; run: pip install 'glassnet[{extra}]'",
            package=module.split(".")[0],
            extra=extra,
        )
        raise MissingExtraError(text) from error
