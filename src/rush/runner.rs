//! Runs a demonstration in a child process: the hub starts its own program, writes the [`Job`] to its standard input,
//! and reads reports from its standard output, one JSON document per line.
//!
//! A separate process has its own limit on open files: ten thousand students need as many open files as the hub needs
//! for their connections. It also does not compete with the hub's threads inside one process.
//!
//! The child stops its run when its standard input closes: when [`StopHandle::stop`] is called, or the hub ends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::rush::report::{Phase, Task};
use crate::rush::{Job, run};

/// The command-line arguments of the child process, which then calls [`run_attached`].
const ARGUMENTS: [&str; 2] = ["rush", "--attached"];
/// Maximum length of a job in bytes; a job may contain ten thousand tokens.
const JOB_LEN_MAX: u64 = 64 * 1024 * 1024;

/// The standard input of a child process.
#[derive(Default)]
enum Input {
    /// The job is not written yet.
    #[default]
    Pending,
    Open(#[expect(dead_code, reason = "it is closed when it is dropped")] ChildStdin),
    /// The run must stop.
    Closed,
}

/// A handle that stops a run early. Its clones stop the same run.
#[derive(Clone, Default)]
pub struct StopHandle(Arc<Mutex<Input>>);

impl StopHandle {
    /// Asks the run to stop. It then reports that it was stopped early. A run that has not started yet stops as soon as
    /// it starts.
    pub fn stop(&self) {
        *self.0.lock() = Input::Closed;
    }

    /// Holds the standard input of a child until the run must stop.
    fn hold(&self, stdin: ChildStdin) {
        let mut input = self.0.lock();
        if matches!(*input, Input::Pending) {
            *input = Input::Open(stdin);
        }
    }
}

/// Runs a job in a child process and waits for it to exit. Calls `on_report` with each report.
///
/// # Errors
/// If the process cannot be started, its reports cannot be read, or it exits before the run has finished.
pub fn run_in_child(job: &Job, handle: &StopHandle, on_report: impl Fn(Task)) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(ARGUMENTS).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let result = read_reports(&mut child, job, handle, on_report);
    handle.stop();
    if result.is_err() {
        // The child may be blocked writing to a pipe that is no longer read.
        let _ = child.kill();
    }
    child.wait()?;
    result
}

/// Writes the job to the child and reads its reports until it closes its standard output.
fn read_reports(child: &mut Child, job: &Job, handle: &StopHandle, on_report: impl Fn(Task)) -> io::Result<()> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    serde_json::to_writer(&mut stdin, job)?;
    stdin.write_all(b"\n")?;
    stdin.flush()?;
    handle.hold(stdin);
    let mut has_finished = false;
    for line in BufReader::new(stdout).lines() {
        let task: Task = serde_json::from_str(&line?)?;
        has_finished = task.phase == Phase::Finished;
        on_report(task);
    }
    if has_finished { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Runs as the child process: reads a job from standard input, runs it, and writes reports to standard output.
///
/// # Errors
/// If the job cannot be read or the async runtime cannot be created.
pub fn run_attached() -> io::Result<()> {
    let mut stdin = BufReader::new(io::stdin());
    let mut line = String::new();
    stdin.by_ref().take(JOB_LEN_MAX).read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line)?;
    drop(line);
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = stop.clone();
    std::thread::spawn(move || {
        // Discards further input. Standard input closes when the run must stop.
        let _ = io::copy(&mut stdin, &mut io::sink());
        stopping.store(true, Ordering::Relaxed);
    });
    let on_progress = |task: &Task| {
        if write_report(task).is_err() {
            stop.store(true, Ordering::Relaxed);
        }
    };
    run(&job, &stop, &on_progress).map(drop)
}

fn write_report(task: &Task) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, task)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_before_the_job_is_written_closes_the_childs_input() {
        for stops_early in [true, false] {
            let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            let handle = StopHandle::default();
            if stops_early {
                handle.stop();
            }
            handle.hold(child.stdin.take().unwrap());
            let is_closed = matches!(*handle.0.lock(), Input::Closed);
            assert_eq!(is_closed, stops_early);
            handle.stop();
            assert!(child.wait().unwrap().success(), "its input has ended");
        }
    }
}
