//! The constants printed in `docs/protocol.md` are those of the code.

use crate::{genesis, limits};

#[test]
fn the_protocol_document_prints_the_constants_of_the_code() {
    let text = include_str!("../../../../docs/protocol.md");
    let constants: [(&str, u64); 21] = [
        ("PROTOCOL_VERSION", limits::PROTOCOL_VERSION.into()),
        ("LANE_BODY_BYTES_MAX", limits::LANE_BODY_BYTES_MAX as u64),
        (
            "LANE_TRANSACTIONS_MAX",
            limits::LANE_TRANSACTIONS_MAX as u64,
        ),
        (
            "TRANSACTION_BYTES_MAX",
            limits::TRANSACTION_BYTES_MAX as u64,
        ),
        ("BLOCK_BYTES_MAX", limits::BLOCK_BYTES_MAX as u64),
        ("LANES_PER_BLOCK_MAX", limits::LANES_PER_BLOCK_MAX as u64),
        (
            "OPERATIONS_PER_BLOCK_MAX",
            limits::OPERATIONS_PER_BLOCK_MAX as u64,
        ),
        (
            "L1_HEADERS_PER_MOVE_MAX",
            limits::L1_HEADERS_PER_MOVE_MAX as u64,
        ),
        ("L1_HEADER_BYTES_MAX", limits::L1_HEADER_BYTES_MAX as u64),
        ("SEATS_MAX", limits::SEATS_MAX as u64),
        ("SEATS_MIN", limits::SEATS_MIN as u64),
        ("NAMESPACES_MAX", limits::NAMESPACES_MAX as u64),
        ("DRIFT_MS", limits::DRIFT_MS),
        ("LAG_MS", limits::LAG_MS),
        ("GRACE_MS", limits::GRACE_MS),
        ("CONTEXT_LAG", limits::CONTEXT_LAG),
        ("REF_MAX", limits::REF_MAX),
        ("STALL_MS", limits::STALL_MS),
        (
            "L1_TRACKED_HEADERS_MAX",
            limits::L1_TRACKED_HEADERS_MAX as u64,
        ),
        ("SLOT_MS_MIN", genesis::SLOT_MS_MIN),
        ("L1_SLOT_MS_MAX", genesis::L1_SLOT_MS_MAX),
    ];
    for (name, value) in constants {
        let row = format!("| `{name}` | {value} |");
        assert!(text.contains(&row), "docs/protocol.md lacks the row {row}");
    }
    // And every limit of the code is in the list above.
    let source = include_str!("../limits.rs");
    for line in source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "))
    {
        let name = line.split(':').next().unwrap_or_default();
        assert!(
            constants.iter().any(|(listed, _)| *listed == name),
            "{name} is not documented"
        );
    }
}
