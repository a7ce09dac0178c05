//! Limits and memory of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of open files that are reserved for things other than client connections: the store, uploads,
/// connections to Plone, pipes of threads.
const OTHER_FILES: u64 = 1_024;

/// Raises the soft limit on open files to the hard limit, and logs a warning if that is too low for `connections`.
pub fn raise_open_files(connections: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let allowed = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            log::warn!("cannot raise the limit on open files: {error}");
            current
        }
    };
    if let Some(warning) = file_limit_warning(allowed, connections) {
        log::warn!("{warning}");
    }
}

/// Returns how many connections this process can hold, at most `configured`: the limit on open files, minus the files
/// that are open, minus [`OTHER_FILES`] or a quarter of the limit, whichever is smaller.
#[must_use]
pub fn connections_max(configured: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64);
    let room = limit.saturating_sub(open).saturating_sub(OTHER_FILES.min(limit / 4));
    usize::try_from(room).unwrap_or(usize::MAX).clamp(1, configured.max(1))
}

/// Returns the resident memory of this process in bytes (`VmRSS` in proc_pid_status(5)); `None` if the system does not
/// report it.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1_024)
}

/// Returns the name of this machine, or `hub` if the system does not report it (proc_sys_kernel(5)).
#[must_use]
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "hub".to_owned() } else { name.to_owned() }
}

/// Returns a warning for the operator if the limit on open files is too low for `connections`.
fn file_limit_warning(allowed: Option<u64>, connections: usize) -> Option<String> {
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    let allowed = allowed.filter(|allowed| *allowed < needed)?;
    Some(format!(
        "the limit on open files is {allowed}, but [server] max_connections = {connections} needs {needed}: \
         raise the hard limit (`ulimit -Hn`, or LimitNOFILE= of systemd), or lower max_connections"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_bytes_include_allocated_memory() {
        // Larger than the memory of all other tests in this process, which may free theirs at the same time.
        let block = vec![1_u8; 512 << 20];
        let Some(resident) = resident_bytes() else { return };
        assert!(resident >= block.len() as u64, "{resident} bytes");
    }

    #[test]
    fn a_low_limit_on_open_files_causes_a_warning() {
        assert!(file_limit_warning(Some(1_024), 25_000).is_some_and(|warning| warning.contains("26024")));
        assert_eq!(file_limit_warning(Some(26_024), 25_000), None);
        assert_eq!(file_limit_warning(None, 25_000), None);
    }
}
