//! What Intel says of a machine (Intel PCS API, version 4: TCB info version 3, TD QE identity
//! version 2, revocation lists), not yet signed.

use serde_json::{Value, json};

use super::super::revocation::RevocationList;
use super::authority::{PLATFORM_CA, ROOT};
use super::quoting_enclave::{ISV_PROD_ID, ISV_SVN, mr_signer};
use super::{Machine, SimulatorError, TEE_TCB_SVN};

/// When the one level of everything was published.
const TCB_DATE: &str = "2025-01-01T00:00:00Z";
/// Edition of what is up to date.
const EVALUATION: u32 = 20;
/// Attributes of the quoting enclave, and which bits of them count: not `MODE64BIT`, and nothing
/// of the processor state.
const ATTRIBUTES: &str = "11000000000000000000000000000000";
const ATTRIBUTES_MASK: &str = "FBFFFFFFFFFFFFFF0000000000000000";

/// Intel's word, as tests may twist it before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Documents {
    /// `tcbInfo`.
    pub(crate) tcb_info: Value,
    /// `enclaveIdentity`.
    pub(crate) qe_identity: Value,
    /// What the root has revoked.
    pub(crate) root_crl: RevocationList,
    /// What the platform authority has revoked.
    pub(crate) pck_crl: RevocationList,
}

impl Documents {
    /// `machine` is up to date and nothing is revoked, for long.
    pub(crate) fn up_to_date(machine: &Machine) -> Result<Self, SimulatorError> {
        let root_crl = RevocationList::first(ROOT)?;
        let issued = root_crl.this_update.to_date_time().to_string();
        let next = root_crl
            .next_update
            .map(|time| time.to_date_time().to_string());
        Ok(Self {
            tcb_info: tcb_info(machine, &issued, next.as_deref()),
            qe_identity: qe_identity(&issued, next.as_deref()),
            root_crl,
            pck_crl: RevocationList::first(PLATFORM_CA)?,
        })
    }
}

fn tcb_info(machine: &Machine, issued: &str, next: Option<&str>) -> Value {
    let [module_svn, module_version, ..] = TEE_TCB_SVN;
    let zeros = "0".repeat(96);
    json!({
        "id": "TDX",
        "version": 3,
        "issueDate": issued,
        "nextUpdate": next,
        "fmspc": hex::encode_upper(machine.fmspc),
        "pceId": "0000",
        "tcbType": 0,
        "tcbEvaluationDataNumber": EVALUATION,
        "tdxModule": {
            "mrsigner": zeros,
            "attributes": "0000000000000000",
            "attributesMask": "FFFFFFFFFFFFFFFF",
        },
        "tdxModuleIdentities": [{
            "id": format!("TDX_{module_version:02X}"),
            "mrsigner": zeros,
            "attributes": "0000000000000000",
            "attributesMask": "FFFFFFFFFFFFFFFF",
            "tcbLevels": [{
                "tcb": { "isvsvn": module_svn },
                "tcbDate": TCB_DATE,
                "tcbStatus": "UpToDate",
            }],
        }],
        "tcbLevels": [{
            "tcb": {
                "sgxtcbcomponents": components(&machine.cpu_svn),
                "pcesvn": machine.pce_svn,
                "tdxtcbcomponents": components(&TEE_TCB_SVN),
            },
            "tcbDate": TCB_DATE,
            "tcbStatus": "UpToDate",
        }],
    })
}

fn components(svns: &[u8; 16]) -> Value {
    svns.iter().map(|svn| json!({ "svn": svn })).collect()
}

fn qe_identity(issued: &str, next: Option<&str>) -> Value {
    json!({
        "id": "TD_QE",
        "version": 2,
        "issueDate": issued,
        "nextUpdate": next,
        "tcbEvaluationDataNumber": EVALUATION,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": ATTRIBUTES,
        "attributesMask": ATTRIBUTES_MASK,
        "mrsigner": hex::encode_upper(mr_signer().as_bytes()),
        "isvprodid": ISV_PROD_ID,
        "tcbLevels": [{
            "tcb": { "isvsvn": ISV_SVN },
            "tcbDate": TCB_DATE,
            "tcbStatus": "UpToDate",
        }],
    })
}
