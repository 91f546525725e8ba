//! Halton points with permuted digits: an even cover without an end, best up to some twenty parameters.
//!
//! # Source
//! Each coordinate is the trial's place written in a prime base and mirrored at the point; every digit place has a
//! random permutation of its own (Owen, "A randomized Halton algorithm in R", arXiv 1706.02808).

use rand_pcg::Pcg64;
use serde_json::{Map, Value};

use super::history::History;
use super::sampler::{Points, Sampler};
use super::space::Space;
use super::strategy::{Proposal, Strategy, allow_settings};
use super::stream::{Purpose, below, stream};
use crate::{Error, Result};

/// How many parameters it takes: past that the first points of the late coordinates lie on lines.
pub const DIMENSIONS_MAX: usize = 256;

/// Halton search.
pub struct Halton {
    sampler: Sampler<Sequence>,
}

struct Sequence {
    /// For each dimension its base and, for each digit, the permutation.
    digits: Vec<(u64, Vec<Vec<u16>>)>,
}

impl Sequence {
    fn new(dimensions: usize, seed: u64) -> Sequence {
        let bases = primes(dimensions).into_iter().enumerate();
        let digits = bases.map(|(dimension, base)| {
            let mut generator = stream(seed, dimension as u64, Purpose::Scramble, 0);
            // As many digits as a double can tell apart.
            let places = (53.0 / f64::from(base).log2()).ceil() as usize;
            let permutations = (0..places).map(|_| shuffled(base, &mut generator)).collect();
            (u64::from(base), permutations)
        });
        Sequence { digits: digits.collect() }
    }
}

impl Points for Sequence {
    const IN_A_ROW: bool = true;

    fn point(&self, _number: u64, _attempt: u64, place: u64) -> Result<Vec<f64>> {
        let coordinate = |(base, permutations): &(u64, Vec<Vec<u16>>)| {
            let (mut rest, mut scale, mut sum) = (place, 1.0, 0.0);
            for permutation in permutations {
                scale /= *base as f64;
                sum += scale * f64::from(permutation[(rest % base) as usize]);
                rest /= base;
            }
            sum.min(1.0 - f64::EPSILON / 2.0)
        };
        Ok(self.digits.iter().map(coordinate).collect())
    }
}

impl Halton {
    /// Returns a Halton search. It has no settings.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`DIMENSIONS_MAX`] parameters.
    pub fn new(space: Space, settings: &Map<String, Value>, seed: u64) -> Result<Halton> {
        allow_settings("halton", settings, &[])?;
        let dimensions = space.dimensions();
        if dimensions > DIMENSIONS_MAX {
            let why = format!("has {DIMENSIONS_MAX} dimensions, the space has {dimensions}");
            return Err(Error::invalid("strategy halton", why).with_hint("use random"));
        }
        Ok(Halton { sampler: Sampler::new(space, Sequence::new(dimensions, seed), seed) })
    }
}

impl Strategy for Halton {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        Ok(self.sampler.propose(history, |_| None)?.into())
    }
}

fn primes(count: usize) -> Vec<u16> {
    let mut found: Vec<u16> = Vec::with_capacity(count);
    let prime = |candidate: &u16, found: &[u16]| {
        found.iter().all(|small| !candidate.is_multiple_of(*small))
    };
    for candidate in 2..u16::MAX {
        if found.len() == count {
            break;
        }
        if prime(&candidate, &found) {
            found.push(candidate);
        }
    }
    found
}

fn shuffled(base: u16, generator: &mut Pcg64) -> Vec<u16> {
    let mut digits: Vec<u16> = (0..base).collect();
    for last in (1..digits.len()).rev() {
        let other = below(generator, last as u64 + 1) as usize;
        digits.swap(last, other);
    }
    digits
}
