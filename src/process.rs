//! Processes: what std does not offer for groups, resource use and descendants that got away.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::scratch;

/// The variable every process of a job has: the uid of the worker that started it.
pub const WORKER_VARIABLE: &str = "MLE_WORKER";
const GUARD_VARIABLE: &str = "MLE_GUARD";

/// Returns this host's name.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "localhost".into())
}

/// Returns what tells the process `pid` from a later one of the same number: boot, pid namespace and start tick.
/// `None` when there is no such process.
pub fn start_of(pid: u32) -> Option<String> {
    let stat = stat_of(pid)?;
    let mut fields = stat.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let start = fields.nth(18)?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    Some(format!("{}/{}/{start}", boot.trim(), space.display()))
}

/// What tells a process from any other, also from a later one of its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its host's name.
    pub host: String,
    /// Its number.
    pub pid: u32,
    /// As of [`start_of`]; empty where the system does not say.
    pub start: String,
}

impl Identity {
    /// Returns that of this process. It is asked for once, and again in a forked child.
    pub fn own() -> Identity {
        static OWN: Mutex<Option<Identity>> = Mutex::new(None);
        let pid = std::process::id();
        // A fork may find it locked for good.
        let Ok(mut own) = OWN.try_lock() else { return Self::look(pid) };
        if own.as_ref().is_none_or(|own| own.pid != pid) {
            *own = Some(Self::look(pid));
        }
        own.clone().unwrap_or_else(|| Self::look(pid))
    }

    fn look(pid: u32) -> Identity {
        Identity { host: host(), pid, start: start_of(pid).unwrap_or_default() }
    }

    /// Says whether the process is gone; `None` where that cannot be seen from here: it is of another host, or of a
    /// container with processes of its own.
    pub fn is_gone(&self) -> Option<bool> {
        let own = Identity::own();
        if self.host != own.host || self.start.is_empty() {
            return None;
        }
        if *self == own {
            return Some(false);
        }
        // What stands before its start tick is the same for all that can be seen.
        let (own_boot, own_space) = own.start.rsplit_once('/')?.0.split_once('/')?;
        let (boot, space) = self.start.rsplit_once('/')?.0.split_once('/')?;
        if boot != own_boot {
            return Some(true);
        }
        (space == own_space).then(|| start_of(self.pid).as_deref() != Some(self.start.as_str()))
    }
}

/// Returns what the kernel says of a process, from its state on. Before that stands its name in parentheses, which may hold
/// anything, half a character among it.
fn stat_of(pid: u32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = bytes.iter().rposition(|byte| *byte == b')')?;
    String::from_utf8(bytes[end + 1..].to_vec()).ok()
}

/// Says whether a process is on its way out: it has no memory any more, and its children still have no new parent.
pub fn is_ending(pid: u32) -> bool {
    let stat = stat_of(pid).unwrap_or_default();
    let mut fields = stat.split_whitespace();
    let state = fields.next();
    let memory = fields.nth(19);
    !matches!(state, None | Some("Z" | "X")) && memory == Some("0")
}

/// Returns how many cores this process may use.
pub fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// Returns the memory of this machine [MiB].
pub fn memory_mib() -> u64 {
    std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(1024, |kib| kib / 1024)
}

/// Returns the GPUs jobs may use: those of CUDA_VISIBLE_DEVICES, or all that the driver lists.
pub fn gpus() -> Vec<String> {
    if let Ok(visible) = std::env::var("CUDA_VISIBLE_DEVICES") {
        return visible
            .split(',')
            .map(str::trim)
            .filter(|id| !id.is_empty())
            .map(String::from)
            .collect();
    }
    let count = std::fs::read_dir("/proc/driver/nvidia/gpus").map_or(0, Iterator::count);
    (0..count).map(|i| i.to_string()).collect()
}

/// How a child ended and what it used.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// Its exit code, when it exited.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// CPU in user mode [ms], with that of the children it waited for.
    pub user_ms: i64,
    /// CPU in the kernel [ms].
    pub system_ms: i64,
    /// Largest resident size [KiB].
    pub memory_peak_kib: i64,
}

