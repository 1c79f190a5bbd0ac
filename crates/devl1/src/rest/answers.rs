//! The answers of the beacon API. Integers are decimal strings.

use std::sync::Arc;

use alloy_primitives::B256;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use cortado_evm::BlockRecord;
use serde_json::{Value, json};

use super::{Refusal, Server};
use crate::beacon::{BeaconHeader, FORK_VERSION, slot_of};
use crate::chain::block_at_slot;
use crate::events::dependent_root;
use crate::shared::Shared;

type Answer = Result<Json<Value>, Refusal>;

fn version_hex() -> String {
    alloy_primitives::hex::encode_prefixed(FORK_VERSION)
}

pub(super) async fn genesis(State(server): State<Server>) -> Json<Value> {
    let beacon = &server.shared.beacon;
    Json(json!({"data": {
        "genesis_time": beacon.clock().timestamp(0).to_string(),
        "genesis_validators_root": beacon.genesis_validators_root(),
        "genesis_fork_version": version_hex(),
    }}))
}

pub(super) async fn spec(State(server): State<Server>) -> Json<Value> {
    let config = &server.shared.config;
    let chain_id = config.chain_id.to_string();
    let version = version_hex();
    let mut data = json!({
        "CONFIG_NAME": "devl1",
        "PRESET_BASE": "devl1",
        // A slot shorter than a second has no whole number here; SLOT_DURATION_MS has.
        "SECONDS_PER_SLOT": (config.slot_ms / 1_000).to_string(),
        "SLOT_DURATION_MS": config.slot_ms.to_string(),
        "SLOTS_PER_EPOCH": config.slots_per_epoch.to_string(),
        "MIN_SEED_LOOKAHEAD": "1",
        "MIN_GENESIS_TIME": (config.genesis_time_ms / 1_000).to_string(),
        "GENESIS_DELAY": "0",
        "GENESIS_FORK_VERSION": version,
        "MAX_EFFECTIVE_BALANCE": "32000000000",
        "DEPOSIT_CHAIN_ID": chain_id,
        "DEPOSIT_NETWORK_ID": chain_id,
    });
    for fork in ["ALTAIR", "BELLATRIX", "CAPELLA", "DENEB", "ELECTRA", "FULU"] {
        data[format!("{fork}_FORK_VERSION")] = json!(version);
        data[format!("{fork}_FORK_EPOCH")] = json!("0");
    }
    Json(json!({ "data": data }))
}

pub(super) async fn version() -> Json<Value> {
    Json(json!({"data": {"version": concat!("devl1/v", env!("CARGO_PKG_VERSION"))}}))
}

pub(super) async fn health() -> StatusCode {
    StatusCode::OK
}

pub(super) async fn syncing(State(server): State<Server>) -> Json<Value> {
    let slot = slot_of(&server.shared.store.head().header);
    Json(json!({"data": {
        "head_slot": slot.to_string(),
        "sync_distance": "0",
        "is_syncing": false,
        "is_optimistic": false,
        "el_offline": false,
    }}))
}

pub(super) async fn head_header(State(server): State<Server>) -> Answer {
    let block = server.shared.store.head().record.clone();
    let one = header_data(&server.shared, &block)?;
    let finalized = is_final(&server.shared, &block)?;
    Ok(Json(
        json!({"execution_optimistic": false, "finalized": finalized, "data": [one]}),
    ))
}

pub(super) async fn header(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    let block = block_by_id(&server.shared, &id)?;
    Ok(Json(json!({
        "execution_optimistic": false,
        "finalized": is_final(&server.shared, &block)?,
        "data": header_data(&server.shared, &block)?,
    })))
}

pub(super) async fn block_root(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    let block = block_by_id(&server.shared, &id)?;
    Ok(Json(json!({
        "execution_optimistic": false,
        "finalized": is_final(&server.shared, &block)?,
        "data": {"root": server.shared.beacon.header(&block.header).root()},
    })))
}

