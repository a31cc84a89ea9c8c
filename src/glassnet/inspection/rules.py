"""The rules of a diagnosis: each knows one disease of networks and finds it in a case, or finds nothing.

To add one: write a function of a :class:`~glassnet.inspection.case.Case` that returns a finding or None, and decorate
it. Their order is that in which findings are told: causes before what they bring about.

Limits were set so that the healthy runs of docs/diagnosis.md get no finding; each stands where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps

import numpy as np

from glassnet import activations
from glassnet.inspection.case import Case, Column, Finding
from glassnet.layers import Dense, Dropout
from glassnet.losses import AbsoluteError, Huber, LogLoss, SquaredError
from glassnet.messages import say
from glassnet.training import Snapshot
from glassnet.training.preparation import surplus_output

Rule = Callable[[Case], Finding | None]

RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    """Have the rule asked, after those above it; of a case it is asked once, also where other rules ask it."""

    @wraps(function)
    def asked(case: Case) -> Finding | None:
        if function.__name__ not in case.found:
            case.found[function.__name__] = function(case)
        return case.found[function.__name__]

    RULES.append(asked)
    return asked


# The network and its loss


@rule
def softmax_twice(case: Case) -> Finding | None:
    """An output function before a loss that has its own."""
    last = surplus_output(case.network, case.loss)
    if last is None:
        return None
    return Finding(
        "softmax_twice",
        say("the output function is applied twice"),
        case.dense[-1].number,
        None,
        {say("output"): last.name, say("loss"): case.loss.name},
        say(
            "The loss {loss} takes net inputs and applies {output} itself. After the layer's own, its inputs are "
            "between 0 and 1, so the probabilities stay close to one another, and δ = J_σ(z)ᵀ (p − y) is damped once "
            "more by the layer's σ′.",
            loss=case.loss.name,
            output=last.name,
        ),
        say("Give the last layer the output identity, or take the loss log_loss, which takes probabilities."),
    )


_RANGES = (  # of outputs: least, most
    (activations.Logistic, 0.0, 1.0),
    (activations.Softmax, 0.0, 1.0),
    (activations.Tanh, -1.0, 1.0),
    (activations.ReLU, 0.0, np.inf),
    (activations.Softplus, 0.0, np.inf),
)


_BOUNDED = (activations.Tanh, activations.ReLU, activations.Softplus)


@rule
def wrong_loss(case: Case) -> Finding | None:
    """Targets that the output cannot reach, or outputs that the loss cannot use."""
    last = case.dense[-1].activation
    number = case.dense[-1].number
    title, evidence = say("the loss does not go with the output"), {say("output"): last.name}
    evidence[say("loss")] = case.loss.name
    bounds = next(((low, high) for kind, low, high in _RANGES if isinstance(last, kind)), (-np.inf, np.inf))
    reason = ""
    if isinstance(case.loss, LogLoss):
        remedy = say("Take the loss cross_entropy, which takes net inputs, or end the network in softmax.")
        if bounds != (0.0, 1.0):
            reason = say(
                "The log loss takes probabilities, but {output} gives any number: the logarithm of what is not above 0 "
                "is cut off, and there ∇_a C points nowhere.",
                output=last.name,
            )
        elif isinstance(last, activations.Logistic) and case.network.sizes[-1] > 1:
            reason = say(
                "The log loss looks at the true class's probability only, and logistic outputs need not sum to 1: all "
                "of them may grow at no cost."
            )
    elif case.loss.target == "classes" and case.loss.takes_logits and isinstance(last, _BOUNDED):
        remedy = say("Give the last layer the output identity.")
        reason = say(
            "The loss takes net inputs of any size, but {output} holds them between {low:g} and {high:g}: the "
            "probabilities cannot come near 0 and 1, and where {output} is flat BP.1 is 0.",
            output=last.name,
            low=bounds[0],
            high=bounds[1],
        )
    if reason:
        return Finding("wrong_loss", title, number, None, evidence, reason, remedy)
    if not isinstance(case.loss, (SquaredError, AbsoluteError, Huber)):
        return None
    y = case.targets
    outside = float(((y < bounds[0] - 1e-6) | (y > bounds[1] + 1e-6)).mean())
    if outside < 0.01:
        return None
    return Finding(
        "wrong_loss",
        say("the output cannot reach the targets"),
        number,
        None,
        {
            **evidence,
            say("targets outside of its range"): outside,
            say("least"): float(y.min()),
            say("most"): float(y.max()),
        },
        say(
            "{output} gives values from {low:g} to {high:g}. For the other targets BP.1 pushes z on for ever, into the "
            "range where σ′ is 0.",
            output=last.name,
            low=bounds[0],
            high=bounds[1],
        ),
        say("Give the last layer the output identity, or scale the targets into the range."),
    )


@rule
def symmetric_units(case: Case) -> Finding | None:
    """Hidden units that are copies of one another."""
    for layer in case.dense[:-1]:
        first, last = case.snapshots[0].layer(layer.number), case.snapshots[-1].layer(layer.number)
        if first.twins >= 0.5 and last.twins >= 0.5:
            return Finding(
                "symmetric_units",
                say("the units of a layer are the same"),
                layer.number,
                case.snapshots[-1].epoch,
                {say("share of units that equal another"): last.twins, say("at the start"): first.twins},
                say(
                    "Units with the same weights have the same z and, by BP.2, the same δ; so BP.3 and BP.4 give them "
                    "the same gradients, and they stay the same: the layer is worth one unit."
                ),
                say("Start from random weights: init he or glorot. Biases may start at 0."),
            )
    return None


# The data


@rule
def unscaled_features(case: Case) -> Finding | None:
    """Features, or targets, of very different or very large or small size."""
    numbers = case.numbers
    if numbers is not None and not case.loss.takes_logits:
        size = float(np.sqrt(np.square(numbers).mean()))
        if size > 30:
            return Finding(
                "unscaled_features",
                say("the targets are not scaled"),
                None,
                None,
                {say("root of the mean square of the targets"): size},
                say(
                    "At the start the outputs are of the size of 1, so a − y is of the targets' size, and with it "
                    "every δ and every gradient: steps are as large as the targets, or, with adam, take a long "
                    "time to get there."
                ),
                say("Standardise the targets: mean 0, standard deviation 1."),
            )
    x = case.x
    spread, mean = x.std(axis=0), np.abs(x.mean(axis=0))
    known = spread > 0
    size = float(np.sqrt(np.square(x).mean()))
    evidence: dict[str, float | int | str] = {say("root of the mean square of the features"): size}
    wrong = size > 20 or 0 < size < 0.01
    if known.any() and not case.is_image:
        ratio = float(spread.max() / np.median(spread[known]))
        offset = mean[known] / spread[known]
        wrong = wrong or ratio > 30 or bool(offset.max() > 30)
        name = _name(case, int(spread.argmax()))
        evidence[say("largest standard deviation ({name}) by the median one", name=name)] = ratio
        place = int(np.flatnonzero(known)[offset.argmax()])
        evidence[say("largest |mean| in standard deviations ({name})", name=_name(case, place))] = float(offset.max())
    if not wrong:
        return None
    return Finding(
        "unscaled_features",
        say("the features are not scaled"),
        1,
        None,
        evidence,
        say(
            "By BP.4 the gradient of a weight is δ times its input: weights of large features get large steps, those "
            "of small ones hardly any, and no learning rate suits both. Large z saturate σ, or kill a ReLU, at the "
            "start."
        ),
        say("Standardise the features (scaling standard), or divide pixels by 255."),
    )


@rule
def constant_features(case: Case) -> Finding | None:
    """Features with one value in all rows."""
    still = case.x.std(axis=0) <= 1e-9 * np.abs(case.x).max(axis=0, initial=0.0)
    names = []
    for column in case.columns:
        places = list(column.places)
        # a 0 in all rows may be what scaling made of a constant, a pixel at the edge, or a slot of a category
        if column.constant or (still[places].all() and (case.x[0, places] != 0).any()):
            names.append(column.name)
    if not names:
        return None
    return Finding(
        "constant_features",
        say("features are constant"),
        1,
        None,
        {say("features"): len(names), say("the first"): names[0]},
        say(
            "A feature with one value says nothing: its weights get, by BP.4, the gradient of the bias times that "
            "value, and act as a second bias."
        ),
        say("Leave such columns out; or look why they are constant."),
    )


@rule
def leaked_target(case: Case) -> Finding | None:
    """A column that tells the target by itself."""
    if case.is_image or len(case.rows) < 40:
        return None
    parts = [case.targets] if case.labels is not None else [y[:, None] for y in case.targets.T]
    parts = [y for y in parts if y.std(axis=0).max() > 0]
    best: tuple[float, Column | None] = (0.0, None)
    for column in case.columns[:1000]:
        values = case.x[:, column.places]
        told = max((_told_by(values, y, whole=case.labels is not None) for y in parts), default=0.0)
        if told > best[0]:
            best = told, column
    if best[0] < 0.995 or best[1] is None:
        return None
    return Finding(
        "leaked_target",
        say("a feature tells the target by itself"),
        None,
        None,
        {say("feature"): best[1].name, (say("right") if case.labels is not None else "R²"): best[0]},
        say(
            "From this column alone, rows that are next to one another in it tell the target of the row between them. "
            "Its weights take all of the gradient, and the network learns nothing else."
        ),
        say("Ask whether the column is known before the target is; if not, leave it out."),
    )


def _told_by(values: np.ndarray, targets: np.ndarray, *, whole: bool) -> float:
    """How well a column's neighbours on both sides tell the target: the share of right ones, or R²."""
    rows = len(values)
    key = values[:, 0] if values.shape[1] == 1 else values @ np.arange(1.0, values.shape[1] + 1)
    if whole and len(np.unique(key)) <= 50:  # a category, or nearly: what most of its rows have
        _, group = np.unique(key, return_inverse=True)
        counts = np.zeros((group.max() + 1, targets.shape[1]))
        np.add.at(counts, group, targets)
        guess = counts[group] - targets  # without the row itself
    else:
        order = np.argsort(key, kind="stable")
        sums = np.zeros_like(targets)
        for shift in (-1, 1):
            near = np.clip(np.arange(rows) + shift, 0, rows - 1)
            sums[order] += targets[order[near]]
        guess = sums / 2
        guess[order[0]], guess[order[-1]] = targets[order[1]], targets[order[-2]]
    if whole:
        sure = guess.max(axis=1) > 0
        return float(((guess.argmax(axis=1) == targets.argmax(axis=1)) & sure).mean())
    centred, own = targets - targets.mean(axis=0), key - key.mean()
    spread = float(np.square(centred).sum())
    linear = float(own @ centred[:, 0]) ** 2 / (float(own @ own) * spread) if own.any() and spread else 0.0
    return max(linear, float(1 - np.square(targets - guess).sum() / spread) if spread else 0.0)


