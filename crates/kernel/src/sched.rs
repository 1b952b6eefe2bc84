//! Which task runs where. Tasks give up their CPU when they block, end, or have used up their
//! slice while others wait; the kernel itself is never preempted.
//!
//! Each CPU has a queue of its own. A task that becomes runnable goes to an idle CPU if there is
//! one, and an idle CPU takes from the queues of others. Two rules keep this simple:
//!
//! - A task whose thread still runs (it is about to block, or gives way) is only ever in the queue
//!   of the CPU that runs it, and no other CPU takes it from there. So nobody has to wait until a
//!   thread has left its stack.
//! - A CPU announces that it is idle, looks once more for work and only then halts; whoever adds a
//!   task looks for idle CPUs afterwards. So either the CPU sees the task or it gets an interrupt.
//!
//! A task has a turn of some milliseconds of processor time. When it is used up and others wait, the
//! task goes behind them; among those that wait, who got its turn first goes first. So a task that
//! mostly sleeps runs as soon as it is woken: its turn is old, and that of a busy one is new.
//!
//! Lock order: a task's wake-up state, then one queue; never two queues.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

use machine::cpu::{self, MAX_CPUS, Thread, exit_to, switch_to, wait_for_interrupt};
use spin::{Mutex, Once};

use crate::task::{CpuClock, Task};
use crate::timers::NEVER;
use crate::{clock, interrupts, timers};

/// Processor time of a turn: 3 ms, about what Linux gives with a few runnable tasks (base slice of
/// EEVDF).
const TURN: u64 = 3_000_000;
/// By how much the turn of a woken task must be older for the running one to be interrupted:
/// tasks that wake each other all the time need not change places at each wake-up.
const MARGIN: u64 = 1_000_000;

/// What is left of a turn that counts as over: the timer that ends a turn goes off that early.
const LEAST: u64 = 50_000;

/// The turn of a task.
#[derive(Default)]
pub(crate) struct Turn {
    /// When it began; 0 before the first.
    since: AtomicU64,
    /// Processor time of the task up to then.
    used_before: AtomicU64,
}

impl Turn {
    fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }

    fn left(&self, used: u64) -> u64 {
        let before = self.used_before.load(Ordering::Relaxed);
        TURN.saturating_sub(used.saturating_sub(before))
    }

    fn renew(&self, used: u64, now: u64) {
        self.since.store(now, Ordering::Relaxed);
        self.used_before.store(used, Ordering::Relaxed);
    }

    fn renew_if_over(&self, used: u64, now: u64) {
        if self.since() == 0 || self.left(used) < LEAST {
            self.renew(used, now);
        }
    }
}

/// One CPU.
struct Cpu {
    /// The runnable tasks, apart from the one that runs.
    tasks: Mutex<VecDeque<Arc<Task>>>,
    /// How many there are, to be read without the lock.
    waiting: AtomicUsize,
    /// The running task has to see whether others go first, at the next chance.
    give_way: AtomicBool,
    /// Since when the running task has its turn; 0 without one.
    turn_since: AtomicU64,
    /// When its turn will be used up.
    turn_end: AtomicU64,
    /// Time spent halted.
    halted: CpuClock,
    /// Runs when no task does.
    idle: Once<Arc<Thread>>,
}

static CPUS: [Cpu; MAX_CPUS] = [const {
    Cpu {
        tasks: Mutex::new(VecDeque::new()),
        waiting: AtomicUsize::new(0),
        give_way: AtomicBool::new(false),
        turn_since: AtomicU64::new(0),
        turn_end: AtomicU64::new(NEVER),
        halted: CpuClock::new(),
        idle: Once::new(),
    }
}; MAX_CPUS];

/// The CPUs that are halted, or about to be: one bit each.
static IDLE: AtomicU64 = AtomicU64::new(0);

fn this_cpu() -> &'static Cpu {
    &CPUS[cpu::number()]
}

/// The CPUs that run, one bit each.
pub(crate) fn online() -> u64 {
    u64::MAX >> (MAX_CPUS - cpu::count())
}

impl Cpu {
    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn add(&self, task: Arc<Task>) {
        let mut tasks = self.tasks.lock();
        tasks.push_back(task);
        self.waiting.store(tasks.len(), Ordering::Relaxed);
    }

    /// Takes the task with the oldest turn of those that `suit`.
    fn take(&self, suits: impl Fn(&Task) -> bool) -> Option<Arc<Task>> {
        if self.waiting() == 0 {
            return None;
        }
        let mut tasks = self.tasks.lock();
        // A plain loop: `min_by_key` moves each candidate several times, at every switch of tasks.
        let (mut oldest, mut found) = (NEVER, None);
        for (index, task) in tasks.iter().enumerate() {
            let since = task.turn.since();
            if since < oldest && suits(task) {
                (oldest, found) = (since, Some(index));
            }
        }
        let task = tasks.remove(found?);
        self.waiting.store(tasks.len(), Ordering::Relaxed);
        task
    }
}

