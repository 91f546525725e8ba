//! Population-based training: members train in turns, and after each turn the worst go on from copies of the best.
//!
//! All members train `interval` epochs. A member that did badly then ends, and a new trial takes its place: it starts from
//! the checkpoint of a good member, with that one's parameters after a small change. So parameters become schedules. What
//! is decided after a turn depends on what all had reached at its end, and on nothing that happened later; it follows from
//! the curves, and needs no notes. A member that is good whatever the others do goes on at once, so few workers wait for
//! the slowest.
//!
//! The loss after the last epoch of a turn counts, not the best before: a member is worth what its checkpoint is. The curve
//! of a trial that starts from another begins with that one's.
//!
//! Settings: `population` (default 10, at least the workers), `interval` (default a tenth of all epochs), `exploit`
//! (`truncation`, the default: one of the worst `selection`, default 0.2, copies one of the best; `tournament`: whoever is
//! worse than another, drawn member copies that one), `explore` (`perturb`, the default: numbers are multiplied by one of
//! `factors`, default 0.8 and 1.2; `noise`: to each number is added a normal one with `scale`, default 0.1, of its line;
//! `resample`: all anew; `model`, the default of `pb2`: see there), `resample` (default 0.25: the chance of each parameter to
//! be drawn anew, for `perturb` and `noise`), `max_epoch`. mle-hyperopt's settings are understood: `num_workers`,
//! `steps_until_ready`, and objects with a `strategy` for `exploit` and `explore`.
//!
//! # Source
//! Jaderberg et al., arXiv 1711.09846; Parker-Holder et al., NeurIPS 2020 (`pb2`).

mod explore;
mod model;
mod settings;

use serde_json::{Map, Value, json};

use self::explore::Explorer;
pub(crate) use self::settings::SETTINGS;
use self::settings::{Exploit, Settings};
use super::fidelity::epochs_of;
use super::history::{Cursor, History, Past, PastState};
use super::sampler::Sampler;
use super::space::Space;
use super::start::Start;
use super::strategy::{Origin, Proposal, Setup, Strategy};
use super::stream::{Purpose, below, stream};
use crate::Result;

/// Points up to which a space may have fewer than a population has members.
const SMALL: u128 = 4096;

/// Population-based training.
pub struct Pbt {
    settings: Settings,
    epochs: u64,
    seed: u64,
    start: Sampler<Start>,
    explorer: Explorer,
    /// What was decided after each turn, and on what.
    decided: Vec<Decision>,
    cursor: Cursor,
    notes: Map<String, Value>,
}

/// What was decided after a turn: a cache.
struct Decision {
    members: Vec<Member>,
    stands: Vec<Stand>,
    next: Vec<Member>,
}

/// How a member stands at the end of a turn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stand {
    /// It got there, with this loss.
    Value(f64),
    /// It is on its way.
    AtWork,
    /// It stopped before, and can go on.
    Short,
    /// It is lost.
    Out,
    /// It has not begun.
    Missing,
}

/// The trials that were proposed here, numbered from 0: no others are members of the population, whose checkpoints can be
/// copied.
struct Own<'a>(Vec<&'a Past>);

impl<'a> Own<'a> {
    fn of(history: &'a History) -> Own<'a> {
        Own(history.trials().iter().filter(|past| !past.added).collect())
    }

    fn get(&self, own: u64) -> Option<&'a Past> {
        self.0.get(usize::try_from(own).ok()?).copied()
    }

    /// Returns the number in the study of one that has begun.
    fn number(&self, own: u64) -> u64 {
        self.get(own).map_or(own, |past| past.number)
    }
}

/// A member of the population during one turn.
#[derive(Clone, Debug, PartialEq)]
struct Member {
    /// Its trial, among the own ones.
    number: u64,
    /// How the trial begins, if it begins with this turn as a copy: from which own trial, of which parameters.
    copy: Option<(u64, Map<String, Value>)>,
}

/// What a member had before a turn and after it, for the model.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// The turn, from 0.
    pub turn: u64,
    /// The parameters during the turn.
    pub params: Map<String, Value>,
    /// By how much the loss fell.
    pub gain: f64,
}