/// Waits for a child that has ended.
pub fn reap(pid: u32) -> Option<Exit> {
    let mut status = 0;
    // SAFETY: a zero rusage is a valid value of this plain struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that outlive the call.
    let got = unsafe { libc::wait4(pid as i32, &raw mut status, libc::WNOHANG, &raw mut usage) };
    let ms = |time: libc::timeval| time.tv_sec * 1000 + time.tv_usec / 1000;
    (got == pid as i32).then(|| Exit {
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        user_ms: ms(usage.ru_utime),
        system_ms: ms(usage.ru_stime),
        memory_peak_kib: usage.ru_maxrss,
    })
}

/// Waits for a child that is about to end, and forgets it.
pub fn reap_now(pid: u32) {
    // SAFETY: no result is asked for.
    unsafe { libc::waitpid(pid as i32, std::ptr::null_mut(), 0) };
}

/// Sends a signal to a process group. The leader must not have been reaped, or the number may be another's.
pub fn signal_group(pid: u32, signal: i32) {
    // SAFETY: a system call with plain numbers.
    unsafe { libc::kill(-(pid as i32), signal) };
}

/// Sends a signal to one process.
pub fn signal(pid: u32, signal: i32) {
    // SAFETY: a system call with plain numbers.
    unsafe { libc::kill(pid as i32, signal) };
}

/// Makes a file that may not grow (`ulimit -f`) an error of the write, where the signal would end this process in the middle.
pub fn outlive_file_limits() {
    // SAFETY: no handler is installed; the write returns EFBIG.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Makes descendants whose parent died children of this process, so that none gets away unseen.
pub fn adopt_orphans() {
    // SAFETY: a system call with plain numbers.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// Returns the children of this process, adopted ones among them.
pub fn children() -> Vec<u32> {
    let pid = std::process::id();
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
        .unwrap_or_default()
}

/// Returns the value of a variable in the environment a process was started with.
pub fn variable_of(pid: u32, name: &str) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let key = format!("{name}=");
    bytes
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(key.as_bytes()))
        .map(|value| String::from_utf8_lossy(value).into_owned())
}

/// Returns the processes of each job and the resident memory of all of them [KiB], a job being named by its first process.
/// What they share is counted for each of them: see [`own_memory`].
///
/// Counted are its group and all that these processes started, also in a session of its own. What lost its parent is a
/// child of this process: `whose` says to which job it belongs.
pub fn memory_of_jobs(jobs: &[u32], whose: impl Fn(u32) -> Option<u32>) -> Vec<(Vec<u32>, u64)> {
    let place = |pid: u32| jobs.iter().position(|job| *job == pid);
    let all: HashMap<u32, Standing> =
        all_pids().filter_map(|pid| Some((pid, Standing::of(pid)?))).collect();
    let job_of = |pid: u32| {
        let mut pid = pid;
        // A parent is older than its children, but numbers are used again while we read.
        for _ in 0..DEPTH_MAX {
            let standing = all.get(&pid)?;
            if let Some(found) = place(pid).or_else(|| place(standing.group)) {
                return Some(found);
            }
            if standing.parent == std::process::id() {
                return whose(pid).and_then(place);
            }
            pid = standing.parent;
        }
        None
    };
    let mut sums = vec![(Vec::new(), 0); jobs.len()];
    for (pid, standing) in &all {
        if let Some(i) = job_of(*pid) {
            sums[i].0.push(*pid);
            sums[i].1 += standing.kib;
        }
    }
    sums
}

/// Returns the memory of some processes [KiB], of a page that several use each one's part: what forked loaders of data hold
/// together counts once. Dear: the kernel walks through all of it.
pub fn own_memory(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    pids.iter().filter_map(of).sum()
}

/// So many generations of processes are followed.
const DEPTH_MAX: usize = 64;

/// Where a process stands, and its resident memory.
struct Standing {
    parent: u32,
    group: u32,
    kib: u64,
}

impl Standing {
    fn of(pid: u32) -> Option<Standing> {
        let stat = stat_of(pid)?;
        let fields: Vec<&str> = stat.split_whitespace().collect();
        let number = |i: usize| fields.get(i)?.parse::<u64>().ok();
        let small = |i: usize| number(i).and_then(|number| u32::try_from(number).ok());
        Some(Standing { parent: small(1)?, group: small(2)?, kib: number(21)? * 4 })
    }
}

