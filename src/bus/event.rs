//! The events on the bus, and their JSON form between hubs.
//!
//! An event contains typed ids and sequences, never an encoded frame: each broker encodes frames for its own clients.
//! Seats are not published as events. A broker compares published snapshots instead, so it cannot miss a change.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bus::hub_state::HubState;
use crate::bus::metrics_reading::MetricsReading;
use crate::bus::session_list::{SessionFilter, SessionPage, SessionRow};
use crate::domain::ids::{Crn, TermId, UserName};
use crate::domain::import::TaskReport;
use crate::domain::notice::Notice;

/// An event. Its JSON is an object with the name of the variant as `event`, and the fields of the variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A commit changed a term. The lists contain the changes for users who are connected to this hub.
    RegistrationsChanged {
        /// The term.
        term: TermId,
        /// The term's sequence after the commit.
        seq: u64,
        /// Registrations that changed, in the order of the decisions.
        registrations: Vec<RegistrationChange>,
        /// Students whose position on a waitlist changed.
        positions: Vec<PositionChange>,
    },
    /// Entries were added to the stored sequence of alerts. Brokers read the entries from the store.
    AlertsStored {
        /// The sequence of the last entry; `None` if the publisher does not know it.
        seq: Option<u64>,
    },
    /// An import has progressed. The lists are truncated; see [`TaskReport::progress`].
    ImportProgress(Arc<TaskReport>),
    /// A new reading of the metrics, once a second.
    Metrics(Arc<MetricsReading>),
    /// A user signed out. Live sessions of the token are closed, and their clients do not reconnect.
    SignedOut {
        /// The user.
        user: UserName,
        /// The token's id; `None` for all tokens of the user.
        token: Option<Uuid>,
        /// The latest time of issue of the tokens that end. The event may reach another hub after the user has signed
        /// in again. `None` for any time.
        issued_until: Option<Timestamp>,
    },
    /// Tokens of a user became invalid for another reason: the role or the password changed, or Plone removed the user.
    /// Live sessions whose token is no longer valid are closed, and their clients sign in again.
    TokensEnded {
        /// The user.
        user: UserName,
    },
    /// An admin disconnects a live session. Its client does not reconnect.
    Disconnect {
        /// The session's id.
        session: Uuid,
    },
    /// An admin lists the live sessions of all hubs.
    SessionsWanted {
        /// The id of the request, which the replies repeat.
        request: Uuid,
        /// The sessions to list.
        filter: SessionFilter,
    },
    /// The live sessions of a hub, in reply to [`Event::SessionsWanted`].
    Sessions {
        /// The id of the request.
        request: Uuid,
        /// The hub.
        hub: Uuid,
        /// Its sessions.
        page: Arc<SessionPage>,
    },
    /// The state of a hub, every few seconds.
    HubState(Arc<HubState>),
}

impl Event {
    /// Returns whether a bus must deliver the event even if the queue is full: if it were lost, a live session would
    /// stay open without a valid token, or against an admin's decision. All other events are hints, or are superseded
    /// by the next one. Between hubs, even these events can be lost.
    #[must_use]
    pub const fn must_be_delivered(&self) -> bool {
        match self {
            Self::SignedOut { .. } | Self::TokensEnded { .. } | Self::Disconnect { .. } => true,
            Self::RegistrationsChanged { .. }
            | Self::AlertsStored { .. }
            | Self::ImportProgress(_)
            | Self::Metrics(_)
            | Self::SessionsWanted { .. }
            | Self::Sessions { .. }
            | Self::HubState(_) => false,
        }
    }

    /// Returns the event as other hubs receive it; `None` if it does not concern them.
    ///
    /// They receive only the sequence of a commit. Each reads the changes from the store and notifies its own users, so
    /// a student is notified once, in the order of the commits, even if the event is lost or late.
    #[must_use]
    pub fn for_other_hubs(&self) -> Option<Self> {
        match self {
            // The terms of a demonstration exist on one hub only.
            Self::RegistrationsChanged { term, .. } if term.is_sandbox() => None,
            Self::RegistrationsChanged { term, seq, .. } => {
                let (registrations, positions) = (Vec::new(), Vec::new());
                Some(Self::RegistrationsChanged { term: term.clone(), seq: *seq, registrations, positions })
            }
            // The charts of an administration page are those of the hub that it is connected to.
            Self::Metrics(_) => None,
            Self::AlertsStored { .. }
            | Self::ImportProgress(_)
            | Self::SignedOut { .. }
            | Self::TokensEnded { .. }
            | Self::Disconnect { .. }
            | Self::SessionsWanted { .. }
            | Self::Sessions { .. }
            | Self::HubState(_) => Some(self.clone()),
        }
    }

