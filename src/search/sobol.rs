//! Sobol points with Owen scrambling: an even cover of the space, evener than random for every prefix.
//!
//! # Source
//! The crate `sobol_burley` (direction numbers of Joe and Kuo, scrambling of Burley 2020). It gives 23 bits a
//! coordinate; the bits below come from the trial's random stream, so that reals do not sit on a lattice.

use serde_json::{Map, Value};

use super::history::History;
use super::sampler::{Points, Sampler};
use super::space::Space;
use super::strategy::{Proposal, Strategy, allow_settings};
use super::stream::{Purpose, mix, stream, unit};
use crate::{Error, Result};

/// How many points the sequence has.
pub const POINTS_MAX: u64 = 1 << 16;

/// Sobol search.
pub struct Sobol {
    sampler: Sampler<Sequence>,
}

pub(crate) struct Sequence {
    dimensions: u32,
    seed: u64,
}

impl Sequence {
    /// Returns the sequence, or `None` for more dimensions than it has.
    pub(crate) fn new(dimensions: usize, seed: u64) -> Option<Sequence> {
        let dimensions = u32::try_from(dimensions).ok()?;
        (dimensions <= sobol_burley::NUM_DIMENSIONS).then_some(Sequence { dimensions, seed })
    }
}

impl Points for Sequence {
    const IN_A_ROW: bool = true;

    fn point(&self, _number: u64, _attempt: u64, place: u64) -> Result<Vec<f64>> {
        let index = u32::try_from(place).ok().filter(|_| place < POINTS_MAX);
        let index = index.ok_or_else(too_many)?;
        let mut low_bits = stream(self.seed, place, Purpose::Scramble, 0);
        let scramble = (mix(self.seed) >> 32) as u32;
        let coordinate = |dimension| {
            let high_bits = f64::from(sobol_burley::sample(index, dimension, scramble));
            high_bits + unit(&mut low_bits) / f64::from(1 << 23)
        };
        Ok((0..self.dimensions).map(coordinate).collect())
    }
}

impl Sobol {
    /// Returns a Sobol search. It has no settings.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more parameters or trials than the sequence has.
    pub fn new(
        space: Space,
        settings: &Map<String, Value>,
        seed: u64,
        trials: Option<u64>,
    ) -> Result<Sobol> {
        allow_settings("sobol", settings, &[])?;
        let Some(sequence) = Sequence::new(space.dimensions(), seed) else {
            let most = sobol_burley::NUM_DIMENSIONS;
            let why = format!("has {most} dimensions, the space has {}", space.dimensions());
            return Err(Error::invalid("strategy sobol", why).with_hint("use halton or random"));
        };
        if trials.is_some_and(|trials| trials > POINTS_MAX) {
            return Err(too_many());
        }
        Ok(Sobol { sampler: Sampler::new(space, sequence, seed) })
    }
}

impl Strategy for Sobol {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        Ok(self.sampler.propose(history, |_| None)?.into())
    }
}

fn too_many() -> Error {
    Error::invalid("strategy sobol", format!("has {POINTS_MAX} points and no more"))
        .with_hint("use halton or random for longer searches")
}
