"""The lecture's run: 784-256-10, ReLU and softmax, batch 256, lr 0.5, 40 epochs; then with dropout and decay.

    python examples/lecture.py IMAGES.npz [EPOCHS]

The file holds ``images`` (N, 28, 28) of 0 to 255 and ``labels`` (N,) of 0 to 9, as Fashion-MNIST does. Only the import
line tells this script from one for the slides' own classes.
"""

import sys

import numpy as np
import torch

from glassnet.lecture import FNN, FNN2


def relu(z):
    return torch.clamp(z, min=0)


def relu_derivative(z):
    return (z > 0).float()


def softmax(z):
    e = torch.exp(z - z.max(dim=1, keepdim=True).values)
    return e / e.sum(dim=1, keepdim=True)


def softmax_derivative(z):
    a = softmax(z)
    return torch.diag_embed(a) - a[:, :, None] * a[:, None, :]


def params(seed):
    rng = torch.Generator().manual_seed(seed)
    w1, w2 = torch.randn(256, 784, generator=rng) * 0.05, torch.randn(10, 256, generator=rng) * 0.05
    return [
        (w1, torch.zeros(256), relu, relu_derivative),
        (w2, torch.zeros(10), softmax, softmax_derivative),
    ]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    data = np.load(sys.argv[1])
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 40
    features = torch.tensor(data["images"]).float() / 255
    labels = torch.tensor(data["labels"])

    network = FNN(features, labels, params(0), batch_size=256)
    network.minibatch_sgd_trainer(max_epochs=epochs, lr=0.5)

    network = FNN2(features, labels, params(0), prob_dropout=[0.95, 0.5, 1], batch_size=256)
    network.minibatch_sgd_trainer(max_epochs=epochs, lr=0.5, decay=0.0005)


if __name__ == "__main__":
    main()
