//! What a running job says: points and files, prepared outside the transaction and kept inside it.

use std::path::{Path, PathBuf};

use crate::artifact::{self, ArtifactKind, NewArtifact, Owner, Role, Rules};
use crate::blob::{INSIDE_MAX_BYTES, Prepared};
use crate::error::{Error, Result};
use crate::metric::{self, Appended, Appender, Update, Value};
use crate::queue::Claimed;
use crate::store::WriteTx;
use crate::worker::line::{Line, LineValue, Remarks};

/// Files of a scratch folder beyond this many are left out.
const FILES_MAX: usize = 1_000;

/// Remembers where the points of one attempt go.
pub struct Points {
    appender: Option<Appender>,
    /// A later attempt that has logged nothing yet: its first step says from where it replaces the earlier ones.
    replaces: bool,
}

impl Points {
    /// For a job without a run there is nothing to append to.
    pub fn new(claimed: &Claimed) -> Points {
        Points {
            appender: claimed
                .run
                .map(|_| Appender::for_job(claimed.job, claimed.attempt).lenient()),
            replaces: claimed.attempt > 1,
        }
    }

    /// The last transaction failed.
    pub fn reset(&mut self) {
        if let Some(appender) = &mut self.appender {
            appender.reset();
        }
    }
}

/// What was said since the last turn.
#[derive(Default)]
pub struct Said {
    updates: Vec<Update>,
    files: Files,
}

/// A file to keep, and what was said of it.
struct About {
    name: String,
    kind: ArtifactKind,
    role: Option<Role>,
    step: Option<i64>,
    value: Option<f64>,
}

/// Files to keep, their bytes prepared.
#[derive(Default)]
pub struct Files(Vec<(About, Prepared)>);

/// Prepares what was said: reads and compresses the files it names. Those that cannot be read are left out, and what has
/// no place; both are remarked.
pub fn gather(
    claimed: &Claimed,
    lines: &[(i64, Line)],
    cwd: Option<&Path>,
    remarks: &mut Remarks,
) -> Said {
    let mut said = Said::default();
    for (at_ms, line) in lines {
        let has_place = match line {
            Line::Update { .. } => claimed.run.is_some(),
            Line::Artifact { .. } => claimed.run.is_some() || claimed.experiment.is_some(),
        };
        if !has_place {
            remarks.add(|| "the job belongs to no run, so this was only kept as its output".into());
            continue;
        }
        match line {
            Line::Update { step, values } => said.updates.push(Update {
                step: *step,
                at_ms: *at_ms,
                values: values
                    .iter()
                    .map(|(name, value)| {
                        let value = match value {
                            LineValue::Number(number) => Value::Scalar(*number),
                            LineValue::Text(text) => Value::Text(text.clone()),
                            LineValue::Array(array) => Value::Vector(array.clone()),
                        };
                        (name.clone(), value)
                    })
                    .collect(),
            }),
            Line::Artifact { path, name, kind, step, role, value } => {
                let full = cwd.unwrap_or(Path::new(".")).join(path);
                let name = name.clone().unwrap_or_else(|| {
                    full.file_name()
                        .map_or_else(|| path.clone(), |name| name.to_string_lossy().into_owned())
                });
                let prepared = match Prepared::from_file(&full, INSIDE_MAX_BYTES) {
                    Ok(prepared) => prepared,
                    Err(error) => {
                        remarks.add(|| format!("artifact {error}"));
                        continue;
                    }
                };
                let kind = kind.parse().unwrap_or_else(|error: Error| {
                    remarks.add(|| format!("artifact {name}: {error}; it was kept as a file"));
                    ArtifactKind::File
                });
                let role = role.as_deref().and_then(|role| {
                    role.parse()
                        .map_err(|error: Error| {
                            remarks
                                .add(|| format!("artifact {name}: {error}; it was kept without"));
                        })
                        .ok()
                });
                let about = About { name, kind, role, step: *step, value: *value };
                said.files.0.push((about, prepared));
            }
        }
    }
    said
}

/// Prepares the files of a job's scratch folder, its folders walked, links not followed.
pub fn gather_folder(folder: &Path) -> Files {
    let mut files = Files::default();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(&next)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        entries.sort();
        for path in entries {
            let Ok(metadata) = path.symlink_metadata() else { continue };
            if metadata.is_dir() {
                open.push(path);
            } else if metadata.is_file() && files.0.len() < FILES_MAX {
                let name =
                    path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
                // The folder goes when the job is over, so even a large file has to come inside.
                if let Ok(prepared) = Prepared::from_file(&path, u64::MAX) {
                    let kind = kind_of(&path);
                    files.0.push((
                        About { name, kind, role: None, step: None, value: None },
                        prepared,
                    ));
                }
            }
        }
    }
    files
}

/// Keeps what was said; what does not fit its series is remarked.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn keep_said(
    tx: &WriteTx<'_>,
    claimed: &Claimed,
    points: &mut Points,
    said: &Said,
    remarks: &mut Remarks,
) -> Result<()> {
    if let (Some(appender), Some(run), Some(first)) =
        (&mut points.appender, claimed.run, said.updates.first())
    {
        if points.replaces {
            // It may have been offered a checkpoint and begun anew all the same.
            if let Some(step) = first.step {
                metric::supersede(tx, run, claimed.attempt, Some(step.saturating_sub(1)))?;
            }
            points.replaces = false;
        }
        if appender.append(tx, &said.updates)? == Appended::LeaseLost {
            return Ok(());
        }
        for (why, n) in appender.take_refused_counts() {
            remarks.add_many(n, || why);
        }
    }
    keep_files(tx, claimed, &said.files)
}

/// Keeps files of a job: with its run, or with its experiment.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn keep_files(tx: &WriteTx<'_>, claimed: &Claimed, files: &Files) -> Result<()> {
    let owner = match (claimed.run, claimed.experiment) {
        (Some(run), _) => Owner::Run(run),
        (None, Some(experiment)) => Owner::Experiment(experiment),
        (None, None) => return Ok(()),
    };
    for (about, prepared) in &files.0 {
        match (owner, about.kind, about.role) {
            // The latest takes the place of the one before: a run that saves each epoch must not fill the disk.
            (Owner::Run(run), ArtifactKind::Checkpoint, None) => {
                let checkpoint = artifact::Checkpoint {
                    run,
                    attempt: Some(claimed.attempt),
                    name: &about.name,
                    step: about.step,
                    number: 1,
                    value: about.value,
                };
                artifact::keep_checkpoint(tx, &Rules::default(), &checkpoint, prepared)?;
            }
            _ => {
                let new = NewArtifact {
                    attempt: Some(claimed.attempt),
                    role: about.role,
                    step: about.step,
                    value: about.value,
                    ..NewArtifact::new(owner, &about.name, about.kind)
                };
                artifact::add(tx, &new, prepared)?;
            }
        }
    }
    Ok(())
}

fn kind_of(path: &Path) -> ArtifactKind {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("png" | "jpg" | "jpeg" | "svg" | "pdf" | "gif") => ArtifactKind::Figure,
        Some("pt" | "pth" | "ckpt" | "safetensors") => ArtifactKind::Checkpoint,
        _ => ArtifactKind::File,
    }
}
