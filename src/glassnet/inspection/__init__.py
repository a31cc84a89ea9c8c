"""Looking inside: gradients checked against numerical differentiation."""

from glassnet.inspection.explain import Explanation, explain
from glassnet.inspection.gradient_check import GradientCheck, ParameterCheck, check_gradients
from glassnet.trace import LayerTrace, Trace, Update, trace

__all__ = [
    "Explanation",
    "GradientCheck",
    "LayerTrace",
    "ParameterCheck",
    "Trace",
    "Update",
    "check_gradients",
    "explain",
    "trace",
]
