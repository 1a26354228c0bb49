//! "Did you mean …?"

/// The candidate that a mistyped `word` most likely stands for, if one is near enough.
pub(super) fn nearest(
    word: &str,
    candidates: impl IntoIterator<Item = &'static str>,
) -> Option<&'static str> {
    // Names are short; anything longer is no typing mistake and not worth the work.
    if word.len() > 64 {
        return None;
    }
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits (one character added, dropped, changed, or two neighbours swapped) between the words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut two_above: Vec<usize> = Vec::new();
    let mut before = None;
    for (i, x) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        let mut left_char = None;
        for (j, y) in b.iter().copied().enumerate() {
            let at =
                |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&row, j) + 1)
                .min(at(&above, j + 1) + 1)
                .min(at(&above, j) + usize::from(x != y));
            if before == Some(y) && left_char == Some(x) {
                best = best.min(at(&two_above, j.wrapping_sub(1)) + 1);
            }
            row.push(best);
            left_char = Some(y);
        }
        before = Some(x);
        two_above = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("walls", "wals", 1),
            ("snp", "spn", 1),
            ("vmpls", "vmpsl", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn only_near_ones() {
        let known = ["measurements", "releases", "roots"];
        assert_eq!(nearest("measurments", known), Some("measurements"));
        assert_eq!(nearest("root", known), Some("roots"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
    }
}
