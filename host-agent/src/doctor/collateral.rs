//! How long the vendors' documents that the evidence carries are good for.

use duckblind_attestation::evidence::{Endorsements, TdxCollateral};
use duckblind_attestation::snp::certificate::Certificate;
use duckblind_attestation::snp::crl::RevocationList;
use duckblind_protocol::ids::UnixTime;
use serde_json::Value;

use super::date;
use super::finding::Finding;

const CHECK: &str = "collateral";
const DAY: i64 = 86_400;
/// Days before its end at which a document is worth a word. AMD's last a year and more.
const EARLY_AMD: i64 = 30;
/// Intel's last thirty days, and are made anew all the time.
const EARLY_INTEL: i64 = 7;

/// A document that holds from one second to another.
struct Document {
    name: &'static str,
    from: UnixTime,
    until: UnixTime,
    /// Days.
    early: i64,
}

/// One line if all is well, otherwise one for each document that is not.
pub(super) fn examine(endorsements: &Endorsements, now: UnixTime) -> Vec<Finding> {
    let read: Vec<_> = amd(endorsements)
        .into_iter()
        .chain(endorsements.tdx.as_ref().into_iter().flat_map(intel))
        .collect();
    let (mut findings, mut good) = (Vec::new(), Vec::new());
    for document in read {
        match document.and_then(|document| document.judge(now).map(|()| document)) {
            Ok(document) => good.push(document),
            Err(finding) => findings.push(finding),
        }
    }
    if findings.is_empty() {
        findings.push(summary(good, now));
    }
    findings
}

fn summary(mut documents: Vec<Document>, now: UnixTime) -> Finding {
    documents.sort_by_key(|document| document.until);
    let Some(first) = documents.first() else {
        return Finding::skip(CHECK, "the evidence carries none");
    };
    let days = first.days_left(now);
    let detail = format!(
        "{} good; the {} ends first, in {days} days",
        documents.len(),
        first.name
    );
    Finding::pass(CHECK, detail)
}

fn amd(endorsements: &Endorsements) -> Vec<Result<Document, Finding>> {
    let certificates = [
        ("VEK certificate", &endorsements.vek),
        ("ASK certificate", &endorsements.ask),
        ("ARK certificate", &endorsements.ark),
    ];
    let certificates = certificates.into_iter().filter_map(|(name, der)| {
        let read = Certificate::from_der(der.as_ref()?);
        Some(
            read.map_err(|error| unreadable(name, error))
                .map(|certificate| {
                    let (from, until) = certificate.validity();
                    Document {
                        name,
                        from,
                        until,
                        early: EARLY_AMD,
                    }
                }),
        )
    });
    let list = endorsements.crl.as_ref().map(|der| {
        let name = "revocation list";
        let list = RevocationList::from_der(der).map_err(|error| unreadable(name, error))?;
        let (from, until) = list.validity();
        let until = until.ok_or_else(|| unreadable(name, "it has no end"))?;
        Ok(Document {
            name,
            from,
            until,
            early: EARLY_AMD,
        })
    });
    certificates.chain(list).collect()
}

/// Those whose dates can be read without a certificate parser of Intel's kind: the others are made
/// together with them.
fn intel(collateral: &TdxCollateral) -> [Result<Document, Finding>; 2] {
    [
        ("TCB info", &collateral.tcb_info),
        ("QE identity", &collateral.qe_identity),
    ]
    .map(|(name, json)| {
        let value: Value =
            serde_json::from_str(json).map_err(|_| unreadable(name, "it is no JSON"))?;
        let time = |key: &str| {
            let text = value.get(key).and_then(Value::as_str);
            let time = text.and_then(date::parse_utc).map(UnixTime);
            time.ok_or_else(|| unreadable(name, format_args!("it has no {key}")))
        };
        Ok(Document {
            name,
            from: time("issueDate")?,
            until: time("nextUpdate")?,
            early: EARLY_INTEL,
        })
    })
}

fn unreadable(name: &str, error: impl std::fmt::Display) -> Finding {
    Finding::fail(
        CHECK,
        format!("the {name} cannot be read: {error}"),
        "import it again, as the vendor serves it",
    )
}

impl Document {
    /// Days until it ends, rounded down.
    fn days_left(&self, now: UnixTime) -> i64 {
        self.until.0.saturating_sub(now.0).div_euclid(DAY)
    }

