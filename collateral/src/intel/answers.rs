//! Intel's signed JSON. What is signed is the text of one member, so that text is kept byte for
//! byte.

use duckblind_attestation::evidence::TdxCollateral;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::intel::chain::IssuerChain;
use crate::item::{Answer, NotUsable};
use crate::window::{Window, of_text};

/// The answer to `tdx/certification/v4/tcb`. Signature not yet looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcbAnswer {
    /// Platforms that it is about.
    pub fmspc: [u8; 6],
    /// `issueDate` to `nextUpdate`.
    pub window: Window,
    /// The `tcbInfo` member, as served.
    pub tcb_info: String,
    /// ECDSA P-256 over it, r ‖ s.
    pub signature: [u8; 64],
}

/// The answer to `tdx/certification/v4/qe/identity`. Signature not yet looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QeIdentityAnswer {
    /// `issueDate` to `nextUpdate`.
    pub window: Window,
    /// The `enclaveIdentity` member, as served.
    pub qe_identity: String,
    /// ECDSA P-256 over it, r ‖ s.
    pub signature: [u8; 64],
}

/// Reads the answer to `tcb`: for TDX, with a whole signature and dates in order.
pub fn parse_tcb_answer(bytes: &[u8]) -> Result<TcbAnswer, NotUsable> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(rename = "tcbInfo", borrow)]
        signed: &'a RawValue,
        signature: String,
    }
    let outer: Outer<'_> = json(bytes)?;
    let head = head(outer.signed, "TDX")?;
    let mut fmspc = [0; 6];
    hex::decode_to_slice(head.fmspc.unwrap_or_default(), &mut fmspc)
        .map_err(|_| NotUsable("TCB levels without a platform"))?;
    Ok(TcbAnswer {
        fmspc,
        window: head.window,
        tcb_info: outer.signed.get().to_owned(),
        signature: signature(&outer.signature)?,
    })
}

/// Reads the answer to `qe/identity`: of the quoting enclave for TDX, with a whole signature and
/// dates in order.
pub fn parse_qe_identity_answer(bytes: &[u8]) -> Result<QeIdentityAnswer, NotUsable> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(rename = "enclaveIdentity", borrow)]
        signed: &'a RawValue,
        signature: String,
    }
    let outer: Outer<'_> = json(bytes)?;
    Ok(QeIdentityAnswer {
        window: head(outer.signed, "TD_QE")?.window,
        qe_identity: outer.signed.get().to_owned(),
        signature: signature(&outer.signature)?,
    })
}

struct Head {
    fmspc: Option<String>,
    window: Window,
}

/// What is needed from the signed text to know it.
fn head(signed: &RawValue, id: &str) -> Result<Head, NotUsable> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Members {
        id: String,
        issue_date: String,
        next_update: String,
        fmspc: Option<String>,
    }
    let members: Members = json(signed.get().as_bytes())?;
    if members.id != id {
        return Err(NotUsable("signed JSON about something else than TDX"));
    }
    let window = of_text(&members.issue_date)
        .zip(of_text(&members.next_update))
        .and_then(|(from, until)| Window::new(from, until));
    Ok(Head {
        fmspc: members.fmspc,
        window: window.ok_or(NotUsable("signed JSON without dates in order"))?,
    })
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, NotUsable> {
    serde_json::from_slice(bytes).map_err(|_| NotUsable("not the JSON that belongs here"))
}

fn signature(text: &str) -> Result<[u8; 64], NotUsable> {
    let mut bytes = [0; 64];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| NotUsable("a signature that is not 64 bytes in hex"))?;
    Ok(bytes)
}

/// Evidence's collateral as the services would have answered it, so that it goes through the same
/// checks: `[tcb, qe/identity, pckcrl, rootcacrl]`.
pub(crate) fn as_answers(carried: &TdxCollateral) -> [Answer; 4] {
    let signed = |member: &str, text: &str, signature: &[u8], chain: &str| {
        let signature = hex::encode(signature);
        Answer {
            body: format!(r#"{{"{member}":{text},"signature":"{signature}"}}"#).into_bytes(),
            issuer_chain: Some(IssuerChain::encode(chain)),
        }
    };
    let TdxCollateral {
        pck_crl_issuer_chain,
        root_ca_crl,
        pck_crl,
        tcb_info_issuer_chain,
        tcb_info,
        tcb_info_signature,
        qe_identity_issuer_chain,
        qe_identity,
        qe_identity_signature,
        pck_certificate_chain: _,
    } = carried;
    [
        signed(
            "tcbInfo",
            tcb_info,
            tcb_info_signature,
            tcb_info_issuer_chain,
        ),
        signed(
            "enclaveIdentity",
            qe_identity,
            qe_identity_signature,
            qe_identity_issuer_chain,
        ),
        Answer {
            body: pck_crl.clone(),
            issuer_chain: Some(IssuerChain::encode(pck_crl_issuer_chain)),
        },
        Answer::of(root_ca_crl.clone()),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tcb(signed: &str) -> String {
        format!(
            r#"{{ "tcbInfo" :{signed}, "new":[1], "signature":"{}"}}"#,
            "ab".repeat(64)
        )
    }

    const SIGNED: &str = r#"{"id":"TDX", "issueDate":"2026-01-01T00:00:00Z","nextUpdate":
        "2026-02-01T00:00:00Z","fmspc":"B0C06F000000","x":{"tcbInfo":"}"},"y":1.50}"#;

    #[test]
    fn the_signed_text_is_kept_as_served() {
        let answer = parse_tcb_answer(tcb(SIGNED).as_bytes()).unwrap();
        assert_eq!(answer.tcb_info, SIGNED);
        assert_eq!(answer.fmspc, [0xb0, 0xc0, 0x6f, 0, 0, 0]);
        assert_eq!(answer.signature, [0xab; 64]);
        assert_eq!(answer.window.until.0 - answer.window.from.0, 31 * 86_400);
    }

    #[test]
    fn other_answers_are_refused() {
        let good = tcb(SIGNED);
        let changes = [
            (r#""id":"TDX""#, r#""id":"SGX""#),
            ("B0C06F000000", "B0C06F0000"),
            ("2026-02-01", "2025-02-01"),
            ("2026-01-01T00:00:00Z", "2026-01-01"),
            ("\"signature\":\"ab", "\"signature\":\""),
            ("\"signature\"", "\"sign\""),
            ("tcbInfo\" :", "tcb\" :"),
            (r#""new":[1]"#, r#""tcbInfo":{}"#),
        ];
        for (from, to) in changes {
            assert!(good.contains(from), "{from}");
            assert!(
                parse_tcb_answer(good.replacen(from, to, 1).as_bytes()).is_err(),
                "{to}"
            );
        }
        assert!(parse_tcb_answer(format!("{good}x").as_bytes()).is_err());
        assert!(parse_qe_identity_answer(good.as_bytes()).is_err());
        let identity = good.replacen("tcbInfo", "enclaveIdentity", 1);
        assert!(parse_qe_identity_answer(identity.as_bytes()).is_err());
        let identity = identity.replacen(r#""TDX""#, r#""TD_QE""#, 1);
        assert!(parse_qe_identity_answer(identity.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_tcb_answer(&bytes);
            let _ = parse_qe_identity_answer(&bytes);
        }

        #[test]
        fn truncations_are_refused(cut in any::<proptest::sample::Index>()) {
            let good = tcb(SIGNED);
            let end = cut.index(good.len());
            prop_assert!(parse_tcb_answer(good.as_bytes().get(..end).unwrap()).is_err());
        }
    }
}
