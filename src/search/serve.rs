//! Ask and tell in JSON lines: one request a line, one reply a line, for programs in any language.
//!
//! | request | reply |
//! |---|---|
//! | `{"op": "init", "protocol": 1, "space": …, "objectives": [{"name": "loss", "direction": "minimize"}], "budget": 100, "constraints": [], "seed": 3, "workers": 1, "max_epoch": null, "epoch_budget": null, "options": {"algorithm": "auto", …}}` | `{"ok": true, "name": "auto"}` |
//! | `{"op": "ask", "n": 1}` | `{"trials": [{"id": 0, "params": {…}}]}`, each with `"epoch"` where the search has epochs, and `"from": {"id": …, "epoch": …}` if it starts from the checkpoint of another; fewer trials with `"wait": true` or `"exhausted": true` |
//! | `{"op": "tell", "trials": [{"id": 0, "values": [0.31], "status": "ok"}]}` | `{"ok": true}`; `"status"` may be `failed` or `pruned`, with `"values": null`; `"curve"` has a number for each epoch, and alone the value is its last; one value may be `"value": 0.31` |
//! | `{"op": "quit"}` | none |
//!
//! A direction (or goal) is one of the words of specs, from `min` to `maximise`; an objective may be a text, `"loss:max"`. The
//! budget is what the strategy plans for: whoever asks decides when it is over. Numbers that are no JSON numbers are
//! written `null`, `"nan"`, `"inf"` or `"-inf"`, or as Python writes them, `NaN` and `Infinity`. A request that cannot be met
//! is answered `{"error": …}` and changes nothing; so is a line that is no UTF-8 text or no JSON object, a key that `init`,
//! an objective or `ask` does not have, and a trial that is told twice.

use std::collections::HashSet;
use std::io::{BufRead, Write};

use serde_json::{Map, Value, json};

use super::engine::{Engine, Told};
use super::history::PastState;
use super::space::Space;
use super::strategy::{DEFAULT, Proposal, Setup};
use crate::{Error, Result, spec};

/// Answers requests until the input ends or one says to quit.
///
/// # Errors
/// [`std::io::Error`] when a line cannot be read or written.
pub fn serve(mut input: impl BufRead, mut output: impl Write) -> std::io::Result<()> {
    let mut session: Option<Session> = None;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if input.read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let answered = match std::str::from_utf8(&bytes) {
            Ok(line) => answer(&mut session, line),
            Err(_) => Err(Error::invalid("request", "is not UTF-8 text")),
        };
        let reply = match answered {
            Ok(Some(reply)) => reply,
            Ok(None) => break,
            Err(error) => {
                let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                json!({"error": format!("{error}{hint}")})
            }
        };
        writeln!(output, "{reply}")?;
        output.flush()?;
    }
    Ok(())
}

struct Session {
    engine: Engine,
    /// For each objective 1 to minimise, -1 to maximise.
    signs: Vec<f64>,
}

fn answer(session: &mut Option<Session>, line: &str) -> Result<Option<Value>> {
    let request: Map<String, Value> = serde_json::from_str(line)
        .or_else(|error| serde_json::from_str(&without_bare_words(line)).map_err(|_| error))
        .map_err(|error| Error::invalid("request", format!("is no JSON object: {error}")))?;
    match request.get("op").and_then(Value::as_str) {
        Some("init") => {
            let (name, new) = Session::new(&request)?;
            *session = Some(new);
            Ok(Some(json!({"ok": true, "name": name})))
        }
        Some("quit") => Ok(None),
        Some(op @ ("ask" | "tell")) => {
            let session = session
                .as_mut()
                .ok_or_else(|| Error::invalid("op", format!("{op} comes before init")))?;
            let reply = if op == "ask" { session.ask(&request) } else { session.tell(&request) };
            reply.map(Some)
        }
        _ => {
            let why = format!("{} is not known", request.get("op").unwrap_or(&Value::Null));
            Err(Error::invalid("op", why).with_hint("requests are init, ask, tell and quit"))
        }
    }
}

/// Trials that one request may ask for: all of them stand in one reply.
const ASK_MAX: u64 = 100_000;

/// Refuses to hand out more trials than fit a reply.
///
/// # Errors
/// [`Error::Invalid`].
pub fn asked_for(count: u64) -> Result<()> {
    if count > ASK_MAX {
        let error = Error::invalid("n", format!("{count} is more than {ASK_MAX} trials at once"));
        return Err(error.with_hint("ask several times"));
    }
    Ok(())
}

