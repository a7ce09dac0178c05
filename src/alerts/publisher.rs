//! Who publishes alerts for other systems, and where.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::alert::{Category, Priority};

/// The hub as other systems see it.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// The origin at which the hub is reached, without a trailing slash.
    pub origin: String,
    /// The college's name.
    pub college: String,
    /// The college's time zone.
    pub zone: TimeZone,
    /// The language of the alerts, as a language tag (BCP 47).
    pub language: String,
}

impl Publisher {
    /// Returns the sender of CAP messages: the host of the hub, with its port if it is not that of the scheme. It
    /// contains none of the characters that CAP forbids in a sender (spaces, commas, `<` and `&`).
    #[must_use]
    pub fn sender(&self) -> &str {
        self.origin.split_once("://").map_or(self.origin.as_str(), |(_, host)| host)
    }

    /// Returns the address of an alert as a CAP message.
    #[must_use]
    pub fn cap_url(&self, alert: &str) -> String {
        format!("{}/alerts/{alert}.cap.xml", self.origin)
    }

    /// Returns a time in the college's time zone as CAP writes it: with seconds, and the offset of UTC as `-00:00` (CAP
    /// 1.2, section 3.3.2).
    #[must_use]
    pub fn cap_time(&self, at: Timestamp) -> String {
        let local = at.to_zoned_datetime(self.zone.clone());
        let offset = match local.offset().seconds() {
            0 => "-00:00".to_owned(),
            _ => local.strftime("%:z").to_string(),
        };
        format!("{}{offset}", local.strftime("%Y-%m-%dT%H:%M:%S"))
    }

    /// Returns a time in the college's time zone in the format of RFC 3339.
    #[must_use]
    pub fn rfc_3339_time(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// Returns the name of a category for readers, in the language of the alerts.
    #[must_use]
    pub fn category(&self, category: Category) -> &'static str {
        match (self.is_spanish(), category) {
            (false, Category::System) => "System notice",
            (false, Category::Workflow) => "Action required",
            (false, Category::Schedule) => "Schedule change",
            (false, Category::Content) => "College news",
            (false, Category::Security) => "Security notice",
            (false, Category::Emergency) => "Emergency",
            (true, Category::System) => "Aviso del sistema",
            (true, Category::Workflow) => "Acción requerida",
            (true, Category::Schedule) => "Cambio de horario",
            (true, Category::Content) => "Noticias de la institución",
            (true, Category::Security) => "Aviso de seguridad",
            (true, Category::Emergency) => "Emergencia",
        }
    }

    /// Returns the name of a priority for readers, in the language of the alerts.
    #[must_use]
    pub fn priority(&self, priority: Priority) -> &'static str {
        match (self.is_spanish(), priority) {
            (false, Priority::Low) => "Low priority",
            (false, Priority::Medium) => "Medium priority",
            (false, Priority::High) => "High priority",
            (false, Priority::Critical) => "Critical",
            (true, Priority::Low) => "Prioridad baja",
            (true, Priority::Medium) => "Prioridad media",
            (true, Priority::High) => "Prioridad alta",
            (true, Priority::Critical) => "Crítica",
        }
    }

    /// Returns the title of the feed.
    pub(super) fn feed_title(&self) -> String {
        match self.is_spanish() {
            true => format!("Alertas de {}", self.college),
            false => format!("Alerts from {}", self.college),
        }
    }

    /// Returns the title of an alert that was cancelled.
    pub(super) fn cancelled_title(&self, title: &str) -> String {
        match self.is_spanish() {
            true => format!("Cancelada: {title}"),
            false => format!("Cancelled: {title}"),
        }
    }

    fn is_spanish(&self) -> bool {
        self.language.split('-').next().is_some_and(|primary| primary.eq_ignore_ascii_case("es"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_colleges_offset_and_utc_is_minus_zero() {
        let at: Timestamp = "2026-07-01T12:34:56.789Z".parse().unwrap();
        let mut publisher = Publisher {
            origin: "https://hub.college.edu".to_owned(),
            college: "Riverside College".to_owned(),
            zone: TimeZone::get("America/New_York").unwrap(),
            language: "en".to_owned(),
        };
        assert_eq!(publisher.cap_time(at), "2026-07-01T08:34:56-04:00");
        assert_eq!(publisher.rfc_3339_time(at), "2026-07-01T08:34:56-04:00");
        publisher.zone = TimeZone::UTC;
        assert_eq!(publisher.cap_time(at), "2026-07-01T12:34:56-00:00");
        assert_eq!(publisher.rfc_3339_time(at), "2026-07-01T12:34:56+00:00");
        assert_eq!(publisher.sender(), "hub.college.edu");
    }
}
