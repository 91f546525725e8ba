//! Which parameters matter.
//!
//! Two answers. The first is that of a functional analysis of variance: how much of the variance of the objective over the
//! whole space a parameter explains by itself, or two by acting together. The second asks what makes a trial one of the
//! best: how far the best trials' values of a parameter differ from those of all.
//!
//! Where a parameter is inactive, the forest sees a choice of its own, or the middle of a number's range; among the best,
//! those trials are left out, and what is found counts as much as there are others. Failed trials and infinite values are
//! left out.
//!
//! # Source
//! Hutter, Hoos, Leyton-Brown, ICML 2014 (functional ANOVA on a forest); Watanabe, Bansal, Hutter, IJCAI 2023,
//! arXiv 2304.10255 (PED-ANOVA), with the grid and the bandwidths of Optuna's evaluator.

use super::Trial;
use super::best::losses;
use super::forest::{self, Axis, Side, Tree};
use crate::protocol::Goal;
use crate::search::domain::{Domain, ListKind};
use crate::search::space::{Param, Space};

/// Trials that a forest is grown on at most, spread over all.
const ROWS_MAX: usize = 2_000;
/// Parameters whose pairs are looked at: the most important ones.
const PAIRED_MAX: usize = 8;
/// Places of a parameter where densities are compared.
const PLACES: usize = 50;

/// What each parameter is responsible for.
#[derive(Clone, Debug, PartialEq)]
pub struct Importance {
    /// The parameters that are searched.
    pub names: Vec<String>,
    /// The share of the variance that each explains by itself.
    pub alone: Vec<f64>,
    /// The share that two explain by acting together, the largest first; places in `names`.
    pub together: Vec<(usize, usize, f64)>,
    /// How far the best trials differ from all in each, in shares of the sum.
    pub among_best: Vec<f64>,
    /// How many trials were looked at.
    pub trials: usize,
}

/// Returns what matters for the objective `at`; nothing when fewer than 4 trials have a value, or all have the same.
/// `top` is the share of the trials that counts as the best.
pub fn importance(
    space: &Space,
    trials: &[&Trial],
    goals: &[(String, Goal)],
    at: usize,
    top: f64,
) -> Option<Importance> {
    let axes: Vec<Axis> = space.searched().map(|param| axis(&param.domain)).collect();
    let (mut rows, mut values, mut active) = (Vec::new(), Vec::new(), Vec::new());
    for trial in trials {
        let loss = losses(trial, goals).map(|losses| losses[at]);
        if let Some(loss) = loss.filter(|loss| loss.is_finite()) {
            rows.push(place(space, trial));
            let has = |param: &Param| trial.params.contains_key(&param.name);
            active.push(space.searched().map(has).collect());
            values.push(loss);
        }
    }
    let distinct = values.iter().any(|value| *value != values[0]);
    if rows.len() < 4 || axes.is_empty() || !distinct {
        return None;
    }
    let n = rows.len();
    let (alone, together) = variances(&axes, &rows, &values);
    Some(Importance {
        names: space.searched().map(|param| param.name.clone()).collect(),
        alone,
        together,
        among_best: among_best(&axes, &rows, &active, &values, top),
        trials: n,
    })
}

fn axis(domain: &Domain) -> Axis {
    match domain {
        Domain::List { kind: ListKind::Ordinal, .. } => Axis::Line,
        // One more for where it is inactive.
        Domain::List { choices, .. } => Axis::Choice(choices.len() + 1),
        _ => Axis::Line,
    }
}

fn place(space: &Space, trial: &Trial) -> Vec<f64> {
    let units = space.encode(&trial.params);
    let one = |(param, unit): (&Param, Option<f64>)| match &param.domain {
        Domain::List { kind: ListKind::Ordinal, .. } => unit.unwrap_or(0.5),
        Domain::List { choices, .. } => {
            let choice =
                trial.params.get(&param.name).and_then(|value| param.domain.index_of(value));
            choice.map_or(choices.len() as f64, |choice| choice as f64)
        }
        _ => unit.unwrap_or(0.5),
    };
    space.searched().zip(units).map(one).collect()
}

