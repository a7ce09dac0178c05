//! What a disk can hold after a power failure.
//!
//! While students register, every write of the store is recorded. From the record, images of the disk are made as of
//! random moments of the run: what was synced is there, and each later write is there, missing, or torn at the 512-byte
//! sectors of a disk. Every seat that was acknowledged before such a moment must be in its image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use eduhub::domain::ids::TermId;
use eduhub::domain::registration::RegistrationStatus;
use eduhub::store::sqlite::{SqliteOptions, SqliteStore, verify};
use eduhub::store::terms::TermStore;

use crate::disk::{self, Operation};
use crate::support::random::{Random, length_of_run, seed};
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::Home;

const TERM: &str = "203001";
const SECTIONS: u32 = 10;
const STUDENTS: usize = 120;
/// Students who register at the same time.
const AT_ONCE: usize = 8;
/// Length of a sector of a disk, in bytes. A write is torn between sectors, not inside one.
const SECTOR: usize = 512;
/// Images of one run; `FAULT_IMAGES` sets another number.
const IMAGES: usize = 20;

/// An acknowledged seat.
struct Acknowledged {
    /// Length of the record when the response had arrived. Every operation that the seat depends on is within it.
    recorded: usize,
    student: String,
    crn: String,
}

/// A recorded run: the operations on the disk, and the seats that the hub acknowledged.
struct Run {
    operations: Vec<(usize, Operation)>,
    acknowledged: Vec<Acknowledged>,
    /// Length of the record when registration began.
    began: usize,
    /// The store's files by inode.
    names: BTreeMap<u64, PathBuf>,
}

fn schedule() -> Schedule {
    let row = |number: u32| Row {
        crn: (10_001 + number).to_string(),
        course: format!("MATH {}", 101 + number),
        component: "lecture".into(),
        credits: "1",
        days: if number < 5 { Days::Mwf } else { Days::Tr },
        start: 8 * 60 + number % 5 * 60,
        end: 8 * 60 + number % 5 * 60 + 50,
        capacity: 40,
        waitlist: 0,
    };
    Schedule { term: TERM.into(), rows: (0..SECTIONS).map(row).collect() }
}

/// Lets all students register while the disk is recorded, then kills the hub.
fn recorded_run(random: &mut Random, lies: bool) -> Run {
    let home = Home::new();
    let record = tempfile::NamedTempFile::new().expect("a file for the record");
    let mut serve = home.command(&["serve"]);
    disk::watch(&mut serve, home.folder());
    serve.env("DISK_LOG", record.path());
    if lies {
        serve.env("DISK_LIE", "1");
    }
    let server = home.start(serve);
    schedule().load(&mut server.client().signed_in(&home.token("clerk", "staff")));

    let length = || usize::try_from(record.path().metadata().unwrap().len()).unwrap();
    let began = length();
    let tokens = home.tokens("student", "student", STUDENTS);
    let acknowledged = Mutex::new(Vec::new());
    let first_sections: Vec<usize> = tokens.iter().map(|_| random.below(SECTIONS as usize)).collect();
    thread::scope(|scope| {
        for lane in 0..AT_ONCE {
            let (tokens, first_sections, acknowledged, server) = (&tokens, &first_sections, &acknowledged, &server);
            scope.spawn(move || {
                for number in (lane..STUDENTS).step_by(AT_ONCE) {
                    let mut student = server.client().signed_in(&tokens[number]);
                    for step in 0..3 {
                        let crn = (10_001 + (first_sections[number] + step) % SECTIONS as usize).to_string();
                        let path = format!("/api/v1/me/registrations/{TERM}-{crn}");
                        if student.put(&path).status == 201 {
                            let student = format!("student-{:05}", number + 1);
                            acknowledged.lock().unwrap().push(Acknowledged { recorded: length(), student, crn });
                        }
                    }
                }
            });
        }
    });
    let names = ["eduhub.db", "eduhub.db-wal", "eduhub.db.last-commit"].map(|name| {
        let path = home.folder().join(name);
        (path.metadata().expect("a file of the store").ino(), PathBuf::from(name))
    });
    server.kill();
    let operations = disk::read_log(&fs::read(record.path()).unwrap());
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > STUDENTS, "{} seats", acknowledged.len());
    Run { operations, acknowledged, began, names: names.into() }
}

/// A file of the disk: what is synced, and the writes after it.
#[derive(Default, Clone)]
pub(crate) struct DiskFile {
    synced: Vec<u8>,
    pending: Vec<Operation>,
}

impl DiskFile {
    /// Creates a file with this content on the disk.
    pub(crate) fn with_content(synced: Vec<u8>) -> Self {
        Self { synced, pending: Vec::new() }
    }

    /// Applies an operation to this file. Writes are pending until the next sync.
    pub(crate) fn follow(&mut self, operation: &Operation) {
        match operation {
            Operation::Write { .. } | Operation::Truncate { .. } => self.pending.push(operation.clone()),
            Operation::Sync { .. } => self.sync(),
            Operation::Open { .. } | Operation::Name | Operation::Remove { .. } => {}
        }
    }

    fn sync(&mut self) {
        for operation in std::mem::take(&mut self.pending) {
            apply(&mut self.synced, &operation, |_| true);
        }
    }

