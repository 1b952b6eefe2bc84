use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::Vec;

use linux_abi::raw::general::{EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT};

use super::{Epoll, EpollOperation};
use crate::{
    Errno, EventFd, Events, File, OpenFile, OpenFlags, SliceSource, VecSink, Waiter, pipe,
};

const IN: u32 = Events::IN.bits();
const OUT: u32 = Events::OUT.bits();
const HUP: u32 = Events::HUP.bits();

fn add(epoll: &Epoll, file: &Arc<OpenFile>, events: u32, data: u64) -> Result<(), Errno> {
    epoll.control(EpollOperation::Add, 5, file, events, data)
}

fn modify(epoll: &Epoll, file: &Arc<OpenFile>, events: u32, data: u64) -> Result<(), Errno> {
    epoll.control(EpollOperation::Modify, 5, file, events, data)
}

fn write(file: &OpenFile) {
    file.write(&mut SliceSource(b"x")).unwrap();
}

fn read(file: &OpenFile) {
    file.read(&mut VecSink::new(9)).unwrap();
}

#[test]
fn level_triggered_reports_while_ready() {
    let (reader, writer) = pipe(OpenFlags::empty());
    let epoll = Epoll::new();
    add(&epoll, &reader, IN, 7).unwrap();
    assert_eq!(epoll.collect(9), []);
    write(&writer);
    assert_eq!(epoll.collect(9), [(IN, 7)]);
    assert_eq!(epoll.collect(9), [(IN, 7)]);
    assert_eq!(epoll.poll(), Events::IN);
    read(&reader);
    assert_eq!(epoll.poll(), Events::empty());
    assert_eq!(epoll.collect(9), []);
    write(&writer);
    assert_eq!(epoll.collect(9), [(IN, 7)]);
}

#[test]
fn edge_triggered_reports_once_for_each_change() {
    let (reader, writer) = pipe(OpenFlags::empty());
    let epoll = Epoll::new();
    write(&writer);
    add(&epoll, &reader, IN | EPOLLET, 1).unwrap();
    assert_eq!(epoll.collect(9), [(IN, 1)]);
    assert_eq!(epoll.collect(9), []);
    write(&writer);
    assert_eq!(epoll.collect(9), [(IN, 1)]);
    assert_eq!(epoll.collect(9), []);
}

#[test]
fn one_shot_needs_arming() {
    let (reader, writer) = pipe(OpenFlags::empty());
    let epoll = Epoll::new();
    add(&epoll, &reader, IN | EPOLLONESHOT, 1).unwrap();
    write(&writer);
    assert_eq!(epoll.collect(9), [(IN, 1)]);
    write(&writer);
    drop(writer);
    assert_eq!(epoll.collect(9), [], "not even the hang-up");
    modify(&epoll, &reader, IN | EPOLLONESHOT, 2).unwrap();
    assert_eq!(epoll.collect(9), [(IN | HUP, 2)]);
}

#[test]
fn hang_up_needs_no_asking() {
    let (reader, writer) = pipe(OpenFlags::empty());
    let epoll = Epoll::new();
    add(&epoll, &reader, 0, 1).unwrap();
    write(&writer);
    assert_eq!(epoll.collect(9), []);
    drop(writer);
    assert_eq!(epoll.collect(9), [(HUP, 1)]);
}

#[test]
fn control_tells_what_is_watched() {
    let (reader, _writer) = pipe(OpenFlags::empty());
    let epoll = Epoll::new();
    assert_eq!(modify(&epoll, &reader, IN, 0), Err(Errno::ENOENT));
    add(&epoll, &reader, IN, 0).unwrap();
    assert_eq!(add(&epoll, &reader, IN, 0), Err(Errno::EEXIST));
    let delete = || epoll.control(EpollOperation::Delete, 5, &reader, 0, 0);
    assert_eq!(delete(), Ok(()));
    assert_eq!(delete(), Err(Errno::ENOENT));
    add(&epoll, &reader, IN | EPOLLEXCLUSIVE, 0).unwrap();
    let refused = modify(&epoll, &reader, IN | EPOLLEXCLUSIVE, 0);
    assert_eq!(refused, Err(Errno::EINVAL));
}

#[test]
fn deleted_and_closed_files_are_silent() {
    let epoll = Epoll::new();
    for closes in [false, true] {
        let (reader, writer) = pipe(OpenFlags::empty());
        add(&epoll, &reader, IN, 0).unwrap();
        write(&writer);
        match closes {
            true => drop(reader),
            false => epoll
                .control(EpollOperation::Delete, 5, &reader, 0, 0)
                .unwrap(),
        }
        assert_eq!(epoll.collect(9), []);
    }
}

#[test]
fn entries_of_closed_files_are_forgotten() {
    let epoll = Epoll::new();
    for _ in 0..1000 {
        add(&epoll, &pipe(OpenFlags::empty()).0, IN, 0).unwrap();
    }
    assert!(epoll.watched.lock().entries.len() < 50);
}

