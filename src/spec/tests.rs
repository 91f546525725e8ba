//! What specs mean: every form once, in both languages.

use super::*;
use crate::error::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Files that exist only in a test.
pub struct Shelf(pub BTreeMap<&'static str, String>);

impl Files for Shelf {
    fn read(&self, path: &str) -> std::io::Result<String> {
        self.0.get(path).cloned().ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    fn is_file(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn is_dir(&self, path: &str) -> bool {
        self.0.keys().any(|file| file.starts_with(&format!("{path}/")))
    }

    fn folder(&self) -> String {
        "/home/ada".into()
    }
}

pub fn shelf() -> Shelf {
    let files = [
        ("train.py", ""),
        ("prep.py", ""),
        ("sub/train.py", ""),
        ("base.yaml", "train_config: {lr: 0.1, wd: 0}\nmodel_config: {width: 8}\nflat: 1\n"),
        ("flat.json", "{\"lr\": 0.1, \"seed\": 3}"),
        ("a/net.v1.yaml", "lr: 1e-3\n"),
        ("b/net.v1.toml", "lr = 0.5\nday = 2026-01-02\n"),
        ("other.yml", "lr: 2\n"),
        ("broken.yaml", "a: [1\n"),
        ("list.yaml", "- 1\n"),
    ];
    Shelf(files.into_iter().map(|(path, text)| (path, text.to_owned())).collect())
}

fn plan(text: &str) -> Plan {
    plan_as(text, "dir/digits.yaml", &[]).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn plan_as(text: &str, origin: &str, overrides: &[&str]) -> Result<Plan> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let plan = parse(text, origin, &overrides, &shelf())?;
    let stored = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), plan, "the plan survives JSON");
    Ok(plan)
}

const SEARCH: &str = r#"
name: "quotes ' and ; rm -rf / é"
purpose: does it learn
project: digits
command: python3 train.py --lr {lrate} --act {act} --seed {seed} '--note=a b'
seeds: 3
metric: {name: test_accuracy, goal: max, from: best}
search:
  strategy: random
  trials: 12
  seed: 7
  batch: 4
  space:
    lrate: {type: real, low: 1.0e-3, high: 1, prior: log}
    act: [relu, tanh]
resources: {cores: 2, gpus: 1, memory: 1.5GiB, time: 00:10:00}
retries: 2
workers: 4
env: {A: b, N: 3, T: true}
report: true
"#;

#[test]
fn a_search_says_all_of_it() {
    let plan = plan(SEARCH);
    assert_eq!(plan.name, "quotes ' and ; rm -rf / é");
    assert_eq!(plan.kind, Kind::HyperparameterSearch);
    let words = ["python3", "train.py", "--lr", "{lrate}", "--act", "{act}", "--seed", "{seed}"];
    let words = words.iter().chain(&["--note=a b"]).map(|word| (*word).to_owned()).collect();
    assert_eq!(plan.launch, Launch::Template(words));
    assert_eq!(
        (plan.seeds.as_slice(), plan.seed_default, plan.pass_seed),
        ([0, 1, 2].as_slice(), false, true)
    );
    let objective =
        Objective { metric: "test_accuracy".into(), goal: Goal::Max, from: ValueFrom::Best };
    assert_eq!(plan.objectives, [objective]);
    let search = plan.search.as_ref().unwrap();
    assert_eq!((search.trials, search.batch, search.seed), (Some(12), Some(4), 7));
    let space = json!({
        "lrate": {"type": "real", "low": 1.0e-3, "high": 1, "prior": "log"},
        "act": {"type": "categorical", "choices": ["relu", "tanh"]},
    });
    assert_eq!(search.space, space);
    let needs = Resources { cores: 2, gpus: 1, memory_mib: Some(1536), time_ms: Some(600_000) };
    assert_eq!(plan.resources, needs);
    assert_eq!((plan.retries, plan.workers, plan.report), (2, Some(4), true));
    assert_eq!(plan.env["A"], "b");
    assert_eq!((&*plan.env["N"], &*plan.env["T"]), ("3", "true"));
    assert_eq!(plan.warnings, Vec::<String>::new());
    assert!(plan.configs.is_empty());
}

#[test]
fn json_and_toml_say_the_same() {
    let yaml =
        plan_as("script: train.py\nargs: {k: 1}\nseeds: [3, 1]\nmetric: loss\n", "x.yaml", &[]);
    let json = plan_as(
        r#"{"script": "train.py", "args": {"k": 1}, "seeds": [3, 1], "metric": "loss"}"#,
        "x.json",
        &[],
    );
    let toml = plan_as(
        "script = \"train.py\"\nseeds = [3, 1]\nmetric = \"loss\"\n[args]\nk = 1\n",
        "x.toml",
        &[],
    );
    let yaml = yaml.unwrap();
    assert_eq!(json.unwrap(), yaml);
    assert_eq!(toml.unwrap(), yaml);
    assert_eq!(yaml.name, "x");
    assert_eq!(yaml.seeds, [3, 1]);
    assert_eq!(yaml.kind, Kind::MultipleConfigs);
    let args = vec![("k".to_owned(), "1".to_owned())];
    assert_eq!(yaml.launch, Launch::Script { script: "train.py".into(), args });
    let same = plan_as("script: train.py\nargs: {k: 1}\nseeds: [3, 1]\nmetric: loss\n", "x", &[]);
    assert_eq!(same.unwrap(), yaml, "without an extension it is YAML");
}

#[test]
fn a_single_config_is_the_base() {
    let plan = plan("command: [run, '{train_config/lr}', '{config}']\nbase: base.yaml\n");
    assert_eq!(plan.kind, Kind::SingleConfig);
    assert_eq!(plan.configs.len(), 1);
    assert_eq!(plan.configs[0].name, "base");
    assert_eq!(plan.configs[0].params["model_config"], json!({"width": 8}));
    assert_eq!((plan.seeds, plan.seed_default, plan.pass_seed), (vec![0], true, false));
}

#[test]
fn configs_are_named_after_their_files_and_lie_on_the_base() {
    let plan = plan(
        "script: train.py\nconfigs: [a/net.v1.yaml, b/net.v1.toml, other.yml, {lr: 9, deep: {x: 1}}]\n\
         base: {wd: 1, deep: {y: 2}}\nseeds: 2\n",
    );
    let names: Vec<&str> = plan.configs.iter().map(|config| config.name.as_str()).collect();
    assert_eq!(names, ["a_net.v1", "b_net.v1", "other", "config_4"]);
    let params: Vec<Value> =
        plan.configs.iter().map(|config| Value::Object(config.params.clone())).collect();
    assert_eq!(params[0], json!({"wd": 1, "deep": {"y": 2}, "lr": 0.001}));
    assert_eq!(params[1]["day"], json!("2026-01-02"));
    assert_eq!(params[3], json!({"wd": 1, "deep": {"y": 2, "x": 1}, "lr": 9}));
    assert_eq!(plan.kind, Kind::MultipleConfigs);
}

#[test]
fn yaml_words_stay_words() {
    let plan = plan(
        "command: [x, '{config}']\nbase: {a: yes, b: no, c: on, d: 1e-3, e: .inf, f: true, g: 00:10:00}\n",
    );
    let expected = json!({"a": "yes", "b": "no", "c": "on", "d": 0.001, "e": ".inf", "f": true, "g": "00:10:00"});
    assert_eq!(Value::Object(plan.configs[0].params.clone()), expected);
    assert_eq!(plan.warnings, ["`e` in `config` reaches the script as the text \".inf\""]);
}

#[test]
fn every_kind_of_parameter_has_a_full_form() {
    let plan = plan(
        "command: [x, '{config}']\nmetric: loss\nsearch:\n  trials: 2\n  strategy: sobol\n  space:\n\
         \x20   opt: {type: categorical, choices: [sgd, adam]}\n\
         \x20   opt_args/beta: {type: real, low: 0.5, high: 0.9, when: {opt: adam}}\n\
         \x20   n: {type: integer, low: 1, high: 9, step: 2}\n\
         \x20   size: {type: ordinal, choices: [s, m, l]}\n\
         \x20   flip: {type: boolean}\n\
         \x20   k: 3\n",
    );
    let search = plan.search.unwrap();
    let expected = json!({
        "opt": {"type": "categorical", "choices": ["sgd", "adam"]},
        "opt_args/beta": {"type": "real", "low": 0.5, "high": 0.9, "prior": "uniform", "when": {"opt": "adam"}},
        "n": {"type": "integer", "low": 1, "high": 9, "prior": "uniform", "step": 2},
        "size": {"type": "ordinal", "choices": ["s", "m", "l"]},
        "flip": {"type": "boolean"},
        "k": {"type": "fixed", "value": 3},
    });
    assert_eq!(search.space, expected);
    let proposal = json!({"opt": "adam", "opt_args/beta": 0.6});
    let config = search.config(&plan.base, proposal.as_object().unwrap());
    assert_eq!(Value::Object(config), json!({"opt": "adam", "opt_args": {"beta": 0.6}}));
}

#[test]
fn a_grid_needs_no_trials() {
    let plan = plan(
        "command: [x, '{a}', '{b}']\nmetric: [loss, {name: time, from: mean}]\n\
         search: {strategy: grid, space: {a: {type: real, low: 0, high: 1, bins: 3}, b: {type: integer, low: 1, high: 3}}}\n",
    );
    assert_eq!(plan.search.unwrap().trials, None);
    assert_eq!(plan.objectives.len(), 2);
}

#[test]
fn overrides_change_the_document_first() {
    let overrides =
        ["search.trials=3", "search.space.lrate.high=0.5", "name=new", "seeds=[4, 5]", "env.B=x=y"];
    let plan = plan_as(SEARCH, "s.yaml", &overrides).unwrap();
    let search = plan.search.unwrap();
    assert_eq!(search.trials, Some(3));
    assert_eq!(search.space["lrate"]["high"], json!(0.5));
    assert_eq!((plan.name.as_str(), plan.seeds), ("new", vec![4, 5]));
    assert_eq!(plan.env["B"], "x=y");
    let listed = "script: train.py\nconfigs: [{lr: 1}, {lr: 2}]\n";
    let plan = plan_as(listed, "s.yaml", &["configs.1.lr=7"]).unwrap();
    assert_eq!(plan.configs[1].params["lr"], json!(7));
}

#[test]
fn what_nobody_reads_is_warned_of() {
    let plan =
        plan("command: [x, '{a}']\nseeds: 2\nsearch: {trials: 1, space: {a: [1, 2], b: [1, 2]}}\n");
    let text = plan.warnings.join("\n");
    for part in ["neither {b} nor {config}: it must read MLE_PARAMS", "MLE_SEED", "no `metric`"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("{a}"));
}

#[test]
fn jobs_before_and_after() {
    let plan = plan(
        "command: [x]\nbefore: {script: prep.py, args: {data: raw}}\nvenv: .venv\n\
         after: {command: 'plot {exp_dir}', resources: {cores: 2}}\ncwd: sub\n"
            .replace("prep.py", "train.py")
            .as_str(),
    );
    let before = plan.before.unwrap();
    let args = vec![("data".to_owned(), "raw".to_owned())];
    assert_eq!(before.launch, Launch::Script { script: "train.py".into(), args });
    assert_eq!(before.activate, Activate::Venv(".venv".into()));
    assert_eq!(plan.after.unwrap().resources.cores, 2);
}

#[test]
fn a_plain_command_comes_back_word_for_word() {
    let argv: Vec<String> = ["echo", "{a}", "}{", "x y"].map(str::to_owned).into();
    let plan = for_command(argv.clone(), "echo");
    assert_eq!((plan.kind, plan.pass_seed, plan.configs.len()), (Kind::Command, false, 1));
    let Launch::Template(words) = &plan.launch else { panic!("a template") };
    assert_eq!(fill(words, &plan.configs[0].params, 0, None, "").unwrap(), argv);
    assert_eq!(serde_json::to_value(plan.kind).unwrap(), json!("command"));
}

const TOOLBOX: &str = r#"
meta_job_args: {project_name: demo, experiment_type: hyperparameter-search, base_train_fname: train.py,
                base_train_config: base.yaml, experiment_dir: experiments/demo, report_generation: true}
param_search_args:
  search_logging:   {reload_log: false, max_objective: false, aggregate_seeds: p50, problem_type: best, eval_metrics: [test_loss]}
  search_resources: {num_search_batches: 5, num_evals_per_batch: 4, num_seeds_per_eval: 2, random_seeds: [11, 2]}
  search_config:
    search_type: Random
    search_schedule: sync
    search_params:
      real: {lrate: {begin: 1.0e-4, end: "1e-1", prior: log-uniform}}
      categorical: {"model:act": [relu, tanh, relu], "train:opt/name": [sgd, adam]}
      integer: {n: {begin: 2, end: 2, prior: uniform}}
    search_config: {refine_after: 5}
single_job_args: {job_name: demo, num_logical_cores: 2, num_gpus: 0, time_per_job: "00:01:00", env_name: myenv,
                  use_conda_venv: true, partition: gpu, memory_per_cpu: 500, extra_cmd_line_input: {deep: true, k: 2, n: null}, num_gpu: 1}
pre_processing_args:  {processing_fname: prep.py, processing_job_args: {num_logical_cores: 1}, extra_cmd_line_input: {data: raw}}
post_processing_args: {processing_fname: train.py, processing_job_args: {}, extra_cmd_line_input: {figures_dir: figures}}
"#;

#[test]
fn a_toolbox_search_runs_unchanged() {
    let plan = plan(TOOLBOX);
    assert_eq!((plan.name.as_str(), plan.project.as_str()), ("demo", "demo"));
    assert_eq!(plan.kind, Kind::HyperparameterSearch);
    assert_eq!(plan.experiment_dir.as_deref(), Some("experiments/demo"));
    assert_eq!((&plan.seeds, plan.aggregate, plan.report), (&vec![11, 2], Aggregate::P50, true));
    let objective =
        Objective { metric: "test_loss".into(), goal: Goal::Min, from: ValueFrom::Best };
    assert_eq!(plan.objectives, [objective]);
    let args = vec![
        ("deep".to_owned(), "True".to_owned()),
        ("k".to_owned(), "2".to_owned()),
        ("n".to_owned(), "None".to_owned()),
    ];
    assert_eq!(plan.launch, Launch::Script { script: "train.py".into(), args });
    let needs = Resources { cores: 2, gpus: 0, memory_mib: Some(1000), time_ms: Some(3_600_000) };
    assert_eq!(plan.resources, needs);
    assert_eq!(plan.activate, Activate::Conda("myenv".into()));
    let search = plan.search.as_ref().unwrap();
    assert_eq!(
        (search.strategy.as_str(), search.trials, search.batch),
        ("random", Some(20), Some(4))
    );
    let space = json!({
        "lrate": {"type": "real", "low": 1.0e-4, "high": 0.1, "prior": "log"},
        "model:act": {"type": "categorical", "choices": ["relu", "tanh"]},
        "train:opt/name": {"type": "categorical", "choices": ["sgd", "adam"]},
        "n": {"type": "fixed", "value": 2},
    });
    assert_eq!(search.space, space);
    let proposal = json!({"lrate": 0.01, "model:act": "relu", "train:opt/name": "sgd", "n": 2});
    let config = search.config(&plan.base, proposal.as_object().unwrap());
    let expected = json!({
        "train_config": {"lr": 0.1, "wd": 0, "lrate": 0.01, "opt": {"name": "sgd"}, "n": 2},
        "model_config": {"width": 8, "act": "relu"},
        "flat": 1,
    });
    assert_eq!(Value::Object(config), expected);
    let Launch::Script { args, .. } = plan.before.unwrap().launch else { panic!("a script") };
    assert_eq!(args, [("data".to_owned(), "raw".to_owned())]);
    let text = plan.warnings.join("\n");
    for part in [
        "`single_job_args.partition` has no effect on this machine",
        "`single_job_args.num_gpu` is ignored; did you mean `num_gpus`?",
        "names a choice twice",
        "search_config.search_config.refine_after` has no effect",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_toolbox_grid_with_async_schedule() {
    let text = "
meta_job_args: {project_name: 7, experiment_type: hyperparameter-search, base_train_fname: train.py,
                base_train_config: flat.json, experiment_dir: e}
single_job_args: {num_logical_cores: 1, use_venv_venv: yes, env_name: v}
param_search_args:
  search_logging: {eval_metrics: acc}
  search_resources: {num_total_evals: 9, max_running_jobs: 3}
  search_config:
    search_schedule: async
    search_params: {real: {lr: {begin: 0, end: 1, bins: 3}}, integer: {k: {begin: 1, end: 3, bins: 3}}}
";
    let plan = plan(text);
    let search = plan.search.as_ref().unwrap();
    assert_eq!((search.strategy.as_str(), search.trials, search.batch), ("grid", Some(9), None));
    assert_eq!(search.targets["lr"], "lr");
    assert_eq!((plan.workers, plan.seed_default, &plan.seeds), (Some(3), true, &vec![0]));
    assert_eq!(plan.objectives[0].goal, Goal::Max);
    assert_eq!(plan.activate, Activate::Venv("v".into()));
    assert_eq!((plan.project.as_str(), plan.name.as_str()), ("7", "digits"));
}

#[test]
fn toolbox_single_and_multiple_configs() {
    let meta = "meta_job_args: {project_name: p, experiment_type: KIND, base_train_fname: train.py, \
                base_train_config: base.yaml, experiment_dir: e}\nsingle_job_args: {num_logical_cores: 1}\n";
    let single = plan(&meta.replace("KIND", "single-config"));
    assert_eq!((single.kind, single.pass_seed, single.seeds), (Kind::SingleConfig, false, vec![0]));
    assert_eq!((single.configs.len(), single.configs[0].name.as_str()), (1, "base"));
    let meta = meta.replace("KIND", "multiple-configs");
    let args = "multi_config_args: {config_fnames: [a/net.v1.yaml, other.yml], num_seeds: 2}\n";
    let multiple = plan(&format!("{meta}{args}"));
    assert_eq!((multiple.kind, multiple.pass_seed), (Kind::MultipleConfigs, true));
    assert_eq!((multiple.configs.len(), multiple.seeds), (2, vec![0, 1]));
    assert_eq!(multiple.configs[0].params["lr"], json!(0.001));
}

#[test]
fn the_real_disk_is_seen_from_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.py"), "").unwrap();
    std::fs::write(folder.path().join("c.json"), "{\"lr\": 1}").unwrap();
    std::fs::create_dir(folder.path().join("d")).unwrap();
    let disk = Disk { folder: folder.path().into() };
    let plan = parse("script: t.py\nconfigs: c.json\n", "s.yaml", &[], &disk).unwrap();
    assert_eq!(plan.configs[0].params["lr"], json!(1));
    assert!(disk.is_dir("d") && !disk.is_file("d"));
    assert!(disk.read("d").is_err() && disk.read("/dev/zero").is_err());
    let error = parse("script: u.py\n", "s.yaml", &[], &disk).unwrap_err();
    assert!(error.hint().unwrap().contains(&disk.folder()));
}

#[test]
fn equal_names_of_configs_are_told_apart() {
    let mut shelf = shelf();
    for path in ["x/c.yaml", "y/x/c.yaml", "c.json", "c_2.yaml"] {
        shelf.0.insert(path, "{\"a\": 1}".into());
    }
    let text = "script: train.py\nconfigs: [x/c.yaml, y/x/c.yaml, c.json, c_2.yaml]\n";
    let plan = parse(text, "s.yaml", &[], &shelf).unwrap();
    let names: Vec<&str> = plan.configs.iter().map(|config| config.name.as_str()).collect();
    assert_eq!(names, ["x_c", "x_c_2", "c", "c_2"]);
}

#[test]
fn yaml_merges_anchors_and_takes_any_scalar_as_a_key() {
    let plan = plan(
        "command: [x, '{config}']\r\nbase: {a: &a {x: 1, y: 2}, b: {<<: *a, y: 3}, 1: one, true: t}\r\n",
    );
    let expected = json!({"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "1": "one", "true": "t"});
    assert_eq!(Value::Object(plan.configs[0].params.clone()), expected);
}

#[test]
fn the_bell_priors_may_be_open() {
    let plan = plan(
        "command: [x, '{config}']\nmetric: loss\nsearch: {trials: 2, space: {a: {type: real, prior: normal, mean: 0, std: 2}, \
         b: {type: boolean, choices: [true]}}}\n",
    );
    let space = plan.search.unwrap().space;
    assert_eq!(space["a"], json!({"type": "real", "prior": "normal", "mean": 0, "std": 2}));
}

proptest::proptest! {
    /// Whatever is cut out of or put into a good spec, the answer is a plan or a sentence, never a panic.
    #[test]
    fn damaged_specs_are_answered(
        start in 0usize..900, length in 0usize..40, put in "[-\\[\\]{}:,.\"'&*!|>#% \n\ta-c0-9é]{0,6}", toolbox: bool,
    ) {
        let text: Vec<char> = if toolbox { TOOLBOX } else { SEARCH }.chars().collect();
        let start = start % text.len();
        let end = (start + length).min(text.len());
        let [before, after] = [&text[..start], &text[end..]].map(String::from_iter);
        let damaged = format!("{before}{put}{after}");
        let overrides = [put];
        for origin in ["s.yaml", "s.json", "s.toml"] {
            for overrides in [&overrides[..], &[]] {
                match parse(&damaged, origin, overrides, &shelf()) {
                    Ok(plan) => {
                        let stored = serde_json::to_string(&plan).unwrap();
                        proptest::prop_assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), plan);
                    }
                    Err(error) => {
                        let text = error.to_string();
                        proptest::prop_assert!(text.contains(origin) || text.contains("--set"), "{text}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_search_reads_every_space_that_passes() {
    for (text, n) in [(SEARCH, 2), (TOOLBOX, 4)] {
        let space = plan(text).search.unwrap().space;
        let read = crate::search::space::Space::parse(&space).unwrap();
        assert_eq!(read.params().len(), n);
    }
    let all = "command: [x, '{config}']\nmetric: loss\nsearch:\n  trials: 2\n  space:\n\
         \x20   o: {type: categorical, choices: [a, b]}\n\
         \x20   p/q: {type: real, low: 1, high: 2, prior: lognormal, when: {o: b}}\n\
         \x20   n: {type: integer, low: 1, high: 9, bins: 3}\n\
         \x20   r: {type: real, prior: normal, mean: 0, std: 1}\n\
         \x20   s: {type: ordinal, choices: [s, m]}\n\
         \x20   f: {type: boolean}\n    k: 3\n";
    let space = plan(all).search.unwrap().space;
    assert_eq!(crate::search::space::Space::parse(&space).unwrap().params().len(), 7);
}