impl Cpu {
    /// A task runs from now on, or none.
    fn begin(&self, task: Option<&Task>, now: u64) {
        let (since, end) = match task {
            Some(task) => (task.turn.since(), now + task.turn.left(task.cpu.at(now))),
            None => (0, NEVER),
        };
        self.turn_since.store(since, Ordering::Relaxed);
        self.turn_end.store(end, Ordering::Relaxed);
    }

    /// Whether the running task has to make room for one whose turn began at `since`.
    fn gives_way_to(&self, since: u64, now: u64) -> bool {
        self.turn_end.load(Ordering::Relaxed) <= now
            || since + MARGIN < self.turn_since.load(Ordering::Relaxed)
    }

    /// Sees to it that this CPU's running task makes room for those that wait when its turn ends.
    /// By an interrupt in any case: it may be in ring 3 before anyone looks at `give_way`.
    fn watch_turn(&self, now: u64) {
        let end = self.turn_end.load(Ordering::Relaxed);
        timers::set_slice(end.clamp(now + LEAST, now + TURN));
    }
}

/// Makes a task runnable that is in no queue.
pub(crate) fn enqueue(task: Arc<Task>) {
    let (own, now) = (cpu::number(), clock::now());
    task.turn.renew_if_over(task.cpu.at(now), now);
    let since = task.turn.since();
    let leaving = task.thread().is_running();
    let target = if leaving {
        task.last_cpu()
    } else {
        place(&task)
    };
    let helpers = if leaving {
        1 << target
    } else {
        task.affinity()
    };
    let cpu = &CPUS[target];
    cpu.add(task);
    if target == own {
        cpu.watch_turn(now);
    }
    // The task is in the queue before anyone's idleness is looked at.
    fence(Ordering::SeqCst);
    if cpu::count() > 1 && wake_one(helpers, target) {
        return;
    }
    let gives_way = cpu.gives_way_to(since, now);
    if gives_way {
        cpu.give_way.store(true, Ordering::Relaxed);
    }
    if target != own && (gives_way || !timers::has_slice(target)) {
        cpu::interrupt(target);
    }
}

/// Where to put a task that does not run: where it ran last if that CPU is idle, another idle
/// CPU, or the one with the shortest queue.
fn place(task: &Task) -> usize {
    let allowed = task.affinity() & online();
    let idle = IDLE.load(Ordering::Relaxed) & allowed;
    let last = task.last_cpu();
    if idle >> last & 1 == 1 {
        return last;
    }
    if idle != 0 {
        return idle.trailing_zeros() as usize;
    }
    let allowed = (0..cpu::count()).filter(|number| allowed >> number & 1 == 1);
    allowed
        .min_by_key(|&number| (CPUS[number].waiting(), number != last))
        .unwrap_or(last)
}

/// Wakes an idle CPU among `allowed`, `first` if it is one; returns whether there was one.
fn wake_one(allowed: u64, first: usize) -> bool {
    let idle = IDLE.load(Ordering::SeqCst) & allowed;
    if idle == 0 {
        return false;
    }
    let chosen = if idle >> first & 1 == 1 {
        first
    } else {
        idle.trailing_zeros() as usize
    };
    // Whoever clears the bit sends the interrupt.
    if IDLE.fetch_and(!(1 << chosen), Ordering::SeqCst) >> chosen & 1 == 1 {
        cpu::interrupt(chosen);
    }
    true
}

/// The next task for this CPU: from its own queue, else from another's.
fn next() -> Option<Arc<Task>> {
    let own = cpu::number();
    let task = CPUS[own]
        .take(|task| task.may_run_on(own))
        .or_else(|| steal(own));
    begin(task.as_ref());
    task
}

/// This CPU runs `task` from now on, or idles.
fn begin(task: Option<&Arc<Task>>) {
    let (number, now) = (cpu::number(), clock::now());
    let cpu = &CPUS[number];
    cpu.begin(task.map(|task| &**task), now);
    if let Some(task) = task {
        task.set_cpu(number);
        if cpu.waiting() > 0 {
            cpu.watch_turn(now);
        }
    }
}

/// The current thread runs `task` from now on.
pub(crate) fn started(task: &Task) {
    task.cpu.start(clock::now());
}

/// The current thread does not run its task any more, for now.
fn stopped(task: &Task) {
    task.cpu.stop(clock::now());
}

