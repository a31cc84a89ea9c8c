"""Looking inside: gradients checked against numerical differentiation."""

from glassnet.inspection.gradient_check import GradientCheck, ParameterCheck, check_gradients

__all__ = ["GradientCheck", "ParameterCheck", "check_gradients"]
