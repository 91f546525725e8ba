//! Evolutionary strategies: a population of good trials, and variations of them.
//!
//! All of them read a history in order of numbers and take trials that run for absent, so any number of workers can
//! ask at any time, and the order in which results arrive does not matter.

pub(crate) mod axis;
pub(crate) mod chain;
pub mod differential;
pub mod nsga2;
pub(crate) mod offspring;
pub mod one_plus_one;
pub mod rules;
pub mod swarm;

use std::sync::Arc;

use rand_pcg::Pcg64;

use self::axis::Axis;
use super::history::Past;
use super::space::Space;
use super::stream::{Purpose, below, stream, unit};

/// The attempt whose stream places inactive parameters.
const INACTIVE: u64 = u64::MAX - 1;
/// How often a coordinate without order that could be inherited is drawn anew.
const MUTATION: f64 = 0.1;

/// A trial that ended.
#[derive(Clone, Debug)]
struct Member {
    place: Arc<[f64]>,
    loss: f64,
}

/// Returns where a trial was in the unit cube; inactive parameters are where a draw puts them.
fn place(space: &Space, seed: u64, past: &Past) -> Arc<[f64]> {
    let mut generator = stream(seed, past.number, Purpose::Model, INACTIVE);
    let drawn = |place: Option<f64>| place.unwrap_or_else(|| unit(&mut generator));
    space.encode(&past.params).into_iter().map(drawn).collect()
}

/// Returns one of several values of a coordinate without order, or now and then any.
fn inherit(generator: &mut Pcg64, axis: &Axis, parents: &[f64]) -> f64 {
    match axis.count() {
        Some(count) if unit(generator) < MUTATION => {
            axis.centre(below(generator, count as u64) as usize)
        }
        _ => parents[below(generator, parents.len() as u64) as usize],
    }
}

/// Returns a place somewhere in the cell of `place`, so that fractions of a cell can add up; reals stay.
fn blur(generator: &mut Pcg64, axis: &Axis, place: f64) -> f64 {
    match axis {
        Axis::Lattice { edges } => {
            let cell = axis.cell(place.clamp(0.0, 1.0));
            place + (edges[cell + 1] - edges[cell]) * (unit(generator) - 0.5)
        }
        _ => place,
    }
}

/// Returns another value than that of `place`, each as likely.
fn another(generator: &mut Pcg64, axis: &Axis, place: f64) -> f64 {
    match axis.count() {
        None => unit(generator),
        Some(1) => place,
        Some(count) => {
            let other = below(generator, count as u64 - 1) as usize;
            axis.centre(other + usize::from(other >= axis.cell(place)))
        }
    }
}
