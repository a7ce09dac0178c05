//! The program. Its code is in the library, where tests and benchmarks can use it.

use std::process::ExitCode;

/// mimalloc, which fragments less than glibc's allocator with thousands of connections in small buffers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // With huge pages, 10,000 connections need 22 kB each instead of 14 kB (measured). An error is ignored: it only
    // costs memory.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    eduhub::cli::main()
}