@rule
def label_imbalance(case: Case) -> Finding | None:
    """A class with far fewer rows than another."""
    labels = case.labels_of(case.train_set)
    if labels is None or case.training.class_weight is not None:
        return None
    counts = np.bincount(labels, minlength=case.targets.shape[1])
    if counts.min() == 0 or counts.max() < 10 * counts.min():
        return None
    rare = int(counts.argmin())
    evidence: dict[str, float | int | str] = {
        say("rows of the rarest class ({rare})", rare=rare): int(counts.min()),
        say("of the most frequent"): int(counts.max()),
    }
    examples = case.held_out or case.rows
    own = case.labels_of(examples)
    if own is not None and (own == rare).any():
        found = case.outputs(examples).argmax(axis=1)[own == rare] == rare
        evidence[say("of its rows recognised")] = float(found.mean())
    return Finding(
        "label_imbalance",
        say("the classes are of very different size"),
        None,
        None,
        evidence,
        say(
            "C is the mean over rows, so the sums of BP.3 and BP.4 are made by the frequent classes; a rare one can be "
            "given up at little cost."
        ),
        say("Weigh the classes (class_weight balanced), and look at recall by class rather than at accuracy."),
    )


@rule
def label_noise(case: Case) -> Finding | None:
    """Rows whose label differs from what all around them have."""
    labels = case.labels
    if labels is None or len(labels) < 100:
        return None
    votes = np.zeros((len(labels), case.targets.shape[1]))
    for column in case.neighbours.T:
        np.add.at(votes, (np.arange(len(labels)), labels[column]), 1)
    share = votes.max(axis=1) / case.neighbours.shape[1]
    # where all neighbours but a few agree, classes do not overlap: a row that differs is one in a foreign place
    agreed = share >= 0.7
    differ = votes.argmax(axis=1) != labels
    if agreed.sum() < 50:
        return None
    noise = float(differ[agreed].mean())
    sure = share >= 0.9
    noise_sure = float(differ[sure].mean()) if sure.sum() >= 20 else noise
    predicted = case.own_outputs.argmax(axis=1)
    seconded = float((predicted != labels)[agreed & differ].mean()) if (agreed & differ).any() else 0.0
    # a network that does not contradict the labels tells these rows apart, or knows them by heart
    if min(noise, noise_sure) < 0.08 or seconded < 0.25:
        return None
    return Finding(
        "label_noise",
        say("labels are likely to be wrong"),
        None,
        None,
        {
            say("rows among neighbours of one other class"): noise,
            say("of these the network contradicts the label too"): seconded,
        },
        say(
            "In places where all neighbours of a row have one class, its label says another. Each such row pulls "
            "with δ = p − y, as strong as δ can be, towards what no neighbour has; a large network learns it by heart."
        ),
        say("Look at these rows; stop early, take label smoothing, or a smaller network."),
    )


