//! Apply one block, or say why it is invalid for ever.

mod rejection;

pub use rejection::{Rejection, SeatsRejection};

use crate::{
    lane::{check_form, check_lane, check_place},
    state::{Seating, State, proposer_of},
};
use alloy_rlp::Encodable;
use cortado_l1::{BlockCount, read_seats};
use cortado_types::{
    B256, Block, Header, L1Head, LaneEntry, Namespace, Operation, PointerMove, ReadSeats, Subject,
    SubjectKind, TimestampMs, View,
    block::{L1Finality, group_hash},
    keccak256,
    limits::{
        BLOCK_BYTES_MAX, DRIFT_MS, LANES_PER_BLOCK_MAX, OPERATIONS_PER_BLOCK_MAX, PROTOCOL_VERSION,
    },
};
use std::collections::BTreeMap;

/// Whether signatures are checked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// A block from somebody else.
    All,
    /// A block this node has built or checked before, or one with a finality certificate; its
    /// signatures, signers and certificates are not verified again. Everything else is.
    Replay,
}

/// Applies `block`, a child of `parent`, to the state after `parent`.
///
/// # Errors
/// [`Rejection`] if the block is invalid; it then is so on every honest attester.
pub fn apply(
    state: &State,
    parent: &Header,
    block: &Block,
    checks: Checks,
) -> Result<State, Rejection> {
    let header = &block.header;
    check_header(state, parent, header)?;
    let length = block.length();
    if length > BLOCK_BYTES_MAX {
        let limit = BLOCK_BYTES_MAX;
        return Err(Rejection::TooMany {
            what: "bytes",
            count: length,
            limit,
        });
    }
    let next = transition(
        state,
        parent,
        header.timestamp,
        &block.lanes,
        &block.operations,
        checks,
    )?;
    let want = seal(
        state,
        &next,
        parent,
        header,
        &block.lanes,
        &block.operations,
    );
    compare(header, &want)?;
    Ok(next)
}

fn check_header(state: &State, parent: &Header, header: &Header) -> Result<(), Rejection> {
    if header.version != PROTOCOL_VERSION {
        return Err(Rejection::Version {
            got: header.version,
        });
    }
    let want = state.config.chain_id;
    if header.chain_id != want {
        return Err(Rejection::Chain {
            got: header.chain_id,
            want,
        });
    }
    if header.term != state.term {
        return Err(Rejection::Term {
            got: header.term,
            want: state.term,
        });
    }
    let parent_hash = parent.hash();
    if header.parent != parent_hash || Some(header.height) != parent.height.next() {
        return Err(Rejection::Parent {
            height: header.height,
            parent: header.parent,
            parent_height: parent.height,
            parent_hash,
        });
    }
    let want = parent_view(state, parent);
    if header.parent_view != want || header.view <= want {
        return Err(Rejection::ParentView {
            view: header.view,
            got: header.parent_view,
            want,
        });
    }
    if header.timestamp < parent.timestamp {
        return Err(Rejection::TimeDecreases {
            time: header.timestamp,
            parent: parent.timestamp,
        });
    }
    Ok(())
}

/// R5a: views begin anew with each term.
fn parent_view(state: &State, parent: &Header) -> View {
    if parent.term == state.term {
        parent.view
    } else {
        View::ZERO
    }
}

/// The state after lanes, then operations (R8), then the end of the term if it is due (R5a).
pub(crate) fn transition(
    state: &State,
    parent: &Header,
    time: TimestampMs,
    lanes: &[LaneEntry],
    operations: &[Operation],
    checks: Checks,
) -> Result<State, Rejection> {
    let mut next = state.clone();
    next.history.push(parent.hash());
    let (count, limit) = (lanes.len(), LANES_PER_BLOCK_MAX);
    if count > limit {
        return Err(Rejection::TooMany {
            what: "lane entries",
            count,
            limit,
        });
    }
    let (count, limit) = (operations.len(), OPERATIONS_PER_BLOCK_MAX);
    if count > limit {
        return Err(Rejection::TooMany {
            what: "operations",
            count,
            limit,
        });
    }
    append_lanes(&mut next, lanes, time, checks)?;
    if let Some(broken) = broken_groups(lanes).into_iter().next() {
        let BrokenGroup {
            group,
            members,
            got,
        } = broken;
        return Err(Rejection::Group {
            group,
            members,
            got,
        });
    }
    let mut rank = 0;
    for (index, operation) in operations.iter().enumerate() {
        let of_kind = match operation {
            Operation::MovePointer(_) => 1,
            Operation::FinalizeL1(_) => 2,
            Operation::ReadSeats(_) => 3,
        };
        if of_kind <= rank {
            return Err(Rejection::OperationOrder { index });
        }
        rank = of_kind;
        match operation {
            Operation::MovePointer(moved) => move_pointer(&mut next, index, moved, time, checks)?,
            Operation::FinalizeL1(finality) => finalize_l1(&mut next, index, finality, checks)?,
            Operation::ReadSeats(read) => take_seats(&mut next, read)?,
        }
    }
    // The seats that take over are those due before this block, so that they are known before it.
    if state.ends_term(time) {
        next.hand_over(&state.due, time);
    }
    Ok(next)
}

