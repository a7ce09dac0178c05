//! Notifies waiting students that their registration window has opened: each connected student gets a frame when the
//! window opens by the hub's clock.

use std::collections::BTreeMap;

use bytestring::ByteString;
use jiff::Timestamp;

use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::live::context::Live;
use crate::live::frames::ServerFrame;
use crate::registration::readmodel::TermModel;

/// The time up to which the windows that opened have been announced.
pub(super) struct Openings {
    checked: Timestamp,
}

impl Openings {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self { checked: now }
    }

    /// Returns the frames to students whose windows opened since the last call. After the clock was set forward, these
    /// are all windows in between; after it was set back, a window is announced again only when its time comes again.
    pub(super) fn due(&mut self, live: &Live) -> Vec<(UserName, ByteString)> {
        let now = live.clock.now();
        let since = std::mem::replace(&mut self.checked, now);
        if now <= since {
            return Vec::new();
        }
        let terms = live.model.terms();
        let opened: Vec<&TermModel> =
            terms.values().map(|term| &**term).filter(|term| term.opens_between(since, now)).collect();
        if opened.is_empty() {
            return Vec::new();
        }
        // A student with several connections gets one frame, which the relay sends to each of them.
        let mut frames: BTreeMap<UserName, Vec<ByteString>> = BTreeMap::new();
        for session in live.presence.sessions() {
            let Some(caller) = session.caller.as_ref().filter(|caller| caller.role == Role::Student) else { continue };
            if !frames.contains_key(&caller.user) {
                let own = opened.iter().filter_map(|term| frame(term, &caller.user, since, now));
                frames.insert(caller.user.clone(), own.collect());
            }
        }
        frames.into_iter().flat_map(|(user, all)| all.into_iter().map(move |frame| (user.clone(), frame))).collect()
    }
}

/// Returns the frame to a student whose window of a term opened after `since`; `None` if it did not, or is not open
/// now.
fn frame(term: &TermModel, student: &UserName, since: Timestamp, now: Timestamp) -> Option<ByteString> {
    let snapshot = term.snapshot();
    let window = snapshot.term.window_of(term.facts(student).as_deref());
    let has_opened = window.opens_at.is_some_and(|at| since < at && at <= now) && window.is_open(now);
    let (opens_at, closes_at) = (window.opens_at, window.closes_at);
    has_opened.then(|| ServerFrame::Window { term: &snapshot.term.id, opens_at, closes_at, now }.encode())
}
