//! The program: everything it does is in the library, so that tests and benchmarks can reach it.

use std::process::ExitCode;

/// Thousands of connections in small buffers: less fragmentation than with glibc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // mimalloc's huge pages would cost each of 10,000 connections a third of its memory again (measured: 22 kB, not 14).
    // Where the kernel does not know the call, it only costs memory.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    eduhub::cli::main()
}
