//! Learn what is final without voting.

use super::{MarshalMailbox, Payload};
use crate::{block::Digest, runtime::Runtime, scheme::Scheme};
use commonware_codec::Decode as _;
use commonware_consensus::{
    Reporter as _,
    simplex::types::{Activity, Certificate},
    types::View,
};
use commonware_cryptography::ed25519;
use commonware_p2p::Receiver;
use commonware_parallel::Sequential;
use commonware_runtime::Handle;
use tracing::debug;

/// Takes certificates off the wire, verifies finalisations that are newer than the newest known,
/// and hands them to marshal, which fetches what lies between. `idle` keeps channels registered
/// that a follower does not read: their messages are dropped when their queues are full.
pub(super) fn start<E, S, B, R, I>(
    context: E,
    scheme: S,
    mut marshal: MarshalMailbox<S, B>,
    (sender, mut certificates): (impl Send + 'static, R),
    idle: I,
) -> Handle<()>
where
    E: Runtime,
    S: Scheme,
    B: Payload,
    R: Receiver<PublicKey = ed25519::PublicKey>,
    I: Send + 'static,
{
    context.spawn(move |mut context| async move {
        let _keep = (sender, idle);
        let mut newest = View::zero();
        let config = scheme.certificate_codec_config();
        while let Ok((peer, bytes)) = certificates.recv().await {
            let decoded = Certificate::<S, Digest>::decode_cfg(bytes, &config);
            let finalization = match decoded {
                Ok(Certificate::Finalization(finalization)) => finalization,
                Ok(_) => continue,
                Err(error) => {
                    debug!(?peer, %error, "certificate does not decode");
                    continue;
                }
            };
            let view = finalization.proposal.round.view();
            // Every seat sends the same certificate; one verification is enough.
            if view <= newest || !finalization.verify(&mut context, &scheme, &Sequential) {
                continue;
            }
            newest = view;
            let _ = marshal.report(Activity::Finalization(finalization));
        }
    })
}
