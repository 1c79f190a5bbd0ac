//! L1 endpoints on paper: chains of headers that are written down, and servers that show them, each
//! as honestly as its test wants.

#![allow(dead_code)]

use alloy_consensus::Header;
use alloy_rlp::Decodable;
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use cortado_types::{B256, Bytes, L1Ref};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinHandle;

/// Seconds between two blocks.
pub const SLOT_S: u64 = 2;

/// A chain, oldest header first.
#[derive(Clone)]
pub struct Chain(pub Vec<Header>);

impl Chain {
    /// The chain of the anchor alone.
    pub fn of(anchor: &Bytes) -> Self {
        Self(vec![Header::decode(&mut anchor.as_ref()).unwrap()])
    }

    pub fn tip(&self) -> &Header {
        self.0.last().unwrap()
    }

    /// `count` blocks more, told apart from others by `fork`.
    pub fn extend(&self, count: u64, fork: u8) -> Self {
        let mut chain = self.clone();
        for _ in 0..count {
            let parent = chain.tip();
            let header = Header {
                parent_hash: parent.hash_slow(),
                number: parent.number + 1,
                timestamp: parent.timestamp + SLOT_S,
                gas_limit: 30_000_000,
                extra_data: vec![fork].into(),
                ..Header::default()
            };
            chain.0.push(header);
        }
        chain
    }

    /// Without its last `count` blocks.
    pub fn back(&self, count: usize) -> Self {
        Self(self.0[..self.0.len() - count].to_vec())
    }

    /// Reference to the block of a number.
    pub fn at(&self, number: u64) -> L1Ref {
        let hash = self.header(number).unwrap().hash_slow();
        L1Ref { number, hash }
    }

    fn header(&self, number: u64) -> Option<&Header> {
        let first = self.0[0].number;
        self.0
            .get(usize::try_from(number.checked_sub(first)?).ok()?)
    }
}

/// What a server shows.
pub struct Sheet {
    pub chain_id: u64,
    pub chain: Chain,
    /// Every header it ever showed.
    all: BTreeMap<B256, Header>,
    pub finalized: Option<L1Ref>,
    /// Headers it gives for a number instead of its chain's.
    pub instead: BTreeMap<u64, Header>,
    /// It answers nothing.
    pub down: bool,
    /// Its headers do not hash to their hashes.
    pub garbled: bool,
    /// It has only the headers of its present chain.
    pub forgetful: bool,
    /// Questions by method.
    pub asked: BTreeMap<String, u64>,
}

impl Sheet {
    pub fn show(&mut self, chain: &Chain) {
        for header in &chain.0 {
            self.all.insert(header.hash_slow(), header.clone());
        }
        self.chain = chain.clone();
    }

    /// Makes a block of its chain final.
    pub fn finalize(&mut self, number: u64) {
        self.finalized = Some(self.chain.at(number));
    }

    fn by_hash(&self, hash: B256) -> Option<&Header> {
        let known = self.all.get(&hash)?;
        let own = self.chain.header(known.number);
        (!self.forgetful || own == Some(known)).then_some(known)
    }

    fn answer(&mut self, request: &Value) -> Value {
        let method = request["method"].as_str().unwrap();
        *self.asked.entry(method.to_owned()).or_default() += 1;
        let which = request["params"][0].as_str().unwrap_or_default();
        match method {
            "eth_chainId" => json!(format!("{:#x}", self.chain_id)),
            "eth_getBlockByHash" => self.shown(self.by_hash(which.parse().unwrap())),
            "eth_getBlockByNumber" => match which {
                "latest" => self.shown(Some(self.chain.tip())),
                "finalized" | "safe" => {
                    let named = self.finalized.map(|block| &self.all[&block.hash]);
                    self.shown(named)
                }
                number => {
                    let number = u64::from_str_radix(&number[2..], 16).unwrap();
                    let instead = self.instead.get(&number);
                    self.shown(instead.or_else(|| self.chain.header(number)))
                }
            },
            // Nothing is settled in the registry.
            "eth_getStorageAt" => json!(B256::ZERO),
            other => panic!("{other} is not asked for"),
        }
    }

    fn shown(&self, header: Option<&Header>) -> Value {
        let Some(header) = header else {
            return Value::Null;
        };
        let mut value = serde_json::to_value(header).unwrap();
        value["hash"] = json!(header.hash_slow());
        if self.garbled {
            value["gasUsed"] = json!("0x7");
        }
        value
    }
}

/// A server that shows a sheet.
pub struct Paper {
    pub sheet: Arc<Mutex<Sheet>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Paper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Paper {
    pub async fn start(chain: &Chain) -> Self {
        let mut sheet = Sheet {
            chain_id: 31_337,
            chain: chain.clone(),
            all: BTreeMap::new(),
            finalized: None,
            instead: BTreeMap::new(),
            down: false,
            garbled: false,
            forgetful: false,
            asked: BTreeMap::new(),
        };
        sheet.show(chain);
        let sheet = Arc::new(Mutex::new(sheet));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/{*key}", post(answer))
            .with_state(sheet.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            sheet,
            address,
            task,
        }
    }

    /// Its URL, with a key in it as providers give them out.
    pub fn url(&self) -> String {
        format!("http://{}/s3cr3t", self.address)
    }

    /// What may be shown of it.
    pub fn shown(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, change: impl FnOnce(&mut Sheet)) {
        change(&mut self.sheet.lock().unwrap());
    }
}

async fn answer(
    State(sheet): State<Arc<Mutex<Sheet>>>,
    Json(request): Json<Value>,
) -> axum::response::Response {
    // As long as a fast node takes; without it a walk would be over before anything can happen in it.
    tokio::time::sleep(Duration::from_micros(200)).await;
    let mut sheet = sheet.lock().unwrap();
    if sheet.down {
        return (StatusCode::BAD_GATEWAY, "Cannot POST /s3cr3t").into_response();
    }
    let result = sheet.answer(&request);
    Json(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })).into_response()
}
