"""Classifier two-sample tests: the AUC of a classifier between generated and real volumes, 0.5 = cannot be told apart.

References:
    Lopez-Paz and Oquab (2017), doi:10.48550/arXiv.1610.06545.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import norm, rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from .estimate import Estimate

Floats = NDArray[np.float64]
FOLDS = 5
RIDGES = (10.0, 1.0)  # of the linear and the radial kernel
LEAST_SPREAD = 1e-9


def fold_auc(decision: Floats, generated: NDArray[np.bool_], fold: NDArray[np.int64]) -> Estimate:
    """Return the AUC of out-of-fold decisions, averaged over the folds, with DeLong's interval on the logit scale.

    Decisions of different folds come from different classifiers and are never compared. The interval covers the choice
    of the volumes that are judged, not of those that are learnt from. At 0 or 1 it follows the rule of three.

    Args:
        decision: larger for what looks generated, [n].
        generated: what is generated, bool [n].
        fold: the fold in which each volume was held out, [n]; each must hold both kinds.

    Raises:
        ValueError: if a fold lacks generated or real volumes.

    References:
        DeLong, DeLong and Clarke-Pearson (1988), doi:10.2307/2531595.

    Example:
        >>> fold_auc(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True]), np.zeros(4, dtype=int)).value
        0.75
    """
    values, variances = [], []
    for each in np.unique(fold):
        fake, real = decision[(fold == each) & generated], decision[(fold == each) & ~generated]
        if not (len(fake) and len(real)):
            raise ValueError(f"fold {each} holds {len(fake)} generated and {len(real)} real volumes; needs both")
        value, variance = _delong(fake, real)
        values.append(value)
        variances.append(variance)
    value = float(np.mean(values))
    error = float(np.sqrt(np.sum(variances)) / len(values))
    if not 0 < value < 1:
        least = 3 / min(int(generated.sum()), int((~generated).sum()))  # the rule of three
        return Estimate(value, max(0.0, value - least) if value else 0.0, min(1.0, value + least) if not value else 1.0)
    logit = np.log(value / (1 - value)) + norm.ppf([0.025, 0.975]) * error / (value * (1 - value))
    low, high = 1 / (1 + np.exp(-logit))
    return Estimate(value, float(low), float(high))


def _delong(fake: Floats, real: Floats) -> tuple[float, float]:
    """Return the AUC of two samples, ties counted half, and its variance; 0 where a sample has a single value."""
    n, m = len(fake), len(real)
    ranks = rankdata(np.concatenate([fake, real]))
    above = (ranks[:n] - rankdata(fake)) / m  # share of real values below each generated one
    below = 1 - (ranks[n:] - rankdata(real)) / n
    spread = sum(part.var(ddof=1) / len(part) for part in (above, below) if len(part) > 1)
    return float(above.mean()), float(spread)


@dataclass(frozen=True)
class Classification:
    """How well two classifiers tell generated from real volumes.

    Attributes:
        logistic: AUC of a logistic regression, with its interval.
        nonlinear: AUC of a support vector machine with a radial kernel, with its interval.
        swaps: see ``classifier_swaps``; None without swaps.
    """

    logistic: Estimate
    nonlinear: Estimate
    swaps: Floats | None


def classify(
    generated: Floats, real: Floats, density: Floats, seed: int, signs: Floats | None = None
) -> Classification | None:
    """Return how well classifiers tell generated from real volumes by descriptors, 5-fold; None below five densities.

    Both are regularised, and judge volumes of densities that they did not learn from.

    Args:
        generated: adjusted, standardised descriptors of generated volumes, [n, features].
        real: those of the real volumes of the same densities, [n, features].
        density: of the volumes, [n].
        seed: shuffles the folds.
        signs: random swaps to compare with, as ``classifier_swaps`` takes them; none by default.
    """
    features = np.concatenate([generated, real])
    labels = np.repeat([True, False], len(generated))
    fold = fold_of(np.tile(density, 2), labels, FOLDS, seed)
    if fold is None:
        return None
    aucs = []
    for model in (LogisticRegression(C=0.1, max_iter=5000), SVC(C=1.0)):
        scaled = make_pipeline(StandardScaler(), model)
        decision = cross_val_predict(scaled, features, labels, cv=PredefinedSplit(fold), method="decision_function")
        aucs.append(fold_auc(decision, labels, fold))
    return Classification(aucs[0], aucs[1], None if signs is None else _swapped_aucs(features, fold, signs))


def classifier_swaps(generated: Floats, real: Floats, density: Floats, signs: Floats, seed: int) -> Floats | None:
    """Return AUCs of two classifiers between generated and real volumes, as they are and swapped, [2, 1 + swaps].

    The AUCs of folds that learn from each other's volumes vary more than an interval of single folds allows for, so
    they are to be compared with those under random swaps of the two volumes of a density. Two kernel ridge classifiers,
    one linear and one radial, have decisions that are linear in the labels: all swaps cost little more than one.

    Args:
        generated: adjusted, standardised descriptors of generated volumes, [n, features].
        real: those of the real volumes of the same densities, [n, features].
        density: of the volumes, [n].
        signs: −1 for a pair that is swapped and 1 for one that is not, [swaps, n].
        seed: shuffles the folds.

    Returns:
        The AUCs, 5-fold; None below five densities or without swaps.

    References:
        Golland and Fischl (2003), doi:10.1007/978-3-540-45087-0_28, for permutation tests of classifiers; Saunders,
        Gammerman and Vovk (1998), Ridge regression learning algorithm in dual variables, for the kernels.
    """
    fold = fold_of(np.tile(density, 2), np.repeat([True, False], len(generated)), FOLDS, seed)
    return None if fold is None else _swapped_aucs(np.concatenate([generated, real]), fold, signs)


def _swapped_aucs(features: Floats, fold: NDArray[np.int64], signs: Floats) -> Floats | None:
    """Return the AUCs of ``classifier_swaps``; None without swaps.

    Args:
        features: of generated volumes and then of the real ones of the same densities, [2n, features].
        fold: the fold in which each is held out, [2n].
        signs: see ``classifier_swaps``.
    """
    if not len(signs):
        return None
    features = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), LEAST_SPREAD)
    size = features.shape[1]
    every = np.concatenate([np.ones((1, signs.shape[1])), signs]).T
    labels = np.concatenate([every, -every])
    kernels = (features @ features.T / size, np.exp(-cdist(features, features, "sqeuclidean") / size))
    aucs = np.zeros((len(kernels), labels.shape[1]))
    for held in (fold == each for each in range(FOLDS)):
        half = int(held.sum()) // 2
        for number, (matrix, ridge) in enumerate(zip(kernels, RIDGES, strict=True)):
            known = matrix[np.ix_(~held, ~held)] + ridge * np.eye(int((~held).sum()))
            decision = matrix[np.ix_(held, ~held)] @ np.linalg.solve(known, labels[~held])
            ranks = (rankdata(decision, axis=0) * (labels[held] > 0)).sum(axis=0)
            aucs[number] += (ranks - half * (half + 1) / 2) / half**2 / FOLDS
    return aucs


def fold_of(density: Floats, labels: NDArray[np.bool_], folds: int, seed: int) -> NDArray[np.int64] | None:
    """Return the fold in which each volume is held out, [n]; None if a fold would lack generated or real volumes.

    Volumes of one density resemble each other and stay together: a classifier that learnt from the real one would take
    the generated one for real.

    Args:
        density: [n].
        labels: which volumes are generated, bool [n].
        folds: how many.
        seed: shuffles the densities.
    """
    fold = np.zeros(len(labels), dtype=np.int64)
    groups = np.unique(density, return_inverse=True)[1]
    if len(np.unique(groups)) < folds:
        return None
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(density, labels, groups)
    for index, (_, held_out) in enumerate(splits):
        fold[held_out] = index
    whole = all(len(np.unique(labels[fold == each])) == 2 for each in range(folds))
    return fold if whole else None
