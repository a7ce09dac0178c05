//! The program: everything it does is in the library, so that tests and benchmarks can reach it.

use std::process::ExitCode;

/// Thousands of connections in small buffers: less fragmentation than with glibc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    eduhub::cli::main()
}
