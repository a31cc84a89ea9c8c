"""A run as plots see it: each of its parts is read when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from glassnet.config import RunConfig
from glassnet.data.examples import Examples
from glassnet.errors import InputError
from glassnet.folders import check_run, config_of, load_model, read_history, read_snapshots
from glassnet.messages import say
from glassnet.model import Model
from glassnet.runs import Inside, look_into
from glassnet.training import History, Snapshot


class Shown:
    """A run to plot.

    Parameters
    ----------
    folder : Path
    note : callable, optional
        Gets a sentence if the run has to be trained again.
    """

    def __init__(self, folder: Path, note: Callable[[str], None] = lambda text: None) -> None:
        self.folder = folder
        self.note = note
        check_run(folder)

    @property
    def name(self) -> str:
        """The folder's."""
        return self.folder.resolve().name

    @cached_property
    def config(self) -> RunConfig:
        """With every choice made."""
        return config_of(self.folder)

    @cached_property
    def history(self) -> History:
        """Its epochs."""
        return read_history(self.folder)

    @cached_property
    def recorded(self) -> list[Snapshot]:
        """The snapshots that were taken in training."""
        return read_snapshots(self.folder)

    @property
    def snapshots(self) -> list[Snapshot]:
        """Those, or by training again."""
        return self.recorded or self.inside.snapshots

    @cached_property
    def inside(self) -> Inside:
        """The run with its data."""
        return look_into(self.folder, self.note)

    @cached_property
    def gone(self) -> str:
        """Why its data are not at hand; "" if they are."""
        try:
            _ = self.inside
        except InputError as error:
            return str(error)
        return ""

    @cached_property
    def model(self) -> Model:
        """As it was saved."""
        return load_model(self.folder)

    @property
    def examples(self) -> Examples:
        """The test rows, else the validation rows, else those it was trained on."""
        return self.inside.test_set or self.inside.validation_set or self.inside.train_set

    def which(self, say: Callable[..., str] = say) -> str:
        """Which rows :attr:`examples` are, in words."""
        if self.inside.test_set is not None:
            return say("test rows")
        return say("validation rows") if self.inside.validation_set is not None else say("training rows")
