//! What was asked of every replica in a run, and what it did: for whoever plays it again on another build of the core.
//!
//! One line of JSON a call: `[replica, method, arguments, result]`, in the vocabulary of the wasm module's classes.
//! Bytes stand once, as `{"blob": text}` in base64, and are meant by `{"b": number}` from then on. Recording belongs to
//! a thread, so that nothing in the simulator has to pass it on, and changes nothing of a run but what the module's
//! classes cannot be asked (see [`crate::replica`]).

use std::cell::RefCell;
use std::collections::HashMap;

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

thread_local! {
    static TRACE: RefCell<Option<Trace>> = const { RefCell::new(None) };
}

/// A recording.
#[derive(Debug, Default)]
pub struct Trace {
    text: String,
    blobs: HashMap<Vec<u8>, usize>,
    replicas: usize,
    /// What was asked that the module's classes cannot be asked.
    unplayable: Option<&'static str>,
}

/// Runs something and records it; the second is the recording, or why it cannot be played.
pub fn record<T>(run: impl FnOnce() -> T) -> (T, Result<String, &'static str>) {
    TRACE.set(Some(Trace::default()));
    let done = run();
    let trace = TRACE.take().unwrap_or_default();
    (done, trace.unplayable.map_or(Ok(trace.text), Err))
}

/// Whether this thread records: then a run does nothing that the module's classes cannot be asked.
#[must_use]
pub fn is_on() -> bool {
    TRACE.with_borrow(Option::is_some)
}

/// A number for a new replica, if something is recorded.
#[must_use]
pub fn replica() -> Option<usize> {
    TRACE.with_borrow_mut(|trace| {
        let trace = trace.as_mut()?;
        trace.replicas += 1;
        Some(trace.replicas - 1)
    })
}

/// Notes a call and its result.
pub fn note(replica: usize, method: &str, arguments: &[Value], result: &Value) {
    TRACE.with_borrow_mut(|trace| {
        if let Some(trace) = trace {
            trace.line(&json!([replica, method, arguments, result]));
        }
    });
}

/// Notes that the run asks for what the module's classes cannot be asked.
pub fn unplayable(why: &'static str) {
    TRACE.with_borrow_mut(|trace| {
        if let Some(trace) = trace {
            trace.unplayable.get_or_insert(why);
        }
    });
}

/// Bytes, by their number.
#[must_use]
pub fn blob(bytes: &[u8]) -> Value {
    TRACE.with_borrow_mut(|trace| {
        let Some(trace) = trace else { return Value::Null };
        let number = match trace.blobs.get(bytes) {
            Some(number) => *number,
            None => {
                trace.line(&json!({ "blob": Base64::encode_string(bytes) }));
                trace.blobs.insert(bytes.to_vec(), trace.blobs.len());
                trace.blobs.len() - 1
            }
        };
        json!({ "b": number })
    })
}

impl Trace {
    fn line(&mut self, line: &Value) {
        self.text.push_str(&line.to_string());
        self.text.push('\n');
    }
}
