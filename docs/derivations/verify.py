"""Compute every number on these pages again; exit with 1 if one of them is wrong or not known here.

Run from anywhere: ``python docs/derivations/verify.py``. Needs NumPy only.

``quote`` names a piece of a page and the values that its decimal numbers must have, to the digits printed. When all is
done, any number with three or more decimals that no quoted piece covers is a failure too. ``claim`` checks a statement.
"""

import re
import sys
from itertools import product
from pathlib import Path

import numpy as np

PAGES = {path.name[:2]: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("0*.md")}
NUMBER = re.compile(r"-?\d+\.(\d+)(?: \\times 10\^\{(-?\d+)\})?")

failures: list[str] = []
unseen = dict(PAGES)  # what no quote has covered yet


def quote(page: str, text: str, *values: float) -> None:
    """The decimal numbers of ``text``, which stands on ``page``, are ``values`` to the digits printed."""
    if text not in PAGES[page]:
        failures.append(f"page {page} has no {text!r}")
        return
    unseen[page] = unseen[page].replace(text, " ")
    found = list(NUMBER.finditer(text))
    if len(found) != len(values):
        failures.append(f"page {page}: {text!r} has {len(found)} decimal numbers, not {len(values)}")
        return
    for match, value in zip(found, values, strict=True):
        unit = 10.0 ** (int(match[2] or 0) - len(match[1]))  # of the last digit printed
        printed = float(match[0].replace(" \\times 10^{", "e").replace("}", ""))
        if abs(printed - value) > 0.5 * unit * (1 + 1e-6):
            failures.append(f"page {page}: {match[0]} in {text!r} should be {value:.10g}")


def claim(what: str, holds: bool) -> None:
    """``what`` is true, as ``holds`` has found."""
    if not holds:
        failures.append(f"not true: {what}")


def close(a, b, tolerance: float) -> bool:
    """No entry of ``a`` is further than ``tolerance`` from that of ``b``."""
    return bool(np.allclose(a, b, rtol=0, atol=tolerance))


def logistic(z):
    """1 / (1 + e^-z)."""
    return 1 / (1 + np.exp(-z))


def softmax(z):
    """e^z_k / sum of e^z_j, for one sample."""
    e = np.exp(z - z.max())
    return e / e.sum()


# ---------------------------------------------------------------------- pages 2 to 4: the network of the examples

W1, b1 = np.array([[0.5, -0.4], [0.3, 0.8]]), np.array([0.1, -0.2])
W2, b2 = np.array([[1.2, -0.7]]), np.array([0.3])
X, Y = np.array([[1.0, 0.5], [-0.5, 1.0]]), np.array([[1.0], [0.0]])


def losses(W1, b1, W2, b2):
    """Half the squared error of each sample, (N,)."""
    return 0.5 * np.sum((logistic(np.tanh(X @ W1.T + b1) @ W2.T + b2) - Y) ** 2, axis=1)


Z1 = X @ W1.T + b1
A1 = np.tanh(Z1)
Z2 = A1 @ W2.T + b2
A2 = logistic(Z2)
C = losses(W1, b1, W2, b2)

slope2 = A2 * (1 - A2)
delta2 = (A2 - Y) * slope2  # BP.1, each sample's own error
grad_a1 = delta2 @ W2
slope1 = 1 - A1**2
delta1 = grad_a1 * slope1  # BP.2
wrong1 = grad_a1 * logistic(Z1) * (1 - logistic(Z1))


def central(parameter: int, index: tuple[int, ...], epsilon: float, sample: int) -> float:
    """The central difference of one sample's loss by one entry of W1, b1, W2 or b2."""
    values = []
    for sign in (1, -1):
        parameters = [p.copy() for p in (W1, b1, W2, b2)]
        parameters[parameter][index] += sign * epsilon
        values.append(losses(*parameters)[sample])
    return (values[0] - values[1]) / (2 * epsilon)


for n in (0, 1):
    by_hand = (np.outer(delta1[n], X[n]), delta1[n], np.outer(delta2[n], A1[n]), delta2[n])
    for parameter, gradient in enumerate(by_hand):
        for index in np.ndindex(gradient.shape):
            claim(
                f"back-propagation agrees with central differences: sample {n}, parameter {parameter}, {index}",
                close(gradient[index], central(parameter, index, 6e-6, n), 5e-10),
            )

# ---------------------------------------------------------------------- page 1

