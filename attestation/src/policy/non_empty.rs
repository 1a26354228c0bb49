//! Lists that cannot be empty: an empty list of accepted values must never read as "any".

/// At least one value, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonEmpty<T>(Vec<T>);

impl<T: PartialEq> NonEmpty<T> {
    /// `None` if `values` is empty.
    pub fn new(values: Vec<T>) -> Option<Self> {
        (!values.is_empty()).then_some(Self(values))
    }

    /// Whether `value` is one of them. Not in constant time.
    pub fn contains(&self, value: &T) -> bool {
        self.0.contains(value)
    }

    /// The values.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}
