//! Converts CAP messages into requests to send, correct or cancel alerts.

use jiff::Timestamp;

use crate::alerts::cap::read::{CapError, CapInfo, CapMessage};
use crate::alerts::cap::{category, priority};
use crate::domain::alert::{AlertContent, Category, MESSAGE_LEN_MAX, TITLE_LEN_MAX};
use crate::domain::audience::Audience;
use crate::domain::cap::CapValues;

/// The action that a message requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CapRequest {
    /// Send an alert.
    Send(Box<AlertContent>),
    /// Correct the alert to which the message refers.
    Correct(Box<AlertContent>),
    /// Cancel the alerts to which the message refers.
    Cancel,
}

impl CapMessage {
    /// Returns the request of the message. Its content is that of the first `info` block in `language`, or else that of
    /// the first block.
    ///
    /// # Errors
    /// When the message is not an actual and public one, is not an `Alert`, `Update` or `Cancel`, or has no references
    /// although its kind requires them; or when its `info` block lacks an element or has one that an alert cannot have.
    pub fn request(&self, language: &str, now: Timestamp) -> Result<CapRequest, CapError> {
        self.require_actual_and_public()?;
        if self.kind != "Alert" && self.references.is_empty() {
            let detail = format!("references must name the messages that this {} concerns.", self.kind);
            return Err(CapError::invalid("references", detail));
        }
        let content = || {
            let info = self.info_in(language).ok_or_else(|| CapError::invalid("info", "info is missing."))?;
            info.content(now).map(Box::new)
        };
        match self.kind.as_str() {
            "Alert" => content().map(CapRequest::Send),
            "Update" => content().map(CapRequest::Correct),
            "Cancel" => Ok(CapRequest::Cancel),
            "Ack" | "Error" => {
                let detail = format!("msgType is {}. Only Alert, Update and Cancel are accepted.", self.kind);
                Err(CapError::invalid("msgType", detail))
            }
            _ => Err(CapError::invalid("msgType", "msgType must be Alert, Update, Cancel, Ack or Error.")),
        }
    }

    fn require_actual_and_public(&self) -> Result<(), CapError> {
        match self.status.as_str() {
            "Actual" => {}
            "Exercise" | "System" | "Test" | "Draft" => {
                let detail = format!("status is {}. Only messages with status Actual are sent as alerts.", self.status);
                return Err(CapError::invalid("status", detail));
            }
            _ => return Err(CapError::invalid("status", "status must be Actual, Exercise, System, Test or Draft.")),
        }
        match self.scope.as_str() {
            "Public" => Ok(()),
            "Restricted" | "Private" => {
                let detail = format!(
                    "scope is {}, and its recipients are not known to this hub. Send the alert as JSON with an audience.",
                    self.scope
                );
                Err(CapError::invalid("scope", detail))
            }
            _ => Err(CapError::invalid("scope", "scope must be Public, Restricted or Private.")),
        }
    }

    fn info_in(&self, language: &str) -> Option<&CapInfo> {
        let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        // CAP 1.2, section 3.2.2: a block without a language is in `en-US`.
        let is_in = |info: &&CapInfo| primary(info.language.as_deref().unwrap_or("en-US")) == primary(language);
        self.infos.iter().find(is_in).or_else(|| self.infos.first())
    }
}

impl CapInfo {
    fn content(&self, now: Timestamp) -> Result<AlertContent, CapError> {
        let missing = |field| CapError::invalid(field, format!("{field} is missing."));
        let title = self.headline.as_ref().or(self.event.as_ref()).ok_or_else(|| missing("info.headline"))?;
        let title_field = if self.headline.is_some() { "info.headline" } else { "info.event" };
        require_length(title_field, title, TITLE_LEN_MAX)?;
        let parts: Vec<&str> =
            [&self.description, &self.instruction].into_iter().flatten().map(String::as_str).collect();
        let message = if parts.is_empty() { title.clone() } else { parts.join("\n\n") };
        require_length("info.description", &message, MESSAGE_LEN_MAX)?;
        let severity = self.severity.as_deref().ok_or_else(|| missing("info.severity"))?;
        let severities = "info.severity must be Extreme, Severe, Moderate, Minor or Unknown.";
        let category = match self.categories.first() {
            None => Category::default(),
            Some(name) => category(name)
                .ok_or_else(|| CapError::invalid("info.category", "info.category must be a category of CAP 1.2."))?,
        };
        // A message that was in effect before it arrived is sent at once.
        let starts_at = self.effective.filter(|at| *at > now);
        if self.expires.is_some_and(|end| end <= starts_at.unwrap_or(now)) {
            let detail = "info.expires must be after the alert is sent.";
            return Err(CapError::invalid("info.expires", detail));
        }
        Ok(AlertContent {
            title: title.clone(),
            message,
            priority: priority(severity).ok_or_else(|| CapError::invalid("info.severity", severities))?,
            category,
            audience: Audience::everyone(),
            starts_at,
            expires_at: self.expires,
            requires_ack: false,
            notice: None,
            cap: Some(CapValues {
                urgency: parsed("info.urgency", self.urgency.as_deref())?,
                certainty: parsed("info.certainty", self.certainty.as_deref())?,
            }),
        })
    }
}

/// Checks the length of a text. Nothing is cut: half a sentence about a danger can be worse than none.
fn require_length(field: &'static str, text: &str, chars_max: usize) -> Result<(), CapError> {
    let chars = text.chars().count();
    if chars <= chars_max {
        return Ok(());
    }
    let what = if field == "info.description" { "description and instruction together" } else { field };
    let detail = format!("{what} may have at most {chars_max} characters; the message has {chars}.");
    Err(CapError::invalid(field, detail))
}

/// Parses the value of an element. Returns the default if the element is absent.
fn parsed<T: std::str::FromStr + Default>(field: &'static str, text: Option<&str>) -> Result<T, CapError> {
    let invalid = |_| CapError::invalid(field, format!("{field} must be a value of CAP 1.2."));
    text.map_or_else(|| Ok(T::default()), |text| text.parse().map_err(invalid))
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
