//! `/v1/events`: finalised blocks as they come, resumable at any kept height.

use super::{
    ApiError, Shared,
    finality::Finality,
    limits,
    params::{self, Query},
};
use axum::{
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use cortado_client::api::{BlockEvent, EVENT_BLOCK, EVENT_ERROR, limits::EVENTS_KEEP_ALIVE_MS};
use cortado_types::{Height, codec};
use futures::stream;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// What all readers of the stream share.
///
/// - `encoded` holds at most [`limits::EVENTS_SHARED_MAX`] of the newest events.
#[derive(Clone)]
pub(super) struct Events {
    places: Arc<Semaphore>,
    encoded: Arc<Mutex<BTreeMap<Height, Bytes>>>,
    stop: watch::Receiver<bool>,
}

impl Events {
    pub(super) fn new(readers: usize, stop: watch::Receiver<bool>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(readers)),
            encoded: Arc::default(),
            stop,
        }
    }

    fn known(&self, height: Height) -> Option<Bytes> {
        self.encoded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&height)
            .cloned()
    }

    fn remember(&self, height: Height, event: &Bytes) {
        let mut encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        encoded.insert(height, event.clone());
        // The oldest go first, so a reader far behind does not push out what many share.
        while encoded.len() > limits::EVENTS_SHARED_MAX {
            encoded.pop_first();
        }
    }
}

fn frame(name: &str, id: Option<Height>, data: &impl serde::Serialize) -> Bytes {
    // Types that serialise to JSON without maps of strange keys cannot fail.
    let data = serde_json::to_string(data).unwrap_or_default();
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n").into()
}

pub(super) async fn events(
    State(shared): State<Shared>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::read(query.as_deref(), &["from"])?;
    let from = query.get("from", params::height)?;
    let last = headers
        .get("last-event-id")
        .map(|last| last.to_str().unwrap_or("not text"));
    let last = last.map(params::height).transpose()?;
    // A browser that reconnects repeats the query it began with, so the id is the newer word.
    let next = match (last.and_then(Height::next), from) {
        (Some(next), _) | (None, Some(next)) => next,
        (None, None) => shared.tip().height().next().unwrap_or_default(),
    };
    let oldest = shared.reader.oldest();
    if next < oldest {
        return Err(ApiError::pruned("block", next, oldest));
    }
    let place = shared.events.places.clone().try_acquire_owned();
    let place = place.map_err(|_| ApiError::too_many_readers(shared.limits.event_readers))?;

    let (sender, receiver) = mpsc::channel(limits::EVENT_QUEUE);
    let (farewell, last_words) = oneshot::channel();
    tokio::spawn(async move {
        shared.metrics.event_readers().inc();
        let mut feed = Feed {
            shared: shared.clone(),
            next,
            sender,
        };
        if let Err(Ended::Because(error)) = feed.run().await {
            shared.metrics.refused(error.code());
            let _ = farewell.send(frame(EVENT_ERROR, None, &error.into_body()));
        }
        shared.metrics.event_readers().dec();
        drop(place);
    });
    // The last words wait beside the queue: a reader that is cut off has a full one.
    let body = stream::unfold(
        (receiver, Some(last_words)),
        |(mut receiver, mut words)| async move {
            if let Some(bytes) = receiver.recv().await {
                return Some((Ok::<_, Infallible>(bytes), (receiver, words)));
            }
            let bytes = words.take()?.await.ok()?;
            Some((Ok(bytes), (receiver, None)))
        },
    );
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

enum Ended {
    /// The reader left.
    Left,
    /// We end it, and say why.
    Because(ApiError),
}

impl From<ApiError> for Ended {
    fn from(error: ApiError) -> Self {
        Self::Because(error)
    }
}

/// Waits until the server stops. Its own function, because the guard that `wait_for` returns must
/// not live on in a branch of `select!`.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

struct Feed {
    shared: Shared,
    next: Height,
    sender: mpsc::Sender<Bytes>,
}

impl Feed {
    async fn run(&mut self) -> Result<(), Ended> {
        let mut tip = self.shared.reader.tip();
        let mut stop = self.shared.events.stop.clone();
        // At once, so that a client knows that the stream is open.
        self.send(Bytes::from_static(b": open\n\n")).await?;
        loop {
            let newest = tip.borrow_and_update().height();
            while self.next <= newest {
                match self.event().await {
                    Ok(event) => self.send(event).await?,
                    // Final through a descendant that is on its way to us.
                    Err(error) if error.code() == "no_certificate" => break,
                    Err(error) => return Err(error.into()),
                }
                self.next = self.next.next().ok_or(Ended::Left)?;
            }
            let keep_alive = Duration::from_millis(EVENTS_KEEP_ALIVE_MS);
            tokio::select! {
                changed = tip.changed() => {
                    changed.map_err(|_| ApiError::unavailable("the node is stopping"))?;
                }
                () = stopped(&mut stop) => {
                    return Err(ApiError::unavailable("the node is stopping").into());
                }
                () = self.sender.closed() => return Err(Ended::Left),
                () = tokio::time::sleep(keep_alive) => {
                    self.send(Bytes::from_static(b": idle\n\n")).await?;
                }
            }
        }
    }

    async fn event(&self) -> Result<Bytes, ApiError> {
        if let Some(event) = self.shared.events.known(self.next) {
            return Ok(event);
        }
        let Finality { block, certificate } = self.shared.finality(self.next).await?;
        let event = BlockEvent {
            height: self.next,
            hash: block.hash(),
            block: codec::encode(block.as_ref()).into(),
            certificate,
        };
        let event = frame(EVENT_BLOCK, Some(self.next), &event);
        self.shared.events.remember(self.next, &event);
        Ok(event)
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Ended> {
        let stall = self.shared.limits.event_stall;
        match tokio::time::timeout(stall, self.sender.send(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended::Left),
            Err(_) => Err(ApiError::slow_reader(stall).into()),
        }
    }
}
