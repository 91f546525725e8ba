//! Whose turn it is to write.
//!
//! SQLite lets waiting writers sleep and try again, which starves some of them for seconds. Writers first take a kernel
//! lock on a byte of the database file that SQLite never touches. A writer that does not take it (a shell) is still
//! excluded by SQLite's own lock, for which the busy handler waits.
//!
//! The kernel wakes all who wait for a byte, and who is awake already gets it: a writer that writes again at once would
//! keep the others out. So there are two bytes, the line and the lock. Who is first in line waits for the lock alone, and
//! whoever gave it back stands in line like all others; only within [`SLICE`] of its turn it may go on without, since a
//! switch of processes for each transaction would cost more than the transaction.

use std::cell::Cell;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a writer waits before it gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a process may write again and again before it lets the first in line go.
const SLICE: Duration = Duration::from_millis(2);

/// Past SQLite's own lock bytes (0x4000_0000 to +511), in a file that large or not.
const LOCK_BYTE: i64 = 0x4000_0000 + 1024;
const LINE_BYTE: i64 = LOCK_BYTE + 1;

thread_local! {
    static WAIT: Cell<Option<(Instant, u32)>> = const { Cell::new(None) };
    static WAITED_MS: Cell<i64> = const { Cell::new(0) };
}

/// Returns how long the last wait for the write lock took on this thread [ms].
pub fn waited_ms() -> i64 {
    WAITED_MS.get()
}

/// SQLite's busy handler: short sleeps with jitter, up to [`PATIENCE`].
pub(super) fn on_busy(tries: i32) -> bool {
    let (since, mut random) = match WAIT.get() {
        Some(wait) if tries > 0 => wait,
        _ => (Instant::now(), std::process::id() ^ 0x9e37_79b9),
    };
    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    WAIT.set(Some((since, random)));
    WAITED_MS.set(i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX));
    if since.elapsed() > PATIENCE {
        return false;
    }
    let base = 50u64 << tries.clamp(0, 5);
    std::thread::sleep(Duration::from_micros(base / 2 + u64::from(random >> 16) % base));
    true
}

/// Where the writers of one file line up: the threads of this process here, its processes at the kernel lock. That one
/// belongs to the open file, which threads share, so it cannot tell them apart.
#[derive(Debug)]
pub(super) struct Gate {
    file: File,
    /// Device and inode, which an open file keeps.
    place: Option<(u64, u64)>,
    door: Mutex<Door>,
    free: Condvar,
}

#[derive(Debug, Default)]
struct Door {
    taken: bool,
    /// Threads that wait for it: to wake none is a call of the kernel as well.
    waiting: usize,
    /// When this process last came out of the line.
    turn: Option<Instant>,
}

impl Gate {
    pub(super) fn new(file: File) -> Gate {
        use std::os::unix::fs::MetadataExt;
        let place = file.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
        Gate { file, place, door: Mutex::default(), free: Condvar::new() }
    }

    /// Returns device and inode of the file.
    pub(super) fn place(&self) -> Option<(u64, u64)> {
        self.place
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both locks, held until dropped.
pub(super) struct Turn<'a> {
    gate: Option<&'a Gate>,
    has_kernel_lock: bool,
}

impl Turn<'_> {
    /// Waits for the turn. After [`PATIENCE`], or where the kernel has no such locks, goes on without it.
    pub(super) fn wait(gate: Option<&Gate>) -> Turn<'_> {
        let without = Turn { gate: None, has_kernel_lock: false };
        let Some(gate) = gate else { return without };
        let mut door = gate.door();
        if door.taken {
            door.waiting += 1;
            (door, _) = gate
                .free
                .wait_timeout_while(door, PATIENCE, |door| door.taken)
                .unwrap_or_else(PoisonError::into_inner);
            door.waiting -= 1;
            if door.taken {
                return without;
            }
        }
        door.taken = true;
        let in_slice = door.turn.is_some_and(|turn| turn.elapsed() < SLICE);
        drop(door);
        if in_slice && set(&gate.file, LOCK_BYTE, libc::F_WRLCK, false) {
            return Turn { gate: Some(gate), has_kernel_lock: true };
        }
        let until = Instant::now() + PATIENCE;
        let first = take(&gate.file, LINE_BYTE, until);
        let has_kernel_lock = take(&gate.file, LOCK_BYTE, until);
        if first {
            set(&gate.file, LINE_BYTE, libc::F_UNLCK, false);
        }
        gate.door().turn = Some(Instant::now());
        Turn { gate: Some(gate), has_kernel_lock }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(gate) = self.gate else { return };
        if self.has_kernel_lock {
            set(&gate.file, LOCK_BYTE, libc::F_UNLCK, false);
        }
        let mut door = gate.door();
        door.taken = false;
        if door.waiting > 0 {
            gate.free.notify_one();
        }
    }
}

