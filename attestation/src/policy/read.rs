//! Reads one table of a policy: typed, and without leftovers.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use toml::Value;

use super::suggest::nearest;
use super::{Allowed, NonEmpty, PolicyError};

/// A table whose keys are all known.
pub(super) struct Section {
    path: String,
    table: toml::Table,
}

impl Section {
    /// Refuses keys that are not in `keys`. Before anything is read, so that a mistyped key is
    /// named as such and not as a missing one.
    pub(super) fn open(
        path: &str,
        table: toml::Table,
        keys: &'static [&'static str],
    ) -> Result<Self, PolicyError> {
        let section = Self {
            path: path.to_owned(),
            table,
        };
        match section
            .table
            .keys()
            .find(|key| !keys.contains(&key.as_str()))
        {
            None => Ok(section),
            Some(key) => Err(PolicyError::UnknownKey {
                path: section.at(key),
                nearest: nearest(key, keys.iter().copied()),
            }),
        }
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn wrong(&self, key: &str, expected: impl Display, got: &Value) -> PolicyError {
        PolicyError::Value {
            path: self.at(key),
            expected: expected.to_string(),
            got: got.to_string(),
            nearest: None,
        }
    }

    fn take(&mut self, key: &'static str) -> Result<Value, PolicyError> {
        self.table
            .remove(key)
            .ok_or_else(|| PolicyError::Missing { path: self.at(key) })
    }

    /// A table inside this one.
    pub(super) fn section(
        &mut self,
        key: &'static str,
        keys: &'static [&'static str],
    ) -> Result<Self, PolicyError> {
        match self.take(key)? {
            Value::Table(table) => Self::open(&self.at(key), table, keys),
            other => Err(self.wrong(key, "a table", &other)),
        }
    }

    /// Tables in a list, each with these keys.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        keys: &'static [&'static str],
    ) -> Result<Vec<Self>, PolicyError> {
        let items = match self.take(key)? {
            Value::Array(items) => items,
            other => return Err(self.wrong(key, "a list of tables", &other)),
        };
        let open = |(at, item)| match item {
            Value::Table(table) => Self::open(&format!("{}[{at}]", self.at(key)), table, keys),
            other => Err(self.wrong(key, "a list of tables", &other)),
        };
        items.into_iter().enumerate().map(open).collect()
    }

    /// A string, parsed.
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, PolicyError> {
        let value = self.take(key)?;
        let parsed = value.as_str().and_then(parse);
        parsed.ok_or_else(|| self.wrong(key, expected, &value))
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<String, PolicyError> {
        match self.take(key)? {
            Value::String(text) => Ok(text),
            other => Err(self.wrong(key, "a string", &other)),
        }
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Result<bool, PolicyError> {
        match self.take(key)? {
            Value::Boolean(flag) => Ok(flag),
            other => Err(self.wrong(key, "true or false", &other)),
        }
    }

    /// A number that fits into `N`.
    pub(super) fn number<N>(&mut self, key: &'static str) -> Result<N, PolicyError>
    where
        N: TryFrom<i64>,
    {
        let value = self.take(key)?;
        value
            .as_integer()
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| self.wrong(key, format!("a number ({})", short_type::<N>()), &value))
    }

    /// A list of strings, each parsed.
    pub(super) fn list<T: PartialEq>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, PolicyError> {
        self.items(key, expected, |value| value.as_str().and_then(&parse))
    }

    /// A list of names from a closed set.
    pub(super) fn names<T: PartialEq + Copy>(
        &mut self,
        key: &'static str,
        all: &'static [T],
        name: impl Fn(T) -> &'static str,
    ) -> Result<Vec<T>, PolicyError> {
        let known = || all.iter().map(|one| name(*one));
        let expected = format!("names among {}", known().collect::<Vec<_>>().join(", "));
        let found = self.items(key, &expected, |value| {
            let text = value.as_str()?;
            all.iter().copied().find(|one| name(*one) == text)
        });
        found.map_err(|error| match error {
            PolicyError::Value {
                path,
                expected,
                got,
                ..
            } => PolicyError::Value {
                nearest: nearest(got.trim_matches('"'), known()),
                path,
                expected,
                got,
            },
            other => other,
        })
    }

    /// A list of numbers within a range.
    pub(super) fn numbers(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
    ) -> Result<Vec<u32>, PolicyError> {
        let expected = format!("numbers from {} to {}", range.start(), range.end());
        self.items(key, &expected, |value| {
            let number = u32::try_from(value.as_integer()?).ok()?;
            range.contains(&number).then_some(number)
        })
    }

    /// A string, parsed.
    pub(super) fn parsed<T: FromStr>(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Result<T, PolicyError> {
        let value = self.take(key)?;
        let parsed = value.as_str().and_then(|text| text.parse().ok());
        parsed.ok_or_else(|| self.wrong(key, expected, &value))
    }

    fn items<T: PartialEq>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, PolicyError> {
        let items = match self.take(key)? {
            Value::Array(items) => items,
            other => return Err(self.wrong(key, "a list", &other)),
        };
        let mut parsed = Vec::with_capacity(items.len());
        for item in &items {
            let one = parse(item).ok_or_else(|| self.wrong(key, expected, item))?;
            if parsed.contains(&one) {
                return Err(self.wrong(key, "each value once", item));
            }
            parsed.push(one);
        }
        Ok(parsed)
    }

    /// A list that must have a member.
    pub(super) fn non_empty<T: PartialEq>(
        &self,
        key: &str,
        values: Vec<T>,
        hint: &'static str,
    ) -> Result<NonEmpty<T>, PolicyError> {
        NonEmpty::new(values).ok_or_else(|| PolicyError::Empty {
            path: self.at(key),
            hint,
        })
    }

    /// `["any"]`, or a list of values, each parsed.
    pub(super) fn allowed<T: PartialEq>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Allowed<T>, PolicyError> {
        let listed = self.list(
            key,
            &format!("[\"any\"] alone, or {expected}"),
            |text| match text {
                "any" => Some(None),
                other => parse(other).map(Some),
            },
        )?;
        if listed == [None] {
            return Ok(Allowed::Any);
        }
        let got = format!("{} entries, \"any\" among them", listed.len());
        let values: Option<Vec<T>> = listed.into_iter().collect();
        let values = values.ok_or_else(|| PolicyError::Value {
            path: self.at(key),
            expected: format!("[\"any\"] alone, or {expected}"),
            got,
            nearest: None,
        })?;
        self.non_empty(key, values, "write [\"any\"] or list values")
            .map(Allowed::Among)
    }

    /// The path of a key of this table.
    pub(super) fn path(&self, key: &str) -> String {
        self.at(key)
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }
}

fn short_type<N>() -> &'static str {
    std::any::type_name::<N>()
}
