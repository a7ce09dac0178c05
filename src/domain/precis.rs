//! Normalization of names and passwords by PRECIS (RFC 8264, RFC 8265), so that one spelling stands for all that look
//! the same.

use precis_profiles::precis_core::profile::Profile;
use precis_profiles::{Nickname, OpaqueString, UsernameCasePreserved};

/// Joiners, which are invisible. PRECIS allows them in some scripts (RFC 5892, appendix A); names in the hub may not
/// contain them.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// Normalizes a name by the profile `UsernameCasePreserved` (RFC 8265, section 3.4): full-width letters become ordinary
/// ones, and letters are composed with their accents. Returns `None` for an empty name, for a name with spaces,
/// control, invisible or bidirectional characters, or symbols beyond ASCII, and for `.` and `..`, which are folders in
/// a path.
#[must_use]
pub fn name(text: &str) -> Option<String> {
    if text == "." || text == ".." {
        return None;
    }
    // The profile does not change ASCII. Most names are checked here, without its tables.
    if text.is_ascii() {
        let is_visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        return is_visible.then(|| text.to_owned());
    }
    if text.contains(JOINERS) {
        return None;
    }
    // Checked again, because the profile turns `．` into `.`.
    stable(&UsernameCasePreserved::new(), text).filter(|name| name != "." && name != "..")
}

/// Normalizes a password by the profile `OpaqueString` (RFC 8265, section 4.2): spaces of other scripts become ordinary
/// ones, and letters are composed with their accents; nothing else changes. Returns `None` for an empty password, and
/// for one with control or invisible characters, with characters that are newer than Unicode 6.3, or with a character
/// whose normal form is refused, such as the Greek U+0387, which becomes the middle dot.
#[must_use]
pub fn password(text: &str) -> Option<String> {
    if text.is_ascii() {
        let is_typed = !text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_control());
        return is_typed.then(|| text.to_owned());
    }
    stable(&OpaqueString::new(), text)
}

/// Normalizes a display name by the profile `Nickname` (RFC 8266, section 2.4) for comparison: without outer and
/// repeated spaces and without regard to case. Returns `None` for a name that is empty or has control characters.
#[must_use]
pub fn display_name(text: &str) -> Option<String> {
    let profile = Nickname::new();
    let enforced = profile.enforce(text).ok()?.to_lowercase();
    // A change of case may change the normal form.
    profile.enforce(enforced.as_str()).ok().map(|name| name.into_owned())
}

/// Returns the normal form of `text`. A form that changes again or is refused by its own profile is not a normal form
/// (RFC 8264, section 7): the same person could not type it a second time.
fn stable(profile: &impl Profile, text: &str) -> Option<String> {
    let once = profile.enforce(text).ok()?.into_owned();
    profile.enforce(once.as_str()).is_ok_and(|twice| twice == once).then_some(once)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_look_the_same_have_one_spelling() {
        let table = [
            ("ann", "ann"),
            ("Ann", "Ann"),
            ("josé@college.edu", "josé@college.edu"),
            ("jose\u{301}@college.edu", "josé@college.edu"),
            ("\u{ff41}nn\u{ff11}", "ann1"),
            ("علي", "علي"),
            ("o'brien+x_1.-~", "o'brien+x_1.-~"),
        ];
        for (typed, normal) in table {
            assert_eq!(name(typed).as_deref(), Some(normal), "{typed:?}");
        }
    }

    #[test]
    fn invisible_bidirectional_and_path_names_are_refused() {
        let signs = [
            ' ',
            '\t',
            '\n',
            '\0',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{202a}',
            '\u{202e}',
            '\u{2028}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{3000}',
            '\u{3164}',
            '\u{feff}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{e0001}',
            '\u{2800}',
            '\u{fffd}',
        ];
        for sign in signs {
            for bad in [format!("an{sign}n"), format!("{sign}"), format!("क्{sign}ष")] {
                assert_eq!(name(&bad), None, "{bad:?}");
            }
        }
        // The last mixes directions, which RFC 5893 forbids.
        for bad in ["", ".", "..", "\u{ff0e}", "\u{ff0e}.", "a☃", "\u{212b}se", "ﬁ", "aعلي"] {
            assert_eq!(name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn passwords_keep_their_symbols_and_compose_their_accents() {
        let table = [
            ("correct horse", Some("correct horse")),
            ("  two  spaces ", Some("  two  spaces ")),
            ("contrase\u{6e}\u{303}a", Some("contraseña")),
            ("a\u{3000}b", Some("a b")),
            ("\u{ff41}", Some("\u{ff41}")),
            ("☃🐒", Some("☃🐒")),
            ("", None),
            ("a\nb", None),
            ("a\u{200b}b", None),
            ("a\u{202e}b", None),
            // Its normal form is the middle dot, which is allowed only between two `l`s (RFC 5892, appendix A.3).
            ("\u{387}", None),
            ("col\u{387}legi", Some("col\u{b7}legi")),
        ];
        for (typed, normal) in table {
            assert_eq!(password(typed).as_deref(), normal, "{typed:?}");
        }
    }

    #[test]
    fn display_names_are_compared_without_regard_to_case_and_spaces() {
        for (text, normal) in [
            ("  Ann   Lee ", Some("ann lee")),
            ("ANN LEE", Some("ann lee")),
            ("Jose\u{301} \u{c1}lvarez", Some("josé álvarez")),
            ("\u{ff21}nn", Some("ann")),
            ("", None),
            ("  ", None),
            ("a\nb", None),
        ] {
            assert_eq!(display_name(text).as_deref(), normal, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn normalized_names_and_passwords_are_stable(text in "\\PC{1,12}|[a-zà-ÿ\u{300}-\u{310}ａ-ｚ]{1,8}") {
            for normalize in [name, password] {
                if let Some(normal) = normalize(&text) {
                    prop_assert_eq!(normalize(&normal), Some(normal));
                }
            }
        }
    }
}