#[test]
fn every_ready_file_has_its_turn() {
    let epoll = Epoll::new();
    let pipes: Vec<_> = (0..10).map(|_| pipe(OpenFlags::empty())).collect();
    for (data, (reader, writer)) in (0..).zip(&pipes) {
        add(&epoll, reader, IN, data).unwrap();
        write(writer);
    }
    let mut seen: Vec<u64> = (0..5)
        .flat_map(|_| epoll.collect(2))
        .map(|(_, data)| data)
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
}

#[test]
fn files_that_are_always_ready_cannot_be_watched() {
    struct Steady;
    impl File for Steady {
        fn stat(&self) -> crate::Stat {
            crate::Stat::anonymous(crate::FileKind::Regular)
        }
        fn as_any(&self) -> &dyn core::any::Any {
            self
        }
    }
    let file = OpenFile::new(Arc::new(Steady), OpenFlags::empty());
    assert_eq!(add(&Epoll::new(), &file, IN, 0), Err(Errno::EPERM));
}

#[test]
fn nested_instances_report_and_cannot_loop() {
    let [outer, inner, innermost] = [(); 3].map(|()| Epoll::open());
    let epoll = |file: &OpenFile| -> Arc<Epoll> {
        let file: Arc<dyn core::any::Any + Send + Sync> = file.file().clone();
        file.downcast().unwrap()
    };
    let event = EventFd::open(0, false, OpenFlags::empty());
    add(&epoll(&outer), &inner, IN, 1).unwrap();
    add(&epoll(&inner), &innermost, IN, 2).unwrap();
    add(&epoll(&innermost), &event, IN, 3).unwrap();
    assert_eq!(add(&epoll(&innermost), &outer, IN, 0), Err(Errno::ELOOP));
    assert_eq!(add(&epoll(&outer), &outer, IN, 0), Err(Errno::EINVAL));
    assert_eq!(epoll(&outer).collect(9), []);
    event.write(&mut SliceSource(&1_u64.to_le_bytes())).unwrap();
    assert_eq!(epoll(&outer).collect(9), [(IN, 1)]);
    assert_eq!(epoll(&innermost).collect(9), [(IN, 3)]);
    read(&event);
    assert_eq!(epoll(&outer).collect(9), []);
}

#[test]
fn nesting_ends_whichever_way_it_is_built() {
    let epoll = |file: &OpenFile| -> Arc<Epoll> {
        let file: Arc<dyn core::any::Any + Send + Sync> = file.file().clone();
        file.downcast().unwrap()
    };
    let files: Vec<_> = (0..7).map(|_| Epoll::open()).collect();
    // From the outermost in: four may be below it.
    for pair in files[..5].windows(2) {
        add(&epoll(&pair[0]), &pair[1], IN, 0).unwrap();
    }
    assert_eq!(add(&epoll(&files[4]), &files[5], IN, 0), Err(Errno::ELOOP));
    assert_eq!(add(&epoll(&files[6]), &files[0], IN, 0), Err(Errno::ELOOP));
    // What is watched no more, and what is closed, counts no more.
    let first = epoll(&files[0]);
    first
        .control(EpollOperation::Delete, 5, &files[1], 0, 0)
        .unwrap();
    add(&epoll(&files[4]), &files[5], IN, 0).unwrap();
}

#[test]
fn waiters_are_told() {
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Waiter for Count {
        fn wake(&self, _events: Events) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (reader, writer) = pipe(OpenFlags::empty());
    let epoll = Epoll::new();
    add(&epoll, &reader, IN, 0).unwrap();
    let count = Arc::new(Count::default());
    let waiter: std::sync::Weak<dyn Waiter> = Arc::downgrade(&(count.clone() as Arc<dyn Waiter>));
    epoll.wait_queue().unwrap().add(waiter);
    write(&writer);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    write(&writer);
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "it is ready already");
}

#[test]
fn concurrent_wakes_are_never_lost() {
    const ROUNDS: u64 = 2000;
    let event = EventFd::open(0, false, OpenFlags::empty());
    let epoll = Epoll::new();
    add(&epoll, &event, IN | EPOLLET, 0).unwrap();
    let writer = event.clone();
    let thread = std::thread::spawn(move || {
        for _ in 0..ROUNDS {
            writer
                .write(&mut SliceSource(&1_u64.to_le_bytes()))
                .unwrap();
        }
    });
    let mut total = 0;
    while total < ROUNDS {
        if epoll.collect(1).is_empty() {
            std::thread::yield_now();
            continue;
        }
        let mut sink = VecSink::new(8);
        if event.read(&mut sink).is_ok() {
            total += u64::from_le_bytes(sink.into_bytes().try_into().unwrap());
        }
    }
    thread.join().unwrap();
    assert_eq!(
        epoll
            .collect(9)
            .iter()
            .filter(|event| event.0 & OUT != 0)
            .count(),
        0
    );
}
