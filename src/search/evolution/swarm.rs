//! Particle swarm: points that fly on, drawn to the best place of their own and of all.
//!
//! The particle of a trial follows from its number. Its velocity is the difference of its last two places, so nothing
//! needs to be remembered but trials. Values without order are taken from the places that draw.
//!
//! Settings: `population` (default 10 to 40, more the more trials), the particles, spread by Sobol at first.
//!
//! # Source
//! Kennedy and Eberhart, ICNN 1995; weights by Clerc and Kennedy, IEEE Trans. Evol. Comput. 6 (2002).

use std::sync::Arc;

use super::axis::{Axis, reflect};
use super::chain::{Chain, loss};
use super::offspring::Offspring;
use super::{Member, blur, inherit, place};
use crate::Result;
use crate::search::history::{History, Past};
use crate::search::space::Space;
use crate::search::strategy::{Proposal, Setup, Strategy, allow_settings, whole_setting};
use crate::search::stream::{Purpose, stream, unit};

/// The share of its velocity that a particle keeps.
const INERTIA: f64 = 0.729_844;
/// How strongly the best places draw.
const PULL: f64 = 1.496_18;

/// Particle swarm.
pub struct Swarm {
    model: Model,
    offspring: Offspring,
    chain: Chain<Vec<Particle>>,
}

struct Model {
    space: Space,
    axes: Vec<Axis>,
    seed: u64,
    population: u64,
}

#[derive(Clone, Default)]
struct Particle {
    /// Its last two places, the newest first.
    places: Option<[Arc<[f64]>; 2]>,
    best: Option<Member>,
}

impl Swarm {
    /// Returns a particle swarm.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have.
    pub fn new(setup: Setup) -> Result<Swarm> {
        allow_settings("pso", &setup.settings, &["population"])?;
        let own = whole_setting("pso", &setup.settings, "population", 2)?;
        let Setup { space, seed, trials, .. } = setup;
        let usual = (trials.unwrap_or(1000) as f64).sqrt() as u64;
        let population = own.unwrap_or(usual.clamp(10, 40));
        let particles = usize::try_from(population).unwrap_or(usize::MAX);
        let model = Model { axes: Axis::all(&space), space: space.clone(), seed, population };
        Ok(Swarm {
            offspring: Offspring::new(space, seed),
            chain: Chain::new(vec![Particle::default(); particles]),
            model,
        })
    }
}

impl Strategy for Swarm {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let number = history.next_number();
        let model = &self.model;
        let (_, swarm) = self.chain.follow(history, |swarm, trials| match trials.first() {
            Some(past) => {
                model.learn(swarm, past);
                1
            }
            None => 0,
        });
        let best = |particle: &Particle| particle.best.clone();
        let best = swarm.iter().filter_map(best).min_by(|a, b| a.loss.total_cmp(&b.loss));
        let particle = &swarm[(number % model.population) as usize];
        match (&particle.places, best) {
            (Some(places), Some(best)) => {
                let own = particle.best.as_ref().map_or(&places[0], |best| &best.place);
                let fly = |attempt| model.fly(places, own, &best.place, number, attempt);
                self.offspring.propose(history, fly)
            }
            _ => self.offspring.spread(history),
        }
    }
}

impl Model {
    fn learn(&self, swarm: &mut [Particle], past: &Past) {
        let particle = &mut swarm[(past.number % self.population) as usize];
        let here = place(&self.space, self.seed, past);
        let before = particle.places.as_ref().map_or(&here, |places| &places[0]).clone();
        particle.places = Some([here.clone(), before]);
        if let Some(loss) = loss(past)
            && particle.best.as_ref().is_none_or(|best| loss <= best.loss)
        {
            particle.best = Some(Member { place: here, loss });
        }
    }

    fn fly(
        &self,
        [here, before]: &[Arc<[f64]>; 2],
        own: &[f64],
        best: &[f64],
        number: u64,
        attempt: u64,
    ) -> Vec<f64> {
        let mut generator = stream(self.seed, number, Purpose::Model, attempt);
        let coordinate = |(at, axis): (usize, &Axis)| {
            if let Axis::Choice { .. } = axis {
                return inherit(&mut generator, axis, &[here[at], own[at], best[at]]);
            }
            let pull = |u: f64, to: f64| PULL * u * (to - here[at]);
            let velocity = INERTIA * (here[at] - before[at])
                + pull(unit(&mut generator), own[at])
                + pull(unit(&mut generator), best[at]);
            reflect(blur(&mut generator, axis, here[at] + velocity))
        };
        self.axes.iter().enumerate().map(coordinate).collect()
    }
}
