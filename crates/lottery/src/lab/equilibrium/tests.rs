use super::*;
use crate::batch::Member;
use crate::lab::families::{Family, bundles};

fn valued(members: &[u32], value: u64) -> Valued {
    let members = members.iter().copied().map(Member::new).collect();
    Valued {
        members,
        value: Gwei::new(value),
    }
}

/// Two bidders of equal value v for the same namespace (on bundles of their own, so that pools
/// differ): Kelly's mechanism, where each stakes v/4.
#[test]
fn two_equal_rivals_stake_a_quarter_of_their_value() {
    let bidders = [valued(&[0, 1], 1_000_000), valued(&[0, 2], 1_000_000)];
    let game = Game::new(3, &bidders);
    let effort = Effort {
        samples: 4_000,
        rounds: 60,
        nodes: 1_000,
    };
    let (stakes, _) = game.settle(effort, &mut Mix::new(1));
    for stake in stakes {
        assert!((stake / 250_000.0 - 1.0).abs() < 0.05, "{stake}");
    }
}

#[test]
fn the_core_of_two_rivals_is_the_second_value() {
    let bids = [valued(&[0, 1], 100), valued(&[0, 2], 70)].map(|one| Bid {
        members: one.members,
        amount: one.value,
        source: None,
    });
    let auction = Auction::from_bids(3, bids.to_vec());
    let (best, _) = solve_exact(&auction, 100).unwrap();
    assert_eq!(core_payments(&auction, &best, 100), Ok(Sum::new(70)));
}

#[test]
fn the_lottery_keeps_most_of_the_welfare_and_spreads_the_holders() {
    for family in [Family::Regions, Family::L2Like] {
        let bidders = bundles(family, 16, 40, 3).unwrap();
        let effort = Effort {
            samples: 100,
            rounds: 40,
            nodes: 200_000,
        };
        let result = compare(16, &bidders, effort, 1).unwrap();
        assert!((0.68..1.0).contains(&result.lottery_welfare), "{result:?}");
        assert!((0.2..0.9).contains(&result.lottery_revenue), "{result:?}");
        assert!((0.05..0.9).contains(&result.lottery_repeat), "{result:?}");
        assert!(
            result.lottery_revenue < result.auction_revenue,
            "{result:?}"
        );
        assert!(result.auction_revenue <= 1.0, "{result:?}");
    }
}