/// How long CPU `number` has not been halted, in nanoseconds.
pub(crate) fn busy_time(number: usize) -> u64 {
    let now = clock::now();
    now.saturating_sub(CPUS[number].halted.at(now))
}

fn steal(own: usize) -> Option<Arc<Task>> {
    let count = cpu::count();
    let suits = |task: &Task| task.may_run_on(own) && !task.thread().is_running();
    (1..count).find_map(|distance| CPUS[(own + distance) % count].take(suits))
}

/// Hands tasks that may not run on this CPU any more to others.
fn evict() {
    let own = cpu::number();
    let suits = |task: &Task| !task.may_run_on(own) && !task.thread().is_running();
    while let Some(task) = CPUS[own].take(suits) {
        enqueue(task);
    }
}

/// Notes that the running task's turn is over, or will be soon.
pub(crate) fn slice_over() {
    let cpu = this_cpu();
    cpu.give_way.store(true, Ordering::Relaxed);
    if cpu.waiting() > 0 && cpu::count() > 1 {
        evict();
        wake_one(online(), cpu::number());
    }
}

/// Another CPU sent an interrupt: there may be a task more in the queue, or the running one may
/// have to leave this CPU.
pub(crate) fn look_around() {
    let cpu = this_cpu();
    if cpu.waiting() > 0 {
        cpu.watch_turn(clock::now());
    }
}

/// Makes a task that runs on another CPU enter the kernel there, so that it looks at its signals
/// and its affinity.
pub(crate) fn kick(task: &Task) {
    if cpu::count() > 1 && task.thread().is_running() && task.last_cpu() != cpu::number() {
        cpu::interrupt(task.last_cpu());
    }
}

/// Runs another task now if one goes first or the current one may not run here any more. Called
/// on the way to ring 3.
pub(crate) fn give_way_if_due(current: &Arc<Task>) {
    let cpu = this_cpu();
    let due = cpu.give_way.load(Ordering::Relaxed);
    if due {
        cpu.give_way.store(false, Ordering::Relaxed);
    }
    if due || !current.may_run_on(cpu::number()) {
        let now = clock::now();
        current.turn.renew_if_over(current.cpu.at(now), now);
        give_way(current);
    }
}

/// Ends the turn of the current task: every other one that waits for this CPU runs first.
pub(crate) fn yield_now(current: &Arc<Task>) {
    let now = clock::now();
    current.turn.renew(current.cpu.at(now), now);
    give_way(current);
}

/// Runs whoever has an older turn than the current task.
fn give_way(current: &Arc<Task>) {
    let own = cpu::number();
    let stays = current.may_run_on(own);
    let limit = if stays { current.turn.since() } else { NEVER };
    let next = CPUS[own].take(|task| task.may_run_on(own) && task.turn.since() < limit);
    if next.is_none() && stays {
        begin(Some(current));
        return;
    }
    CPUS[own].add(Arc::clone(current));
    begin(next.as_ref());
    stopped(current);
    switch(next);
    started(current);
}

/// Switches to a task, or to the idle thread.
fn switch(next: Option<Arc<Task>>) {
    switch_to(thread_of(next));
}

fn thread_of(next: Option<Arc<Task>>) -> Arc<Thread> {
    match next {
        Some(task) => Arc::clone(task.thread()),
        None => Arc::clone(this_cpu().idle.get().expect("set by `idle`")),
    }
}

/// Runs other tasks until someone makes `current` runnable again.
pub(crate) fn block(current: &Arc<Task>) {
    stopped(current);
    let next = next();
    // It may have been made runnable already.
    if !next.as_ref().is_some_and(|next| Arc::ptr_eq(next, current)) {
        switch(next);
    }
    started(current);
}

/// Ends the current kernel thread; its task is in no queue any more.
pub(crate) fn exit_current() -> ! {
    let next = thread_of(next());
    exit_to(next)
}

/// Makes the running thread this CPU's idle thread: it runs tasks, and halts when there are none.
pub(crate) fn idle() -> ! {
    let number = cpu::number();
    let bit = 1 << number;
    CPUS[number].idle.call_once(cpu::current_thread);
    loop {
        evict();
        let mut task = next();
        if task.is_none() {
            IDLE.fetch_or(bit, Ordering::SeqCst);
            task = next();
            if task.is_none() {
                halt(&CPUS[number].halted);
            }
            IDLE.fetch_and(!bit, Ordering::SeqCst);
            interrupts::service();
        }
        if task.is_some() {
            switch(task);
        }
    }
}

/// Halts until an interrupt.
fn halt(time: &CpuClock) {
    time.start(clock::now());
    wait_for_interrupt();
    time.stop(clock::now());
}
