"""Components by name: one mechanism for activations, losses, initialisers, optimisers, schedules and the rest.

A component is a frozen dataclass with a class attribute ``name``. It can be given as itself, as its name, as a name
with parameters, or as a mapping (the form that is stored in JSON and TOML)::

    LeakyReLU(slope=0.1)    "leaky_relu"    "leaky_relu(slope=0.1)"    {"name": "leaky_relu", "slope": 0.1}

The registry is closed: it maps names to classes that glassnet defines, so a file can never name code to import.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from glassnet.errors import ConfigError
from glassnet.messages import say

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])


class Registry(Generic[T]):
    """The components of one kind, by name.

    Parameters
    ----------
    kind : str
        What error messages call a member: "activation", "loss" and so on.
    base : type
        The class of which every member, a user's own included, is an instance.
    """

    def __init__(self, kind: str, base: type[Any]) -> None:
        self.kind = kind
        self.base = base
        self._classes: dict[str, type[T]] = {}
        self._aliases: dict[str, str] = {}

    def register(self, *aliases: str) -> Callable[[C], C]:
        """Class decorator: file the class under its ``name`` and the given aliases."""

        def file(cls: C) -> C:
            self._classes[cls.name] = cls
            self._aliases.update(dict.fromkeys(aliases, cls.name))
            return cls

        return file

    def names(self) -> list[str]:
        """The names of all members, without aliases."""
        return list(self._classes)

    def make(self, given: str | Mapping[str, Any] | T) -> T:
        """The component that ``given`` stands for (see the module's docstring for its forms).

        Raises
        ------
        ConfigError
            If the name or a parameter is not known, or a value is refused by the component.
        """
        if isinstance(given, str):
            name, parameters = self._parse(given)
        elif isinstance(given, Mapping):
            parameters = dict(given)
            name = str(parameters.pop("name", ""))
        elif isinstance(given, self.base):
            made: T = given
            return made
        else:
            text = say(
                "cannot use {given!r} as the {kind}; give a name, a mapping or an object",
                given=given,
                kind=say(self.kind),
            )
            raise ConfigError(text)
        cls = self._find(name)
        fields = [field.name for field in dataclasses.fields(cls) if field.init]  # type: ignore[arg-type]
        unknown = [key for key in parameters if key not in fields]
        if unknown:
            text = say(
                "the {kind} {name!r} has no parameter {unknown!r}; it has: {fields}",
                kind=say(self.kind),
                name=name,
                unknown=unknown[0],
                fields=", ".join(fields) or say("none"),
            )
            raise ConfigError(text)
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            if field.name in parameters:
                self._check_number(name, field, parameters[field.name])
        try:
            return cls(**parameters)
        except TypeError as error:
            text = say("bad parameters for the {kind} {name!r}: {error}", kind=say(self.kind), name=name, error=error)
            raise ConfigError(text) from error

    def spec(self, component: T) -> dict[str, Any]:
        """The mapping form of a component: what :meth:`make` turns back into its equal.

        Raises
        ------
        ConfigError
            If the component is a user's own, which a file cannot hold.
        """
        name = getattr(component, "name", None)
        if name is None or self._classes.get(name) is not type(component):
            text = say(
                "a user's own {kind} cannot be stored in a file: {component!r}",
                kind=say(self.kind),
                component=component,
            )
            raise ConfigError(text)
        values = {field.name: getattr(component, field.name) for field in dataclasses.fields(component)}  # type: ignore[arg-type]
        return {
            "name": name,
            **{key: list(value) if isinstance(value, tuple) else value for key, value in values.items()},
        }

    def _check_number(self, name: str, field: dataclasses.Field[Any], value: Any) -> None:
        """Refuse what is no number where the component's annotation asks for one."""
        annotation = str(field.type)
        numbers = {"float": (int, float), "int": (int,)}.get(annotation.partition(" ")[0])
        optional = value is None and annotation.endswith("| None")
        if numbers is None or optional or (isinstance(value, numbers) and not isinstance(value, bool)):
            return
        text = say(
            "{field} of the {kind} {name!r} must be a number ({annotation}), not {value!r}",
            field=field.name,
            kind=say(self.kind),
            name=name,
            annotation=annotation,
            value=value,
        )
        raise ConfigError(text)

    def _find(self, name: str) -> type[T]:
        key = name.strip().lower().replace("-", "_")
        key = self._aliases.get(key, key)
        if key in self._classes:
            return self._classes[key]
        close = difflib.get_close_matches(key, [*self._classes, *self._aliases], n=1)
        hint = say(" Did you mean {close!r}?", close=close[0]) if close else ""
        text = say(
            "unknown {kind} {name!r}; choose one of: {known}.{hint}",
            kind=say(self.kind),
            name=name,
            known=", ".join(self._classes),
            hint=hint,
        )
        raise ConfigError(text)

    def _parse(self, text: str) -> tuple[str, dict[str, Any]]:
        if "(" not in text:
            return text, {}
        try:
            call = ast.parse(text.strip(), mode="eval").body
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args):
                raise ValueError
            parameters = {str(item.arg): ast.literal_eval(item.value) for item in call.keywords if item.arg}
            if len(parameters) < len(call.keywords):  # one twice, or **
                raise ValueError
            return call.func.id, parameters
        except (SyntaxError, ValueError):
            example = "name(parameter=value)"
            message = say(
                "cannot read the {kind} {text!r}; write it as {example}",
                kind=say(self.kind),
                text=text,
                example=example,
            )
            raise ConfigError(message) from None


def component_text(value: Any) -> str:
    """A component of a configuration as it is written on the command line: "elu(alpha=0.5)"."""
    if isinstance(value, list):
        return ", ".join(map(component_text, value))
    if not isinstance(value, dict):
        return str(value)
    parameters = ", ".join(f"{key}={item!r}" for key, item in value.items() if key != "name")
    return f"{value['name']}({parameters})" if parameters else str(value["name"])
