//! Derivation again, from the words of R11 and R12, on names instead of headers. It keeps nothing but
//! how many calls were imported.

use super::scenario::Scenario;

struct Model<'a> {
    scenario: &'a Scenario,
}

impl Model<'_> {
    fn parent(&self, name: &str) -> Option<String> {
        if let Some((_, parent)) = self.scenario.sides.iter().find(|(side, _)| side == name) {
            return Some(parent.clone());
        }
        let at = self.scenario.fork.iter().position(|block| block == name)?;
        Some(
            at.checked_sub(1)
                .map_or("o".to_owned(), |at| self.scenario.fork[at].clone()),
        )
    }

    /// The block and its ancestors down to the anchor.
    fn line(&self, name: &str) -> Vec<String> {
        let mut line = vec![name.to_owned()];
        while let Some(parent) = self.parent(line.last().expect("not empty")) {
            line.push(parent);
        }
        line
    }

    fn on_fork(&self, name: &str) -> bool {
        name == "o" || self.scenario.fork.iter().any(|block| block == name)
    }

    fn number(&self, name: &str) -> u64 {
        self.line(name).len() as u64 - 1
    }

    /// All calls queued on F, in order: (block number, log index, gas).
    fn calls(&self) -> Vec<(u64, u64, u64)> {
        let mut calls = Vec::new();
        for name in &self.scenario.fork {
            for (_, gas) in self
                .scenario
                .queue
                .iter()
                .filter(|(block, _)| block == name)
            {
                calls.extend(
                    gas.iter()
                        .zip(0..)
                        .map(|(gas, log)| (self.number(name), log, *gas)),
                );
            }
        }
        calls
    }

    fn fate(&self, transaction: &str, context: &str) -> &'static str {
        let references: Vec<_> = transaction.split('+').filter(|name| *name != "-").collect();
        match references.as_slice() {
            [] if self.on_fork(context) => "in",
            [] => "context-off-fork",
            [one] if !self.line(context).contains(&(*one).to_owned()) => "not-ancestor",
            [one] if !self.on_fork(one) => "off-fork",
            [_] => "in",
            _ => "several",
        }
    }
}

/// One line per lane block.
pub(super) fn derive(scenario: &Scenario) -> Vec<String> {
    let model = Model { scenario };
    let calls = model.calls();
    let (mut read, mut context, mut imported) = (0, 0, 0);
    let mut lines = Vec::new();
    for (seen, transactions) in &scenario.lanes {
        let reached = model
            .line(seen)
            .into_iter()
            .find(|name| model.on_fork(name));
        read = read.max(model.number(&reached.expect("the anchor is on every fork")));
        let waiting: Vec<_> = calls[imported..]
            .iter()
            .take_while(|(block, _, _)| *block <= read)
            .collect();
        let mut gas = 0;
        let mut now = Vec::new();
        for (block, log, cost) in &waiting {
            gas += cost;
            if gas > scenario.gas && !now.is_empty() {
                break;
            }
            now.push(format!("{block}.{log}"));
            if gas > scenario.gas {
                break;
            }
        }
        imported += now.len();
        if now.len() == waiting.len() {
            context = read;
        }
        let fates: Vec<_> = transactions.iter().map(|t| model.fate(t, seen)).collect();
        let block = if now.is_empty() && !fates.contains(&"in") {
            "none"
        } else {
            "block"
        };
        lines.push(format!(
            "{block} at {context} import [{}] run [{}]",
            now.join(","),
            fates.join(",")
        ));
    }
    lines
}
