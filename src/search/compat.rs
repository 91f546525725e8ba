//! Draws as mle-hyperopt makes them, bit for bit: the setting `compat: mle_hyperopt` of `random` and `smbo`.
//!
//! The peer draws all trials from one generator in a row, so a proposal depends on how many draws those before it took.
//! Lists come first, then reals, then whole numbers. What the peer has no word for (steps, other priors, conditions) is
//! drawn through its place in the unit interval.
//!
//! # Source
//! Matsumoto and Nishimura, ACM TOMACS 8 (1998), for the generator; NumPy's legacy distributions and scikit-optimize's
//! initial points, as mle-hyperopt 0.0.10 calls them. Checked against vectors drawn with those.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::domain::{Domain, Numeric, Prior};
use super::history::History;
use super::space::Space;
use crate::{Error, Result};

const SIZE: usize = 624;
/// Draws for one trial before all points count as tried.
const DRAWS_MAX: usize = 10_000;

/// Says whether draws are to be the peer's.
///
/// # Errors
/// [`Error::Invalid`] for any other peer.
pub(crate) fn wanted(strategy: &str, settings: &Map<String, Value>) -> Result<bool> {
    match settings.get("compat") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::String(peer)) if peer == "mle_hyperopt" => Ok(true),
        Some(other) => {
            let why = format!("compat {other} is not known, \"mle_hyperopt\" is");
            Err(Error::invalid(format!("strategy {strategy}"), why))
        }
    }
}

/// MT19937.
#[derive(Clone)]
struct Twister {
    state: [u32; SIZE],
    at: usize,
}

