//! Rules for new passwords of local accounts (NIST SP 800-63B-4, section 3.1.1.2): a minimum length, no rules of
//! composition, and no password that guessing tries first.

use secrecy::{ExposeSecret, SecretString};
use strum::IntoStaticStr;

use crate::domain::precis;

/// Minimum length of a new password, in characters. NIST requires 15 without a second factor and 8 with one; 12 is
/// between them, and sign-ins here are limited to a few guesses a minute.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Maximum length of a password, in bytes: more than any password manager creates, and a bound on the work to hash it.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Maximum number of characters at the ends of a common password, such as a year or symbols, that do not make it a
/// different one.
const AFFIX_CHARS_MAX: usize = 8;
/// The shortest common password or name that is recognized within a password.
const STEM_CHARS_MIN: usize = 4;

/// Common and stolen passwords in lower case, sorted by bytes. `common-passwords.license.txt` names their source.
const COMMON: &str = include_str!("common-passwords.txt");

/// Why a new password is refused. The names are those in problem documents; the texts are for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum WeakPassword {
    /// It is too short.
    #[error("A password must have at least {PASSWORD_CHARS_MIN} characters. Several words are easy to remember.")]
    TooShort,
    /// It is too long.
    #[error("A password can have at most {PASSWORD_BYTES_MAX} bytes.")]
    TooLong,
    /// It contains characters that cannot be typed reliably.
    #[error("A password cannot contain control characters or invisible characters.")]
    Characters,
    /// It is common, or easy to guess in another way.
    #[error("This password is easy to guess: it is a common or stolen password. Use several unrelated words.")]
    Common,
    /// It is the user's name, or that of the college or the hub.
    #[error("A password cannot be your username or the name of the college.")]
    Name,
}

/// Checks a new password and returns its normal form, which is the one to hash. `names` are the username and the name
/// of the college.
///
/// # Errors
/// The reason why the password is refused.
pub fn accept(password: &SecretString, names: &[&str]) -> Result<SecretString, WeakPassword> {
    let typed = password.expose_secret();
    if typed.len() > PASSWORD_BYTES_MAX {
        return Err(WeakPassword::TooLong);
    }
    if typed.chars().count() < PASSWORD_CHARS_MIN {
        return Err(WeakPassword::TooShort);
    }
    let normal = precis::password(typed).ok_or(WeakPassword::Characters)?;
    if normal.chars().count() < PASSWORD_CHARS_MIN {
        return Err(WeakPassword::TooShort);
    }
    if normal.len() > PASSWORD_BYTES_MAX {
        return Err(WeakPassword::TooLong);
    }
    let folded: Vec<char> = normal.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    // A name, or a common password, is no better when it is repeated.
    let unit = repeated_unit(&folded);
    let stem = stem(unit);
    let own = names.iter().chain(&["eduhub"]).flat_map(|name| [*name, name.split('@').next().unwrap_or(name)]);
    let own: Vec<String> = own.map(letters_and_digits).filter(|name| name.len() >= STEM_CHARS_MIN).collect();
    let is_own = |text: &[char]| own.contains(&letters_and_digits(&text.iter().collect::<String>()));
    if is_own(unit) || stem.is_some_and(is_own) {
        return Err(WeakPassword::Name);
    }
    let is_repeated = unit.len() < folded.len();
    if is_repeated && unit.len() < PASSWORD_CHARS_MIN
        || is_sequence(unit)
        || is_common(unit)
        || stem.is_some_and(is_common)
    {
        return Err(WeakPassword::Common);
    }
    Ok(normal.into())
}

