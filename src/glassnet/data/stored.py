"""Dataclasses as plain JSON values and back, for the files of a model."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from glassnet.errors import ModelFileError
from glassnet.messages import say

T = TypeVar("T")


def to_plain(adapter: TypeAdapter[T], value: T) -> dict[str, Any]:
    """The fields as dicts, lists, strings, numbers, booleans and None."""
    plain: dict[str, Any] = adapter.dump_python(value, mode="json")
    return plain


def from_plain(adapter: TypeAdapter[T], plain: Any, what: str) -> T:
    """The dataclass that :func:`to_plain` wrote, or ModelFileError where the values are not what it writes.

    ``what`` names the thing in the message, in the user's language.
    """
    try:
        return adapter.validate_json(json.dumps(plain, allow_nan=False), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        detail = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (TypeError, ValueError, RecursionError) as error:
        detail = str(error)
    raise ModelFileError(
        say("the model file holds no valid {what} ({detail}); it is damaged or foreign", what=what, detail=detail)
    )
