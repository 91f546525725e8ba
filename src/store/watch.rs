//! Waking up when another process commits.
//!
//! On Linux inotify tells of writes to the log file at once; everywhere, and as a check, `data_version` says whether
//! anything was committed.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// A descriptor that becomes readable when the file's log is written.
pub struct Watch {
    fd: libc::c_int,
}

impl Watch {
    /// Watches the file at `path`; without inotify it is a watch that only times out.
    pub fn new(path: &Path) -> Watch {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        // SAFETY: plain system calls on a descriptor we own and a C string that outlives them.
        let fd = unsafe {
            let fd = libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC);
            if let (true, Ok(name)) = (fd >= 0, CString::new(wal.as_bytes())) {
                libc::inotify_add_watch(fd, name.as_ptr(), libc::IN_MODIFY);
            }
            fd
        };
        Watch { fd }
    }

    /// Returns the descriptor to poll; negative when there is none.
    pub fn fd(&self) -> libc::c_int {
        self.fd
    }

    /// Forgets the writes seen so far.
    pub fn clear(&self) {
        let mut buffer = [0u8; 4096];
        if self.fd < 0 {
            return;
        }
        // SAFETY: reads into a buffer of the length given; the descriptor does not block.
        while unsafe { libc::read(self.fd, buffer.as_mut_ptr().cast(), buffer.len()) } > 0 {}
    }

    /// Sleeps until the log is written or `timeout` is over; returns whether it was written.
    pub fn wait(&self, timeout: Duration) -> bool {
        let mut fds = [libc::pollfd { fd: self.fd, events: libc::POLLIN, revents: 0 }];
        let ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one pollfd, as told; a negative descriptor is ignored by poll.
        let ready = unsafe { libc::poll(fds.as_mut_ptr(), 1, ms) } > 0;
        self.clear();
        ready
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.fd >= 0 {
            // SAFETY: ours, closed once.
            unsafe { libc::close(self.fd) };
        }
    }
}
