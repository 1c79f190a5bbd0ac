//! `/v1/namespaces`.

use super::{
    ApiError, Shared,
    params::{self, Query},
};
use crate::reader::{LanePlace, Tip};
use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use cortado_chain::NamespaceState;
use cortado_client::api::{
    BodyView, LaneView, LanesView, NamespaceView, NamespacesView,
    limits::{LANES_BODIES_BYTES_MAX, LANES_RANGE_MAX},
};
use cortado_types::{Height, LaneBody, LaneEntry, Namespace};

fn view(tip: &Tip, namespace: Namespace, state: &NamespaceState) -> NamespaceView {
    NamespaceView {
        namespace,
        reserve_holder: state.reserve_holder,
        slot_bytes_max: state.slot_bytes_max,
        lane_height: state.tip.height,
        lane_hash: state.tip.hash,
        height: tip.height(),
    }
}

pub(super) async fn all(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<NamespacesView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let tip = shared.tip();
    let namespaces = tip
        .state
        .namespaces
        .iter()
        .map(|(id, state)| view(&tip, *id, state))
        .collect();
    Ok(Json(NamespacesView { namespaces }))
}

pub(super) async fn one(
    State(shared): State<Shared>,
    Path(namespace): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<NamespaceView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let namespace = params::namespace(&namespace)?;
    let tip = shared.tip();
    let state = shared.namespace(&tip, namespace)?;
    Ok(Json(view(&tip, namespace, &state)))
}

/// A lane block with its place.
pub(super) struct Lane {
    pub(super) place: LanePlace,
    pub(super) entry: LaneEntry,
}

impl Shared {
    fn namespace(&self, tip: &Tip, namespace: Namespace) -> Result<NamespaceState, ApiError> {
        let state = tip.state.namespaces.get(&namespace).copied();
        state.ok_or_else(|| ApiError::unknown_namespace(namespace))
    }

    /// The finalised lane block of that height.
    pub(super) async fn lane(
        &self,
        namespace: Namespace,
        lane_height: Height,
    ) -> Result<Lane, ApiError> {
        let newest = self.namespace(&self.tip(), namespace)?.tip.height;
        if lane_height > newest {
            return Err(ApiError::not_final(lane_height, newest));
        }
        if lane_height == Height::ZERO {
            return Err(ApiError::parameter(
                "bad_lane_height",
                "a lane height",
                "0",
                "at least 1",
            ));
        }
        let oldest = || ApiError::pruned("lane block", lane_height, self.reader.oldest());
        let place = self
            .reader
            .place_of_lane(namespace, lane_height)
            .await?
            .ok_or_else(oldest)?;
        let block = self.reader.block(place.height).await?.ok_or_else(oldest)?;
        let entry = block.lanes.get(place.index).cloned();
        let entry = entry.ok_or_else(|| ApiError::unavailable("the lane index is inconsistent"))?;
        Ok(Lane { place, entry })
    }

    pub(super) async fn lane_body(&self, entry: &LaneEntry) -> Result<LaneBody, ApiError> {
        let hash = entry.lane.header.hash();
        let height = entry.lane.header.height;
        let body = self.reader.body(hash).await?;
        body.ok_or_else(|| ApiError::pruned("body", height, "what this node keeps"))
    }
}

pub(super) async fn lanes(
    State(shared): State<Shared>,
    Path(namespace): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<LanesView>, ApiError> {
    let query = Query::read(query.as_deref(), &["from", "to", "bodies"])?;
    let namespace = params::namespace(&namespace)?;
    let newest = shared.namespace(&shared.tip(), namespace)?.tip.height;
    let to = query.get("to", params::lane_height)?;
    let first = to
        .unwrap_or(newest)
        .get()
        .saturating_sub(LANES_RANGE_MAX - 1)
        .max(1);
    let from = query
        .get("from", params::lane_height)?
        .unwrap_or(Height::new(first));
    let last = from
        .get()
        .saturating_add(LANES_RANGE_MAX - 1)
        .min(newest.get());
    let to = to.unwrap_or(Height::new(last.max(from.get())));
    let bodies = query.flag("bodies")?;
    let span = params::span(from, to, LANES_RANGE_MAX)?;

    let mut answer = LanesView {
        lanes: Vec::new(),
        next: None,
    };
    let mut bytes = 0;
    for lane_height in span {
        // A range that reaches past the newest is answered as far as there is something.
        if lane_height > newest.get() {
            break;
        }
        let lane = shared.lane(namespace, Height::new(lane_height)).await?;
        let mut transactions = None;
        if bodies {
            let size = usize::try_from(lane.entry.lane.header.size).unwrap_or(usize::MAX);
            bytes = size.saturating_add(bytes);
            if bytes > LANES_BODIES_BYTES_MAX && !answer.lanes.is_empty() {
                answer.next = Some(Height::new(lane_height));
                break;
            }
            transactions = Some(shared.lane_body(&lane.entry).await?.transactions);
        }
        answer.lanes.push(LaneView {
            hash: lane.entry.lane.header.hash(),
            height: lane.place.height,
            index: lane.place.index,
            entry: lane.entry,
            transactions,
        });
    }
    Ok(Json(answer))
}

pub(super) async fn body(
    State(shared): State<Shared>,
    Path((namespace, lane_height)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<BodyView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let namespace = params::namespace(&namespace)?;
    let lane_height = params::lane_height(&lane_height)?;
    let lane = shared.lane(namespace, lane_height).await?;
    let body = shared.lane_body(&lane.entry).await?;
    Ok(Json(BodyView {
        namespace,
        lane_height,
        body_root: lane.entry.lane.header.body_root,
        transactions: body.transactions,
    }))
}
