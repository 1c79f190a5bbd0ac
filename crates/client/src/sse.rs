//! Server-sent events, read from hostile bytes in bounded memory.

use crate::api::limits::EVENT_BYTES_MAX;
use std::collections::VecDeque;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
}

/// Bytes in, events out.
///
/// - `line` and `event` together hold at most [`EVENT_BYTES_MAX`] bytes.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    ready: VecDeque<Event>,
    /// Whether the last byte was a carriage return, whose line feed belongs to it.
    after_return: bool,
}

/// An event longer than [`EVENT_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Parser {
    /// Takes the next bytes of the stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let taken = &rest[..end.unwrap_or(rest.len())];
            if !taken.is_empty() {
                self.after_return = false;
                if self.line.len() + self.event.data.len() + taken.len() > EVENT_BYTES_MAX {
                    return Err(TooLong);
                }
                self.line.extend_from_slice(taken);
            }
            let Some(end) = end else { break };
            let feed_of_return = rest[end] == b'\n' && self.after_return;
            self.after_return = rest[end] == b'\r';
            if !feed_of_return {
                self.end_line();
            }
            rest = &rest[end + 1..];
        }
        Ok(())
    }

    /// The next whole event.
    pub(crate) fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) {
                self.ready.push_back(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            // Comments, ids (the client counts heights itself) and fields to come.
            _ => {}
        }
    }
}
