//! ASHA: trials are compared at growing numbers of epochs and promoted as soon as they are among the best there.
//!
//! Whoever asks gets a promotion if one is due, from the highest rung down, and else a new trial. A trial is promoted when
//! it is among the best 1/`eta` of those that got to its rung; it is resumed, not begun again. Diverged trials rank last.
//!
//! Settings: `eta` (default 3), `min_epochs` (default 1: the grace before a trial is compared), `model` (default `random`,
//! for `bohb` `tpe`: the strategy that new trials come from), `brackets` (default 1: new trials begin at one of so many
//! lowest rungs), `choice` of the bracket (`fixed`: by the rungs' share in Hyperband; `online`, the default of `bohb`: also
//! by how well a rung foretells the highest one), `progressive` (default false: the highest rung rises only while the order
//! of the best trials still changes from rung to rung), `style` (`promote`, the default, or `stop`: all trials are to train
//! in full, and the stopper `asha` ends those that are not among the best at a rung), `max_epoch`. `bohb` has 3 `brackets`.
//!
//! # Source
//! Li et al., MLSys 2020 (ASHA); Falkner et al., ICML 2018 (the model); Li et al., VLDB 2022 (Hyper-Tune: choice of the
//! bracket); Bohdal et al., ICLR 2023 (PASHA).

use super::super::history::{History, Past, PastState};
use super::super::strategy::{Proposal, Setup, Strategy, allow_settings, whole_setting};
use super::super::stream::{Purpose, below, stream, unit};
use super::proposer::Proposer;
use super::rungs;
use super::standing::{can_go_on, standing};
use super::{epochs_of, flag_setting, least_setting, model_setting, number_setting, text_setting};
use crate::{Error, Result};

/// Draws of trials that measure how well a rung foretells the highest one.
const DRAWS: u64 = 32;
/// Trials two rungs need in common before one is said to foretell the other.
const COMMON_MIN: usize = 5;

/// The settings of `asha` and `bohb`.
pub(crate) const SETTINGS: &[&str] =
    &["eta", "min_epochs", "model", "brackets", "choice", "progressive", "style"];

/// Asynchronous successive halving.
pub struct Asha {
    ladder: Vec<u64>,
    eta: f64,
    brackets: usize,
    online: bool,
    progressive: bool,
    /// Trials train on until a stopper ends them, instead of being promoted.
    stops: bool,
    seed: u64,
    proposer: Proposer,
}

impl Asha {
    /// Returns an ASHA search; `name` is `asha` or `bohb`, which differ in what they do unless told.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have, and without the epochs of a full training.
    pub fn new(name: &str, setup: &Setup) -> Result<Asha> {
        let settings = &setup.settings;
        allow_settings(name, settings, &[SETTINGS, &["max_epoch"]].concat())?;
        let (model, brackets, choice) = match name {
            "bohb" => ("tpe", 3, "online"),
            _ => ("random", 1, "fixed"),
        };
        let max_epochs = epochs_of(name, setup)?;
        let eta = number_setting(name, settings, "eta", 1.0)?.unwrap_or(3.0);
        let min_epochs = least_setting(name, settings, "min_epochs", max_epochs)?;
        let ladder = rungs::ladder(max_epochs, min_epochs, eta);
        let brackets = whole_setting(name, settings, "brackets", 1)?.unwrap_or(brackets) as usize;
        let online = match text_setting(name, settings, "choice")?.unwrap_or(choice) {
            "online" => true,
            "fixed" => false,
            other => {
                let why = format!("choice \"{other}\" is not known");
                return Err(Error::invalid(format!("strategy {name}"), why)
                    .with_hint("a choice is fixed or online"));
            }
        };
        let model = model_setting(name, settings, model)?;
        let stops = match text_setting(name, settings, "style")?.unwrap_or("promote") {
            "promote" => false,
            "stop" => true,
            other => {
                let why = format!("style \"{other}\" is not known");
                return Err(Error::invalid(format!("strategy {name}"), why)
                    .with_hint("a style is promote or stop"));
            }
        };
        Ok(Asha {
            stops,
            proposer: Proposer::new(model, setup, &ladder)?,
            brackets: brackets.min(ladder.len()),
            ladder,
            eta,
            online,
            progressive: flag_setting(name, settings, "progressive")?.unwrap_or(false),
            seed: setup.seed,
        })
    }

