"""What has a training end before its time."""

from glassnet.training import Callback


class HaltAt(Callback):
    """Tells the trainer to end after a step."""

    def __init__(self, step):
        self.step = step

    def on_batch_end(self, trainer):
        if trainer.step == self.step:
            trainer.halt("interrupted")
