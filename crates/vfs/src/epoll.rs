//! epoll(7).
//!
//! Every watched file has an [`Entry`] that waits in the file's queue. A wake-up puts the entry
//! on the ready list, so that collecting events costs as much as there are ready files, however
//! many are watched. What is on the list is only a hint: collecting asks the file again.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashMap;
use linux_abi::raw::general::{
    EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT,
};
use spin::Mutex;

use crate::{Errno, Events, File, FileKind, OpenFile, OpenFlags, Stat, WaitQueue, Waiter};

/// `EPOLLRDNORM` and `EPOLLWRNORM`: other names of the conditions `IN` and `OUT`.
const READ_NORMAL: u32 = 0x40;
const WRITE_NORMAL: u32 = 0x100;
/// How many epoll files may stand above each other, each watching the next, besides the first
/// (Linux `EP_MAX_NESTS`).
const MAX_NESTING: usize = 4;

/// What epoll_ctl(2) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpollOperation {
    /// Watch a file.
    Add,
    /// Change what is watched for.
    Modify,
    /// Watch it no more.
    Delete,
}

impl EpollOperation {
    /// From the number epoll_ctl(2) takes.
    ///
    /// # Errors
    /// `EINVAL` for any other number.
    pub const fn from_raw(raw: u32) -> Result<Self, Errno> {
        match raw {
            EPOLL_CTL_ADD => Ok(Self::Add),
            EPOLL_CTL_MOD => Ok(Self::Modify),
            EPOLL_CTL_DEL => Ok(Self::Delete),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// An epoll instance.
pub struct Epoll {
    ready: Arc<ReadyList>,
    watched: Mutex<Watched>,
    /// The epoll files that watch this one, once for each time.
    watchers: Mutex<Vec<Weak<Self>>>,
    own: Weak<Self>,
}

/// The watched files, by descriptor and open file.
#[derive(Default)]
struct Watched {
    entries: HashMap<(i32, usize), Arc<Entry>>,
    /// When to look for files that are gone: their entries do no harm but take memory.
    prune_at: usize,
}

#[derive(Default)]
struct ReadyList {
    entries: Mutex<VecDeque<Arc<Entry>>>,
    queue: WaitQueue,
}

/// The interest in one file.
struct Entry {
    file: Weak<OpenFile>,
    interest: Mutex<Interest>,
    /// Whether the entry is on the ready list.
    queued: AtomicBool,
    list: Weak<ReadyList>,
    own: Weak<Self>,
}

#[derive(Clone, Copy)]
struct Interest {
    /// The bits of `epoll_event.events`, errors and hang-ups always among them; 0 when disarmed
    /// or deleted.
    events: u32,
    data: u64,
    /// Goes on with every change, to notice one that happens while the file is asked.
    version: u32,
}

impl Interest {
    const fn new(events: u32, data: u64) -> Self {
        Self {
            events: events | Events::ERR.bits() | Events::HUP.bits(),
            data,
            version: 0,
        }
    }

    const fn change(&mut self, events: u32, data: u64) {
        let version = self.version.wrapping_add(1);
        *self = Self {
            events,
            data,
            version,
        };
    }
}

impl Epoll {
    /// epoll_create1(2): an instance that watches nothing.
    pub fn new() -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            ready: Arc::default(),
            watched: Mutex::default(),
            watchers: Mutex::default(),
            own: own.clone(),
        })
    }

    /// An instance as an open file.
    pub fn open() -> Arc<OpenFile> {
        OpenFile::new(Self::new(), OpenFlags::RDWR)
    }

    /// epoll_ctl(2) for the descriptor `fd` that refers to `file`, with the raw bits `events`
    /// and the caller's `data`.
    ///
    /// # Errors
    /// As epoll_ctl(2): `EEXIST`, `ENOENT`, `ELOOP`, `EINVAL`, and `EPERM` for files that are
    /// always ready.
    pub fn control(
        &self,
        operation: EpollOperation,
        fd: i32,
        file: &Arc<OpenFile>,
        events: u32,
        data: u64,
    ) -> Result<(), Errno> {
        if file.flags().contains(OpenFlags::PATH) {
            return Err(Errno::EBADF);
        }
        let queue = file.file().wait_queue().ok_or(Errno::EPERM)?;
        let inner = file.file().as_any().downcast_ref::<Self>();
        if inner.is_some_and(|inner| core::ptr::eq(inner, self)) {
            return Err(Errno::EINVAL);
        }
        let key = (fd, Arc::as_ptr(file).addr());
        let interest = Interest::new(events, data);
        match operation {
            EpollOperation::Delete => {
                self.delete(key, queue)?;
                if let Some(inner) = inner {
                    inner.forget_watcher(self);
                }
                Ok(())
            }
            EpollOperation::Modify => self.modify(key, interest),
            EpollOperation::Add => match inner {
                None => self.add(key, file, queue, interest),
                Some(inner) => self.add_nested(inner, key, file, queue, interest),
            },
        }
    }

