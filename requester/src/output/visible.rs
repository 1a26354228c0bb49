//! Foreign text on its way to a terminal: control characters are shown, not sent.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with every control character as an escape such as `\u{1b}` or `\n`.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// The same for text of several lines: newlines and tabs stay.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

fn escape(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let shown = |c: char| c.is_control() && !stays(c);
    if !text.contains(shown) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if shown(c) {
            // Into a string: cannot fail.
            let _ = write!(visible, "{}", c.escape_default());
        } else {
            visible.push(c);
        }
    }
    Cow::Owned(visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(line("a\u{1b}[31mb\r\n\tc"), r"a\u{1b}[31mb\r\n\tc");
        assert_eq!(
            lines("a\u{1b}]0;x\u{7}\n\tb\r"),
            "a\\u{1b}]0;x\\u{7}\n\tb\\r"
        );
        assert_eq!(line("\u{0}\u{7f}\u{9b}2J"), r"\u{0}\u{7f}\u{9b}2J");
        assert!(matches!(line("größer, 東京, \\n"), Cow::Borrowed(_)));
    }
}
