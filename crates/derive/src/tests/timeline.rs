//! Lane blocks derived step by step while L1 forks, against deriving all of them from the start.

use super::{
    model,
    scenario::{Names, Scenario, block, derive, hash, lane, line},
};
use crate::*;
use cortado_l1::TrackedHeader;
use cortado_types::{B256, Bytes, L1Ref, LaneBody};
use proptest::prelude::*;
use std::sync::Arc;

/// An L1 with forks as text: each word after the first is a block, its parent before it.
///
/// ```text
/// o a b c      a on o, b on a, c on b
/// a B C        B on a, C on B
/// ```
struct Dag {
    /// (name, parent), parents first.
    blocks: Vec<(String, String)>,
}

impl Dag {
    fn read(text: &str) -> Self {
        let mut blocks = Vec::new();
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            blocks.extend(words.windows(2).map(|w| (w[1].clone(), w[0].clone())));
        }
        Self { blocks }
    }

    fn parent(&self, name: &str) -> Option<&str> {
        let found = self.blocks.iter().find(|(block, _)| block == name);
        found.map(|(_, parent)| parent.as_str())
    }

    /// The block and its ancestors, the anchor last.
    fn line(&self, name: &str) -> Vec<String> {
        let mut line = vec![name.to_owned()];
        while let Some(parent) = self.parent(line.last().expect("not empty")) {
            line.push(parent.to_owned());
        }
        line
    }

    fn at(&self, name: &str) -> L1Ref {
        L1Ref {
            number: self.line(name).len() as u64 - 1,
            hash: hash(name),
        }
    }

    fn headers(&self) -> Vec<TrackedHeader> {
        let header = |(name, parent): &(String, String)| block(name, self.at(name).number, parent);
        self.blocks.iter().map(header).collect()
    }

    /// The same lane blocks on the fork that ends in `tip`.
    fn scenario(&self, tip: &str, queue: &[(String, Vec<u64>)], lanes: &[LaneText]) -> Scenario {
        let mut fork = self.line(tip);
        fork.pop();
        fork.reverse();
        let on_fork = |(name, _): &&(String, String)| !fork.contains(name);
        Scenario {
            sides: self.blocks.iter().filter(on_fork).cloned().collect(),
            fork,
            queue: queue.to_vec(),
            gas: GAS,
            lanes: lanes.to_vec(),
        }
    }
}

const GAS: u64 = 60;

type LaneText = (String, Vec<String>);

struct Driver {
    dag: Dag,
    queue: Vec<(String, Vec<u64>)>,
    timeline: Timeline<Names>,
    lanes: Vec<LaneText>,
    lines: Vec<String>,
    settled: usize,
    /// Blocks of which nobody says what they queued.
    withheld: Vec<B256>,
}

impl Driver {
    fn new(dag: &str, queue: Vec<(String, Vec<u64>)>) -> Self {
        let fork = Fork::with_queue(block("o", 0, "nothing"));
        let anchor = L1Ref {
            number: 0,
            hash: hash("o"),
        };
        let params = Params { import_gas: GAS };
        let mut driver = Self {
            dag: Dag::read(dag),
            queue,
            timeline: Timeline::new(Names, params, fork, Cursor::new(anchor)),
            lanes: Vec::new(),
            lines: Vec::new(),
            settled: 0,
            withheld: Vec::new(),
        };
        // All forks are tracked before any lane block is built on them.
        let headers = driver.dag.headers();
        let advance = driver.timeline.advance(vec![], &headers, (anchor, anchor));
        advance.expect("linked");
        driver
    }

    fn tell(&mut self, missing: L1Ref) {
        let name = self
            .dag
            .blocks
            .iter()
            .find(|(name, _)| hash(name) == missing.hash);
        let name = &name.expect("of the dag").0;
        let calls = self.queue.iter().find(|(block, _)| block == name);
        let entry = |(log_index, gas): (usize, &u64)| Entry {
            block: missing,
            log_index: log_index as u64,
            gas: *gas,
            payload: Bytes::new(),
        };
        let entries = calls.map(|(_, calls)| calls.iter().enumerate().map(entry).collect());
        let entries = entries.unwrap_or_default();
        self.timeline.fork_mut().set_entries(missing.hash, entries);
    }