    fn add_nested(
        &self,
        inner: &Self,
        key: (i32, usize),
        file: &Arc<OpenFile>,
        queue: &WaitQueue,
        interest: Interest,
    ) -> Result<(), Errno> {
        /// Held while an epoll file gets watched, so that no two calls close a loop together.
        static NESTING: Mutex<()> = Mutex::new(());
        let _nesting = NESTING.lock();
        if interest.events & EPOLLEXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
        let below = inner.levels(self, Self::inside)?;
        let above = self.levels(inner, Self::outside)?;
        if above + 1 + below > MAX_NESTING {
            return Err(Errno::ELOOP);
        }
        self.add(key, file, queue, interest)?;
        let mut watchers = inner.watchers.lock();
        watchers.retain(|known| known.strong_count() > 0);
        watchers.push(self.own.clone());
        Ok(())
    }

    fn forget_watcher(&self, outer: &Self) {
        let mut watchers = self.watchers.lock();
        if let Some(at) = watchers
            .iter()
            .position(|known| Weak::ptr_eq(known, &outer.own))
        {
            watchers.swap_remove(at);
        }
    }

    fn add(
        &self,
        key: (i32, usize),
        file: &Arc<OpenFile>,
        queue: &WaitQueue,
        interest: Interest,
    ) -> Result<(), Errno> {
        let entry = Arc::new_cyclic(|own| Entry {
            file: Arc::downgrade(file),
            interest: Mutex::new(interest),
            queued: AtomicBool::new(false),
            list: Arc::downgrade(&self.ready),
            own: own.clone(),
        });
        let mut watched = self.watched.lock();
        watched.prune();
        if watched.entries.contains_key(&key) {
            return Err(Errno::EEXIST);
        }
        watched.entries.insert(key, entry.clone());
        drop(watched);
        queue.add(entry.own.clone());
        entry.check_now();
        Ok(())
    }

    fn modify(&self, key: (i32, usize), interest: Interest) -> Result<(), Errno> {
        if interest.events & EPOLLEXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
        let entry = self.watched.lock().entries.get(&key).cloned();
        let entry = entry.ok_or(Errno::ENOENT)?;
        entry.interest.lock().change(interest.events, interest.data);
        entry.check_now();
        Ok(())
    }

    fn delete(&self, key: (i32, usize), queue: &WaitQueue) -> Result<(), Errno> {
        let entry = self.watched.lock().entries.remove(&key);
        let entry = entry.ok_or(Errno::ENOENT)?;
        entry.interest.lock().change(0, 0);
        let waiter: Weak<dyn Waiter> = entry.own.clone();
        queue.remove(&waiter);
        Ok(())
    }

    /// How many levels of epoll files there are from here in the direction of `step`. It goes
    /// level by level, so that files that are reached in many ways count once.
    ///
    /// # Errors
    /// `ELOOP` if `forbidden` is among them, or there are too many.
    fn levels(&self, forbidden: &Self, step: fn(&Self) -> Vec<Arc<Self>>) -> Result<usize, Errno> {
        let mut level = step(self);
        let mut count = 0;
        while !level.is_empty() {
            count += 1;
            let found = level.iter().any(|epoll| core::ptr::eq(&**epoll, forbidden));
            if found || count > MAX_NESTING {
                return Err(Errno::ELOOP);
            }
            let mut next: Vec<_> = level.iter().flat_map(|epoll| step(epoll)).collect();
            next.sort_unstable_by_key(Arc::as_ptr);
            next.dedup_by_key(|epoll| Arc::as_ptr(epoll));
            level = next;
        }
        Ok(count)
    }

    /// The epoll files watched from here.
    fn inside(&self) -> Vec<Arc<Self>> {
        let files: Vec<_> = {
            let watched = self.watched.lock();
            let entries = watched.entries.values();
            entries.filter_map(|entry| entry.file.upgrade()).collect()
        };
        files
            .iter()
            .filter_map(|file| file.file().as_any().downcast_ref::<Self>()?.own.upgrade())
            .collect()
    }

    /// The epoll files that watch this one.
    fn outside(&self) -> Vec<Arc<Self>> {
        let watchers = self.watchers.lock();
        watchers.iter().filter_map(Weak::upgrade).collect()
    }