/// What a request to begin may have.
const INIT_KEYS: [&str; 11] = [
    "op",
    "protocol",
    "space",
    "constraints",
    "objectives",
    "budget",
    "seed",
    "workers",
    "max_epoch",
    "epoch_budget",
    "options",
];

impl Session {
    fn new(request: &Map<String, Value>) -> Result<(String, Session)> {
        if let Some(key) = request.keys().find(|key| !INIT_KEYS.contains(&key.as_str())) {
            let error = crate::words::unknown("a key of init", key, &INIT_KEYS);
            return Err(match key.as_str() {
                "strategy" | "name" => error.with_hint("a strategy is named by options.algorithm"),
                "settings" => error.with_hint("the settings of a strategy stand in options"),
                _ => error,
            });
        }
        if let Some(other) = request.get("protocol").filter(|version| **version != json!(1)) {
            return Err(Error::invalid("protocol", format!("{other} is not known, 1 is")));
        }
        let mut settings = match request.get("options") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(options)) => options.clone(),
            Some(other) => return Err(Error::invalid("options", format!("{other} is no object"))),
        };
        let name = match settings.shift_remove("algorithm") {
            None => DEFAULT.to_string(),
            Some(Value::String(name)) => name,
            Some(other) => return Err(Error::invalid("algorithm", format!("{other} is no name"))),
        };
        let signs = match request.get("objectives") {
            None | Some(Value::Null) => vec![1.0],
            Some(Value::Array(objectives)) if !objectives.is_empty() => {
                objectives.iter().map(sign).collect::<Result<_>>()?
            }
            Some(other) => {
                return Err(Error::invalid("objectives", format!("{other} is no list of some")));
            }
        };
        let space = request.get("space").ok_or_else(|| Error::invalid("space", "is missing"))?;
        let space = Space::parse(space)?.with_constraints(texts(request, "constraints")?)?;
        let setup = Setup {
            settings,
            trials: whole(request, "budget")?,
            objectives: signs.len(),
            workers: whole(request, "workers")?
                .map_or(1, |n| usize::try_from(n).unwrap_or(1))
                .max(1),
            epochs: whole(request, "max_epoch")?,
            epoch_budget: whole(request, "epoch_budget")?,
            ..Setup::new(space, whole(request, "seed")?.unwrap_or(0))
        };
        let engine = Engine::new(&name, setup)?;
        Ok((name, Session { engine, signs }))
    }

    fn ask(&mut self, request: &Map<String, Value>) -> Result<Value> {
        known("a key of ask", request, &["op", "n"])?;
        let mut trials = Vec::new();
        let count = whole(request, "n")?.unwrap_or(1);
        asked_for(count)?;
        for _ in 0..count {
            let answer = match self.engine.ask() {
                // Those already taken are handed out; the next request hears of it.
                Err(_) if !trials.is_empty() => break,
                answer => answer?,
            };
            match answer {
                Ok(asked) => {
                    let mut trial = json!({"id": asked.number, "params": asked.params});
                    if let Some(epochs) = asked.epochs {
                        trial["epoch"] = json!(epochs);
                    }
                    if let Some(from) = asked.from {
                        trial["from"] = json!({"id": from.number, "epoch": from.epochs});
                    }
                    trials.push(trial);
                }
                Err(Proposal::Exhausted) => {
                    return Ok(json!({"trials": trials, "exhausted": true}));
                }
                Err(_) => return Ok(json!({"trials": trials, "wait": true})),
            }
        }
        Ok(json!({ "trials": trials }))
    }

    /// Takes in all trials of the request, or none.
    fn tell(&mut self, request: &Map<String, Value>) -> Result<Value> {
        let Some(Value::Array(trials)) = request.get("trials") else {
            let trial = r#"{"trials": [{"id": 0, "values": [0.3]}]}"#;
            return Err(Error::invalid("trials", "is no list").with_hint(format!("write {trial}")));
        };
        let told = trials.iter().map(|trial| self.told(trial)).collect::<Result<Vec<_>>>()?;
        let mut numbers = HashSet::new();
        if let Some((twice, _)) = told.iter().find(|(number, _)| !numbers.insert(*number)) {
            return Err(Error::invalid(format!("trial {twice}"), "is told twice"));
        }
        for (number, told) in told {
            self.engine.tell(number, told)?;
        }
        Ok(json!({"ok": true}))
    }

    fn told(&self, trial: &Value) -> Result<(u64, Told)> {
        let number = trial.get("id").and_then(Value::as_u64);
        let number = number.ok_or_else(|| Error::invalid("id", format!("{trial} has none")))?;
        let what = || format!("trial {number}");
        match self.engine.history().get(number) {
            None => return Err(Error::invalid(what(), "was never asked for")),
            Some(past) if past.ended() => {
                return Err(Error::invalid(what(), "was told already"));
            }
            Some(_) => {}
        }
        if let Some(key) = ["state", "failed", "pruned"].iter().find(|key| !trial[**key].is_null())
        {
            return Err(Error::invalid(what(), format!("{key} is no key of a trial"))
                .with_hint(r#"say "status": "failed" or "pruned""#));
        }
        let list = |key: &str| match trial.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(list)) => list
                .iter()
                .map(|value| {
                    number_of(value)
                        .ok_or_else(|| Error::invalid(what(), format!("{value} is no number")))
                })
                .collect::<Result<Vec<f64>>>()
                .map(Some),
            Some(other) => Err(Error::invalid(what(), format!("{key} {other} is no list"))),
        };
        let mut curve = list("curve")?.unwrap_or_default();
        curve.iter_mut().for_each(|value| *value *= self.signs[0]);
        let values = match (list("values")?, trial.get("value")) {
            (None, Some(value)) => Some(vec![
                number_of(value)
                    .ok_or_else(|| Error::invalid(what(), format!("{value} is no number")))?,
            ]),
            (values, _) => values,
        };
        let state = match (trial.get("status").and_then(Value::as_str), values) {
            (None | Some("ok"), Some(values)) if values.len() == self.signs.len() => {
                let values = values.iter().zip(&self.signs).map(|(v, sign)| v * sign).collect();
                PastState::Complete { values }
            }
            // As by `mle tell --curve`: its last value.
            (None | Some("ok"), None) if self.signs.len() == 1 && !curve.is_empty() => {
                PastState::Complete { values: vec![curve[curve.len() - 1]] }
            }
            (None | Some("ok"), None) => {
                return Err(Error::invalid(what(), "has no values")
                    .with_hint(r#"say "values": [0.3], or "status": "failed""#));
            }
            (None | Some("ok"), Some(values)) => {
                let (has, wants) = (values.len(), self.signs.len());
                let why = format!("has {has} values, objectives there are {wants}");
                return Err(Error::invalid(what(), why));
            }
            (Some("failed"), _) => PastState::Failed,
            (Some("pruned"), _) => PastState::Pruned,
            (Some(other), _) => {
                return Err(Error::invalid(what(), format!("status \"{other}\" is not known"))
                    .with_hint("a status is ok, failed or pruned"));
            }
        };
        Ok((number, Told { state, curve }))
    }
}

/// Refuses keys that mean nothing.
fn known(what: &'static str, object: &Map<String, Value>, keys: &[&'static str]) -> Result<()> {
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(crate::words::unknown(what, key, keys)),
        None => Ok(()),
    }
}

