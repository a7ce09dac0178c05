//! The languages in which EduHub writes to people.

/// A language of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Latin American Spanish.
    Spanish,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 2] = [Self::English, Self::Spanish];

    /// Returns the code of the language (ISO 639-1) in tables, requests and pages.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.pick("en", "es")
    }

    /// Returns the language with this code; `None` for another code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// Returns the text that is in this language.
    #[must_use]
    pub const fn pick<T: Copy>(self, english: T, spanish: T) -> T {
        match self {
            Self::English => english,
            Self::Spanish => spanish,
        }
    }
}
