//! The best packing of a small part of an auction: prices for the part alone, then a search over
//! bit masks that never pays more than those prices allow.
//!
//! With prices `y` that no bid exceeds, every packing falls short of `Σ y` by what it leaves free
//! and by the deficits `y(B) − b_B` of what it takes. A packing worth more than a target may
//! lose at most `Σ y − target` in all, so the search takes the dearest free namespace, tries the
//! bids on it by rising deficit or leaves it, and turns back when the loss is spent.

/// Namespaces a patch may have at most: the width of its masks.
pub(super) const PATCH_NAMESPACES_MAX: usize = 512;
const WORDS: usize = PATCH_NAMESPACES_MAX / 64;
/// Rounds of price improvement; with a quarter of them the search saw three times the nodes.
const ROUNDS: u32 = 100;
/// Nodes of a search before it is content with what it has.
const NODES_MAX: u32 = 3_000;
/// Polyak's step in eighths; halved down to one eighth when a round was in vain.
const STEP_UNIT: i64 = 8;

type Mask = [u64; WORDS];

/// How a patch was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing beats the target.
    Proved,
    /// Nothing better than what was found, if anything was, exists.
    Searched,
    /// Out of nodes.
    GivenUp,
}

/// Bids over namespaces `0..n`, scaled amounts, and the working memory of their search.
#[derive(Clone, Debug, Default)]
pub(super) struct Patch {
    /// Members of bid `at` are `members[starts[at]..starts[at + 1]]`.
    starts: Vec<u32>,
    members: Vec<u32>,
    amounts: Vec<i64>,
    prices: Vec<i64>,
    best_prices: Vec<i64>,
    slope: Vec<i64>,
    /// Namespaces by falling price: bit `p` of a mask is the `p`-th of them.
    order: Vec<u32>,
    falling: Vec<i64>,
    masks: Vec<Mask>,
    deficits: Vec<i64>,
    /// Bids on the `p`-th namespace by rising deficit.
    bids_on: Vec<Vec<u32>>,
    /// What a better packing may still lose.
    budget: i64,
    nodes_left: u32,
    chosen: Vec<u32>,
    found: Option<Vec<u32>>,
}

impl Patch {
    /// Starts over with a price for every namespace.
    pub(super) fn begin(&mut self, prices: impl Iterator<Item = i64>) {
        self.starts.clear();
        self.starts.push(0);
        self.members.clear();
        self.amounts.clear();
        self.prices.clear();
        self.prices.extend(prices);
        assert!(
            self.prices.len() <= PATCH_NAMESPACES_MAX,
            "a mask has a bit per namespace"
        );
    }

    /// Adds a bid; the first has position 0.
    pub(super) fn add(&mut self, amount: i64, members: impl Iterator<Item = u32>) {
        self.members.extend(members);
        self.starts.push(self.members.len() as u32);
        self.amounts.push(amount);
    }

    /// Looks for the best packing worth more than `target`; returns positions of bids.
    pub(super) fn solve(&mut self, target: i64) -> (Outcome, Option<Vec<u32>>) {
        if !self.improve_prices(target) {
            return (Outcome::Proved, None);
        }
        self.leave_no_surplus();
        self.budget = self.prices.iter().sum::<i64>() - target;
        let (open, lost) = self.prepare();
        self.nodes_left = NODES_MAX;
        self.found = None;
        self.search(open, lost);
        let outcome = match self.nodes_left {
            0 => Outcome::GivenUp,
            _ => Outcome::Searched,
        };
        (outcome, self.found.take())
    }

