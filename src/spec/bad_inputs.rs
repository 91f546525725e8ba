//! What specs are refused for, and that the message names what is wrong.

use super::tests::shelf;
use super::*;

/// The whole message a user sees: place, reason and hint.
fn refusal(text: &str, origin: &str, overrides: &[&str]) -> String {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    match parse(text, origin, &overrides, &shelf()) {
        Ok(plan) => panic!("accepted: {text:.500}\n{plan:?}"),
        Err(error) => {
            assert_eq!(error.exit_code(), crate::error::exit::USAGE);
            format!("{error}\nhint: {}", error.hint().unwrap_or_default())
        }
    }
}

fn check(text: &str, origin: &str, overrides: &[&str], expected: &[&str]) {
    let message = refusal(text, origin, overrides);
    for part in expected {
        assert!(
            message.contains(part),
            "{part:?} is missing\nspec: {text:.500}\nmessage: {message}"
        );
    }
}

/// A spec with a search over `space`.
fn over(space: &str) -> String {
    format!("command: [x, '{{config}}']\nmetric: loss\nsearch:\n  trials: 3\n  space: {space}\n")
}

#[test]
fn broken_texts() {
    let deep = "[".repeat(5000);
    let nested = format!("{{\"a\": {}{}}}", "[".repeat(100), "]".repeat(100));
    for (origin, text, expected) in [
        ("s.yaml", "", "the document is empty"),
        ("s.yaml", "  \n# nothing\n", "the document is empty"),
        ("s.json", " ", "the document is empty"),
        ("s.toml", "# nothing\n", "the document has no keys"),
        ("s.json", "{}", "the document has no keys"),
        ("s.yaml", "- a\n", "must be a mapping of keys, not a list"),
        ("s.yaml", "word\n", "must be a mapping of keys"),
        ("s.json", "[1]", "must be a mapping of keys, not a list"),
        ("s.yaml", "a: 1\na: 2\n", "s.yaml:2:1"),
        ("s.yaml", "a: {b: 1, b: 2}\n", "the key `b` is given twice"),
        ("s.json", "{\"a\": 1,\n \"a\": 2}", "the key `a` is given twice"),
        ("s.json", "{\"a\": 1,\n \"a\": 2}", "s.json:2:"),
        ("s.toml", "a = 1\na = 2\n", "s.toml:2:1"),
        ("s.json", "{\"a\": }", "s.json:1:7"),
        ("s.json", "{\"a\": 1} x", "trailing"),
        ("s.json", "{\"a\": NaN}", "s.json:1:"),
        ("s.toml", "a = \n", "s.toml:1:"),
        ("s.yaml", "a: [1\nb: 2\n", "s.yaml:"),
        ("s.yaml", "a: \"x\n", "s.yaml:"),
        ("s.yaml", "a:\n\tb: 1\n", "s.yaml:2:"),
        ("s.yaml", "command: x\n---\ncommand: y\n", "s.yaml:3:1: there is a second document"),
        ("s.json", &deep, "s.json:1:"),
        ("s.json", &nested, "nested more than 64 levels"),
        ("s.yaml", &deep, "s.yaml:1:"),
    ] {
        check(text, origin, &[], &[expected]);
    }
}

#[test]
fn hostile_texts() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let below = format!("*a{}, ", i - 1).repeat(10);
        laughs += &format!("a{i}: &a{i} [{}]\n", below.trim_end_matches(", "));
    }
    check(&laughs, "s.yaml", &[], &["s.yaml:", "grow too large"]);
    let large = format!("name: {}\n", "x".repeat(SIZE_MAX_BYTES));
    check(&large, "s.yaml", &[], &["more than the 8388608 we read"]);
}

