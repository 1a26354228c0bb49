//! Usage records, one JSON line each: job id, bytes, CPU time, outcome class, and the enclave's
//! signed bytes, which are what counts in a dispute.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duckblind_protocol::cbor;
use duckblind_protocol::ids::NodeId;
use duckblind_protocol::receipt::{OutcomeClass, SignedUsage, UsageRecord};

use crate::error::HostError;

/// A record that is longer than this is none, in bytes.
const MAX_RECORD: usize = 1024;

/// The file. When it reaches its cap it becomes `FILE.1`, replacing an older one.
#[derive(Debug)]
pub struct UsageLog {
    path: PathBuf,
    cap: u64,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    len: u64,
}

impl UsageLog {
    /// Opens the file for appending, or makes it (mode 0600).
    pub fn open(path: &Path, cap: u64) -> Result<Self, HostError> {
        let open = open(path).map_err(|source| HostError::Unwritable {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            cap,
            open: Mutex::new(open),
        })
    }

    /// Appends one record of `peer`; `now` in Unix seconds. The signature is kept, not checked:
    /// the instance key is known to the verifier, not here.
    pub fn append(&self, peer: &NodeId, now: i64, payload: &[u8]) -> io::Result<()> {
        let mut line = line(peer, now, payload);
        line.push('\n');
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let more = line.len() as u64;
        if open.len > 0 && open.len + more > self.cap {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&self.path, old)?;
            *open = self::open(&self.path)?;
        }
        open.file.write_all(line.as_bytes())?;
        open.len += more;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<Open> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let len = file.metadata()?.len();
    Ok(Open { file, len })
}

/// One line without its end. A record that does not decode is kept as it came.
fn line(peer: &NodeId, now: i64, payload: &[u8]) -> String {
    let record = SignedUsage::decode(payload)
        .ok()
        .and_then(|signed| cbor::decode::<UsageRecord>(&signed.body, MAX_RECORD).ok());
    let mut fields = serde_json::json!({
        "at": now,
        "peer": peer.to_string(),
        "signed": STANDARD.encode(payload),
    });
    if let (Some(record), Some(fields)) = (record, fields.as_object_mut()) {
        fields.insert("job".into(), record.job.to_string().into());
        fields.insert("bytes".into(), record.bytes.into());
        fields.insert("cpu_ms".into(), record.cpu_ms.into());
        fields.insert("outcome".into(), outcome(record.outcome).into());
    }
    fields.to_string()
}

const fn outcome(class: OutcomeClass) -> &'static str {
    match class {
        OutcomeClass::Ended => "ended",
        OutcomeClass::Cancelled => "cancelled",
        OutcomeClass::Limit => "limit",
        OutcomeClass::Died => "died",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use duckblind_protocol::ids::JobId;
    use duckblind_protocol::receipt::VERSION;

    const PEER: NodeId = NodeId::from_bytes([3; 32]);

    #[test]
    fn a_record_is_kept_readable_and_signed() {
        let record = UsageRecord {
            v: VERSION,
            job: JobId::from_bytes([5; 16]),
            bytes: 77,
            cpu_ms: 8,
            outcome: OutcomeClass::Limit,
        };
        let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        let signed = SignedUsage::sign(&key, &record).encode();
        let text = line(&PEER, 12, &signed);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["bytes"], 77);
        assert_eq!(value["outcome"], "limit");
        assert_eq!(value["job"], record.job.to_string());
        assert_eq!(value["signed"], STANDARD.encode(&signed));
    }

    #[test]
    fn nonsense_is_kept_too() {
        let value: serde_json::Value = serde_json::from_str(&line(&PEER, 1, b"xx")).unwrap();
        assert_eq!(value["signed"], STANDARD.encode(b"xx"));
        assert!(value.get("job").is_none());
    }

    #[test]
    fn the_file_has_a_cap() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("usage.jsonl");
        let log = UsageLog::open(&path, 1000).unwrap();
        for _ in 0..50 {
            log.append(&PEER, 1, &[0; 100]).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() <= 1000);
        assert!(
            std::fs::metadata(dir.path().join("usage.jsonl.1"))
                .unwrap()
                .len()
                <= 1000
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        // Reopened, it goes on where it was.
        let before = std::fs::metadata(&path).unwrap().len();
        UsageLog::open(&path, 10_000)
            .unwrap()
            .append(&PEER, 1, b"x")
            .unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() > before);
    }
}