    fn judge(&self, now: UnixTime) -> Result<(), Finding> {
        let Self {
            name,
            from,
            until,
            early,
        } = self;
        let days = self.days_left(now);
        if now < *from {
            let ahead = from.0.saturating_sub(now.0);
            let detail = format!("the {name} holds only in {ahead} s");
            Err(Finding::fail(CHECK, detail, "check this machine's clock"))
        } else if *until < now {
            let detail = format!("the {name} ended {} days ago", days.saturating_neg());
            Err(Finding::fail(CHECK, detail, self.remedy()))
        } else if days < *early {
            let detail = format!("the {name} ends in {days} days");
            Err(Finding::warn(CHECK, detail, self.remedy()))
        } else {
            Ok(())
        }
    }

    fn remedy(&self) -> &'static str {
        match self.name {
            "VEK certificate" => {
                "import a new one on the host; a VLEK lasts a year and comes from the cloud that runs the host"
            }
            _ => "fetch it again from the vendor and import it on the host",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::finding::Outcome;
    use super::*;

    fn intel_at(now: &str, issued: &str, next: &str) -> Vec<Finding> {
        let json = format!("{{\"issueDate\":{issued:?},\"nextUpdate\":{next:?}}}");
        let endorsements = Endorsements {
            tdx: Some(TdxCollateral {
                tcb_info: json.clone(),
                qe_identity: json,
                ..TdxCollateral::default()
            }),
            ..Endorsements::default()
        };
        examine(&endorsements, UnixTime(date::parse_utc(now).unwrap()))
    }

    #[test]
    fn none_is_skipped() {
        let findings = examine(&Endorsements::default(), UnixTime(0));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].outcome, Outcome::Skip);
    }

    #[test]
    fn documents_of_intel() {
        let (issued, next) = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        for (now, outcomes, word) in [
            ("2026-11-10T00:00:00Z", &[Outcome::Pass][..], "in 21 days"),
            ("2026-11-24T00:00:00Z", &[Outcome::Pass], "in 7 days"),
            (
                "2026-11-24T00:00:01Z",
                &[Outcome::Warn; 2],
                "TCB info ends in 6 days",
            ),
            ("2026-12-01T00:00:00Z", &[Outcome::Warn; 2], "in 0 days"),
            (
                "2026-12-01T00:00:01Z",
                &[Outcome::Fail; 2],
                "ended 1 days ago",
            ),
            ("2026-10-31T23:59:58Z", &[Outcome::Fail; 2], "only in 2 s"),
        ] {
            let findings = intel_at(now, issued, next);
            let got: Vec<_> = findings.iter().map(|finding| finding.outcome).collect();
            assert_eq!(got, outcomes, "{now}");
            assert!(findings[0].detail.contains(word), "{}", findings[0].detail);
            assert_eq!(findings[0].hint.is_some(), outcomes.len() == 2);
        }
        let findings = intel_at("2026-11-10T00:00:00Z", issued, "soon");
        assert_eq!(findings.len(), 2);
        assert!(findings[1].detail.contains("QE identity cannot be read"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let endorsements = Endorsements {
            vek: Some(vec![1]),
            crl: Some(vec![2]),
            tdx: Some(TdxCollateral::default()),
            ..Endorsements::default()
        };
        let findings = examine(&endorsements, UnixTime(0));
        assert_eq!(findings.len(), 4);
        for (finding, name) in findings.iter().zip(["VEK", "revocation", "TCB", "QE"]) {
            assert!(finding.detail.contains(name) && finding.detail.contains("cannot be read"));
            assert_eq!(finding.outcome, Outcome::Fail);
        }
    }
    /// Each of a simulated platform's, some time before and after its end.
    #[cfg(feature = "simulator")]
    #[test]
    fn documents_of_amd() {
        use duckblind_attestation::attester::Attester as _;

        let endorsements = crate::tests::simulated::snp()
            .attest(&[0; 64])
            .unwrap()
            .endorsements;
        let documents = amd(&endorsements);
        assert_eq!(documents.len(), 4);
        for document in documents {
            let document = document.unwrap();
            let said = |now: i64| {
                let about = |finding: &Finding| finding.detail.contains(document.name);
                let findings = examine(&endorsements, UnixTime(now));
                findings
                    .into_iter()
                    .find(about)
                    .map(|finding| finding.outcome)
            };
            let (from, until) = (document.from.0, document.until.0);
            assert_eq!(said(from - 1), Some(Outcome::Fail), "{}", document.name);
            assert_eq!(
                said(until - 29 * DAY),
                Some(Outcome::Warn),
                "{}",
                document.name
            );
            assert_eq!(said(until), Some(Outcome::Warn), "{}", document.name);
            assert_eq!(said(until + 1), Some(Outcome::Fail), "{}", document.name);
        }
        let young = UnixTime(amd(&endorsements)[0].as_ref().unwrap().from.0 + DAY);
        let findings = examine(&endorsements, young);
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0]
                .detail
                .starts_with("4 good; the VEK certificate ends first, in ")
        );
    }
}
