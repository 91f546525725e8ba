"""Whether one run's metric is smaller than another's, judged by their seeds."""

from __future__ import annotations

import logging
import math
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

logger = logging.getLogger("mle_toolbox.hypothesis")

METHODS = [
    "bonferroni", "sidak", "holm-sidak", "holm", "simes-hochberg", "hommel", "fdr_bh", "fdr_tsbh", "fdr_tsbky",
]  # fmt: skip


class HypothesisTester:
    """One-sided Welch tests between all pairs of runs.

    Parameters
    ----------
    meta_log : mle_logging.MetaLog
        Of at least two runs, aggregated over seeds or not.

    Attributes
    ----------
    p_vals : (n_runs, n_runs) float64
        `p_vals[n_runs - 1 - i, j]` is the probability of a difference as large as this when run i is in truth not smaller
        than run j: as in a heat map, the first run is the lowest row. 1 for a run and itself; NaN where either run has fewer
        than two seeds. :meth:`p_of` takes names.
    corrected_p_vals : dict of (n_runs, n_runs) float64 by method
        With the same rows.
    eval_ids, correct_methods : list of str
        The runs, and the methods of correction.
    num_evals : int

    Notes
    -----
    Seeds are the samples, as they are independent; points of one learning curve are not. The value of a seed is its last
    point. All pairs are one family of tests, and are corrected together.

    References
    ----------
    Welch, B. L. (1947), Biometrika 34. Colas, C. et al. (2019), A Hitchhiker's Guide to Statistical Comparisons of
    Reinforcement Learning Algorithms, on seeds as samples.
    """

    def __init__(self, meta_log: Any) -> None:
        self.meta_log = meta_log
        self.run_ids: List[str] = list(meta_log.eval_ids)
        self.eval_ids = self.run_ids
        self.num_evals = len(self.run_ids)
        self.correct_methods = list(METHODS)
        self.p_vals: Optional[np.ndarray] = None
        self.corrected_p_vals: Dict[str, np.ndarray] = {}
        self.metric: Optional[str] = None

    def _summary(self, run_id: str, metric: str) -> Tuple[float, float, int]:
        """Return the mean, the variance (of the sample) and the number of a run's last values over seeds."""
        log = self.meta_log[run_id]
        if "stats" in log:
            found = log["stats"][metric]
            if isinstance(found, Mapping):
                seeds = log["meta"]["seeds"] if "seeds" in log["meta"] else None
                n = len(seeds) if isinstance(seeds, (list, tuple, np.ndarray)) else 1
                mean, deviation = float(_last(found["mean"])), float(_last(found["std"]))
                # Logs have the deviation of the population.
                return mean, deviation**2 * n / (n - 1) if n > 1 else math.nan, n
            return float(_last(found)), math.nan, 1
        values = [float(_last(log[seed]["stats"][metric])) for seed in log]
        n = len(values)
        return float(np.mean(values)), float(np.var(values, ddof=1)) if n > 1 else math.nan, n

    def run_pairwise(self, metric_name: str) -> np.ndarray:
        """Test all pairs of runs; return `p_vals`."""
        told = [self._summary(run_id, metric_name) for run_id in self.run_ids]
        alone = [run_id for run_id, (_, _, n) in zip(self.run_ids, told) if n < 2]
        if alone:
            logger.warning("%d of %d runs have fewer than two seeds: nothing can be said of them", len(alone), len(told))
        n_runs = len(told)
        found = np.ones((n_runs, n_runs))
        for at in range(n_runs):
            for other in range(n_runs):
                if at != other:
                    found[at, other] = welch_smaller(*told[at], *told[other])
        self.metric, self.p_vals, self.corrected_p_vals = metric_name, found[::-1].copy(), {}
        return self.p_vals

    def p_of(self, run_a: str, run_b: str, method: Optional[str] = None) -> float:
        """Return p of the test that run a is not smaller than run b, corrected by a method where one is named."""
        if self.p_vals is None:
            raise RuntimeError("there are no tests; call run_pairwise(metric) first")
        if method is not None and method not in self.corrected_p_vals:
            self.single_correction(method)
        values = self.p_vals if method is None else self.corrected_p_vals[method]
        return float(values[::-1][self.run_ids.index(run_a), self.run_ids.index(run_b)])

    def run_corrections(self) -> Dict[str, np.ndarray]:
        """Correct for the number of tests by all methods; return `corrected_p_vals`."""
        for method in METHODS:
            self.single_correction(method)
        return self.corrected_p_vals

    def single_correction(self, correction_name: str) -> np.ndarray:
        """Correct for the number of tests by one method."""
        if self.p_vals is None:
            raise RuntimeError("there are no tests to correct; call run_pairwise(metric) first")
        found = self.p_vals[::-1].copy()
        pairs = ~np.eye(len(found), dtype=bool) & ~np.isnan(found)
        if pairs.any():
            found[pairs] = correct(found[pairs], correction_name)
        self.corrected_p_vals[correction_name] = found[::-1].copy()
        return self.corrected_p_vals[correction_name]

    def plot(self, corrected: bool = False, method: str = "bonferroni", fname: Optional[str] = None) -> Any:
        """Draw the probabilities; colours end at 0.15. Return figure and axes, or None when it is saved as `fname`."""
        if self.p_vals is None:
            raise RuntimeError("there are no tests to draw; call run_pairwise(metric) first")
        if corrected and method not in self.corrected_p_vals:
            self.single_correction(method)
        from ..visualize._draw import finish, heat

        values = (self.corrected_p_vals[method] if corrected else self.p_vals)[::-1]
        title = f"{self.metric}: is the row smaller than the column?" + (f" ({method})" if corrected else "")
        fig, ax = heat(
            values, self.run_ids, self.run_ids, title, "", ["", ""], "p", vmin=0, vmax=0.15, cmap="viridis_r", text=len(values) <= 12
        )
        return finish(fig, ax, fname)


