//! Several objectives at once: who dominates whom, fronts, crowding and hypervolume.
//!
//! A row is the objectives of one trial, all to be minimised and as many in every row. NaN counts as infinity: the
//! worst there is. Equal rows do not dominate each other.

use std::cmp::Ordering;

/// Says whether `a` is nowhere worse than `b` and somewhere better.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut better = false;
    for (x, y) in a.iter().zip(b) {
        match order(*x, *y) {
            Ordering::Greater => return false,
            Ordering::Less => better = true,
            Ordering::Equal => {}
        }
    }
    better
}

/// Returns the places of the rows that no row dominates, in order.
pub fn front<R: AsRef<[f64]>>(rows: &[R]) -> Vec<usize> {
    let mut front = fronts(rows).into_iter().next().unwrap_or_default();
    front.sort_unstable();
    front
}

/// Returns the places of all rows by fronts: the first is dominated by none, each next one only by those before it.
/// Within a front rows stand in lexicographic order.
///
/// Takes O(n log n) comparisons for two objectives, and O(n²) at worst for more.
///
/// # Source
/// Zhang, Tian, Cheng, Jin, IEEE Trans. Evol. Comput. 19 (2015): ENS with binary search.
pub fn fronts<R: AsRef<[f64]>>(rows: &[R]) -> Vec<Vec<usize>> {
    let row = |at: usize| rows[at].as_ref();
    let mut sorted: Vec<usize> = (0..rows.len()).collect();
    sorted.sort_by(|a, b| lexicographic(row(*a), row(*b)).then(a.cmp(b)));
    let mut fronts: Vec<Vec<usize>> = Vec::new();
    for at in sorted {
        let dominated = |front: &Vec<usize>| {
            // With two objectives the last row of a front is its lowest in the second, so it answers for all.
            let judges = if row(at).len() <= 2 { 1 } else { front.len() };
            front.iter().rev().take(judges).any(|other| dominates(row(*other), row(at)))
        };
        let place = fronts.partition_point(dominated);
        match fronts.get_mut(place) {
            Some(front) => front.push(at),
            None => fronts.push(vec![at]),
        }
    }
    fronts
}

/// Returns for each row of a front how far its neighbours lie apart, summed over the objectives, each in units of its
/// range; infinity for the outermost ones, which are always worth keeping.
///
/// # Source
/// Deb, Pratap, Agarwal, Meyarivan, IEEE Trans. Evol. Comput. 6 (2002), section III-B.
pub fn crowding<R: AsRef<[f64]>>(front: &[R]) -> Vec<f64> {
    let mut distances = vec![0.0; front.len()];
    for objective in 0..front.first().map_or(0, |row| row.as_ref().len()) {
        let value = |at: usize| front[at].as_ref()[objective];
        let mut sorted: Vec<usize> = (0..front.len()).collect();
        sorted.sort_by(|a, b| order(value(*a), value(*b)).then(a.cmp(b)));
        let (first, last) = (sorted[0], sorted[front.len() - 1]);
        let range = value(last) - value(first);
        for neighbours in sorted.windows(3) {
            let gap = (value(neighbours[2]) - value(neighbours[0])) / range;
            distances[neighbours[1]] += if gap.is_nan() { 0.0 } else { gap };
        }
        distances[first] = f64::INFINITY;
        distances[last] = f64::INFINITY;
    }
    distances
}

/// Returns the volume of what the rows dominate within the box below `reference`; exact in any number of objectives.
///
/// Takes O(n log n) for two objectives; for more it grows steeply with the number of objectives.
///
/// # Source
/// While, Bradstreet, Barone, IEEE Trans. Evol. Comput. 16 (2012): WFG.
pub fn hypervolume<R: AsRef<[f64]>>(rows: &[R], reference: &[f64]) -> f64 {
    volume(inside(rows, reference), reference)
}