#[test]
fn own_language() {
    let long = format!("command: x\nname: {}\n", "x".repeat(201));
    let seeds = "command: x\nseeds: 100001\n";
    for (text, expected) in [
        ("command: x\nsedes: 3\n", "did you mean `seeds`?"),
        ("command: x\nbanana: 3\n", "unknown key `banana`"),
        ("command: x\nscript: train.py\n", "`command` and `script` exclude each other"),
        ("name: x\n", "neither `command` nor `script`"),
        ("command: ''\n", "command: the command is empty"),
        ("command: []\n", "the command is empty"),
        ("command: [[x]]\n", "command.0: must be a word"),
        ("command: {a: b}\n", "must be a text or a list of words"),
        ("command: \"x 'y\"\n", "a quote is not closed"),
        ("command: \"x \\0\"\n", "NUL"),
        ("command: x\nargs: {k: v}\n", "only goes with `script`"),
        ("script: train.py\nargs: {k: [v]}\n", "args.k: must be a text"),
        ("script: missing.py\n", "there is no file `missing.py`"),
        ("script: missing.py\n", "/home/ada"),
        ("script: prep.py\ncwd: sub\n", "there is no file `sub/prep.py`"),
        ("command: x\ncwd: nowhere\n", "cwd: there is no directory `nowhere`"),
        ("command: x\nname: ''\n", "name: the name is empty"),
        ("command: x\nname: 12\n", "put quotes around"),
        ("command: x\nname: \"a\\nb\"\n", "control character"),
        (&long, "201 characters"),
        ("command: x\nproject: ' '\n", "project: the name is empty"),
        ("command: x\nseeds: 0\n", "seeds: must be at least 1, not 0"),
        ("command: x\nseeds: -2\n", "at least 1, not -2"),
        (seeds, "at most 100000, not 100001"),
        ("command: x\nseeds: 1.5\n", "a whole number, not 1.5"),
        ("command: x\nseeds: []\n", "the list of seeds is empty"),
        ("command: x\nseeds: [1, 2, 1]\n", "the seed 1 is given twice"),
        ("command: x\nseeds: [a]\n", "must be whole numbers"),
        ("command: x\nseeds: many\n", "must be a whole number, not \"many\""),
        ("command: x\nmetric: {name: loss, goal: maxx}\n", "did you mean `max`?"),
        ("command: x\nmetric: {name: loss, from: first}\n", "unknown choice `first`"),
        ("command: x\nmetric: {goal: max}\n", "metric: the key `name` is missing"),
        ("command: x\nmetric: []\n", "the list of metrics is empty"),
        ("command: x\nmetric: [a, {name: a}]\n", "metric.1: the metric `a` is given twice"),
        ("command: x\nmetric: 3\n", "metric: must be the name of a metric"),
        ("command: x\naggregate: p51\n", "did you mean `p50`?"),
        ("command: x\nretries: 1001\n", "at most 1000"),
        ("command: x\nretries: -1\n", "at least 0"),
        ("command: x\nworkers: 0\n", "at least 1"),
        ("command: x\nreport: yes\n", "must be true or false, not \"yes\""),
        ("command: x\nresources: {cores: 0}\n", "resources.cores: must be at least 1"),
        ("command: x\nresources: {core: 1}\n", "did you mean `cores`?"),
        ("command: x\nresources: {memory: lots}\n", "resources.memory: must be an amount"),
        ("command: x\nresources: {memory: 0}\n", "more than no memory"),
        ("command: x\nresources: {time: 10:00}\n", "HH:MM:SS or DD:HH:MM:SS"),
        ("command: x\nresources: {time: 0s}\n", "more than no time"),
        ("command: x\nresources: {time: soon}\n", "resources.time: must be a time"),
        ("command: x\nresources: 3\n", "resources: must be a mapping, not 3"),
        ("command: x\nenv: {A=B: c}\n", "cannot be the name of an environment variable"),
        ("command: x\nenv: {A: [c]}\n", "env.A: must be a text"),
        ("command: x\nconda: a\nvenv: b\n", "`conda` and `venv` exclude each other"),
        ("command: x\nconda: 3.1\n", "put quotes around"),
        ("command: x\nbefore: {args: {}}\n", "before: there is neither"),
        ("command: x\nafter: {script: plot.py}\n", "after.script: there is no file"),
        ("command: x\nafter: {command: 'a {seed}'}\n", "only {exp_dir} is known"),
        ("command: x\nconfigs: []\n", "the list of configs is empty"),
        ("command: x\nconfigs: 3\n", "configs: must be a list"),
        ("command: x\nconfigs: [nope.yaml]\n", "cannot read the config file `nope.yaml`"),
        ("command: x\nconfigs: [other.yaml]\n", "there is `other.yml`"),
        ("command: x\nconfigs: [broken.yaml]\n", "broken.yaml:"),
        ("command: x\nconfigs: [list.yaml]\n", "list.yaml: the document must be a mapping"),
        ("command: x\nconfigs: [3]\n", "configs.0: must be a file name or a mapping"),
        ("command: x\nconfigs: [other.yml, other.yml]\n", "is listed twice"),
        ("command: x\nbase: [a]\n", "base: must be a file name or a mapping"),
        ("command: x {lr}\nbase: {lrate: 1}\n", "unknown placeholder {lr}"),
        ("command: x {lrat}\nbase: {lrate: 1}\n", "did you mean `lrate`?"),
        ("command: x {sed}\n", "did you mean `seed`?"),
        (
            "command: x {a}\nconfigs: [{a: 1}, {b: 1}]\n",
            "the config `config_2` has no value for {a}",
        ),
        ("command: [x, '{a']\n", "without `}`"),
        ("command: [x, 'a}']\n", "without `{`"),
        ("command: [x, '{}']\n", "a placeholder without a name"),
    ] {
        check(text, "s.yaml", &[], &["s.yaml", expected]);
    }
}

