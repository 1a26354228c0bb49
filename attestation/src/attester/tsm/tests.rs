//! Every way in which the kernel's interface can fail us, played in a temporary directory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use duckblind_protocol::coded::{Coded, Exit};

use super::*;
use crate::attester::certificate_table::tests::chain;
use crate::evidence::Endorsements;
use crate::snp::report::REPORT_LEN;

mod tdx;

const QUESTION: [u8; 64] = [0x5a; 64];

fn report(report_data: [u8; 64]) -> Vec<u8> {
    let mut raw = vec![0; REPORT_LEN];
    raw[0x50..0x90].copy_from_slice(&report_data);
    raw
}

/// Files that appear with each conversation.
#[derive(Clone)]
struct Played {
    provider: &'static str,
    privlevel_floor: Option<&'static str>,
    outblob: Vec<u8>,
    auxblob: Option<Vec<u8>>,
    generation: &'static str,
}

impl Played {
    fn good() -> Self {
        Self {
            provider: "sev_guest\n",
            privlevel_floor: Some("0\n"),
            outblob: report(QUESTION),
            auxblob: Some(chain()),
            generation: "1\n",
        }
    }

    fn make(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)?;
        fs::write(path.join("provider"), self.provider)?;
        fs::write(path.join("inblob"), "")?;
        fs::write(path.join("outblob"), &self.outblob)?;
        fs::write(path.join("generation"), self.generation)?;
        if let Some(floor) = self.privlevel_floor {
            fs::write(path.join("privlevel_floor"), floor)?;
        }
        match &self.auxblob {
            Some(table) => fs::write(path.join("auxblob"), table),
            None => Ok(()),
        }
    }

    /// Asks the played interface; afterwards no conversation is left.
    fn ask(self) -> Result<RawEvidence, AttestError> {
        play(move |path| self.make(path))
    }
}

fn play(
    make: impl Fn(&Path) -> io::Result<()> + Send + Sync + 'static,
) -> Result<RawEvidence, AttestError> {
    play_with(Path::new("/nowhere"), make)
}

fn play_with(
    event_log: &Path,
    make: impl Fn(&Path) -> io::Result<()> + Send + Sync + 'static,
) -> Result<RawEvidence, AttestError> {
    let root = tempfile::tempdir().unwrap();
    let directories = Directories {
        make: Box::new(make),
        remove: Box::new(|path| fs::remove_dir_all(path)),
    };
    let answer = ConfigfsTsm::with(root.path().to_owned(), event_log.to_owned(), directories)
        .and_then(|tsm| tsm.attest(&QUESTION));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    answer
}

#[test]
fn a_report_with_its_certificates() {
    let evidence = Played::good().ask().unwrap();
    assert_eq!(evidence.report, report(QUESTION));
    assert_eq!(evidence.endorsements.vek.as_deref(), Some(&b"vcek"[..]));
    assert_eq!(evidence.endorsements.ark.as_deref(), Some(&b"ark"[..]));
}

#[test]
fn the_question_is_written() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let root = tempfile::tempdir().unwrap();
    let keep = Arc::clone(&seen);
    let directories = Directories {
        make: Box::new(|path| Played::good().make(path)),
        remove: Box::new(move |path| {
            *keep.lock().unwrap() = fs::read(path.join("inblob"))?;
            fs::remove_dir_all(path)
        }),
    };
    let tsm = ConfigfsTsm::with(root.path().to_owned(), "/nowhere".into(), directories).unwrap();
    tsm.attest(&QUESTION).unwrap();
    assert_eq!(*seen.lock().unwrap(), QUESTION);
}

#[test]
fn certificates_are_optional() {
    for auxblob in [None, Some(Vec::new())] {
        let evidence = Played {
            auxblob,
            ..Played::good()
        }
        .ask()
        .unwrap();
        assert_eq!(evidence.endorsements, Endorsements::default());
    }
}

#[test]
fn no_interface() {
    let root = tempfile::tempdir().unwrap();
    let error = ConfigfsTsm::at(root.path().join("missing"), "/nowhere")
        .err()
        .unwrap();
    assert!(matches!(error, AttestError::NoInterface(_)));
    assert_eq!(error.exit(), Exit::Unsupported);
}