impl Pbt {
    /// Returns a population-based training; `name` is `pbt` or `pb2`.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have, and without the epochs of a full training.
    pub fn new(name: &str, setup: &Setup) -> Result<Pbt> {
        let epochs = epochs_of(name, setup)?;
        let mut settings = Settings::read(name, setup, epochs)?;
        settings.population = settings.population.min(points(&setup.space)?);
        let (space, seed) = (setup.space.clone(), setup.seed);
        let start = Start::new(space.dimensions(), seed);
        Ok(Pbt {
            explorer: Explorer::new(
                space.clone(),
                seed,
                settings.explore.clone(),
                settings.resample,
            ),
            start: Sampler::new(space, start, seed),
            settings,
            epochs,
            seed,
            decided: Vec::new(),
            cursor: Cursor::default(),
            notes: Map::new(),
        })
    }

    fn end(&self, turn: u64) -> u64 {
        ((turn + 1) * self.settings.interval).min(self.epochs)
    }

    /// Returns the members of the next turn, when all of this one have ended.
    fn succeed(
        &self,
        turn: u64,
        members: &[Member],
        stands: &[Stand],
        turns: &[Turn],
        trials: &Own<'_>,
    ) -> Result<Vec<Member>> {
        let ranking = ranking(stands);
        let mut next_number = members.iter().map(|member| member.number).max().unwrap_or(0) + 1;
        next_number = next_number.max(self.settings.population);
        let mut beside: Vec<Map<String, Value>> = Vec::new();
        let mut next = Vec::with_capacity(members.len());
        for (at, member) in members.iter().enumerate() {
            let Some(model) = self.model_of(turn, at, member.number, stands, &ranking) else {
                // Where nobody is left to copy, the lost are followed by new members.
                let lost = stands[at] == Stand::Out;
                let number = if lost { next_number } else { member.number };
                next_number += u64::from(lost);
                next.push(Member { number, copy: None });
                continue;
            };
            let parent = members[model].number;
            let Some(past) = trials.get(parent) else { continue };
            let params =
                self.explorer.explore(&past.params, next_number, turn + 1, turns, &beside)?;
            beside.push(params.clone());
            next.push(Member { number: next_number, copy: Some((parent, params)) });
            next_number += 1;
        }
        Ok(next)
    }

    /// Returns the place of the member that the one at `at` copies; `None` lets it go on.
    fn model_of(
        &self,
        turn: u64,
        at: usize,
        number: u64,
        stands: &[Stand],
        ranking: &[usize],
    ) -> Option<usize> {
        if ranking.is_empty() {
            return None;
        }
        let mut generator = stream(self.seed, number, Purpose::Fidelity, turn);
        let bucket = self.bucket(stands.len());
        let best = &ranking[..bucket.min(ranking.len())];
        if stands[at] == Stand::Out {
            return Some(best[below(&mut generator, best.len() as u64) as usize]);
        }
        match self.settings.exploit {
            Exploit::Truncation { .. } => {
                let place = ranking.iter().position(|other| *other == at)?;
                // Members that are lost fill the worst places.
                let worst = place + bucket >= stands.len();
                (worst && place >= best.len())
                    .then(|| best[below(&mut generator, best.len() as u64) as usize])
            }
            Exploit::Tournament => {
                let rival = self.rival(at, number, turn, stands.len())?;
                let better = match (stands[rival], stands[at]) {
                    (Stand::Value(theirs), Stand::Value(own)) => theirs < own,
                    _ => false,
                };
                better.then_some(rival)
            }
        }
    }

    fn bucket(&self, count: usize) -> usize {
        match self.settings.exploit {
            Exploit::Truncation { selection } => {
                ((count as f64 * selection).round_ties_even() as usize).max(1)
            }
            Exploit::Tournament => 1,
        }
    }

    fn rival(&self, at: usize, number: u64, turn: u64, count: usize) -> Option<usize> {
        let mut generator = stream(self.seed, number, Purpose::Fidelity, turn);
        let other = below(&mut generator, (count as u64).checked_sub(1)?.max(1)) as usize;
        let other = other + usize::from(other >= at);
        (other < count).then_some(other)
    }

    /// Says whether a member goes on however the others turn out.
    fn goes_on(&self, turn: u64, at: usize, number: u64, stands: &[Stand]) -> bool {
        let Stand::Value(own) = stands[at] else { return false };
        match self.settings.exploit {
            Exploit::Truncation { .. } => {
                let worse = |(other, stand): &(usize, &Stand)| match stand {
                    Stand::Value(value) => (*value, *other) > (own, at),
                    Stand::Out => true,
                    _ => false,
                };
                stands.iter().enumerate().filter(worse).count() >= self.bucket(stands.len())
            }
            Exploit::Tournament => {
                match self.rival(at, number, turn, stands.len()).map(|r| stands[r]) {
                    None | Some(Stand::Out) => true,
                    Some(Stand::Value(theirs)) => theirs >= own,
                    Some(_) => false,
                }
            }
        }
    }

