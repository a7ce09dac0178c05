//! A run in a process of its own: the hub starts its own program once more, tells it over standard input what to do, and
//! hears over standard output how far it is. Ten thousand students need as many open files as their connections at the
//! hub's end, and what they compute must not stand in the way of what is measured.
//!
//! When the hub ends, or whoever watches lets go, standard input closes, and the run ends itself.

use parking_lot::Mutex;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::rush::report::{Phase, Task};
use crate::rush::{Job, run};

/// The arguments by which the program knows that it is such a process.
const ARGUMENTS: [&str; 2] = ["rush", "--attached"];
/// The longest job, in bytes: ten thousand tokens.
const JOB_LEN_MAX: u64 = 64 * 1024 * 1024;

/// Ends a run early.
#[derive(Clone, Default)]
pub struct Leash(Arc<Mutex<Option<ChildStdin>>>);

impl Leash {
    /// The run ends itself, and tells that it was ended.
    pub fn let_go(&self) {
        self.0.lock().take();
    }
}

/// Runs a job in a process of its own, and waits for its end; `tell` hears each state of it.
///
/// # Errors
/// When there can be no such process, or it ended without an end of the task.
pub fn supervise(job: &Job, leash: &Leash, tell: impl Fn(Task)) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(ARGUMENTS).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let told = follow(&mut child, job, leash, tell);
    leash.let_go();
    if told.is_err() {
        // It may be waiting for somebody who reads on.
        let _ = child.kill();
    }
    child.wait()?;
    told
}

fn follow(child: &mut Child, job: &Job, leash: &Leash, tell: impl Fn(Task)) -> io::Result<()> {
    let (Some(mut orders), Some(news)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    serde_json::to_writer(&mut orders, job)?;
    orders.write_all(b"\n")?;
    orders.flush()?;
    *leash.0.lock() = Some(orders);
    let mut has_ended = false;
    for line in BufReader::new(news).lines() {
        let task: Task = serde_json::from_str(&line?)?;
        has_ended = task.phase == Phase::Finished;
        tell(task);
    }
    if has_ended { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// What such a process does: reads its job, runs it, tells it.
///
/// # Errors
/// When there is no job to be read, or nobody listens.
pub fn attached() -> io::Result<()> {
    let mut orders = BufReader::new(io::stdin());
    let mut line = String::new();
    orders.by_ref().take(JOB_LEN_MAX).read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line)?;
    drop(line);
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = stop.clone();
    std::thread::spawn(move || {
        // Whatever comes, the end of it is the end of whoever wants the run.
        let _ = io::copy(&mut orders, &mut io::sink());
        stopping.store(true, Ordering::Relaxed);
    });
    let tell = |task: &Task| {
        if write_line(task).is_err() {
            stop.store(true, Ordering::Relaxed);
        }
    };
    run(&job, &stop, &tell).map(drop)
}

fn write_line(task: &Task) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, task)?;
    out.write_all(b"\n")?;
    out.flush()
}