/// The block with as much of its body as this chain has: what ties it to the execution chain.
pub(super) async fn block(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    let beacon = &server.shared.beacon;
    let block = block_by_id(&server.shared, &id)?;
    let header = beacon.header(&block.header);
    let mut message = header_message(&header);
    if let Some(fields) = message.as_object_mut() {
        fields.remove("body_root");
    }
    message["body"] = json!({"execution_payload": {
        "parent_hash": block.header.parent_hash,
        "fee_recipient": block.header.beneficiary,
        "state_root": block.header.state_root,
        "receipts_root": block.header.receipts_root,
        "prev_randao": block.header.mix_hash,
        "block_number": block.number().to_string(),
        "gas_limit": block.header.gas_limit.to_string(),
        "gas_used": block.header.gas_used.to_string(),
        "timestamp": block.header.timestamp.to_string(),
        "extra_data": block.header.extra_data,
        "base_fee_per_gas": block.header.base_fee_per_gas.unwrap_or(0).to_string(),
        "block_hash": block.hash(),
    }});
    Ok(Json(json!({
        "version": "fulu",
        "execution_optimistic": false,
        "finalized": is_final(&server.shared, &block)?,
        "data": {"message": message, "signature": beacon.sign(&header)},
    })))
}

pub(super) async fn state_root(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    let block = block_of_state(&server.shared, &id)?;
    Ok(Json(json!({
        "execution_optimistic": false,
        "finalized": is_final(&server.shared, &block)?,
        "data": {"root": server.shared.beacon.header(&block.header).state_root},
    })))
}

pub(super) async fn fork(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    let block = block_of_state(&server.shared, &id)?;
    Ok(Json(json!({
        "execution_optimistic": false,
        "finalized": is_final(&server.shared, &block)?,
        "data": {
            "previous_version": version_hex(),
            "current_version": version_hex(),
            "epoch": "0",
        },
    })))
}

pub(super) async fn finality_checkpoints(
    State(server): State<Server>,
    Path(id): Path<String>,
) -> Answer {
    let shared = &server.shared;
    let block = block_of_state(shared, &id)?;
    let checkpoint = |block: &BlockRecord| {
        // A checkpoint is named by the epoch it closes; its block may be older than that.
        let epoch = shared
            .beacon
            .clock()
            .epoch(slot_of(&block.header).saturating_add(shared.config.slots_per_epoch - 1));
        let root = match block.number() {
            0 => B256::ZERO,
            _ => shared.beacon.header(&block.header).root(),
        };
        json!({"epoch": epoch.to_string(), "root": root})
    };
    let finalized = shared.store.finalized();
    let justified = checkpoint(&shared.safe());
    Ok(Json(json!({
        "execution_optimistic": false,
        "finalized": is_final(shared, &block)?,
        "data": {
            "previous_justified": justified,
            "current_justified": justified,
            "finalized": checkpoint(&finalized),
        },
    })))
}

pub(super) async fn validators(State(server): State<Server>, Path(id): Path<String>) -> Answer {
    let shared = &server.shared;
    let block = block_of_state(shared, &id)?;
    let data: Vec<Value> = shared
        .beacon
        .validators()
        .iter()
        .enumerate()
        .map(|(index, validator)| {
            let padding = "0".repeat(22);
            let recipient = alloy_primitives::hex::encode(validator.fee_recipient);
            json!({
                "index": index.to_string(),
                "balance": "32000000000",
                "status": "active_ongoing",
                "validator": {
                    "pubkey": validator.pubkey,
                    "withdrawal_credentials": format!("0x01{padding}{recipient}"),
                    "effective_balance": "32000000000",
                    "slashed": false,
                    "activation_eligibility_epoch": "0",
                    "activation_epoch": "0",
                    "exit_epoch": u64::MAX.to_string(),
                    "withdrawable_epoch": u64::MAX.to_string(),
                },
            })
        })
        .collect();
    Ok(Json(json!({
        "execution_optimistic": false,
        "finalized": is_final(shared, &block)?,
        "data": data,
    })))
}

pub(super) async fn proposer_lookahead(
    State(server): State<Server>,
    Path(id): Path<String>,
) -> Answer {
    let beacon = &server.shared.beacon;
    let block = block_of_state(&server.shared, &id)?;
    let epoch = beacon.clock().epoch(slot_of(&block.header));
    let indices: Vec<String> = beacon.lookahead(epoch).iter().map(u64::to_string).collect();
    Ok(Json(json!({
        "version": "fulu",
        "execution_optimistic": false,
        "finalized": is_final(&server.shared, &block)?,
        "data": indices,
    })))
}

pub(super) async fn duties_v1(State(server): State<Server>, Path(epoch): Path<String>) -> Answer {
    duties(&server.shared, &epoch, 0)
}

/// Since EIP-7917 duties depend on what came before the previous epoch.
pub(super) async fn duties_v2(State(server): State<Server>, Path(epoch): Path<String>) -> Answer {
    duties(&server.shared, &epoch, 1)
}

