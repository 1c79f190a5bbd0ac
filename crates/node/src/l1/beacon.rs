//! The beacon node's REST interface: time, duties, and word of new heads.

use super::{error::L1Error, http::Http};
use cortado_client::http::excerpt;
use cortado_types::Bytes;
use futures::StreamExt;
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use std::sync::Arc;
use tokio::sync::Notify;

/// Who proposes an L1 slot (EIP-7917).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Duty {
    /// BLS key of the validator.
    pub pubkey: Bytes,
    /// Its index.
    #[serde(deserialize_with = "decimal")]
    pub validator_index: u64,
    /// The L1 slot.
    #[serde(deserialize_with = "decimal")]
    pub slot: u64,
}

/// The beacon API writes numbers as decimal strings.
fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|error| D::Error::custom(format!("{text}: {error}")))
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct GenesisData {
    #[serde(deserialize_with = "decimal")]
    genesis_time: u64,
}

#[derive(Deserialize)]
struct SyncingData {
    is_syncing: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Spec {
    #[serde(deserialize_with = "decimal")]
    slots_per_epoch: u64,
    #[serde(default)]
    slot_duration_ms: Option<String>,
    #[serde(default)]
    seconds_per_slot: Option<String>,
}

/// How a beacon counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeaconTime {
    /// Start of slot 0, ms since the Unix epoch.
    pub genesis_time_ms: u64,
    /// Length of a slot, ms.
    pub slot_ms: u64,
    /// Slots in an epoch.
    pub slots_per_epoch: u64,
}

/// A beacon node.
#[derive(Clone, Debug)]
pub struct Beacon {
    http: Http,
}

impl Beacon {
    /// A client of the beacon at `url`.
    ///
    /// # Errors
    /// If `url` is none.
    pub fn new(url: &str) -> Result<Self, L1Error> {
        Ok(Self {
            http: Http::new(url)?,
        })
    }

    /// Whether it is still catching up.
    ///
    /// # Errors
    /// [`L1Error`] if it does not answer well.
    pub async fn is_syncing(&self) -> Result<bool, L1Error> {
        let found: Data<SyncingData> = self.get("eth/v1/node/syncing").await?;
        Ok(found.data.is_syncing)
    }

    /// Proposers of an epoch's slots.
    ///
    /// # Errors
    /// [`L1Error`] if it does not answer well.
    pub async fn duties(&self, epoch: u64) -> Result<Vec<Duty>, L1Error> {
        let path = format!("eth/v1/validator/duties/proposer/{epoch}");
        let found: Data<Vec<Duty>> = self.get(&path).await?;
        Ok(found.data)
    }

    /// How the beacon chain counts time.
    ///
    /// # Errors
    /// If it does not answer, or not in the interface's form.
    pub async fn time(&self) -> Result<BeaconTime, L1Error> {
        let genesis: Data<GenesisData> = self.get("eth/v1/beacon/genesis").await?;
        let spec: Data<Spec> = self.get("eth/v1/config/spec").await?;
        let malformed = |reason: &str| L1Error::Malformed {
            method: "eth/v1/config/spec".to_owned(),
            reason: reason.to_owned(),
        };
        let number = |text: &str| text.parse::<u64>().map_err(|_| malformed("slot length"));
        let slot_ms = match (&spec.data.slot_duration_ms, &spec.data.seconds_per_slot) {
            (Some(ms), _) => number(ms)?,
            (None, Some(seconds)) => number(seconds)?.saturating_mul(1_000),
            (None, None) => return Err(malformed("no slot length")),
        };
        Ok(BeaconTime {
            genesis_time_ms: genesis.data.genesis_time.saturating_mul(1_000),
            slot_ms,
            slots_per_epoch: spec.data.slots_per_epoch,
        })
    }

    /// Wakes `wake` whenever the beacon says anything about its head, until the stream breaks.
    /// What it says is not read: the watcher asks the execution node, and verifies.
    pub(super) async fn listen(&self, wake: Arc<Notify>) -> Result<(), L1Error> {
        let topics = "eth/v1/events?topics=head,chain_reorg,finalized_checkpoint";
        let mut stream = self.http.open(topics).await?.bytes_stream();
        while let Some(chunk) = stream.next().await {
            chunk.map_err(|error| self.http.failed(error))?;
            wake.notify_one();
        }
        Ok(())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, L1Error> {
        let bytes = self.http.get(path).await?;
        serde_json::from_slice(&bytes).map_err(|error| L1Error::Malformed {
            method: path.to_owned(),
            reason: excerpt(&error.to_string()),
        })
    }
}
