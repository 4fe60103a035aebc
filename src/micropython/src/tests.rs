//! What needs no virtual machine, over a [mock](crate::mock) of the function table. Under Miri each of them shows that no
//! freed, foreign or undefined memory is looked at, and that no reference is used beside another that excludes it.
use crate::class::{self, ClassTable};
use crate::exception::Kind;
use crate::mock::{ALLOCATIONS, READ, STREAM, new};
use crate::{Class, Exception, GcBox, GcBytes, GcVec, Native, NoMemory, Obj, OrRaise, Stream, Vm};
use crate::{buffer, bytes_of, errno};
use std::boxed::Box;
use std::panic::catch_unwind;
use std::ptr::null;
use std::vec::Vec;

/// As the boundary makes it.
fn vm() -> Vm {
    // SAFETY: the test stands for Python code that calls.
    unsafe { Vm::new() }
}

fn raised(call: impl FnOnce() + std::panic::UnwindSafe) -> Option<Kind> {
    let kind = catch_unwind(call).err()?;
    kind.downcast_ref().copied()
}

fn numbered(len: usize) -> GcBytes {
    let mut bytes = GcBytes::new(len);
    assert!(bytes.iter().all(|&byte| byte == 0));
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = i as u8;
    }
    bytes
}

#[test]
fn bytes_keep_what_they_are_told_and_zero_the_rest() {
    for len in [0, 1, 5, 64, 100] {
        for new_len in [0, 1, 3, 64, 200] {
            for share in [false, true] {
                let mut bytes = numbered(len);
                if share {
                    bytes.share();
                }
                let keep = len / 3..(len / 3 + new_len).min(len);
                let kept = keep.len().min(new_len);
                let keep = keep.start..keep.start + kept;
                bytes.resize(new_len, keep.clone()).unwrap();
                assert_eq!(bytes.len(), new_len);
                let expected = keep.map(|i| i as u8).chain(std::iter::repeat(0));
                assert!(bytes.iter().copied().eq(expected.take(new_len)));
                bytes.free();
            }
        }
    }
}

#[test]
fn a_resize_that_fails_changes_nothing() {
    let mut bytes = numbered(10);
    #[allow(clippy::reversed_empty_ranges)]
    for (len, keep) in [(5, 0..6), (20, 5..11), (20, 7..6), (usize::MAX / 2, 0..1)] {
        assert_eq!(bytes.resize(len, keep), Err(NoMemory));
    }
    ALLOCATIONS.set(0);
    assert_eq!(bytes.resize(20, 0..10), Err(NoMemory));
    // A tail that cannot be given back stays.
    assert_eq!(bytes.resize(5, 5..10), Ok(()));
    ALLOCATIONS.set(usize::MAX);
    assert_eq!(*bytes, [5, 6, 7, 8, 9]);
    bytes.free();
    assert_eq!(
        raised(|| {
            GcBytes::new(usize::MAX / 2);
        }),
        Some(Kind::Memory)
    );
}

#[test]
fn a_shared_block_stays_where_it_is() {
    let mut bytes = numbered(40);
    let first = bytes.as_ptr();
    bytes.share();
    bytes.resize(80, 0..40).unwrap();
    // SAFETY: nobody has freed the block.
    assert_eq!(unsafe { *first.add(39) }, 39);
    let second = bytes.as_ptr();
    assert_ne!(first, second);
    bytes.share();
    GcBytes::free(std::mem::replace(&mut bytes, GcBytes::EMPTY));
    // SAFETY: as before.
    assert_eq!(unsafe { *second.add(39) }, 39);
}

#[test]
fn a_loan_outlives_what_the_owner_does() {
    let mut bytes = numbered(40);
    let loan = bytes.lend();
    let lent = loan.part(&(1..40)).unwrap();
    bytes.resize(200, 0..40).unwrap();
    bytes[1] = 101;
    // SAFETY: the loan is not settled yet.
    assert_eq!(unsafe { (*lent, *lent.add(38)) }, (1, 39));
    #[allow(clippy::reversed_empty_ranges)]
    for beyond in [0..41, 41..41, 5..4, 40..usize::MAX] {
        assert!(loan.part(&beyond).is_none());
    }
    bytes.settle(loan);
    bytes.resize(300, 0..40).unwrap();
    assert_eq!(bytes[1], 101);
    let loan = bytes.lend();
    bytes.settle(loan);
    assert_eq!(bytes.len(), 300);
    bytes.free();
}

#[test]
fn values_in_a_growing_block() {
    let mut all = GcVec::<(u16, u32)>::EMPTY;
    assert!(all.is_empty());
    all.push((1, 1)); // No room: dropped
    assert!(all.is_empty());
    for i in 0..20 {
        all.reserve().unwrap();
        all.push((i, u32::from(i) * 1000));
    }
    all.remove(19);
    all.remove(0);
    all.remove(5);
    let numbers: Vec<u16> = all.iter().map(|&(n, _)| n).collect();
    assert_eq!(numbers, (1..19).filter(|&n| n != 6).collect::<Vec<_>>());
    all[0] = (7, 7);
    assert_eq!(all[0], (7, 7));
    all.clear();
    all.remove(0);
    assert!(all.is_empty());
    let filled = GcVec::filled(5, Obj::none()).unwrap();
    assert!(filled.len() == 5 && filled.iter().all(|o| o.is_none()));
    assert!(GcVec::filled(usize::MAX / 4, 0u64).is_err());
}