    /// Returns the memory of the event in bytes, without the names that it shares with the registrar.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let own = match self {
            Self::RegistrationsChanged { registrations, positions, .. } => {
                size_of_val(registrations.as_slice()) + size_of_val(positions.as_slice())
            }
            Self::Sessions { page, .. } => page.items.iter().map(SessionRow::byte_size).sum(),
            Self::ImportProgress(_)
            | Self::Metrics(_)
            | Self::SessionsWanted { .. }
            | Self::HubState(_)
            | Self::AlertsStored { .. }
            | Self::SignedOut { .. }
            | Self::TokensEnded { .. }
            | Self::Disconnect { .. } => 0,
        };
        size_of::<Self>() + own
    }
}

/// A change to a student's registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationChange {
    /// The change.
    #[serde(flatten)]
    pub notice: Notice,
    /// The waitlist position, 1 for the next student; `None` unless waitlisted.
    pub position: Option<u32>,
}

/// A change to a student's waitlist position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionChange {
    /// The student.
    pub student: UserName,
    /// The section.
    pub crn: Crn,
    /// The new position, 1 for the next student.
    pub position: u32,
    /// The time of the commit.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::metrics_reading::{CircuitState, Connections, Latencies, Percentiles, PloneState, Queues};
    use crate::bus::session_list::{RoleFilter, SessionTransport};
    use crate::domain::ids::{SectionId, TaskId};
    use crate::domain::import::{Change, ChangeKind, Conflict, ConflictKind, Finding, Phase, TaskState};
    use crate::domain::notice::Reason;
    use crate::domain::refusal::RefusalCode;
    use crate::domain::registration::RegistrationStatus;
    use crate::domain::role::Role;

    fn ann() -> UserName {
        UserName::parse("ann").unwrap()
    }

    fn registrations() -> Event {
        let crn = Crn::parse("10001").unwrap();
        let change = |status, reason, position| RegistrationChange {
            notice: Notice { student: ann(), crn: crn.clone(), status, reason, at: Timestamp::UNIX_EPOCH },
            position,
        };
        Event::RegistrationsChanged {
            term: TermId::parse("2026-fall").unwrap(),
            seq: 12,
            registrations: vec![
                change(RegistrationStatus::Enrolled, Reason::Requested, None),
                change(RegistrationStatus::Enrolled, Reason::Promoted, None),
                change(RegistrationStatus::Waitlisted, Reason::PassedOver(RefusalCode::TimeConflict), Some(1)),
                change(RegistrationStatus::Dropped, Reason::Cancelled, None),
            ],
            positions: vec![PositionChange { student: ann(), crn, position: 3, at: Timestamp::UNIX_EPOCH }],
        }
    }

    fn progress() -> Event {
        let (id, term) = (TaskId::parse("a-task").unwrap(), TermId::parse("202209").unwrap());
        let section = SectionId::parse("202209-10001").unwrap();
        let mut report = TaskReport::new(id, Some(term), 900, "registrar".to_owned(), Timestamp::UNIX_EPOCH);
        (report.state, report.phase) = (TaskState::Running, Phase::Comparing);
        report.errors = vec![Finding {
            line: 3,
            column: Some("days".into()),
            value: None,
            message: "no such day".to_owned(),
            coded: None,
        }];
        let (kind, lines) = (ConflictKind::Room, vec![4, 9]);
        report.conflicts = vec![Conflict { kind, lines, message: "B 12 on Monday".to_owned(), coded: None, pairs: 1 }];
        let fields = serde_json::from_str(r#"{"capacity":[30,25],"title":[null,"Algebra"]}"#).unwrap();
        report.changes = vec![Change { section, change: ChangeKind::Update, fields }];
        Event::ImportProgress(Arc::new(report))
    }

    fn metrics() -> Event {
        let percentiles = Percentiles { p50: Some(0.5), p95: Some(2.25), p99: None };
        Event::Metrics(Arc::new(MetricsReading {
            started_at: Timestamp::UNIX_EPOCH,
            at: Timestamp::UNIX_EPOCH,
            window_s: 10,
            requests_per_s: 812.25,
            registrations_per_s: 40.5,
            refusals_per_s: 0.0,
            latency_ms: Latencies {
                request: percentiles,
                registration: percentiles,
                commit: percentiles,
                fanout: Percentiles::default(),
            },
            connections: Connections { visitor: 1, student: 2, instructor: 5, staff: 3, admin: 4 },
            queues: Queues { registrar: 1, writer: 2, relay: 3, outbox: 4 },
            memory_bytes: Some(1 << 30),
            plone: PloneState { ok: Some(false), circuit: Some(CircuitState::HalfOpen) },
            demonstration: true,
        }))
    }

    fn sessions_wanted() -> Event {
        let filter = SessionFilter { role: Some(RoleFilter::Staff), q: Some("ann".to_owned()), limit: 100 };
        Event::SessionsWanted { request: Uuid::from_u128(1), filter }
    }

    fn sessions() -> Event {
        let (request, hub) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let row = SessionRow {
            id: Uuid::from_u128(3),
            hub,
            user: Some(ann()),
            role: Some(Role::Staff),
            ip: [192, 0, 2, 1].into(),
            user_agent: "Firefox".to_owned(),
            transport: SessionTransport::WebSocket,
            connected_at: Timestamp::UNIX_EPOCH,
            channels: vec!["me".to_owned()],
            queued: 1,
            sent: 2,
            rtt_ms: None,
        };
        let page = SessionPage { items: vec![row], total: 7, connections: Connections::default() };
        Event::Sessions { request, hub, page: Arc::new(page) }
    }

    fn hub_state() -> Event {
        Event::HubState(Arc::new(HubState {
            id: Uuid::from_u128(2),
            name: "hub1:8000".to_owned(),
            version: "0.1.0".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
            ready: true,
            bus: true,
            leader: Some(false),
            sessions: 12,
            registrations_per_s: 40.5,
            registration_p99_ms: None,
        }))
    }

    #[test]
    fn events_round_trip_through_json() {
        let events = [
            registrations(),
            Event::AlertsStored { seq: Some(7) },
            Event::AlertsStored { seq: None },
            progress(),
            metrics(),
            Event::SignedOut { user: ann(), token: Some(Uuid::from_u128(7)), issued_until: None },
            Event::SignedOut { user: ann(), token: None, issued_until: Some(Timestamp::UNIX_EPOCH) },
            Event::TokensEnded { user: ann() },
            Event::Disconnect { session: Uuid::from_u128(9) },
            sessions_wanted(),
            sessions(),
            hub_state(),
        ];
        for event in events {
            let text = serde_json::to_string(&event).unwrap();
            let read: Event = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(read, event, "{text}");
        }
    }

    #[test]
    fn events_of_one_hub_are_not_for_others() {
        let mut sandbox = registrations();
        let Event::RegistrationsChanged { term, .. } = &mut sandbox else { unreachable!() };
        *term = TermId::parse(&format!("{}1", crate::domain::ids::SANDBOX_PREFIX)).unwrap();
        assert_eq!((sandbox.for_other_hubs(), metrics().for_other_hubs()), (None, None));
        assert_eq!(progress().for_other_hubs(), Some(progress()));
    }

    #[test]
    fn other_hubs_receive_the_sequence_of_a_commit_without_students() {
        let hint = registrations().for_other_hubs().expect("a hint");
        let Event::RegistrationsChanged { term, seq, registrations, positions } = hint else { panic!("{hint:?}") };
        assert_eq!((term.as_str(), seq, registrations.len(), positions.len()), ("2026-fall", 12, 0, 0));
    }

    #[test]
    fn malformed_ids_are_rejected_when_an_event_is_deserialized() {
        let text = r#"{"event":"tokens_ended","user":"not a name"}"#;
        let error = serde_json::from_str::<Event>(text).unwrap_err();
        assert!(error.to_string().contains("username"), "{error}");
    }
}
