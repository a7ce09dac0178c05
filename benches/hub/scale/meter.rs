//! Measures the resources that the hubs and the database use between two moments.

use std::time::Instant;

use super::system::System;
use crate::machine;

/// The resources used between two readings.
#[derive(Debug, Clone, Default)]
pub struct Used {
    pub seconds: f64,
    /// Processor time per hub, and of PostgreSQL, in seconds.
    pub hubs: Vec<f64>,
    pub postgres: f64,
    /// Bytes of the write-ahead log, and of the database on disk.
    pub wal: f64,
    pub disk: f64,
    /// Commits of all hubs.
    pub commits: f64,
    /// Per hub: batches that first read other hubs' commits, other reads of such commits, and frames sent.
    pub catch_ups: Vec<f64>,
    pub follows: Vec<f64>,
    pub frames: Vec<f64>,
    /// Growth of the resident memory per hub, in bytes.
    pub memory: Vec<f64>,
    /// The resident memory per hub at the end.
    pub resident: Vec<f64>,
}

/// Counters at one moment.
struct Reading {
    at: Instant,
    processor: (Vec<f64>, f64),
    counts: [f64; 3],
    of_hubs: OfHubs,
}

/// Counters of each hub.
struct OfHubs {
    catch_ups: Vec<f64>,
    follows: Vec<f64>,
    frames: Vec<f64>,
    memory: Vec<f64>,
}

/// A measurement in progress.
pub struct Meter<'a> {
    system: &'a System,
    from: Reading,
}

impl<'a> Meter<'a> {
    /// Begins a measurement. Processor time is read last, because the other readings use some.
    pub fn start(system: &'a System) -> Self {
        let (counts, of_hubs) = counts(system);
        let processor = processor(system);
        Self { system, from: Reading { at: Instant::now(), processor, counts, of_hubs } }
    }

    /// Ends the measurement. Processor time is read first.
    pub fn stop(self) -> Used {
        let (hubs, postgres) = processor(self.system);
        let (seconds, from) = (self.from.at.elapsed().as_secs_f64(), self.from);
        let (counts, OfHubs { catch_ups, follows, frames, memory }) = counts(self.system);
        let less = |now: Vec<f64>, before: &[f64]| now.iter().zip(before).map(|(now, before)| now - before).collect();
        Used {
            seconds,
            hubs: less(hubs, &from.processor.0),
            postgres: postgres - from.processor.1,
            commits: counts[0] - from.counts[0],
            wal: counts[1] - from.counts[1],
            disk: counts[2] - from.counts[2],
            catch_ups: less(catch_ups, &from.of_hubs.catch_ups),
            follows: less(follows, &from.of_hubs.follows),
            frames: less(frames, &from.of_hubs.frames),
            memory: less(memory.clone(), &from.of_hubs.memory),
            resident: memory,
        }
    }
}

fn processor(system: &System) -> (Vec<f64>, f64) {
    let seconds = |pid| machine::exact_processor_time(pid).as_secs_f64();
    let server = system.cluster.pid();
    let postgres = seconds(server) + machine::children(server).into_iter().map(seconds).sum::<f64>();
    (system.hubs.iter().map(|hub| seconds(hub.pid())).collect(), postgres)
}

fn counts(system: &System) -> ([f64; 3], OfHubs) {
    let of_hubs = |name| system.hubs.iter().map(|hub| hub.metric(name)).collect::<Vec<_>>();
    let commits = of_hubs("eduhub_commits_total").iter().sum();
    let number = |sql| system.number(sql) as f64;
    let wal = number("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint");
    let disk = number("SELECT pg_database_size('postgres')");
    let memory = system.hubs.iter().map(|hub| machine::resident_bytes(hub.pid()) as f64).collect();
    let of_hubs = OfHubs {
        catch_ups: of_hubs("eduhub_catch_ups_total"),
        follows: of_hubs("eduhub_follow_reads_total{outcome=\"ok\"}"),
        frames: of_hubs("eduhub_frames_sent_total"),
        memory,
    };
    ([commits, wal, disk], of_hubs)
}
