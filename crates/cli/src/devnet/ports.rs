//! Ports of a devnet: the familiar ones if they are free, any others if not. Chosen once and kept.

use anyhow::{Context, Result};
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

/// Hands out loopback addresses that nobody listens on.
#[derive(Default)]
pub struct Ports {
    taken: BTreeSet<u16>,
}

impl Ports {
    /// An address on loopback: `preferred` if it is free, else what the system gives.
    ///
    /// # Errors
    /// If the system has no port left.
    pub fn take(&mut self, preferred: u16) -> Result<SocketAddr> {
        for wanted in [preferred, 0] {
            // Held only for a moment: whoever takes it in between makes the service fail with the
            // address in the error.
            let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)) else {
                continue;
            };
            let address = listener.local_addr().context("reading a port")?;
            if self.taken.insert(address.port()) {
                return Ok(address);
            }
        }
        // The system gave one we hold already: rare; ask until it does not.
        loop {
            let listener =
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no loopback port is free")?;
            let address = listener.local_addr().context("reading a port")?;
            if self.taken.insert(address.port()) {
                return Ok(address);
            }
        }
    }
}
