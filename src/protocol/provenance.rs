//! Where an experiment comes from: the code, the command and the machine.
//!
//! [`Provenance::capture`] runs child programs and reads files, so it is called before a transaction. What it cannot
//! find out it leaves out: no git, no repository or no Python is no error. The file is shared with others, so only
//! variables of an allow-list are kept, and the values of secrets in a command line are hidden. The script and the
//! changes against the last commit are kept as they are.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::machine;
use super::scrub::{is_secret_name, scrub};
use crate::blob::Prepared;

/// How long a child program may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much is kept of a diff, and of a script.
const KEPT_MAX_BYTES: usize = 8 << 20;

/// The variables whose values are kept: they change what a program computes, or say which job of a cluster it was.
const VARIABLES: &[&str] = &[
    "CONDA_DEFAULT_ENV",
    "CONDA_PREFIX",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_DEVICE_ORDER",
    "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "HOSTNAME",
    "JAX_ENABLE_X64",
    "JAX_PLATFORMS",
    "JAX_PLATFORM_NAME",
    "JOB_ID",
    "JOB_NAME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "MKL_NUM_THREADS",
    "NSLOTS",
    "NUMEXPR_NUM_THREADS",
    "NVIDIA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PATH",
    "PYTHONHASHSEED",
    "PYTHONPATH",
    "PYTORCH_CUDA_ALLOC_CONF",
    "QUEUE",
    "ROCR_VISIBLE_DEVICES",
    "SGE_TASK_ID",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_CLUSTER_NAME",
    "SLURM_CPUS_PER_TASK",
    "SLURM_JOB_GPUS",
    "SLURM_JOB_ID",
    "SLURM_JOB_NAME",
    "SLURM_JOB_NODELIST",
    "SLURM_JOB_PARTITION",
    "SLURM_MEM_PER_NODE",
    "SLURM_NTASKS",
    "TF_CUDNN_DETERMINISTIC",
    "TF_DETERMINISTIC_OPS",
    "TZ",
    "VIRTUAL_ENV",
    "XLA_FLAGS",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_PREALLOCATE",
];

/// What is checked out where the experiment was started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Git {
    /// The commit; `None` before the first one.
    pub commit: Option<String>,
    /// The branch; `None` when detached.
    pub branch: Option<String>,
    /// Whether tracked files differ from the commit.
    pub dirty: Option<bool>,
    /// How they differ: the first 8 MiB of `git diff HEAD`.
    pub diff: Option<Prepared>,
}

/// The code, the command and the machine of an experiment. The default knows nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provenance {
    /// The words of the command, secrets hidden.
    pub command_line: Vec<String>,
    /// The folder it was started in.
    pub cwd: String,
    /// The machine's name.
    pub host: String,
    /// Who started it.
    pub user_name: String,
    /// What is checked out there; `None` outside a repository.
    pub git: Option<Git>,
    /// The script's path as given.
    pub script_name: Option<String>,
    /// The script's BLAKE3 hash, hex.
    pub script_hash: Option<String>,
    /// The script's content, up to 8 MiB.
    pub script: Option<Prepared>,
    /// `os kernel cpu cores memory_mib python cuda nvidia_driver gpus mle variables`, as far as known.
    pub environment: Map<String, Value>,
}

static PYTHON: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// Says that this process is a Python of that version: what it runs is run by that one.
pub fn in_python(version: &str) {
    PYTHON.get_or_init(|| version.to_owned());
}

