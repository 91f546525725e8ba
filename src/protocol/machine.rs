//! This machine, as far as the system tells without running a program.

use std::ffi::CStr;

use serde_json::{Map, Value};

/// Returns the machine's name.
pub(super) fn host() -> String {
    read("/proc/sys/kernel/hostname").unwrap_or_else(|| "localhost".into())
}

/// Returns the user's name: of the login, or of the account.
pub fn user() -> String {
    ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .or_else(account)
        .unwrap_or_else(|| "unknown".into())
}

/// Returns `os kernel cpu cores memory_mib mle`, as far as known.
pub(super) fn describe() -> Map<String, Value> {
    let mut found = Map::new();
    let mut add = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            found.insert(key.to_owned(), value);
        }
    };
    let os = read("/etc/os-release").and_then(|text| field(&text, "PRETTY_NAME=", '"'));
    add("os", Some(os.unwrap_or_else(|| std::env::consts::OS.to_owned()).into()));
    add("kernel", read("/proc/sys/kernel/osrelease").map(Value::from));
    add("architecture", Some(std::env::consts::ARCH.into()));
    let cpu = read("/proc/cpuinfo").and_then(|text| field(&text, "model name", ':'));
    add("cpu", cpu.map(Value::from));
    add("cores", std::thread::available_parallelism().ok().map(|cores| cores.get().into()));
    let memory = read("/proc/meminfo").and_then(|text| field(&text, "MemTotal:", ' '));
    let kib = memory.and_then(|text| text.trim_end_matches("kB").trim().parse::<u64>().ok());
    add("memory_mib", kib.map(|kib| (kib / 1024).into()));
    add("mle", Some(env!("CARGO_PKG_VERSION").into()));
    found
}

fn read(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What follows `name` on its line, without `trim` and blanks around it.
fn field(text: &str, name: &str, trim: char) -> Option<String> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim().trim_matches(trim).trim().to_owned())
}

fn account() -> Option<String> {
    let mut buffer = [0 as libc::c_char; 4096];
    // SAFETY: an all-zero passwd is a valid value of this plain C struct.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: all pointers outlive the call and the length is the buffer's; the name lies in the buffer.
    unsafe {
        let code = libc::getpwuid_r(
            libc::getuid(),
            &raw mut entry,
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        );
        (code == 0 && !found.is_null())
            .then(|| CStr::from_ptr(entry.pw_name).to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_a_name_a_user_and_memory() {
        assert!(!host().is_empty() && !user().is_empty());
        assert!(account().is_some());
        let found = describe();
        assert!(found["memory_mib"].as_u64().unwrap() > 0);
        assert!(!found["os"].as_str().unwrap().is_empty());
    }
}
