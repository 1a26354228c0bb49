//! What commands answer on stdout: `name: value` lines, or one JSON object.

use std::fmt::Display;
use std::io::{self, Write};

use serde_json::{Map, Value};

/// Collects a command's answer.
pub struct Output<'a> {
    to: &'a mut dyn Write,
    json: bool,
    lines: Vec<(&'static str, String)>,
    lists: Vec<(&'static str, Vec<String>)>,
}

impl<'a> Output<'a> {
    /// Will write to `to`.
    pub fn new(to: &'a mut dyn Write, json: bool) -> Self {
        Self {
            to,
            json,
            lines: Vec::new(),
            lists: Vec::new(),
        }
    }

    /// Adds a line. In JSON, spaces of the name become underscores.
    pub fn line(&mut self, name: &'static str, value: &dyn Display) {
        self.lines.push((name, value.to_string()));
    }

    /// Adds one line for each value; in JSON, always a list.
    pub fn list(&mut self, name: &'static str, values: impl IntoIterator<Item = impl Display>) {
        let values = values.into_iter().map(|value| value.to_string()).collect();
        self.lists.push((name, values));
    }

    /// Writes what was collected.
    pub fn finish(self) -> io::Result<()> {
        if self.lines.is_empty() && self.lists.is_empty() {
            return Ok(());
        }
        if !self.json {
            for (name, value) in &self.lines {
                writeln!(self.to, "{name}: {value}")?;
            }
            for (name, values) in &self.lists {
                for value in values {
                    writeln!(self.to, "{name}: {value}")?;
                }
            }
            return self.to.flush();
        }
        let lines = self
            .lines
            .into_iter()
            .map(|(name, value)| (name, Value::from(value)));
        let lists = self
            .lists
            .into_iter()
            .map(|(name, values)| (name, Value::from(values)));
        let object: Map<String, Value> = lines
            .chain(lists)
            .map(|(name, value)| (name.replace(' ', "_"), value))
            .collect();
        writeln!(self.to, "{}", Value::Object(object))?;
        self.to.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_people_and_an_object_for_programs() {
        let render = |json| {
            let mut bytes = Vec::new();
            let mut output = Output::new(&mut bytes, json);
            output.line("key id", &"a");
            output.list("policies", ["1"]);
            output.finish().unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(render(false), "key id: a\npolicies: 1\n");
        assert_eq!(render(true), "{\"key_id\":\"a\",\"policies\":[\"1\"]}\n");
    }
}