#[test]
fn searches() {
    for (text, expected) in [
        ("command: x\nsearch: {trials: 3}\n", "search: the key `space` is missing"),
        ("command: x\nsearch: {space: {a: [1]}}\n", "the key `trials` is missing"),
        ("command: x\nsearch: {trials: 0, space: {a: [1]}}\n", "search.trials: must be at least 1"),
        ("command: x\nsearch: {trials: 2000000, space: {a: [1]}}\n", "at most 1000000"),
        ("command: x\nseeds: 2\nsearch: {trials: 900000, space: {a: [1]}}\n", "1800000 runs"),
        (
            "command: x\nsearch: {strategy: randm, trials: 1, space: {a: [1]}}\n",
            "did you mean `random`?",
        ),
        ("command: x\nsearch: {strategy: magic, trials: 1, space: {a: [1]}}\n", "`halton`"),
        ("command: x\nsearch: {trails: 1, space: {a: [1]}}\n", "did you mean `trials`?"),
        (
            "command: x\nsearch: {trials: 1, space: {a: [1]}}\nconfigs: [{}]\n",
            "`search` and `configs` exclude",
        ),
        (
            "command: x\nsearch: {trials: 1, seed: -1, space: {a: [1]}}\n",
            "search.seed: must be at least 0",
        ),
        ("command: x\nsearch: {trials: 1, batch: 0, space: {a: [1]}}\n", "search.batch"),
        (
            "command: x\nsearch: {trials: 1, settings: 3, space: {a: [1]}}\n",
            "search.settings: must be a mapping",
        ),
        ("command: x\nsearch: random\n", "search: must be a mapping"),
        (
            "command: x\nsearch: {strategy: grid, space: {a: {type: real, low: 0, high: 1}}}\n",
            "search.space.a: a grid needs `bins`",
        ),
        (
            "command: 'x {lr}'\nsearch: {trials: 1, space: {lrate: [1]}}\n",
            "unknown placeholder {lr}",
        ),
        (
            "command: 'x {seed}'\nsearch: {trials: 1, space: {seed: [1]}}\n",
            "give the parameter another name",
        ),
        (
            "command: 'x {b}'\nsearch: {trials: 1, space: {a: [1, 2], b: {type: boolean, when: {a: 1}}}}\n",
            "is not there in every trial",
        ),
    ] {
        check(text, "s.yaml", &[], &["s.yaml", expected]);
    }
}

