use super::*;

#[test]
fn every_family_gives_distinct_valid_bundles_and_the_same_ones_again() {
    for family in Family::ALL {
        let first = bundles(family, 60, 150, 7).unwrap();
        assert_eq!(first, bundles(family, 60, 150, 7).unwrap());
        assert_ne!(first, bundles(family, 60, 150, 8).unwrap());
        let mut lists: Vec<_> = first.iter().map(|valued| &valued.members).collect();
        lists.sort();
        lists.dedup();
        assert_eq!(lists.len(), 150, "{}", family.name());
        for valued in &first {
            assert!(valued.members.is_sorted_by(|a, b| a < b));
            assert!(valued.members.iter().all(|member| member.get() < 60));
            assert!(valued.value > Gwei::ZERO);
        }
    }
}

#[test]
fn families_look_like_their_description() {
    let sizes = |family| {
        let lists = bundles(family, 100, 300, 1).unwrap();
        lists
            .iter()
            .map(|valued| valued.members.len())
            .collect::<Vec<_>>()
    };
    assert!(sizes(Family::Matching).iter().all(|size| *size == 2));
    let scheduling = bundles(Family::Scheduling, 100, 300, 1).unwrap();
    assert!(scheduling.iter().all(|valued| {
        valued
            .members
            .windows(2)
            .all(|pair| pair[0].get() + 1 == pair[1].get())
    }));
    assert!(sizes(Family::L2Like)[..100].iter().all(|size| *size == 1));
    assert!(
        sizes(Family::L2Like)[100..]
            .iter()
            .all(|size| (2..=8).contains(size))
    );
    let average = sizes(Family::Arbitrary).iter().sum::<usize>() as f64 / 300.0;
    assert!((5.0..15.0).contains(&average), "{average}");
}

#[test]
fn what_cannot_be_made_is_said() {
    assert!(matches!(
        bundles(Family::Scheduling, 3, 7, 0),
        Err(FamilyError::TooFewBundles {
            found: 6,
            wanted: 7,
            ..
        })
    ));
    assert!(matches!(
        bundles(Family::Matching, 7, 1, 0),
        Err(FamilyError::TooFewNamespaces { least: 8, .. })
    ));
    assert!(bundles(Family::Matching, 8, 4, 0).is_ok());
    let size = Size {
        namespaces: 10,
        bundles: 5,
        tickets: 4,
        slots: 1,
    };
    assert!(matches!(
        instance(Family::L2Like, size, 0),
        Err(FamilyError::TooFewTickets {
            tickets: 4,
            bundles: 5
        })
    ));
    for family in Family::ALL {
        let _ = bundles(family, 0, 1, 0).unwrap_err();
    }
}
