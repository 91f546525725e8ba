//! A search in memory: a strategy, the trials so far, and what is asked and told.
//!
//! Objectives are minimised here; whoever maximises negates on the way in and out.

use serde_json::{Map, Value};

use super::history::{History, Past, PastState};
use super::space::Space;
use super::strategy::{Origin, Proposal, Setup, Strategy, strategy};
use crate::{Error, Result};

/// A search in memory.
pub struct Engine {
    setup: Setup,
    strategy: Box<dyn Strategy + Send>,
    history: History,
    /// What the strategy answers to a version of the history.
    prepared: Option<((u64, usize), Proposal)>,
}

/// What to train next.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The number of the trial.
    pub number: u64,
    /// Its active parameters.
    pub params: Map<String, Value>,
    /// The epochs to reach, counted from its beginning, where the search has epochs.
    pub epochs: Option<u64>,
    /// Says whether the trial was at work before and goes on from where it stopped.
    pub resumed: bool,
    /// The checkpoint of another trial that it starts from.
    pub from: Option<Origin>,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its state; never pending.
    pub state: PastState,
    /// The first objective after each epoch so far; empty where the search has no epochs.
    pub curve: Vec<f64>,
}

impl Engine {
    /// Returns a search with the strategy of that name.
    ///
    /// # Errors
    /// [`Error::Invalid`] as of [`strategy`].
    pub fn new(name: &str, setup: Setup) -> Result<Engine> {
        let strategy = strategy(name, &setup)?;
        Ok(Engine { strategy, setup, history: History::new(), prepared: None })
    }

    /// Returns the space.
    pub fn space(&self) -> &Space {
        &self.setup.space
    }

    /// Returns the trials so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Adds a trial that was not asked for here: one of a file, or of a person.
    pub fn put(&mut self, past: Past) {
        self.history.put(past);
    }

    /// Changes a trial; says whether there is one of that number.
    pub fn change(&mut self, number: u64, change: impl FnOnce(&mut Past)) -> bool {
        self.history.change(number, change)
    }

    /// Goes on with a strategy and a setup of their own, with the trials so far.
    ///
    /// # Errors
    /// [`Error::Invalid`] as of [`strategy`]; nothing is changed then.
    pub fn restart(&mut self, name: &str, setup: Setup) -> Result<()> {
        self.strategy = strategy(name, &setup)?;
        self.setup = setup;
        self.prepared = None;
        Ok(())
    }

    /// Works out what the next ask answers, unless something changes before it.
    ///
    /// # Errors
    /// [`Error::Invalid`] as of [`Strategy::ask`].
    pub fn prepare(&mut self) -> Result<()> {
        if !self.is_prepared() {
            self.prepared = None;
            self.prepared = Some((self.history.version(), self.strategy.ask(&self.history)?));
        }
        Ok(())
    }

    /// Says whether the next ask costs nothing.
    pub fn is_prepared(&self) -> bool {
        self.prepared.as_ref().is_some_and(|(version, _)| *version == self.history.version())
    }

    /// Asks for what to train next and takes it as begun; `Err` holds why there is nothing: [`Proposal::Wait`] or
    /// [`Proposal::Exhausted`].
    ///
    /// # Errors
    /// [`Error::Invalid`] as of [`Strategy::ask`].
    pub fn ask(&mut self) -> Result<std::result::Result<Asked, Proposal>> {
        let proposal = match self.prepared.take() {
            Some((version, proposal)) if version == self.history.version() => proposal,
            _ => self.strategy.ask(&self.history)?,
        };
        match proposal {
            Proposal::New { params, epochs, from } => {
                let number = self.history.next_number();
                let mut past = Past::new(number, params.clone(), PastState::Pending);
                past.epochs = epochs;
                past.curve = from.map_or_else(Vec::new, |from| self.curve_until(from));
                self.history.put(past);
                Ok(Ok(Asked { number, params, epochs, resumed: false, from }))
            }
            Proposal::Resume { number, epochs } => {
                let mut params = None;
                self.history.change(number, |past| {
                    past.state = PastState::Pending;
                    past.epochs = Some(epochs);
                    params = Some(past.params.clone());
                });
                let params = params.ok_or_else(|| no_trial(number))?;
                Ok(Ok(Asked { number, params, epochs: Some(epochs), resumed: true, from: None }))
            }
            nothing => Ok(Err(nothing)),
        }
    }

    /// Returns what the strategy says of the trial it proposed last, see [`Strategy::notes`].
    pub fn notes(&self) -> Map<String, Value> {
        self.strategy.notes()
    }

    fn curve_until(&self, from: Origin) -> Vec<f64> {
        let curve = self.history.get(from.number).map_or(&[][..], |past| &past.curve);
        let epochs = usize::try_from(from.epochs).unwrap_or(usize::MAX);
        curve[..epochs.min(curve.len())].to_vec()
    }

    /// Takes in how a trial ended.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a trial that was never asked for, or values that are not one for each objective.
    pub fn tell(&mut self, number: u64, told: Told) -> Result<()> {
        if let PastState::Complete { values } = &told.state
            && values.len() != self.setup.objectives
        {
            let (has, wants) = (values.len(), self.setup.objectives);
            let why = format!("has {has} values, the study has {wants} objectives");
            return Err(Error::invalid(format!("trial {number}"), why));
        }
        let found = self.history.change(number, |past| {
            past.state = told.state;
            past.curve = told.curve;
        });
        if found { Ok(()) } else { Err(no_trial(number)) }
    }
}

fn no_trial(number: u64) -> Error {
    Error::invalid(format!("trial {number}"), "was never asked for")
}
