//! Starting a process group with little work of our own: jobs may be as short as the start itself.
//!
//! The standard library copies and sorts the whole environment for every child, opens `/dev/null` each time, and the
//! system's `posix_spawn` maps a stack and resets 64 signals one by one. Here the environment, the stack and the list of
//! signals are kept ready. The child shares our memory until it becomes the other program, as with `vfork`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::ptr;

/// What every child is started with.
pub(super) struct Spawner {
    /// The environment of this process, each name with its `NAME=value`.
    base: Vec<(OsString, CString)>,
    /// Standard input of every job.
    null: File,
    /// The signals that children must not inherit as they are.
    caught: Vec<libc::c_int>,
    /// Where children run until they become another program.
    stack: RefCell<Box<[Aligned; STACK / 16]>>,
}

/// Bytes of the children's stack. The kernel wants its end aligned.
const STACK: usize = 64 * 1024;

#[derive(Clone, Copy)]
#[repr(align(16))]
#[allow(dead_code)]
struct Aligned([u8; 16]);

/// What one child is started with.
pub(super) struct Request<'a> {
    pub program: &'a str,
    /// The arguments, without the program.
    pub args: &'a [String],
    pub cwd: Option<&'a Path>,
    /// Variables that are added or changed; `None` takes one away.
    pub env: BTreeMap<OsString, Option<OsString>>,
}

/// A child in a process group of its own.
pub(super) struct Child {
    pub pid: u32,
    /// Becomes readable when it ends; kernels before 5.2 have none.
    pub pidfd: Option<OwnedFd>,
    /// Never blocks.
    pub stdout: File,
    /// Never blocks.
    pub stderr: File,
}

impl Spawner {
    pub fn new() -> io::Result<Spawner> {
        let base: Vec<(OsString, CString)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.clone(), pair(&name, &value).ok()?)))
            .collect();
        Ok(Spawner {
            base,
            null: File::open("/dev/null")?,
            caught: caught(),
            stack: RefCell::new(Box::new([Aligned([0; 16]); STACK / 16])),
        })
    }

    /// Starts a child.
    pub fn spawn(&self, request: &Request<'_>) -> io::Result<Child> {
        let program = c_string(self.find(request)?.as_os_str())?;
        let args = request.args.iter().map(|arg| c_string(OsStr::new(arg)));
        let args: Vec<CString> = std::iter::once(c_string(OsStr::new(request.program)))
            .chain(args)
            .collect::<io::Result<_>>()?;
        let own: Vec<CString> = request
            .env
            .iter()
            .filter_map(|(name, value)| Some(pair(name, value.as_ref()?)))
            .collect::<io::Result<_>>()?;
        let kept = self.base.iter().filter(|(name, _)| !request.env.contains_key(name));
        let envp = pointers(kept.map(|(_, pair)| pair).chain(&own));
        let argv = pointers(&args);
        let (stdout, child_stdout) = pipe()?;
        let (stderr, child_stderr) = pipe()?;
        let cwd = request.cwd.map(|cwd| c_string(cwd.as_os_str())).transpose()?;
        let mut orders = Orders {
            program: program.as_ptr(),
            argv: argv.as_ptr(),
            envp: envp.as_ptr(),
            cwd: cwd.as_ref().map_or(ptr::null(), |cwd| cwd.as_ptr()),
            streams: [self.null.as_raw_fd(), child_stdout.as_raw_fd(), child_stderr.as_raw_fd()],
            caught: &self.caught,
            error: 0,
        };
        let (pid, pidfd) = self.clone_and_run(&mut orders)?;
        if orders.error != 0 {
            crate::process::reap_now(pid);
            return Err(io::Error::from_raw_os_error(orders.error));
        }
        Ok(Child { pid, pidfd, stdout, stderr })
    }

    /// Starts a child that shares our memory, and waits until it has become the other program or given up.
    fn clone_and_run(&self, orders: &mut Orders<'_>) -> io::Result<(u32, Option<OwnedFd>)> {
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
        let mut pidfd: libc::c_int = -1;
        let stack = self.stack.borrow_mut().as_mut_ptr_range().end;
        // SAFETY: the child runs `become_program` on a stack of its own while this thread waits (CLONE_VFORK), so what
        // `orders` points to outlives its use and nobody else changes it. No signal is delivered meanwhile: a handler of
        // ours would run in the child, on our memory.
        unsafe {
            let (mut all, mut before) =
                (MaybeUninit::<libc::sigset_t>::uninit(), MaybeUninit::uninit());
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
            let orders = ptr::from_mut(orders).cast();
            let pid = libc::clone(become_program, stack.cast(), flags, orders, &raw mut pidfd);
            let error = io::Error::last_os_error();
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
            if pid < 0 {
                Err(error)
            } else {
                // An old kernel does not know the flag and leaves what we put there.
                Ok((pid.cast_unsigned(), (pidfd >= 0).then(|| OwnedFd::from_raw_fd(pidfd))))
            }
        }
    }

    /// Finds the program as the job's own shell would: by path, or on the job's `PATH`.
    fn find(&self, request: &Request<'_>) -> io::Result<PathBuf> {
        if request.program.contains('/') {
            return Ok(PathBuf::from(request.program));
        }
        let path = match request.env.get(OsStr::new("PATH")) {
            Some(path) => path.clone(),
            None => std::env::var_os("PATH"),
        };
        let path = path.unwrap_or_else(|| "/usr/local/bin:/bin:/usr/bin".into());
        let mut refused = None;
        for folder in std::env::split_paths(&path) {
            // Folders of PATH that are relative are seen from where the job starts.
            let place = request.cwd.map_or(folder.clone(), |cwd| cwd.join(&folder));
            let found = place.join(request.program);
            if found.is_file() {
                let c_found = c_string(found.as_os_str())?;
                // SAFETY: a C string that outlives the call.
                if unsafe { libc::access(c_found.as_ptr(), libc::X_OK) } == 0 {
                    return std::path::absolute(found);
                }
                refused = Some(io::Error::from_raw_os_error(libc::EACCES));
            }
        }
        Err(refused.unwrap_or_else(|| io::Error::from_raw_os_error(libc::ENOENT)))
    }
}