    /// Returns what the disk holds if it loses everything that was not synced.
    pub(crate) fn only_synced(&self) -> &[u8] {
        &self.synced
    }

    /// Returns what the disk may hold: each pending write is there, missing, or torn.
    pub(crate) fn after_power_loss(&self, random: &mut Random) -> Vec<u8> {
        let mut content = self.synced.clone();
        for operation in &self.pending {
            match random.below(3) {
                0 => {}
                1 => apply(&mut content, operation, |_| true),
                _ => apply(&mut content, operation, |_| random.percent(50)),
            }
        }
        content
    }
}

/// Applies an operation to the content of a file; for a write, only the sectors for which `is_written` returns true.
fn apply(content: &mut Vec<u8>, operation: &Operation, mut is_written: impl FnMut(usize) -> bool) {
    match operation {
        Operation::Write { offset, data, .. } => {
            let offset = usize::try_from(*offset).unwrap();
            let mut at = 0;
            while at < data.len() {
                let sector = (offset + at) / SECTOR;
                let end = data.len().min((sector + 1) * SECTOR - offset);
                if is_written(sector) {
                    if content.len() < offset + end {
                        content.resize(offset + end, 0);
                    }
                    content[offset + at..offset + end].copy_from_slice(&data[at..end]);
                }
                at = end;
            }
        }
        Operation::Truncate { size, .. } => content.resize(usize::try_from(*size).unwrap(), 0),
        Operation::Open { .. } | Operation::Sync { .. } | Operation::Name | Operation::Remove { .. } => {}
    }
}

/// Calls `check` with images of the disk at `count` random points of the run, and with the length of the record there.
fn for_each_image(run: &Run, count: usize, random: &mut Random, mut check: impl FnMut(&Path, usize)) {
    let after_start = run.operations.iter().filter(|(end, _)| *end > run.began).count();
    let mut points = BTreeSet::new();
    while points.len() < count.min(after_start) {
        points.insert(run.operations.len() - 1 - random.below(after_start));
    }
    let mut files: BTreeMap<u64, DiskFile> = BTreeMap::new();
    for (index, (end, operation)) in run.operations.iter().enumerate() {
        match operation {
            Operation::Open { inode, .. }
            | Operation::Write { inode, .. }
            | Operation::Truncate { inode, .. }
            | Operation::Sync { inode } => files.entry(*inode).or_default().follow(operation),
            Operation::Name | Operation::Remove { .. } => {}
        }
        if points.contains(&index) {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            for (inode, name) in &run.names {
                let content = files.get(inode).map(|file| file.after_power_loss(random)).unwrap_or_default();
                fs::write(folder.path().join(name), content).unwrap();
            }
            check(folder.path(), *end);
        }
    }
}

/// Returns the enrolled students of an image with their sections, as a hub reads them.
async fn seats(store: &SqliteStore) -> BTreeSet<(String, String)> {
    let rows = store.load(&TermId::parse(TERM).unwrap()).await.expect("the term is read");
    let enrolled = rows.registrations.iter().filter(|(_, held)| held.status == RegistrationStatus::Enrolled);
    enrolled.map(|(student, held)| (student.to_string(), held.crn.to_string())).collect()
}

/// Returns the acknowledged seats that an image lacks, and the counts that are wrong in it; or why it cannot be opened.
fn lost(run: &Run, folder: &Path, recorded: usize) -> Vec<String> {
    let path = folder.join("eduhub.db");
    let due = run.acknowledged.iter().filter(|seat| seat.recorded <= recorded);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = match SqliteStore::open(SqliteOptions { path: path.clone(), outbox: None }) {
        Ok(store) => runtime.block_on(seats(&store)),
        Err(error) => return vec![format!("the store is not opened: {error}")],
    };
    let verified = verify(&path).expect("the store is read");
    assert_eq!(verified.damage, [""; 0], "an opened store is whole");
    let missing = due.filter(|seat| !found.contains(&(seat.student.clone(), seat.crn.clone())));
    missing.map(|seat| format!("{} in {}", seat.student, seat.crn)).chain(verified.differences).collect()
}

#[test]
fn no_acknowledged_seat_is_lost_when_the_power_fails() {
    let mut random = Random::seeded(seed());
    let images = length_of_run("FAULT_IMAGES", IMAGES);
    let run = recorded_run(&mut random, false);
    let mut checked = 0;
    for_each_image(&run, images, &mut random, |folder, recorded| {
        assert_eq!(lost(&run, folder, recorded), [""; 0], "at byte {recorded} of the record");
        checked += 1;
    });
    println!("{checked} images, {} seats acknowledged", run.acknowledged.len());
    assert_eq!(checked, images);
}

#[test]
fn a_disk_that_only_claims_to_sync_loses_seats() {
    let mut random = Random::seeded(seed());
    let run = recorded_run(&mut random, true);
    let mut losses = 0;
    for_each_image(&run, IMAGES, &mut random, |folder, recorded| {
        losses += usize::from(!lost(&run, folder, recorded).is_empty());
    });
    assert!(losses > 0, "nothing was synced, but no loss was detected");
}
