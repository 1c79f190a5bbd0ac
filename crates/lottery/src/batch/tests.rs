use super::*;

fn members(list: &[u32]) -> Vec<Member> {
    list.iter().copied().map(Member::new).collect()
}

fn bundles(lists: &[&[u32]]) -> Bundles {
    let mut bundles = Bundles::default();
    for list in lists {
        bundles.push(&members(list)).unwrap();
    }
    bundles
}

fn ticket(id: u64, bundle: u32, stake: u64) -> Ticket {
    Ticket {
        id: TicketId::new(id),
        owner: OwnerId::new(0),
        bundle: BundleIndex::new(bundle),
        stake: Gwei::new(stake),
    }
}

fn reserves(n: usize) -> Vec<Gwei> {
    vec![Gwei::ZERO; n]
}

#[test]
fn a_bundle_has_one_to_256_increasing_members() {
    let mut list = Bundles::default();
    assert_eq!(
        list.push(&[]),
        Err(BatchError::BundleSize {
            bundle: 0,
            found: 0
        })
    );
    let most: Vec<u32> = (0..256).collect();
    assert_eq!(list.push(&members(&most)), Ok(BundleIndex::new(0)));
    let more: Vec<u32> = (0..257).collect();
    assert_eq!(
        list.push(&members(&more)),
        Err(BatchError::BundleSize {
            bundle: 1,
            found: 257
        })
    );
    let order = |found| BatchError::BundleOrder {
        bundle: 1,
        previous: 4,
        found,
    };
    assert_eq!(list.push(&members(&[4, 4])), Err(order(4)));
    assert_eq!(list.push(&members(&[4, 3])), Err(order(3)));
}

#[test]
fn a_batch_has_namespaces() {
    let error = Batch::new(Vec::new(), Bundles::default(), Vec::new());
    assert_eq!(error, Err(BatchError::Namespaces { found: 0 }));
    let error = Batch::new(reserves(NAMESPACES_MAX + 1), Bundles::default(), Vec::new());
    assert_eq!(
        error,
        Err(BatchError::Namespaces {
            found: NAMESPACES_MAX as u64 + 1
        })
    );
}

#[test]
fn a_member_must_be_a_namespace_of_the_batch() {
    let error = Batch::new(reserves(3), bundles(&[&[0], &[1, 3]]), Vec::new());
    assert_eq!(
        error,
        Err(BatchError::UnknownMember {
            bundle: 1,
            found: 3,
            namespaces: 3
        })
    );
}

#[test]
fn a_ticket_names_a_listed_bundle_pays_and_has_its_own_id() {
    let batch = |tickets| Batch::new(reserves(1), bundles(&[&[0]]), tickets);
    assert!(batch(vec![ticket(0, 0, 1)]).is_ok());
    let id = TicketId::new;
    assert_eq!(
        batch(vec![ticket(5, 1, 1)]),
        Err(BatchError::UnknownBundle {
            ticket: id(5),
            found: 1,
            bundles: 1
        })
    );
    assert_eq!(
        batch(vec![ticket(5, 0, 0)]),
        Err(BatchError::ZeroStake { ticket: id(5) })
    );
    let twice = vec![ticket(5, 0, 1), ticket(2, 0, 1), ticket(5, 0, 1)];
    assert_eq!(
        batch(twice),
        Err(BatchError::DuplicateTicket { ticket: id(5) })
    );
    let unsorted = vec![ticket(5, 0, 1), ticket(2, 0, 1)];
    assert!(
        batch(unsorted).is_ok(),
        "order in the list is no rule, only ids are"
    );
}

#[test]
fn a_batch_has_at_most_so_many_tickets() {
    let tickets = |count: u64| (0..count).map(|id| ticket(id, 0, 1)).collect();
    let batch = |count| Batch::new(reserves(1), bundles(&[&[0]]), tickets(count));
    assert!(batch(TICKETS_MAX as u64).is_ok());
    assert_eq!(
        batch(TICKETS_MAX as u64 + 1),
        Err(BatchError::TooManyTickets)
    );
}

#[test]
fn only_bundles_with_stake_count_against_the_limit_of_pools() {
    let count = POOLS_MAX as u32 + 1;
    let mut list = Bundles::default();
    for member in 0..count {
        list.push(&[Member::new(member)]).unwrap();
    }
    let tickets = |bundles: u32| -> Vec<Ticket> {
        (0..bundles)
            .map(|bundle| ticket(bundle.into(), bundle, 1))
            .collect()
    };
    let batch = |used| Batch::new(reserves(count as usize), list.clone(), tickets(used));
    assert!(batch(count - 1).is_ok());
    assert_eq!(
        batch(count),
        Err(BatchError::TooManyPools {
            found: count as usize
        })
    );

    // The same list twice is one pool.
    let mut list = list.clone();
    let again = list.push(&[Member::new(0)]).unwrap();
    let mut tickets = tickets(count - 1);
    tickets.push(ticket(u64::MAX, again.get(), 1));
    assert!(Batch::new(reserves(count as usize), list, tickets).is_ok());
}

#[test]
fn the_list_of_bundles_ends() {
    let mut list = Bundles::default();
    for _ in 0..BUNDLES_MAX {
        list.push(&[Member::new(0)]).unwrap();
    }
    assert_eq!(
        list.push(&[Member::new(0)]),
        Err(BatchError::TooManyBundles)
    );
    assert_eq!(list.get(BUNDLES_MAX - 1), Some(&[Member::new(0)][..]));
    assert_eq!(list.get(BUNDLES_MAX), None);
    assert_eq!(list.get(usize::MAX), None);
}
