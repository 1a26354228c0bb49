//! The verifier's JSON, both directions: what parses can be written and parses again.
#![no_main]
use duckblind_protocol::http::{
    AppraisalBody, AppraisalReply, ChallengeBody, ChallengeReply, EnrolBody, ErrorBody,
    NodeAttestation, NodeAttestationBody, NodeList, NonceReply,
};
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};

fn again<T: Serialize + DeserializeOwned>(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(data) {
        let written = serde_json::to_vec(&value).expect("JSON");
        let again = serde_json::from_slice::<T>(&written).expect("the same JSON");
        assert_eq!(serde_json::to_vec(&again).expect("JSON"), written);
    }
}

fuzz_target!(|data: &[u8]| {
    again::<ChallengeBody>(data);
    again::<ChallengeReply>(data);
    again::<AppraisalBody>(data);
    again::<AppraisalReply>(data);
    again::<NonceReply>(data);
    again::<EnrolBody>(data);
    again::<NodeAttestationBody>(data);
    again::<NodeList>(data);
    again::<NodeAttestation>(data);
    again::<ErrorBody>(data);
});