true = delta1[0, 0] * X[0, 0]
quote("01", "derivative is $-0.09643871$", true)
for power in (1, 2, 3):
    epsilon = 10.0**-power
    forward = (losses(W1 + epsilon * np.array([[1, 0], [0, 0]]), b1, W2, b2)[0] - C[0]) / epsilon
    row = next(line for line in PAGES["01"].splitlines() if line.startswith(f"| $10^{{-{power}}}$"))
    quote("01", row, abs(forward - true), abs(central(0, (0, 0), epsilon, 0) - true))

u64, u32 = 2.0**-52, 2.0**-23
claim("2**-52 is float64's spacing, 2**-23 float32's", u64 == np.finfo("f8").eps and u32 == np.finfo("f4").eps)
quote("01", r"about" + "\n" + r"$2.2 \times 10^{-16}$", u64)
quote("01", r"\approx 6.1 \times 10^{-6}", u64 ** (1 / 3))
quote("01", r"\approx 3.7 \times 10^{-11}", u64 ** (2 / 3))
quote("01", r"\approx 1.5 \times 10^{-8}", u64**0.5)
quote("01", r"\approx 1.2 \times 10^{-7}", u32)
quote("01", r"$4.9 \times 10^{-3}$", u32 ** (1 / 3))
quote("01", r"$2.4 \times 10^{-5}$", u32 ** (2 / 3))
weights = 784 * 256 + 256 + 256 * 10 + 10
claim("page 1 counts the weights right", f"= {weights}," in PAGES["01"] and f"take {2 * weights} runs" in PAGES["01"])

# ---------------------------------------------------------------------- page 2

z, y = np.array([2.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0])
a = softmax(z)
J = np.diag(a) - np.outer(a, a)
g = -y / a
steps = np.eye(3) * 6e-6
by_differences = np.array([(softmax(z + step) - softmax(z - step)) / 1.2e-5 for step in steps]).T
claim("softmax's Jacobian is diag(a) - a a^T", close(J, by_differences, 1e-9))
claim("J^T g = a * (g - a.g) = a - y", close(J.T @ g, a * (g - a @ g), 1e-14) and close(J.T @ g, a - y, 1e-14))
claim("a softmax error sums to 0; the elementwise form's does not", abs((a - y).sum()) < 1e-15 < abs(g @ np.diag(J)))
quote("02", "| $a$ | 0.6652 | 0.2447 | 0.0900 |", *a)
quote("02", "| $g = - y / a$ | 0 | -4.0862 | 0 |", g[1])
quote("02", "| diagonal of $J$ | 0.2227 | 0.1848 | 0.0819 |", *np.diag(J))
quote("02", "**wrong** | 0 | -0.7553 | 0 |", (g * np.diag(J))[1])
quote("02", "right | 0.6652 | -0.7553 | 0.0900 |", *(a - y))
quote("02", r"0.2227 & -0.1628 & -0.0599 \cr -0.1628 & 0.1848 & -0.0220 \cr -0.0599 & -0.0220 & 0.0819", *J.ravel())

p = logistic(0.3)
claim("logistic with binary cross-entropy: a - y", close((p - 1) / (p * (1 - p)) * p * (1 - p), p - 1, 1e-15))

quote("02", r"W^1 = \begin{pmatrix} 0.5 & -0.4 \cr 0.3 & 0.8", *W1.ravel())
quote("02", r"b^1 = \begin{pmatrix} 0.1 \cr -0.2", *b1)
quote("02", r"W^2 = \begin{pmatrix} 1.2 & -0.7 \end{pmatrix}, \quad b^2 = 0.3.", *W2[0], b2[0])
quote("02", r"z_1^1 = 0.5 \cdot 1 - 0.4 \cdot 0.5 + 0.1 = 0.4", 0.5, 0.4, 0.5, 0.1, Z1[0, 0])
quote("02", r"z_2^1 = 0.3 \cdot 1 + 0.8 \cdot 0.5 - 0.2 = 0.5", 0.3, 0.8, 0.5, 0.2, Z1[0, 1])
quote("02", r"a_1^1 = \tanh 0.4 = 0.3799, \qquad a_2^1 = \tanh 0.5 = 0.4621", 0.4, A1[0, 0], 0.5, A1[0, 1])
quote(
    "02",
    r"z^2 = 1.2 \cdot 0.3799 - 0.7 \cdot 0.4621 + 0.3 = 0.4325, \qquad a^2 = \frac{1}{1 + e^{-0.4325}} = 0.6065",
    *(1.2, A1[0, 0], 0.7, A1[0, 1], 0.3, Z2[0, 0], -Z2[0, 0], A2[0, 0]),
)
quote("02", r"C = \frac{1}{2} (0.6065 - 1)^2 = 0.0774", A2[0, 0], C[0])
quote("02", r"\frac{\partial C}{\partial a^2} = a^2 - y = -0.3935", A2[0, 0] - 1)
quote("02", r"0.6065 \cdot (1 - 0.6065) = 0.2387", A2[0, 0], A2[0, 0], slope2[0, 0])
quote("02", r"\delta^2 = -0.3935 \cdot 0.2387 = -0.0939", A2[0, 0] - 1, slope2[0, 0], delta2[0, 0])

