"""Looking inside: gradients checked against numerical differentiation, explained, traced, and derived in symbols."""

from glassnet.inspection.costs import Cost, gradient_costs
from glassnet.inspection.derive import Derivation, derive
from glassnet.inspection.explain import Explanation, explain
from glassnet.inspection.gradient_check import GradientCheck, ParameterCheck, check_gradients
from glassnet.trace import LayerTrace, Trace, Update, trace

__all__ = [
    "Cost",
    "Derivation",
    "Explanation",
    "GradientCheck",
    "LayerTrace",
    "ParameterCheck",
    "Trace",
    "Update",
    "check_gradients",
    "derive",
    "explain",
    "gradient_costs",
    "trace",
]