/// R6: appends lane entries in order. On an error the entries before it have been appended.
pub(crate) fn append_lanes(
    state: &mut State,
    lanes: &[LaneEntry],
    time: TimestampMs,
    checks: Checks,
) -> Result<(), Rejection> {
    (0..lanes.len()).try_for_each(|index| append(state, index, lanes, time, checks))
}

/// R6, R6a: appends one lane entry.
fn append(
    state: &mut State,
    index: usize,
    lanes: &[LaneEntry],
    time: TimestampMs,
    checks: Checks,
) -> Result<(), Rejection> {
    let entry = &lanes[index];
    let header = &entry.lane.header;
    let namespace = header.namespace;
    let lane = |source| Rejection::Lane { index, source };
    match checks {
        Checks::All => check_lane(state, &entry.lane).map(drop).map_err(lane)?,
        Checks::Replay => check_form(state, header).map_err(lane)?,
    }
    let tip = check_place(state, &entry.lane, time).map_err(lane)?;
    match &entry.certificate {
        Some(certificate) if checks == Checks::All => {
            let subject = Subject {
                kind: SubjectKind::Available,
                hash: tip.hash,
            };
            certificate
                .verify(&subject, state.config.chain_id, state.term, &state.seats)
                .map_err(|source| Rejection::Availability { index, source })?;
        }
        Some(_) => {}
        // A child's certificate covers it, and only a child can come right after it.
        None => {
            let covered = lanes.get(index + 1).is_some_and(|child| {
                child.lane.header.namespace == namespace && child.lane.header.parent == tip.hash
            });
            if !covered {
                return Err(Rejection::Uncertified { index, namespace });
            }
        }
    }
    if let Some(entry) = state.namespaces.get_mut(&namespace) {
        entry.tip = tip;
    }
    Ok(())
}

/// A group whose members in a block do not hash to it.
pub(crate) struct BrokenGroup {
    pub(crate) group: B256,
    members: usize,
    got: B256,
}

/// R6b: together or not at all.
pub(crate) fn broken_groups(lanes: &[LaneEntry]) -> Vec<BrokenGroup> {
    let mut groups: BTreeMap<B256, Vec<_>> = BTreeMap::new();
    for entry in lanes {
        let header = &entry.lane.header;
        if !header.group.is_zero() {
            let member = (header.namespace, header.slot, header.seq, header.body_root);
            groups.entry(header.group).or_default().push(member);
        }
    }
    let mut broken = Vec::new();
    for (group, mut members) in groups {
        members.sort_unstable();
        let got = group_hash(&members);
        if got != group {
            let members = members.len();
            broken.push(BrokenGroup {
                group,
                members,
                got,
            });
        }
    }
    broken
}

/// The weight of forks that this chain goes by (R9).
pub const FORK_RULE: BlockCount = BlockCount;

/// R9.
fn move_pointer(
    state: &mut State,
    index: usize,
    moved: &PointerMove,
    time: TimestampMs,
    checks: Checks,
) -> Result<(), Rejection> {
    // An L1 block of the present L1 slot may be a fraction of a second ahead of our clock.
    let latest = time.plus(DRIFT_MS).seconds() + 1;
    state.l1.take(&moved.headers, latest, &FORK_RULE)?;
    let target = moved.headers.last().map(keccak256).unwrap_or_default();
    let slot = state.config.clock.slot_at(time);
    if let Some(holder) = proposer_of(state, Namespace::L1_POINTER, slot) {
        let until = state
            .config
            .clock
            .start(slot)
            .plus(state.config.clock.slot_ms * 2 / 3);
        let mover = match &moved.mover {
            Some(signature) => Some(
                signature
                    .recover(PointerMove::digest(state.config.chain_id, slot, target))
                    .map_err(Rejection::MoverSignature)?,
            ),
            None => None,
        };
        if time < until && mover != Some(holder) {
            return Err(Rejection::NotMover {
                holder,
                mover,
                slot,
                until,
            });
        }
    }
    verify_subject(
        state,
        index,
        SubjectKind::Sight,
        target,
        &moved.sight,
        checks,
    )
}