fn letters_and_digits(text: &str) -> String {
    text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Returns the shortest text that yields `text` when it is repeated; the last repetition may be cut off.
fn repeated_unit(text: &[char]) -> &[char] {
    let is_period = |period: &usize| (*period..text.len()).all(|at| text[at] == text[at - period]);
    let period = (1..=text.len() / 2).find(is_period).unwrap_or(text.len());
    &text[..period]
}

/// Returns `text` without the digits and symbols at its ends, if there are only a few.
fn stem(text: &[char]) -> Option<&[char]> {
    let first = text.iter().position(|c| c.is_alphabetic())?;
    let last = text.iter().rposition(|c| c.is_alphabetic())?;
    let stem = &text[first..=last];
    let is_stem = stem.len() >= STEM_CHARS_MIN && text.len() - stem.len() <= AFFIX_CHARS_MAX;
    is_stem.then_some(stem)
}

/// Returns whether each character follows the previous one in the same direction, as in `abcdef` and `987654`.
fn is_sequence(text: &[char]) -> bool {
    let step = |pair: &[char]| i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0]));
    // 0 follows 9 in `12345678901234`.
    [1, -1].iter().any(|up| text.windows(2).map(step).all(|next| next == *up || next == -9 * up))
}

/// Returns whether the list has `text`, as it is or with digits and symbols read as the letters that they resemble.
fn is_common(text: &[char]) -> bool {
    let read_as = |one: char| {
        let letter = |c: &char| match c {
            '@' | '4' => 'a',
            '3' => 'e',
            '1' | '!' => one,
            '0' => 'o',
            '$' | '5' => 's',
            '7' => 't',
            other => *other,
        };
        text.iter().map(letter).collect::<String>()
    };
    [text.iter().collect(), read_as('i'), read_as('l')].iter().any(|spelling| is_listed(spelling))
}

/// Finds a word by binary search.
fn is_listed(word: &str) -> bool {
    let list = COMMON.as_bytes();
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = list[low..middle].iter().rposition(|byte| *byte == b'\n').map_or(low, |at| low + at + 1);
        let end = list[middle..high].iter().position(|byte| *byte == b'\n').map_or(high, |at| middle + at);
        match list[start..end].cmp(word.as_bytes()) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(password: &str) -> Option<WeakPassword> {
        accept(&SecretString::from(password), &["ann.lee@riverside.edu", "Riverside College"]).err()
    }

    #[test]
    fn each_rule_refuses_with_its_reason() {
        use WeakPassword::{Characters, Common, Name, TooLong, TooShort};
        let (long, longest) = ("ñ".repeat(512) + "x", "correct horse ".repeat(73) + "co");
        let table = [
            ("eleven char", Some(TooShort)),
            ("a\u{301}bcdefghijk", Some(TooShort)),
            (&long, Some(TooLong)),
            ("correct\u{200b}horse", Some(Characters)),
            ("correct\thorse", Some(Characters)),
            ("1234567890qwerty", Some(Common)),
            ("PASSWORD2026!", Some(Common)),
            ("p@ssw0rd2026", Some(Common)),
            ("2026 Password 2026", Some(Common)),
            ("passwordpassword", Some(Common)),
            ("dragon dragon dragon", Some(Common)),
            ("aaaaaaaaaaaaaaaa", Some(Common)),
            ("xqzxqzxqzxqzx", Some(Common)),
            ("bcdefghijklm", Some(Common)),
            ("098765432109876", Some(Common)),
            ("riversidecollege", Some(Name)),
            ("Riverside College 2026", Some(Name)),
            ("ann.lee@riverside.edu", Some(Name)),
            ("ann.lee-2026!", Some(Name)),
            ("annleeannlee", Some(Name)),
            ("eduhub123456", Some(Name)),
            ("correct horse", None),
            ("contraseña larga", None),
            ("xkcd dragon lamp", None),
            ("horse8392017463", None),
            (&longest, None),
        ];
        for (password, expected) in table {
            assert_eq!(refusal(password), expected, "{password:.40}");
        }
        assert_eq!(longest.len(), PASSWORD_BYTES_MAX);
    }

    #[test]
    fn the_normal_form_is_returned() {
        let accepted = accept(&SecretString::from("contrasen\u{303}a\u{3000}larga"), &[]).unwrap();
        assert_eq!(accepted.expose_secret(), "contraseña larga");
    }

    #[test]
    fn every_entry_of_the_list_is_found() {
        let lines: Vec<&str> = COMMON.lines().collect();
        assert!(lines.is_sorted() && lines.len() > 40_000);
        for word in &lines {
            assert!(is_listed(word), "{word}");
            assert!(!is_listed(&format!("{word}\u{7f}")), "{word}");
        }
        assert!(!is_listed("") && !is_listed("\u{7f}"));
    }
}
