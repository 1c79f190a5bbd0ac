//! What the API counts.

use crate::reader::LocalStatus;
use cortado_client::api::{L1EndpointState, L1EndpointView};
use cortado_types::Header;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Refusal {
    code: &'static str,
}

/// Counters and gauges of one node's API.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Route, Counter>,
    refused: Family<Refusal, Counter>,
    connections: Gauge,
    event_readers: Gauge,
    height: Gauge,
    timestamp: Gauge,
    l1_head: Gauge,
    l1_fin: Gauge,
    l1_node_head: Gauge,
    l1_endpoints: Gauge,
    l1_waits: Gauge,
    clock_skew: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("cortado");
        let requests = Family::default();
        let refused = Family::default();
        registry.register("api_requests", "Requests by route", requests.clone());
        registry.register(
            "api_refused",
            "Requests and connections refused, by the code of the refusal",
            refused.clone(),
        );
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            connections: gauge("api_connections", "Open connections"),
            event_readers: gauge("api_event_readers", "Readers of the event stream"),
            height: gauge("height", "Newest finalised block"),
            timestamp: gauge("timestamp_ms", "Time of the newest finalised block"),
            l1_head: gauge("l1_head", "L1 block that the chain points at"),
            l1_fin: gauge("l1_fin", "L1 block that the chain knows finalised"),
            l1_node_head: gauge("l1_node_head", "Newest block of this node's L1 node"),
            l1_endpoints: gauge("l1_endpoints", "Endpoints of L1 that are of use"),
            l1_waits: gauge(
                "l1_waits",
                "Things of L1 that wait, as the status names them",
            ),
            clock_skew: gauge(
                "clock_skew_ms",
                "How far this node's clock seems to be ahead",
            ),
            requests,
            refused,
            registry,
        }
    }
}

impl Metrics {
    pub(super) fn request(&self, route: &'static str) {
        self.requests.get_or_create(&Route { route }).inc();
    }

    /// Counts a refusal by its code.
    pub fn refused(&self, code: &'static str) {
        self.refused.get_or_create(&Refusal { code }).inc();
    }

    /// How many refusals of this code there were.
    pub fn refusals(&self, code: &'static str) -> u64 {
        self.refused.get_or_create(&Refusal { code }).get()
    }

    /// Open connections now.
    pub fn connections_open(&self) -> i64 {
        self.connections.get()
    }

    pub(super) fn connections(&self) -> &Gauge {
        &self.connections
    }

    pub(super) fn event_readers(&self) -> &Gauge {
        &self.event_readers
    }

    pub(super) fn set_tip(&self, header: &Header, local: &LocalStatus) {
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.height, header.height.get());
        set(&self.timestamp, header.timestamp.get());
        set(&self.l1_head, header.l1_head.block.number);
        set(&self.l1_fin, header.l1_fin.number);
        if let Some(head) = local.l1_node.as_ref().and_then(|node| node.head) {
            set(&self.l1_node_head, head.number);
        }
        if let Some(node) = &local.l1_node {
            let of_use = |one: &&L1EndpointView| {
                matches!(one.state, L1EndpointState::Used | L1EndpointState::Ready)
            };
            set(
                &self.l1_endpoints,
                node.endpoints.iter().filter(of_use).count() as u64,
            );
            set(&self.l1_waits, node.waits.len() as u64);
        }
        self.clock_skew.set(local.clock_skew_ms.unwrap_or(0));
    }

    /// `below`, then our own, in Prometheus' text format.
    pub(super) fn encode(&self, below: &str) -> String {
        let mut text = below.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        // Writing to a string cannot fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}