#[test]
fn a_value_in_a_box() {
    let mut value = GcBox::new((1u8, 2u64));
    value.0 = 5;
    assert_eq!(*value, (5, 2));
    ALLOCATIONS.set(0);
    assert_eq!(
        raised(|| {
            GcBox::new(5);
        }),
        Some(Kind::Memory)
    );
    ALLOCATIONS.set(usize::MAX);
}

#[test]
fn bytes_of_objects() {
    let vm = &mut vm();
    let (bytes, int) = (Obj::bytes(b"abc"), Obj::int(5));
    // SAFETY: it is UTF-8.
    let (text, empty) = unsafe { (Obj::text(b"text"), Obj::text(b"")) };
    let (a, b) = (bytes_of(vm, bytes), bytes_of(vm, text));
    assert_eq!((a, b), (&b"abc"[..], &b"text"[..]));
    assert!(bytes_of(vm, empty).is_empty());
    assert!(bytes.has_bytes(b"abc") && !bytes.has_bytes(b"ab") && !int.has_bytes(b""));
    assert!(buffer(vm, int).is_err());
    assert_eq!(
        raised(move || { Exception::Type(c"").raise() }),
        Some(Kind::Type)
    );
    assert_eq!(
        raised(|| { Err::<(), _>(Exception::Os(5)).or_raise() }),
        Some(Kind::Os)
    );
    assert_eq!(int.to_int(vm), 5);
}

/// A native object with memory that a stream reads into.
struct Client {
    bytes: GcBytes,
    stream: Stream,
    calls: usize,
}

static NAME: u16 = 1;

unsafe extern "C" fn make(
    _: *const micropython_sys::mp_obj_type_t,
    _: usize,
    _: usize,
    _: *const micropython_sys::mp_obj_t,
) -> micropython_sys::mp_obj_t {
    unreachable!()
}

// SAFETY: the table is of this type alone.
unsafe impl Class for Client {
    // SAFETY: no type is made of it.
    const TABLE: &'static ClassTable = &unsafe { ClassTable::new(&raw const NAME, make, &[]) };
}

impl Client {
    fn read(vm: &mut Vm, mut this: Native<'_, Client>) -> Result<usize, i32> {
        let client = this.get_mut(vm);
        client.calls += 1;
        let stream = client.stream;
        let (loan, len) = (client.bytes.lend(), client.bytes.len());
        let n = stream.read(vm, &loan, 0..len);
        let client = this.get_mut(vm);
        client.bytes.settle(loan);
        client.calls += 10;
        n
    }
}

/// The stream calls back, and the other call changes the object and its memory: neither sees the other's.
#[test]
fn a_stream_that_comes_back() {
    // SAFETY: it is an object with the stream protocol.
    let stream = Stream::new(unsafe { Obj::from_raw(new(&STREAM)) });
    let value = |_: &mut Vm, _: &[Obj]| Client {
        bytes: numbered(16),
        stream,
        calls: 0,
    };
    // SAFETY: there are no arguments, and the object is of the class.
    let object =
        unsafe { Obj::from_raw(class::make_new::<Client, 0, 0>(null(), 0, 0, null(), value)) };
    READ.set(Some(Box::new(move |window, _| {
        // SAFETY: 16 bytes are lent, here and below.
        unsafe { *window = 50 };
        let vm = &mut vm();
        // SAFETY: the object is of the class; this is a call from Python of its own.
        let mut this = unsafe { Native::<Client>::assume(object) };
        let client = this.get_mut(vm);
        client.calls += 100;
        client.bytes.resize(1000, 0..16).unwrap();
        client.bytes[0] = 60;
        READ.set(Some(Box::new(|window, _| {
            // SAFETY: so many are lent.
            unsafe { *window.add(1) = 61 };
            Err(errno::EAGAIN)
        })));
        assert_eq!(Client::read(vm, this.lend()), Err(errno::EAGAIN));
        this.get_mut(vm).bytes.resize(2000, 0..2).unwrap();
        // SAFETY: as above.
        unsafe { *window.add(15) = 51 };
        Ok(16)
    })));
    let vm = &mut vm();
    // SAFETY: as before.
    let mut this = unsafe { Native::<Client>::assume(object) };
    assert_eq!(Client::read(vm, this.lend()), Ok(16));
    let client = this.get(vm);
    assert_eq!((client.calls, client.bytes.len()), (122, 2000));
    assert_eq!(client.bytes[..3], [60, 61, 0]);
    READ.set(Some(Box::new(|_, len| Ok(len + 1))));
    assert_eq!(
        Client::read(vm, this),
        Err(errno::EIO),
        "more than there is room for"
    );
}