impl Provenance {
    /// Looks at the code in `cwd`, at `script` (relative to `cwd`), and at this machine.
    ///
    /// Child programs run side by side, each for at most 5 s; `nvidia-smi` only where it is on the PATH. Never inside a
    /// transaction.
    pub fn capture(cwd: &Path, script: Option<&Path>, argv: &[String]) -> Provenance {
        let status = start(git(cwd).args(["status", "--porcelain=v2", "--branch", "-uno"]));
        let diff = start(git(cwd).args(["diff", "HEAD", "--no-ext-diff", "--no-textconv"]));
        // Asked for only where we do not run inside it: what is first on the path may be another one, and slow to say so.
        let known = PYTHON.get();
        let python = match known {
            Some(_) => None,
            None => Some(start(Command::new("python3").arg("--version").current_dir(cwd))),
        };
        let smi = on_path("nvidia-smi").map(|program| {
            let list = ["--query-gpu=name", "--format=csv,noheader"];
            (start(&mut Command::new(&program)), start(Command::new(&program).args(list)))
        });

        let mut provenance = Provenance {
            command_line: scrub(argv),
            cwd: std::path::absolute(cwd).unwrap_or_else(|_| cwd.to_owned()).display().to_string(),
            host: machine::host(),
            user_name: machine::user(),
            environment: machine::describe(),
            ..Provenance::default()
        };
        provenance.environment.insert("variables".into(), variables(std::env::vars_os()));
        if let Some(script) = script {
            provenance.take_script(cwd, script);
        }
        provenance.git = status.output().map(|text| read_status(&String::from_utf8_lossy(&text)));
        // Without a commit there is nothing to compare with, and git says so.
        if let (Some(git), Some(diff)) = (&mut provenance.git, diff.output())
            && !diff.is_empty()
        {
            if diff.len() >= KEPT_MAX_BYTES {
                provenance.environment.insert("git_diff_cut".into(), true.into());
            }
            git.diff = Some(Prepared::from_bytes(&diff));
        }
        if let Some(version) = known {
            provenance.environment.insert("python".into(), version.as_str().into());
        }
        if let Some(text) = python.and_then(|python| python.output()) {
            let text = String::from_utf8_lossy(&text);
            let version = text.trim().trim_start_matches("Python ");
            provenance.environment.insert("python".into(), version.into());
        }
        if let Some((header, names)) = smi {
            provenance.take_gpus(header.output(), names.output());
        }
        provenance
    }

    fn take_script(&mut self, cwd: &Path, script: &Path) {
        self.script_name = Some(script.display().to_string());
        let read = std::fs::File::open(cwd.join(script)).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(KEPT_MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        let Ok(bytes) = read else { return };
        if bytes.len() <= KEPT_MAX_BYTES {
            let prepared = Prepared::from_bytes(&bytes);
            self.script_hash = Some(prepared.hash.clone());
            self.script = Some(prepared);
        }
    }

    fn take_gpus(&mut self, header: Option<Vec<u8>>, names: Option<Vec<u8>>) {
        let header = header.unwrap_or_default();
        let header = String::from_utf8_lossy(&header);
        for (label, key) in [("Driver Version:", "nvidia_driver"), ("CUDA Version:", "cuda")] {
            let after = header.split_once(label).map(|(_, after)| after.trim_start());
            if let Some(version) = after.and_then(|after| after.split([' ', '|', '\n']).next()) {
                self.environment.insert(key.into(), version.into());
            }
        }
        if let Some(names) = names {
            let names: Vec<String> = String::from_utf8_lossy(&names)
                .lines()
                .map(|name| name.trim().to_owned())
                .collect();
            self.environment.insert("gpus".into(), names.into());
        }
    }
}

/// A repository is someone's data: it must not be able to name programs for git to run.
fn git(cwd: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .args(["-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "--no-pager"])
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .current_dir(cwd);
    command
}

fn read_status(text: &str) -> Git {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name))?.trim();
        (!value.starts_with('(')).then(|| value.to_owned())
    };
    Git {
        commit: field("# branch.oid "),
        branch: field("# branch.head "),
        dirty: Some(text.lines().any(|line| !line.starts_with('#'))),
        diff: None,
    }
}

fn variables(all: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>) -> Value {
    let mut kept: Vec<(String, String)> = all
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| VARIABLES.contains(&name.as_str()) && !is_secret_name(name))
        .collect();
    kept.sort_unstable();
    kept.into_iter().map(|(name, value)| (name, json!(value))).collect::<Map<_, _>>().into()
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A child program at work.
struct Running {
    output: mpsc::Receiver<Option<Vec<u8>>>,
    group: Option<libc::pid_t>,
}

/// Starts a program in a process group of its own. A thread reads what it prints, up to [`KEPT_MAX_BYTES`].
fn start(command: &mut Command) -> Running {
    let (send, output) = mpsc::channel();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let Ok(mut child) = command.spawn() else { return Running { output, group: None } };
    let group = libc::pid_t::try_from(child.id()).ok();
    let read = move || {
        let mut bytes = Vec::new();
        let read = match child.stdout.take() {
            Some(stdout) => stdout.take(KEPT_MAX_BYTES as u64).read_to_end(&mut bytes).is_ok(),
            None => false,
        };
        // The pipe is closed by now, so a program that has more to say ends by itself.
        let ended = child.wait().is_ok_and(|status| status.success());
        let kept = read && (ended || bytes.len() >= KEPT_MAX_BYTES);
        let _ = send.send(kept.then_some(bytes));
    };
    // Without a thread nothing is known of what it prints.
    let _ = thread::Builder::new().spawn(read);
    Running { output, group }
}