/// Returns the shares of the variance that parameters explain alone, and in pairs.
fn variances(
    axes: &[Axis],
    rows: &[Vec<f64>],
    values: &[f64],
) -> (Vec<f64>, Vec<(usize, usize, f64)>) {
    let step = rows.len().div_ceil(ROWS_MAX);
    let some: Vec<Vec<f64>> = rows.iter().step_by(step).cloned().collect();
    let their: Vec<f64> = standard(values).into_iter().step_by(step).collect();
    let forest = forest::grow(axes, &some, &their, 0);
    // What each tree's axes explain alone, and of how much.
    let trees: Vec<(&Tree, f64, Vec<f64>)> = forest
        .iter()
        .map(|tree| (tree, total_variance(tree)))
        .filter(|(_, total)| *total > 0.0)
        .map(|(tree, total)| {
            let single = |at| marginal_variance(tree, axes, at, None);
            (tree, total, (0..axes.len()).map(single).collect())
        })
        .collect();
    let count = f64::max(trees.len() as f64, 1.0);
    let alone: Vec<f64> = (0..axes.len())
        .map(|at| {
            let shares = trees.iter().map(|(_, total, single)| single[at] / total);
            shares.fold(0.0, |sum, share| sum + share) / count
        })
        .collect();
    let mut order: Vec<usize> = (0..axes.len()).collect();
    order.sort_by(|&a, &b| alone[b].total_cmp(&alone[a]));
    order.truncate(PAIRED_MAX);
    order.sort_unstable();
    let mut together = Vec::new();
    for (place, &a) in order.iter().enumerate() {
        for &b in &order[place + 1..] {
            let share: f64 = trees
                .iter()
                .map(|(tree, total, single)| {
                    let both = marginal_variance(tree, axes, a, Some(b)) - single[a] - single[b];
                    both.max(0.0) / total
                })
                .fold(0.0, |sum, share| sum + share);
            together.push((a, b, share / count));
        }
    }
    together.sort_by(|a, b| b.2.total_cmp(&a.2));
    (alone, together)
}

/// Returns values around 0, at most 1 away: shares of a variance do not depend on where the values lie, sums of squares do.
fn standard(values: &[f64]) -> Vec<f64> {
    let to_one = |values: Vec<f64>| -> Vec<f64> {
        let most = values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        values.iter().map(|value| if most > 0.0 { value / most } else { 0.0 }).collect()
    };
    let values = to_one(values.to_vec());
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    to_one(values.iter().map(|value| value - mean).collect())
}

fn total_variance(tree: &Tree) -> f64 {
    let volume = |leaf: &forest::Leaf| leaf.sides.iter().map(Side::share).product::<f64>();
    let mean: f64 = tree.iter().map(|leaf| volume(leaf) * leaf.value).sum();
    tree.iter().map(|leaf| volume(leaf) * (leaf.value - mean).powi(2)).sum()
}

/// Returns the variance of what a tree predicts as a function of one or two axes, the others averaged out.
///
/// A leaf adds to a block of cells: it is noted at the block's corners, and summed up over all leaves at once.
fn marginal_variance(tree: &Tree, axes: &[Axis], first: usize, second: Option<usize>) -> f64 {
    let rows = Cells::of(tree, axes[first], first);
    let columns = second.map(|at| Cells::of(tree, axes[at], at));
    let width = columns.as_ref().map_or(1, |columns| columns.shares.len()) + 1;
    let mut means = vec![0.0; (rows.shares.len() + 1) * width];
    for leaf in tree {
        let rest: f64 = leaf
            .sides
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != first && Some(*at) != second)
            .map(|(_, side)| side.share())
            .product();
        let weight = rest * leaf.value;
        let across = match (&columns, second) {
            (Some(columns), Some(at)) => columns.covered(&leaf.sides[at]),
            _ => vec![(0, 1)],
        };
        for (top, bottom) in rows.covered(&leaf.sides[first]) {
            for (left, right) in &across {
                means[top * width + left] += weight;
                means[top * width + right] -= weight;
                means[bottom * width + left] -= weight;
                means[bottom * width + right] += weight;
            }
        }
    }
    for at in 0..means.len() {
        let (above, left) = (at.checked_sub(width), at % width > 0);
        let corner = if left { above.map_or(0.0, |above| means[above - 1]) } else { 0.0 };
        let left = if left { means[at - 1] } else { 0.0 };
        means[at] += above.map_or(0.0, |above| means[above]) + left - corner;
    }
    let one = [1.0];
    let across = columns.as_ref().map_or(&one[..], |columns| &columns.shares);
    let cells = || {
        rows.shares.iter().zip(means.chunks(width)).flat_map(|(row, means)| {
            across.iter().zip(means).map(move |(column, mean)| (row * column, *mean))
        })
    };
    let mean: f64 = cells().map(|(share, value)| share * value).sum();
    cells().map(|(share, value)| share * (value - mean).powi(2)).sum()
}

