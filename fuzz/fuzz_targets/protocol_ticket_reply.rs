#![no_main]
use duckblind_protocol::frames::TicketReply;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = TicketReply::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
