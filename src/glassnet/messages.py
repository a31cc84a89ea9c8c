"""What glassnet says, in English and Chinese.

The English text stands in the code, where it is read; it is also the key under which ``locale/zh.toml`` holds the
Chinese text. A text without a translation is shown in English, and a test fails: it finds every text that is
passed to :func:`say` and looks it up.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh")

_chosen: str | None = None


def language() -> str:
    """The language in use, "en" or "zh": as :func:`use_language` chose, else ``GLASSNET_LANG``, else the locale's."""
    if _chosen is not None:
        return _chosen
    for variable in ("GLASSNET_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def use_language(code: str | None) -> None:
    """Choose the language of all messages: ``"en"``, ``"zh"``, or None for the locale's."""
    global _chosen
    if code is not None and code not in LANGUAGES:
        raise ValueError(
            say("unknown language {code!r}; choose one of: {known}", code=code, known=", ".join(LANGUAGES))
        )
    _chosen = code


def say(text: str, /, **values: object) -> str:
    """``text`` in the language in use, with ``values`` filled into its ``{fields}`` as ``str.format`` does."""
    template = text if language() == "en" else _chinese().get(text, text)
    return template.format(**values) if values else template


@cache
def _chinese() -> Mapping[str, str]:
    path = Path(__file__).parent / "locale" / "zh.toml"
    with path.open("rb") as file:
        texts: dict[str, str] = tomllib.load(file)
    return texts
