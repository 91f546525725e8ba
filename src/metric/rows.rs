//! Updates in columns, as the appender wants them: names are numbers, and numbers lie side by side.

use super::{Update, Value};

/// One update, and how many of the numbers and others are its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) step: Option<i64>,
    pub(crate) at_ms: i64,
    pub(crate) numbers: u32,
    pub(crate) others: u32,
}

/// A number of an update; `slot` has the bit [`CLOCK`] when it is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    pub(crate) slot: u32,
    pub(crate) value: f64,
}

pub(crate) const CLOCK: u32 = 1 << 31;

/// A batch of updates.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) heads: Vec<Head>,
    pub(crate) numbers: Vec<Number>,
    /// Vectors and texts.
    pub(crate) others: Vec<(u32, Value)>,
}

/// Consecutive updates of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) heads: &'a [Head],
    pub(crate) numbers: &'a [Number],
    pub(crate) others: &'a [(u32, Value)],
}

impl Rows {
    /// Adds updates; `slot` turns names, and their places in their updates, into numbers.
    pub(crate) fn extend(&mut self, updates: &[Update], mut slot: impl FnMut(usize, &str) -> u32) {
        for update in updates {
            let (numbers, others) = (self.numbers.len(), self.others.len());
            for (place, (name, value)) in update.values.iter().enumerate() {
                let slot = slot(place, name);
                match value {
                    Value::Scalar(value) => self.numbers.push(Number { slot, value: *value }),
                    Value::Clock(value) => {
                        self.numbers.push(Number { slot: slot | CLOCK, value: *value });
                    }
                    other => self.others.push((slot, other.clone())),
                }
            }
            self.heads.push(Head {
                step: update.step,
                at_ms: update.at_ms,
                numbers: (self.numbers.len() - numbers) as u32,
                others: (self.others.len() - others) as u32,
            });
        }
    }

    pub(crate) fn clear(&mut self) {
        self.heads.clear();
        self.numbers.clear();
        self.others.clear();
    }

    pub(crate) fn all(&self) -> Part<'_> {
        Part { heads: &self.heads, numbers: &self.numbers, others: &self.others }
    }
}

impl<'a> Part<'a> {
    /// Splits off the first updates: at most so many, and no more once they have so many values.
    pub(crate) fn split(self, updates_max: usize, values_max: usize) -> (Part<'a>, Part<'a>) {
        let (mut heads, mut numbers, mut others) = (0, 0, 0);
        for head in self.heads.iter().take(updates_max) {
            if heads > 0 && numbers + others >= values_max {
                break;
            }
            heads += 1;
            numbers += head.numbers as usize;
            others += head.others as usize;
        }
        let (heads, later_heads) = self.heads.split_at(heads);
        let (numbers, later_numbers) = self.numbers.split_at(numbers);
        let (others, later_others) = self.others.split_at(others);
        (
            Part { heads, numbers, others },
            Part { heads: later_heads, numbers: later_numbers, others: later_others },
        )
    }
}