    /// One block of the finality chain. What L1 blocks queued is told when it is asked for.
    fn step(&mut self, lanes: &[LaneText], head: &str, fin: &str) {
        let taken: Vec<_> = lanes
            .iter()
            .map(|(context, names)| Lane {
                header: lane(self.dag.at(context)),
                body: Arc::new(LaneBody {
                    transactions: names
                        .iter()
                        .map(|name| name.clone().into_bytes().into())
                        .collect(),
                }),
            })
            .collect();
        let to = (self.dag.at(head), self.dag.at(fin));
        self.lanes.extend_from_slice(lanes);
        let mut advance = self.timeline.advance(taken, &[], to).expect("linked");
        assert_eq!(advance.derived, self.lines.len() - self.settled);
        self.lines.truncate(self.settled + advance.kept);
        // Each question is about one more L1 block.
        for _ in 0..=self.dag.blocks.len() {
            for input in &advance.inputs {
                let count = self.lanes[self.lines.len()].1.len();
                self.lines.push(line(input, count));
            }
            let Some(NotYet(missing)) = self.timeline.missing() else {
                break;
            };
            if self.withheld.contains(&missing.hash) {
                break;
            }
            self.tell(missing);
            advance = self.timeline.catch_up();
        }
        assert_eq!(
            self.lines.len() + self.timeline.waiting().len(),
            self.lanes.len()
        );
        self.settled += self.timeline.settle(&to.1);
        self.timeline.prune();
    }

    /// All lane blocks derived from the start on the present fork: by the library, and by the model.
    fn all_at_once(&self, tip: &str) -> [Vec<String>; 2] {
        let scenario = self.dag.scenario(tip, &self.queue, &self.lanes);
        [derive(&scenario), model::derive(&scenario)]
    }
}

fn lanes(text: &str) -> Vec<LaneText> {
    let one = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let context = words.next()?;
        Some((context, words.collect()))
    };
    text.lines().filter_map(one).collect()
}

#[test]
fn a_reorg_drops_what_referred_to_the_dropped_blocks_and_nothing_else() {
    let mut driver = Driver::new("o a b c\na B C D", vec![("b".into(), vec![50, 30])]);
    driver.step(&lanes("a -\nc - a b"), "c", "o");
    assert_eq!(
        driver.lines,
        [
            "block at 1 import [] run [in]",
            "block at 1 import [2.0] run [in,in,in]"
        ]
    );
    driver.step(&[], "D", "o");
    assert_eq!(
        driver.lines,
        [
            "block at 1 import [] run [in]",
            "block at 1 import [] run [context-off-fork,in,off-fork]"
        ]
    );
    // And back: the same as before, bit for bit.
    driver.step(&lanes("D -"), "c", "o");
    assert_eq!(
        driver.lines,
        [
            "block at 1 import [] run [in]",
            "block at 1 import [2.0] run [in,in,in]",
            "block at 3 import [2.1] run [context-off-fork]"
        ]
    );
}

#[test]
fn a_lane_block_below_the_parting_of_the_forks_is_not_derived_again() {
    let mut driver = Driver::new("o a b c\na B C D", vec![]);
    driver.step(&lanes("a -\na -\nb -"), "c", "o");
    let to = (driver.dag.at("D"), driver.dag.at("o"));
    for name in ["B", "C", "D"] {
        let missing = driver.dag.at(name);
        driver.tell(missing);
    }
    let advance = driver.timeline.advance(vec![], &[], to).expect("told");
    assert_eq!(
        (advance.kept, advance.derived, advance.inputs.len()),
        (2, 3, 1)
    );
}

#[test]
fn what_a_lost_fork_queued_need_not_be_known_to_anybody() {
    // C queued something, and no L1 node remembers: C is on a fork that lost.
    let mut driver = Driver::new("o a b c d\na B C", vec![("C".into(), vec![10])]);
    driver.withheld = vec![hash("C")];
    driver.step(&lanes("a -"), "C", "o");
    driver.step(&lanes("C -\na -"), "C", "o");
    assert_eq!(
        (driver.lines.len(), driver.timeline.waiting().len()),
        (1, 2)
    );
    driver.step(&[], "d", "o");
    assert_eq!(
        driver.lines,
        [
            "block at 1 import [] run [in]",
            "none at 1 import [] run [context-off-fork]",
            "block at 1 import [] run [in]"
        ]
    );
}

