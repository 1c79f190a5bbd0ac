//! What the server counted. The owner reads the counters and exports them as it likes; there is
//! no global registry.

use std::sync::atomic::{AtomicU64, Ordering};

/// Monotone counters of one server, shared with its owner.
#[derive(Debug, Default)]
pub struct Counters {
    /// TCP connections accepted.
    pub connections_accepted: Counter,
    /// TCP connections refused because the limit was reached.
    pub connections_refused: Counter,
    /// Calls that reached a method or were refused by name, batch entries included.
    pub calls: Counter,
    /// Calls of a method that does not exist.
    pub unknown_methods: Counter,
    /// Calls answered with -32602.
    pub invalid_params: Counter,
    /// Calls answered with any other error.
    pub failed_calls: Counter,
    /// Calls refused because too many of the same connection were running.
    pub in_flight_refused: Counter,
    /// HTTP requests that were no JSON-RPC: bad JSON, no request object, batch too long.
    pub malformed: Counter,
    /// HTTP requests with a body above the limit.
    pub oversized: Counter,
    /// Subscriptions cut off because their client was too slow.
    pub slow_subscribers: Counter,
    /// Transactions refused by the backend.
    pub transactions_rejected: Counter,
    /// Transactions accepted by the backend.
    pub transactions_accepted: Counter,
}

impl Counters {
    /// All counters with their names, in the order of the fields.
    pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("connections_accepted", self.connections_accepted.get()),
            ("connections_refused", self.connections_refused.get()),
            ("calls", self.calls.get()),
            ("unknown_methods", self.unknown_methods.get()),
            ("invalid_params", self.invalid_params.get()),
            ("failed_calls", self.failed_calls.get()),
            ("in_flight_refused", self.in_flight_refused.get()),
            ("malformed", self.malformed.get()),
            ("oversized", self.oversized.get()),
            ("slow_subscribers", self.slow_subscribers.get()),
            ("transactions_rejected", self.transactions_rejected.get()),
            ("transactions_accepted", self.transactions_accepted.get()),
        ]
    }
}

/// One monotone counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one more.
    pub fn inc(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