/// Returns a pipe that no other child inherits; reading it never blocks.
fn pipe() -> io::Result<(File, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: the kernel writes two descriptors, which are ours from then on.
    let (read, write) = unsafe {
        if libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error());
        }
        (File::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))
    };
    // SAFETY: the descriptor is open.
    match unsafe { libc::fcntl(read.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } {
        0 => Ok((read, write)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What the child does between its birth and the other program, all prepared: it may not allocate.
struct Orders<'a> {
    program: *const libc::c_char,
    argv: *const *const libc::c_char,
    envp: *const *const libc::c_char,
    cwd: *const libc::c_char,
    streams: [libc::c_int; 3],
    caught: &'a [libc::c_int],
    /// Why the child gave up.
    error: libc::c_int,
}

/// The child's life: nothing but system calls.
///
/// A group of its own: a signal to it reaches what the job started, and none from our terminal reaches it. Signals are
/// as a shell would leave them, whatever this process catches or blocks.
extern "C" fn become_program(orders: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the parent waits and keeps what is pointed to alive; all calls are safe in a child that shares memory.
    unsafe {
        let orders = &mut *orders.cast::<Orders<'_>>();
        for signal in orders.caught {
            libc::signal(*signal, libc::SIG_DFL);
        }
        libc::setpgid(0, 0);
        for (to, from) in (0..).zip(orders.streams) {
            // A copy onto itself would keep the mark that closes it at exec.
            let done =
                if from == to { libc::fcntl(from, libc::F_SETFD, 0) } else { libc::dup2(from, to) };
            if done < 0 {
                orders.error = *libc::__errno_location();
                libc::_exit(127);
            }
        }
        if !orders.cwd.is_null() && libc::chdir(orders.cwd) != 0 {
            orders.error = *libc::__errno_location();
            libc::_exit(127);
        }
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
        libc::execve(orders.program, orders.argv, orders.envp);
        orders.error = *libc::__errno_location();
        libc::_exit(127)
    }
}

/// Returns the signals that this process catches, and those our programs ignore: SIGPIPE and SIGXFSZ.
fn caught() -> Vec<libc::c_int> {
    let is_caught = |signal: &libc::c_int| {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: asks only; the kernel fills the struct when it returns 0.
        unsafe {
            libc::sigaction(*signal, ptr::null(), action.as_mut_ptr()) == 0
                && !matches!(action.assume_init().sa_sigaction, libc::SIG_DFL | libc::SIG_IGN)
        }
    };
    let is_ignored = |signal: &libc::c_int| matches!(*signal, libc::SIGPIPE | libc::SIGXFSZ);
    (1..=libc::SIGRTMAX()).filter(|signal| is_ignored(signal) || is_caught(signal)).collect()
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a word holds a zero byte"))
}

fn pair(name: &OsStr, value: &OsStr) -> io::Result<CString> {
    let mut pair = name.to_os_string().into_vec();
    pair.push(b'=');
    pair.extend_from_slice(value.as_bytes());
    c_string(OsStr::from_bytes(&pair))
}

/// Returns the array of pointers that C takes, ended by null.
fn pointers<'a>(texts: impl IntoIterator<Item = &'a CString>) -> Vec<*const libc::c_char> {
    texts.into_iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn request<'a>(program: &'a str, args: &'a [String]) -> Request<'a> {
        Request { program, args, cwd: None, env: BTreeMap::new() }
    }

    /// Reads a pipe to its end, though it never blocks.
    fn all(mut pipe: &File) -> String {
        let mut text = String::new();
        loop {
            match pipe.read_to_string(&mut text) {
                Ok(_) => return text,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn a_child_has_the_environment_with_the_jobs_changes() {
        let args = ["-c".into(), "echo $A-$PWD-${HOME:-none}; echo err >&2".into()];
        let mut request = Request { cwd: Some(Path::new("/")), ..request("sh", &args) };
        request.env.insert("A".into(), Some("a b".into()));
        request.env.insert("HOME".into(), None);
        let child = Spawner::new().unwrap().spawn(&request).unwrap();
        assert_eq!(all(&child.stdout), "a b-/-none\n");
        assert_eq!(all(&child.stderr), "err\n");
        crate::process::reap_now(child.pid);
    }

    #[test]
    fn what_cannot_start_says_why_and_leaves_no_child() {
        let spawner = Spawner::new().unwrap();
        let kind = |request: &Request<'_>| spawner.spawn(request).map(|_| ()).unwrap_err().kind();
        assert_eq!(kind(&request("no-such-program", &[])), io::ErrorKind::NotFound);
        assert_eq!(kind(&request("/etc/passwd", &[])), io::ErrorKind::PermissionDenied);
        let lost = Request { cwd: Some(Path::new("/no/such/folder")), ..request("/bin/true", &[]) };
        assert_eq!(kind(&lost), io::ErrorKind::NotFound);
    }

    #[test]
    fn without_a_descriptor_the_end_of_a_child_is_seen_too() {
        let child = Spawner::new().unwrap().spawn(&request("cat", &[])).unwrap();
        all(&child.stdout);
        while crate::process::start_of(child.pid).is_some() {
            std::thread::yield_now();
        }
        crate::process::reap_now(child.pid);
    }
}
