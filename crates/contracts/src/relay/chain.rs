//! What a relay asks of the finality chain.

use crate::plan::HEADER_BYTES_MAX;
use cortado_client::{Client, ClientError};
use cortado_types::{FinalityCertificate, Header, Height, Seat, Term, decode_exact};
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
    /// The end of a term before that of the head that was asked for last; none of others.
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

    fn boundary(&self, term: Term) -> BoxFuture<'_, Result<Option<Boundary>, ClientError>> {
        Box::pin(async move {
            if self.light().newest_term() <= term {
                return Ok(None);
            }
            let view = Client::boundary(self, term).await?;
            let certificate = view.certificate.certificate();
            // It was verified, so it decodes.
            let header = decode_exact("header", &view.header_rlp, HEADER_BYTES_MAX)
                .map_err(|error| ClientError::Genesis(error.to_string()))?;
            let last = Certified {
                header,
                certificate,
            };
            Ok(Some(Boundary {
                last,
                next_seats: view.next_seats,
            }))
        })
    }
}
