//! What trials are worth at a number of epochs.

use super::super::history::{Past, PastState};

/// How a trial stands at a number of epochs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Standing {
    /// It got there: the best of its curve until then.
    Value(f64),
    /// It is on its way, or about to get less far.
    AtWork,
    /// It stopped before and can go on.
    Short,
    /// It will never get there: it failed, gave no number or was stopped for good.
    Out,
}

impl Standing {
    /// Returns the value of a trial that got there.
    pub(crate) fn value(self) -> Option<f64> {
        match self {
            Standing::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// Returns the best number of a curve.
pub(crate) fn best(curve: &[f64]) -> Option<f64> {
    curve.iter().copied().filter(|value| value.is_finite()).min_by(f64::total_cmp)
}

/// Returns how a trial stands at `epochs`.
///
/// A trial without a curve is worth its value as soon as it was to train so long; so is one put in by a person.
pub(crate) fn standing(past: &Past, epochs: u64) -> Standing {
    let wanted = usize::try_from(epochs).unwrap_or(usize::MAX);
    if past.curve.len() >= wanted {
        let best = best(&past.curve[..wanted]);
        return best.map_or(Standing::Out, Standing::Value);
    }
    match &past.state {
        PastState::Pending => Standing::AtWork,
        PastState::Failed | PastState::Pruned => Standing::Out,
        PastState::Complete { .. } if past.epochs.is_none_or(|asked| asked >= epochs) => {
            best(&past.curve).or(past.value()).map_or(Standing::Out, Standing::Value)
        }
        PastState::Complete { .. } => Standing::Short,
    }
}

/// Says whether a trial can go on to train until `epochs`.
pub(crate) fn can_go_on(past: &Past, epochs: u64) -> bool {
    matches!(past.state, PastState::Complete { .. }) && standing(past, epochs) == Standing::Short
}
