//! The kernel's configfs-tsm report interface (Linux 6.7 and later, `Documentation/ABI/testing/
//! configfs-tsm`): a directory per conversation, the question in `inblob`, the answer in `outblob`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use duckblind_protocol::ids::random_bytes;
use duckblind_protocol::key_statement::Tee;

use super::{AttestError, Attester, RawEvidence, certificate_table};
use crate::evidence::{Endorsements, MAX_COLLATERAL, MAX_REPORT};
use crate::snp::report::{ParsedReport, REPORT_LEN};

/// Where the kernel has it.
pub const DEFAULT_ROOT: &str = "/sys/kernel/config/tsm/report";
/// What the interface of an SEV-SNP guest calls itself.
pub const SNP_PROVIDER: &str = "sev_guest";
/// Conversations until a disturbed interface is given up.
const ATTEMPTS: u32 = 3;
/// Bytes that the small text attributes may have.
const MAX_TEXT: usize = 64;

/// Reports from the kernel.
pub struct ConfigfsTsm {
    root: PathBuf,
    directories: Directories,
}

type Make = dyn Fn(&Path) -> io::Result<()> + Send + Sync;

/// How a conversation's directory comes and goes. In configfs its files come and go with it; a
/// plain directory that plays configfs has to do that itself.
struct Directories {
    make: Box<Make>,
    remove: Box<Make>,
}

impl ConfigfsTsm {
    /// The interface at `root`, usually [`DEFAULT_ROOT`]; asks it for its kind.
    pub fn at(root: impl Into<PathBuf>) -> Result<Self, AttestError> {
        let directories = Directories {
            make: Box::new(|path| fs::create_dir(path)),
            remove: Box::new(|path| fs::remove_dir(path)),
        };
        Self::with(root.into(), directories)
    }

    fn with(root: PathBuf, directories: Directories) -> Result<Self, AttestError> {
        if !root.is_dir() {
            return Err(AttestError::NoInterface(root));
        }
        let tsm = Self { root, directories };
        tsm.conversation()?.provider()?;
        Ok(tsm)
    }

    fn conversation(&self) -> Result<Conversation<'_>, AttestError> {
        let mut name = [0; 16];
        random_bytes(&mut name)?;
        let path = self.root.join(format!("duckblind-{}", hex::encode(name)));
        (self.directories.make)(&path).map_err(|e| AttestError::from_io("mkdir", e))?;
        Ok(Conversation {
            path,
            remove: &self.directories.remove,
        })
    }
}

impl Attester for ConfigfsTsm {
    fn tee(&self) -> Tee {
        Tee::SevSnp
    }

    fn attest(&self, report_data: &[u8; 64]) -> Result<RawEvidence, AttestError> {
        for _ in 0..ATTEMPTS {
            if let Some(evidence) = self.conversation()?.ask(report_data)? {
                return Ok(evidence);
            }
        }
        Err(AttestError::Disturbed(ATTEMPTS))
    }
}

/// One directory; removed when done, whatever happened.
struct Conversation<'a> {
    path: PathBuf,
    remove: &'a Make,
}

impl Drop for Conversation<'_> {
    fn drop(&mut self) {
        // If it will not go, an unused directory stays behind, which harms no one.
        let _ = (self.remove)(&self.path);
    }
}

impl Conversation<'_> {
    fn provider(&self) -> Result<(), AttestError> {
        match self.text("provider")?.as_str() {
            SNP_PROVIDER => Ok(()),
            other => Err(AttestError::Provider {
                got: other.to_owned(),
            }),
        }
    }

    /// `None` if somebody else wrote to the conversation: then question and answer may not belong
    /// together.
    fn ask(&self, report_data: &[u8; 64]) -> Result<Option<RawEvidence>, AttestError> {
        self.provider()?;
        // The kernel takes the question in one write, and only from a file not truncated on open.
        let mut inblob = self.open("inblob", OpenOptions::new().write(true))?;
        let written = inblob.write(report_data);
        let written = written.map_err(|e| AttestError::from_io("inblob", e))?;
        drop(inblob);
        if written != report_data.len() {
            let source = io::ErrorKind::WriteZero.into();
            return Err(AttestError::Io {
                step: "inblob",
                source,
            });
        }
        let report = self.read("outblob", MAX_REPORT)?;
        let table = match self.read("auxblob", MAX_COLLATERAL) {
            Ok(table) => table,
            // Older kernels, and hosts that supply no certificates.
            Err(AttestError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        if self.text("generation")? != "1" {
            return Ok(None);
        }
        checked(report, &table, report_data).map(Some)
    }

    fn open(&self, name: &'static str, options: &OpenOptions) -> Result<File, AttestError> {
        options
            .open(self.path.join(name))
            .map_err(|e| AttestError::from_io(name, e))
    }

    fn read(&self, name: &'static str, cap: usize) -> Result<Vec<u8>, AttestError> {
        let mut file = self.open(name, OpenOptions::new().read(true))?;
        read_capped(&mut file, name, cap)
    }

    fn text(&self, name: &'static str) -> Result<String, AttestError> {
        let bytes = self.read(name, MAX_TEXT)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }
}

fn read_capped(file: &mut File, name: &'static str, cap: usize) -> Result<Vec<u8>, AttestError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|e| AttestError::from_io(name, e))?;
    if bytes.len() > cap {
        return Err(AttestError::TooLarge);
    }
    Ok(bytes)
}

/// An answer is believed to be one only if it answers the question.
fn checked(
    report: Vec<u8>,
    table: &[u8],
    report_data: &[u8; 64],
) -> Result<RawEvidence, AttestError> {
    if report.is_empty() {
        return Err(AttestError::Empty);
    }
    let parsed = ParsedReport::parse(&report).map_err(|size| AttestError::Length {
        expected: REPORT_LEN,
        got: size.0,
    })?;
    if parsed.report.report_data != *report_data {
        return Err(AttestError::OtherData);
    }
    let endorsements = if table.is_empty() {
        Endorsements::default()
    } else {
        certificate_table::read(table, parsed.report.signing_key())
            .map_err(|_| AttestError::CertificateTable)?
    };
    Ok(RawEvidence {
        report,
        endorsements,
    })
}

#[cfg(test)]
mod tests;