fn set(file: &File, byte: i64, kind: i32, wait: bool) -> bool {
    // SAFETY: an all-zero flock is a valid value of this plain C struct.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = byte;
    lock.l_len = 1;
    let command = if wait { libc::F_OFD_SETLKW } else { libc::F_OFD_SETLK };
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and `lock` outlives the call.
    unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const lock) == 0 }
}

/// Takes a byte, blocked in the kernel until `until` at most: a timer of this thread interrupts the call.
fn take(file: &File, byte: i64, until: Instant) -> bool {
    if set(file, byte, libc::F_WRLCK, false) {
        return true;
    }
    let Some(alarm) = Alarm::arm(until.saturating_duration_since(Instant::now())) else {
        return set(file, byte, libc::F_WRLCK, true);
    };
    loop {
        if set(file, byte, libc::F_WRLCK, true) {
            drop(alarm);
            return true;
        }
        let interrupted = std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted;
        if !interrupted || Instant::now() >= until {
            return false;
        }
    }
}

/// A timer that sends this thread a signal whose handler does nothing, so that a blocking call returns.
struct Alarm(libc::timer_t);

impl Alarm {
    fn arm(after: Duration) -> Option<Self> {
        static HANDLER: std::sync::Once = std::sync::Once::new();
        extern "C" fn nothing(_: libc::c_int) {}
        let signal = libc::SIGRTMIN() + 7;
        HANDLER.call_once(|| {
            // SAFETY: the handler does nothing, so it is safe at any time; without SA_RESTART blocking calls return.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
                libc::sigaction(signal, &raw const action, std::ptr::null_mut());
            }
        });
        // SAFETY: all structs are plain C values that outlive the calls; gettid names the calling thread. As a system call it
        // needs no C library younger than the kernel.
        unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = signal;
            event.sigev_notify_thread_id = libc::syscall(libc::SYS_gettid) as libc::c_int;
            let mut timer: libc::timer_t = std::mem::zeroed();
            if libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) != 0 {
                return None;
            }
            let mut when: libc::itimerspec = std::mem::zeroed();
            when.it_value.tv_sec = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
            // A timer of nothing would never ring.
            when.it_value.tv_nsec = i64::from(after.subsec_nanos()).max(1);
            // Again each 50 ms, in case the first came just before the call.
            when.it_interval.tv_nsec = 50_000_000;
            libc::timer_settime(timer, 0, &raw const when, std::ptr::null_mut());
            Some(Alarm(timer))
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: the timer was created by `arm` and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn gate(path: &std::path::Path) -> Gate {
        Gate::new(File::options().read(true).write(true).open(path).expect("a file"))
    }

    #[test]
    fn whoever_waits_comes_before_the_one_who_had_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let (ours, theirs, looker) = (gate(file.path()), gate(file.path()), gate(file.path()));
        let (tell, told) = mpsc::channel();
        let turn = Turn::wait(Some(&ours));
        std::thread::scope(|scope| {
            let other = tell.clone();
            let theirs = &theirs;
            scope.spawn(move || {
                let turn = Turn::wait(Some(theirs));
                other.send("theirs").expect("a listener");
                drop(turn);
            });
            // They are first in line once nobody else can be.
            while set(&looker.file, LINE_BYTE, libc::F_WRLCK, false) {
                set(&looker.file, LINE_BYTE, libc::F_UNLCK, false);
                std::thread::yield_now();
            }
            std::thread::sleep(SLICE);
            drop(turn);
            let turn = Turn::wait(Some(&ours));
            tell.send("ours").expect("a listener");
            drop(turn);
        });
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["theirs", "ours"]);
    }

    #[test]
    fn a_turn_that_does_not_come_is_waited_for_so_long_only() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let (ours, theirs) = (gate(file.path()), gate(file.path()));
        let turn = Turn::wait(Some(&theirs));
        let soon = Instant::now() + Duration::from_millis(20);
        assert!(!take(&ours.file, LOCK_BYTE, soon));
        drop(turn);
        assert!(take(&ours.file, LOCK_BYTE, soon));
    }
}
