"""Training: the loop, its callbacks, early stopping, history, pre-training."""

from glassnet.training.callbacks import Callback
from glassnet.training.checkpoint import CheckpointWriter
from glassnet.training.early_stopping import EarlyStopping
from glassnet.training.history import History
from glassnet.training.pretrain import pretrain
from glassnet.training.recording import Recorder, Snapshot
from glassnet.training.trainer import Trainer, train

__all__ = [
    "Callback",
    "CheckpointWriter",
    "EarlyStopping",
    "History",
    "Recorder",
    "Snapshot",
    "Trainer",
    "pretrain",
    "train",
]
