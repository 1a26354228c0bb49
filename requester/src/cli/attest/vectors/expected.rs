//! What a case lists as its outcome.

use duckblind_attestation::reason::Reason;
use duckblind_protocol::ids::UnixTime;
use serde::Deserialize;
use serde_json::Value;

use super::super::instant::instant;
use super::VectorsError;

/// A time, as seconds or as text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Time {
    Seconds(i64),
    Text(String),
}

impl Time {
    pub(super) fn at(&self, case: &str) -> Result<UnixTime, VectorsError> {
        match self {
            Self::Seconds(seconds) => Ok(UnixTime(*seconds)),
            Self::Text(text) => instant(text).map_err(|_| VectorsError::Case {
                case: case.to_owned(),
                why: format!("\"now\" is {text:?}"),
                expected: "Unix seconds or a date in UTC",
            }),
        }
    }
}

/// Whether a case is listed as accepted.
pub(super) fn is_accepted(case: &str, listed: &Value) -> Result<bool, VectorsError> {
    let known = match listed {
        Value::Bool(accepted) => Some(*accepted),
        Value::String(word) => match word.to_ascii_lowercase().as_str() {
            "accept" | "accepted" | "ok" | "pass" | "valid" => Some(true),
            "reject" | "rejected" | "err" | "error" | "fail" | "invalid" => Some(false),
            _ => None,
        },
        _ => None,
    };
    known.ok_or_else(|| VectorsError::Case {
        case: case.to_owned(),
        why: format!("the expected outcome is {listed}"),
        expected: "accept or reject, ok or err",
    })
}

/// Listed reasons that are not among `ours`. Codes that this build does not know are never among
/// them.
pub(super) fn missing<'a>(listed: &'a [String], ours: &[Reason]) -> Vec<&'a str> {
    let said = |name: &str| {
        let known: Option<Reason> = name.parse().ok();
        match known {
            // Where a paravisor cannot be told from the report alone, the binding is what fails.
            Some(Reason::PlatformParavisor) => {
                ours.contains(&Reason::PlatformParavisor) || ours.contains(&Reason::Binding)
            }
            Some(reason) => ours.contains(&reason),
            None => false,
        }
    };
    let names = listed.iter().map(String::as_str);
    names.filter(|name| !said(name)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn outcomes_and_times() {
        assert!(is_accepted("x", &json!("OK")).unwrap());
        assert!(!is_accepted("x", &json!("reject")).unwrap());
        assert!(!is_accepted("x", &json!(false)).unwrap());
        assert!(is_accepted("x", &json!("maybe")).is_err());
        assert!(is_accepted("x", &Value::Null).is_err());
        assert_eq!(Time::Seconds(5).at("x").unwrap(), UnixTime(5));
        assert!(Time::Text("soon".into()).at("x").is_err());
    }

    #[test]
    fn every_listed_reason_must_be_ours() {
        let listed = ["E_DEBUG".to_owned(), "E_PLATFORM_PARAVISOR".to_owned()];
        assert_eq!(missing(&listed, &[Reason::Debug]), ["E_PLATFORM_PARAVISOR"]);
        assert!(missing(&listed, &[Reason::Binding, Reason::Debug]).is_empty());
        assert_eq!(missing(&["E_NEW".to_owned()], Reason::ALL), ["E_NEW"]);
        // The binding stands in for a paravisor, not the other way round.
        let listed = ["E_BINDING".to_owned()];
        assert_eq!(
            missing(&listed, &[Reason::PlatformParavisor]),
            ["E_BINDING"]
        );
    }
}
