//! Searches of other programs: their logs into studies, and studies into their logs.

pub mod optuna;
pub mod peer;
