//! What a relay asks of the finality chain.

use cortado_client::{Client, ClientError};
use cortado_types::{FinalityCertificate, Header, Height, Seat, Term};
use futures::future::BoxFuture;

/// A finalised header with its own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// The header.
    pub header: Header,
    /// Of exactly this header.
    pub certificate: FinalityCertificate,
}

/// The last block of a term, and the seats of the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// The last block.
    pub last: Certified,
    /// The next term's seats, ascending by identity.
    pub next_seats: Vec<Seat>,
}

/// The finality chain: every answer is verified, or none is given.
pub trait FinalityChain: Send + Sync {
    /// The newest finalised block with a certificate.
    fn head(&self) -> BoxFuture<'_, Result<Certified, ClientError>>;
    /// The block at `height`, or the first one after it that has a certificate of its own.
    fn certified(&self, height: Height) -> BoxFuture<'_, Result<Certified, ClientError>>;
    /// The end of a term; none while the term goes on.
    fn boundary(&self, term: Term) -> BoxFuture<'_, Result<Option<Boundary>, ClientError>>;
}

impl FinalityChain for Client {
    fn head(&self) -> BoxFuture<'_, Result<Certified, ClientError>> {
        Box::pin(async {
            let height = Client::head(self).await?.header().height;
            self.certified(height).await
        })
    }

    fn certified(&self, height: Height) -> BoxFuture<'_, Result<Certified, ClientError>> {
        Box::pin(async move {
            let (block, certificate, descendants) = self.block(height).await?.into_parts();
            let header = descendants.into_iter().next_back().unwrap_or(block.header);
            Ok(Certified {
                header,
                certificate,
            })
        })
    }

    fn boundary(&self, _term: Term) -> BoxFuture<'_, Result<Option<Boundary>, ClientError>> {
        // A chain of one term has no end of it.
        Box::pin(async { Ok(None) })
    }
}
