//! The lines of a CSV file: on which a record starts (records may span lines, and empty lines are
//! no records), and where quotes are wrong, about which the CSV library does not complain.

use std::io::{self, BufRead};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    RecordStart,
    FieldStart,
    Field,
    Quoted,
    QuoteInQuoted,
}

/// Follows a CSV file byte by byte.
#[derive(Debug)]
pub(super) struct Lines {
    delimiter: u8,
    at: At,
    after_return: bool,
    /// The line of the next byte, from 1.
    line: u64,
    /// Records begun, the header among them.
    records: u64,
    /// Where the last of them begins.
    record_line: u64,
}

/// Quotes that RFC 4180 does not allow, and the line of the record they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadQuote {
    /// Still open when the file ends.
    Open(u64),
    /// Text between a closing quote and the field's end.
    TextBehind(u64),
}

impl Lines {
    /// At the start of a file.
    pub(super) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            at: At::RecordStart,
            after_return: false,
            line: 1,
            records: 0,
            record_line: 1,
        }
    }

    /// Goes on over more bytes of the file.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), BadQuote> {
        bytes.iter().try_for_each(|byte| self.step(*byte))
    }

    /// Whether a record has just ended, or none has begun.
    pub(super) fn between_records(&self) -> bool {
        self.at == At::RecordStart
    }

    /// The end of the file.
    pub(super) fn end(&self) -> Result<(), BadQuote> {
        match self.at {
            At::Quoted => Err(BadQuote::Open(self.record_line)),
            _ => Ok(()),
        }
    }

    fn step(&mut self, byte: u8) -> Result<(), BadQuote> {
        let ends_line = byte == b'\n' || byte == b'\r';
        let second_half = byte == b'\n' && self.after_return;
        self.after_return = byte == b'\r';
        if self.at == At::RecordStart && !ends_line {
            self.records += 1;
            self.record_line = self.line;
            self.at = At::FieldStart;
        }
        self.at = match self.at {
            At::Quoted if byte == b'"' => At::QuoteInQuoted,
            At::Quoted => At::Quoted,
            At::QuoteInQuoted if byte == b'"' => At::Quoted,
            _ if ends_line => At::RecordStart,
            _ if byte == self.delimiter => At::FieldStart,
            At::QuoteInQuoted => return Err(BadQuote::TextBehind(self.record_line)),
            At::FieldStart if byte == b'"' => At::Quoted,
            _ => At::Field,
        };
        if ends_line && !second_half {
            self.line += 1;
        }
        Ok(())
    }
}

/// The line, counted from 1, on which record number `wanted` (from 1, the header is the first)
/// starts.
pub(super) fn line_of_record(
    mut from: impl BufRead,
    delimiter: u8,
    wanted: u64,
) -> io::Result<Option<u64>> {
    let mut lines = Lines::new(delimiter);
    loop {
        let bytes = from.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        for byte in bytes {
            let fine = lines.step(*byte).is_ok();
            if lines.records == wanted {
                return Ok(Some(lines.record_line));
            }
            if !fine {
                return Ok(None);
            }
        }
        let length = bytes.len();
        from.consume(length);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn records_and_lines() {
        let text = "a,b\n\n1,\"x\ny \"\"z\"\"\n\"\r\n\r\n3,4\r5,\"6\"\n7\"\n8";
        let lines: Vec<_> = (1..=7)
            .map(|record| line_of_record(text.as_bytes(), b',', record).unwrap())
            .collect();
        assert_eq!(
            lines,
            [Some(1), Some(3), Some(7), Some(8), Some(9), Some(10), None]
        );
    }

    #[test]
    fn bad_quotes() {
        let check = |text: &str| {
            let mut lines = Lines::new(b',');
            lines.feed(text.as_bytes()).and_then(|()| lines.end())
        };
        assert_eq!(check("a\n\"b\"\nc\"d\n\"\"\n\"\"\"\"\n"), Ok(()));
        assert_eq!(check("a\n\"b\n"), Err(BadQuote::Open(2)));
        assert_eq!(check("a\nx\n\"b\"c\n"), Err(BadQuote::TextBehind(3)));
    }
}
