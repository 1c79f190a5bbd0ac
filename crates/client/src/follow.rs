//! The stream of finalised blocks.

use crate::{
    api::{
        BlockEvent, EVENT_BLOCK, EVENT_ERROR, ErrorBody,
        limits::{EVENT_BYTES_MAX, EVENTS_SILENCE_MS_MAX},
    },
    client::Client,
    error::{ClientError, Lie, Unverified},
    http::{Node, chain},
    light::{Final, FinalBlock, same},
    sse::Parser,
};
use cortado_types::{Block, Height, decode_exact, limits::BLOCK_BYTES_MAX};
use futures::{Stream, StreamExt, stream::BoxStream};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tracing::debug;

/// First pause after all nodes failed; doubled each round.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// Longest pause: an outage ends unnoticed for at most this long.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Finalised blocks in order ([`Client::follow`]). It ends only after an error that nobody can
/// mend: the height was pruned everywhere, or two certified blocks contradict each other.
pub struct Follow(BoxStream<'static, Result<FinalBlock, ClientError>>);

impl Follow {
    pub(crate) fn new(client: Client, from: Height) -> Self {
        let walk = Walk {
            client,
            next: from,
            last: None,
            connection: None,
            attempt: 0,
            refusals: 0,
            backoff: BACKOFF_MIN,
            ended: false,
        };
        Self(futures::stream::unfold(walk, Walk::step).boxed())
    }
}

impl Stream for Follow {
    type Item = Result<FinalBlock, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

struct Connection {
    node: Arc<Node>,
    bytes: BoxStream<'static, Result<Vec<u8>, String>>,
    parser: Parser,
}

/// - Everything below `next` was handed out; `last` is the newest of it.
struct Walk {
    client: Client,
    next: Height,
    last: Option<Final>,
    connection: Option<Connection>,
    /// Failures since the last block: which node to try.
    attempt: usize,
    /// Permanent refusals in a row; when every node refuses, so do we.
    refusals: usize,
    backoff: Duration,
    ended: bool,
}

impl Walk {
    async fn step(mut self) -> Option<(Result<FinalBlock, ClientError>, Self)> {
        while !self.ended {
            match self.advance().await {
                Ok(block) => {
                    self.client.prefer(std::mem::take(&mut self.attempt));
                    self.refusals = 0;
                    self.backoff = BACKOFF_MIN;
                    return Some((Ok(block), self));
                }
                Err(error) => {
                    if self.is_over(&error) {
                        self.ended = true;
                        return Some((Err(error), self));
                    }
                    debug!(%error, next = %self.next, "following elsewhere");
                    self.connection = None;
                    self.attempt += 1;
                    if self.attempt.is_multiple_of(self.client.nodes()) {
                        tokio::time::sleep(self.backoff).await;
                        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
                    }
                }
            }
        }
        None
    }

    fn is_over(&mut self, error: &ClientError) -> bool {
        if !error.is_permanent() {
            self.refusals = 0;
            return false;
        }
        if matches!(error, ClientError::Refused { .. }) {
            self.refusals += 1;
            return self.refusals >= self.client.nodes();
        }
        true
    }

    /// The next block from the present connection, or from a new one.
    async fn advance(&mut self) -> Result<FinalBlock, ClientError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let result = self.read(&mut connection).await;
        match &result {
            Ok(_) => self.connection = Some(connection),
            Err(error) => self.client.blame(&connection.node, error),
        }
        result
    }

    async fn connect(&mut self) -> Result<Connection, ClientError> {
        let node = self.client.node(self.attempt);
        let path = format!("v1/events?from={}", self.next);
        let response = node
            .open(&path, &[("accept", "text/event-stream".to_owned())])
            .await;
        let response = response.inspect_err(|error| self.client.blame(&node, error))?;
        let bytes = response
            .bytes_stream()
            .map(|chunk| chunk.map(Vec::from).map_err(|error| chain(&error)))
            .boxed();
        Ok(Connection {
            node,
            bytes,
            parser: Parser::default(),
        })
    }

    async fn read(&mut self, connection: &mut Connection) -> Result<FinalBlock, ClientError> {
        let node = connection.node.clone();
        let silence = Duration::from_millis(EVENTS_SILENCE_MS_MAX);
        loop {
            while let Some(event) = connection.parser.next() {
                match event.name.as_str() {
                    EVENT_BLOCK => return self.accept(&node, &event.data).await,
                    EVENT_ERROR => return Err(refusal(&node, &event.data)),
                    _ => {}
                }
            }
            let chunk = tokio::time::timeout(silence, connection.bytes.next())
                .await
                .map_err(|_| node.transport(format!("silent for {EVENTS_SILENCE_MS_MAX} ms")))?
                .ok_or_else(|| node.transport("ended the stream"))?
                .map_err(|reason| node.transport(reason))?;
            connection.parser.push(&chunk).map_err(|_| {
                node.lied(Lie::TooLong {
                    limit: EVENT_BYTES_MAX,
                })
            })?;
        }
    }

    async fn accept(&mut self, node: &Node, data: &str) -> Result<FinalBlock, ClientError> {
        let event: BlockEvent =
            serde_json::from_str(data).map_err(|error| node.lied(Lie::Shape(error.to_string())))?;
        same("block", self.next, event.height).map_err(|lie| node.lied(lie))?;
        let block: Block = decode_exact("block", &event.block, BLOCK_BYTES_MAX)
            .map_err(|error| node.lied(error.into()))?;
        let block = match self.verify(&event, block.clone()) {
            Err(Unverified::UnknownTerm(term)) => {
                // R5a: the last block of the term before names the seats; from wherever we are.
                self.client.learn_terms(node, term).await?;
                self.verify(&event, block)
            }
            other => other,
        };
        let block = block.map_err(|error| node.unverified(error))?;
        let header = &block.block().header;
        if let Some(last) = &self.last
            && header.parent != last.hash()
        {
            // Both are certified: this is no node's lie but the seats'.
            let (height, parent, want) = (header.height, header.parent, last.hash());
            return Err(node.lied(Lie::Fork {
                height,
                parent,
                want,
            }));
        }
        let Some(next) = self.next.next() else {
            return Err(node.transport("the last height of all was reached"));
        };
        self.next = next;
        self.last = Some(block.to_final());
        Ok(block)
    }

    fn verify(&self, event: &BlockEvent, block: Block) -> Result<FinalBlock, Unverified> {
        self.client
            .light()
            .block(self.next, block, &event.certificate)
    }
}

fn refusal(node: &Node, data: &str) -> ClientError {
    match serde_json::from_str::<ErrorBody>(data) {
        Ok(body) => node.transport(format!("{}: {}", body.code, body.message)),
        Err(error) => node.lied(Lie::Shape(error.to_string())),
    }
}