impl Running {
    /// Returns what a program that succeeded printed.
    fn output(self) -> Option<Vec<u8>> {
        match self.output.recv_timeout(PATIENCE) {
            Ok(output) => output,
            Err(_) => {
                if let Some(group) = self.group {
                    // SAFETY: the thread has not waited for the child, so the number is still that of its group.
                    unsafe { libc::kill(-group, libc::SIGKILL) };
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &Path, words: &[&str]) {
        let status = Command::new(words[0])
            .args(&words[1..])
            .current_dir(folder)
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_AUTHOR_NAME", "a")])
            .envs([("GIT_AUTHOR_EMAIL", "a@b"), ("GIT_COMMITTER_NAME", "a")])
            .env("GIT_COMMITTER_EMAIL", "a@b")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success());
    }

    #[test]
    fn a_changed_repository_is_described() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        run(path, &["git", "init", "-q", "-b", "träume"]);
        std::fs::write(path.join("train.py"), "print(1)\n").unwrap();
        run(path, &["git", "add", "."]);
        run(path, &["git", "commit", "-q", "-m", "x"]);
        let argv = ["train.py".into(), "--token".into(), "hunter2".into()];
        let clean = Provenance::capture(path, Some(Path::new("train.py")), &argv);
        let git = clean.git.unwrap();
        assert_eq!((git.dirty, git.diff.is_none()), (Some(false), true));
        assert_eq!(git.branch.as_deref(), Some("träume"));
        assert_eq!(git.commit.unwrap().len(), 40);
        assert_eq!(clean.command_line, ["train.py", "--token", "***"]);
        assert_eq!(clean.script.unwrap().size_bytes, 9);
        assert!(clean.environment.contains_key("kernel"));

        std::fs::write(path.join("train.py"), "print(2)\n").unwrap();
        let git = Provenance::capture(path, None, &[]).git.unwrap();
        assert_eq!(git.dirty, Some(true));
        assert!(git.diff.is_some_and(|diff| diff.size_bytes > 50));
    }

    #[test]
    fn no_repository_and_no_script_are_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let provenance = Provenance::capture(&gone, Some(Path::new("x.py")), &[]);
        assert_eq!(provenance.git, None);
        assert_eq!((provenance.script_name.as_deref(), provenance.script), (Some("x.py"), None));
        let empty = tempfile::tempdir().unwrap();
        run(empty.path(), &["git", "init", "-q"]);
        let git = Provenance::capture(empty.path(), None, &[]).git.unwrap();
        assert_eq!((git.commit, git.dirty, git.diff), (None, Some(false), None));
    }

    #[test]
    fn only_variables_of_the_list_are_kept() {
        let all = [("LANG", "C"), ("WANDB_API_KEY", "hunter2"), ("MY_VARIABLE", "x")];
        let kept = variables(all.into_iter().map(|(name, value)| (name.into(), value.into())));
        assert_eq!(kept, json!({"LANG": "C"}));
        assert!(VARIABLES.iter().all(|name| !is_secret_name(name)));
    }

    #[test]
    fn a_program_that_never_stops_talking_is_cut_off() {
        let mut command = Command::new("sh");
        let running = start(command.args(["-c", "yes"]));
        assert_eq!(running.output().map(|bytes| bytes.len()), Some(KEPT_MAX_BYTES));
    }

    #[test]
    fn what_nvidia_smi_prints_is_read() {
        let header =
            "| NVIDIA-SMI 550.54.15   Driver Version: 550.54.15   CUDA Version: 12.4     |";
        let mut provenance = Provenance::default();
        provenance.take_gpus(Some(header.into()), Some("NVIDIA H100\nNVIDIA H100\n".into()));
        let expected = json!({
            "nvidia_driver": "550.54.15", "cuda": "12.4", "gpus": ["NVIDIA H100", "NVIDIA H100"],
        });
        assert_eq!(Value::from(provenance.environment), expected);
    }
}
