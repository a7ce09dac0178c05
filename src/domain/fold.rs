//! Texts in the form in which names are searched: without case and accents.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Returns a text in lower case and without accents, such as `jose` for `José`.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.to_lowercase().nfd().filter(|c| !is_combining_mark(*c)).collect()
}

/// Returns whether `wanted` begins a word of `text`; both are folded. A word begins after a character that is neither a
/// letter nor a digit.
#[must_use]
pub fn begins_word(text: &str, wanted: &str) -> bool {
    let mut is_inside = false;
    text.char_indices().any(|(at, c)| {
        let begins = !is_inside && text.get(at..).is_some_and(|rest| rest.starts_with(wanted));
        is_inside = c.is_alphanumeric();
        begins
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_their_beginning_without_case_and_accents() {
        let table = [
            ("José Núñez", "nun", true),
            ("José Núñez", "JOSE", true),
            ("Jose Nunez", "Núñ", true),
            ("José Núñez", "ez", false),
            ("O'Neill", "neill", true),
            ("ann-00017", "00017", true),
            ("ann-00017", "ann-000", true),
            ("ann-00017", "17", false),
            ("İpek", "ipek", true),
            ("Анна", "анн", true),
            ("", "a", false),
        ];
        for (text, wanted, expected) in table {
            assert_eq!(begins_word(&fold(text), &fold(wanted)), expected, "{text}: {wanted}");
        }
    }
}