#[test]
fn spaces() {
    for (space, expected) in [
        ("{}", "search.space: the search space is empty"),
        ("[a]", "search.space: must be a mapping"),
        ("{a: []}", "search.space.a: the list of choices is empty"),
        ("{a: [1, 2, 1]}", "the choice 1 is given twice"),
        ("{a: [1, 1.0]}", "given twice"),
        ("{a: }", "the parameter has no description"),
        ("{'': [1]}", "the name is empty"),
        ("{a//b: [1]}", "between slashes is empty"),
        ("{a: [1], a/b: [1]}", "lies inside the parameter `a`"),
        ("{a: {low: 0, high: 1}}", "the key `type` is missing"),
        ("{a: {type: reel, low: 0, high: 1}}", "did you mean `real`?"),
        ("{a: {type: real, low: 0, high: 1, prior: lgo}}", "did you mean `log`?"),
        ("{a: {type: real, low: 0, high: 1, hihg: 2}}", "did you mean `high`?"),
        ("{a: {type: real, low: 0}}", "the key `high` is missing"),
        ("{a: {type: real, low: 1, high: 0}}", "low must be less than high, not 1 and 0"),
        ("{a: {type: real, low: 1, high: 1}}", "low must be less than high"),
        ("{a: {type: real, low: .nan, high: 1}}", "a.low: must be a finite number, not .nan"),
        ("{a: {type: real, low: 0, high: .inf}}", "must be a finite number, not .inf"),
        ("{a: {type: real, low: 0, high: 1e999}}", "must be a finite number"),
        ("{a: {type: real, low: -1.7e308, high: 1.7e308}}", "is too wide"),
        ("{a: {type: real, low: '0', high: 1}}", "remove the quotes"),
        ("{a: {type: real, low: zero, high: 1}}", "must be a number, not \"zero\""),
        ("{a: {type: real, low: 0, high: 1, prior: log}}", "must be above 0"),
        ("{a: {type: real, low: -1, high: 1, prior: lognormal}}", "must be above 0"),
        ("{a: {type: real, low: 0, prior: normal}}", "needs both bounds, or `mean` and `std`"),
        ("{a: {type: real, mean: 0, std: 0, prior: normal}}", "std: must be above 0"),
        ("{a: {type: real, low: 0, high: 1, mean: 0}}", "only goes with the priors"),
        ("{a: {type: integer, mean: 0, std: 1, prior: normal}}", "the key `low` is missing"),
        ("{a: {type: integer, low: 0, high: 99999999999999999}}", "2^53"),
        (
            "{a: {type: real, low: 1e-300, high: 1e-300}}",
            "low must be less than high, not 1e-300 and 1e-300",
        ),
        ("{a: {type: boolean, choices: [true, 3]}}", "neither true nor false"),
        ("{a: {type: real, low: 0, high: 1, bins: 0}}", "bins: must be at least 1"),
        ("{a: {type: real, low: 0, high: 1, bins: 2.5}}", "bins: must be a whole number"),
        ("{a: {type: real, low: 0, high: 1, step: -1}}", "step: must be above 0"),
        ("{a: {type: real, low: 0, high: 1, step: 0.1, bins: 3}}", "exclude each other"),
        ("{a: {type: integer, low: 0.5, high: 3}}", "low: must be a whole number"),
        ("{a: {type: categorical}}", "the key `choices` is missing"),
        ("{a: {type: categorical, choices: x}}", "choices: must be a list"),
        ("{a: {type: ordinal, choices: [x]}}", "at least 2 choices"),
        ("{a: {type: fixed}}", "the key `value` is missing"),
        ("{a: {type: boolean, low: 1}}", "unknown key `low`"),
        ("{a: [1], b: {type: boolean, when: {c: 1}}}", "unknown parameter `c`"),
        ("{a: [1], b: {type: boolean, when: {a: 2}}}", "`a` is never 2"),
        ("{a: [1], b: {type: boolean, when: {}}}", "the condition is empty"),
        (
            "{a: {type: boolean, when: {b: true}}, b: {type: boolean, when: {a: true}}}",
            "in a circle",
        ),
        ("{a: {type: boolean, when: {a: true}}}", "in a circle"),
    ] {
        check(&over(space), "s.yaml", &[], &["s.yaml: search.space", expected]);
    }
}

#[test]
fn overrides() {
    for (text, expected) in [
        ("seeds", "there is no `=`"),
        ("=3", "a key of the path is empty"),
        ("a..b=3", "a key of the path is empty"),
        ("seeds=[1", "--set seeds=[1: unclosed"),
        ("command.x=3", "it has no key `x`"),
        ("configs.7.a=3", "`7` is not in it"),
        (&format!("{}x=1", "a.".repeat(100_000)), "more than 64"),
        ("sedes=3", "did you mean `seeds`?"),
        ("seeds=0", "must be at least 1"),
    ] {
        check("command: x\nconfigs: [{a: 1}]\n", "s.yaml", &[text], &[expected]);
    }
}

