use std::vec;
use std::vec::Vec;

use super::{PipeEnd, pipe};
use crate::{Errno, Events, OpenFile, OpenFlags, SliceSource, VecSink};

fn write(file: &OpenFile, bytes: &[u8]) -> Result<usize, Errno> {
    file.write(&mut SliceSource(bytes))
}

fn read(file: &OpenFile, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut sink = VecSink::new(limit);
    file.read(&mut sink)?;
    Ok(sink.into_bytes())
}

#[test]
fn bytes_come_out_in_order() {
    let (reader, writer) = pipe(OpenFlags::empty());
    write(&writer, b"hello ").unwrap();
    write(&writer, b"world").unwrap();
    assert_eq!(read(&reader, 8).unwrap(), b"hello wo");
    assert_eq!(read(&reader, 8).unwrap(), b"rld");
    assert_eq!(read(&reader, 8), Err(Errno::EAGAIN));
    assert_eq!(write(&reader, b"x"), Err(Errno::EBADF));
    assert_eq!(read(&writer, 1), Err(Errno::EBADF));
}

#[test]
fn end_of_file_without_writer() {
    let (reader, writer) = pipe(OpenFlags::empty());
    write(&writer, b"x").unwrap();
    assert_eq!(reader.file().poll(), Events::IN);
    drop(writer);
    assert_eq!(reader.file().poll(), Events::IN | Events::HUP);
    assert_eq!(read(&reader, 9).unwrap(), b"x");
    assert_eq!(read(&reader, 9).unwrap(), b"");
    assert_eq!(reader.file().poll(), Events::HUP);
}

#[test]
fn broken_without_reader() {
    let (reader, writer) = pipe(OpenFlags::empty());
    drop(reader);
    assert_eq!(write(&writer, b"x"), Err(Errno::EPIPE));
    assert_eq!(writer.file().poll(), Events::OUT | Events::ERR);
}

#[test]
fn small_writes_are_whole_and_large_ones_partial() {
    let (reader, writer) = pipe(OpenFlags::NONBLOCK);
    assert_eq!(write(&writer, &vec![1; 65_000]).unwrap(), 65_000);
    assert_eq!(writer.file().poll(), Events::empty());
    assert_eq!(write(&writer, &[2; 4096]), Err(Errno::EAGAIN));
    assert_eq!(write(&writer, &[2; 4097]).unwrap(), 536);
    assert_eq!(write(&writer, &[2; 4097]), Err(Errno::EAGAIN));
    assert_eq!(read(&reader, 4096).unwrap().len(), 4096);
    assert_eq!(writer.file().poll(), Events::OUT);
}

#[test]
fn capacity_and_queued_bytes() {
    let (reader, writer) = pipe(OpenFlags::empty());
    let end = reader.file().as_any().downcast_ref::<PipeEnd>().unwrap();
    assert_eq!(end.capacity(), 65_536);
    write(&writer, &[0; 5000]).unwrap();
    assert_eq!(end.queued(), 5000);
    assert_eq!(end.set_capacity(100), Err(Errno::EBUSY));
    assert_eq!(end.set_capacity(9000), Ok(16_384));
}
