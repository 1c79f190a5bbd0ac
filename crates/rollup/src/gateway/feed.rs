//! The stream of preconfirmations, kept as long as it may be asked for again.
//!
//! The feed holds the events of the lane blocks that are not final. A reader names the last event
//! it has; if what comes next was pruned, or is of another run, it gets a reset and all of them.

use crate::source::{Numbered, PreconfEvent};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Arc<Numbered>>,
    next: u64,
}

/// The stream of one namespace: one writer, many readers.
#[derive(Debug)]
pub struct Feed {
    run: u64,
    state: Mutex<State>,
    news: watch::Sender<u64>,
}

/// Where a reader stands: a run and the number of the last event it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedCursor {
    /// The run; 0 is none.
    pub run: u64,
    /// Number of the last event, 0 is none.
    pub number: u64,
}

impl Feed {
    /// An empty stream of run `run`, which no earlier run had.
    pub fn new(run: u64) -> Self {
        let state = Mutex::new(State {
            events: VecDeque::new(),
            next: 1,
        });
        Self {
            run,
            state,
            news: watch::channel(0).0,
        }
    }

    /// Adds an event; a reset drops all before it.
    pub fn publish(&self, event: PreconfEvent) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if event == PreconfEvent::Reset {
            state.events.clear();
        }
        let number = state.next;
        state.next += 1;
        state.events.push_back(Arc::new(Numbered {
            run: self.run,
            number,
            event,
        }));
        drop(state);
        self.news.send_replace(number);
    }

    /// Drops the events of the first `lanes` lane blocks: they are final.
    pub fn prune(&self, lanes: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..lanes {
            while let Some(numbered) = state.events.pop_front() {
                if matches!(numbered.event, PreconfEvent::Sealed { .. }) {
                    break;
                }
            }
        }
    }

    /// Up to `limit` events after `cursor`, which moves; with a reset first if some are missing.
    pub fn read(&self, cursor: &mut FeedCursor, limit: usize) -> Vec<Arc<Numbered>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = Vec::new();
        let first = state
            .events
            .front()
            .map_or(state.next, |numbered| numbered.number);
        if cursor.run != self.run || cursor.number + 1 < first || cursor.number >= state.next {
            *cursor = FeedCursor {
                run: self.run,
                number: first - 1,
            };
            let number = cursor.number;
            out.push(Arc::new(Numbered {
                run: self.run,
                number,
                event: PreconfEvent::Reset,
            }));
        }
        let skip = usize::try_from(cursor.number + 1 - first).unwrap_or(usize::MAX);
        out.extend(state.events.iter().skip(skip).take(limit).cloned());
        if let Some(numbered) = out.last() {
            cursor.number = cursor.number.max(numbered.number);
        }
        out
    }

    /// Tells when there is something new.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}
