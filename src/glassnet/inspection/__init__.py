"""Looking inside: gradients checked against numerical differentiation."""

from glassnet.inspection.gradient_check import GradientCheck, ParameterCheck, check_gradients
from glassnet.inspection.trace import LayerTrace, Trace, trace

__all__ = ["GradientCheck", "LayerTrace", "ParameterCheck", "Trace", "check_gradients", "trace"]
