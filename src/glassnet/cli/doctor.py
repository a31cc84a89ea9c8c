"""``glassnet doctor``: what this machine has, and what each extra would add."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

from glassnet import __version__
from glassnet.cli.common import JsonOption, print_json, print_table
from glassnet.messages import say

NAME = "doctor"

CORE = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pyarrow",
    "safetensors",
    "pydantic",
    "typer",
    "rich",
    "array-api-compat",
)
FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")


def help_text() -> str:
    """What the command does."""
    return say("Show versions, processor features, threads, devices, and what each extra would add.")


def command(as_json: JsonOption = False) -> int:
    """Look around and print what is found."""
    import importlib.util

    from glassnet.engine import accelerator, available_cores

    extras = {
        "plot": (("matplotlib",), say("pictures of runs")),
        "lab": (("starlette", "uvicorn", "websockets"), say("the web lab")),
        "derive": (("sympy",), say("symbolic derivation")),
        "export": (("onnx", "onnxruntime"), say("ONNX files")),
        "track": (("tensorboard",), say("TensorBoard logs")),
        "search": (("optuna",), say("search for hyperparameters")),
        "docs": (("sphinx", "myst_parser", "furo"), say("building the documentation")),
    }
    has = {name: all(importlib.util.find_spec(module) for module in modules) for name, (modules, _) in extras.items()}
    versions = {"glassnet": __version__, "python": platform.python_version(), **{name: _version(name) for name in CORE}}
    machine = {
        "system": platform.platform(),
        "processor": _processor(),
        "features": " ".join(_features()),
        "cores": available_cores(),
        **_engine(),
        "accelerator": accelerator() or "",
    }
    if as_json:
        print_json({"versions": versions, "machine": machine, "extras": has})
        return 0
    print_table(say("versions"), (say("package"), say("version")), versions.items())
    names = {
        "system": say("system"),
        "processor": say("processor"),
        "features": say("features"),
        "cores": say("threads by default"),
        "engine": say("engine"),
        "instruction_sets": say("instruction sets"),
        "instruction_set": say("instruction set in use"),
        "bfloat16": "bfloat16",
        "why": say("why not the native engine"),
        "accelerator": say("accelerator that torch offers"),
    }
    facts = [(names[key], _text(value)) for key, value in machine.items()]
    print_table(say("machine"), (say("fact"), say("value")), facts)
    rows = [
        (name, what, say("installed") if has[name] else f"pip install 'glassnet[{name}]'")
        for name, (_, what) in extras.items()
    ]
    print_table(say("extras"), (say("extra"), say("adds"), say("state")), rows)
    return 0


def _engine() -> dict[str, Any]:
    """The engine for the jobs that the native one can carry, and how it computes; or why there is no native one."""
    from glassnet.engine import NativeEngine, ReferenceEngine, native

    missing = native.missing()
    if missing is not None:
        return {"engine": ReferenceEngine.name, "why": missing}
    isa = native.instruction_set()
    return {
        "engine": NativeEngine.name,
        "instruction_sets": " ".join(native.instruction_sets()),
        "instruction_set": isa,
        "bfloat16": native.has_bfloat16(isa),
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    return str(value or say("none"))


def _version(package: str) -> str:
    import importlib.metadata  # costs a tenth of the whole --help

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return say("missing")


def _cpuinfo(*keys: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() in keys), "")


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine() or sys.platform


def _features() -> list[str]:
    found = _cpuinfo("flags", "Features").split()
    return [feature for feature in FEATURES if feature in found]
