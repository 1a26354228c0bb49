//! How long the vendors' documents that the evidence carries are good for.

use duckblind_attestation::evidence::Endorsements;
use duckblind_attestation::snp::certificate::Certificate;
use duckblind_protocol::ids::UnixTime;

use super::finding::Finding;

const CHECK: &str = "collateral";
const DAY: i64 = 86_400;
/// Days before its end at which a document is worth a word. Certificates and AMD's lists last
/// years.
const EARLY: i64 = 30;

/// A document that holds from one second to another.
struct Document {
    name: &'static str,
    from: UnixTime,
    until: UnixTime,
    early: i64,
    remedy: &'static str,
}