# Steps


@rule
def learning_rate_too_high(case: Case) -> Finding | None:
    """Steps that throw the network about."""
    losses = np.array([record["loss"] for record in case.history])
    ratio, layer, epoch = _largest_ratio(case.early)
    evidence: dict[str, float | int | str] = {say("‖ΔW‖ / ‖W‖ of a step"): ratio}
    if case.diverged:
        wrong = True
        evidence[say("loss")] = float(losses[-1]) if len(losses) else float("nan")
    else:
        if len(losses) < 3:
            return None
        back, height = _swings(losses), case.height(float(np.median(losses[len(losses) // 2 :])))
        evidence[say("share of the loss's way that goes up")] = back
        if np.isfinite(height):
            evidence[say("loss by that of a constant output")] = height
        swinging = back > 0.3 and height > 0.15 and case.height(_amplitude(losses)) > 0.03
        stuck = ratio > 0.1 and height > 0.9
        wild = ratio > 0.1 and case.height(float(losses.max())) > 3
        if swinging and not stuck and not wild and _noisy(case):
            return None  # the same signs, but the batch is their cause: gradient_noise tells
        wrong = swinging or stuck or wild
    if not wrong or _unscaled(case):
        return None
    return Finding(
        "learning_rate_too_high",
        say("the learning rate is too high"),
        layer,
        epoch,
        evidence,
        say(
            "A step goes along the gradient as if C were a plane. It is curved: with η beyond 2 / curvature each step "
            "lands further up on the other side, and the loss swings or grows. Usual steps change W by about a "
            "thousandth."
        ),
        say(
            "Divide the learning rate ({lr:g}) by 3 to 10; a schedule that falls, a warm-up or clip_norm help too.",
            lr=case.snapshots[-1].lr,
        ),
    )


@rule
def gradient_noise(case: Case) -> Finding | None:
    """Batches so small that their gradients are mostly noise."""
    losses = np.array([record["loss"] for record in case.history])
    if case.diverged or len(losses) < 3 or not _noisy(case) or _unscaled(case):
        return None
    back, height = _swings(losses), case.height(float(np.median(losses[len(losses) // 2 :])))
    half = len(losses) // 2
    stalled = case.height(float(losses[half:].mean() - losses[-max(1, half // 2) :].mean())) < 0.03
    if not ((back > 0.3 and height > 0.15) or (stalled and height > 0.3)):
        return None
    noise = _noise(case)
    return Finding(
        "gradient_noise",
        say("the batches are too small: their gradients are mostly noise"),
        None,
        None,
        {
            say("rows in a batch"): case.batch_size,
            **({say("rows at which noise and gradient are equal"): noise} if np.isfinite(noise) else {}),
            say("share of the loss's way that goes up"): back,
        },
        say(
            "BP.4 averages δ a over the batch. The mean of n rows has the variance of one by n; below the rows named "
            "here it is larger than the gradient itself, and steps go where chance will have it."
        ),
        say("Take larger batches, or a learning rate that is smaller or falls."),
    )


@rule
def learning_rate_too_low(case: Case) -> Finding | None:
    """Steps too small to get anywhere in the epochs that there were."""
    losses = np.array([record["loss"] for record in case.history])
    if case.diverged or len(losses) < 3 or case.history.stop_code == "interrupted":
        return None
    ratios = [max(layer.update_ratio for layer in snapshot.layers) for snapshot in case.snapshots]
    way = float(np.median(ratios)) * case.steps_per_epoch * len(losses)
    height = case.height(float(losses[-1]))
    fall = losses[0] - losses[-1]
    late = losses[-max(2, len(losses) // 5) - 1] - losses[-1]
    still_falling = fall > 0 and late > 0.08 * fall and _swings(losses) < 0.1
    if not (height > 0.5 and (way < 0.1 or (still_falling and float(np.median(ratios)) < 3e-4))):
        return None
    if max(ratios) > 0.03 or _worth(case) < 0.05 or _symmetric(case) or learning_rate_too_high(case) is not None:
        return None  # large steps may have killed units; there may be nothing to learn; copies have no gradient
    return Finding(
        "learning_rate_too_low",
        say("the learning rate is too low"),
        None,
        case.snapshots[-1].epoch,
        {
            say("‖ΔW‖ / ‖W‖ of a step"): float(np.median(ratios)),
            say("of ‖W‖ that all steps together can have moved"): way,
            say("loss by that of a constant output"): height,
        },
        say(
            "The gradients are there and the loss falls, but W has hardly moved from where chance had put it. Usual "
            "steps change W by about a thousandth."
        ),
        say("Multiply the learning rate ({lr:g}) by 3 to 10, or train longer.", lr=case.snapshots[-1].lr),
    )


@rule
def unsafe_precision(case: Case) -> Finding | None:
    """Numbers that lose what matters in rounding."""
    # at the end of a good training, too, steps are small: what counts is the time when there was much to learn
    fastest = max(s.lr for s in case.snapshots)
    learning = [s for s in case.snapshots if case.height(s.loss) > 0.3 and s.lr > 1e-3 * fastest]
    still = {
        layer.number: float(np.median([s.layer(layer.number).still for s in learning]) if learning else 0.0)
        for layer in case.dense
        if not layer.frozen
    }
    worst = max(still, key=lambda l: still[l])
    if still[worst] > 0.5:
        return Finding(
            "unsafe_precision",
            say("steps are lost in rounding"),
            worst,
            learning[-1].epoch,
            {
                say("share of weights that a step leaves as they are"): still[worst],
                say("precision"): case.network.dtype,
            },
            say("A change of W below half of its last digit is rounded away: the update θ ← θ − η ∂C/∂θ does nothing."),
            say("Raise the learning rate, or compute in float64."),
        )
    step = float(np.finfo(case.network.dtype).eps)
    spread, mean = case.x.std(axis=0), np.abs(case.x.mean(axis=0))
    lost = np.where(spread > 0, mean * step / np.where(spread > 0, spread, 1), 0.0)
    place = int(lost.argmax())
    if lost[place] < 1e-3:
        return None
    return Finding(
        "unsafe_precision",
        say("a feature is lost in rounding"),
        1,
        None,
        {
            say("feature"): _name(case, place),
            say("its mean"): float(mean[place]),
            say("its standard deviation"): float(spread[place]),
            say("precision"): case.network.dtype,
        },
        say(
            "z = W a + b adds the feature's large mean to everything; what differs from row to row is of the size of "
            "the last digits, and is rounded away in a, in z and in the sums of BP.4."
        ),
        say("Subtract the mean first (scaling standard), or compute in float64."),
    )


# What passes through


@rule
def exploding_weights(case: Case) -> Finding | None:
    """Weights that have grown out of all proportion."""
    first, last = case.snapshots[0], case.snapshots[-1]
    for layer in case.dense:
        before, after = first.layer(layer.number).W, last.layer(layer.number).W
        gain = after.rms * layer.params["W"].shape[1] ** 0.5
        start = before.rms * layer.params["W"].shape[1] ** 0.5
        if not np.isfinite(gain) or (gain > 15 and gain > 5 * start):
            return Finding(
                "exploding_weights",
                say("the weights explode"),
                layer.number,
                last.epoch,
                {say("‖W‖ at the start"): before.norm, say("‖W‖ now"): after.norm, say("weights into a unit"): gain},
                say(
                    "z = W a + b grows with W, and by BP.2 so does δ below; each step then makes W larger still, or σ "
                    "saturates and nothing moves any more."
                ),
                say("Lower the learning rate; hold the weights with weight_decay, l2 or max_norm; clip_norm."),
            )
    return None


@rule
def exploding_delta(case: Case) -> Finding | None:
    """δ that grows from layer to layer on the way down."""
    if len(case.dense) < 3:
        return None
    grown = _way_down(case)
    if not grown > 50:
        return None
    return Finding(
        "exploding_delta",
        say("δ explodes on the way down"),
        1,
        case.early[:3][-1].epoch,
        {say("‖δ¹‖ / ‖δᴸ‖"): grown, say("factor from layer to layer"): grown ** (1 / (len(case.dense) - 1))},
        say(
            "By BP.2 δ is multiplied by Wᵀ and σ′ in each layer. Where that factor is above 1 it grows like its power "
            "of the depth: the lowest layers get steps that throw them about."
        ),
        say("Start from smaller weights (init he for ReLU, else glorot); clip_norm; fewer layers."),
    )


@rule
def vanishing_delta(case: Case) -> Finding | None:
    """δ that shrinks from layer to layer on the way down."""
    if len(case.dense) < 3:
        return None
    left, start = _way_down(case), _way_down(case, snapshots=1)
    mended = left >= 5e-3  # by an optimiser that scales its steps; it may have come too late
    if (mended and (start >= 1e-5 or not _underfits(case))) or _symmetric(case):
        return None
    left = min(left, start)
    return Finding(
        "vanishing_delta",
        say("δ vanishes on the way down"),
        1,
        case.early[:3][-1].epoch,
        {say("‖δ¹‖ / ‖δᴸ‖"): left, say("factor from layer to layer"): left ** (1 / (len(case.dense) - 1))},
        say(
            "By BP.2 δ is multiplied by Wᵀ and σ′ in each layer; σ′ of logistic is 1/4 at most, of tanh 1. Where that "
            "factor is below 1 δ shrinks like its power of the depth: the lowest layers get no gradient and stay as "
            "they are."
        ),
        say("Take relu with init he, or tanh with glorot or orthogonal; fewer layers; pre-training."),
    )


@rule
def saturated_units(case: Case) -> Finding | None:
    """Units in the flat of their σ."""
    for layer in case.dense[:-1]:
        early = [s.layer(layer.number).saturated for s in case.early[:3]]
        last = case.snapshots[-1].layer(layer.number).saturated
        if last is None:
            continue
        at_start = min(share for share in early if share is not None)
        if at_start > 0.5 or last > 0.8:
            return Finding(
                "saturated_units",
                say("units are saturated"),
                layer.number,
                case.snapshots[-1].epoch,
                {say("share of a in the flat of σ"): last, say("at the start"): at_start},
                say(
                    "Where |z| is large σ is flat and σ′ next to 0. BP.2 multiplies δ by σ′, so these units, and all "
                    "below them, hardly learn."
                ),
                say("Scale the features, start from smaller weights (glorot), lower the learning rate, or take relu."),
            )
    return _wrong_side(case)


def _wrong_side(case: Case) -> Finding | None:
    """Outputs that are saturated at the wrong end, under a loss that leaves σ′ in BP.1."""
    last = case.dense[-1]
    flat_loss = isinstance(case.loss, (SquaredError, AbsoluteError, Huber))
    if not flat_loss or not isinstance(last.activation, (activations.Logistic, activations.Tanh)):
        return None
    if case.labels is None:
        return None
    a, y = case.own_outputs, case.targets
    middle, half = (0.5, 0.5) if isinstance(last.activation, activations.Logistic) else (0.0, 1.0)
    if a.shape != y.shape:
        return None
    stuck = (np.abs(a - middle) > 0.97 * half) & ((a > middle) != (y > middle))
    members = y > middle
    share = (stuck & members).sum(axis=0) / np.maximum(members.sum(axis=0), 1)
    unit = int(share.argmax())
    if share[unit] < 0.5:
        return None
    return Finding(
        "saturated_units",
        say("an output unit is saturated at the wrong end"),
        last.number,
        case.kept_epoch,
        {say("unit"): unit, say("share of its class's rows where it is"): float(share[unit])},
        say(
            "BP.1 is ∇_a C ⊙ σ′(z): the output is wrong, but σ′ is next to 0, so δ is too, and the unit cannot turn "
            "round. Cross-entropy cancels this factor."
        ),
        say("Take the loss cross_entropy (output identity); or start from smaller weights."),
    )


@rule
def dead_units(case: Case) -> Finding | None:
    """ReLU units that are 0 for every row."""
    a = case.x.astype(case.network.dtype)
    for layer in case.network.layers:
        inputs, (a, _) = a, layer.forward(a, training=None)
        if not isinstance(layer, Dense) or layer is case.dense[-1]:
            continue
        if not isinstance(layer.activation, activations.ReLU) or _symmetric(case):
            continue
        dead = float((a <= 0).all(axis=0).mean())
        if dead > 0.4:
            return Finding(
                "dead_units",
                say("ReLU units are dead"),
                layer.number,
                case.kept_epoch,
                {say("share of units that are 0 for every row"): dead, say("rows"): len(inputs)},
                say(
                    "Their z is below 0 whatever comes in, so a = 0 and σ′ = 0: by BP.2 their δ is 0, BP.3 and BP.4 "
                    "give no gradient, and nothing will wake them."
                ),
                say("Lower the learning rate, start from init he and bias 0, scale the features, or take leaky_relu."),
            )
    return None


# What comes of it


@rule
def dropout_too_strong(case: Case) -> Finding | None:
    """Dropout that leaves the network too little to learn with."""
    if not case.keeps or case.diverged or not len(case.history):
        return None
    masked = float(case.history["loss"][case.kept_epoch - 1])
    gap = masked / max(case.trained_loss, 1e-12)
    name, reached = case.baseline
    strongest = min(case.keeps)
    felt = gap > 1.02 or strongest <= 0.25
    if case.training.train_figures == "after" or not felt or case.trained_score > reached - 0.02:
        return None
    if strongest > 0.5 and _units_kept(case) > 8:
        return None
    return Finding(
        "dropout_too_strong",
        say("dropout is too strong"),
        None,
        case.kept_epoch,
        {
            say("loss under masks by loss without"): gap,
            say("score without masks"): case.trained_score,
            say("score of {name}", name=name): reached,
            say("least share that is kept"): strongest,
        },
        say(
            "Each step sees a network thinned by its mask: BP.2 passes δ to the kept units only. What is left is too "
            "small for the task, and learns less than the data offer."
        ),
        say("Drop less (0.2 to 0.5 of hidden units), or take wider layers."),
    )


def _units_kept(case: Case) -> float:
    """The fewest units that a dropout layer leaves on average."""
    width, fewest = float(case.network.sizes[0]), np.inf
    for layer in case.network.layers:
        if isinstance(layer, Dropout):
            fewest = min(fewest, width * layer.keep)
        elif isinstance(layer, Dense):
            width = float(layer.params["W"].shape[0])
    return fewest


@rule
def underfitting(case: Case) -> Finding | None:
    """A network that does worse on what it was trained on than a simple method on what it has not seen."""
    if not _underfits(case) or dropout_too_strong(case) is not None:
        return None
    name, reached = case.baseline
    return Finding(
        "underfitting",
        say("the network underfits"),
        None,
        case.kept_epoch,
        {say("its score on rows it was trained on"): case.trained_score, say("score of {name}", name=name): reached},
        say(
            "{name}, without any training, tells more about rows that it has not seen than the network about rows that "
            "it was trained on: there is more to learn than it has learned.",
            name=name,
        ),
        say("See the findings above; else more or wider layers, more epochs, less regularisation, another optimiser."),
    )


@rule
def overfitting(case: Case) -> Finding | None:
    """A validation loss that rises while the training loss falls."""
    history = case.history
    va, tr = np.array(history["val_loss"]), np.array(history["loss"])
    if case.diverged or len(va) < 5 or history.best_epoch is not None:
        return None
    best = int(va.argmin())
    risen = float(va[-max(1, len(va) // 10) :].mean() / max(va[best], 1e-12))
    noise = float(np.abs(np.diff(va[: best + 1])).mean()) if best else 0.0
    rise = va[-1] - va[best]
    held_out = case.held_out
    apart = 0.0 if held_out is None else case.trained_score - case.score(case.outputs(held_out), held_out)
    rises = risen > 1.1 and rise > noise and case.height(float(rise)) > 0.03
    gap = (apart > 0.4 and risen > 1.02) or (apart > 0.5 and held_out is not None and len(held_out) >= 30)
    if not ((rises and tr[-1] < tr[best]) or gap):
        return None
    return Finding(
        "overfitting",
        say("the network overfits"),
        None,
        best + 1,
        {
            say("validation loss now"): float(va[-1]),
            say("its least"): float(va[best]),
            say("score on training rows less that on validation rows"): apart,
            say("training loss now"): float(tr[-1]),
            say("then"): float(tr[best]),
        },
        say(
            "From this epoch on the gradients follow what only the training rows have: their loss falls, that of "
            "others rises."
        ),
        say("Stop early (early_stopping patience20), drop units, decay weights, take a smaller network or more rows."),
    )


@rule
def eager_stopping(case: Case) -> Finding | None:
    """Early stopping at the first bump."""
    history = case.history
    va, tr = np.array(history["val_loss"]), np.array(history["loss"])
    if history.stop_code != "early_stopping" or history.best_epoch is None or len(va) < 2:
        return None
    waited = len(va) - history.best_epoch
    steps = -np.diff(tr[-4:]) / np.maximum(tr[-4:-1], 1e-12)
    pace = float(np.median(steps)) if len(steps) else 0.0
    risen = float(va[-1] / max(va.min(), 1e-12))
    bump = risen < 1.2 or pace > 0.1
    if not (waited <= 3 and pace > 0.02 and bump and (not case.height(tr[-1]) < 0.02)):
        return None
    return Finding(
        "eager_stopping",
        say("early stopping is too eager"),
        None,
        len(va),
        {
            say("epochs after the best"): waited,
            say("validation loss by its least"): risen,
            say("fall of the training loss in an epoch"): pace,
        },
        say(
            "The validation loss goes up and down by chance from epoch to epoch. Training was stopped at such a bump, "
            "while the loss was still falling."
        ),
        say("Wait longer: patience20, UP3 or PQ1 (Prechelt 1998)."),
    )


# What several rules look at


def _name(case: Case, place: int) -> str:
    return next((column.name for column in case.columns if place in column.places), str(place))


def _underfits(case: Case) -> bool:
    """Whether it does worse on rows it was trained on than the best simple method on rows that it has not seen."""
    if case.diverged or not len(case.history) or len(case.rows) < 40:
        return False
    reached = case.baseline[1]
    chance = 2 * (max(reached * (1 - reached), 0.0) / len(case.rows)) ** 0.5
    return bool(case.trained_score <= reached - 0.05 - chance)


def _swings(losses: np.ndarray) -> float:
    """The share of the loss's way, up and down, that goes up."""
    steps = np.diff(losses)
    total = np.abs(steps).sum()
    return float(np.maximum(steps, 0).sum() / total) if total else 0.0


def _amplitude(losses: np.ndarray) -> float:
    """How much the loss changes from epoch to epoch in the second half, beyond its trend."""
    steps = np.diff(losses[len(losses) // 2 :])
    return float(np.abs(steps - np.median(steps)).mean()) if len(steps) else 0.0


def _largest_ratio(snapshots: Sequence[Snapshot]) -> tuple[float, int, int]:
    """The largest ‖ΔW‖ / ‖W‖ of a step, with its layer and epoch."""
    found = [(layer.update_ratio, layer.number, s.epoch) for s in snapshots for layer in s.layers if layer.W.norm > 0]
    return max(found, default=(0.0, 1, 0))


def _noise(case: Case) -> float:
    """The median noise scale; infinite where most snapshots show nothing but noise."""
    scales = [np.inf if s.noise is None else s.noise for s in case.snapshots]
    return float(np.median(scales))


def _noisy(case: Case) -> bool:
    return case.batch_size <= 8 and _noise(case) > 10 * case.batch_size


def _unscaled(case: Case) -> bool:
    """Whether the size of the data explains the size of the steps."""
    return unscaled_features(case) is not None


def _worth(case: Case) -> float:
    """How far the best simple method is above a constant output: whether there is anything to learn."""
    if case.labels is None:
        return case.baseline[1]
    return case.baseline[1] - float(np.bincount(case.labels).max() / len(case.labels))


def _way_down(case: Case, snapshots: int = 3) -> float:
    """‖δ¹‖ / ‖δᴸ‖, the median of the start and the first two epochs: optimisers that scale their steps may mend it."""
    ratios = []
    for snapshot in case.early[:snapshots]:
        top = snapshot.layers[-1].delta.norm
        if top > 0 and np.isfinite(top):
            ratios.append(snapshot.layers[0].delta.norm / top)
    return float(np.median(ratios)) if ratios else 1.0


def _symmetric(case: Case) -> bool:
    return symmetric_units(case) is not None
