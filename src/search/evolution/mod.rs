//! Evolutionary strategies, and what they share.

pub(crate) mod axis;
pub(crate) mod chain;
pub(crate) mod offspring;
