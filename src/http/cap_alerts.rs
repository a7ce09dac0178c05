//! Alerts that arrive as messages of the Common Alerting Protocol (OASIS CAP 1.2).

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use crate::alerts::cap::content::CapRequest;
use crate::alerts::cap::read::{self, CapError, CapMessage};
use crate::bus::{Bus, Event};
use crate::config::College;
use crate::domain::alert::Alert;
use crate::domain::audience::Audience;
use crate::domain::audit_detail::{AuditDetail, Detail};
use crate::domain::cap::CapId;
use crate::identity::{Audit, Caller};
use crate::live::context::Live;
use crate::store::alerts::{CapAction, CapCommand, CapOutcome, CapReference};

use crate::http::alert_feeds::publisher;
use crate::http::alert_scope::may_send;
use crate::http::alerts::{AlertSent, count_recipients, new_alert, not_corrected, recipients_online};
use crate::http::body::read_bytes;
use crate::http::error::Problem;
use crate::http::request_id::PRIVATE;
use crate::http::site::Site;

/// Alerts that a CAP message cancelled.
#[derive(Serialize, ToSchema)]
pub(super) struct AlertsCancelled {
    /// The ids of the alerts.
    cancelled: Vec<String>,
}

/// A request with a CAP message.
pub(super) struct CapPosting<'a> {
    pub(super) request: &'a HttpRequest,
    pub(super) caller: &'a Caller,
    pub(super) live: &'a Live,
    pub(super) bus: &'a dyn Bus,
    pub(super) audit: &'a Audit,
    pub(super) dry_run: bool,
}

impl CapPosting<'_> {
    /// Reads the message and carries it out or, with `dry_run`, only counts its recipients. A message that was carried
    /// out before changes nothing.
    pub(super) async fn take(&self, payload: web::Payload) -> Result<HttpResponse, Problem> {
        let everyone = Audience::everyone();
        may_send(self.caller, &everyone, &self.live.model)?;
        let message = read::read(&read_bytes(self.request, payload, read::LEN_MAX).await?).map_err(problem)?;
        let (college, site) = (self.data::<College>()?, self.data::<Site>()?);
        let now = self.live.clock.now();
        let cap_request = message.request(&college.language, now).map_err(problem)?;
        if self.dry_run {
            return count_recipients(self.live, &everyone, now).await;
        }
        let is_cancellation = cap_request == CapRequest::Cancel;
        let publisher = publisher(&site, &college);
        let reference = |id: CapId| match id.own_alert(publisher.sender()) {
            Some(alert) => CapReference::Alert(alert.to_owned()),
            None => CapReference::Message(id),
        };
        let CapMessage { id, references, .. } = message;
        let action = match cap_request {
            CapRequest::Send(content) => CapAction::Send(Box::new(new_alert(*content, self.caller, now))),
            CapRequest::Correct(content) => CapAction::Correct(content),
            CapRequest::Cancel => CapAction::Cancel,
        };
        let detail = format!("CAP {},{}", id.sender, id.identifier);
        let references = references.into_iter().map(reference).collect();
        let command = CapCommand { id, action, references };
        match self.live.alerts.take_cap(command, self.live.local(now)).await? {
            CapOutcome::Sent(alert) => {
                let action = if alert.seq.is_some() { "alert.send" } else { "alert.schedule" };
                self.record(action, &alert.id, detail).await;
                self.respond(HttpResponse::Created(), *alert).await
            }
            CapOutcome::Corrected { alert, acks_deleted } => {
                let detail = AuditDetail::Corrected { title: detail, n: acks_deleted };
                self.record("alert.correct", &alert.id, detail).await;
                self.respond(HttpResponse::Ok(), *alert).await
            }
            CapOutcome::Cancelled { alerts, seq } => {
                for alert in &alerts {
                    self.record("alert.cancel", alert, &*detail).await;
                }
                if seq.is_some() {
                    self.bus.publish(Event::AlertsStored { seq });
                }
                Ok(HttpResponse::Ok().insert_header(PRIVATE).json(AlertsCancelled { cancelled: alerts }))
            }
            CapOutcome::Repeated(alert) => self.existing(alert, is_cancellation).await,
            CapOutcome::Unknown => {
                let detail = "references must name a message whose alert exists here and is not cancelled.";
                Err(Problem::invalid("references", detail))
            }
            CapOutcome::Several => {
                Err(Problem::invalid("references", "references must name messages of the one alert to correct."))
            }
            CapOutcome::Refused(refusal) => Err(not_corrected(refusal)),
        }
    }

    /// Responds to a message that was carried out before.
    async fn existing(&self, id: String, is_cancellation: bool) -> Result<HttpResponse, Problem> {
        if is_cancellation {
            return Ok(HttpResponse::Ok().insert_header(PRIVATE).json(AlertsCancelled { cancelled: vec![id] }));
        }
        let no_such_alert = || Problem::not_found("The alert of this message is no longer stored.");
        let mut alert = self.live.alerts.alert(&id).await?.ok_or_else(no_such_alert)?;
        alert.seq = self.live.alerts.public_alert(&id).await?.and_then(|public| public.alert.seq);
        let recipients_online = recipients_online(self.live, &alert.content.audience, self.live.clock.now()).await?;
        Ok(HttpResponse::Ok().insert_header(PRIVATE).json(AlertSent { alert, recipients_online }))
    }

    /// Announces an alert that was stored, and responds with it.
    async fn respond(
        &self,
        mut response: actix_web::HttpResponseBuilder,
        alert: Alert,
    ) -> Result<HttpResponse, Problem> {
        self.bus.publish(Event::AlertsStored { seq: alert.seq });
        let recipients_online = recipients_online(self.live, &alert.content.audience, self.live.clock.now()).await?;
        Ok(response.insert_header(PRIVATE).json(AlertSent { alert, recipients_online }))
    }

    async fn record(&self, action: &'static str, alert: &str, detail: impl Into<Detail>) {
        self.audit.record(self.request, Some(self.caller), action, Some(alert), None, detail).await;
    }

    fn data<T: 'static>(&self) -> Result<Data<T>, Problem> {
        let data = self.request.app_data::<Data<T>>().cloned();
        data.ok_or_else(|| Problem::internal("the data of the application is not registered"))
    }
}

/// Returns the problem for a message that is not accepted.
fn problem(error: CapError) -> Problem {
    match error {
        CapError::Malformed(detail) => Problem::bad_request(detail),
        CapError::Invalid { field, detail } => Problem::invalid(field, detail),
    }
}
