//! What the operating system allows this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files that the hub needs apart from WebSockets: HTTP connections, the store, threads' pipes.
const FILES_APART: u64 = 1_024;

/// Raises the soft limit of open files to the hard one, and warns when that is too low for `connections`.
pub fn raise_open_files(connections: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let allowed = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            log::warn!("the limit of open files stays as it is: {error}");
            current
        }
    };
    if let Some(warning) = too_few_files(allowed, connections) {
        log::warn!("{warning}");
    }
}

/// The memory that this process occupies (its resident set), in bytes; none where the system does not say. See
/// proc_pid_status(5), `VmRSS`.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1_024)
}

/// What to tell an operator whose limit of open files is too low for `connections`; none when it will do.
fn too_few_files(allowed: Option<u64>, connections: usize) -> Option<String> {
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(FILES_APART);
    let allowed = allowed.filter(|allowed| *allowed < needed)?;
    Some(format!(
        "only {allowed} open files are allowed, and [server] max_connections = {connections} needs {needed}: \
         raise the hard limit (`ulimit -Hn`, or LimitNOFILE= of systemd), or lower max_connections"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_memory_is_occupied() {
        // More than all other tests of this process together: what they give back meanwhile changes nothing.
        let block = vec![1_u8; 512 << 20];
        let Some(occupied) = resident_bytes() else { return };
        assert!(occupied >= block.len() as u64, "{occupied} bytes");
    }

    #[test]
    fn an_operator_hears_of_too_few_files_only_when_they_are_too_few() {
        assert!(too_few_files(Some(1_024), 25_000).is_some_and(|told| told.contains("26024")));
        assert_eq!(too_few_files(Some(26_024), 25_000), None);
        assert_eq!(too_few_files(None, 25_000), None);
    }
}