    fn begin(&mut self, history: &History) -> Result<Option<Map<String, Value>>> {
        self.start.propose(history, |_| None)
    }
}

impl Strategy for Pbt {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        if self.cursor.follow(history).0 {
            self.decided.clear();
        }
        let trials = &Own::of(history);
        let mut members: Vec<Member> =
            (0..self.settings.population).map(|number| Member { number, copy: None }).collect();
        let mut turns: Vec<Turn> = Vec::new();
        let mut turn = 0;
        loop {
            let end = self.end(turn);
            let stands: Vec<Stand> =
                members.iter().map(|member| stand(trials, member.number, end)).collect();
            for (member, stand) in members.iter().zip(&stands) {
                match (stand, &member.copy) {
                    (Stand::Short, _) => {
                        self.note(trials, turn, member.number);
                        return Ok(Proposal::Resume {
                            number: trials.number(member.number),
                            epochs: end,
                        });
                    }
                    (Stand::Missing, Some((parent, params))) => {
                        let number = trials.number(*parent);
                        let from = Some(Origin { number, epochs: self.end(turn - 1) });
                        let params = params.clone();
                        self.note(trials, turn, member.number);
                        return Ok(Proposal::New { params, epochs: Some(end), from });
                    }
                    (Stand::Missing, None) => {
                        if let Some(params) = self.begin(history)? {
                            self.note(trials, turn, member.number);
                            return Ok(Proposal::New { params, epochs: Some(end), from: None });
                        }
                    }
                    _ => {}
                }
            }
            // A space with fewer points than members leaves some missing for good.
            let ended = |stand: &Stand| !matches!(stand, Stand::AtWork);
            let last = end >= self.epochs;
            if stands.iter().all(ended) && last {
                return Ok(Proposal::Exhausted);
            }
            if !stands.iter().all(ended) {
                if !last {
                    let next = self.end(turn + 1);
                    for (at, member) in members.iter().enumerate() {
                        if self.goes_on(turn, at, member.number, &stands)
                            && stand(trials, member.number, next) == Stand::Short
                        {
                            self.note_going_on(trials, turn, at, member.number, &stands);
                            return Ok(Proposal::Resume {
                                number: trials.number(member.number),
                                epochs: next,
                            });
                        }
                    }
                }
                return Ok(Proposal::Wait);
            }
            turns.extend(gains(
                trials,
                &members,
                &stands,
                turn,
                if turn == 0 { 0 } else { self.end(turn - 1) },
            ));
            let kept: Vec<usize> =
                (0..members.len()).filter(|at| stands[*at] != Stand::Missing).collect();
            let stands: Vec<Stand> = kept.iter().map(|at| stands[*at]).collect();
            let present: Vec<Member> = kept.iter().map(|at| members[*at].clone()).collect();
            members = match self.decided.get(turn as usize) {
                Some(known) if known.members == present && known.stands == stands => {
                    known.next.clone()
                }
                _ => {
                    let next = self.succeed(turn, &present, &stands, &turns, trials)?;
                    self.decided.truncate(turn as usize);
                    self.decided.push(Decision { members: present, stands, next: next.clone() });
                    next
                }
            };
            turn += 1;
        }
    }

    fn notes(&self) -> Map<String, Value> {
        self.notes.clone()
    }
}

impl Pbt {
    /// Notes what is known of the member that does turn `turn` with trial `number`.
    fn note(&mut self, trials: &Own<'_>, turn: u64, number: u64) {
        let before = turn.checked_sub(1).and_then(|turn| self.decided.get(turn as usize));
        let Some(Decision { members, stands, next }) = before else {
            self.notes = notes_of(number, turn);
            return;
        };
        let Some(at) = next.iter().position(|member| member.number == number) else { return };
        let parent = next[at].copy.as_ref().map_or(number, |(parent, _)| *parent);
        let copied = members.iter().position(|member| member.number == parent).unwrap_or(at);
        let explores = next[at].copy.is_some();
        let old = (members[at].number, stands[at]);
        self.notes = copy_notes(trials, turn, at, copied, explores, old, (parent, stands[copied]));
    }

