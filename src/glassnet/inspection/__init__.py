"""Looking inside: gradients checked, explained, traced and derived; networks diagnosed; trainings tracked."""

from glassnet.inspection.case import Case, Finding
from glassnet.inspection.costs import Cost, gradient_costs
from glassnet.inspection.derive import Derivation, derive
from glassnet.inspection.diagnosis import Diagnosis, diagnose
from glassnet.inspection.explain import Explanation, explain
from glassnet.inspection.gradient_check import GradientCheck, ParameterCheck, check_gradients
from glassnet.inspection.tracking import Tracker
from glassnet.trace import LayerTrace, Trace, Update, trace

__all__ = [
    "Case",
    "Cost",
    "Derivation",
    "Diagnosis",
    "Explanation",
    "Finding",
    "GradientCheck",
    "LayerTrace",
    "ParameterCheck",
    "Trace",
    "Tracker",
    "Update",
    "check_gradients",
    "derive",
    "diagnose",
    "explain",
    "gradient_costs",
    "trace",
]