/// The parts of an axis in which a tree does not change.
struct Cells {
    /// Where they meet, on a line.
    edges: Vec<f64>,
    /// How much of the axis each is.
    shares: Vec<f64>,
}

impl Cells {
    fn of(tree: &Tree, axis: Axis, at: usize) -> Cells {
        if let Axis::Choice(count) = axis {
            return Cells { edges: Vec::new(), shares: vec![1.0 / count as f64; count] };
        }
        let mut edges = vec![0.0, 1.0];
        for leaf in tree {
            if let Side::Interval(from, to) = leaf.sides[at] {
                edges.extend([from, to]);
            }
        }
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let shares = edges.windows(2).map(|pair| pair[1] - pair[0]).collect();
        Cells { edges, shares }
    }

    /// Returns which of them a side covers: from, and the one after.
    fn covered(&self, side: &Side) -> Vec<(usize, usize)> {
        match side {
            Side::Interval(from, to) => {
                let place = |edge: f64| self.edges.partition_point(|other| *other < edge);
                vec![(place(*from), place(*to))]
            }
            Side::Set(inside) => {
                (0..inside.len()).filter(|&at| inside[at]).map(|at| (at, at + 1)).collect()
            }
        }
    }
}

/// Returns the Pearson divergence between the best trials and all, parameter by parameter, in shares of their sum.
fn among_best(
    axes: &[Axis],
    rows: &[Vec<f64>],
    active: &[Vec<bool>],
    values: &[f64],
    top: f64,
) -> Vec<f64> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    let count = ((rows.len() as f64 * top).ceil() as usize).clamp(2, rows.len());
    let divergences: Vec<f64> = axes
        .iter()
        .enumerate()
        .map(|(at, axis)| {
            let having = |some: &[usize]| -> Vec<f64> {
                some.iter().filter(|&&row| active[row][at]).map(|&row| rows[row][at]).collect()
            };
            let (good, all) = (having(&order[..count]), having(&order));
            if good.len() < 2 {
                return 0.0;
            }
            let share = all.len() as f64 / rows.len() as f64;
            let (good, all) = (density(*axis, &good), density(*axis, &all));
            let parts = good.iter().zip(&all).map(|(good, all)| all * (good / all - 1.0).powi(2));
            share * parts.sum::<f64>()
        })
        .collect();
    let sum: f64 = divergences.iter().sum();
    divergences.iter().map(|one| if sum > 0.0 { one / sum } else { 0.0 }).collect()
}

/// Returns how values are spread over the places of an axis; one value more is spread evenly, so that no place is empty.
fn density(axis: Axis, values: &[f64]) -> Vec<f64> {
    let n = values.len() as f64;
    let mut weights = match axis {
        Axis::Choice(count) => {
            let mut weights = vec![0.0; count];
            values.iter().for_each(|value| weights[*value as usize] += 1.0);
            weights
        }
        Axis::Line => {
            let width = bandwidth(values);
            let mut weights = vec![0.0; PLACES];
            for value in values {
                let kernel: Vec<f64> = (0..PLACES)
                    .map(|place| {
                        let z = ((place as f64 + 0.5) / PLACES as f64 - value) / width;
                        (-0.5 * z * z).exp()
                    })
                    .collect();
                let sum: f64 = kernel.iter().sum();
                weights.iter_mut().zip(kernel).for_each(|(weight, part)| *weight += part / sum);
            }
            weights
        }
    };
    let even = 1.0 / weights.len() as f64;
    weights.iter_mut().for_each(|weight| *weight = (*weight + even) / (n + 1.0));
    weights
}

/// Scott's rule, with the spread as the smaller of deviation and scaled quartile distance.
fn bandwidth(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance =
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quantile = |p| crate::aggregate::quantile(sorted.len(), p, |i| sorted[i]);
    let quartiles = (quantile(0.75) - quantile(0.25)) / 1.34;
    let spread = if quartiles > 0.0 { variance.sqrt().min(quartiles) } else { variance.sqrt() };
    (1.059 * spread * n.powf(-0.2)).max(0.5 / PLACES as f64)
}