    /// Returns the trials that got to a rung, the best first.
    fn ranked<'a>(&self, history: &'a History, rung: usize) -> Vec<(f64, &'a Past)> {
        let epochs = self.ladder[rung];
        let mut ranked: Vec<(f64, &Past)> = history
            .iter()
            .filter_map(|past| Some((standing(past, epochs).value()?, past)))
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.number.cmp(&b.1.number)));
        ranked
    }

    /// Returns the trial to promote and the epochs it is to reach.
    fn promotion(&self, history: &History) -> Option<(u64, u64)> {
        (0..self.top(history)).rev().find_map(|rung| {
            let ranked = self.ranked(history, rung);
            let count = (ranked.len() as f64 / self.eta + 1e-9).floor() as usize;
            let next = self.ladder[rung + 1];
            let due = ranked[..count].iter().find(|(_, past)| can_go_on(past, next));
            due.map(|(_, past)| (past.number, next))
        })
    }

    /// Returns the place of the highest rung that trials may be promoted to.
    fn top(&self, history: &History) -> usize {
        let last = self.ladder.len() - 1;
        if !self.progressive {
            return last;
        }
        let asked = history.iter().filter_map(|past| past.epochs).max().unwrap_or(0);
        let reached = self.ladder.iter().rposition(|epochs| *epochs <= asked).unwrap_or(0);
        let mut top = reached.max(1).min(last);
        while top < last && !self.settled(history, top) {
            top += 1;
        }
        top
    }

    /// Says whether the trials of a rung are in the same order there as one rung below, as far as noise lets one tell.
    fn settled(&self, history: &History, rung: usize) -> bool {
        let above = self.ranked(history, rung);
        let below: Vec<f64> = above
            .iter()
            .map(|(value, past)| standing(past, self.ladder[rung - 1]).value().unwrap_or(*value))
            .collect();
        let noise = noise(&above.iter().map(|(_, past)| *past).collect::<Vec<_>>());
        let mut order: Vec<usize> = (0..above.len()).collect();
        order.sort_by(|a, b| below[*a].total_cmp(&below[*b]).then(a.cmp(b)));
        order.iter().enumerate().all(|(place, at)| (above[place].0 - above[*at].0).abs() <= noise)
    }

    /// Returns the rung that a new trial begins with.
    fn first_rung(&self, history: &History) -> usize {
        if self.brackets == 1 {
            return 0;
        }
        let number = history.next_number();
        let trust = if self.online { self.trust(history) } else { vec![1.0; self.brackets] };
        let least = self.ladder[0] as f64;
        let weight = |rung: usize| trust[rung] * least / self.ladder[rung] as f64;
        let sum: f64 = (0..self.brackets).map(weight).sum();
        let mut left = unit(&mut stream(self.seed, number, Purpose::Fidelity, 0)) * sum;
        (0..self.brackets)
            .find(|rung| {
                left -= weight(*rung);
                left < 0.0
            })
            .unwrap_or(0)
    }

    /// Returns for each bracket how often its first rung orders draws of trials like the highest rung best.
    ///
    /// The draws make a rung that few trials tell about uncertain rather than right.
    fn trust(&self, history: &History) -> Vec<f64> {
        let even = vec![1.0; self.brackets];
        let high = (self.brackets..self.ladder.len())
            .rev()
            .map(|rung| self.ranked(history, rung))
            .find(|ranked| ranked.len() >= COMMON_MIN);
        let Some(high) = high else { return even };
        let lower = |rung: usize| -> Vec<f64> {
            let at = |(value, past): &(f64, &Past)| {
                standing(past, self.ladder[rung]).value().unwrap_or(*value)
            };
            high.iter().map(at).collect()
        };
        let lower: Vec<Vec<f64>> = (0..self.brackets).map(lower).collect();
        let mut trust = vec![1.0 / DRAWS as f64; self.brackets];
        for draw in 0..DRAWS {
            let mut generator =
                stream(self.seed, history.next_number(), Purpose::Fidelity, 1 + draw);
            let drawn: Vec<usize> =
                high.iter().map(|_| below(&mut generator, high.len() as u64) as usize).collect();
            let wrong = |values: &Vec<f64>| {
                let pair = |a: usize, b: usize| {
                    (values[a] < values[b]) != (high[a].0 < high[b].0) && high[a].0 != high[b].0
                };
                drawn.iter().map(|a| drawn.iter().filter(|b| pair(*a, **b)).count()).sum::<usize>()
            };
            let losses: Vec<usize> = lower.iter().map(wrong).collect();
            let least = losses.iter().min().copied().unwrap_or(0);
            let ties = losses.iter().filter(|loss| **loss == least).count() as f64;
            for (trust, loss) in trust.iter_mut().zip(&losses) {
                *trust += if *loss == least { 1.0 / ties } else { 0.0 };
            }
        }
        trust
    }
}

impl Strategy for Asha {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        if !self.stops
            && let Some((number, epochs)) = self.promotion(history)
        {
            return Ok(Proposal::Resume { number, epochs });
        }
        let rung = if self.stops { self.ladder.len() - 1 } else { self.first_rung(history) };
        let epochs = Some(self.ladder[rung]);
        if let Some(params) = self.proposer.propose(history)? {
            return Ok(Proposal::New { params, epochs, from: None });
        }
        let at_work = history.iter().any(|past| past.state == PastState::Pending);
        Ok(if at_work { Proposal::Wait } else { Proposal::Exhausted })
    }
}

/// Returns how far apart two trials can be at one epoch although the other is ahead at another: the 0.9 quantile over
/// the pairs whose curves cross twice, as noise makes them do.
fn noise(trials: &[&Past]) -> f64 {
    let mut gaps = Vec::new();
    for (at, one) in trials.iter().enumerate() {
        for two in &trials[at + 1..] {
            let gap: Vec<f64> = one
                .curve
                .iter()
                .zip(&two.curve)
                .map(|(a, b)| a - b)
                .filter(|gap| gap.is_finite() && *gap != 0.0)
                .collect();
            let crossings = gap.windows(2).filter(|pair| pair[0] * pair[1] < 0.0).count();
            if crossings >= 2 {
                gaps.push(gap.last().map_or(0.0, |gap| gap.abs()));
            }
        }
    }
    gaps.sort_by(f64::total_cmp);
    let at = (gaps.len() as f64 * 0.9) as usize;
    gaps.get(at.min(gaps.len().saturating_sub(1))).copied().unwrap_or(0.0)
}
