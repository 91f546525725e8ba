//! Searching: spaces of configurations and the strategies that propose points of them.
//!
//! Everything here but the study itself is pure: no file, no clock, no environment. The same space, settings, history
//! and seed give the same proposal in any process, so a search survives crashes and can be replayed.

pub mod auto;
pub mod cmaes;
mod compat;
pub mod coordinate;
pub mod domain;
pub mod engine;
mod evaluate;
pub mod evolution;
pub mod expression;
mod external;
pub mod fidelity;
mod forest;
pub mod gp;
pub mod grid;
pub mod halton;
pub mod history;
pub mod multi;
mod normal;
pub mod pareto;
mod parse;
pub mod pbt;
pub mod racing;
pub mod random;
mod sampler;
pub mod serve;
pub mod smbo;
pub mod sobol;
pub mod space;
mod start;
pub mod stopper;
pub mod strategy;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod tpe;
mod tree;
pub(crate) mod write;
