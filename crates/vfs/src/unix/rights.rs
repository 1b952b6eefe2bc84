//! Keeps files on their way through sockets from holding each other alive.
//!
//! A socket that is on its way to itself, directly or inside another socket that is, could never
//! be received nor closed. Linux collects such cycles as garbage; here, the message that would
//! close one is refused.

use alloc::sync::Arc;
use alloc::vec::Vec;

use spin::Mutex;

use super::UnixSocket;
use super::endpoint::{Endpoint, Listening};
use super::queue::Queue;
use crate::{Errno, OpenFile};

/// Held while sockets are sent, so that no two messages close a cycle together.
static SENDING_SOCKETS: Mutex<()> = Mutex::new(());

/// Runs `deliver`, which puts `rights` into the queue of `target`, unless that closes a cycle.
///
/// # Errors
/// `ELOOP`, `EMLINK` if too many sockets are on their way with them, else what `deliver`
/// says.
pub(super) fn with_checked(
    rights: &[Arc<OpenFile>],
    target: &Arc<Endpoint>,
    deliver: impl FnOnce() -> Result<(), Errno>,
) -> Result<(), Errno> {
    let sockets: Vec<_> = rights.iter().filter_map(endpoint_of).collect();
    if sockets.is_empty() {
        return deliver();
    }
    let _sending = SENDING_SOCKETS.lock();
    if reaches(sockets, target)? {
        return Err(Errno::ELOOP);
    }
    deliver()
}

/// Most sockets that may be on their way inside those that are sent: looking for cycles takes
/// time. (Linux lets a user have as many files on their way as it may have open.)
const MAX_INSIDE: usize = 1024;

/// Whether `target` is among `sockets` or on its way inside them.
fn reaches(sockets: Vec<Arc<Endpoint>>, target: &Arc<Endpoint>) -> Result<bool, Errno> {
    let mut seen: Vec<Arc<Endpoint>> = Vec::new();
    let mut open = sockets;
    while let Some(endpoint) = open.pop() {
        if Arc::ptr_eq(&endpoint, target) {
            return Ok(true);
        }
        if seen.iter().any(|known| Arc::ptr_eq(known, &endpoint)) {
            continue;
        }
        if seen.len() == MAX_INSIDE {
            return Err(Errno::EMLINK);
        }
        open.extend(inside(&endpoint));
        seen.push(endpoint);
    }
    Ok(false)
}

/// What closed sockets leave: files on their way, which may be sockets that hold further ones.
type Remains = (Queue, Option<Listening>);

/// The remains that wait while others are dropped; `None` while nobody drops any.
static WAITING: Mutex<Option<Vec<Remains>>> = Mutex::new(None);

/// Drops what a closed socket leaves. Sockets inside leave something themselves; that is dropped
/// one after another and not one inside the other, which would take stack for each.
pub(super) fn bury(queue: Queue, listening: Option<Listening>) {
    let has_sockets = queue.rights().any(|file| endpoint_of(file).is_some());
    if !has_sockets && listening.is_none() {
        return;
    }
    {
        let mut waiting = WAITING.lock();
        if let Some(waiting) = &mut *waiting {
            waiting.push((queue, listening));
            return;
        }
        *waiting = Some(Vec::new());
    }
    let mut remains = Some((queue, listening));
    while remains.take().is_some() {
        let mut waiting = WAITING.lock();
        remains = waiting.as_mut().and_then(Vec::pop);
        if remains.is_none() {
            *waiting = None;
        }
    }
}

/// The sockets that `endpoint` keeps alive.
fn inside(endpoint: &Endpoint) -> Vec<Arc<Endpoint>> {
    let state = endpoint.state.lock();
    let sent = state.queue.rights().filter_map(endpoint_of);
    let pending = state
        .listening
        .iter()
        .flat_map(|listening| &listening.pending);
    sent.chain(pending.map(|socket| socket.endpoint().clone()))
        .collect()
}

fn endpoint_of(file: &Arc<OpenFile>) -> Option<Arc<Endpoint>> {
    let socket = file.file().as_any().downcast_ref::<UnixSocket>()?;
    Some(socket.endpoint().clone())
}
