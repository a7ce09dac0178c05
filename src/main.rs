//! The program. Its code is in the library, where tests and benchmarks can use it.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// mimalloc, which fragments less than glibc's allocator with thousands of connections in small buffers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The environment variable that sets after how many milliseconds mimalloc returns freed memory, and its value. With
/// mimalloc's default of a second, a hub under mixed load has 40 to 55 MB of resident memory, and with 0 about 33 MB
/// (measured, with 12 MB in use).
const PURGE_DELAY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "0");

fn main() -> ExitCode {
    set_purge_delay();
    // With huge pages, 10,000 connections need 22 kB each instead of 14 kB (measured). An error is ignored: it only
    // costs memory.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    eduhub::cli::main()
}

/// Starts the program again in the same process with [`PURGE_DELAY`], unless the variable is set. mimalloc reads it
/// before `main`, and a program cannot change it later without unsafe code. Returns if that fails: it only costs
/// memory.
fn set_purge_delay() {
    let (name, value) = PURGE_DELAY;
    let mut arguments = env::args_os();
    let (Some(program), None, Ok(path)) = (arguments.next(), env::var_os(name), env::current_exe()) else { return };
    let _ = Command::new(path).arg0(program).args(arguments).env(name, value).exec();
}
