//! The tables of successive halving and Hyperband: how many configurations train to how many epochs.
//!
//! # Source
//! Jamieson and Talwalkar, AISTATS 2016, algorithm 1; Li et al., JMLR 18 (2018), algorithm 1, all in whole numbers: the
//! logarithm of 243 to base 3 is five here.

/// One row: so many configurations, trained until so many epochs counted from their beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// How many configurations.
    pub configs: u64,
    /// The epochs each reaches.
    pub epochs: u64,
}

/// Divides and rounds down; a quotient that is whole but for rounding errors counts as whole.
fn shrink(value: u64, eta: f64) -> u64 {
    (value as f64 / eta + 1e-9).floor() as u64
}

/// Returns the rungs of one successive halving: `configs`, then the best 1/`eta` of them with `eta` times the epochs,
/// and so on while one is left or until `max_epochs`, where training ends, is reached.
///
/// `eta` is above 1; `configs` and `min_epochs` are at least 1.
pub fn halving(configs: u64, min_epochs: u64, eta: f64, max_epochs: Option<u64>) -> Vec<Rung> {
    let most = max_epochs.unwrap_or(u64::MAX);
    let mut rungs = vec![Rung { configs, epochs: min_epochs.min(most) }];
    let mut exact = min_epochs as f64;
    while let Some(last) = rungs.last().copied() {
        let left = shrink(last.configs, eta);
        // An eta below 2 could keep all, or add no whole epoch.
        let left = if left == last.configs { left - 1 } else { left };
        if left == 0 || last.epochs >= most {
            break;
        }
        exact *= eta;
        let epochs = ((exact + 1e-9).floor() as u64).max(last.epochs + 1).min(most);
        rungs.push(Rung { configs: left, epochs });
    }
    rungs
}

/// Returns the largest power `s` with `least` · `eta`^`s` ≤ `most`.
pub fn power(most: u64, least: u64, eta: u64) -> u32 {
    let (mut reached, mut s) = (u128::from(least), 0);
    while reached * u128::from(eta) <= u128::from(most) {
        reached *= u128::from(eta);
        s += 1;
    }
    s
}

/// Returns the brackets of Hyperband, the one with the most configurations first.
///
/// `max_epochs` ≥ `min_epochs` ≥ 1 and `eta` ≥ 2; the first bracket begins with at least `min_epochs`.
pub fn hyperband(max_epochs: u64, min_epochs: u64, eta: u64) -> Vec<Vec<Rung>> {
    let most = power(max_epochs, min_epochs, eta);
    let raised = |s: u32| u128::from(eta).pow(s);
    let bracket = |s: u32| {
        let configs = (u128::from(most + 1) * raised(s)).div_ceil(u128::from(s + 1));
        let rung = |i: u32| Rung {
            configs: u64::try_from(configs / raised(i)).unwrap_or(u64::MAX),
            epochs: u64::try_from(u128::from(max_epochs) / raised(s - i)).unwrap_or(u64::MAX),
        };
        (0..=s).map(rung).collect()
    };
    (0..=most).rev().map(bracket).collect()
}