/// Kills every process that carries one of these worker uids, again and again until none is left.
///
/// Waits for the workers' guards too: a job that is being started has no such variable yet, but it holds the pipe its
/// worker's guard reads, so a guard that is gone has seen it. Returns how many were killed. Workers that live must not
/// be named.
pub fn kill_all_of(uids: &HashSet<String>) -> usize {
    let has = |pid: u32, name| variable_of(pid, name).is_some_and(|uid| uids.contains(&uid));
    let (mut killed, started) = (0, Instant::now());
    loop {
        let others = || all_pids().filter(|pid| *pid != std::process::id());
        let is_guarded = others().any(|pid| has(pid, GUARD_VARIABLE));
        let found: Vec<u32> =
            others().filter(|pid| has(*pid, WORKER_VARIABLE) && start_of(*pid).is_some()).collect();
        if found.is_empty() && !is_guarded || started.elapsed() >= KILL_PATIENCE {
            return killed;
        }
        killed += found.len();
        for pid in found {
            signal(pid, libc::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a kill cannot end within this hangs in the kernel; a guard that takes longer is stopped.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

fn all_pids() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A small process that outlives this one by a moment: when this one is gone, however it went, it takes away what it left.
pub struct Guard {
    child: std::process::Child,
    uid: String,
    /// The first processes of the jobs at work, for the guard to read when it is time. In memory: no one waits for it.
    jobs: File,
}

impl Guard {
    /// Starts the guard of the worker `uid`; `None` where this program is not one of ours (a test, an interpreter).
    pub fn start(uid: &str) -> Option<Guard> {
        let exe = std::env::current_exe().ok()?;
        if !exe.file_name()?.to_str()?.starts_with("mle") {
            return None;
        }
        // SAFETY: a C string, and a descriptor that is ours from then on.
        let jobs = unsafe {
            let fd = libc::memfd_create(c"jobs".as_ptr(), libc::MFD_CLOEXEC);
            (fd >= 0).then(|| File::from_raw_fd(fd))?
        };
        let child = Command::new(exe)
            .env_clear()
            .env(GUARD_VARIABLE, uid)
            .env("TMPDIR", std::env::temp_dir())
            .current_dir("/")
            .stdin(std::process::Stdio::piped())
            .stdout(jobs.try_clone().ok()?)
            .stderr(std::process::Stdio::null())
            .spawn()
            .ok()?;
        Some(Guard { child, uid: uid.to_owned(), jobs })
    }

    /// Says which jobs are at work from now on, by their first processes.
    pub fn note(&self, pids: impl Iterator<Item = u32>) {
        let bytes: Vec<u8> = pids.chain([0]).flat_map(u32::to_ne_bytes).collect();
        // Where this fails, the jobs are still known by their environment.
        let _ = self.jobs.write_all_at(&bytes, 0);
    }

    /// Starts it again when it is gone.
    pub fn check(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_)))
            && let Some(new) = Guard::start(&self.uid)
        {
            *self = new;
        }
    }

    /// Returns its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Becomes the guard when this process was started as one. Every program of ours calls this first.
pub fn guard_if_asked() {
    let Ok(uid) = std::env::var(GUARD_VARIABLE) else { return };
    // SAFETY: plain system calls; a session of its own keeps the terminal's signals away.
    unsafe {
        libc::setsid();
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2] {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    // The jobs that were at work, whatever they did to their environment.
    let mut pids = Vec::new();
    // SAFETY: the worker gave this program the list as its standard output; nothing else here uses that.
    let jobs = unsafe { File::from_raw_fd(1) };
    let mut place = [0; 4];
    while jobs.read_exact_at(&mut place, 4 * pids.len() as u64).is_ok() && place != [0; 4] {
        pids.push(u32::from_ne_bytes(place));
    }
    pids.into_iter().for_each(|pid| signal_group(pid, libc::SIGKILL));
    kill_all_of(&HashSet::from([uid.clone()]));
    scratch::clear(&uid);
    std::process::exit(0);
}
