//! What a person sees when the devnet runs.

use super::{accounts::BALANCE_ETHER, layout::Layout, summary::Summary};

/// Prints every URL and key, and lines to copy.
pub fn banner(summary: &Summary, layout: &Layout) {
    println!("\nCortado devnet, chain {}\n", summary.chain_id);
    println!("Accounts ({BALANCE_ETHER} ether each, on L1 and on every rollup)");
    for (i, account) in summary.accounts.iter().enumerate() {
        println!("  ({i}) {}  {}", account.address, account.private_key);
    }
    println!("\nL1        chain {}", summary.l1.chain_id);
    println!("  rpc       {}  {}", summary.l1.rpc, summary.l1.ws);
    match &summary.l1.beacon {
        Some(beacon) => println!("  beacon    {beacon}"),
        None => println!("  beacon    none: the proposer lookahead is off"),
    }
    println!("  contracts {}", summary.contracts.display());
    if let Some(relay) = &summary.relay {
        println!("  relay     {relay}/status  brings headers to the light client");
    }
    println!("\nRollups");
    for rollup in &summary.rollups {
        println!("  {}     {}  {}", rollup.namespace, rollup.rpc, rollup.ws);
        if let Some(inbox) = rollup.inbox {
            println!("  inbox     {inbox}  takes deposits on L1");
        }
    }
    println!("\nAttesters");
    for attester in &summary.attesters {
        println!("  api       {}", attester.api);
    }
    println!("\nProposers");
    for proposer in &summary.proposers {
        println!(
            "  rpc       {}  namespaces {:?}",
            proposer.rpc, proposer.namespaces
        );
    }
    if let (Some(rollup), Some(attester)) = (summary.rollups.first(), summary.attesters.first())
        && let [from, to, ..] = summary.accounts.as_slice()
    {
        println!("\nTry");
        println!(
            "  cast send --rpc-url {} --private-key {} {} --value 1ether",
            rollup.rpc, from.private_key, to.address
        );
        println!(
            "  cast balance --rpc-url {} {} --block pending",
            rollup.rpc, to.address
        );
        println!(
            "  cast rpc --rpc-url {} cortado_getPromise <transaction hash>",
            rollup.rpc
        );
        println!("  cortado status {}", attester.api);
        let dir = layout.dir.display();
        println!("  cortado reference --data-dir {dir}");
        if summary.processes.iter().any(|part| part.name == "l1") {
            println!("  cortado l1 reorg --depth 3 --data-dir {dir}");
        }
        println!(
            "  cortado deposit --data-dir {} --namespace {} --to {} --wei 1000000000",
            layout.dir.display(),
            rollup.namespace,
            to.address
        );
        println!(
            "  cortado stake status --rpc {} --contracts {}",
            summary.l1.rpc,
            summary.contracts.display()
        );
    }
    println!("\nAll of it as JSON: {}", layout.summary().display());
    println!("Log lines:         {}", layout.log("devnet").display());
    println!("Stop with Ctrl-C; started again on the same directory it goes on where it was.\n");
}
