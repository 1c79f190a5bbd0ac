//! `GET /eth/v1/events`.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt, future};
use tokio_stream::wrappers::BroadcastStream;

use super::{Refusal, Server};
use crate::events::TOPICS;

/// A comment is sent this often when nothing happens, so that dead connections are found.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) async fn events(
    State(server): State<Server>,
    RawQuery(query): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let topics = topics(query.as_deref().unwrap_or(""))?;
    let mut stopped = server.stopped.clone();
    let stream = BroadcastStream::new(server.shared.beacon_events())
        // A listener that fell behind is cut off: it must not take a part for the whole.
        .take_while(|event| future::ready(event.is_ok()))
        .filter_map(move |event| {
            let wanted = event.ok().filter(|event| topics.contains(&event.topic));
            future::ready(
                wanted.map(|event| Ok(Event::default().event(event.topic).data(event.data))),
            )
        })
        .take_until(async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The topics of a query: `topics=a,b`, `topics=a&topics=b`, with the comma escaped or not.
fn topics(query: &str) -> Result<Vec<&'static str>, Refusal> {
    let mut wanted = Vec::new();
    for value in query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("topics="))
    {
        for name in value.replace("%2C", ",").replace("%2c", ",").split(',') {
            match TOPICS.iter().find(|topic| **topic == name) {
                Some(topic) => wanted.push(*topic),
                None => return Err(Refusal::bad_request(format!("invalid topic: {name}"))),
            }
        }
    }
    if wanted.is_empty() {
        return Err(Refusal::bad_request(format!(
            "no topics; known are {}",
            TOPICS.join(", ")
        )));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_may_be_listed_or_repeated() {
        let both = vec!["head", "chain_reorg"];
        for query in [
            "topics=head,chain_reorg",
            "topics=head&topics=chain_reorg",
            "topics=head%2Cchain_reorg",
        ] {
            assert_eq!(topics(query).ok(), Some(both.clone()), "{query}");
        }
    }

    #[test]
    fn an_unknown_topic_and_no_topic_are_refused_by_name() {
        let message = |query| topics(query).map_err(|refusal| refusal.message).err();
        assert_eq!(
            message("topics=head,nonsense").as_deref(),
            Some("invalid topic: nonsense")
        );
        assert!(message("").is_some_and(|m| m.contains("known are head, head_v2")));
    }
}
