//! Random scenarios: library and model say the same, and no call is lost or imported twice.

use super::{model, scenario};
use proptest::prelude::*;

const FORK: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Blocks off the fork: B on a, C on B, D on c, E on D.
const TREE: &str = "fork a b c d e f\nside a B C\nside c D E\n";

fn any_block() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["o", "a", "b", "c", "d", "e", "f", "B", "C", "D", "E"])
}

fn transaction() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("-".to_owned()),
        5 => any_block().prop_map(str::to_owned),
        1 => (any_block(), any_block()).prop_map(|(one, two)| format!("{one}+{two}")),
        1 => Just("zz".to_owned()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let calls = prop::collection::vec(1u64..80, 0..5);
    let queues = prop::collection::vec((any_block(), calls), 0..6);
    let lanes = prop::collection::vec(
        (any_block(), prop::collection::vec(transaction(), 0..5)),
        1..12,
    );
    (20u64..120, queues, lanes).prop_map(|(gas, mut queues, lanes)| {
        let mut text = format!("{TREE}gas {gas}\n");
        queues.retain(|(block, _)| *block != "o");
        queues.sort();
        queues.dedup_by_key(|(block, _)| *block);
        for (block, calls) in queues {
            let calls: Vec<_> = calls.iter().map(u64::to_string).collect();
            text += &format!("queue {block} {}\n", calls.join(" "));
        }
        for (context, transactions) in lanes {
            text += &format!("lane {context} {}\n", transactions.join(" "));
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn library_and_model_agree(text in text()) {
        let scenario = scenario::Scenario::read(&text);
        prop_assert_eq!(scenario::derive(&scenario), model::derive(&scenario), "{}", text);
    }

    #[test]
    fn calls_are_imported_once_in_order_and_the_context_never_falls(text in text()) {
        // Enough empty lane blocks at the tip bring in everything that F ever queued.
        let text = text + &"lane f\n".repeat(30);
        let scenario = scenario::Scenario::read(&text);
        let lines = scenario::derive(&scenario);
        let mut imported = Vec::new();
        let mut contexts = Vec::new();
        for line in &lines {
            let between = |from: &str, to: &str| {
                let start = line.find(from).expect("printed") + from.len();
                line[start..].split(to).next().expect("printed").to_owned()
            };
            contexts.push(between(" at ", " ").parse::<u64>().expect("a number"));
            let imports = between("import [", "]");
            imported.extend(imports.split(',').filter(|i| !i.is_empty()).map(str::to_owned));
        }
        prop_assert!(contexts.is_sorted());
        prop_assert_eq!(contexts.last(), Some(&6));
        let mut want = Vec::new();
        for (number, name) in FORK.iter().enumerate() {
            for (_, calls) in scenario.queue.iter().filter(|(block, _)| block == name) {
                want.extend((0..calls.len()).map(|log| format!("{}.{log}", number + 1)));
            }
        }
        prop_assert_eq!(imported, want, "{}", text);
    }
}
