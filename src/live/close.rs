//! Close codes of the WebSocket. Codes below 4000 are those of RFC 6455, section 7.4.1; the others are the contract's.

use strum::VariantArray;

/// Why the hub closes a connection. The code tells the client whether to reconnect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, VariantArray)]
pub enum Close {
    /// The client closed the connection.
    Normal,
    /// The client broke the WebSocket protocol.
    Protocol,
    /// The client sent a binary message.
    Binary,
    /// The client sent text that is not UTF-8.
    NotUtf8,
    /// The client sent a message, all its fragments together, over [`crate::live::frame_guard::MESSAGE_LEN_MAX`].
    TooBig,
    /// The hub restarts. The client reconnects after the time in the reason.
    Restarting,
    /// The ticket or token is invalid or has expired, or the user's role has changed. The client signs in again.
    Unauthenticated,
    /// The user signed out, or an admin disconnected the session. The client does not reconnect.
    SignedOut,
    /// The session's queue was full, or the client was silent. The client reconnects and resumes.
    TooSlow,
    /// Too many connections: of this user, from this address, or in all.
    TooMany,
}

impl Close {
    /// Returns the code on the wire.
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

    /// Returns the variant with this code; `None` for a code that the hub never sends.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::VARIANTS.iter().copied().find(|close| close.code() == code)
    }

    /// Returns the reason for logs, at most 123 bytes: it is part of a control frame.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::Protocol => "WebSocket protocol error",
            Self::Binary => "messages must be JSON text",
            Self::NotUtf8 => "text must be UTF-8",
            Self::TooBig => "a message may have at most 64 KiB",
            Self::Restarting => "the hub is restarting",
            Self::Unauthenticated => "sign in again",
            Self::SignedOut => "signed out",
            Self::TooSlow => "too slow: reconnect and resume",
            Self::TooMany => "too many connections",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_parsed_back_and_reasons_fit_a_control_frame() {
        for close in Close::VARIANTS {
            assert_eq!(Close::from_code(close.code()), Some(*close));
            assert!(close.reason().len() <= 123, "{close:?}");
        }
        assert_eq!(Close::from_code(0), None);
    }
}
