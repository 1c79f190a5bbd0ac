//! Several L1 endpoints, of which some fail, lie, lag or contradict the others.

#[path = "../../client/tests/support/chain.rs"]
mod chain;
#[path = "support/paper.rs"]
mod paper;
#[path = "support/watched.rs"]
mod watched;

use chain::genesis;
use cortado_client::api::L1EndpointState as State;
use cortado_node::{
    l1::{L1Error, L1Nodes, RpcUrls, SafeWatch},
    reader::Tip,
};
use paper::Paper;
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use watched::{Watch, anchor};

#[tokio::test]
async fn failing_endpoint_is_left_for_the_next_and_taken_back_when_it_recovers() {
    let chain = anchor().extend(5, 1);
    let mut watch = Watch::start(&[&chain, &chain]).await;
    watch.tells(&chain, 101).await;
    watch.states(&[State::Used, State::Ready]).await;
    watch.papers[0].set(|sheet| sheet.down = true);
    let status = watch.states(&[State::Failing, State::Used]).await;
    assert!(status.connected && status.error.is_none());
    let error = status.endpoints[0].error.as_ref().unwrap();
    assert!(error.contains("error 502: Cannot POST /…"), "{error}");
    // It goes on where the first was left, telling nothing twice.
    let longer = chain.extend(3, 1);
    watch.papers[1].set(|sheet| sheet.show(&longer));
    watch.tells(&longer, 106).await;
    watch.papers[0].set(|sheet| {
        sheet.down = false;
        sheet.show(&longer);
    });
    watch.states(&[State::Used, State::Ready]).await;
    watch.nothing_more().await;
    // Both are gone: now it is not connected, and says why for each.
    for paper in &watch.papers {
        paper.set(|sheet| sheet.down = true);
    }
    let status = watch.states(&[State::Failing, State::Failing]).await;
    assert!(!status.connected);
    let error = status.error.unwrap();
    for paper in &watch.papers {
        assert!(
            error.contains(&format!("{}: eth_", paper.shown())),
            "{error}"
        );
    }
    assert!(!error.contains("s3cr3t"), "{error}");
}

#[tokio::test]
async fn lying_endpoint_is_left_for_the_next_and_nothing_of_it_is_told() {
    let (chain, false_chain) = (anchor().extend(5, 1), anchor().extend(9, 2));
    let papers = vec![Paper::start(&false_chain).await, Paper::start(&chain).await];
    papers[0].set(|sheet| sheet.garbled = true);
    let mut watch = Watch::of(papers);
    watch.tells(&chain, 101).await;
    let status = watch.states(&[State::Lying, State::Used]).await;
    let error = status.endpoints[0].error.as_ref().unwrap();
    assert!(error.contains("hashes to"), "{error}");
    assert_eq!(status.endpoints[0].url, watch.papers[0].shown());
    watch.nothing_more().await;
}

#[tokio::test]
async fn endpoint_of_another_chain_is_left_for_the_next() {
    let chain = anchor().extend(5, 1);
    let mut foreign = anchor();
    foreign.0[0].gas_limit = 7;
    let foreign = foreign.extend(9, 1);
    let papers = vec![
        Paper::start(&chain).await,
        Paper::start(&foreign).await,
        Paper::start(&chain).await,
    ];
    papers[0].set(|sheet| sheet.chain_id = 5);
    let mut watch = Watch::of(papers);
    watch.tells(&chain, 101).await;
    let used = [State::OtherChain, State::OtherChain, State::Used];
    let status = watch.states(&used).await;
    let error = |at: usize| status.endpoints[at].error.clone().unwrap();
    assert!(error(0).contains("is of chain 5, the genesis names 31337"));
    assert!(
        error(1).contains("which the chain holds final"),
        "{}",
        error(1)
    );
    watch.nothing_more().await;
}

#[tokio::test]
async fn lagging_endpoint_is_left_for_one_that_is_ahead_until_it_has_caught_up() {
    let chain = anchor().extend(12, 1);
    let behind = chain.back(5);
    let mut watch = Watch::start(&[&behind, &chain]).await;
    watch.tells(&chain, 101).await;
    let status = watch.states(&[State::Lagging, State::Used]).await;
    assert_eq!(status.head, Some(chain.at(112)));
    assert_eq!(status.endpoints[0].head, Some(chain.at(107)));
    let wait = watch.waits("lags").await;
    let (slow, fast) = (watch.papers[0].shown(), watch.papers[1].shown());
    assert_eq!(
        wait,
        format!("endpoint {slow} lags 5 L1 slots behind {fast}")
    );
    watch.papers[0].set(|sheet| sheet.show(&chain));
    let status = watch.states(&[State::Used, State::Ready]).await;
    assert!(
        !status.waits.iter().any(|wait| wait.contains("lags")),
        "{:?}",
        status.waits
    );
}

