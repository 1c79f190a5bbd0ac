//! A JSON-RPC server that passes on what another answers, altered.

#![allow(dead_code)]

use axum::{Json, Router, extract::State, routing::post};
use serde_json::Value;
use std::{net::SocketAddr, sync::Arc};
use tokio::{sync::oneshot, task::JoinHandle};

type Alter = dyn Fn(&str, &mut Value) + Send + Sync;

pub struct Front {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Front {
    pub async fn start(
        upstream: String,
        alter: impl Fn(&str, &mut Value) + Send + Sync + 'static,
    ) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), upstream, alter).await
    }

    pub async fn start_at(
        address: SocketAddr,
        upstream: String,
        alter: impl Fn(&str, &mut Value) + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let alter: Arc<Alter> = Arc::new(alter);
        let router = Router::new()
            .route("/", post(pass_on))
            .with_state((upstream, alter));
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            // Closes what is idle too, so that a client has to connect anew.
            let stopped = async {
                let _ = stopped.await;
            };
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
                .unwrap();
        });
        Self {
            address,
            stop,
            task,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap();
    }
}

async fn pass_on(
    State((upstream, alter)): State<(String, Arc<Alter>)>,
    Json(request): Json<Value>,
) -> Json<Value> {
    let answer = reqwest::Client::new()
        .post(upstream)
        .json(&request)
        .send()
        .await
        .unwrap();
    let mut answer: Value = answer.json().await.unwrap();
    if let Some(result) = answer.get_mut("result") {
        alter(request["method"].as_str().unwrap_or_default(), result);
    }
    Json(answer)
}
