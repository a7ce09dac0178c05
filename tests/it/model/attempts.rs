//! The attempts of generated histories: those that the naive model expects, and a chain that is recomputed from
//! `docs/SEMANTICS.md` alone.

use std::collections::BTreeMap;

use eduhub::domain::attempt::{Action, Asker, AttemptResult, Decided, Hash, Origin};
use eduhub::domain::attempt_chain::{AttemptChain, NewAttempts, StoredChain};
use eduhub::domain::command::{Batch, Command, WaitlistMove};
use eduhub::domain::ids::UserName;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::naive::Expected;
use crate::college::{term_id, user};

/// Returns `STUDENT CRN ACTION RESULT POSITION`.
fn in_words(decided: &Decided) -> String {
    let Decided { student, crn, action, result, repeated, position, open: _ } = decided;
    let action: &str = action.into();
    let again = if *repeated { " again" } else { "" };
    format!("{student} {crn} {action} {}{again} {position:?}", result.as_str())
}

/// Returns the attempt of a request, from the reply of the naive model.
fn requested(student: &UserName, crn: &str, action: &str, reply: &str) -> String {
    // The reply may name a section among the choices that refuses the request.
    let reply = reply.strip_prefix("in ").map_or(reply, |reply| reply.split_once(' ').unwrap().1);
    let words: Vec<&str> = reply.split(' ').collect();
    let result = match words[0] {
        "not" => "not_found",
        "undone" => "swap_refused",
        word => word,
    };
    let again = if reply.ends_with("as before") { " again" } else { "" };
    let position = if result == "waitlisted" { words[1] } else { "None" };
    format!("{student} {crn} {action} {result}{again} {position}")
}

/// Returns the attempts of the student's own requests that the model expects, sorted. They state the first decision. A
/// later change, such as a promotion after a swap, has its own attempt.
fn expected_requests(command: &Command, expected: &Expected) -> Vec<String> {
    let mut all: Vec<String> = match command {
        Command::Register { student, crn, .. } => {
            vec![requested(student, crn.as_str(), "register", &expected.at_first[0])]
        }
        Command::RegisterWith { student, crn, .. } => {
            let crn = expected.instead.as_deref().unwrap_or(crn.as_str());
            vec![requested(student, crn, "register", &expected.at_first[0])]
        }
        Command::Drop { student, crn } => vec![requested(student, crn.as_str(), "drop", &expected.at_first[0])],
        Command::MoveOnWaitlist(WaitlistMove { student, crn, .. }) => {
            vec![requested(student, crn.as_str(), "reorder", &expected.at_first[0])]
        }
        Command::Batch(Batch { student, add, drop, .. }) => {
            let requests = add.iter().map(|_| "register").chain(drop.iter().map(|_| "drop"));
            let replies = expected.at_first.iter().map(|reply| reply.split_once(' ').unwrap());
            requests.zip(replies).map(|(action, (crn, reply))| requested(student, crn, action, reply)).collect()
        }
        _ => Vec::new(),
    };
    // Other changes of a request, such as other offers that it accepts.
    all.extend(expected.changed_too.iter().map(|(student, crn, action, reply)| {
        let reply = if expected.is_undone { "undone" } else { reply };
        requested(&user(student), crn, action, reply)
    }));
    all.sort_unstable();
    all
}

/// Returns the attempts of waitlists that follow from the model's notices: promotions, and offers that lapse.
fn expected_promotions(expected: &Expected) -> Vec<String> {
    let promotion = |notice: &String| {
        let words: Vec<&str> = notice.split(' ').collect();
        let (action, result) = match words[3] {
            "promoted" => ("promote", words[2]),
            "offer" if words.len() == 4 => ("promote", words[2]),
            "passed_over" => ("promote", words[4]),
            "lapsed" => ("lapse", words[2]),
            _ => return None,
        };
        Some(format!("{} {} {action} {result}", words[0], words[1]))
    };
    expected.notices.iter().filter_map(promotion).collect()
}

/// The chain of a history, as the hub keeps it, as a store keeps it, and as an auditor recomputes it.
#[derive(Default)]
pub(super) struct Chain {
    chain: AttemptChain,
    stored: StoredChain,
    recomputed: Hash256,
    commitments: BTreeMap<u64, String>,
    n: u64,
}

#[derive(Clone, Default)]
struct Hash256([u8; 32]);

impl Chain {
    /// Loads the chain again, as after a crash.
    pub(super) fn restart(&mut self) {
        self.chain = self.stored.clone().into();
    }

    /// Compares the attempts of a decision with the model, appends them, and recomputes their hashes.
    pub(super) fn check(&mut self, command: &Command, decided: &[Decided], expected: &Expected, now: Timestamp) {
        let at = format!("the attempts of {command:?}");
        let (promotions, requests): (Vec<_>, Vec<_>) = decided.iter().partition(|one| asker_of(one) != Asker::Student);
        let mut own: Vec<String> = requests.iter().map(|one| in_words(one)).collect();
        own.sort_unstable();
        let promotion = |one: &&Decided| {
            let (action, result) = (<&str>::from(one.action), one.result.as_str());
            format!("{} {} {action} {result}", one.student, one.crn)
        };
        let promoted: Vec<String> = promotions.iter().map(promotion).collect();
        assert_eq!(promoted, expected_promotions(expected), "promotions among {at}");
        assert_eq!(own, expected_requests(command, expected), "{at}");
        let mut new = NewAttempts::default();
        for one in decided {
            let (origin, salt) = (Origin { by: asker_of(one), ..Origin::default() }, [7; 16]);
            self.chain.append(&term_id(), one.clone(), &origin, now, &mut new, || salt);
        }
        self.chain.end_batch(&mut new);
        self.stored.extend(&new);
        self.audit(&new, decided, now);
    }

    /// Recomputes the hashes of new attempts.
    fn audit(&mut self, new: &NewAttempts, decided: &[Decided], now: Timestamp) {
        for student in &new.students {
            let commitment: [u8; 32] =
                Sha256::new().chain_update([7; 16]).chain_update(student.user.as_str()).finalize().into();
            self.commitments.insert(student.id, hexadecimal(&commitment));
        }
        assert_eq!(new.attempts.len(), decided.len());
        for (attempt, one) in new.attempts.iter().zip(decided) {
            self.n += 1;
            assert_eq!(attempt.n, self.n, "numbers have no gaps");
            let number = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
            let by = <&str>::from(asker_of(one));
            let (at, action) = (now.as_millisecond(), <&str>::from(one.action));
            let row = format!(
                "1\t{}\t{}\t{at}\t{at}\t{}\t{}\t{action}\t{}\t{}\t{}\t{}\t{by}\t-",
                term_id(),
                self.n,
                self.commitments[&attempt.student],
                one.crn,
                AttemptResult::as_str(one.result),
                u8::from(one.repeated),
                number(one.position),
                number(one.open),
            );
            let hash = Sha256::new().chain_update(self.recomputed.0).chain_update(row).finalize();
            self.recomputed = Hash256(hash.into());
            assert_eq!(attempt.hash, Hash(self.recomputed.0), "the hash of attempt {}", self.n);
        }
    }
}

/// Returns who requests a decision: the student (here also in place of staff), the waitlist, or, for an offer that
/// lapses, the hub.
fn asker_of(decided: &Decided) -> Asker {
    match decided.action {
        Action::Register | Action::Drop | Action::Reorder => Asker::Student,
        Action::Promote => Asker::Promotion,
        Action::Lapse => Asker::System,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
