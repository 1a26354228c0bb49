//! Whether evidence is genuine, and nothing more: no policy, no binding, no measurement. For people
//! who look at evidence, never for those who rely on it.

mod tdx;

use crate::check::{Check, Checks, Outcome};
use crate::reason::Reason;
pub use tdx::tdx;

/// What was found.
#[derive(Debug)]
pub struct CryptoVerdict {
    /// Every check made, in order.
    pub checks: Vec<Check>,
    /// Intel's word on the platform's security versions, such as `UpToDate`. None for other
    /// vendors and if the evidence is not genuine.
    pub tcb_status: Option<String>,
    /// Intel's advisories that apply.
    pub advisories: Vec<String>,
}

impl CryptoVerdict {
    fn new(checks: Checks) -> Self {
        Self {
            checks: checks.into_list(),
            tcb_status: None,
            advisories: Vec::new(),
        }
    }

    /// Whether every check passed.
    pub fn is_genuine(&self) -> bool {
        self.failed().next().is_none()
    }

    /// Why it is not genuine, each reason once, in the order of the checks.
    pub fn reasons(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for check in self.failed() {
            if !reasons.contains(&check.reason) {
                reasons.push(check.reason);
            }
        }
        reasons
    }

    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        let checks = self.checks.iter();
        checks.filter(|check| check.outcome == Outcome::Fail)
    }
}
