//! The proposer's side.

use super::{Cursor, EVENTS_PER_NOTIFICATION_MAX, NOTIFICATION_BYTES_MAX};
use crate::gateway::{FeedCursor, actor::GatewayHandle};
use cortado_ethrpc::{Counters, Limits, RpcError};
use cortado_types::{B256, Bytes, Namespace};
use jsonrpsee::{
    RpcModule, SubscriptionMessage,
    core::RegisterMethodError,
    types::{ErrorObjectOwned, error::INVALID_PARAMS_CODE},
};
use std::{io, net::SocketAddr, sync::Arc};

/// Submissions of one rollup node that may be under way: as many as the gateway's mailbox holds.
const IN_FLIGHT_MAX: usize = crate::gateway::actor::SUBMISSIONS_MAX;

/// Limits of the proposer's server: its clients are rollup nodes, each with all its users behind
/// one connection.
pub fn server_limits() -> Limits {
    Limits {
        in_flight_per_connection: IN_FLIGHT_MAX,
        response_bytes: NOTIFICATION_BYTES_MAX,
        ..Limits::default()
    }
}

/// The methods of a proposer.
///
/// # Errors
/// Never: the names are distinct.
pub fn module(handle: GatewayHandle) -> Result<RpcModule<GatewayHandle>, RegisterMethodError> {
    let mut module = RpcModule::new(handle);
    module.register_async_method(
        "proposer_sendRawTransaction",
        |params, handle, _| async move {
            let (namespace, raw): (Namespace, Bytes) = params.parse()?;
            let submitted = handle.submit(namespace, raw).await;
            submitted.map_err(|error| ErrorObjectOwned::from(RpcError::Submit(error)))
        },
    )?;
    module.register_method("proposer_promise", |params, handle, _| {
        let (hash,): (B256,) = params.parse()?;
        let promises = handle.promises(&hash);
        promises.map_err(|error| ErrorObjectOwned::from(RpcError::Internal(error.to_string())))
    })?;
    module.register_subscription(
        "proposer_subscribe",
        "proposer_events",
        "proposer_unsubscribe",
        |params, pending, handle, _| async move {
            let parsed = params.parse::<(Namespace, Option<Cursor>)>();
            let (namespace, cursor) = match parsed {
                Ok((namespace, cursor)) if handle.serves(namespace) => (namespace, cursor),
                Ok((namespace, _)) => {
                    let message = format!("namespace {namespace} is not served here");
                    pending.reject(invalid(message)).await;
                    return Ok(());
                }
                Err(error) => {
                    pending.reject(error).await;
                    return Ok(());
                }
            };
            let sink = pending.accept().await?;
            let mut cursor: FeedCursor = cursor.unwrap_or_default().into();
            loop {
                let read = handle.events(namespace, &mut cursor, EVENTS_PER_NOTIFICATION_MAX);
                let events = tokio::select! {
                    events = read => events,
                    () = sink.closed() => return Ok(()),
                };
                if events.is_empty() {
                    return Ok(());
                }
                let events: Vec<_> = events.iter().map(Arc::as_ref).collect();
                let message = serde_json::value::to_raw_value(&events)?;
                // Waits while the client is slow; the feed keeps what it has not read, or resets it.
                sink.send(SubscriptionMessage::from(message)).await?;
            }
        },
    )?;
    Ok(module)
}

fn invalid(message: String) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INVALID_PARAMS_CODE, message, None::<()>)
}

/// Serves a proposer on `addr`.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    addr: SocketAddr,
    handle: GatewayHandle,
    counters: Arc<Counters>,
) -> io::Result<cortado_ethrpc::Handle> {
    let module = module(handle).map_err(io::Error::other)?;
    cortado_ethrpc::serve(addr, module, server_limits(), counters).await
}
