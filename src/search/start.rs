//! The first points of model-based strategies: Sobol, and random draws where Sobol has none.

use super::random::Draws;
use super::sampler::Points;
use super::sobol::{self, Sequence};
use crate::Result;

/// Sobol points by trial number; random ones for further attempts and past the ends of the sequence.
pub(crate) struct Start {
    sobol: Option<Sequence>,
    random: Draws,
}

impl Start {
    pub(crate) fn new(dimensions: usize, seed: u64) -> Start {
        Start { sobol: Sequence::new(dimensions, seed), random: Draws { dimensions, seed } }
    }
}

impl Points for Start {
    const IN_A_ROW: bool = false;

    fn point(&self, number: u64, attempt: u64, place: u64) -> Result<Vec<f64>> {
        match &self.sobol {
            Some(sobol) if attempt == 0 && number < sobol::POINTS_MAX => {
                sobol.point(number, 0, number)
            }
            _ => self.random.point(number, attempt, place),
        }
    }
}