#[test]
fn toolbox_files() {
    let good = "
meta_job_args: {project_name: p, experiment_type: hyperparameter-search, base_train_fname: train.py, base_train_config: base.yaml, experiment_dir: e}
single_job_args: {num_logical_cores: 1}
param_search_args:
  search_logging: {eval_metrics: acc}
  search_resources: {num_search_batches: 2, num_evals_per_batch: 2}
  search_config: {search_type: Random, search_schedule: sync, search_params: {real: {lr: {begin: 1, end: 2}}}}
";
    assert!(parse(good, "t.yaml", &[], &shelf()).is_ok());
    for (old, new, expected) in [
        ("project_name: p, ", "", "meta_job_args: the key `project_name` is missing"),
        ("hyperparameter-search", "hyperparameter-serch", "did you mean `hyperparameter-search`?"),
        ("hyperparameter-search", "population-based-training", "meta_job_args.experiment_type"),
        ("hyperparameter-search", "multiple-configs", "the key `multi_config_args` is missing"),
        ("train.py", "trian.py", "meta_job_args.base_train_fname: there is no file `trian.py`"),
        ("base.yaml", "bass.yaml", "meta_job_args.base_train_config: cannot read"),
        ("base.yaml", "[base.yaml, flat.json]", "several base configs"),
        (", experiment_dir: e", "", "the key `experiment_dir` is missing"),
        ("single_job_args: {num_logical_cores: 1}", "", "the key `single_job_args` is missing"),
        ("num_logical_cores: 1", "num_logical_cores: 0", "at least 1"),
        (
            "num_logical_cores: 1",
            "time_per_job: '1:2'",
            "single_job_args.time_per_job: must be days",
        ),
        ("num_logical_cores: 1", "use_conda_venv: true", "`env_name` is missing"),
        (
            "num_logical_cores: 1",
            "extra_cmd_line_input: [a]",
            "extra_cmd_line_input: must be a mapping",
        ),
        ("eval_metrics: acc", "max_objective: false", "the key `eval_metrics` is missing"),
        ("eval_metrics: acc", "eval_metrics: []", "the list of metrics is empty"),
        ("eval_metrics: acc", "eval_metrics: a, problem_type: last", "unknown problem type `last`"),
        ("eval_metrics: acc", "eval_metrics: a, aggregate_seeds: median", "unknown aggregate"),
        (
            "num_evals_per_batch: 2",
            "num_evals_per_batch: 0",
            "num_evals_per_batch: must be at least 1",
        ),
        ("num_evals_per_batch: 2", "num_evals_per_batch: [1]", "a list of 2"),
        (", num_evals_per_batch: 2", "", "the schedule `sync` needs"),
        ("schedule: sync", "schedule: async", "the key `num_total_evals` is missing"),
        ("schedule: sync", "schedule: snyc", "did you mean `sync`?"),
        (
            "search_type: Random",
            "search_type: SMBO, search_config: {base_estimator: tree}",
            "surrogate \"tree\" is not rf, et, gbrt or gp",
        ),
        ("search_type: Random", "search_type: PBT", "the key `search_config` is missing"),
        ("search_type: Random", "search_type: Randm", "did you mean `Random`?"),
        ("search_type: Random", "search_type: Grid", "the key `bins` is missing"),
        ("real: {lr: {begin: 1, end: 2}}", "reel: {}", "unknown key `reel`"),
        ("real: {lr: {begin: 1, end: 2}}", "", "the search space is empty"),
        ("begin: 1", "begin: 3", "begin must not be above end"),
        ("begin: 1, end: 2", "begin: 0, end: 2, prior: log-uniform", "must be above 0"),
        ("begin: 1, end: 2", "begin: 1, end: 2, prior: log", "unknown prior `log`"),
        ("begin: 1", "begin: x", "a finite number"),
        ("real: {lr: {begin: 1, end: 2}}", "integer: {lr: {begin: 1.5, end: 2}}", "a whole number"),
        ("real: {lr", "categorical: {lr: [1]}, real: {lr", "described twice"),
        (
            "real: {lr",
            "real: {'train:lr': {begin: 1, end: 2}, lr",
            "set the same key `train_config/lr`",
        ),
        ("real: {lr", "real: {'log:lr': {begin: 1, end: 2}, lr", "unknown section `log`"),
    ] {
        assert!(good.contains(old), "{old}");
        check(&good.replace(old, new), "t.yaml", &[], &["t.yaml", expected]);
    }
}