/// Returns for each row the volume that it alone dominates.
pub fn contributions<R: AsRef<[f64]>>(rows: &[R], reference: &[f64]) -> Vec<f64> {
    let own = |at: usize| {
        let row = rows[at].as_ref();
        let others = rows.iter().enumerate().filter(|(other, _)| *other != at);
        let others: Vec<&[f64]> = others.map(|(_, other)| other.as_ref()).collect();
        exclusive(row, &inside(&others, reference), reference)
    };
    (0..rows.len()).map(own).collect()
}

/// Returns the rows that dominate a part of the box, as they are.
fn inside<R: AsRef<[f64]>>(rows: &[R], reference: &[f64]) -> Vec<Vec<f64>> {
    let counts = |row: &&[f64]| row.iter().zip(reference).all(|(x, end)| x < end);
    rows.iter().map(AsRef::as_ref).filter(counts).map(<[f64]>::to_vec).collect()
}

fn volume(mut rows: Vec<Vec<f64>>, reference: &[f64]) -> f64 {
    match reference.len() {
        0 => 0.0,
        1 => {
            let lowest = rows.iter().map(|row| row[0]).fold(reference[0], f64::min);
            reference[0] - lowest
        }
        2 => area(rows, reference),
        last => {
            // From the worst last objective on, the rows that remain cut little away from each other.
            rows.sort_by(|a, b| b[last - 1].total_cmp(&a[last - 1]).then(lexicographic(a, b)));
            // Each copy of a row would double the time.
            rows.dedup_by(|a, b| lexicographic(a, b).is_eq());
            let own = |at: usize| exclusive(&rows[at], &rows[at + 1..], reference);
            (0..rows.len()).map(own).sum()
        }
    }
}

/// Returns the area under a staircase.
fn area(mut rows: Vec<Vec<f64>>, reference: &[f64]) -> f64 {
    rows.sort_by(|a, b| lexicographic(a, b));
    let (mut area, mut height) = (0.0, reference[1]);
    for row in &rows {
        if row[1] < height {
            area += (reference[0] - row[0]) * (height - row[1]);
            height = row[1];
        }
    }
    area
}

/// Returns the volume that `row` dominates and none of the others does.
fn exclusive(row: &[f64], others: &[Vec<f64>], reference: &[f64]) -> f64 {
    let whole: f64 = row.iter().zip(reference).map(|(x, end)| (end - x).max(0.0)).product();
    if whole.is_nan() || whole <= 0.0 {
        return 0.0;
    }
    let cut = |other: &Vec<f64>| other.iter().zip(row).map(|(x, own)| x.max(*own)).collect();
    let cut: Vec<Vec<f64>> = others.iter().map(cut).collect();
    let kept = front(&cut).into_iter().map(|at| cut[at].clone()).collect();
    whole - volume(kept, reference)
}

fn lexicographic(a: &[f64], b: &[f64]) -> Ordering {
    let differs = |(x, y): (&f64, &f64)| Some(order(*x, *y)).filter(|order| order.is_ne());
    a.iter().zip(b).find_map(differs).unwrap_or(Ordering::Equal)
}

