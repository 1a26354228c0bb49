//! The kernel's configfs-tsm report interface (Linux 6.7 and later, `Documentation/ABI/testing/
//! configfs-tsm-report`): a directory per conversation, the question in `inblob`, the answer in
//! `outblob`. SEV-SNP guests get reports from it, TDX guests quotes.

mod answer;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use duckblind_protocol::ids::random_bytes;
use duckblind_protocol::key_statement::Tee;

use super::{AttestError, Attester, RawEvidence};
use crate::evidence::{MAX_COLLATERAL, MAX_EVENT_LOG, MAX_REPORT};
use answer::Answer;

/// Where the kernel has it.
pub const DEFAULT_ROOT: &str = "/sys/kernel/config/tsm/report";
/// Where the kernel has the event log of a TDX guest: the data of its ACPI table CCEL.
pub const DEFAULT_EVENT_LOG: &str = "/sys/firmware/acpi/tables/data/CCEL";
/// What the interface of an SEV-SNP guest calls itself.
pub const SNP_PROVIDER: &str = "sev_guest";
/// What the interface of a TDX guest calls itself.
pub const TDX_PROVIDER: &str = "tdx_guest";
/// Conversations until a disturbed interface is given up.
const ATTEMPTS: u32 = 3;
/// Bytes that the small text attributes may have.
const MAX_TEXT: usize = 64;

/// Reports from the kernel.
pub struct ConfigfsTsm {
    root: PathBuf,
    event_log: PathBuf,
    tee: Tee,
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
    /// The interface at `root`, usually [`DEFAULT_ROOT`]; asks it for its kind. The event log is
    /// at `event_log`, usually [`DEFAULT_EVENT_LOG`].
    pub fn at(
        root: impl Into<PathBuf>,
        event_log: impl Into<PathBuf>,
    ) -> Result<Self, AttestError> {
        let directories = Directories {
            make: Box::new(|path| fs::create_dir(path)),
            remove: Box::new(|path| fs::remove_dir(path)),
        };
        Self::with(root.into(), event_log.into(), directories)
    }

    fn with(
        root: PathBuf,
        event_log: PathBuf,
        directories: Directories,
    ) -> Result<Self, AttestError> {
        if !root.is_dir() {
            return Err(AttestError::NoInterface(root));
        }
        let tee = directories.conversation(&root)?.tee()?;
        Ok(Self {
            root,
            event_log,
            tee,
            directories,
        })
    }
}

impl Directories {
    fn conversation(&self, root: &Path) -> Result<Conversation<'_>, AttestError> {
        let mut name = [0; 16];
        random_bytes(&mut name)?;
        let path = root.join(format!("duckblind-{}", hex::encode(name)));
        (self.make)(&path).map_err(|e| AttestError::from_io("mkdir", e))?;
        Ok(Conversation {
            path,
            remove: &self.remove,
        })
    }
}

impl Attester for ConfigfsTsm {
    fn tee(&self) -> Tee {
        self.tee
    }

    fn attest(&self, report_data: &[u8; 64]) -> Result<RawEvidence, AttestError> {
        for _ in 0..ATTEMPTS {
            let conversation = self.directories.conversation(&self.root)?;
            if conversation.tee()? != self.tee {
                let got = "another one than at the start".into();
                return Err(AttestError::Provider { got });
            }
            let Some(answer) = conversation.ask(report_data)? else {
                continue;
            };
            return match self.tee {
                Tee::SevSnp => answer.snp_report(report_data),
                Tee::Tdx => {
                    let event_log = read_event_log(&self.event_log)?;
                    answer.tdx_quote(report_data, event_log)
                }
            };
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
    /// The kind of platform that answers, in its own name.
    fn tee(&self) -> Result<Tee, AttestError> {
        self.most_privileged()?;
        match self.text("provider")?.as_str() {
            SNP_PROVIDER => Ok(Tee::SevSnp),
            TDX_PROVIDER => Ok(Tee::Tdx),
            other => Err(AttestError::Provider {
                got: other.to_owned(),
            }),
        }
    }

    /// A conversation asks for level 0 unless told otherwise, and the kernel refuses levels below
    /// its floor. A floor above 0 means that somebody else holds level 0 of this guest: what a
    /// report for a lower level says of the guest, no one here knows how to judge.
    fn most_privileged(&self) -> Result<(), AttestError> {
        match self.text("privlevel_floor") {
            Ok(floor) if floor == "0" => Ok(()),
            Ok(floor) => Err(AttestError::Privilege { floor }),
            // TDX guests have no levels.
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// `None` if somebody else wrote to the conversation: then question and answer may not belong
    /// together.
    fn ask(&self, report_data: &[u8; 64]) -> Result<Option<Answer>, AttestError> {
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
        let outblob = self.read("outblob", MAX_REPORT)?;
        let auxblob = match self.read("auxblob", MAX_COLLATERAL) {
            // Older kernels, TDX, and hosts that supply no certificates.
            Err(error) if is_absent(&error) => Vec::new(),
            other => other?,
        };
        if self.text("generation")? != "1" {
            return Ok(None);
        }
        Ok(Some(Answer { outblob, auxblob }))
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

fn is_absent(error: &AttestError) -> bool {
    matches!(error, AttestError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// Firmware that keeps no log leaves none.
fn read_event_log(path: &Path) -> Result<Option<Vec<u8>>, AttestError> {
    const STEP: &str = "CCEL";
    match File::open(path) {
        Ok(mut file) => read_capped(&mut file, STEP, MAX_EVENT_LOG).map(Some),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(AttestError::from_io(STEP, e)),
    }
}

#[cfg(test)]
mod tests;
