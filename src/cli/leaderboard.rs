//! `mle leaderboard`: the best configs of an experiment.

use std::path::Path;

use serde_json::json;

use super::output::Output;
use super::report::find_or_latest;
use crate::display::{self, json_number, number};
use crate::error::Result;
use crate::protocol;
use crate::report::{self, Place};

/// Show the best configs of an experiment
///
/// Configs are ordered by the mean of the first objective over their seeds. The interval is a 95 % bootstrap interval of
/// that mean; it needs two seeds or more.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:
  mle leaderboard my-search --top 5")]
pub struct Args {
    /// Id, name or uid of the experiment; the newest one when left out
    pub experiment: Option<String>,
    /// How many configs to show
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
}

/// Runs the verb.
///
/// # Errors
/// [`crate::Error::NotFound`]; those of the store.
pub fn run(args: &Args, output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    let (metric, places) = store.read(|tx| {
        let id = find_or_latest(tx, args.experiment.as_deref())?;
        let metric = protocol::objectives(tx, id)?.into_iter().next().map(|it| it.metric);
        Ok((metric, report::leaderboard(tx, id, args.top.into())?))
    })?;
    if output.json {
        let rows: Vec<_> = places.iter().map(json_of).collect();
        return output.json_array(&rows);
    }
    let rows: Vec<Vec<String>> = places.iter().map(row).collect();
    let metric = metric.as_deref().unwrap_or("value");
    let names = ["place", "config", "name", metric, "95 %", "seeds", "params"];
    output.table(&names, &rows, "no config has a value yet")
}

fn row(place: &Place) -> Vec<String> {
    vec![
        place.place.to_string(),
        place.config.to_string(),
        place.name.clone(),
        number(place.mean),
        match place.interval.filter(|_| place.seeds > 1) {
            Some((low, high)) => format!("[{}, {}]", number(low), number(high)),
            None => String::new(),
        },
        match place.failed {
            0 => place.seeds.to_string(),
            failed => format!("{} ({failed} failed)", place.seeds),
        },
        display::shorten(&display::params(&place.params), 500).into_owned(),
    ]
}

fn json_of(place: &Place) -> serde_json::Value {
    let maybe = |value: Option<f64>| value.map_or(serde_json::Value::Null, json_number);
    json!({
        "place": place.place, "config_id": place.config, "name": place.name, "mean": json_number(place.mean),
        "low95": maybe(place.interval.map(|it| it.0)), "high95": maybe(place.interval.map(|it| it.1)),
        "std": maybe(place.std), "iqm": maybe(place.iqm), "median": maybe(place.median),
        "seeds": place.seeds, "failed": place.failed, "params": place.params,
    })
}
