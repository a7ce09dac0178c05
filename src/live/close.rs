//! Why a WebSocket is closed. Codes below 4000 are those of RFC 6455, section 7.4.1; the others are the contract's.

/// Why the hub closes a connection. The code says whether to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Close {
    /// The client said goodbye, and is answered.
    Normal,
    /// The client broke the WebSocket protocol.
    Protocol,
    /// A binary message: the hub speaks text.
    Binary,
    /// Text that is not UTF-8.
    NotUtf8,
    /// A message, all its fragments together, over [`crate::live::frame_guard::MESSAGE_LEN_MAX`].
    TooBig,
    /// The hub restarts: come back after the time in the reason.
    Restarting,
    /// The ticket or token is bad, has ended, or says another role than is true by now.
    Unauthenticated,
    /// Signed out, or disconnected by an admin: do not come back by yourself.
    SignedOut,
    /// Its bounded queue was full, or it gave no sign of life: come back and resume.
    TooSlow,
    /// Too many connections of this user, from this address, or altogether.
    TooMany,
}

impl Close {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Normal,
        Self::Protocol,
        Self::Binary,
        Self::NotUtf8,
        Self::TooBig,
        Self::Restarting,
        Self::Unauthenticated,
        Self::SignedOut,
        Self::TooSlow,
        Self::TooMany,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Protocol => 1002,
            Self::Binary => 1003,
            Self::NotUtf8 => 1007,
            Self::TooBig => 1009,
            Self::Restarting => 1012,
            Self::Unauthenticated => 4001,
            Self::SignedOut => 4003,
            Self::TooSlow => 4008,
            Self::TooMany => 4009,
        }
    }

    /// Reads that number; none for one that the hub never sends.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|close| close.code() == code)
    }

    /// What it says to whoever reads a log. At most 123 bytes: the reason is part of a control frame.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::Protocol => "that is not the WebSocket protocol",
            Self::Binary => "messages are JSON text",
            Self::NotUtf8 => "text must be UTF-8",
            Self::TooBig => "a message may have 64 KiB",
            Self::Restarting => "the hub restarts",
            Self::Unauthenticated => "sign in again",
            Self::SignedOut => "signed out",
            Self::TooSlow => "too slow: come back and resume",
            Self::TooMany => "too many connections",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Close;

    #[test]
    fn every_code_reads_back_and_every_reason_fits_into_a_control_frame() {
        for close in Close::ALL {
            assert_eq!(Close::from_code(close.code()), Some(close));
            assert!(close.reason().len() <= 123, "{close:?}");
        }
        assert_eq!(Close::from_code(0), None);
    }
}
