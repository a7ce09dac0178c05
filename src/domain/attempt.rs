//! Attempts: every decided request for a student, refusals included, and every promotion and lapsed offer, in one chain
//! per term.
//!
//! An attempt has a number, without gaps within its term, and a hash: SHA-256 over the hash of the previous attempt and
//! the attempt's canonical row. `docs/SEMANTICS.md` defines the row ([`Attempt::canonical_row`]), so that others can
//! recompute the chain. A row names the student by a [`Commitment`], so that the name can be erased and the chain stays
//! verifiable.

use std::fmt;
use std::io::Write as _;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use strum::{EnumString, IntoStaticStr, VariantArray};
use uuid::Uuid;

use crate::domain::ids::{Crn, TermId, UserName};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::RegistrationStatus;

/// The version of the canonical row, its first field.
const ROW_VERSION: &str = "1";
/// The text of a field without a value.
const NO_VALUE: &str = "-";
/// Length of a salt in bytes. A salt has 2^128 values, too many to try them all for a known name.
pub const SALT_LEN: usize = 16;
/// Bytes that are first allocated for a canonical row. Most rows are shorter.
const ROW_BYTES: usize = 256;

/// A random value that prevents a name from being guessed from its commitment.
pub type Salt = [u8; SALT_LEN];

/// A SHA-256 hash. Displayed and serialized as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash before the first attempt of a term.
    pub const ZERO: Self = Self([0; 32]);

    /// Returns the hash of an attempt after the one with this hash.
    #[must_use]
    pub fn followed_by(self, canonical_row: &[u8]) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(canonical_row).finalize().into())
    }

    /// Returns the hexadecimal digits.
    fn digits(self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        text
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits().iter().try_for_each(|digit| fmt::Write::write_char(f, char::from(*digit)))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

/// The hash that identifies a student in canonical rows: SHA-256 over a salt and the username. The salt is different
/// for each student and term. Without the salt, the name can neither be found nor shown to belong to the commitment.
pub type Commitment = Hash;

/// Returns the commitment to a username.
#[must_use]
pub fn commitment(salt: &Salt, user: &UserName) -> Commitment {
    Hash(Sha256::new().chain_update(salt).chain_update(user.as_str()).finalize().into())
}

/// What was requested, or what the hub did by a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray, Serialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Action {
    /// A seat or a waitlist position.
    Register,
    /// A drop of a seat or a waitlist position.
    Drop,
    /// A seat, or an offer of one, for a student on the waitlist.
    Promote,
    /// The end of an offer that the student did not accept in time.
    Lapse,
    /// Another position on the waitlist, which staff requested.
    Reorder,
}

impl Action {
    /// Returns whether a user requested it; otherwise the hub did, by a rule.
    #[must_use]
    pub const fn is_request(self) -> bool {
        match self {
            Self::Register | Self::Drop | Self::Reorder => true,
            Self::Promote | Self::Lapse => false,
        }
    }

    /// Returns the origin of an action that no user requested; `None` for a request.
    #[must_use]
    pub fn own_origin(self) -> Option<Origin> {
        let by = match self {
            Self::Register | Self::Drop | Self::Reorder => return None,
            Self::Promote => Asker::Promotion,
            Self::Lapse => Asker::System,
        };
        Some(Origin { by, ..Origin::default() })
    }
}

/// Who requested a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, EnumString, IntoStaticStr, VariantArray, Serialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Asker {
    /// The student.
    #[default]
    #[serde(rename = "self")]
    #[strum(serialize = "self")]
    Student,
    /// Staff, for the student.
    Staff,
    /// The waitlist, because a seat became free.
    Promotion,
    /// The hub itself.
    System,
}

/// The result of an attempt, as the reply states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptResult {
    /// The request was granted, now or before.
    Granted(RegistrationStatus),
    /// A rule refused it.
    Refused(RefusalCode),
    /// There is no such section, or the student never registered for it.
    NotFound,
    /// Another request of the same swap was refused, so nothing was changed.
    SwapRefused,
}

