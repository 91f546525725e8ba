//! The parameters of a copy: those of the member it copies, a little changed.

use rand_pcg::Pcg64;
use serde_json::{Map, Value};

use super::settings::Explore;
use super::{Turn, model};
use crate::Result;
use crate::search::domain::{Domain, ListKind};
use crate::search::gp::frame::Frame;
use crate::search::space::Space;
use crate::search::stream::{Purpose, below, normal, stream, unit};

/// Changes that break the constraints before the parameters stay as they are.
const BROKEN_MAX: u64 = 200;

pub(super) struct Explorer {
    space: Space,
    frame: Frame,
    seed: u64,
    explore: Explore,
    resample: f64,
}

impl Explorer {
    pub(super) fn new(space: Space, seed: u64, explore: Explore, resample: f64) -> Explorer {
        Explorer { frame: Frame::new(&space), space, seed, explore, resample }
    }

    /// Returns the parameters of trial `number`, a copy of a member with `params` that begins with `turn`.
    ///
    /// `turns` are all turns before, `beside` the parameters of copies that begin with the same turn.
    pub(super) fn explore(
        &self,
        params: &Map<String, Value>,
        number: u64,
        turn: u64,
        turns: &[Turn],
        beside: &[Map<String, Value>],
    ) -> Result<Map<String, Value>> {
        for attempt in 0..BROKEN_MAX {
            let mut generator = stream(self.seed, number, Purpose::Model, attempt);
            let modelled = match self.explore {
                Explore::Model => model::best(
                    &self.space,
                    &self.frame,
                    params,
                    turn,
                    turns,
                    beside,
                    &mut generator,
                ),
                _ => None,
            };
            let changed = modelled.unwrap_or_else(|| self.change(params, &mut generator));
            if self.space.allows(&changed)? {
                return Ok(changed);
            }
        }
        Ok(params.clone())
    }

    fn change(&self, params: &Map<String, Value>, generator: &mut Pcg64) -> Map<String, Value> {
        let places: Vec<f64> = self
            .space
            .searched()
            .map(|param| {
                // The same draws whatever comes of them: one parameter does not shift another's.
                let (anew, fresh) = (unit(generator), unit(generator));
                let (which, bell) = (unit(generator), normal(generator));
                let value = params.get(&param.name);
                let place = value.and_then(|value| param.domain.unit_of(value));
                match (&self.explore, value.zip(place)) {
                    (Explore::Resample, _) | (_, None) => fresh,
                    _ if anew < self.resample => fresh,
                    (Explore::Perturb(factors), Some((value, place))) => {
                        let factor = factors
                            [((which * factors.len() as f64) as usize).min(factors.len() - 1)];
                        multiplied(&param.domain, value, place, factor, which)
                    }
                    (Explore::Noise(scale), Some((_, place))) => match &param.domain {
                        Domain::List { kind, .. } if *kind != ListKind::Ordinal => place,
                        _ => (place + scale * bell).clamp(0.0, 1.0),
                    },
                    (Explore::Model, Some((value, place))) => {
                        let factor = if which < 0.5 { 0.8 } else { 1.2 };
                        multiplied(&param.domain, value, place, factor, which)
                    }
                }
            })
            .collect();
        self.space.decode(&places)
    }
}

/// Returns the place of a number times a factor, or beside an ordinal; other lists stay.
fn multiplied(domain: &Domain, value: &Value, place: f64, factor: f64, which: f64) -> f64 {
    match domain {
        Domain::Numeric(numeric) => {
            let x = (value.as_f64().unwrap_or(0.0) * factor).clamp(numeric.low, numeric.high);
            let moved = numeric.unit_near(x);
            // A whole number too small to change by a factor takes a step.
            match numeric.count() {
                Some(count) if domain.at_unit(moved) == *value => {
                    (place + (factor - 1.0).signum() / count as f64).clamp(0.0, 1.0)
                }
                _ => moved,
            }
        }
        Domain::List { kind: ListKind::Ordinal, choices } => {
            let step = if which < 0.5 { -1.0 } else { 1.0 };
            (place + step / choices.len() as f64).clamp(0.0, 1.0)
        }
        _ => place,
    }
}

/// Returns rows to choose from: some near that of `params`, some from anywhere.
pub(super) fn candidates(
    frame: &Frame,
    row: &[f64],
    count: usize,
    generator: &mut Pcg64,
) -> Vec<Vec<f64>> {
    let mut rows = Vec::with_capacity(count);
    for turn in 0..count {
        let mut other: Vec<f64> = match turn % 2 {
            0 => (0..row.len()).map(|_| unit(generator)).collect(),
            _ => row.to_vec(),
        };
        if turn % 2 == 1 && !row.is_empty() {
            let scale = [0.2, 0.05][turn / 2 % 2];
            let certain = below(generator, row.len() as u64) as usize;
            for at in 0..row.len() {
                let moves = at == certain || unit(generator) < 0.5;
                if moves && !other[at].is_nan() {
                    frame.nudge(&mut other, at, scale, generator);
                }
            }
        }
        frame.settle(&mut other, generator);
        rows.push(other);
    }
    rows
}