#[tokio::test]
async fn head_from_the_future_makes_nobody_lag() {
    let chain = anchor().extend(5, 1);
    let mut future = chain.extend(1, 2);
    future.0.last_mut().unwrap().timestamp = u64::from(u32::MAX);
    let mut watch = Watch::start(&[&chain, &future]).await;
    watch.tells(&chain, 101).await;
    let status = watch.states(&[State::Used, State::Lying]).await;
    let error = status.endpoints[1].error.as_ref().unwrap();
    assert!(error.contains("time 4294967295 s"), "{error}");
    watch.nothing_more().await;
}

#[tokio::test]
async fn an_l1_node_that_answers_two_different_things_is_a_liar() {
    // Another block for a number that it called final before.
    let chain = anchor().extend(8, 1);
    let mut watch = Watch::start(&[&chain]).await;
    watch.papers[0].set(|sheet| sheet.finalize(104));
    assert_eq!(watch.is_final().await, chain.at(104));
    let other = anchor().extend(9, 2);
    watch.papers[0].set(|sheet| {
        sheet.show(&other);
        sheet.finalize(104);
    });
    let status = watch.states(&[State::Lying]).await;
    let error = status.error.unwrap();
    let (first, second) = (chain.at(104).hash, other.at(104).hash);
    let words = format!("two different things: block 104 is {first}, and it is {second}");
    assert!(error.contains(&words), "{error}");

    // A head that does not descend from the block that it calls final.
    let watch = Watch::start(&[&chain]).await;
    watch.papers[0].set(|sheet| {
        sheet.show(&other);
        sheet.finalize(104);
        sheet.show(&chain);
    });
    let status = watch.states(&[State::Lying]).await;
    let error = status.error.unwrap();
    let words = format!("two different things: block 104 is {first}, and it is {second}");
    assert!(error.contains(&words), "{error}");

    // A head below the block that it calls final.
    let watch = Watch::start(&[&chain]).await;
    watch.papers[0].set(|sheet| {
        sheet.finalize(106);
        sheet.show(&chain.back(4));
    });
    let status = watch.states(&[State::Lying]).await;
    assert!(
        status
            .error
            .unwrap()
            .contains("block 106 is final, and its head is block 104")
    );

    // A header whose hash is not that of its bytes.
    let watch = Watch::start(&[&chain]).await;
    watch.papers[0].set(|sheet| sheet.garbled = true);
    assert!(
        watch
            .states(&[State::Lying])
            .await
            .error
            .unwrap()
            .contains("hashes to")
    );

    // Blocks by number that the head does not lead back to: a step ends at none of them.
    let long = anchor().extend(900, 1);
    let known = long.back(600);
    let mut watch = Watch::start(&[&known]).await;
    watch.tells(&known, 101).await;
    let aside = anchor().extend(900, 2);
    watch.papers[0].set(|sheet| {
        sheet.show(&aside);
        sheet.show(&long);
        for number in 401..=1_000 {
            let header = aside.0[number - 100].clone();
            sheet.instead.insert(number as u64, header);
        }
    });
    let status = watch.states(&[State::Lying]).await;
    let error = status.error.unwrap();
    assert!(error.contains("and no path between them"), "{error}");
    watch.nothing_more().await;
}

#[tokio::test]
async fn finality_that_another_endpoint_contradicts_is_held_back_and_shown_with_both_hashes() {
    let (ours, theirs) = (anchor().extend(8, 1), anchor().extend(8, 2));
    let mut watch = Watch::start(&[&ours, &theirs]).await;
    watch.tells(&ours, 101).await;
    watch.states(&[State::Used, State::Ready]).await;
    watch.papers[0].set(|sheet| sheet.finalize(104));
    let wait = watch.waits("held back").await;
    let (first, second) = (watch.papers[0].shown(), watch.papers[1].shown());
    let (one, other) = (ours.at(104).hash, theirs.at(104).hash);
    let words =
        format!("finality of block 104 held back: {first} says {one}, {second} says {other}");
    assert_eq!(wait, words);
    watch.nothing_more().await;
    // Nor when the other calls its own final.
    watch.papers[1].set(|sheet| sheet.finalize(104));
    watch.nothing_more().await;
    // The other one comes round.
    watch.papers[1].set(|sheet| {
        sheet.down = true;
    });
    watch.states(&[State::Used, State::Failing]).await;
    assert_eq!(
        watch.is_final().await,
        ours.at(104),
        "what is not reached contradicts nobody"
    );
    watch
        .until("no wait", |status| {
            status.waits.iter().all(|wait| !wait.contains("held"))
        })
        .await;
}