    /// epoll_wait(2) without waiting: up to `limit` pairs of events and data. Empty if nothing
    /// is ready; [`File::wait_queue`] tells when to try again.
    pub fn collect(&self, limit: usize) -> Vec<(u32, u64)> {
        let mut found = Vec::new();
        let mut again = Vec::new();
        // Entries that are ready again meanwhile wait for the next call.
        let mut candidates = self.ready.len();
        while found.len() < limit && candidates > 0 {
            candidates -= 1;
            let Some(entry) = self.ready.pop() else { break };
            let Some((event, stays)) = entry.take_event() else {
                continue;
            };
            found.push(event);
            if stays {
                again.push(entry);
            }
        }
        self.ready.push_back(again);
        found
    }
}

impl Watched {
    fn prune(&mut self) {
        if self.entries.len() >= self.prune_at {
            self.entries
                .retain(|_, entry| entry.file.strong_count() > 0);
            self.prune_at = (self.entries.len() * 2).max(16);
        }
    }
}

impl ReadyList {
    fn len(&self) -> usize {
        self.entries.lock().len()
    }

    /// The next entry, no longer queued: from here on a wake-up queues it again.
    fn pop(&self) -> Option<Arc<Entry>> {
        let entry = self.entries.lock().pop_front()?;
        entry.queued.store(false, Ordering::Release);
        Some(entry)
    }

    /// Puts level-triggered entries back; others that collect meanwhile may have missed them.
    fn push_back(&self, entries: Vec<Arc<Entry>>) {
        if entries.is_empty() {
            return;
        }
        for entry in entries {
            self.push(entry);
        }
        self.queue.wake(Events::IN);
    }

    /// Queues an entry unless it is queued already.
    fn push(&self, entry: Arc<Entry>) -> bool {
        let mut entries = self.entries.lock();
        let new = !entry.queued.swap(true, Ordering::AcqRel);
        if new {
            entries.push_back(entry);
        }
        new
    }
}

impl Entry {
    /// What is ready of what is asked for, in the bits asked for.
    fn ready_events(&self, interest: Interest) -> u32 {
        let Some(file) = self.file.upgrade() else {
            return 0;
        };
        with_synonyms(file.file().poll()) & interest.events
    }

    /// The event to report, and whether the entry stays ready (level-triggered).
    fn take_event(&self) -> Option<((u32, u64), bool)> {
        let interest = *self.interest.lock();
        let events = self.ready_events(interest);
        if events == 0 {
            return None;
        }
        if interest.events & EPOLLONESHOT != 0 && !self.disarm(interest) {
            return None;
        }
        let stays = interest.events & (EPOLLET | EPOLLONESHOT) == 0;
        Some(((events, interest.data), stays))
    }

    /// Ends the interest unless it changed since it was `seen`; a change queues the entry anew.
    fn disarm(&self, seen: Interest) -> bool {
        let mut interest = self.interest.lock();
        let unchanged = interest.version == seen.version;
        if unchanged {
            interest.change(0, seen.data);
        }
        unchanged
    }

    /// Queues the entry if its file is ready already.
    fn check_now(&self) {
        let interest = *self.interest.lock();
        if self.ready_events(interest) != 0 {
            self.queue();
        }
    }

    fn queue(&self) {
        let (Some(list), Some(entry)) = (self.list.upgrade(), self.own.upgrade()) else {
            return;
        };
        if list.push(entry) {
            list.queue.wake(Events::IN);
        }
    }
}

impl Waiter for Entry {
    fn wake(&self, events: Events) {
        let interest = *self.interest.lock();
        if with_synonyms(events) & interest.events != 0 {
            self.queue();
        }
    }
}

fn with_synonyms(events: Events) -> u32 {
    let mut bits = events.bits();
    if events.contains(Events::IN) {
        bits |= READ_NORMAL;
    }
    if events.contains(Events::OUT) {
        bits |= WRITE_NORMAL;
    }
    bits
}

impl File for Epoll {
    fn stat(&self) -> Stat {
        Stat::anonymous(FileKind::Anonymous)
    }

    fn poll(&self) -> Events {
        let mut candidates = self.ready.len();
        while candidates > 0 {
            candidates -= 1;
            let Some(entry) = self.ready.pop() else { break };
            let interest = *entry.interest.lock();
            if entry.ready_events(interest) != 0 {
                self.ready.push(entry);
                return Events::IN;
            }
        }
        Events::empty()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.ready.queue)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
#[path = "epoll_tests.rs"]
mod tests;
