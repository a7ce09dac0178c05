//! Offers of seats: in the mode `offer`, a student at the head of a waitlist gets a seat only by accepting it in time.
//!
//! An offer counts as a taken seat, so the seat is promised to one student until the offer is accepted, is declined, or
//! lapses. [`crate::domain::waitlist`] makes offers; an expired one lapses before the next decision.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::term::Term;

/// The shortest time for which a seat can be offered, in seconds.
pub const OFFER_S_MIN: u32 = 1;
/// The longest time for which a seat can be offered, in seconds: 30 days. A longer one would keep seats empty for a
/// whole add period.
pub const OFFER_S_MAX: u32 = 30 * 24 * 60 * 60;
/// The length of the first day of registration, from the time at which the term opens.
const FIRST_DAY: SignedDuration = SignedDuration::from_hours(24);
/// The student is reminded when the time that is left is the whole time divided by this number.
const REMINDER_FRACTION: i32 = 4;
/// Offers for a shorter time have no reminder, because it would follow the offer almost at once.
const REMINDER_OFFER_MIN: SignedDuration = SignedDuration::from_mins(5);

/// What a student at the head of a waitlist gets when a seat becomes free.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum WaitlistMode {
    /// The seat.
    #[default]
    Auto,
    /// An offer of the seat, to accept in time.
    Offer,
}

impl WaitlistMode {
    /// Returns the name in settings and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a name; `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// The college's waitlist settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferSettings {
    /// Whether seats are assigned or offered.
    pub mode: WaitlistMode,
    /// How long a seat is offered, in seconds.
    pub offer_s: u32,
    /// How long a seat is offered at most on the first day of registration, in seconds.
    pub first_day_s: u32,
}

impl Default for OfferSettings {
    /// Seats are assigned. Offers last 24 hours, and 15 minutes on the first day, when many students wait for a seat.
    fn default() -> Self {
        Self { mode: WaitlistMode::Auto, offer_s: 24 * 60 * 60, first_day_s: 15 * 60 }
    }
}

/// A term's own waitlist settings. `None` means the college's setting; a priority can be declared only by a term.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermOffers {
    /// See [`OfferSettings::mode`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<WaitlistMode>,
    /// See [`OfferSettings::offer_s`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_s: Option<u32>,
    /// See [`OfferSettings::first_day_s`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_day_s: Option<u32>,
    /// The groups whose students come first on waitlists, in order; empty for the order of joining alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub priority: Vec<Box<str>>,
}

/// An offer of a seat that the student has neither accepted nor declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// When it lapses: it can be accepted before this time.
    pub expires_at: Timestamp,
    /// When the student is reminded; `None` afterward, and for a short offer.
    pub remind_at: Option<Timestamp>,
}

impl Offer {
    /// Returns when something is due next: the reminder, or the end.
    #[must_use]
    pub fn next_deadline(&self) -> Timestamp {
        self.remind_at.map_or(self.expires_at, |at| at.min(self.expires_at))
    }
}

