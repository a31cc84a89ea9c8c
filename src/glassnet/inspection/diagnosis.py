"""Why a network does not learn: findings, each with its evidence, the reason in terms of the equations, and a remedy.

:func:`diagnose` has every rule (:mod:`glassnet.inspection.rules`) look at a case; :class:`Diagnosis` does so while a
network is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from glassnet.inspection.case import Case, Finding
from glassnet.inspection.rules import RULES
from glassnet.runs import Inside
from glassnet.training import Recorder, Trainer


def diagnose(case: Case | Inside) -> list[Finding]:
    """Everything that is found wrong, the likeliest causes first.

    Parameters
    ----------
    case : Case or Inside
        What :meth:`Case.of_run`, :meth:`Case.of_trainer` or :func:`glassnet.runs.look_into` gave.
    """
    case = Case.of_run(case) if isinstance(case, Inside) else case
    found = (rule(case) for rule in RULES)
    return [finding for finding in found if finding is not None]


@dataclass
class Diagnosis(Recorder):
    """Diagnoses a network at the end of its training, and before if training diverges.

    Parameters
    ----------
    interval, rows : as in Recorder
    report : callable, optional
        Gets each finding.

    Attributes
    ----------
    findings : list of Finding

    Examples
    --------
    >>> import glassnet
    >>> from glassnet.inspection import Diagnosis
    >>> watch = Diagnosis()
    >>> run = glassnet.fit("iris", init="zeros", epochs=20, callbacks=[watch])
    >>> watch.findings[0].code
    'symmetric_units'
    """

    report: Callable[[Finding], None] | None = None
    findings: list[Finding] = field(default_factory=list)

    def on_train_end(self, trainer: Trainer) -> None:
        """Diagnose."""
        super().on_train_end(trainer)
        self._diagnose(trainer)

    def on_failure(self, trainer: Trainer, error: Exception) -> None:
        """Diagnose what is left."""
        self._diagnose(trainer)

    def _diagnose(self, trainer: Trainer) -> None:
        self.findings = diagnose(Case.of_trainer(trainer, self.snapshots))
        for finding in self.findings:
            if self.report is not None:
                self.report(finding)