def _last(column: Any) -> Any:
    values = np.ma.filled(np.ma.asarray(column, dtype="float64"), np.nan)
    return values.reshape(len(values), -1)[-1, 0] if values.ndim else values


def welch_smaller(
    mean_a: float, variance_a: float, n_a: int, mean_b: float, variance_b: float, n_b: int
) -> float:
    """Return p of Welch's test that a is not smaller than b, from means, variances of samples, and sizes."""
    if n_a < 2 or n_b < 2:
        return math.nan
    part_a, part_b = variance_a / n_a, variance_b / n_b
    if part_a + part_b == 0:
        return 0.0 if mean_a < mean_b else (1.0 if mean_a > mean_b else 0.5)
    t = (mean_a - mean_b) / math.sqrt(part_a + part_b)
    freedom = (part_a + part_b) ** 2 / (part_a**2 / (n_a - 1) + part_b**2 / (n_b - 1))
    return t_cdf(t, freedom)


def t_cdf(t: float, freedom: float) -> float:
    """Return the distribution function of Student's t."""
    tail = 0.5 * _beta(freedom / (freedom + t * t), freedom / 2, 0.5)
    return tail if t < 0 else 1 - tail


def _beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function, by Lentz's continued fraction (DLMF 8.17.22)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)) / a
    tiny = 1e-300
    d = 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    c, total = 1.0, d
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / ((1 + step * d) or tiny)
            c = (1 + step / c) or tiny
            total *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return front * total


def correct(p_vals: np.ndarray, method: str, alpha: float = 0.05) -> np.ndarray:
    """Return p-values corrected for their number.

    Parameters
    ----------
    p_vals : (n,) float64
    method : str
        One of METHODS. All but the last three bound the probability of any false finding; those the expected share of them.
    alpha : float
        The level of the first stage of the two-stage methods.

    References
    ----------
    Hommel (1988) as in Wright (1992), Biometrics 48; Benjamini and Hochberg (1995); Benjamini, Krieger and Yekutieli (2006).
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r} is none of {', '.join(METHODS)}")
    order = np.argsort(p_vals, kind="stable")
    p = np.asarray(p_vals, dtype="float64")[order]
    n = len(p)
    rank = np.arange(1, n + 1)
    if method == "bonferroni":
        done = p * n
    elif method == "sidak":
        done = -np.expm1(n * np.log1p(-np.minimum(p, 1 - 1e-16)))
    elif method == "holm-sidak":
        done = np.maximum.accumulate(-np.expm1((n - rank + 1) * np.log1p(-np.minimum(p, 1 - 1e-16))))
    elif method == "holm":
        done = np.maximum.accumulate(p * (n - rank + 1))
    elif method == "simes-hochberg":
        done = np.minimum.accumulate((p * (n - rank + 1))[::-1])[::-1]
    elif method == "hommel":
        done = _hommel(p)
    else:
        done = np.minimum.accumulate((p * n / rank)[::-1])[::-1]
        if method != "fdr_bh":
            factor = 1 + alpha if method == "fdr_tsbky" else 1.0
            found = int((done <= alpha / factor).sum())
            # The first stage says how many hypotheses may be true.
            done = done * factor * ((n - found) / n if 0 < found < n else 1.0)
    result = np.empty(n)
    result[order] = np.clip(done, 0, 1)
    return result


def _hommel(p: np.ndarray) -> np.ndarray:
    n = len(p)
    rank = np.arange(1, n + 1)
    found = np.full(n, (n * p / rank).min())
    for m in range(n - 1, 1, -1):
        split = n - m + 1
        low = (m * p[split:] / np.arange(2, m + 1)).min()
        q = np.empty(n)
        q[:split] = np.minimum(m * p[:split], low)
        q[split:] = q[split - 1]
        found = np.maximum(found, q)
    return np.maximum(found, p)