impl AttemptResult {
    const NOT_FOUND: &'static str = "not_found";
    const SWAP_REFUSED: &'static str = "swap_refused";

    /// Returns the name: that of the status, or the code of the problem.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Granted(status) => status.as_str(),
            Self::Refused(code) => code.as_str(),
            Self::NotFound => Self::NOT_FOUND,
            Self::SwapRefused => Self::SWAP_REFUSED,
        }
    }

    /// Parses a name; `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            Self::NOT_FOUND => Some(Self::NotFound),
            Self::SWAP_REFUSED => Some(Self::SwapRefused),
            _ => (RegistrationStatus::parse(text).map(Self::Granted))
                .or_else(|| RefusalCode::parse(text).map(Self::Refused)),
        }
    }
}

/// Where a command comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Who requested the decision.
    pub by: Asker,
    /// The id of the HTTP request.
    pub request_id: Option<Uuid>,
    /// When the hub received it; `None` means the time of the decision.
    pub received_at: Option<Timestamp>,
}

/// A decided request, promotion or lapse, before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The student.
    pub student: UserName,
    /// The section, which may not exist.
    pub crn: Crn,
    /// What was requested.
    pub action: Action,
    /// The result.
    pub result: AttemptResult,
    /// Whether the student already had the status that was requested, so nothing was changed.
    pub repeated: bool,
    /// The waitlist position: the one that the student has after the decision, or had before a promotion.
    pub position: Option<u32>,
    /// The open seats that the request found; `None` for a promotion or a lapse, for an offer that is accepted along
    /// with another one, and if there is no such section.
    pub open: Option<u32>,
}

/// A decided request, promotion or lapse, with its number and its hash in the chain of the term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The number within the term, from 1.
    pub n: u64,
    /// When the hub received the request, to the millisecond.
    pub received_at: Timestamp,
    /// When it was decided, to the millisecond.
    pub decided_at: Timestamp,
    /// The number of the student within the term.
    pub student: u64,
    /// The section.
    pub crn: Crn,
    /// What was requested.
    pub action: Action,
    /// The result.
    pub result: AttemptResult,
    /// See [`Decided::repeated`].
    pub repeated: bool,
    /// See [`Decided::position`].
    pub position: Option<u32>,
    /// See [`Decided::open`].
    pub open: Option<u32>,
    /// Who requested the decision.
    pub by: Asker,
    /// The id of the HTTP request.
    pub request_id: Option<Uuid>,
    /// The student's previous attempt in the term; 0 for the first.
    pub before_of_student: u64,
    /// The section's previous attempt; 0 for the first.
    pub before_of_section: u64,
    /// The hash.
    pub hash: Hash,
}

impl Attempt {
    /// Writes the canonical row to `row`, which is cleared first: 14 fields, separated by tabs. The hash is computed
    /// over its bytes.
    pub fn canonical_row(&self, term: &TermId, commitment: Commitment, row: &mut Vec<u8>) {
        row.clear();
        row.reserve(ROW_BYTES);
        let (received, decided) = (self.received_at.as_millisecond(), self.decided_at.as_millisecond());
        // Writing to a vector cannot fail.
        let _ = write!(row, "{ROW_VERSION}\t{term}\t{}\t{received}\t{decided}\t", self.n);
        row.extend_from_slice(&commitment.digits());
        let (action, by): (&str, &str) = (self.action.into(), self.by.into());
        let repeated = u8::from(self.repeated);
        let _ = write!(row, "\t{}\t{action}\t{}\t{repeated}\t", self.crn, self.result.as_str());
        for number in [self.position, self.open] {
            let _ = match number {
                Some(number) => write!(row, "{number}\t"),
                None => write!(row, "{NO_VALUE}\t"),
            };
        }
        let _ = match self.request_id {
            Some(id) => write!(row, "{by}\t{}", id.hyphenated()),
            None => write!(row, "{by}\t{NO_VALUE}"),
        };
    }

    /// Returns the number and the hash.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        Receipt { n: self.n, hash: self.hash }
    }
}

