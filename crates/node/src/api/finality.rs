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
        let mut descendants = Vec::new();
        let mut at = height;
        loop {
            if let Some(certificate) = self.reader.certificate(at).await? {
                let tip = descendants.last().unwrap_or(&block.header);
                let namespace = base_namespace(tip.chain_id, tip.seats_hash);
                let certificate =
                    CertificateView::new(height, &certificate, namespace, &descendants);
                return Ok(Finality { block, certificate });
            }
            if descendants.len() == DESCENDANTS_MAX {
                return Err(ApiError::no_certificate(height));
            }
            at = at.next().ok_or_else(|| ApiError::no_certificate(height))?;
            match self.reader.block(at).await? {
                Some(next) => descendants.push(next.header.clone()),
                None => return Err(ApiError::no_certificate(height)),
            }
        }
    }
}
