#![no_main]

/// The reader of event streams is private; it is taken in by its file.
mod api {
    pub use cortado_client::api::limits;
}

#[path = "../../src/sse.rs"]
mod sse;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut whole = sse::Parser::default();
    let mut cut = sse::Parser::default();
    let middle = bytes.first().map_or(0, |at| usize::from(*at).min(bytes.len()));
    let read = whole.push(bytes);
    let parts = cut.push(&bytes[..middle]).and_then(|()| cut.push(&bytes[middle..]));
    assert_eq!(read, parts);
    while let Some(event) = whole.next() {
        assert_eq!(Some(event), cut.next());
    }
    assert_eq!(None, cut.next());
});