    /// Notes that a member goes on to the turn after `turn` before the others have ended theirs.
    fn note_going_on(
        &mut self,
        trials: &Own<'_>,
        turn: u64,
        at: usize,
        number: u64,
        stands: &[Stand],
    ) {
        let own = (number, stands[at]);
        self.notes = copy_notes(trials, turn + 1, at, at, false, own, own);
    }
}

/// Notes on a member of the first turn.
fn notes_of(worker: u64, turn: u64) -> Map<String, Value> {
    let mut notes = Map::new();
    notes.insert("pbt_worker_id".into(), worker.into());
    notes.insert("pbt_step_counter".into(), turn.into());
    notes
}

/// Notes on a member of a later turn: what it had, and what it goes on from, each a trial and how it stood.
fn copy_notes(
    trials: &Own<'_>,
    turn: u64,
    at: usize,
    copied: usize,
    explores: bool,
    old: (u64, Stand),
    copy: (u64, Stand),
) -> Map<String, Value> {
    let mut notes = notes_of(at as u64, turn);
    let params = |number: u64| match trials.get(number) {
        Some(past) => Value::Object(past.params.clone()),
        None => Value::Null,
    };
    let loss = |stand: Stand| match stand {
        Stand::Value(value) => json!(value),
        _ => Value::Null,
    };
    let more = [
        ("pbt_explore", u64::from(explores).into()),
        ("pbt_copy_id", copied.into()),
        ("pbt_old_params", params(old.0)),
        ("pbt_copy_params", params(copy.0)),
        ("pbt_old_performance", loss(old.1)),
        ("pbt_copy_performance", loss(copy.1)),
    ];
    notes.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    notes
}

/// Returns how many points a small space has; a large one has enough.
fn points(space: &Space) -> Result<u64> {
    let (Some(mut tree), Some(size)) = (space.tree(), space.size().filter(|size| *size <= SMALL))
    else {
        return Ok(u64::MAX);
    };
    let mut count = 0;
    for at in 0..size {
        count += u64::from(space.allows(&tree.point(at, space))?);
    }
    Ok(count)
}

/// Returns the places of the members with a loss, the best first.
fn ranking(stands: &[Stand]) -> Vec<usize> {
    let value = |at: &usize| match stands[*at] {
        Stand::Value(value) => value,
        _ => f64::INFINITY,
    };
    let mut order: Vec<usize> =
        (0..stands.len()).filter(|at| matches!(stands[*at], Stand::Value(_))).collect();
    order.sort_by(|a, b| value(a).total_cmp(&value(b)).then(a.cmp(b)));
    order
}

fn stand(trials: &Own<'_>, number: u64, epochs: u64) -> Stand {
    match trials.get(number) {
        None => Stand::Missing,
        Some(past) => stand_of(past, epochs),
    }
}

fn stand_of(past: &Past, epochs: u64) -> Stand {
    let last = usize::try_from(epochs - 1).unwrap_or(usize::MAX);
    let value = |value: Option<f64>| match value.filter(|value| value.is_finite()) {
        Some(value) => Stand::Value(value),
        None => Stand::Out,
    };
    if let Some(loss) = past.curve.get(last) {
        return value(Some(*loss));
    }
    match past.state {
        PastState::Pending => Stand::AtWork,
        PastState::Failed | PastState::Pruned => Stand::Out,
        PastState::Complete { .. } if past.epochs.is_none_or(|asked| asked >= epochs) => {
            value(past.curve.last().copied().or(past.value()))
        }
        PastState::Complete { .. } => Stand::Short,
    }
}

/// Returns by how much each member's loss fell in a turn; the first turn has nothing before it.
fn gains(
    trials: &Own<'_>,
    members: &[Member],
    stands: &[Stand],
    turn: u64,
    before: u64,
) -> Vec<Turn> {
    let gain = |(member, stand_now): (&Member, &Stand)| {
        if turn == 0 {
            return None;
        }
        let past = trials.get(member.number)?;
        let from = member.copy.as_ref().map_or(member.number, |(parent, _)| *parent);
        match (stand(trials, from, before), stand_now) {
            (Stand::Value(was), Stand::Value(is)) => {
                Some(Turn { turn, params: past.params.clone(), gain: was - is })
            }
            _ => None,
        }
    };
    members.iter().zip(stands).filter_map(gain).collect()
}
