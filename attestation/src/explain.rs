//! What evidence says, field by field and in plain words. Nothing here is judged: that is
//! [`mod@crate::appraise`]'s business.

pub mod certificate;
pub mod event_log;
pub mod shortfall;
pub mod snp;
pub mod tdx;

use serde::Serialize;

/// A part of a piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What it is about.
    pub title: String,
    /// Its fields, in order.
    pub fields: Vec<Field>,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// A few words.
    pub name: &'static str,
    /// As it is there.
    pub value: String,
    /// What it means; may be empty.
    pub means: String,
}

impl Part {
    fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            fields: Vec::new(),
        }
    }

    fn field(&mut self, name: &'static str, value: impl ToString, means: impl Into<String>) {
        self.fields.push(Field {
            name,
            value: value.to_string(),
            means: means.into(),
        });
    }

    /// Bytes in hex, and a word if they are nothing but zeros.
    fn bytes(&mut self, name: &'static str, bytes: &[u8], means: &str) {
        if bytes.iter().all(|byte| *byte == 0) {
            self.field(name, "zero", means);
        } else {
            self.field(name, hex::encode(bytes), means);
        }
    }
}

/// `on` if the bit is set, else `off`.
const fn either(set: bool, on: &'static str, off: &'static str) -> &'static str {
    if set { on } else { off }
}
