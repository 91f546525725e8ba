//! One regression tree.

use rand_pcg::Pcg64;

use super::Sample;
use crate::search::stream::{below, unit};

/// When and where a tree splits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// Splits at a random place of each coordinate instead of the best.
    pub(crate) random: bool,
    /// No leaf holds fewer rows.
    pub(crate) leaf_min: usize,
    pub(crate) depth_max: usize,
    /// Coordinates that each split tries.
    pub(crate) tried: usize,
}

/// A tree as a list of nodes, the root first.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Leaf { mean: f64, variance: f64 },
    Split { split: Split, left: usize, right: usize },
}

#[derive(Clone, Debug)]
enum Split {
    /// Left below the threshold, and where inactive.
    Line { at: usize, threshold: f64 },
    /// Left for the choices that are marked, and where inactive.
    Choice { at: usize, left: Vec<bool> },
}

impl Split {
    fn goes_left(&self, row: &[f64]) -> bool {
        match self {
            Split::Line { at, threshold } => row[*at].is_nan() || row[*at] < *threshold,
            Split::Choice { at, left } => match choice(row[*at], left.len()) {
                Some(own) => left[own],
                None => true,
            },
        }
    }
}

fn choice(place: f64, count: usize) -> Option<usize> {
    (!place.is_nan()).then(|| ((place * count as f64) as usize).min(count - 1))
}

impl Tree {
    /// Grows a tree on the chosen rows; a row may be chosen more than once.
    pub(crate) fn grow(
        sample: &Sample,
        chosen: Vec<usize>,
        growth: Growth,
        generator: &mut Pcg64,
    ) -> Tree {
        let mut tree = Tree { nodes: Vec::new() };
        let mut grower = Grower { sample, growth, generator };
        grower.grow(&mut tree, chosen, 0);
        tree
    }

    /// Returns mean and variance of the leaf that a place belongs to.
    pub(crate) fn predict(&self, row: &[f64]) -> (f64, f64) {
        match &self.nodes[self.leaf(row)] {
            Node::Leaf { mean, variance } => (*mean, *variance),
            Node::Split { .. } => (f64::NAN, f64::NAN),
        }
    }

    /// Returns the number of the leaf that a place belongs to.
    pub(crate) fn leaf(&self, row: &[f64]) -> usize {
        let mut node = 0;
        while let Node::Split { split, left, right } = &self.nodes[node] {
            node = if split.goes_left(row) { *left } else { *right };
        }
        node
    }

    /// Puts another value in place of the mean of a leaf.
    pub(crate) fn set_leaf(&mut self, leaf: usize, value: f64) {
        self.nodes[leaf] = Node::Leaf { mean: value, variance: 0.0 };
    }
}

struct Grower<'a> {
    sample: &'a Sample,
    growth: Growth,
    generator: &'a mut Pcg64,
}

