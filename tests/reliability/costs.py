"""What checkpoints cost: writing one, reading one, and the fingerprint of the data.

``python -m reliability.costs`` (with tests/ in PYTHONPATH) prints the figures as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from glassnet.config import TrainingConfig
from glassnet.data.examples import Examples
from glassnet.network import Network
from glassnet.training import Trainer
from glassnet.training.checkpoint import CheckpointWriter, files, fingerprint, latest

SIZES = ((784, 30, 10), (784, 256, 10), (784, 1024, 1024, 1024, 10))


def best(work, times=5) -> float:
    """Seconds of the quickest of a few times."""
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def main() -> dict:
    """Measure."""
    rows = []
    rng = np.random.default_rng(0)
    for sizes in SIZES:
        network = Network.dense(sizes)
        trainer = Trainer(network, TrainingConfig(loss="cross_entropy", epochs=1))
        trainer.fit(Examples(rng.random((300, 784), dtype=np.float32), rng.integers(0, 10, 300)))
        with tempfile.TemporaryDirectory() as place:
            writer = CheckpointWriter(place, "epoch")

            def write(writer=writer, trainer=trainer):
                writer._written_at = ()
                writer.write(trainer)

            seconds = best(write)
            size = files(Path(place))[0].stat().st_size
            name = "-".join(map(str, sizes))
            rows.append(("writing a checkpoint, Adam, " + name, f"{size / 1e6:.1f} MB", f"{1e3 * seconds:.1f} ms"))
            read = best(lambda place=place: latest(Path(place)))
            rows.append(("reading it", f"{size / 1e6:.1f} MB", f"{1e3 * read:.1f} ms"))
    for count in (1_000, 60_000, 500_000):
        examples = Examples(np.zeros((count, 784), np.float32), np.zeros(count, np.int64))
        text = f"{examples.x.nbytes / 1e6:,.0f} MB"
        rows.append(("the fingerprint of the data", text, f"{1e3 * best(lambda e=examples: fingerprint(e)):.1f} ms"))
    return {"rows": rows}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()))