fn duties(shared: &Shared, epoch: &str, epochs_earlier: u64) -> Answer {
    let beacon = &shared.beacon;
    let clock = beacon.clock();
    let epoch: u64 = epoch
        .parse()
        .map_err(|_| Refusal::bad_request(format!("invalid epoch: {epoch}")))?;
    let current = clock.epoch(slot_of(&shared.store.head().header));
    if epoch > current.saturating_add(1) {
        return Err(Refusal::bad_request(format!(
            "epoch {epoch} is beyond the lookahead: current epoch {current}"
        )));
    }
    let root = dependent_root(beacon, &shared.store, epoch.saturating_sub(epochs_earlier))
        .map_err(Refusal::internal)?;
    let data: Vec<Value> = (clock.start_slot(epoch)..clock.start_slot(epoch + 1))
        .map(|slot| {
            json!({
                "pubkey": beacon.proposer(slot).pubkey,
                "validator_index": beacon.proposer_index(slot).to_string(),
                "slot": slot.to_string(),
            })
        })
        .collect();
    Ok(Json(
        json!({"dependent_root": root, "execution_optimistic": false, "data": data}),
    ))
}

fn header_message(header: &BeaconHeader) -> Value {
    json!({
        "slot": header.slot.to_string(),
        "proposer_index": header.proposer_index.to_string(),
        "parent_root": header.parent_root,
        "state_root": header.state_root,
        "body_root": header.body_root,
    })
}

fn header_data(shared: &Shared, block: &BlockRecord) -> Result<Value, Refusal> {
    let header = shared.beacon.header(&block.header);
    Ok(json!({
        "root": header.root(),
        "canonical": is_canonical(shared, block)?,
        "header": {
            "message": header_message(&header),
            "signature": shared.beacon.sign(&header),
        },
    }))
}

fn is_canonical(shared: &Shared, block: &BlockRecord) -> Result<bool, Refusal> {
    let hash = shared
        .store
        .hash_by_number(block.number())
        .map_err(Refusal::internal)?;
    Ok(hash == Some(block.hash()))
}

fn is_final(shared: &Shared, block: &BlockRecord) -> Result<bool, Refusal> {
    Ok(block.number() <= shared.store.finalized().number() && is_canonical(shared, block)?)
}

/// A name that blocks and states share.
fn by_name(shared: &Shared, id: &str) -> Result<Option<Arc<BlockRecord>>, Refusal> {
    match id {
        "head" => Ok(Some(shared.store.head().record.clone())),
        "finalized" => Ok(Some(shared.store.finalized().record.clone())),
        "justified" => Ok(Some(shared.safe())),
        "genesis" => shared.store.block_by_number(0).map_err(Refusal::internal),
        _ => Ok(None),
    }
}

fn by_hash(shared: &Shared, hash: Option<B256>, id: &str) -> Result<Arc<BlockRecord>, Refusal> {
    let missing = || Refusal::not_found(format!("not found: {id}"));
    let block = shared
        .store
        .block(&hash.ok_or_else(missing)?)
        .map_err(Refusal::internal)?;
    block.ok_or_else(missing)
}

/// The block a block id names: a name, a slot with a block, or a block root.
fn block_by_id(shared: &Shared, id: &str) -> Result<Arc<BlockRecord>, Refusal> {
    if let Some(block) = by_name(shared, id)? {
        return Ok(block);
    }
    if let Ok(root) = id.parse::<B256>() {
        return by_hash(shared, shared.by_block_root(root), id);
    }
    let slot: u64 = id
        .parse()
        .map_err(|_| Refusal::bad_request(format!("invalid block id: {id}")))?;
    let block = block_at_slot(&shared.store, slot).map_err(Refusal::internal)?;
    if slot_of(&block.header) != slot {
        return Err(Refusal::not_found(format!("no block at slot {slot}")));
    }
    Ok(block)
}

/// The block that made the state a state id names: a name, a slot (missed or not), or a root.
fn block_of_state(shared: &Shared, id: &str) -> Result<Arc<BlockRecord>, Refusal> {
    if let Some(block) = by_name(shared, id)? {
        return Ok(block);
    }
    if let Ok(root) = id.parse::<B256>() {
        return by_hash(shared, shared.by_state_root(root), id);
    }
    let slot: u64 = id
        .parse()
        .map_err(|_| Refusal::bad_request(format!("invalid state id: {id}")))?;
    let head = slot_of(&shared.store.head().header);
    if slot > head {
        return Err(Refusal::not_found(format!(
            "slot {slot} is after the head at slot {head}"
        )));
    }
    block_at_slot(&shared.store, slot).map_err(Refusal::internal)
}