    fn members(&self, at: usize) -> &[u32] {
        &self.members[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    fn price(&self, at: usize) -> i64 {
        let members = self.members(at).iter();
        members.map(|member| self.prices[*member as usize]).sum()
    }

    /// Subgradient descent with Polyak steps towards the target; keeps the best prices. False if
    /// they prove that nothing beats it.
    fn improve_prices(&mut self, target: i64) -> bool {
        let mut least = i64::MAX;
        let mut step = STEP_UNIT;
        for _ in 0..ROUNDS {
            self.slope.clear();
            self.slope.resize(self.prices.len(), 1);
            let mut bound: i64 = self.prices.iter().sum();
            for at in 0..self.amounts.len() {
                let surplus = self.amounts[at] - self.price(at);
                if surplus > 0 {
                    bound += surplus;
                    for member in
                        &self.members[self.starts[at] as usize..self.starts[at + 1] as usize]
                    {
                        self.slope[*member as usize] -= 1;
                    }
                }
            }
            if bound <= target {
                return false;
            }
            if bound < least {
                least = bound;
                self.best_prices.clone_from(&self.prices);
            } else {
                step = (step / 2).max(1);
            }
            // A price at zero cannot fall.
            let moving =
                |(price, slope): (&i64, &i64)| if *price == 0 { (*slope).min(0) } else { *slope };
            let slopes = self.prices.iter().zip(&self.slope).map(moving);
            let length: i64 = slopes.map(|slope| slope * slope).sum();
            if length == 0 {
                break;
            }
            let by = (bound - target) / STEP_UNIT * step / length;
            for (price, slope) in self.prices.iter_mut().zip(&self.slope) {
                *price = (*price - slope * by).max(0);
            }
        }
        self.prices.clone_from(&self.best_prices);
        true
    }

    /// Raises prices until no bid exceeds its own. That never worsens the bound: what a price
    /// gains, the surplus it answers loses.
    fn leave_no_surplus(&mut self) {
        for at in 0..self.amounts.len() {
            let surplus = self.amounts[at] - self.price(at);
            if surplus > 0 {
                self.prices[self.members[self.starts[at] as usize] as usize] += surplus;
            }
        }
    }

    /// Sorts namespaces and bids for the search. Returns the namespaces that some bid within the
    /// budget wants, and the price of the others, which no packing can earn.
    fn prepare(&mut self) -> (Mask, i64) {
        let prices = &self.prices;
        self.order.clear();
        self.order.extend(0..prices.len() as u32);
        self.order
            .sort_unstable_by_key(|&at| (-prices[at as usize], at));
        self.falling.clear();
        self.falling
            .extend(self.order.iter().map(|&at| prices[at as usize]));
        let mut position = [0u16; PATCH_NAMESPACES_MAX];
        for (place, &at) in self.order.iter().enumerate() {
            position[at as usize] = place as u16;
        }
        self.bids_on.resize_with(PATCH_NAMESPACES_MAX, Vec::new);
        self.bids_on.iter_mut().for_each(Vec::clear);
        self.masks.clear();
        self.deficits.clear();
        let mut open = [0; WORDS];
        for at in 0..self.amounts.len() {
            let deficit = self.price(at) - self.amounts[at];
            let mut mask = [0; WORDS];
            for member in &self.members[self.starts[at] as usize..self.starts[at + 1] as usize] {
                let place = usize::from(position[*member as usize]);
                mask[place / 64] |= 1 << (place % 64);
                if deficit < self.budget {
                    open[place / 64] |= 1 << (place % 64);
                    self.bids_on[place].push(at as u32);
                }
            }
            self.masks.push(mask);
            self.deficits.push(deficit);
        }
        let deficits = &self.deficits;
        for bids in &mut self.bids_on[..prices.len()] {
            bids.sort_unstable_by_key(|&at| (deficits[at as usize], at));
        }
        let unwanted = |(place, _): &(usize, &i64)| open[place / 64] >> (place % 64) & 1 == 0;
        let lost = self.falling.iter().enumerate().filter(unwanted);
        let lost = lost.map(|(_, price)| price).sum();
        (open, lost)
    }

    fn search(&mut self, open: Mask, lost: i64) {
        if lost >= self.budget || self.nodes_left == 0 {
            return;
        }
        self.nodes_left -= 1;
        let Some(word) = open.iter().position(|word| *word != 0) else {
            self.budget = lost;
            self.found = Some(self.chosen.clone());
            return;
        };
        let bit = open[word].trailing_zeros() as usize;
        let place = word * 64 + bit;
        for next in 0..self.bids_on[place].len() {
            let at = self.bids_on[place][next];
            let lost = lost + self.deficits[at as usize];
            if lost >= self.budget {
                break;
            }
            let mask = &self.masks[at as usize];
            if mask.iter().zip(&open).any(|(mask, open)| mask & !open != 0) {
                continue;
            }
            let mut rest = open;
            rest.iter_mut()
                .zip(mask)
                .for_each(|(rest, mask)| *rest &= !mask);
            self.chosen.push(at);
            self.search(rest, lost);
            self.chosen.pop();
        }
        let mut rest = open;
        rest[word] &= !(1 << bit);
        self.search(rest, lost + self.falling[place]);
    }
}