#[test]
fn what_lies_under_the_floor_is_let_go_and_a_context_of_a_lost_fork_too() {
    let mut driver = Driver::new("o a b c\na B C", vec![]);
    driver.step(&lanes("a -\nB -\nb -\nc -"), "c", "o");
    assert_eq!(driver.settled, 0);
    driver.step(&[], "c", "b");
    assert_eq!(driver.settled, 3, "a, B and b cannot change any more");
}

#[test]
fn while_the_pointer_is_off_the_floor_the_fork_ends_in_the_floor() {
    let mut driver = Driver::new("o a b c\na B C", vec![]);
    driver.step(&lanes("c -\nB -"), "c", "o");
    driver.step(&lanes("c -"), "c", "B");
    assert_eq!(driver.timeline.fork().tip(), driver.dag.at("B"));
    assert_eq!(
        driver.lines,
        [
            "none at 1 import [] run [context-off-fork]",
            "block at 2 import [] run [in]",
            "none at 2 import [] run [context-off-fork]"
        ]
    );
    driver.step(&[], "C", "B");
    assert_eq!(driver.timeline.fork().tip(), driver.dag.at("C"));
}

/// Blocks `n1`, `n2`, … each on one of those before it, as a text.
fn any_dag() -> impl Strategy<Value = (String, usize)> {
    prop::collection::vec(0usize..4, 4..24).prop_map(|back| {
        let mut text = String::new();
        for (index, back) in back.iter().enumerate() {
            let parent = match index.saturating_sub(*back) {
                0 => "o".to_owned(),
                parent => format!("n{parent}"),
            };
            text += &format!("{parent} n{}\n", index + 1);
        }
        (text, back.len())
    })
}

/// A block, as a share of all.
fn name(share: u16, count: usize) -> String {
    match usize::from(share) % (count + 1) {
        0 => "o".into(),
        index => format!("n{index}"),
    }
}

/// Context and transactions, blocks as shares of all.
type RandomLane = (u16, Vec<(u8, u16, u16)>);

#[derive(Clone, Debug)]
struct RandomStep {
    lanes: Vec<RandomLane>,
    head: u16,
    fin: Option<u16>,
}

fn any_step() -> impl Strategy<Value = RandomStep> {
    let transactions = prop::collection::vec((0u8..8, any::<u16>(), any::<u16>()), 0..4);
    let lanes = prop::collection::vec((any::<u16>(), transactions), 0..4);
    (
        lanes,
        any::<u16>(),
        prop::option::weighted(0.3, any::<u16>()),
    )
        .prop_map(|(lanes, head, fin)| RandomStep { lanes, head, fin })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn step_by_step_and_from_the_start_are_the_same_on_any_dag(
        (dag, count) in any_dag(),
        queue in prop::collection::vec((any::<u16>(), prop::collection::vec(1u64..50, 1..4)), 0..8),
        steps in prop::collection::vec(any_step(), 1..9),
    ) {
        let mut queue: Vec<_> = queue
            .into_iter()
            .map(|(block, calls)| (name(block, count), calls))
            .filter(|(block, _)| block != "o")
            .collect();
        queue.sort();
        queue.dedup_by(|one, two| one.0 == two.0);
        let mut driver = Driver::new(&dag, queue);
        let mut fin = "o".to_owned();
        for step in steps {
            let text = |(kind, one, two): &(u8, u16, u16)| match kind {
                0..3 => "-".to_owned(),
                3..7 => name(*one, count),
                _ => format!("{}+{}", name(*one, count), name(*two, count)),
            };
            let lanes: Vec<LaneText> = step
                .lanes
                .iter()
                .map(|(context, all)| (name(*context, count), all.iter().map(text).collect()))
                .collect();
            if let Some(higher) = step.fin.map(|share| name(share, count))
                && driver.dag.line(&higher).contains(&fin)
            {
                fin = higher;
            }
            let head = name(step.head, count);
            driver.step(&lanes, &head, &fin);
            let tip = if driver.dag.line(&head).contains(&fin) { &head } else { &fin };
            let [library, model] = driver.all_at_once(tip);
            prop_assert_eq!(&driver.lines, &library);
            prop_assert_eq!(&library, &model);
        }
    }
}