impl Twister {
    fn new(seed: u32) -> Twister {
        let mut state = [seed; SIZE];
        for i in 1..SIZE {
            let before = state[i - 1];
            state[i] =
                1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Twister { state, at: SIZE }
    }

    fn next(&mut self) -> u32 {
        if self.at == SIZE {
            for i in 0..SIZE {
                let (next, far) = (self.state[(i + 1) % SIZE], self.state[(i + 397) % SIZE]);
                let mixed = (self.state[i] & 0x8000_0000) | (next & 0x7fff_ffff);
                let odd = if next & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = far ^ (mixed >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut word = self.state[self.at];
        self.at += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// Returns a uniform number in [0, 1).
    fn unit(&mut self) -> f64 {
        let (high, low) = (self.next() >> 5, self.next() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// Returns a uniform whole number below `bound`: bits under a mask, until they fit.
    fn below(&mut self, bound: u64) -> u64 {
        let last = bound.saturating_sub(1);
        if last == 0 {
            return 0;
        }
        let mask = u64::MAX >> last.leading_zeros();
        loop {
            let drawn = match last > u64::from(u32::MAX) {
                true => (u64::from(self.next()) << 32) | u64::from(self.next()),
                false => u64::from(self.next()),
            };
            if drawn & mask <= last {
                return drawn & mask;
            }
        }
    }
}

/// Returns the places of the parameters in the order in which the peer draws them.
fn order(space: &Space) -> Vec<usize> {
    let rank = |at: &usize| match &space.params()[*at].domain {
        Domain::Numeric(Numeric { integer: true, .. }) => 2,
        Domain::Numeric(_) => 1,
        _ => 0,
    };
    let mut order: Vec<usize> = (0..space.params().len()).collect();
    order.sort_by_key(rank);
    order
}

/// Draws a point, each value by `value`.
fn draw(space: &Space, mut value: impl FnMut(&Domain) -> Value) -> Map<String, Value> {
    let mut values: Vec<Option<Value>> = vec![None; space.params().len()];
    for at in order(space) {
        values[at] = Some(match &space.params()[at].domain {
            Domain::Fixed(fixed) => fixed.clone(),
            domain => value(domain),
        });
    }
    space.only_active(&space.assemble(values))
}

/// The peer's random search.
pub(crate) struct PeerRandom {
    seed: u32,
    /// The history that the rest is about, and the number that is drawn next.
    of: u64,
    next: u64,
    generator: Twister,
    keys: HashSet<String>,
}

impl PeerRandom {
    pub(crate) fn new(seed: u64) -> PeerRandom {
        let seed = seed as u32;
        let (generator, keys) = (Twister::new(seed), HashSet::new());
        PeerRandom { seed, of: 0, next: 0, generator, keys }
    }

    /// Returns the proposal for the next trial: the first drawn that was not tried, drawn from `narrow` where that is a
    /// space; none when all that is drawn was tried.
    pub(crate) fn propose(
        &mut self,
        space: &Space,
        history: &History,
        narrow: impl Fn(u64) -> Option<Space>,
    ) -> Result<Option<Map<String, Value>>> {
        let number = history.next_number();
        if self.of != history.id() || number < self.next {
            *self = PeerRandom { of: history.id(), ..PeerRandom::new(self.seed.into()) };
        }
        while self.next < number {
            let drawn = self.sample(space, narrow(self.next))?;
            let had = history.get(self.next).map(|past| past.params.clone()).or(drawn);
            self.keys.extend(had.map(|point| space.key(&point)));
            self.next += 1;
        }
        // The draws belong to the next call as well, which may come before there is a trial.
        let before = self.generator.clone();
        let point = self.sample(space, narrow(number));
        self.generator = before;
        point
    }

    fn sample(
        &mut self,
        space: &Space,
        narrow: Option<Space>,
    ) -> Result<Option<Map<String, Value>>> {
        for from in narrow.iter().chain([space]) {
            for _ in 0..DRAWS_MAX {
                let point = draw(from, |domain| random_value(domain, &mut self.generator));
                if space.allows(&point)? && !self.keys.contains(&space.key(&point)) {
                    return Ok(Some(point));
                }
            }
        }
        Ok(None)
    }
}

fn random_value(domain: &Domain, generator: &mut Twister) -> Value {
    match domain {
        Domain::List { choices, .. } => {
            choices[generator.below(choices.len() as u64) as usize].clone()
        }
        Domain::Numeric(Numeric { integer, low, high, prior, step: None, .. }) => {
            match (integer, prior) {
                (true, Prior::Uniform) => {
                    json!(*low as i64 + generator.below((high - low) as u64 + 1) as i64)
                }
                (false, Prior::Uniform) => json!(low + (high - low) * generator.unit()),
                (true, Prior::Log) => {
                    // The peer never draws the upper end; one more in the logarithm repairs that.
                    let u = generator.unit();
                    let drawn = (low.ln() + ((high + 1.0).ln() - low.ln()) * u).exp().floor();
                    json!(drawn.min(*high) as i64)
                }
                (false, Prior::Log) => {
                    json!((low.ln() + (high.ln() - low.ln()) * generator.unit()).exp())
                }
                _ => domain.at_unit(generator.unit()),
            }
        }
        _ => domain.at_unit(generator.unit()),
    }
}

/// Returns the initial points of the peer's SMBO, so many of them.
///
/// Whole numbers reach one above their upper end, as the peer's do.
pub(crate) fn initial_points(space: &Space, seed: u64, count: u64) -> Vec<Map<String, Value>> {
    const SEEDS: u64 = (1 << 31) - 1;
    let mut outer = Twister::new(seed as u32);
    outer.below(SEEDS);
    let mut generator = Twister::new(outer.below(SEEDS) as u32);
    (0..count).map(|_| draw(space, |domain| initial_value(domain, &mut generator))).collect()
}

fn initial_value(domain: &Domain, generator: &mut Twister) -> Value {
    let u = generator.unit() * 1.0f64.next_up();
    match domain {
        Domain::List { choices, .. } => {
            let last = choices.len() - 1;
            choices[((u * last as f64).round_ties_even() as usize).min(last)].clone()
        }
        Domain::Numeric(Numeric { integer, low, high, prior, step: None, .. }) => {
            let high = if *integer { high + 1.0 } else { *high };
            let drawn = match prior {
                Prior::Uniform => u * (high - low) + low,
                Prior::Log => 10f64.powf(u * (high.log10() - low.log10()) + low.log10()),
                _ => return domain.at_unit(u),
            };
            if *integer { json!(drawn.round_ties_even() as i64) } else { json!(drawn) }
        }
        _ => domain.at_unit(u),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::history::{Past, PastState};
    use crate::search::strategy::{Proposal, Setup, strategy};

    fn space(prior: &str) -> Space {
        Space::parse(&json!({
            "real": {"lrate": {"begin": 0.1, "end": 0.5, "prior": "uniform"}},
            "integer": {"batch_size": {"begin": 1, "end": 5, "prior": prior}},
            "categorical": {"arch": ["mlp", "cnn"]}
        }))
        .unwrap()
    }

    fn run(name: &str, space: &Space, settings: Value, trials: u64) -> History {
        let settings = settings.as_object().cloned().unwrap();
        let setup = Setup { settings, ..Setup::new(space.clone(), 42) };
        let mut strategy = strategy(name, &setup).unwrap();
        let mut history = History::new();
        for number in 0..trials {
            let asked = strategy.ask(&history).unwrap();
            assert_eq!(strategy.ask(&history).unwrap(), asked, "asking twice changes nothing");
            let Proposal::New { params, .. } = asked else { panic!("{asked:?}") };
            let value = params["batch_size"].as_f64().unwrap() + params["lrate"].as_f64().unwrap();
            history.put(Past::new(number, params, PastState::Complete { values: vec![value] }));
        }
        history
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut generator = Twister::new(5489);
        let drawn: Vec<u32> = (0..10_000).map(|_| generator.next()).collect();
        assert_eq!((drawn[0], drawn[9_999]), (3_499_211_612, 4_123_659_995));
    }

    #[test]
    fn random_draws_are_the_peers() {
        let history = run("random", &space("uniform"), json!({"compat": "mle_hyperopt"}), 5);
        let want = [
            ("mlp", 0.418_617_194_744_093_2, 3),
            ("cnn", 0.339_463_393_678_814_6, 2),
            ("mlp", 0.139_989_966_327_201_18, 3),
            ("cnn", 0.233_483_444_455_608_76, 3),
            ("cnn", 0.122_564_631_610_840_11, 4),
        ];
        for (past, (arch, lrate, batch)) in history.iter().zip(want) {
            assert_eq!(past.params["arch"], arch);
            assert_eq!(past.params["lrate"], lrate);
            assert_eq!(past.params["batch_size"], batch);
        }
    }

    #[test]
    fn a_space_used_up_is_an_end() {
        let space = Space::parse(&json!({"a": ["x", "y"], "b": [1, 2]})).unwrap();
        let mut peer = PeerRandom::new(1);
        let mut history = History::new();
        while let Some(params) = peer.propose(&space, &history, |_| None).unwrap() {
            history.put(Past::new(history.next_number(), params, PastState::Failed));
        }
        assert_eq!(history.len(), 4);
    }

    #[test]
    fn initial_points_are_the_peers() {
        for surrogate in ["ET", "GP"] {
            initial_points_with(surrogate);
        }
    }

    fn initial_points_with(surrogate: &str) {
        let settings =
            json!({"compat": "mle_hyperopt", "n_initial_points": 5, "base_estimator": surrogate});
        let history = run("smbo", &space("uniform"), settings, 5);
        let want = [
            (0.391_090_297_270_930_03, 6),
            (0.368_059_179_307_573_9, 3),
            (0.395_801_693_676_168_24, 3),
            (0.319_985_576_723_913_7, 2),
            (0.352_838_251_260_154_2, 1),
        ];
        for (past, (lrate, batch)) in history.iter().zip(want) {
            assert_eq!(past.params["lrate"], lrate);
            assert_eq!(past.params["batch_size"], batch);
        }
    }

    #[test]
    fn draws_follow_the_box_around_the_best_and_other_peers_are_refused() {
        let settings = json!({"compat": "mle_hyperopt", "refine_after": 5, "refine_top_k": 2});
        let history = run("random", &space("uniform"), settings, 20);
        let mut best: Vec<&Past> = history[..5].iter().collect();
        best.sort_by(|a, b| a.value().unwrap().total_cmp(&b.value().unwrap()));
        let lrate = |past: &Past| past.params["lrate"].as_f64().unwrap();
        let (low, high) = (lrate(best[0]).min(lrate(best[1])), lrate(best[0]).max(lrate(best[1])));
        assert!(history[5..].iter().all(|past| (low..=high).contains(&lrate(past))));
        let settings = json!({"compat": "optuna"}).as_object().cloned().unwrap();
        let setup = Setup { settings, ..Setup::new(space("uniform"), 42) };
        assert!(strategy("random", &setup).is_err());
        assert!(strategy("smbo", &setup).is_err());
    }
}
