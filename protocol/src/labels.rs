//! Every domain-separation tag of the protocol, in one place. Each ends in its own name, none is
//! a prefix of another.

pub(crate) const REPORT_DATA: &str = "duckblind/v1/report-data";
pub(crate) const NONCE: &str = "duckblind/v1/nonce";
pub(crate) const NONCE_COMMITMENT: &str = "duckblind/v1/commit-to-nonce";

pub(crate) const JOB_INFO: &str = "duckblind/v1/job";
pub(crate) const ORDER_AAD: &str = "duckblind/v1/order";
pub(crate) const ORDER_SIGNATURE: &str = "duckblind/v1/sign-order";
pub(crate) const SECTION_AAD: &str = "duckblind/v1/section";

pub(crate) const EXPORT_BODY: &str = "duckblind/v1/body/";
pub(crate) const EXPORT_CONTROL: &str = "duckblind/v1/control";
pub(crate) const EXPORT_RESULT: &str = "duckblind/v1/result";
pub(crate) const EXPORT_STATUS: &str = "duckblind/v1/status";

pub(crate) const CONTROL_AAD: &str = "duckblind/v1/control-message";
pub(crate) const RESULT_AAD: &str = "duckblind/v1/result-chunk";
pub(crate) const STATUS_AAD: &str = "duckblind/v1/status-message";
pub(crate) const TRANSCRIPT: &str = "duckblind/v1/transcript";
pub(crate) const TAG_TRANSCRIPT: &str = "duckblind/v1/tags";

pub(crate) const SIGN_TICKET: &str = "duckblind/v1/sign-ticket";
pub(crate) const SIGN_REFUSED: &str = "duckblind/v1/sign-refused";
pub(crate) const SIGN_ACCEPTED: &str = "duckblind/v1/sign-accepted";
pub(crate) const SIGN_RECEIPT: &str = "duckblind/v1/sign-job-receipt";
pub(crate) const SIGN_USAGE: &str = "duckblind/v1/sign-usage";
pub(crate) const SIGN_HTTP: &str = "duckblind/v1/sign-http";