impl Grower<'_> {
    fn grow(&mut self, tree: &mut Tree, chosen: Vec<usize>, depth: usize) -> usize {
        let own = tree.nodes.len();
        let (mean, variance) = moments(chosen.iter().map(|at| self.sample.values[*at]));
        tree.nodes.push(Node::Leaf { mean, variance });
        if depth >= self.growth.depth_max
            || chosen.len() < 2 * self.growth.leaf_min
            || variance <= 1e-14 * (1.0 + mean * mean)
        {
            return own;
        }
        let Some(split) = self.split(&chosen) else { return own };
        let (to_left, to_right): (Vec<usize>, Vec<usize>) =
            chosen.into_iter().partition(|at| split.goes_left(&self.sample.rows[*at]));
        let left = self.grow(tree, to_left, depth + 1);
        let right = self.grow(tree, to_right, depth + 1);
        tree.nodes[own] = Node::Split { split, left, right };
        own
    }

    /// Returns the split after which values differ least within both sides.
    fn split(&mut self, chosen: &[usize]) -> Option<Split> {
        let dimensions = self.sample.choices.len();
        let mut order: Vec<usize> = (0..dimensions).collect();
        let mut best: Option<(f64, Split)> = None;
        for tried in 0..dimensions {
            // Coordinates are drawn as needed: those that cannot be split do not count.
            let at = tried + below(self.generator, (dimensions - tried) as u64) as usize;
            order.swap(tried, at);
            if tried >= self.growth.tried && best.is_some() {
                break;
            }
            let at = order[tried];
            let found = match self.sample.choices[at] {
                0 => self.line(at, chosen),
                count => self.choice(at, count, chosen),
            };
            if let Some((gain, split)) = found
                && best.as_ref().is_none_or(|(top, _)| gain > *top)
            {
                best = Some((gain, split));
            }
        }
        best.map(|(_, split)| split)
    }

    fn line(&mut self, at: usize, chosen: &[usize]) -> Option<(f64, Split)> {
        let place = |row: &usize| {
            let place = self.sample.rows[*row][at];
            if place.is_nan() { -1.0 } else { place }
        };
        let mut pairs: Vec<(f64, f64)> =
            chosen.iter().map(|row| (place(row), self.sample.values[*row])).collect();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let (first, last) = (pairs.first()?.0, pairs.last()?.0);
        if first >= last {
            return None;
        }
        let cut = match self.growth.random {
            true => first + (last - first) * unit(self.generator),
            false => f64::NAN,
        };
        let fit = |index: &usize| {
            pairs[index - 1].0 < pairs[*index].0
                && (cut.is_nan() || (pairs[index - 1].0 <= cut && cut < pairs[*index].0))
        };
        let (gain, index) = self.best_cut(&pairs, fit)?;
        let between = match self.growth.random {
            true => cut,
            // Anywhere between the two: trees that differ are smooth together.
            false => {
                let (low, high) = (pairs[index - 1].0, pairs[index].0);
                low + (high - low) * unit(self.generator)
            }
        };
        // What is equal to the lower place must stay left.
        let threshold = between.clamp(pairs[index - 1].0.next_up(), pairs[index].0);
        Some((gain, Split::Line { at, threshold }))
    }

    fn choice(&mut self, at: usize, count: usize, chosen: &[usize]) -> Option<(f64, Split)> {
        // Inactive rows come first, as a choice of their own.
        let own = |row: usize| choice(self.sample.rows[row][at], count).map_or(0, |own| own + 1);
        let mut sums = vec![(0.0, 0.0); count + 1];
        for row in chosen {
            let (sum, rows) = &mut sums[own(*row)];
            *sum += self.sample.values[*row];
            *rows += 1.0;
        }
        // Cut in the order of the means, no other two sets are better.
        let mut rank: Vec<f64> = sums.iter().map(|(sum, rows)| sum / rows).collect();
        if self.growth.random {
            rank.iter_mut().for_each(|rank| *rank = unit(self.generator));
        }
        let inactive = sums[0].1 > 0.0;
        let mut pairs: Vec<(f64, f64)> =
            chosen.iter().map(|row| (rank[own(*row)], self.sample.values[*row])).collect();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let fit = |index: &usize| pairs[index - 1].0 < pairs[*index].0;
        let (gain, index) = self.best_cut(&pairs, fit)?;
        let threshold = pairs[index].0;
        // Whatever is inactive goes left, so its side is the left one.
        let turned = inactive && rank[0] >= threshold;
        let left = |rank: &f64| match rank.is_nan() {
            true => unit(self.generator) < 0.5,
            false => (*rank < threshold) != turned,
        };
        Some((gain, Split::Choice { at, left: rank[1..].iter().map(left).collect() }))
    }

    /// Returns how much the best of the allowed cuts gains, and the index of the first pair behind it.
    fn best_cut(
        &self,
        pairs: &[(f64, f64)],
        allowed: impl Fn(&usize) -> bool,
    ) -> Option<(f64, usize)> {
        let total: f64 = pairs.iter().map(|(_, value)| value).sum();
        let count = pairs.len() as f64;
        let mut left = 0.0;
        let mut best: Option<(f64, usize)> = None;
        for index in 1..pairs.len() {
            left += pairs[index - 1].1;
            let smaller = index.min(pairs.len() - index);
            if smaller < self.growth.leaf_min || !allowed(&index) {
                continue;
            }
            let (rows, rest) = (index as f64, count - index as f64);
            let gain = left * left / rows + (total - left) * (total - left) / rest;
            if best.is_none_or(|(top, _)| gain > top) {
                best = Some((gain, index));
            }
        }
        best
    }
}

/// Returns mean and variance.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count)
}
