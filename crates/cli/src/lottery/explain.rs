//! `explain`: why each namespace got what it got.

use std::fmt::Write;
use std::process::ExitCode;

use cortado_lottery::{Assignment, Draw, Index, Lottery, Member, PoolIndex, Sale, Sum};
use serde_json::{Value, json};

use super::{Place, input, table};

/// Pools and namespaces listed by name before the rest is only counted.
const LISTED: usize = 24;

pub(super) fn run(place: &Place, json: bool) -> anyhow::Result<ExitCode> {
    let instance = input::instance(&place.file, place.name.as_deref())?;
    let index = Index::new(&instance.batch);
    let assignment = Lottery::new(&index).draw(instance.beacon, place.slot);
    let story = Story::new(&index, &assignment);
    if json {
        say!("{}", story.json(&instance.name));
    } else {
        say!("{}", story.text(&instance.name)?.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// A slot retold from its result.
struct Story<'a> {
    index: &'a Index,
    assignment: &'a Assignment,
    /// Draw that knocked out each pool.
    knocked_by: Vec<usize>,
}

impl<'a> Story<'a> {
    fn new(index: &'a Index, assignment: &'a Assignment) -> Self {
        let mut knocked_by = vec![usize::MAX; index.pools()];
        for (at, draw) in assignment.draws.iter().enumerate() {
            for &member in index.members(draw.pool) {
                for pool in index.touching(member) {
                    let by = &mut knocked_by[pool.get() as usize];
                    *by = at.min(*by);
                }
            }
        }
        Self {
            index,
            assignment,
            knocked_by,
        }
    }

    /// Pools knocked out by a draw, in canonical order.
    fn knocked(&self, draw: usize) -> Vec<PoolIndex> {
        self.pools()
            .filter(|pool| self.knocked_by[pool.get() as usize] == draw)
            .collect()
    }

    fn pools(&self) -> impl Iterator<Item = PoolIndex> + use<> {
        (0..self.index.pools() as u32).map(PoolIndex::new)
    }

    /// How many members of the bundle of a draw a pool competes for, and the position of one.
    fn part(&self, draw: &Draw, pool: PoolIndex, namespace: Member) -> Option<Part> {
        let bundle = self.index.members(draw.pool);
        let common: Vec<Member> = self
            .index
            .members(pool)
            .iter()
            .copied()
            .filter(|member| bundle.binary_search(member).is_ok())
            .collect();
        let position = common.binary_search(&namespace).ok()? as u128;
        let (stake, over) = (self.index.stake(pool).get(), common.len() as u128);
        let amount = stake / over + u128::from(position < stake % over);
        Some(Part { pool, over, amount })
    }

    /// Stake that was live before a pool when a draw was made.
    fn before(&self, at: usize, pool: PoolIndex) -> Sum {
        let live = |other: &PoolIndex| *other < pool && self.knocked_by[other.get() as usize] >= at;
        self.pools()
            .filter(live)
            .map(|other| self.index.stake(other))
            .sum()
    }

    fn name(&self, pool: PoolIndex) -> String {
        table::bundle(self.index.members(pool))
    }

    fn list(&self, pools: &[PoolIndex]) -> String {
        let one = |pool: &PoolIndex| format!("{} {}", self.name(*pool), self.index.stake(*pool));
        let mut text: Vec<String> = pools.iter().take(LISTED).map(one).collect();
        if pools.len() > LISTED {
            let rest: Sum = pools[LISTED..]
                .iter()
                .map(|pool| self.index.stake(*pool))
                .sum();
            text.push(format!("and {} more with {rest}", pools.len() - LISTED));
        }
        text.join(", ")
    }

    fn text(&self, name: &str) -> Result<String, std::fmt::Error> {
        let (index, assignment) = (self.index, self.assignment);
        let mut out = String::new();
        writeln!(
            out,
            "{name}, slot {}, seed {}",
            assignment.slot, assignment.seed
        )?;
        let pools: Vec<PoolIndex> = self.pools().collect();
        writeln!(
            out,
            "Every gwei is a ball: {} in the urn, on {} pools.",
            index.total(),
            pools.len()
        )?;
        if !pools.is_empty() {
            writeln!(out, "  {}", self.list(&pools))?;
        }
        for (at, draw) in assignment.draws.iter().enumerate() {
            self.draw_text(&mut out, at, draw)?;
        }
        self.unassigned_text(&mut out)?;
        let pots: Vec<String> = assignment
            .draws
            .iter()
            .take(LISTED)
            .map(|draw| draw.pot.to_string())
            .collect();
        let more = if assignment.draws.len() > LISTED {
            " + …"
        } else {
            ""
        };
        let all = if pots.is_empty() {
            "0".into()
        } else {
            pots.join(" + ") + more
        };
        writeln!(
            out,
            "\nPots {all} = {}, all the stake there was.",
            index.total()
        )?;
        Ok(out)
    }

    fn draw_text(&self, out: &mut String, at: usize, draw: &Draw) -> std::fmt::Result {
        let index = self.index;
        let sale = Sale::new(index, self.assignment, draw);
        let name = self.name(draw.pool);
        let before = self.before(at, draw.pool);
        let end = before + index.stake(draw.pool);
        let offset = draw.u - before;
        writeln!(
            out,
            "\nDraw {}: ball {} of {} → {name}",
            draw.k, draw.u, draw.live
        )?;
        writeln!(
            out,
            "  Balls {before} up to {end} are {name}'s; its ball {offset} is ticket {}'s, owner {}.",
            sale.ticket, sale.owner
        )?;
        let knocked = self.knocked(at);
        let last = if at + 1 == self.assignment.draws.len() {
            " The urn is empty."
        } else {
            ""
        };
        writeln!(
            out,
            "  Knocked out: {}. Pot {}.{last}",
            self.list(&knocked),
            draw.pot
        )?;
        for share in &sale.shares {
            let parts: Vec<Part> = knocked
                .iter()
                .filter_map(|pool| self.part(draw, *pool, share.namespace))
                .collect();
            let mut sum = format!("{}", share.reserve);
            for part in parts.iter().take(LISTED) {
                write!(sum, " + {}", self.part_text(part))?;
            }
            if parts.len() > LISTED {
                let rest: u128 = parts[LISTED..].iter().map(|part| part.amount).sum();
                write!(sum, " + {rest} of {} more", parts.len() - LISTED)?;
            }
            writeln!(
                out,
                "  Namespace {} receives {sum} = {}",
                share.namespace,
                share.revenue()
            )?;
        }
        match sale.standby {
            Some((owner, ticket)) => {
                writeln!(out, "  Standby: ticket {ticket}, owner {owner}.")?;
            }
            None => writeln!(out, "  No standby: nobody else has a ticket on {name}.")?,
        }
        let refusal = sale.first_refusal();
        writeln!(
            out,
            "  Owner {} pays the reserves, {}. The L1 proposer may take {name} for {} + {} = {}; \
             then owner {} gets {} and its {} back.",
            sale.owner,
            sale.reserve,
            sale.reserve,
            sale.pot,
            refusal.proposer_pays,
            sale.owner,
            refusal.holder_receives,
            refusal.holder_released
        )
    }

    /// `{1,2} 60/2`, with the gwei themselves where they do not come out even.
    fn part_text(&self, part: &Part) -> String {
        let stake = self.index.stake(part.pool).get();
        let name = self.name(part.pool);
        match part.over {
            1 => format!("{stake} {name}"),
            over if stake.is_multiple_of(over) => format!("{stake}/{over} {name}"),
            over => format!("{} (of {stake} over {over}) {name}", part.amount),
        }
    }

    fn unassigned_text(&self, out: &mut String) -> std::fmt::Result {
        let unassigned: Vec<(Member, Option<usize>)> = self.unassigned().collect();
        if unassigned.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\nUnassigned, each stays with its reserve holder, who pays nothing:"
        )?;
        for (namespace, last) in unassigned.iter().take(LISTED) {
            match last {
                None => writeln!(out, "  Namespace {namespace}: no ticket names it.")?,
                Some(at) => {
                    let draw = &self.assignment.draws[*at];
                    writeln!(
                        out,
                        "  Namespace {namespace}: its last bundles left the urn with draw {}, {}.",
                        draw.k,
                        self.name(draw.pool)
                    )?;
                }
            }
        }
        if unassigned.len() > LISTED {
            writeln!(out, "  and {} more", unassigned.len() - LISTED)?;
        }
        Ok(())
    }

    /// Namespaces no draw assigned, with the draw that knocked out the last pool touching it.
    fn unassigned(&self) -> impl Iterator<Item = (Member, Option<usize>)> {
        let mut assigned = vec![false; self.index.namespaces()];
        for draw in &self.assignment.draws {
            for member in self.index.members(draw.pool) {
                assigned[member.get() as usize] = true;
            }
        }
        let namespaces = (0..self.index.namespaces() as u32).map(Member::new);
        namespaces
            .filter(move |member| !assigned[member.get() as usize])
            .map(|member| {
                let touching = self.index.touching(member).iter();
                (
                    member,
                    touching
                        .map(|pool| self.knocked_by[pool.get() as usize])
                        .max(),
                )
            })
    }

    fn json(&self, name: &str) -> Value {
        let draws = self.assignment.draws.iter().enumerate().map(|(at, draw)| {
            let sale = Sale::new(self.index, self.assignment, draw);
            let knocked = self.knocked(at);
            let shares = sale.shares.iter().map(|share| {
                let parts = knocked
                    .iter()
                    .filter_map(|pool| self.part(draw, *pool, share.namespace));
                let part = |part: Part| {
                    json!({
                        "bundle": table::ids(self.index.members(part.pool)),
                        "stake": self.index.stake(part.pool).to_string(),
                        "over": part.over as u64,
                        "amount": part.amount.to_string(),
                    })
                };
                json!({
                    "namespace": share.namespace.get(),
                    "reserve": share.reserve.get(),
                    "parts": parts.map(part).collect::<Vec<_>>(),
                    "revenue": share.revenue().to_string(),
                })
            });
            json!({
                "k": draw.k,
                "live": draw.live.to_string(),
                "u": draw.u.to_string(),
                "before": self.before(at, draw.pool).to_string(),
                "bundle": table::ids(self.index.members(draw.pool)),
                "ticket": draw.ticket.get(),
                "owner": sale.owner.get(),
                "standby": sale.standby.map(|(_, ticket)| ticket.get()),
                "pot": draw.pot.to_string(),
                "reserve": sale.reserve.to_string(),
                "price": sale.price().to_string(),
                "knocked_out": knocked
                    .iter()
                    .map(|pool| table::ids(self.index.members(*pool)))
                    .collect::<Vec<_>>(),
                "shares": shares.collect::<Vec<_>>(),
            })
        });
        let unassigned = self.unassigned().map(
            |(namespace, last)| json!({"namespace": namespace.get(), "last_knocked_out_by": last}),
        );
        json!({
            "name": name,
            "slot": self.assignment.slot,
            "seed": self.assignment.seed.to_string(),
            "total": self.index.total().to_string(),
            "draws": draws.collect::<Vec<_>>(),
            "unassigned": unassigned.collect::<Vec<_>>(),
        })
    }
}

/// What one knocked-out pool contributes to one namespace.
struct Part {
    pool: PoolIndex,
    /// Members it is split over.
    over: u128,
    amount: u128,
}