#[tokio::test]
async fn no_block_is_told_final_beside_one_that_was() {
    let (ours, theirs) = (anchor().extend(8, 1), anchor().extend(12, 2));
    let mut watch = Watch::start(&[&ours]).await;
    watch.papers[0].set(|sheet| sheet.finalize(104));
    assert_eq!(watch.is_final().await, ours.at(104));
    // The node is exchanged for one on another fork, which calls a later block final.
    watch.papers[0].set(|sheet| {
        sheet.show(&theirs);
        sheet.finalize(106);
    });
    let wait = watch.waits("held back").await;
    let (one, other) = (ours.at(104).hash, theirs.at(104).hash);
    let words = format!(
        "block 104 held back: {} says {other}",
        watch.papers[0].shown()
    );
    assert!(wait.contains(&words), "{wait}");
    let own = format!("this node told {one} as final");
    assert!(wait.contains(&own), "{wait}");
    watch.tells(&theirs, 101).await;
    watch.nothing_more().await;
}

#[tokio::test]
async fn gap_of_any_length_is_closed_in_steps_over_a_reorg_and_a_change_of_endpoint() {
    let begin = anchor().extend(600, 1);
    let mut watch = Watch::start(&[&begin, &begin]).await;
    watch.tells(&begin, 101).await;
    // An outage in which the chain was reorganised 300 deep and grew by 2,000 blocks.
    let fork = begin.back(300);
    let far = fork.extend(2_300, 2);
    for paper in &watch.papers {
        paper.set(|sheet| sheet.show(&far));
    }
    for number in 401..=700 {
        assert_eq!(watch.header().await, far.at(number));
    }
    // In the middle the first endpoint goes, and the second holds yet another fork.
    let farther = far.back(1_500).extend(1_600, 3);
    watch.papers[1].set(|sheet| sheet.show(&farther));
    watch.papers[0].set(|sheet| sheet.down = true);
    let mut at = far.at(700);
    let mut catching_up = false;
    while at != farther.at(farther.tip().number) {
        let next = watch.header().await;
        let follows = [&far, &farther]
            .iter()
            .any(|chain| next.number <= chain.tip().number && chain.at(next.number) == next);
        assert!(
            follows && (next.number == at.number + 1 || next.number == 1_201),
            "{next:?}"
        );
        at = next;
        let status = watch.watcher.status().borrow().clone();
        catching_up |= status
            .waits
            .iter()
            .any(|wait| wait.contains("L1 node catches up: told to"));
    }
    assert!(catching_up, "the way is shown");
    watch
        .until("the end of it", |status| {
            status.waits.iter().all(|wait| !wait.contains("catches up"))
        })
        .await;
    watch.nothing_more().await;
}

#[tokio::test]
async fn fork_that_was_told_and_becomes_canonical_again_is_not_told_again() {
    let (one, two) = (anchor().extend(6, 1), anchor().extend(7, 2));
    let mut watch = Watch::start(&[&one]).await;
    watch.tells(&one, 101).await;
    watch.papers[0].set(|sheet| sheet.show(&two));
    watch.tells(&two, 101).await;
    let again = one.extend(2, 1);
    watch.papers[0].set(|sheet| {
        sheet.show(&again);
        sheet.forgetful = true;
    });
    watch.tells(&again, 107).await;
    watch.nothing_more().await;
}

#[tokio::test]
async fn header_that_the_seats_forgot_is_told_again_while_the_head_stands_on_it() {
    // As many headers as are kept, a few of the fork first: the next fork pushes out what was told
    // first, and that the chain comes back to.
    let kept = cortado_types::limits::L1_TRACKED_HEADERS_MAX as u64;
    let one = anchor().extend(3, 1);
    let mut watch = Watch::start(&[&one]).await;
    watch.tells(&one, 101).await;
    let two = anchor().extend(kept, 2);
    watch.papers[0].set(|sheet| sheet.show(&two));
    watch.tells(&two, 101).await;
    let again = one.extend(1, 1);
    watch.papers[0].set(|sheet| sheet.show(&again));
    watch.tells(&again, 101).await;
    watch.nothing_more().await;
}