# ---------------------------------------------------------------------- page 3

quote("03", r"$\delta^2 = -0.0939$ and the weights $W^2 = (1.2, -0.7)$", delta2[0, 0], *W2[0])
quote("03", r"= 1.2 \cdot (-0.0939) = -0.1127", 1.2, delta2[0, 0], grad_a1[0, 0])
quote("03", r"= -0.7 \cdot (-0.0939) = 0.0657", -0.7, delta2[0, 0], grad_a1[0, 1])
quote("03", r"1 - (0.3799)^2 = 0.8556", A1[0, 0], slope1[0, 0])
quote("03", r"1 - (0.4621)^2 = 0.7864", A1[0, 1], slope1[0, 1])
quote("03", r"\delta_1^1 = -0.1127 \cdot 0.8556 = -0.0964", grad_a1[0, 0], slope1[0, 0], delta1[0, 0])
quote("03", r"\delta_2^1 = 0.0657 \cdot 0.7864 = 0.0517", grad_a1[0, 1], slope1[0, 1], delta1[0, 1])
quote("03", "$-0.0271$ and $0.0155$", *wrong1[0])
claim("off by 72 and 70 per cent", np.round(100 * (1 - wrong1[0] / delta1[0])).tolist() == [72, 70])
claim("the page says so", "off by 72 and 70 per cent" in PAGES["03"])
quote("03", r"$0.25^{10}$, about $9.5 \times 10^{-7}$", 0.25, 0.25**10)

# ---------------------------------------------------------------------- page 4

grads2 = delta2[:, :, None] * A1[:, None, :]  # each sample's own gradient
grads1 = delta1[:, :, None] * X[:, None, :]
quote(
    "04",
    r"a^1 = (0.3799, 0.4621)$, $\delta^1 = (-0.0964, 0.0517)$, $\delta^2 = -0.0939$",
    *(*A1[0], *delta1[0], *delta2[0]),
)
quote(
    "04",
    r"-0.0939 \begin{pmatrix} 0.3799 & 0.4621 \end{pmatrix} = \begin{pmatrix} -0.0357 & -0.0434 \end{pmatrix}",
    *(*delta2[0], *A1[0], *grads2[0].ravel()),
)
quote(
    "04",
    r"\begin{pmatrix} -0.0964 \cr 0.0517 \end{pmatrix} \begin{pmatrix} 1 & 0.5 \end{pmatrix} = "
    r"\begin{pmatrix} -0.0964 & -0.0482 \cr 0.0517 & 0.0259 \end{pmatrix}",
    *(*delta1[0], 0.5, *grads1[0].ravel()),
)
quote(
    "04",
    r"$a^1 = (-0.5005, 0.4219)$, $\delta^2 = 0.0814$ and $\delta^1 = (0.0732, -0.0468)$",
    *(*A1[1], *delta2[1], *delta1[1]),
)
quote(
    "04",
    r"\begin{pmatrix} -0.0382 & -0.0045 \end{pmatrix}, \qquad \text{product of the means} = "
    r"\begin{pmatrix} 0.0004 & -0.0028 \end{pmatrix}",
    *(*(delta2.T @ A1 / 2).ravel(), *(delta2.mean() * A1.mean(axis=0))),
)
ratio = (delta2.T @ A1 / 2)[0, 0] / (delta2.mean() * A1.mean(axis=0))[0]
claim("the first entry has the wrong sign and is a hundred times too small", -105 < ratio < -95)
covariance = ((delta2 - delta2.mean()) * (A1 - A1.mean(axis=0))).mean(axis=0)
claim(
    "the difference is the covariance", close(grads2.mean(axis=0), delta2.mean() * A1.mean(axis=0) + covariance, 1e-15)
)
quote(
    "04",
    r"\begin{pmatrix} -0.0964 & 0.0732 \cr 0.0517 & -0.0468 \end{pmatrix} \begin{pmatrix} 1 & 0.5 \cr -0.5 & 1 "
    r"\end{pmatrix} = \begin{pmatrix} -0.0665 & 0.0125 \cr 0.0376 & -0.0105 \end{pmatrix}",
    *(*delta1.T.ravel(), 0.5, -0.5, *(delta1.T @ X / 2).ravel()),
)
quote("04", r"\partial b^2 = -0.0063$", delta2.mean())
quote("04", r"\partial b^1 = (-0.0116, 0.0024)$", *delta1.mean(axis=0))
quote(
    "04",
    r"\frac{3}{4} \begin{pmatrix} -0.0357 & -0.0434 \end{pmatrix} + \frac{1}{4} \begin{pmatrix} -0.0407 & 0.0343 "
    r"\end{pmatrix} = \begin{pmatrix} -0.0369 & -0.0240 \end{pmatrix}",
    *(*grads2.ravel(), *(0.75 * grads2[0] + 0.25 * grads2[1]).ravel()),
)
claim("1797 samples: seven batches of 256 and one of 5, which counts 51 times", divmod(1797, 256) == (7, 5))
claim("256 / 5 is about 51", round(256 / 5) == 51)

