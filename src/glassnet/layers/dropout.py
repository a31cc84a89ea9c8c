"""Dropout: train on random thinnings of the network."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from glassnet.arrays import Array, namespace
from glassnet.errors import ConfigError, ShapeError
from glassnet.layers.base import Layer, LayerGrads
from glassnet.messages import say
from glassnet.random import Draws

Variant = Literal["inverted", "plain"]


class Dropout(Layer):
    """ã = c·m ⊙ a with a random mask m of zeros and ones, drawn anew for each sample (Srivastava et al. 2014).

    Shapes: a, ã, m (N, M)

    Parameters
    ----------
    keep : float in (0, 1]
        p, the probability that a unit stays. The dropout rate of other libraries is 1 − p.
    variant : {"inverted", "plain"}, default "inverted"
        "inverted": ã = m ⊙ a / p in training, a in testing. "plain", the first variant of the lecture: ã = m ⊙ a in
        training, p·a in testing. The second with (pW, p²η, λ/p²) is the first with (W, η, λ), W being the weights that
        read ã.
    """

    kind: ClassVar[str] = "dropout"

    def __init__(self, keep: float, variant: Variant = "inverted") -> None:
        super().__init__()
        if not 2**-16 <= keep <= 1:  # what the draws can tell from 0
            raise ConfigError(say("a keep probability must be at least 2**-16 and at most 1, not {keep}", keep=keep))
        if variant not in ("inverted", "plain"):
            raise ConfigError(
                say("the dropout variant must be 'inverted' or 'plain', not {variant!r}", variant=variant)
            )
        self.keep = float(keep)
        self.variant = variant

    def forward(self, a_in: Array, *, training: Draws | None = None) -> tuple[Array, Any]:
        """Masked in training, scaled by p (plain) or as it is (inverted) in testing."""
        if training is None:
            return (a_in * self.keep if self.variant == "plain" else a_in), None
        if training.positions.shape[0] != a_in.shape[0]:
            text = say("the draws are for {n} rows, but {m} come", n=training.positions.shape[0], m=a_in.shape[0])
            raise ShapeError(text)
        mask = training.at(self.number).keep_mask(a_in.shape[1], self.keep)
        factor = namespace(a_in).astype(mask, a_in.dtype)
        if self.variant == "inverted":
            factor /= self.keep
        return a_in * factor, factor

    def backward(self, grad_a: Array, cache: Any, *, grad_in: bool = True) -> tuple[Array, LayerGrads]:
        """c·m ⊙ ∂C/∂ã, with the mask of the forward pass. Its δ is ∂C/∂ã."""
        if cache is None:
            cache = self.keep if self.variant == "plain" else 1.0
        return (grad_a * cache if grad_in else None), LayerGrads({}, grad_a)

    def config(self) -> dict[str, Any]:
        """Keep probability and variant."""
        return {"kind": self.kind, "keep": self.keep, "variant": self.variant}

    @classmethod
    def from_config(cls, config: dict[str, Any], params: dict[str, Array]) -> Dropout:
        """The layer of a ``config``."""
        return cls(config["keep"], config["variant"])

    def __repr__(self) -> str:
        return f"Dropout(keep={self.keep}, variant={self.variant!r})"