#[tokio::test]
async fn no_more_is_told_above_what_the_chain_tracks_than_it_could_track() {
    let kept = cortado_types::limits::L1_TRACKED_HEADERS_MAX as u64;
    let endless = anchor().extend(kept + 5, 1);
    let last = 100 + kept;
    let mut watch = Watch::start(&[&endless]).await;
    for number in 101..=last {
        assert_eq!(watch.header().await, endless.at(number));
    }
    let words = format!("told to {last} of {}", endless.tip().number);
    watch.waits(&words).await;
    watch.nothing_more().await;
}

#[tokio::test]
async fn what_was_told_and_is_not_taken_is_shown() {
    let chain = anchor().extend(3, 1);
    let mut watch = Watch::start(&[&chain]).await;
    watch.papers[0].set(|sheet| sheet.finalize(102));
    assert_eq!(watch.is_final().await, chain.at(102));
    let wait = watch.waits("header 101").await;
    let hash = chain.at(101).hash;
    assert_eq!(
        wait,
        format!("header 101 ({hash}) is told and not yet certified by a quorum")
    );
    let hash = chain.at(102).hash;
    let wait = watch.waits("finality of block 102").await;
    assert!(wait.contains(&format!(
        "({hash}) is told and not yet certified by a quorum"
    )));
    // The chain takes both.
    watch.tip.send_modify(|tip| {
        let mut block = tip.block.as_ref().clone();
        block.header.l1_fin = chain.at(103);
        block.header.l1_head.block = chain.at(103);
        *tip = Arc::new(Tip {
            block: Arc::new(block),
            ..tip.as_ref().clone()
        });
    });
    watch
        .until("nothing to wait for", |status| status.waits.is_empty())
        .await;
}

#[tokio::test]
async fn block_that_the_chain_never_takes_since_it_is_not_later_than_its_parent_is_named() {
    // As development nodes make them that mine by a timer: two blocks in one second.
    let mut chain = anchor().extend(1, 1);
    let time = chain.0[0].timestamp;
    chain.0.last_mut().unwrap().timestamp = time;
    let chain = chain.extend(2, 1);
    let mut watch = Watch::start(&[&chain]).await;
    watch.tells(&chain, 101).await;
    let hash = chain.at(101).hash;
    assert_eq!(
        watch.waits("header 101").await,
        format!(
            "header 101 ({hash}) has time {time} s and its parent {time} s: the chain takes only what is later than its parent"
        )
    );
}

#[tokio::test]
async fn safe_block_comes_from_an_endpoint_that_nobody_contradicts() {
    let (ours, theirs) = (anchor().extend(8, 1), anchor().extend(8, 2));
    let papers = [Paper::start(&ours).await, Paper::start(&ours).await];
    papers[0].set(|sheet| sheet.down = true);
    papers[1].set(|sheet| sheet.finalize(103));
    let urls = RpcUrls::new(papers.iter().map(Paper::url).collect()).unwrap();
    let (tell, mut told) = mpsc::channel(100);
    let _watch = SafeWatch::start(&urls, &genesis(1).l1, move |block| {
        let tell = tell.clone();
        async move { tell.send(block).await.unwrap() }
    })
    .unwrap();
    assert_eq!(
        told.recv().await,
        Some(ours.at(103)),
        "the other one is down"
    );
    papers[0].set(|sheet| {
        sheet.down = false;
        sheet.show(&theirs);
        sheet.finalize(105);
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    while let Ok(block) = told.try_recv() {
        assert_eq!(block, ours.at(103), "nobody knows which of two is true");
    }
}

#[tokio::test]
async fn question_that_one_endpoint_answers_badly_goes_to_the_next() {
    let chain = anchor().extend(8, 1);
    let papers = [Paper::start(&chain).await, Paper::start(&chain).await];
    let urls = RpcUrls::new(papers.iter().map(Paper::url).collect()).unwrap();
    let nodes = L1Nodes::start(&urls, &genesis(1).l1).unwrap();
    let hash = chain.at(105).hash;
    let ask = async || nodes.ask(|rpc| Box::pin(rpc.by_hash(hash))).await;
    while ask().await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    papers[0].set(|sheet| sheet.garbled = true);
    assert_eq!(ask().await.unwrap().unwrap().block, chain.at(105));
    assert!(papers[1].sheet.lock().unwrap().asked["eth_getBlockByHash"] >= 1);
    papers[1].set(|sheet| sheet.down = true);
    let error = ask().await.unwrap_err();
    assert!(matches!(&error, L1Error::NoEndpoint { .. }));
    assert!(error.to_string().contains("hashes to"), "{error}");
    assert!(error.to_string().contains("error 502"), "{error}");
}
