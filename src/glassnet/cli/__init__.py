"""The command line. One module a command; this one finds the language, runs the command and turns errors into lines."""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from glassnet.errors import ConfigError, GlassnetError, GlassnetWarning, InputError
from glassnet.messages import LANGUAGES, say, use_language
from glassnet.signals import TerminatedError, terminable

DONE, FAILURE, BAD_INPUT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code: 0 done, 1 failure, 2 bad usage or input, 130 interrupted, 143 terminated."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    with warnings.catch_warnings(), terminable():
        warnings.showwarning = _show_warning
        return _main(words, debug)


def _main(words: list[str], debug: bool) -> int:
    try:
        words = _take_globals(words)
        code = _run(words)  # in which the library of commands turns an interruption into its code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except TerminatedError:
        code = TERMINATED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read the output has gone
        return FAILURE
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            print(_line(error), file=sys.stderr)
        if "--json" in words:
            print(json.dumps({"event": "error", "text": _text(error)}, ensure_ascii=False))
        return BAD_INPUT if isinstance(error, InputError) else int(getattr(error, "exit_code", FAILURE))
    if code in (INTERRUPTED, TERMINATED):
        print(say("interrupted") if code == INTERRUPTED else say("terminated"), file=sys.stderr)
    return code


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """A warning as a line; where in the code it arose matters for others than ours only."""
    text = str(message) if issubclass(category, GlassnetWarning) else f"{category.__name__}: {message}"
    print(say("warning: {text}", text=text), file=sys.stderr)


def _take_globals(words: list[str]) -> list[str]:
    """Obey ``--lang`` and ``--debug``, which may stand anywhere, and give back the other words."""
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            return [*rest, word, *waiting]
        if word == "--lang" or word.startswith("--lang="):
            code = word.partition("=")[2] if "=" in word else next(waiting, "")
            if code not in LANGUAGES:
                raise ConfigError(
                    say("--lang must be one of {known}, not {code!r}", known=", ".join(LANGUAGES), code=code)
                )
            use_language(code)
        elif word != "--debug":
            rest.append(word)
    return rest


def _run(words: list[str]) -> int:
    from glassnet.cli.app import build  # after the language is known: help texts are made on import

    result = build()(args=words, prog_name="glassnet", standalone_mode=False)
    return int(result or 0)


def _line(error: Exception) -> str:
    """An error as one or two lines."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return say("give a command, such as: glassnet train digits")
    head = say("error: {text}", text=_text(error))
    if isinstance(error, GlassnetError):
        return head
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "glassnet"
        return head + "\n" + say("see: {command} --help", command=command)
    return head + "\n" + say("this should not happen; --debug shows where it did")


def _text(error: Exception) -> str:
    kind = type(error).__name__
    if kind == "NoSuchOption":
        close = getattr(error, "possibilities", None)
        hint = say(" Did you mean {close}?", close=close[0]) if close else ""
        return say("there is no option {name}.{hint}", name=getattr(error, "option_name", "?"), hint=hint)
    parameter = getattr(error, "param", None)
    if kind == "MissingParameter" and parameter is not None:
        return say("{name} is missing", name=getattr(parameter, "metavar", None) or parameter.name)
    expected = {int: say("a whole number"), float: say("a number")}.get(_type(parameter))
    if kind == "BadParameter" and parameter is not None and expected is not None:
        return say("{name} takes {expected}", name=parameter.opts[0], expected=expected)
    if hasattr(error, "format_message"):
        return str(error.format_message())
    if isinstance(error, GlassnetError):
        return str(error)
    if isinstance(error, MemoryError):
        return say("not enough memory: {reason}", reason=error)
    return f"{kind}: {error}".split("\n")[0]


def _type(parameter: Any) -> Any:
    """The type of a parameter, or None."""
    return getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