impl OfferSettings {
    /// Returns the offer that a student gets at `now` instead of a seat; `None` if the student gets the seat.
    ///
    /// It ends no later than the waitlists of the term. A demonstration always assigns seats.
    #[must_use]
    pub fn offer_at(&self, term: &Term, now: Timestamp) -> Option<Offer> {
        let TermOffers { mode, offer_s, first_day_s, priority: _ } = term.offers;
        match mode.unwrap_or(self.mode) {
            WaitlistMode::Offer if !term.id.is_sandbox() => {}
            WaitlistMode::Offer | WaitlistMode::Auto => return None,
        }
        let later = |at: Timestamp, by: SignedDuration| at.checked_add(by).unwrap_or(Timestamp::MAX);
        let is_first_day = term.opens_at.is_some_and(|opens| opens <= now && now < later(opens, FIRST_DAY));
        let usual = offer_s.unwrap_or(self.offer_s);
        let seconds = if is_first_day { usual.min(first_day_s.unwrap_or(self.first_day_s)) } else { usual };
        let duration = SignedDuration::from_secs(seconds.into());
        let expires_at = later(now, duration);
        let expires_at = term.cutoffs.waitlist_until.map_or(expires_at, |until| until.min(expires_at));
        let lasts = expires_at.duration_since(now);
        let has_reminder = lasts >= REMINDER_OFFER_MIN;
        // In whole milliseconds, the precision of the store.
        let left_ms = i64::try_from((lasts / REMINDER_FRACTION).as_millis()).unwrap_or(0);
        let remind_at = expires_at.checked_sub(SignedDuration::from_millis(left_ms)).ok();
        Some(Offer { expires_at, remind_at: remind_at.filter(|_| has_reminder) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::TermId;

    const OPENS: i64 = 1_800_000_000;
    const HOUR: i64 = 3_600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn term(offers: TermOffers) -> Term {
        Term { opens_at: Some(at(OPENS)), offers, ..Term::new(TermId::parse("2027").unwrap()) }
    }

    fn offering() -> OfferSettings {
        OfferSettings { mode: WaitlistMode::Offer, ..OfferSettings::default() }
    }

    #[test]
    fn an_offer_lasts_as_configured_and_less_on_the_first_day() {
        let of_term = |offer_s, first_day_s| TermOffers { offer_s, first_day_s, ..TermOffers::default() };
        let table = [
            // The term, seconds after it opens, and how long the offer lasts.
            (of_term(None, None), 0, 15 * 60),
            (of_term(None, None), 24 * HOUR - 1, 15 * 60),
            (of_term(None, None), 24 * HOUR, 24 * HOUR),
            (of_term(None, None), -1, 24 * HOUR),
            (of_term(Some(60), None), 0, 60),
            (of_term(Some(60), Some(600)), 0, 60),
            (of_term(None, Some(600)), 0, 600),
            (of_term(Some(7_200), Some(600)), 25 * HOUR, 7_200),
        ];
        for (offers, after, lasts) in table {
            let now = at(OPENS + after);
            let offer = offering().offer_at(&term(offers.clone()), now).unwrap();
            assert_eq!(offer.expires_at, at(OPENS + after + lasts), "{offers:?} after {after} s");
        }
    }

    #[test]
    fn the_mode_of_a_term_takes_precedence_over_the_colleges() {
        let of_term = |mode| term(TermOffers { mode, ..TermOffers::default() });
        let is_offer = |settings: OfferSettings, mode| settings.offer_at(&of_term(mode), at(OPENS)).is_some();
        let (auto, offer) = (Some(WaitlistMode::Auto), Some(WaitlistMode::Offer));
        assert!(!is_offer(OfferSettings::default(), None), "seats are assigned by default");
        assert!(is_offer(offering(), None));
        assert!(!is_offer(offering(), auto));
        assert!(is_offer(OfferSettings::default(), offer));
    }

    #[test]
    fn a_demonstration_always_assigns_seats() {
        let sandbox = Term { opens_at: Some(at(OPENS)), ..Term::new(TermId::stored("_sandbox-1").unwrap()) };
        assert_eq!(offering().offer_at(&sandbox, at(OPENS)), None);
    }

    #[test]
    fn an_offer_ends_with_the_waitlists_of_the_term() {
        let mut term = term(TermOffers::default());
        term.cutoffs.waitlist_until = Some(at(OPENS + 60));
        let offer = offering().offer_at(&term, at(OPENS)).unwrap();
        assert_eq!(offer, Offer { expires_at: at(OPENS + 60), remind_at: None });
    }

    #[test]
    fn a_long_offer_has_a_reminder_when_a_quarter_of_its_time_is_left() {
        let long = offering().offer_at(&term(TermOffers::default()), at(OPENS + 25 * HOUR)).unwrap();
        assert_eq!(long.remind_at, Some(at(OPENS + 43 * HOUR)), "6 of 24 hours are left");
        assert_eq!(long.next_deadline(), at(OPENS + 43 * HOUR));
        let short = TermOffers { offer_s: Some(299), ..TermOffers::default() };
        let short = offering().offer_at(&term(short), at(OPENS)).unwrap();
        assert_eq!(short.remind_at, None);
        assert_eq!(short.next_deadline(), at(OPENS + 299));
    }
}
