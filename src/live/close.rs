//! Close codes of the WebSocket. Codes below 4000 are registered with IANA (RFC 6455, section 11.7); the others are the
//! hub's own.
//! The OpenAPI document of `/alerts/ws` lists both.

use enum_map::Enum;
use strum::{IntoStaticStr, VariantArray};

/// Why the hub closes a connection. The code tells the client whether to reconnect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum, VariantArray, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
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
    /// Too many clients reconnect at the same moment. It has the code of [`Close::Restarting`], because the client does
    /// the same: it reconnects after the time in the reason.
    Busy,
    /// The ticket or token is invalid or has expired, or the user's role has changed. The client signs in again.
    Unauthenticated,
    /// The user signed out, or an admin disconnected the session. The client does not reconnect.
    SignedOut,
    /// The session's queue was full, or the alerts that its client missed cannot be read. The client reconnects and
    /// resumes.
    TooSlow,
    /// The client sent nothing, not even a pong. It has the code of [`Close::TooSlow`], because the client does the
    /// same: it reconnects and resumes.
    Silent,
    /// Too many connections: of this user, from this address, or in all.
    TooMany,
    /// The client sent more than [`crate::live::frame_rate::FRAMES_PER_SECOND`]. The code is that of a violated policy.
    TooManyFrames,
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
            Self::Restarting | Self::Busy => 1012,
            Self::Unauthenticated => 4001,
            Self::SignedOut => 4003,
            Self::TooSlow | Self::Silent => 4008,
            Self::TooMany => 4009,
            Self::TooManyFrames => 1008,
        }
    }

    /// Returns a number from 1 on that identifies the variant. Some variants share a code.
    pub(super) const fn index(self) -> u8 {
        self as u8 + 1
    }

    /// Returns the variant with this [`Close::index`]; `None` for 0.
    pub(super) fn from_index(index: u8) -> Option<Self> {
        Self::VARIANTS.get(usize::from(index).checked_sub(1)?).copied()
    }

    /// Returns the name of the variant in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the reason for logs, at most 123 bytes: it is part of a control frame.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::Protocol => "WebSocket protocol error",
            Self::Binary => "messages must be JSON text",
            Self::NotUtf8 => "text must be UTF-8",
            Self::TooBig => "a message may be at most 64 KiB long",
            Self::Restarting => "the hub is restarting",
            Self::Busy => "too many clients are reconnecting",
            Self::Unauthenticated => "sign in again",
            Self::SignedOut => "signed out",
            Self::TooSlow => "too slow: reconnect and resume",
            Self::Silent => "no pong: reconnect and resume",
            Self::TooMany => "too many connections",
            Self::TooManyFrames => "too many messages: at most 100 a second",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_parsed_back_and_reasons_fit_a_control_frame() {
        for close in Close::VARIANTS {
            assert_eq!(Close::from_index(close.index()), Some(*close));
            assert!(close.reason().len() <= 123, "{close:?}");
        }
        assert_eq!(Close::from_index(0), None);
    }
}
