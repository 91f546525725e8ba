//! What trials are worth apart from what their seeds do to all trials, and how much chance is in it.

use crate::search::history::{History, Past, PastState};

/// Rounds of taking the effects of trials and of seeds out of each other.
const ROUNDS: usize = 20;
/// Trials that say how much noise there is, at least: those in the better half.
const JUDGES_MIN: usize = 3;

/// A trial that has values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standing {
    pub number: u64,
    /// The seeds it was run with.
    pub seeds: u64,
    /// Its value as it would be with the first seed, were there no noise.
    pub value: f64,
    /// It runs with further seeds.
    pub at_work: bool,
}

/// The trials that have values, in order of their numbers.
#[derive(Clone, Debug)]
pub(super) struct Effects {
    pub standings: Vec<Standing>,
    /// The standard deviation of one run; 0 where nothing is known.
    pub noise: f64,
    /// How many differences say so.
    pub freedom: usize,
}

impl Effects {
    /// Splits the value of each run into what its trial, its seed and chance do: `y = trial + seed + noise`.
    ///
    /// The effects of seeds and the noise come from the better half of the trials with several runs: runs that diverged
    /// say nothing of what matters.
    pub(super) fn of(history: &History) -> Effects {
        let mut standings = Vec::new();
        let mut curves: Vec<&[f64]> = Vec::new();
        for past in history.iter() {
            if let Some((standing, curve)) = standing(past) {
                standings.push(standing);
                curves.push(curve);
            }
        }
        let several = |at: &usize| finite(curves[*at]).count() > 1;
        let mut judges: Vec<usize> = (0..curves.len()).filter(several).collect();
        judges.sort_by(|a, b| {
            let by_value = standings[*a].value.total_cmp(&standings[*b].value);
            by_value.then(a.cmp(b))
        });
        judges.truncate(judges.len().div_ceil(2).max(JUDGES_MIN));
        let judged: Vec<&[f64]> = judges.iter().map(|at| curves[*at]).collect();
        let seeds = seed_effects(&judged);
        for (standing, curve) in standings.iter_mut().zip(&curves) {
            if let Some(value) = mean(finite(curve).map(|(at, value)| value - effect(&seeds, at))) {
                standing.value = value;
            }
        }
        let (variance, freedom) = noise(&judged, &seeds);
        // Few differences may agree by chance.
        let noise = (variance * (1.0 + 2.0 / freedom.max(1) as f64)).sqrt();
        Effects { standings, noise: if noise.is_finite() { noise } else { f64::MAX }, freedom }
    }

    /// Returns what a trial is worth.
    pub(super) fn value(&self, number: u64) -> Option<f64> {
        let at = self.standings.binary_search_by_key(&number, |standing| standing.number).ok()?;
        Some(self.standings[at].value)
    }

    /// Returns the trial that looks the best.
    pub(super) fn best(&self) -> Option<&Standing> {
        let by_value = |a: &&Standing, b: &&Standing| {
            a.value.total_cmp(&b.value).then(a.number.cmp(&b.number))
        };
        self.standings.iter().min_by(by_value)
    }

    /// Says whether seeds make no difference, as far as `enough` differences tell.
    pub(super) fn is_quiet(&self, enough: usize) -> bool {
        let largest =
            self.standings.iter().map(|standing| standing.value.abs()).fold(0.0, f64::max);
        self.freedom >= enough && self.noise <= 1e-12 * largest
    }
}

/// Returns a trial with values, and these by seed: those of its curve, or without one its value.
fn standing(past: &Past) -> Option<(Standing, &[f64])> {
    let over = matches!(past.state, PastState::Failed | PastState::Pruned);
    let value = match mean(finite(&past.curve).map(|(_, value)| value)) {
        Some(value) => value,
        None if past.curve.is_empty() => past.value()?,
        None => return None,
    };
    let seeds = match past.curve.len() {
        0 => past.epochs.unwrap_or(1),
        many => (many as u64).max(if past.ended() { past.epochs.unwrap_or(1) } else { 1 }),
    };
    let standing =
        Standing { number: past.number, seeds, value, at_work: past.state == PastState::Pending };
    (!over).then_some((standing, past.curve.as_slice()))
}