/// The number and the hash of an attempt, with which a student can prove what the hub replied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The number of the attempt within its term.
    pub n: u64,
    /// Its hash.
    pub hash: Hash,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Attempt {
        Attempt {
            n: 7,
            received_at: Timestamp::from_millisecond(1_800_000_000_123).unwrap(),
            decided_at: Timestamp::from_millisecond(1_800_000_000_127).unwrap(),
            student: 3,
            crn: Crn::parse("10001").unwrap(),
            action: Action::Register,
            result: AttemptResult::Refused(RefusalCode::SectionFull),
            repeated: false,
            position: None,
            open: Some(0),
            by: Asker::Student,
            request_id: Some(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001)),
            before_of_student: 2,
            before_of_section: 6,
            hash: Hash::ZERO,
        }
    }

    /// The row and the hashes of the example in `docs/SEMANTICS.md`, computed by another program.
    #[test]
    fn the_canonical_row_matches_the_documentation() {
        let (term, user) = (TermId::parse("202209").unwrap(), UserName::parse("ann").unwrap());
        let commitment = commitment(&[7; SALT_LEN], &user);
        let mut row = b"of another attempt".to_vec();
        attempt().canonical_row(&term, commitment, &mut row);
        let text = String::from_utf8(row.clone()).unwrap();
        let expected = "1\t202209\t7\t1800000000123\t1800000000127\t\
             eaa287d196dafd5e63cdaf1cec8e0e75441c9d84805bbd8ffaef3c9ba1c64c72\t10001\tregister\tsection_full\t0\t-\t0\t\
             self\t01920000-0000-7000-8000-000000000001";
        assert_eq!(text, expected);
        let hash = "c5e3caf5a82a6efb80903b70f887d793ff392c3cf6cfd8151567922d1894e553";
        assert_eq!(Hash::ZERO.followed_by(&row).to_string(), hash);
    }

    #[test]
    fn every_field_of_a_row_changes_the_hash() {
        let term = TermId::parse("202209").unwrap();
        let hash = |attempt: &Attempt, term: &TermId, commitment: Commitment, before: Hash| {
            let mut row = Vec::new();
            attempt.canonical_row(term, commitment, &mut row);
            before.followed_by(&row)
        };
        let original = hash(&attempt(), &term, Hash::ZERO, Hash::ZERO);
        let later = attempt().decided_at + jiff::SignedDuration::from_millis(1);
        let changed = [
            Attempt { n: 8, ..attempt() },
            Attempt { received_at: later, ..attempt() },
            Attempt { decided_at: later, ..attempt() },
            Attempt { crn: Crn::parse("10002").unwrap(), ..attempt() },
            Attempt { action: Action::Drop, ..attempt() },
            Attempt { result: AttemptResult::NotFound, ..attempt() },
            Attempt { repeated: true, ..attempt() },
            Attempt { position: Some(0), ..attempt() },
            Attempt { open: None, ..attempt() },
            Attempt { open: Some(1), ..attempt() },
            Attempt { by: Asker::Staff, ..attempt() },
            Attempt { request_id: None, ..attempt() },
        ];
        for changed in &changed {
            assert_ne!(hash(changed, &term, Hash::ZERO, Hash::ZERO), original, "{changed:?}");
        }
        let (other, hash_one) = (TermId::parse("202301").unwrap(), Hash([1; 32]));
        for (term, commitment, before) in
            [(&other, Hash::ZERO, Hash::ZERO), (&term, hash_one, Hash::ZERO), (&term, Hash::ZERO, hash_one)]
        {
            assert_ne!(hash(&attempt(), term, commitment, before), original);
        }
    }

    #[test]
    fn every_result_is_parsed_from_its_name() {
        let statuses = RegistrationStatus::VARIANTS.iter().map(|status| AttemptResult::Granted(*status));
        let refusals = RefusalCode::VARIANTS.iter().map(|code| AttemptResult::Refused(*code));
        for result in statuses.chain(refusals).chain([AttemptResult::NotFound, AttemptResult::SwapRefused]) {
            assert_eq!(AttemptResult::parse(result.as_str()), Some(result));
        }
        assert_eq!(AttemptResult::parse("no_such_rule"), None);
    }
}
