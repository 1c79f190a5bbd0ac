//! What makes a block final: its own certificate, or that of a descendant and the headers between.

use super::{ApiError, Shared};
use cortado_client::api::{CertificateView, limits::DESCENDANTS_MAX};
use cortado_types::{Block, Height, seats::base_namespace};
use std::sync::Arc;

/// A finalised block and what makes it so.
pub(super) struct Finality {
    pub(super) block: Arc<Block>,
    pub(super) certificate: CertificateView,
}

impl Shared {
    /// The finalised block at `height`.
    pub(super) async fn block(&self, height: Height) -> Result<Arc<Block>, ApiError> {
        self.reader
            .block(height)
            .await?
            .ok_or_else(|| self.absent(height))
    }

    /// The certificate nearest to `height` at or above it. The engine may finalise a block only
    /// through a descendant, and then there is none of its own.
    pub(super) async fn finality(&self, height: Height) -> Result<Finality, ApiError> {
        let block = self.block(height).await?;
        let missing = || ApiError::no_certificate(height);
        let (at, certificate) = self.reader.certificate(height).await?.ok_or_else(missing)?;
        let count = at.get().saturating_sub(height.get());
        if count > DESCENDANTS_MAX as u64 {
            return Err(missing());
        }
        let mut descendants = Vec::new();
        for next in height.get() + 1..=at.get() {
            descendants.push(self.block(Height::new(next)).await?.header.clone());
        }
        let tip = descendants.last().unwrap_or(&block.header);
        let namespace = base_namespace(tip.chain_id, tip.seats_hash);
        let certificate = CertificateView::new(height, &certificate, namespace, &descendants);
        Ok(Finality { block, certificate })
    }
}