#[test]
fn a_directory_that_is_not_configfs_is_left_clean() {
    let root = tempfile::tempdir().unwrap();
    let error = ConfigfsTsm::at(root.path(), "/nowhere").err().unwrap();
    assert!(matches!(
        error,
        AttestError::Io {
            step: "provider",
            ..
        }
    ));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn another_provider() {
    let error = Played {
        provider: "arm_cca_guest\n",
        ..Played::good()
    }
    .ask()
    .unwrap_err();
    assert!(matches!(&error, AttestError::Provider { .. }));
    assert_eq!(error.got().as_deref(), Some("arm_cca_guest"));
    assert_eq!(error.exit(), Exit::Unsupported);
}

#[test]
fn a_provider_that_changes() {
    let made = AtomicU32::new(0);
    let error = play(move |path| {
        let provider = match made.fetch_add(1, Ordering::SeqCst) {
            0 => "tdx_guest\n",
            _ => "sev_guest\n",
        };
        Played {
            provider,
            ..Played::good()
        }
        .make(path)
    });
    assert!(matches!(error, Err(AttestError::Provider { .. })));
}

#[test]
fn only_the_most_privileged_guest_is_attested() {
    let ask = |privlevel_floor| {
        Played {
            privlevel_floor,
            ..Played::good()
        }
        .ask()
    };
    assert!(ask(None).is_ok());
    for floor in ["2\n", "\n", "00\n"] {
        let error = ask(Some(floor)).unwrap_err();
        assert!(matches!(&error, AttestError::Privilege { .. }));
        assert_eq!(error.code(), "DB-ATT-059");
        assert_eq!(error.exit(), Exit::Unsupported);
    }
}

#[test]
fn empty_and_wrong_lengths() {
    let ask = |outblob| {
        Played {
            outblob,
            ..Played::good()
        }
        .ask()
        .unwrap_err()
    };
    assert!(matches!(ask(vec![]), AttestError::Empty));
    assert!(matches!(
        ask(vec![0; 10]),
        AttestError::Length { got: 10, .. }
    ));
    assert!(matches!(
        ask(vec![0; REPORT_LEN + 1]),
        AttestError::Length { .. }
    ));
    assert!(matches!(
        ask(vec![0; MAX_REPORT + 1]),
        AttestError::TooLarge
    ));
}

#[test]
fn an_answer_to_another_question() {
    let outblob = report([1; 64]);
    let error = Played {
        outblob,
        ..Played::good()
    }
    .ask()
    .unwrap_err();
    assert!(matches!(error, AttestError::OtherData));
}

#[test]
fn malformed_certificates() {
    let ask = |auxblob| {
        Played {
            auxblob: Some(auxblob),
            ..Played::good()
        }
        .ask()
        .unwrap_err()
    };
    assert!(matches!(ask(vec![1; 30]), AttestError::CertificateTable));
    assert!(matches!(
        ask(vec![0; MAX_COLLATERAL + 1]),
        AttestError::TooLarge
    ));
}

#[test]
fn disturbed_once_is_asked_again() {
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    // The first conversation only asks for the provider.
    let answer = play(move |path| {
        let generation = match count.fetch_add(1, Ordering::SeqCst) {
            1 => "2\n",
            _ => "1\n",
        };
        Played {
            generation,
            ..Played::good()
        }
        .make(path)
    });
    assert!(answer.is_ok());
    assert_eq!(made.load(Ordering::SeqCst), 3);
}

#[test]
fn disturbed_for_good() {
    let error = Played {
        generation: "7\n",
        ..Played::good()
    }
    .ask()
    .unwrap_err();
    assert!(matches!(error, AttestError::Disturbed(ATTEMPTS)));
    assert_eq!(error.exit(), Exit::Busy);
}

#[test]
fn error_numbers_of_the_kernel() {
    // Linux: EBUSY 16, EAGAIN 11, EFBIG 27, ENXIO 6.
    for (number, code) in [
        (16, "DB-ATT-032"),
        (11, "DB-ATT-032"),
        (27, "DB-ATT-033"),
        (6, "DB-ATT-034"),
    ] {
        let error = play(move |_| Err(io::Error::from_raw_os_error(number))).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    for name in ["inblob", "outblob", "generation"] {
        let error = play(move |path| {
            Played::good().make(path)?;
            fs::remove_file(path.join(name))
        });
        let error = error.unwrap_err();
        assert!(
            matches!(&error, AttestError::Io { step, .. } if *step == name),
            "{error}"
        );
    }
}
