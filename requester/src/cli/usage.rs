//! What clap says of a wrong command line, in the form of every other error.

use super::failure::Failure;

/// `error` as one of ours. Its text has paragraphs: what is wrong, tips, how the command is used.
pub(super) fn failure(error: &clap::Error) -> Failure {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::usage("a command is missing", None);
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let (message, values) = what_is_wrong(paragraphs.next().unwrap_or_default());
    let mut synopsis = None;
    let mut hints = Vec::new();
    for paragraph in paragraphs {
        if let Some(usage) = paragraph.strip_prefix("Usage: ") {
            synopsis = Some(one_line(usage));
        } else if paragraph.starts_with("tip: ") {
            hints.extend(paragraph.lines().map(|line| {
                let line = line.trim();
                line.strip_prefix("tip: ").unwrap_or(line).to_owned()
            }));
        }
    }
    hints.push("see --help".into());
    Failure::misuse(message, values.or(synopsis), hints.join("; "))
}

/// The message as one line, and the values that it says are possible.
fn what_is_wrong(paragraph: &str) -> (String, Option<String>) {
    let mut lines = paragraph.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let mut message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    let mut values = None;
    let mut listed = Vec::new();
    for line in lines {
        let inside = line.strip_prefix('[').and_then(|l| l.strip_suffix(']'));
        match inside.and_then(|list| list.split_once(": ")) {
            Some((_, list)) => values = Some(format!("one of {list}")),
            None => listed.push(line),
        }
    }
    if !listed.is_empty() {
        message.push(' ');
        message.push_str(&listed.join(", "));
    }
    (message, values)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser as _;
    use duckblind_protocol::coded::{self, Exit};

    use super::super::Cli;
    use super::*;

    fn wrong(arguments: &[&str]) -> Failure {
        let all = ["duckblind"].iter().chain(arguments);
        failure(&Cli::try_parse_from(all).err().unwrap())
    }

    #[test]
    fn wrong_use_is_coded_and_keeps_its_tips() {
        for (arguments, message, expected, hint) in [
            (
                &["run", "select 1", "--tabel", "x"][..],
                "unexpected argument '--tabel' found",
                "duckblind run",
                "'--table'; see --help",
            ),
            (
                &["recipt"],
                "unrecognized subcommand 'recipt'",
                "duckblind [OPTIONS] <COMMAND>",
                "'receipt'; see --help",
            ),
            (
                &["run", "select 1", "--format", "parqet"],
                "invalid value 'parqet' for '--format <FORMAT>'",
                "one of table, csv, jsonl, arrow, parquet",
                "'parquet'; see --help",
            ),
            (
                &["seal", "a.csv"],
                "the following required arguments were not provided: --table <NAME>, --out <DIR>",
                "duckblind seal",
                "see --help",
            ),
            (
                &["run", "select 1", "--timeout", "soon"],
                "invalid value 'soon' for '--timeout <TIME>': expected a time such as",
                "",
                "see --help",
            ),
            (&["keys"], "a command is missing", "", ""),
        ] {
            let failure = wrong(arguments);
            let error = failure.coded();
            assert_eq!((error.code(), error.exit()), ("DB-REQ-090", Exit::Usage));
            assert!(error.to_string().starts_with(message), "{error}");
            let said = error.expected().unwrap_or_default();
            assert!(said.starts_with(expected), "{said}");
            let hinted = error.hint().unwrap_or_default();
            assert!(hinted.ends_with(hint), "{hinted}");
            let text = coded::render(error);
            assert!(text.starts_with("error[DB-REQ-090]: "), "{text}");
            assert!(text.contains("\nhint: "), "{text}");
            let json: serde_json::Value = serde_json::from_str(&coded::render_json(error)).unwrap();
            assert_eq!(json["error"]["code"], "DB-REQ-090");
        }
    }
}