# ---------------------------------------------------------------------- page 5

lse = np.log(np.exp(z).sum())
quote("05", r"\mathrm{lse}(z) = 2.4076$ and $C = 2.4076 - 1 = 1.4076", lse, lse, lse - 1)
claim("the loss of logits is the loss of probabilities", close(lse - y @ z, -np.log(a[1]), 1e-15))
s, M = 0.1, 10
quote(
    "05",
    "For $s = 0.1$ and $M = 10$ the targets are 0.91 and 0.01, and the logits stop at a distance of 4.511",
    *(s, 1 - s + s / M, s / M, np.log((1 - s + s / M) / (s / M))),
)
quote("05", r"\ln 10 = 2.302585", np.log(10))
quote("05", r"1 - 1 / \ln 10 = 0.5657", 1 - 1 / np.log(10))
quote("05", r"C_{10} = 0.6113$ against $C = 1.4076", (lse - 1) / np.log(10), lse - 1)
quote("05", r"ten classes is also 2.3026", np.log(10))
v = np.array([0.3, -1.2, 0.7])
from_logits, q = np.log1p(np.exp(v)) - 0.3 * v, logistic(v)
claim("softplus(z) - y z is binary cross-entropy", close(from_logits, -0.3 * np.log(q) - 0.7 * np.log(1 - q), 1e-14))
claim("the Hessian's form is a variance", close(v @ J @ v, a @ v**2 - (a @ v) ** 2, 1e-15))
t = (1 - s) * y + s / 3
smoothed = (1 - s) * -np.log(a[1]) + s * -np.log(a).mean()
claim("label smoothing splits the loss", close(-(t @ np.log(a)), smoothed, 1e-15))

# ---------------------------------------------------------------------- page 6


def train_with_dropout(variant: int, p: float, lr: float, l2: float, scale: float) -> tuple[np.ndarray, list]:
    """50 steps of a 4-6-3 tanh network with dropout on its hidden layer; its tested outputs and its parameters.

    The weights that read the masked activations start ``scale`` times as large, and learn with ``lr`` and ``l2``.
    """
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(8, 4)), np.eye(3)[rng.integers(3, size=8)]
    V, c, W, b = rng.normal(size=(6, 4)), np.zeros(6), scale * rng.normal(size=(3, 6)), np.zeros(3)
    factor = 1 if variant == 1 else 1 / p
    for _ in range(50):
        mask = factor * (rng.random((8, 6)) < p)
        a = np.tanh(x @ V.T + c)
        z = (mask * a) @ W.T + b
        e = np.exp(z - z.max(axis=1, keepdims=True))
        delta = (e / e.sum(axis=1, keepdims=True) - y) / 8
        delta_below = mask * (delta @ W) * (1 - a**2)
        W = W - lr * (delta.T @ (mask * a) + l2 * W)
        b = b - 0.2 * delta.sum(axis=0)
        V = V - 0.2 * (delta_below.T @ x)
        c = c - 0.2 * delta_below.sum(axis=0)
    return (p if variant == 1 else 1) * np.tanh(x @ V.T + c) @ W.T + b, [V, c, W, b]


p, lr, l2 = 0.5, 0.2, 0.01
quote(
    "06",
    r"$p = 0.5$, $\eta = 0.2$ and $\lambda = 0.01$ the second network has $\eta' = 0.05$ and $\lambda' = 0.04$",
    *(p, lr, l2, p**2 * lr, l2 / p**2),
)
for p in (0.5, 0.8):
    first, (V, c, W, b) = train_with_dropout(1, p, lr, l2, 1.0)
    second, (V_, c_, W_, b_) = train_with_dropout(2, p, p**2 * lr, l2 / p**2, p)
    same = [close(*pair, 1e-12) for pair in ((first, second), (V, V_), (c, c_), (p * W, W_), (b, b_))]
    claim(f"the two variants of dropout are one, p = {p}", all(same))

