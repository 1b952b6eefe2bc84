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
//! Lock order: a task's wake-up state, then one queue; never two queues.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

use machine::cpu::{self, MAX_CPUS, Thread, exit_to, switch_to, wait_for_interrupt};
use spin::{Mutex, Once};

use crate::task::Task;
use crate::{clock, interrupts, timers};

/// How long a task may run while others wait: 3 ms, about what Linux gives with a few runnable
/// tasks (base slice of EEVDF).
const SLICE: u64 = 3_000_000;

/// One CPU.
struct Cpu {
    /// The runnable tasks, apart from the one that runs.
    tasks: Mutex<VecDeque<Arc<Task>>>,
    /// How many there are, to be read without the lock.
    waiting: AtomicUsize,
    /// The running task has to give way at the next chance.
    give_way: AtomicBool,
    /// Runs when no task does.
    idle: Once<Arc<Thread>>,
}

static CPUS: [Cpu; MAX_CPUS] = [const {
    Cpu {
        tasks: Mutex::new(VecDeque::new()),
        waiting: AtomicUsize::new(0),
        give_way: AtomicBool::new(false),
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

    /// Takes the first task that `suits`.
    fn take(&self, suits: impl Fn(&Task) -> bool) -> Option<Arc<Task>> {
        if self.waiting() == 0 {
            return None;
        }
        let mut tasks = self.tasks.lock();
        let index = tasks.iter().position(|task| suits(task))?;
        let task = tasks.remove(index);
        self.waiting.store(tasks.len(), Ordering::Relaxed);
        task
    }
}

/// Makes a task runnable that is in no queue.
pub(crate) fn enqueue(task: Arc<Task>) {
    let own = cpu::number();
    if cpu::count() == 1 {
        CPUS[own].add(task);
        timers::set_slice(clock::now() + SLICE);
        return;
    }
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
    CPUS[target].add(task);
    if target == own {
        timers::set_slice(clock::now() + SLICE);
    }
    // The task is in the queue before anyone's idleness is looked at.
    fence(Ordering::SeqCst);
    let woken = wake_one(helpers, target);
    if !woken && target != own && !timers::has_slice(target) {
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
        .or_else(|| steal(own))?;
    task.set_cpu(own);
    if CPUS[own].waiting() > 0 {
        timers::set_slice(clock::now() + SLICE);
    }
    Some(task)
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

/// Notes that the running task's slice is over.
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
        timers::set_slice(clock::now() + SLICE);
    }
}

/// Makes a task that runs on another CPU enter the kernel there, so that it looks at its signals
/// and its affinity.
pub(crate) fn kick(task: &Task) {
    if cpu::count() > 1 && task.thread().is_running() && task.last_cpu() != cpu::number() {
        cpu::interrupt(task.last_cpu());
    }
}

/// Runs others now if the current task has used up its slice or may not run here any more. Called
/// on the way to ring 3.
pub(crate) fn give_way_if_due(current: &Arc<Task>) {
    let cpu = this_cpu();
    let due = cpu.give_way.load(Ordering::Relaxed);
    if due {
        cpu.give_way.store(false, Ordering::Relaxed);
    }
    if due || !current.may_run_on(cpu::number()) {
        yield_now(current);
    }
}

/// Lets every other task that waits for this CPU run first.
pub(crate) fn yield_now(current: &Arc<Task>) {
    let own = cpu::number();
    let next = CPUS[own].take(|task| task.may_run_on(own));
    if next.is_none() && current.may_run_on(own) {
        return;
    }
    CPUS[own].add(Arc::clone(current));
    timers::set_slice(clock::now() + SLICE);
    if let Some(next) = &next {
        next.set_cpu(own);
    }
    current.cpu.stop();
    switch(next);
    current.cpu.start();
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
    let next = next();
    // It may have been made runnable already.
    if !next.as_ref().is_some_and(|next| Arc::ptr_eq(next, current)) {
        switch(next);
    }
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
                wait_for_interrupt();
            }
            IDLE.fetch_and(!bit, Ordering::SeqCst);
            interrupts::service();
        }
        if task.is_some() {
            switch(task);
        }
    }
}