/// Compares two objectives: NaN is infinite, and -0 is 0.
fn order(x: f64, y: f64) -> Ordering {
    let plain = |x: f64| if x.is_nan() { f64::INFINITY } else { x };
    plain(x).partial_cmp(&plain(y)).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::stream::{Purpose, stream, unit};

    fn random(count: usize, objectives: usize, levels: f64, seed: u64) -> Vec<Vec<f64>> {
        let mut generator = stream(seed, 0, Purpose::Point, 0);
        let mut value = || (unit(&mut generator) * levels).floor() / levels;
        (0..count).map(|_| (0..objectives).map(|_| value()).collect()).collect()
    }

    /// Fronts by their definition.
    fn peeled(rows: &[Vec<f64>]) -> Vec<Vec<usize>> {
        let mut left: Vec<usize> = (0..rows.len()).collect();
        let mut fronts = Vec::new();
        while !left.is_empty() {
            let free =
                |at: &&usize| !left.iter().any(|other| dominates(&rows[*other], &rows[**at]));
            let front: Vec<usize> = left.iter().filter(free).copied().collect();
            left.retain(|at| !front.contains(at));
            fronts.push(front);
        }
        fronts
    }

    #[test]
    fn equal_rows_count_once_and_cost_nothing() {
        let copies = |row: [f64; 3]| vec![row.to_vec(); 60];
        assert_eq!(hypervolume(&copies([1.0; 3]), &[2.0; 3]), 1.0);
        let mixed: Vec<Vec<f64>> =
            copies([0.0, 1.0, 0.5]).into_iter().chain(copies([1.0, 0.0, 0.5])).collect();
        assert_eq!(hypervolume(&mixed, &[2.0; 3]), 4.5);
        assert!(contributions(&mixed, &[2.0; 3]).iter().all(|own| *own == 0.0));
    }

    #[test]
    fn fronts_are_those_of_the_definition() {
        for objectives in 1..=4 {
            for (seed, levels) in [(1, 4.0), (2, 1e6), (3, 9.0)] {
                let mut rows = random(60, objectives, levels, seed);
                rows[7][0] = f64::NAN;
                rows[9][0] = f64::INFINITY;
                let mut fronts = fronts(&rows);
                fronts.iter_mut().for_each(|front| front.sort_unstable());
                assert_eq!(fronts, peeled(&rows), "{objectives} {levels}");
                assert_eq!(front(&rows), fronts[0]);
            }
        }
        assert!(fronts::<Vec<f64>>(&[]).is_empty());
    }

    #[test]
    fn crowding_favours_the_ends_and_the_lonely() {
        let front = [[0.0, 10.0], [1.0, 8.0], [2.0, 7.0], [7.0, 2.0], [10.0, 0.0]];
        let distances = crowding(&front);
        assert_eq!((distances[0], distances[4]), (f64::INFINITY, f64::INFINITY));
        assert!((distances[1] - 0.5).abs() < 1e-12, "{distances:?}");
        assert!(distances[3] > distances[2] && distances[2] > distances[1]);
        assert_eq!(crowding(&[[1.0, 1.0]; 3])[1], 0.0);
        assert!(crowding::<[f64; 2]>(&[]).is_empty());
    }

    /// Counts the cells of a lattice that are dominated.
    fn counted(rows: &[Vec<f64>], levels: usize, objectives: usize) -> f64 {
        let cells = levels.pow(objectives as u32);
        let covered = |cell: &usize| {
            let corner = |d: u32| ((cell / levels.pow(d)) % levels) as f64 / levels as f64;
            rows.iter().any(|row| row.iter().zip(0..).all(|(x, d)| *x <= corner(d) + 1e-9))
        };
        (0..cells).filter(covered).count() as f64 / cells as f64
    }

    #[test]
    fn hypervolume_is_what_counting_gives() {
        for objectives in 1..=5 {
            let levels = if objectives > 3 { 5 } else { 12 };
            for seed in 0..4 {
                let rows = random(25, objectives, levels as f64, seed);
                let reference = vec![1.0; objectives];
                let whole = hypervolume(&rows, &reference);
                assert!((whole - counted(&rows, levels, objectives)).abs() < 1e-9, "{objectives}");
                for (at, own) in contributions(&rows, &reference).into_iter().enumerate() {
                    let mut less = rows.clone();
                    less.remove(at);
                    assert!((whole - hypervolume(&less, &reference) - own).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn rows_outside_the_box_add_nothing() {
        let rows = [[0.5, 0.5], [2.0, 0.0], [f64::NAN, 0.0], [0.0, f64::INFINITY]];
        assert_eq!(hypervolume(&rows, &[1.0, 1.0]), 0.25);
        assert_eq!(contributions(&rows, &[1.0, 1.0]), [0.25, 0.0, 0.0, 0.0]);
        assert_eq!(hypervolume::<[f64; 2]>(&[], &[1.0, 1.0]), 0.0);
    }
}