W = W[:, :4]
logs = [np.log(softmax(W @ np.array(mask) + b)) for mask in product((0, 1), repeat=4)]
geometric, tested = softmax(np.mean(logs, axis=0)), softmax(W @ np.full(4, 0.5) + b)
claim("testing is the scaled geometric mean of all thinned networks", close(geometric, tested, 1e-12))

# ---------------------------------------------------------------------- page 7

beta = 0.0005
quote("07", r"$\beta = 0.0005$, and 60000", beta)
quote("07", r"(1 - 0.0005)^{235} = 0.889", beta, (1 - beta) ** 235)
claim("60000 samples in batches of 256 are 235 steps", -(-60000 // 256) == 235)
claim("half is gone after 1386 steps", round(np.log(0.5) / np.log1p(-beta)) == 1386)
claim("which are about six epochs", round(1386 / 235) == 6)
quote("07", "leaves $0.0497$", (1 - beta) ** 6000)
claim("5 over 50000 samples is 1e-4", close(5 / 50000, 1e-4, 1e-18))

mu, lr, l2 = 0.9, 0.1, 0.01
root = max(np.roots([1, -(1 + mu - lr * l2), mu]).real)
quote(
    "07",
    r"$\mu = 0.9$, $\eta = 0.1$ and $\lambda = 0.01$ the exact root is $r = 0.9889$, against $1 - \beta = 0.999$",
    *(mu, lr, l2, root, 1 - lr * l2),
)
velocity, w, previous = 0.0, 1.0, 1.0
for _ in range(300):
    previous, velocity = w, mu * velocity + l2 * w
    w = w - lr * velocity
claim("momentum with l2 shrinks by the root", close(w / previous, root, 1e-12))


def adam_with_l2(size: float, steps: int, lr: float, l2: float, w: float = 1.0) -> float:
    """One weight under gradients that jump between +size and -size."""
    m = v = 0.0
    for t in range(1, steps + 1):
        g = size * (-1) ** t + l2 * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


quote(
    "07",
    r"$\eta = 0.0001$ and $\lambda = 0.01$, after 10000 steps from $W = 1$, one with $G = 1$ is at 0.990, "
    r"and one with $G = 0.1$ at 0.905",
    *(0.0001, 0.01, adam_with_l2(1.0, 10000, 0.0001, 0.01), 0.1, adam_with_l2(0.1, 10000, 0.0001, 0.01)),
)
first_step = 1 - adam_with_l2(0.0, 1, 0.001, 1e-2)
claim("without a gradient, Adam's first step is the learning rate", close(first_step, 0.001, 1e-8))
quote("07", r"A decay of 0.01 in the second form at $\eta = 0.001$", 0.01, 0.001)
claim("which is 1e-5 per step", close(0.01 * 0.001, 1e-5, 1e-18))

# ---------------------------------------------------------------------- page 8

quote("08", r"$2^{-29} \approx 1.9 \times 10^{-9}$", 2.0**-29)
for rule, variance in {
    "Xavier": 2 / (784 + 256),
    "Xavier, logistic": 16 * 2 / (784 + 256),
    "He": 2 / 784,
    "LeCun": 1 / 784,
}.items():
    row = next(line for line in PAGES["08"].splitlines() if re.match(rf"\| {rule} \| \d", line))
    quote("08", row, variance, variance**0.5, (3 * variance) ** 0.5)

rng = np.random.default_rng(0)
for scale, expected in ((2, 1.0), (1, 2.0**-29)):  # He and Xavier, equal widths
    signal, variances = rng.normal(size=(200, 300)), []
    for _ in range(30):
        net = signal @ rng.normal(0, (scale / 300) ** 0.5, (300, 300)).T
        variances.append(net.var())
        signal = np.maximum(net, 0)
    claim("deep ReLU: the signal's variance", 0.2 < variances[-1] / variances[0] / expected < 5)

for shape in ((5, 5), (7, 4), (4, 7)):
    Q, R = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))
    W = Q * np.sign(np.diag(R))
    W = W if shape[0] >= shape[1] else W.T
    claim("orthonormal columns or rows", close(W.T @ W if shape[0] >= shape[1] else W @ W.T, np.eye(min(shape)), 1e-12))

# ---------------------------------------------------------------------- the end

for page, text in sorted(unseen.items()):
    failures += [f"page {page}: {match[0]} is not checked here" for match in re.finditer(r"\d+\.\d{3,}", text)]
print("\n".join(failures) if failures else "Every number on these pages is right.")
sys.exit(bool(failures))