/// Returns 1 for an objective to minimise, -1 for one to maximise.
fn sign(objective: &Value) -> Result<f64> {
    let goal = match objective {
        Value::String(text) => match text.rsplit_once(':') {
            Some((_, goal)) => goal,
            None if sign_of(text).is_some() => text,
            None => return Ok(1.0),
        },
        Value::Object(fields) => {
            known("a key of an objective", fields, &["name", "metric", "direction", "goal"])?;
            match fields.get("direction").or_else(|| fields.get("goal")) {
                None | Some(Value::Null) => return Ok(1.0),
                Some(Value::String(goal)) => goal,
                Some(other) => {
                    return Err(Error::invalid("direction", format!("{other} is no text")));
                }
            }
        }
        other => return Err(Error::invalid("objectives", format!("{other} is no objective"))),
    };
    sign_of(goal).ok_or_else(|| {
        Error::invalid("direction", format!("\"{goal}\" is not known"))
            .with_hint("a direction is minimize or maximize")
    })
}

fn sign_of(goal: &str) -> Option<f64> {
    spec::goal(&goal.to_ascii_lowercase()).map(|goal| match goal {
        spec::Goal::Min => 1.0,
        spec::Goal::Max => -1.0,
    })
}

/// Writes what Python writes for numbers that JSON has not in the words of this protocol.
fn without_bare_words(line: &str) -> String {
    const WORDS: [(&str, &str); 3] =
        [("NaN", "null"), ("-Infinity", "\"-inf\""), ("Infinity", "\"inf\"")];
    let (mut text, mut rest) = (String::with_capacity(line.len()), line);
    let (mut in_text, mut escaped) = (false, false);
    while let Some(next) = rest.chars().next() {
        if !in_text
            && let Some((word, ours)) = WORDS.iter().find(|(word, _)| rest.starts_with(word))
        {
            text.push_str(ours);
            rest = &rest[word.len()..];
            continue;
        }
        in_text ^= next == '"' && !escaped;
        escaped = in_text && next == '\\' && !escaped;
        text.push(next);
        rest = &rest[next.len_utf8()..];
    }
    text
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Null => Some(f64::NAN),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "nan" => Some(f64::NAN),
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn whole(request: &Map<String, Value>, key: &str) -> Result<Option<u64>> {
    match request.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(Error::invalid(key, format!("{value} is no whole number"))),
        },
    }
}