/// R10.
fn finalize_l1(
    state: &mut State,
    index: usize,
    finality: &L1Finality,
    checks: Checks,
) -> Result<(), Rejection> {
    state.l1.finalize(finality.block)?;
    let hash = finality.block.hash;
    verify_subject(
        state,
        index,
        SubjectKind::L1Final,
        hash,
        &finality.certificate,
        checks,
    )
}

/// R10: takes over the seats that the registry had settled in an L1 block known finalised. Nobody's
/// word is needed: the block's header is tracked, and what stands in its state is proved.
fn take_seats(state: &mut State, operation: &ReadSeats) -> Result<(), Rejection> {
    let registry = state.config.registry;
    let settled =
        read_seats(&operation.header, registry, &operation.read).map_err(SeatsRejection::from)?;
    let (block, fin) = (settled.block, state.l1.fin());
    if !state.l1.is_on_chain_of(&block, &fin.hash) {
        return Err(SeatsRejection::NotFinal { block, fin }.into());
    }
    if block.number <= state.read_at {
        let (number, last) = (block.number, state.read_at);
        return Err(SeatsRejection::NotNewer { number, last }.into());
    }
    let due = Seating::from(&settled);
    if due == state.due {
        let seats = due.seats.hash();
        return Err(SeatsRejection::Unchanged { seats }.into());
    }
    state.due = due;
    state.read_at = block.number;
    Ok(())
}

fn verify_subject(
    state: &State,
    index: usize,
    kind: SubjectKind,
    hash: B256,
    certificate: &cortado_types::QuorumCertificate,
    checks: Checks,
) -> Result<(), Rejection> {
    if checks == Checks::Replay {
        return Ok(());
    }
    certificate
        .verify(
            &Subject { kind, hash },
            state.config.chain_id,
            state.term,
            &state.seats,
        )
        .map_err(|source| Rejection::OperationCertificate { index, source })
}

/// The header that `lanes` and `operations` on `parent` make; view and time are `like`'s.
pub(crate) fn seal(
    state: &State,
    next: &State,
    parent: &Header,
    like: &Header,
    lanes: &[LaneEntry],
    operations: &[Operation],
) -> Header {
    Header {
        version: PROTOCOL_VERSION,
        chain_id: next.config.chain_id,
        term: state.term,
        view: like.view,
        parent_view: parent_view(state, parent),
        height: like.height,
        parent: like.parent,
        slot: next.config.clock.slot_at(like.timestamp),
        timestamp: like.timestamp,
        l1_head: L1Head::whole(next.l1.head()),
        l1_fin: next.l1.fin(),
        lanes_root: Block::lanes_root(lanes),
        operations_root: Block::operations_root(operations),
        state_root: next.root(),
        history_root: next.history.root(),
        seats_hash: state.seats.hash(),
        // R5a: other seats only in the last block of a term.
        next_seats_hash: next.seats.hash(),
    }
}

fn compare(got: &Header, want: &Header) -> Result<(), Rejection> {
    if got.slot != want.slot {
        return Err(Rejection::Slot {
            got: got.slot,
            want: want.slot,
        });
    }
    let hashes = [
        ("lanes root", got.lanes_root, want.lanes_root),
        ("operations root", got.operations_root, want.operations_root),
        ("state root", got.state_root, want.state_root),
        ("history root", got.history_root, want.history_root),
        ("seats hash", got.seats_hash, want.seats_hash),
        ("next seats hash", got.next_seats_hash, want.next_seats_hash),
    ];
    for (what, got, want) in hashes {
        if got != want {
            return Err(commitment(what, got, want));
        }
    }
    if got.l1_head != want.l1_head {
        return Err(commitment("L1 head", got.l1_head, want.l1_head));
    }
    if got.l1_fin != want.l1_fin {
        return Err(commitment("L1fin", got.l1_fin, want.l1_fin));
    }
    Ok(())
}

fn commitment<T: std::fmt::Debug>(what: &'static str, got: T, want: T) -> Rejection {
    Rejection::Commitment {
        what,
        got: format!("{got:?}"),
        want: format!("{want:?}"),
    }
}
