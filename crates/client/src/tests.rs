//! The event reader, against hostile streams.

use crate::{
    api::limits::EVENT_BYTES_MAX,
    sse::{Event, Parser, TooLong},
};
use proptest::prelude::*;

fn event(name: &str, data: &str) -> Event {
    Event {
        name: name.to_owned(),
        data: data.to_owned(),
    }
}

fn read(parser: &mut Parser) -> Vec<Event> {
    std::iter::from_fn(|| parser.next()).collect()
}

const STREAM: &str = ": open\n\nevent: block\nid: 1\ndata: {\"a\":1}\n\nevent: block\r\ndata: x\r\n\
    data:y\r\n\r\n:idle\n\nid: 9\n\nevent: error\rdata: end\r\r";

fn expected() -> Vec<Event> {
    vec![
        event("block", "{\"a\":1}"),
        event("block", "x\ny"),
        event("error", "end"),
    ]
}

#[test]
fn events_are_read_and_comments_are_not() {
    let mut parser = Parser::default();
    parser.push(STREAM.as_bytes()).unwrap();
    assert_eq!(read(&mut parser), expected());
}

#[test]
fn endless_event_is_cut_off() {
    let mut parser = Parser::default();
    let chunk = vec![b'x'; 1 << 20];
    let outcome = (0..=EVENT_BYTES_MAX >> 20).try_for_each(|_| parser.push(&chunk));
    assert_eq!(outcome, Err(TooLong));
    let mut parser = Parser::default();
    let lines = "data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n".repeat(1 << 15);
    let outcome = (0..=(2 * EVENT_BYTES_MAX) >> 20).try_for_each(|_| parser.push(lines.as_bytes()));
    assert_eq!(outcome, Err(TooLong));
}

proptest! {
    #[test]
    fn events_do_not_depend_on_how_the_stream_is_cut(cuts in prop::collection::vec(0..STREAM.len(), 0..8)) {
        let mut cuts = cuts;
        cuts.extend([0, STREAM.len()]);
        cuts.sort_unstable();
        let mut parser = Parser::default();
        let mut found = Vec::new();
        for pair in cuts.windows(2) {
            parser.push(&STREAM.as_bytes()[pair[0]..pair[1]]).unwrap();
            found.extend(read(&mut parser));
        }
        prop_assert_eq!(found, expected());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut parser = Parser::default();
        prop_assert!(parser.push(&bytes).is_ok());
        read(&mut parser);
    }
}