/// Returns the epochs at which trials are compared: `min_epochs` · `eta`^k below `max_epochs`, and `max_epochs`.
pub fn ladder(max_epochs: u64, min_epochs: u64, eta: f64) -> Vec<u64> {
    let mut ladder = Vec::new();
    let mut exact = min_epochs as f64;
    while ((exact + 1e-9).floor() as u64) < max_epochs {
        let epochs = (exact + 1e-9).floor() as u64;
        if ladder.last() != Some(&epochs) {
            ladder.push(epochs);
        }
        exact *= eta;
    }
    ladder.push(max_epochs);
    ladder
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(rungs: &[Rung]) -> Vec<(u64, u64)> {
        rungs.iter().map(|rung| (rung.configs, rung.epochs)).collect()
    }

    /// Brackets of rungs of (configurations, epochs).
    type Table = &'static [&'static [(u64, u64)]];

    /// Algorithm 1 worked out by hand in fractions; the pairs (81, 3) and (27, 3) are printed in the paper and its blog.
    #[rustfmt::skip]
    const TABLES: &[(u64, u64, Table)] = &[
        (1, 3, &[
            &[(1, 1)],
        ]),
        (9, 3, &[
            &[(9, 1), (3, 3), (1, 9)],
            &[(5, 3), (1, 9)],
            &[(3, 9)],
        ]),
        (16, 2, &[
            &[(16, 1), (8, 2), (4, 4), (2, 8), (1, 16)],
            &[(10, 2), (5, 4), (2, 8), (1, 16)],
            &[(7, 4), (3, 8), (1, 16)],
            &[(5, 8), (2, 16)],
            &[(5, 16)],
        ]),
        (27, 3, &[
            &[(27, 1), (9, 3), (3, 9), (1, 27)],
            &[(12, 3), (4, 9), (1, 27)],
            &[(6, 9), (2, 27)],
            &[(4, 27)],
        ]),
        (32, 2, &[
            &[(32, 1), (16, 2), (8, 4), (4, 8), (2, 16), (1, 32)],
            &[(20, 2), (10, 4), (5, 8), (2, 16), (1, 32)],
            &[(12, 4), (6, 8), (3, 16), (1, 32)],
            &[(8, 8), (4, 16), (2, 32)],
            &[(6, 16), (3, 32)],
            &[(6, 32)],
        ]),
        (50, 3, &[
            &[(27, 1), (9, 5), (3, 16), (1, 50)],
            &[(12, 5), (4, 16), (1, 50)],
            &[(6, 16), (2, 50)],
            &[(4, 50)],
        ]),
        (64, 4, &[
            &[(64, 1), (16, 4), (4, 16), (1, 64)],
            &[(22, 4), (5, 16), (1, 64)],
            &[(8, 16), (2, 64)],
            &[(4, 64)],
        ]),
        (81, 3, &[
            &[(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
            &[(34, 3), (11, 9), (3, 27), (1, 81)],
            &[(15, 9), (5, 27), (1, 81)],
            &[(8, 27), (2, 81)],
            &[(5, 81)],
        ]),
        (100, 10, &[
            &[(100, 1), (10, 10), (1, 100)],
            &[(15, 10), (1, 100)],
            &[(3, 100)],
        ]),
        (243, 3, &[
            &[(243, 1), (81, 3), (27, 9), (9, 27), (3, 81), (1, 243)],
            &[(98, 3), (32, 9), (10, 27), (3, 81), (1, 243)],
            &[(41, 9), (13, 27), (4, 81), (1, 243)],
            &[(18, 27), (6, 81), (2, 243)],
            &[(9, 81), (3, 243)],
            &[(6, 243)],
        ]),
        (256, 4, &[
            &[(256, 1), (64, 4), (16, 16), (4, 64), (1, 256)],
            &[(80, 4), (20, 16), (5, 64), (1, 256)],
            &[(27, 16), (6, 64), (1, 256)],
            &[(10, 64), (2, 256)],
            &[(5, 256)],
        ]),
        (300, 4, &[
            &[(256, 1), (64, 4), (16, 18), (4, 75), (1, 300)],
            &[(80, 4), (20, 18), (5, 75), (1, 300)],
            &[(27, 18), (6, 75), (1, 300)],
            &[(10, 75), (2, 300)],
            &[(5, 300)],
        ]),
        (625, 5, &[
            &[(625, 1), (125, 5), (25, 25), (5, 125), (1, 625)],
            &[(157, 5), (31, 25), (6, 125), (1, 625)],
            &[(42, 25), (8, 125), (1, 625)],
            &[(13, 125), (2, 625)],
            &[(5, 625)],
        ]),
        (729, 3, &[
            &[(729, 1), (243, 3), (81, 9), (27, 27), (9, 81), (3, 243), (1, 729)],
            &[(284, 3), (94, 9), (31, 27), (10, 81), (3, 243), (1, 729)],
            &[(114, 9), (38, 27), (12, 81), (4, 243), (1, 729)],
            &[(48, 27), (16, 81), (5, 243), (1, 729)],
            &[(21, 81), (7, 243), (2, 729)],
            &[(11, 243), (3, 729)],
            &[(7, 729)],
        ]),
        (1000, 10, &[
            &[(1000, 1), (100, 10), (10, 100), (1, 1000)],
            &[(134, 10), (13, 100), (1, 1000)],
            &[(20, 100), (2, 1000)],
            &[(4, 1000)],
        ]),
    ];

    #[test]
    fn hyperband_equals_the_paper() {
        for (most, eta, brackets) in TABLES {
            let ours: Vec<_> = hyperband(*most, 1, *eta).iter().map(|rungs| pairs(rungs)).collect();
            assert_eq!(
                ours,
                brackets.iter().map(|rows| rows.to_vec()).collect::<Vec<_>>(),
                "{most} {eta}"
            );
        }
    }

    #[test]
    fn hyperband_begins_no_lower_than_told() {
        let first: Vec<_> = hyperband(81, 3, 3).iter().map(|rungs| rungs[0].epochs).collect();
        assert_eq!(first, [3, 9, 27, 81]);
    }

    #[test]
    fn halving_equals_the_peer_where_the_peer_is_right() {
        let table = |configs, eta, most| pairs(&halving(configs, 1, eta, most));
        assert_eq!(table(20, 2.0, None), [(20, 1), (10, 2), (5, 4), (2, 8), (1, 16)]);
        assert_eq!(table(27, 3.0, None), [(27, 1), (9, 3), (3, 9), (1, 27)]);
        assert_eq!(table(1, 2.0, None), [(1, 1)]);
    }

    #[test]
    fn halving_ends_with_one_and_trains_nobody_beyond_the_most() {
        let table = |configs, eta, most| pairs(&halving(configs, 1, eta, most));
        // Once all have trained to the most there is nothing left to compare.
        assert_eq!(table(16, 2.0, Some(5)), [(16, 1), (8, 2), (4, 4), (2, 5)]);
        let powers: Vec<(u64, u64)> = (0..6).map(|i| (3u64.pow(5 - i), 3u64.pow(i))).collect();
        assert_eq!(table(243, 3.0, None), powers);
        assert_eq!(table(1000, 10.0, None), [(1000, 1), (100, 10), (10, 100), (1, 1000)]);
        assert_eq!(table(10, 1.5, None), [(10, 1), (6, 2), (4, 3), (2, 4), (1, 5)]);
        assert_eq!(table(3, 1.1, None), [(3, 1), (2, 2), (1, 3)]);
    }

    #[test]
    fn ladders_end_at_the_most() {
        assert_eq!(ladder(81, 1, 3.0), [1, 3, 9, 27, 81]);
        assert_eq!(ladder(50, 2, 3.0), [2, 6, 18, 50]);
        assert_eq!(ladder(1, 1, 3.0), [1]);
        assert_eq!(ladder(3, 5, 3.0), [3]);
        assert_eq!(ladder(5, 1, 1.5), [1, 2, 3, 5]);
    }
}