fn finite(curve: &[f64]) -> impl Iterator<Item = (usize, f64)> {
    curve.iter().copied().enumerate().filter(|(_, value)| value.is_finite())
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn effect(seeds: &[f64], at: usize) -> f64 {
    seeds.get(at).copied().unwrap_or(0.0)
}

/// Returns what each seed adds to the first one's values: the likeliest effects, drawn to zero by as much as chance alone
/// would make them.
///
/// # Source
/// James and Stein 1961, the positive part.
fn seed_effects(curves: &[&[f64]]) -> Vec<f64> {
    let most = curves.iter().map(|curve| curve.len()).max().unwrap_or(0);
    let mut seeds = vec![0.0; most];
    let mut counts = vec![0.0; most];
    for _ in 0..ROUNDS {
        let trials: Vec<f64> = curves.iter().map(|curve| level(curve, &seeds)).collect();
        for at in 1..most {
            let rest = curves.iter().zip(&trials).filter_map(|(curve, trial)| {
                curve.get(at).filter(|value| value.is_finite()).map(|value| value - trial)
            });
            let (sum, count) =
                rest.fold((0.0, 0.0), |(sum, count), rest| (sum + rest, count + 1.0));
            (seeds[at], counts[at]) = (sum / f64::max(count, 1.0), count);
        }
        // All are effects beside the first one.
        let first = curves.iter().zip(&trials).map(|(curve, trial)| curve[0] - trial);
        let first = mean(first.filter(|rest| rest.is_finite())).unwrap_or(0.0);
        seeds.iter_mut().skip(1).for_each(|seed| *seed -= first);
    }
    let (variance, freedom) = noise(curves, &seeds);
    for (seed, count) in seeds.iter_mut().zip(counts).skip(1) {
        let chance = 2.0 * variance / f64::max(count, 1.0);
        let share = 1.0 - chance / (*seed * *seed);
        *seed *= if freedom > 0 && share.is_finite() { share.max(0.0) } else { 0.0 };
    }
    seeds
}

/// Returns the value of a trial without the effects of its seeds.
fn level(curve: &[f64], seeds: &[f64]) -> f64 {
    mean(finite(curve).map(|(at, value)| value - effect(seeds, at))).unwrap_or(0.0)
}

/// Returns the variance of what trials and seeds leave over, and how many differences say so.
fn noise(curves: &[&[f64]], seeds: &[f64]) -> (f64, usize) {
    let (mut squares, mut freedom) = (0.0, 0);
    for curve in curves {
        let own = level(curve, seeds);
        let rest = finite(curve).map(|(at, value)| value - effect(seeds, at) - own);
        squares += rest.map(|rest| rest * rest).sum::<f64>();
        freedom += finite(curve).count() - 1;
    }
    let freedom = freedom.saturating_sub(seeds.iter().filter(|seed| **seed != 0.0).count());
    (if freedom > 0 { squares / freedom as f64 } else { 0.0 }, freedom)
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn history(curves: &[&[f64]]) -> History {
        let past = |(number, curve): (usize, &&[f64])| Past {
            curve: curve.to_vec(),
            epochs: Some(curve.len() as u64),
            ..Past::new(number as u64, Map::new(), PastState::Complete { values: vec![curve[0]] })
        };
        curves.iter().enumerate().map(past).collect()
    }

    #[test]
    fn what_a_seed_does_to_all_is_taken_out() {
        // The second seed is harder by 10: whoever was run with it is not worse for that.
        let curves: Vec<Vec<f64>> =
            (0..12).map(|t| vec![f64::from(t), f64::from(t) + 10.0]).collect();
        let mut curves: Vec<&[f64]> = curves.iter().map(Vec::as_slice).collect();
        curves.push(&[2.5]);
        let effects = Effects::of(&history(&curves));
        let order = |a: u64, b: u64| effects.value(a).unwrap() < effects.value(b).unwrap();
        assert!(order(2, 12) && order(12, 4), "{effects:?}");
        assert_eq!(effects.best().unwrap().number, 0);
    }

    #[test]
    fn noise_is_that_of_the_better_half() {
        let curves: [&[f64]; 7] = [
            &[1.0, 1.2],
            &[1.1, 0.9],
            &[1.3, 1.5],
            &[2.0, 2.2],
            &[1e9, 0.0],
            &[5e8, 9e8],
            &[7e7, 0.0],
        ];
        let effects = Effects::of(&history(&curves));
        assert!((0.05..0.4).contains(&effects.noise), "{effects:?}");
        assert!(!effects.is_quiet(3));
        let same: [&[f64]; 3] = [&[1.0, 1.0], &[0.3, 0.3], &[7.0, 7.0]];
        assert!(Effects::of(&history(&same)).is_quiet(3));
        assert!(!Effects::of(&history(&same[..2])).is_quiet(3), "two may agree by chance");
    }
}
