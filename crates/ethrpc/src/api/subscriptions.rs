//! `eth_subscribe`.

use std::sync::Arc;

use alloy_rpc_types_eth::Filter;
use jsonrpsee::server::{PendingSubscriptionSink, RegisterMethodError, SubscriptionSink};
use jsonrpsee::types::ErrorObjectOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

use super::logs::check;
use super::{Api, Registry};
use crate::args::Args;
use crate::backend::{ChainEvent, EthBackend};
use crate::convert;
use crate::error::RpcError;

/// What a client may listen to.
enum Topic {
    NewHeads,
    Logs(Box<Filter>),
    PendingHashes,
    PendingTransactions,
    Syncing,
}

impl Topic {
    fn parse(args: &mut Args) -> Result<Self, RpcError> {
        let kind: String = args.required("subscription")?;
        let topic = match kind.as_str() {
            "newHeads" => Self::NewHeads,
            "logs" => {
                let filter: Filter = args.optional("filter")?.unwrap_or_default();
                check(&filter)?;
                Self::Logs(Box::new(filter))
            }
            "newPendingTransactions" => match args.optional::<Full>("full transactions")? {
                Some(full) if full.get() => Self::PendingTransactions,
                _ => Self::PendingHashes,
            },
            "syncing" => Self::Syncing,
            other => {
                return Err(RpcError::InvalidParams(format!(
                    "no \"{other}\" subscription in eth namespace"
                )));
            }
        };
        Ok(topic)
    }
}

/// Whether whole transactions are asked for: some clients send a bool, some an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Full {
    Plain(bool),
    Object {
        #[serde(default, rename = "fullTransactions")]
        full: bool,
    },
}

impl Full {
    fn get(&self) -> bool {
        match self {
            Self::Plain(full) | Self::Object { full } => *full,
        }
    }
}

pub(super) fn register<B: EthBackend>(on: &mut Registry<B>) -> Result<(), RegisterMethodError> {
    on.0.register_subscription(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params, pending, api, _| async move {
            let topic = match Args::new(&params, 2).and_then(|mut args| Topic::parse(&mut args)) {
                Ok(topic) => topic,
                Err(error) => {
                    pending.reject(ErrorObjectOwned::from(error)).await;
                    return;
                }
            };
            serve(api, topic, pending).await;
        },
    )?;
    Ok(())
}

/// Sends what happens until the client leaves or cannot keep up.
async fn serve<B: EthBackend>(api: Arc<Api<B>>, topic: Topic, pending: PendingSubscriptionSink) {
    // Listening starts before the client knows its id: nothing after the answer is missed.
    let mut events = api.backend.events();
    let Ok(sink) = pending.accept().await else {
        return;
    };
    if matches!(topic, Topic::Syncing) {
        // Says how things stand; a node that serves does not fall out of sync silently.
        let _ = send(&sink, &api.backend.syncing().is_some()).await;
        sink.closed().await;
        return;
    }
    loop {
        let event = tokio::select! {
            () = sink.closed() => return,
            event = events.recv() => event,
        };
        let event = match event {
            Ok(event) => event,
            Err(RecvError::Lagged(_)) => {
                // A gap would be worse than the end: the client sees the end and asks again.
                api.counters.slow_subscribers.inc();
                return;
            }
            Err(RecvError::Closed) => return,
        };
        for message in messages(&topic, event) {
            if send(&sink, &message).await.is_err() {
                return;
            }
        }
    }
}

/// What a listener hears of an event.
fn messages(topic: &Topic, event: ChainEvent) -> Vec<Value> {
    match (topic, event) {
        (Topic::NewHeads, ChainEvent::Latest { added, .. }) => added
            .iter()
            .map(|block| json(convert::header(block)))
            .collect(),
        (Topic::Logs(filter), ChainEvent::Latest { removed, added }) => {
            convert::moved_logs(&removed, &added, filter)
                .into_iter()
                .map(json)
                .collect()
        }
        (Topic::PendingHashes, ChainEvent::Pooled(tx)) => vec![json(tx.tx_hash())],
        (Topic::PendingTransactions, ChainEvent::Pooled(tx)) => {
            vec![json(convert::pooled_transaction((*tx).clone()))]
        }
        _ => Vec::new(),
    }
}

fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

async fn send(sink: &SubscriptionSink, message: &impl Serialize) -> Result<(), ()> {
    let message = serde_json::value::to_raw_value(message).map_err(|_| ())?;
    sink.send(message).await.map_err(|_| ())
}
