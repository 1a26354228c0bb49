//! Lists that may also say "any", in so many words.

use super::NonEmpty;

/// What a value may be.
#[derive(Clone, Debug)]
pub(crate) enum Allowed<T> {
    /// Whatever it is.
    Any,
    /// One of these.
    Among(NonEmpty<T>),
}

impl<T: PartialEq> Allowed<T> {
    /// Whether `value` may be. Not in constant time.
    pub(crate) fn takes(&self, value: &T) -> bool {
        match self {
            Self::Any => true,
            Self::Among(listed) => listed.contains(value),
        }
    }
}
