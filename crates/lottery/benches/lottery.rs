//! The sizes of the market: 1,000 namespaces × 10,000 bundles × 1,000,000 tickets, one core.
//!
//! `cargo bench -p cortado-lottery` prints times per operation; set `FAMILY` to one family's name
//! to run only that one.

use std::hint::black_box;

use cortado_lottery::lab::families::{Family, Size, instance};
use cortado_lottery::{Batch, Index, Lottery, Opening, Pools, Tickets};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const SIZE: Size = Size {
    namespaces: 1_000,
    bundles: 10_000,
    tickets: 1_000_000,
    slots: 1,
};

fn families() -> Vec<Family> {
    let wanted = std::env::var("FAMILY").ok();
    let chosen = |family: &Family| wanted.as_deref().is_none_or(|name| name == family.name());
    Family::ALL.into_iter().filter(chosen).collect()
}

fn at_market_size(c: &mut Criterion) {
    for family in families() {
        let instance = instance(family, SIZE, 1).expect("the size is within every limit");
        let index = Index::new(&instance.batch);
        let mut lottery = Lottery::new(&index);
        let name = |what| BenchmarkId::new(what, family.name());

        let mut group = c.benchmark_group("lottery");
        group.sample_size(10);
        group.bench_function(name("index"), |b| {
            b.iter_batched(
                || {
                    let batch = &instance.batch;
                    let (bundles, tickets) = (batch.bundles().clone(), batch.tickets().to_vec());
                    (batch.reserves().to_vec(), bundles, tickets)
                },
                |(reserves, bundles, tickets)| {
                    Index::new(&Batch::new(reserves, bundles, tickets).expect("it was checked"))
                },
                criterion::BatchSize::PerIteration,
            );
        });
        group.sample_size(50);
        let mut slot = 0;
        group.bench_function(name("draw"), |b| {
            b.iter(|| {
                slot += 1;
                black_box(lottery.draw(instance.beacon, slot))
            });
        });

        let assignment = lottery.draw(instance.beacon, 0);
        let pools = Pools::new(&instance.batch);
        group.bench_function(name("verify without tickets"), |b| {
            b.iter(|| {
                pools
                    .verify(instance.beacon, black_box(&assignment))
                    .expect("it is true")
            });
        });
        let tickets = Tickets::new(&instance.batch);
        group.bench_function(name("verify with tickets"), |b| {
            b.iter(|| {
                tickets
                    .verify(&pools, instance.beacon, black_box(&assignment))
                    .expect("it is true")
            });
        });
        let won = assignment.draws[0].pool;
        let opening = Opening::prove(&index, instance.beacon, &assignment, index.members(won)[0])
            .expect("the namespace is assigned");
        group.bench_function(name("check an opening"), |b| {
            b.iter(|| black_box(&opening).check().expect("it is true"));
        });
        group.finish();
    }
}

criterion_group!(benches, at_market_size);
criterion_main!(benches);
