"""Every bit of a checkpoint changed, one at a time, and its end cut off at every place.

``python -m reliability.damage`` (with tests/ in PYTHONPATH) prints the figures as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from glassnet.data.examples import Examples
from glassnet.errors import ModelFileError
from glassnet.training.checkpoint import Checkpoint, CheckpointWriter, files
from reliability.jobs import CLASSES, X, trainer_of


def accepted(content: bytes) -> bool:
    """Whether it loads."""
    try:
        Checkpoint.from_bytes(content, Path("checkpoint-000001.ckpt"))
    except ModelFileError:
        return False
    return True


def content() -> bytes:
    """A checkpoint of a run with Adam and early stopping."""
    with tempfile.TemporaryDirectory() as place:
        trainer = trainer_of([CheckpointWriter(place, "epoch")], early_stopping="patience3")
        trainer.fit(Examples(X, CLASSES), Examples(X, CLASSES))
        return files(Path(place))[0].read_bytes()


def main() -> dict:
    """Try them all."""
    whole = content()
    assert accepted(whole)
    damaged, figures = bytearray(whole), {"bytes": len(whole), "changed": 0, "cut": 0, "accepted": 0}
    for place in range(len(whole)):
        for bit in range(8):
            damaged[place] ^= 1 << bit
            figures["changed"] += 1
            figures["accepted"] += accepted(bytes(damaged))
            damaged[place] ^= 1 << bit
        figures["cut"] += 1
        figures["accepted"] += accepted(whole[:place])
    return figures


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()))
