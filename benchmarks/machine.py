"""The machine: what it is, how threads are limited, and what other processes do meanwhile."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NVPL_BLAS_DEBUG_CPU_TYPE")
"""Variables by which an environment may hold a BLAS to another processor's kernels; workers do not see them."""


def cores() -> int:
    """That this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


def environment(threads: int, *, emulate: bool = False) -> dict[str, str]:
    """The variables of a worker: so many threads for every library that asks the environment."""
    variables = {name: value for name, value in os.environ.items() if name not in SLOWING}
    for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM", "BLIS"):
        variables[f"{name}_NUM_THREADS"] = str(threads)
    variables["NPROC"] = str(threads)  # the size of XLA's pool of threads
    flags = [variables.get("XLA_FLAGS", ""), f"intra_op_parallelism_threads={threads}"]
    variables["XLA_FLAGS"] = " ".join(["--xla_cpu_multi_thread_eigen=true", *flags]).strip()
    variables["JAX_PLATFORMS"] = "cpu"
    variables["PYTHONWARNINGS"] = "ignore"
    if emulate:
        variables["GLASSNET_NATIVE_BF16"] = "1"
    return variables


def pin(threads: int) -> None:
    """Hold this process to so many cores, where it may use more."""
    if hasattr(os, "sched_setaffinity") and threads < cores():
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def busy_seconds() -> tuple[float, float]:
    """CPU seconds so far, of all processes on the cores that this one may use: busy, and stolen by a hypervisor.

    From /proc/stat; zeros where there is none.
    """
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0, 0.0
    allowed = os.sched_getaffinity(0)
    busy = stolen = 0
    for line in lines:
        if (match := re.match(r"cpu(\d+) (.*)", line)) and int(match[1]) in allowed:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, match[2].split()[:8])
            busy += user + nice + system + irq + softirq
            stolen += steal
    tick = os.sysconf("SC_CLK_TCK")
    return busy / tick, stolen / tick


def describe() -> dict[str, Any]:
    """Processor, cores, caches, memory, system."""
    text = _output("lscpu")
    found = dict(re.findall(r"^ *([^:\n]+?): +(.+)$", text, re.M))
    flags = set(found.get("Flags", "").split())
    wanted = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16")
    memory = re.search(r"MemTotal: +(\d+)", _read("/proc/meminfo"))
    return {
        "processor": found.get("Model name", platform.processor() or platform.machine()),
        "model": f"family {found.get('CPU family', '?')}, model {found.get('Model', '?')}",
        "instructions": [flag for flag in wanted if flag in flags],
        "cores": cores(),
        "caches": {name: found[name] for name in ("L1d cache", "L2 cache", "L3 cache") if name in found},
        "memory_gib": round(int(memory[1]) / 2**20) if memory else None,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def peaks(threads: int, seconds: float = 0.3) -> dict[str, float]:
    """GFLOP/s of so many threads: multiply-adds in registers, by precision, where the native engine is; a product."""
    rates: dict[str, float] = {}
    from glassnet.engine import native

    if native.missing() is None:
        from glassnet.engine import _native

        isa = native.instruction_set()
        precisions = ["float32", *(["bfloat16"] if isa in native.BFLOAT16_SETS else [])]
        rates = {name: _native.peak(isa, name, threads, seconds) for name in precisions}
    return {**rates, "NumPy's product": product_rate(seconds)}


def product_rate(seconds: float) -> float:
    """The best GFLOP/s of NumPy's product of two matrices of 2048 × 2048 in float32."""
    a = np.ones((2048, 2048), np.float32)
    best, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end or best == np.inf:
        started = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - started)
    return float(2 * 2048**3 / best / 1e9)


def blas() -> list[str]:
    """The BLAS libraries loaded in this process, with the kernels that they chose."""
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    named = [f"{p['internal_api']} {p['version']} ({p.get('architecture', '?')})" for p in pools]
    return sorted(set(named))


def _output(command: str) -> str:
    try:
        return subprocess.run(
            [command], check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
