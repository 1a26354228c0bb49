//! The same for TDX guests, with quotes that no key has signed.

use super::*;

/// Bytes of a quote's header.
const HEADER: usize = 48;
/// Where the report data is in a report of TDX 1.0, which those of 1.5 begin with.
const REPORT_DATA: usize = 520;

/// A quote in outline: a header, a report of `len` bytes, empty signatures.
fn quote(version: u16, tee: u32, body: Option<u16>, len: usize) -> Vec<u8> {
    let mut raw = Vec::new();
    raw.extend(version.to_le_bytes());
    raw.extend(2u16.to_le_bytes());
    raw.extend(tee.to_le_bytes());
    raw.resize(HEADER, 0);
    if let Some(body) = body {
        raw.extend(body.to_le_bytes());
        raw.extend(u32::try_from(len).unwrap().to_le_bytes());
    }
    let report = raw.len();
    raw.resize(report + len, 0);
    if let Some(place) = raw.get_mut(report + REPORT_DATA..report + REPORT_DATA + 64) {
        place.copy_from_slice(&QUESTION);
    }
    // QE report with its signature, no authentication data, no certificates.
    let certification = 384 + 64 + 2 + 6;
    raw.extend(
        u32::try_from(128 + 6 + certification)
            .unwrap()
            .to_le_bytes(),
    );
    raw.extend([0; 128]);
    raw.extend(6u16.to_le_bytes());
    raw.extend(u32::try_from(certification).unwrap().to_le_bytes());
    raw.extend(vec![0; certification]);
    raw
}

fn v4() -> Vec<u8> {
    quote(4, 0x81, None, 584)
}

fn good() -> Played {
    Played {
        provider: "tdx_guest\n",
        privlevel_floor: None,
        outblob: v4(),
        auxblob: None,
        generation: "1\n",
    }
}

fn ask(outblob: Vec<u8>) -> Result<RawEvidence, AttestError> {
    Played { outblob, ..good() }.ask()
}

#[test]
fn quotes_of_every_layout() {
    let layouts = [
        v4(),
        quote(5, 0x81, Some(2), 584),
        quote(5, 0x81, Some(3), 648),
        quote(5, 0x81, Some(4), 885),
    ];
    for raw in layouts {
        let evidence = ask(raw.clone()).unwrap();
        assert_eq!(evidence.report, raw);
        assert_eq!(evidence.endorsements, Endorsements::default());
        assert_eq!(evidence.event_log, None);
    }
}

#[test]
fn the_kind_is_known() {
    let root = tempfile::tempdir().unwrap();
    let directories = Directories {
        make: Box::new(|path| good().make(path)),
        remove: Box::new(|path| fs::remove_dir_all(path)),
    };
    let tsm = ConfigfsTsm::with(root.path().to_owned(), "/nowhere".into(), directories);
    assert_eq!(tsm.unwrap().tee(), Tee::Tdx);
}

#[test]
fn answers_that_are_no_quote() {
    assert!(matches!(ask(vec![]), Err(AttestError::Empty)));
    assert!(matches!(
        ask(vec![0; MAX_REPORT + 1]),
        Err(AttestError::TooLarge)
    ));
    let whole = v4();
    let short = whole[..whole.len() - 1].to_vec();
    let others = [
        vec![0; 10],
        short,
        report(QUESTION),
        quote(4, 0, None, 384),
        quote(3, 0x81, None, 584),
        // Says another kind than its report is of.
        quote(5, 0, Some(2), 584),
        quote(6, 0x81, None, 584),
    ];
    for raw in others {
        let error = ask(raw).unwrap_err();
        assert!(matches!(&error, AttestError::NotAQuote { .. }), "{error:?}");
        assert_eq!(error.code(), "DB-ATT-058");
        assert!(error.expected().is_some() && error.got().is_some() && error.hint().is_some());
    }
}

#[test]
fn an_answer_to_another_question() {
    let first = HEADER + REPORT_DATA;
    for at in [first, first + 63] {
        let mut raw = v4();
        raw[at] ^= 1;
        assert!(matches!(ask(raw), Err(AttestError::OtherData)), "{at}");
    }
    // A byte before it is not part of the answer.
    let mut raw = v4();
    raw[first - 1] ^= 1;
    assert!(ask(raw).is_ok());
}

#[test]
fn the_event_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("CCEL");
    let asked = || play_with(&path, |path| good().make(path));
    assert_eq!(asked().unwrap().event_log, None);
    fs::write(&path, b"events").unwrap();
    assert_eq!(asked().unwrap().event_log.as_deref(), Some(&b"events"[..]));
    fs::write(&path, vec![0; MAX_EVENT_LOG]).unwrap();
    assert!(asked().is_ok());
    fs::write(&path, vec![0; MAX_EVENT_LOG + 1]).unwrap();
    assert!(matches!(asked(), Err(AttestError::TooLarge)));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = asked().unwrap_err();
    assert!(matches!(error, AttestError::Io { step: "CCEL", .. }));
}

#[test]
fn snp_reports_have_no_event_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("CCEL");
    fs::write(&path, b"events").unwrap();
    let evidence = play_with(&path, |path| Played::good().make(path));
    assert_eq!(evidence.unwrap().event_log, None);
}

#[test]
fn disturbed_for_good() {
    let error = Played {
        generation: "2\n",
        ..good()
    }
    .ask()
    .unwrap_err();
    assert!(matches!(error, AttestError::Disturbed(ATTEMPTS)));
}
