"""Training: the loop, its callbacks, early stopping, history."""

from glassnet.training.callbacks import Callback
from glassnet.training.early_stopping import EarlyStopping
from glassnet.training.history import History
from glassnet.training.trainer import Trainer, train

__all__ = ["Callback", "EarlyStopping", "History", "Trainer", "train"]
