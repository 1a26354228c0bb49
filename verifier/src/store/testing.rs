//! What tests of several tables begin with.
#![allow(clippy::unwrap_used)]

use duckblind_protocol::ids::{NodeId, PublicKey, UnixTime};
use duckblind_protocol::order::Class;

use super::Store;
use super::nodes::NewNode;

/// A node of its own key, enrolled at the store's beginning of time.
pub(super) async fn enrolled(store: &Store, byte: u8) -> NodeId {
    let key = PublicKey::from_bytes([byte; 32]);
    let node = NewNode {
        key,
        address: "127.0.0.1:1".into(),
        class: Class::L2,
    };
    store.enrol(node, UnixTime(1_800_000_000)).await.unwrap();
    NodeId::of_key(&key)
}