fn texts(request: &Map<String, Value>, key: &str) -> Result<Vec<String>> {
    let list = match request.get(key) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => {
            list.iter().map(|text| text.as_str().map(String::from)).collect()
        }
        Some(_) => None,
    };
    list.ok_or_else(|| Error::invalid(key, "is no list of texts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(requests: &[u8]) -> Vec<Value> {
        let mut output = Vec::new();
        serve(requests, &mut output).expect("memory can be read and written");
        let text = String::from_utf8(output).expect("replies are texts");
        text.lines().map(|line| serde_json::from_str(line).expect("replies are JSON")).collect()
    }

    #[test]
    fn a_line_that_is_no_text_is_answered_and_the_next_one_is_heard() {
        let init = br#"{"op": "init", "space": {"x": [1, 2]}}"#;
        let replies = replies(&[b"\xff\xfe{}\n".as_slice(), init, b"\n{\"op\": \"ask\"}"].concat());
        assert_eq!(replies.len(), 3);
        assert_eq!(replies[0]["error"], "request: is not UTF-8 text");
        assert_eq!(replies[1]["ok"], true);
        assert_eq!(replies[2]["trials"][0]["id"], 0);
    }

    #[test]
    fn an_init_with_a_key_it_does_not_have_is_refused() {
        for (key, told) in [
            ("budjet", "did you mean \"budget\"?"),
            ("strategy", "options.algorithm"),
            ("settings", "stand in options"),
        ] {
            let mut request = json!({"op": "init", "space": {"x": [1, 2]}});
            request[key] = json!(3);
            let reply = &replies(request.to_string().as_bytes())[0]["error"];
            let error = reply.as_str().unwrap_or_default();
            assert!(error.contains(key) && error.contains(told), "{reply}");
        }
        let whole = br#"{"op": "init", "protocol": 1, "space": {"params": [{"name": "x", "type": "real",
            "low": 0, "high": 1}], "conditions": []}, "objectives": [{"name": "y0", "direction": "minimize"}],
            "budget": 100, "max_epoch": null, "epoch_budget": null, "seed": 3, "workers": 1, "options": {}}"#;
        let line: Vec<u8> = whole.iter().copied().filter(|byte| *byte != b'\n').collect();
        assert_eq!(replies(&line)[0]["ok"], true);
    }

    /// The mean of the last ten of 30 trials of x in 0 to 1 that are worth x.
    fn found(objectives: &Value) -> std::result::Result<f64, String> {
        let init = json!({"op": "init", "space": {"x": {"type": "real", "low": 0, "high": 1}}, "objectives": objectives,
                          "options": {"algorithm": "tpe"}, "budget": 30});
        let mut session = None;
        let mut send = |request: Value| {
            answer(&mut session, &request.to_string()).map(|reply| reply.expect("a reply"))
        };
        send(init).map_err(|error| error.to_string())?;
        let mut sum = 0.0;
        for at in 0..30 {
            let reply = send(json!({"op": "ask"})).expect("a trial");
            let x = reply["trials"][0]["params"]["x"].as_f64().expect("a number");
            sum += if at < 20 { 0.0 } else { x / 10.0 };
            send(json!({"op": "tell", "trials": [{"id": at, "value": x}]})).expect("told");
        }
        Ok(sum)
    }

    #[test]
    fn a_goal_is_read_in_every_spelling_and_never_guessed() {
        for large in [
            json!([{"name": "y", "direction": "maximize"}]),
            json!([{"metric": "y", "goal": "max"}]),
            json!(["acc:max"]),
            json!(["Maximise"]),
        ] {
            assert!(found(&large).expect("found") > 0.6, "{large}");
        }
        for small in [json!([{"name": "y"}]), json!(["loss:min"]), json!(["loss"]), Value::Null] {
            assert!(found(&small).expect("found") < 0.4, "{small}");
        }
        for (bad, why) in [
            (json!([{"goal": "sideways"}]), "\"sideways\" is not known"),
            (json!([{"minimize": false}]), "minimize"),
            (json!([7]), "7 is no objective"),
            (json!(["loss:up"]), "\"up\" is not known"),
            (json!([{"direction": 1}]), "1 is no text"),
        ] {
            let error = found(&bad).expect_err("refused");
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn a_trial_is_told_once_and_how_it_failed_is_said_by_its_status() {
        let init = br#"{"op": "init", "space": {"x": {"type": "real", "low": 0, "high": 1}}}"#;
        let rest = [
            r#"{"op": "ask", "n": 5}"#,
            r#"{"op": "tell", "trials": [{"id": 0, "values": [0.5]}]}"#,
            r#"{"op": "tell", "trials": [{"id": 0, "values": [0.4]}]}"#,
            r#"{"op": "tell", "trials": [{"id": 1, "values": [1]}, {"id": 1, "values": [2]}]}"#,
            r#"{"op": "tell", "trials": [{"id": 1, "failed": true}]}"#,
            r#"{"op": "tell", "trials": [{"id": 1, "values": null}]}"#,
            r#"{"op": "tell", "trials": [{"id": 1, "values": [1, 2]}]}"#,
            r#"{"op": "tell", "trials": [{"id": 1, "status": "failed"}]}"#,
            r#"{"op": "tell", "trials": [{"id": 2, "values": [NaN]}, {"id": 3, "values": [-Infinity]}]}"#,
            r#"{"op": "tell", "id": 4, "values": [1]}"#,
            r#"{"op": "ask", "count": 9}"#,
            r#"{"op": "tell", "trials": [{"id": 4, "value": "abc"}]}"#,
            r#"{"op": "tell", "trials": [{"id": 4, "curve": [0.9, 0.25]}]}"#,
        ];
        let lines: Vec<&[u8]> = std::iter::once(init.as_slice())
            .chain(rest.iter().flat_map(|line| [b"\n".as_slice(), line.as_bytes()]))
            .collect();
        let replies = replies(&lines.concat());
        let error = |at: usize| replies[at]["error"].as_str().unwrap_or_default();
        assert_eq!(replies[2]["ok"], true);
        assert_eq!(error(3), "trial 0: was told already");
        assert_eq!(error(4), "trial 1: is told twice");
        assert!(error(5).contains(r#"say "status": "failed""#), "{}", error(5));
        assert!(error(6).contains("has no values"), "{}", error(6));
        assert_eq!(error(7), "trial 1: has 2 values, objectives there are 1");
        assert_eq!(replies[8]["ok"], true);
        assert_eq!(replies[9]["ok"], true, "{}", replies[9]);
        assert!(error(10).contains("is no list"), "{}", error(10));
        assert!(error(11).contains("count"), "{}", error(11));
        assert_eq!(error(12), "trial 4: \"abc\" is no number");
        assert_eq!(replies[13]["ok"], true, "{}", replies[13]);
    }

    #[test]
    fn bare_words_are_read_where_they_are_no_text() {
        let line = r#"{"a": [NaN, -Infinity, Infinity], "NaN": "Infinity \" NaN", "b": "\\"}"#;
        let ours = r#"{"a": [null, "-inf", "inf"], "NaN": "Infinity \" NaN", "b": "\\"}"#;
        assert_eq!(without_bare_words(line), ours);
    }

    #[test]
    fn more_trials_than_fit_a_reply_are_refused() {
        let init = br#"{"op": "init", "space": {"x": {"type": "real", "low": 0, "high": 1}}}"#;
        let replies =
            replies(&[init.as_slice(), b"\n{\"op\": \"ask\", \"n\": 1000000000000}"].concat());
        let error = replies[1]["error"].as_str().unwrap_or_default();
        assert!(error.contains("1000000000000 is more than 100000"), "{error}");
    }
}
