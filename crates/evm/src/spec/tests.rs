use super::*;

fn header(base_fee: u64, gas_used: u64) -> Header {
    Header {
        base_fee_per_gas: Some(base_fee),
        gas_limit: 20_000_000,
        gas_used,
        ..Header::default()
    }
}

#[test]
fn the_base_fee_follows_the_vectors_of_eip_1559() {
    let spec = ChainSpec::ethereum(1);
    for (base_fee, used, next) in [
        (1_000_000_000, 10_000_000, 1_000_000_000),
        (1_000_000_000, 9_000_000, 987_500_000),
        (1_000_000_000, 11_000_000, 1_012_500_000),
        (1_000_000_000, 20_000_000, 1_125_000_000),
        (1_000_000_000, 0, 875_000_000),
    ] {
        assert_eq!(
            spec.next_base_fee(&header(base_fee, used)),
            next,
            "{used} gas used"
        );
    }
}

#[test]
fn the_base_fee_of_an_idle_rollup_rests_at_one_wei_and_rises_from_there() {
    let spec = ChainSpec::rollup(7);
    assert_eq!(spec.next_base_fee(&header(1, 0)), 1);
    assert_eq!(spec.next_base_fee(&header(1, 20_000_000)), 2);
    assert_eq!(spec.next_base_fee(&Header::default()), 1);
}

#[test]
fn excess_blob_gas_is_zero_without_blobs() {
    let full = Header {
        excess_blob_gas: Some(10_000_000),
        blob_gas_used: Some(21 * 131_072),
        ..header(7, 0)
    };
    assert_eq!(ChainSpec::rollup(7).next_excess_blob_gas(&full), 0);
    // Seven blobs above the target of fourteen.
    assert_eq!(
        ChainSpec::ethereum(1).next_excess_blob_gas(&full),
        10_000_000 + 7 * 131_072
    );
}

#[test]
fn a_spec_survives_json() {
    for spec in [ChainSpec::ethereum(1), ChainSpec::rollup(u64::MAX)] {
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<ChainSpec>(&json).unwrap(), spec);
    }
}
