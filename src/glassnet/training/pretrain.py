"""Unsupervised pre-training: hidden layers that learn to reproduce unlabelled rows, before labels are used."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from glassnet.arrays import as_dense, to_numpy
from glassnet.errors import ConfigError
from glassnet.layers import Dense, Layer
from glassnet.messages import say
from glassnet.network import Network
from glassnet.random import Purpose, generator
from glassnet.training.history import History
from glassnet.training.trainer import train

_DECODER = 1 << 16  # decoders draw their weights from streams that the network's own layers never use


def pretrain(network: Network, x: Any, *, how: Literal["greedy", "whole"] = "greedy", **config: Any) -> list[History]:
    """Train the hidden layers of a network, in place, as encoders of unlabelled rows; :func:`train` then fine-tunes.

    "greedy": layer by layer, each an autoencoder n[l−1] → n[l] → n[l−1] of the activations of the layers below it
    (Bengio, Lamblin, Popovici and Larochelle 2007). "whole": one autoencoder n[0] → … → n[L−1] → … → n[0] that mirrors
    all hidden layers. Decoders are linear in their last layer, squared error is the loss, and they are thrown away.

    Parameters
    ----------
    network : Network
        With at least one hidden dense layer. Its output layer is left as it is, and so are frozen layers.
    x : array (N, n[0]), or sparse array of SciPy
    how : {"greedy", "whole"}, default "greedy"
    **config
        As for :func:`train`: optimiser, lr, batch_size, epochs and so on. The loss is squared error.

    Returns
    -------
    list of History
        One for each autoencoder that was trained.

    Raises
    ------
    ConfigError
        If there is no hidden layer, or a hidden layer is not dense.
    KeyboardInterrupt
        On Ctrl-C: what was learned up to then is in the network, but it is not what was asked for.
    """
    hidden = [layer for layer in network.layers if layer.params][:-1]
    if not hidden or not all(isinstance(layer, Dense) for layer in hidden):
        raise ConfigError(say("pre-training needs at least one hidden layer, and dense ones"))
    if how not in ("greedy", "whole"):
        raise ConfigError(say("pre-training is 'greedy' or 'whole', not {how!r}", how=how))
    encoders: list[Dense] = [layer for layer in hidden if isinstance(layer, Dense)]
    a = np.asarray(as_dense(x), dtype=network.dtype)  # it is the target as well
    if how == "whole":
        return [_autoencode(encoders, a, network, config)]
    histories = []
    for encoder in encoders:
        histories.append(_autoencode([encoder], a, network, config))
        a = to_numpy(encoder.forward(a)[0])
    return histories


def _autoencode(encoders: list[Dense], a: np.ndarray, network: Network, config: dict[str, Any]) -> History:
    """Train the encoders, whose arrays are the network's own, with decoders that mirror them."""
    decoders: list[Layer] = []
    for k, encoder in enumerate(reversed(encoders)):
        below = encoders[-k - 2].activation if k + 1 < len(encoders) else "identity"
        rng = generator(network.seed, Purpose.INITIALISE, _DECODER + encoder.number)
        decoders.append(Dense.draw(encoder.n_out, encoder.n_in, below, rng=rng, dtype=network.dtype))
    own = [encoder.with_params(encoder.params) for encoder in encoders]  # the numbers of the network's stay as they are
    autoencoder = Network([*own, *decoders], seed=network.seed)
    history = train(autoencoder, a, a, **{**config, "loss": "squared_error"})
    if history.stop_code == "interrupted":
        raise KeyboardInterrupt
    return history
