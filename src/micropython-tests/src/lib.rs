//! The crate `micropython` over a real MicroPython: objects, exceptions and the collector are its own. Each test is a
//! script in Python that calls what is defined here, and says at its end that it got there.
#![cfg(test)]

use micropython::{
    Dict, Exception, GcBytes, GcVec, Key, MemoryView, Native, Obj, OrRaise, Stream, Vm, buffer,
    bytes_of, class, names, qstr,
};
use micropython_sys as sys;
use std::ffi::{CString, c_char, c_void};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

unsafe extern "C" {
    fn mp_embed_init(heap: *mut c_void, size: usize, stack_top: *mut c_void);
    fn mp_embed_exec_str(script: *const c_char);
    fn mp_embed_deinit();
    fn qstr_from_str(name: *const c_char) -> usize;
}

/// `io.open`, which nobody calls: there are no files.
#[unsafe(no_mangle)]
static mp_builtin_open_obj: [usize; 2] = [0; 2];

/// The symbols of names, which in a module are the loader's.
macro_rules! symbols {
    ($($symbol:ident $name:literal)*) => {
        $(#[unsafe(no_mangle)] static mut $symbol: u16 = 0;)*

        unsafe fn intern() {
            // SAFETY: the virtual machine runs, and no other thread does.
            unsafe { $($symbol = qstr_from_str($name.as_ptr()) as u16;)* }
        }
    };
}
symbols! {
    MP_QSTR_ValueError c"ValueError" MP_QSTR_TypeError c"TypeError" MP_QSTR_IndexError c"IndexError"
    MP_QSTR_RuntimeError c"RuntimeError" MP_QSTR_MemoryError c"MemoryError" MP_QSTR_OSError c"OSError"
    MP_QSTR_memoryview c"memoryview" MP_QSTR_Probe c"Probe" MP_QSTR_show c"show" MP_QSTR_resize c"resize"
    MP_QSTR_read c"read" MP_QSTR_write c"write" MP_QSTR_keep c"keep" MP_QSTR_kept c"kept" MP_QSTR_part c"part"
    MP_QSTR_fail c"fail" MP_QSTR_pairs c"pairs" MP_QSTR_copied c"copied" MP_QSTR_items c"items"
    MP_QSTR_done c"done"
}

static DONE: AtomicBool = AtomicBool::new(false);

fn done(_: &mut Vm) -> Obj {
    DONE.store(true, Ordering::Relaxed);
    Obj::from(qstr!(done))
}

/// The first bytes of an object.
fn part(vm: &mut Vm, data: Obj, n: Obj) -> Obj {
    const RANGE: Exception = Exception::Value(c"out of range");
    let n = n.int_in(vm, 0, 1 << 20, RANGE) as usize;
    Obj::bytes(bytes_of(vm, data).get(..n).unwrap_or_else(|| RANGE.raise()))
}

fn fail(vm: &mut Vm, kind: Obj) -> Result<Obj, Exception> {
    Err(match kind.to_int(vm) {
        0 => Exception::Value(c"value"),
        1 => Exception::Type(c"type"),
        2 => Exception::Index,
        3 => Exception::Runtime(c"runtime"),
        4 => Exception::Memory,
        n => Exception::Os(n as i32),
    })
}

fn pairs(vm: &mut Vm, n: Obj) -> Obj {
    let dict = Dict::new(1);
    for i in 0..n.to_int(vm) {
        let text = i.to_string();
        // SAFETY: a String is UTF-8. It is dropped without an exception: see below.
        let key = unsafe { Key::text(text.as_bytes()) };
        dict.store(key, Obj::bool(i % 2 == 1));
        dict.store(Key::int(i), Obj::tuple(&[key.into(), Obj::none()]));
    }
    dict.obj()
}

fn copied(_: &mut Vm, object: Obj) -> Obj {
    object.copied()
}

/// The items of anything as a list, with what the builtin list says of them.
fn items(vm: &mut Vm, object: Obj) -> Obj {
    let list = Obj::list_new();
    let mut all = object.iter(vm);
    while let Some(item) = all.next(vm) {
        list.list_append(item);
    }
    assert!(list.list_item(list.list_len()).is_none());
    list
}

struct Probe {
    bytes: GcBytes,
    view: MemoryView,
    kept: GcVec<Obj>,
}

class! {
    Probe {
        new(1..=2) = Probe::new;
        methods {
            show(self, from, to) = Probe::show;
            resize(self, len) = Probe::resize;
            read(self, stream) = Probe::read;
            write(self, stream) = Probe::write;
            keep(self, 1..=3) = Probe::keep;
            kept(self) = Probe::kept;
        }
    }
}

impl Probe {
    fn new(vm: &mut Vm, args: &[Obj]) -> Probe {
        let len = args[0].to_int(vm) as usize;
        Probe {
            bytes: GcBytes::new(len),
            view: MemoryView::new(),
            kept: GcVec::EMPTY,
        }
    }

    fn show(vm: &mut Vm, mut this: Native<'_, Probe>, from: Obj, to: Obj) -> Obj {
        let range = from.to_int(vm) as usize..to.to_int(vm) as usize;
        let probe = this.get_mut(vm);
        probe.view.point_to(&mut probe.bytes, range);
        probe.view.obj()
    }

    fn resize(vm: &mut Vm, mut this: Native<'_, Probe>, len: Obj) -> Obj {
        let len = len.to_int(vm) as usize;
        let bytes = &mut this.get_mut(vm).bytes;
        let kept = len.min(bytes.len());
        bytes.resize(len, 0..kept).or_raise();
        Obj::uint(bytes.len())
    }

    fn read(vm: &mut Vm, mut this: Native<'_, Probe>, stream: Obj) -> Obj {
        let stream = Stream::new(stream);
        let bytes = &mut this.get_mut(vm).bytes;
        let (len, loan) = (bytes.len(), bytes.lend());
        let n = stream.read(vm, &loan, 0..len);
        this.get_mut(vm).bytes.settle(loan);
        Obj::int(n.map_or_else(|e| -(e as isize), |n| n as isize))
    }

    fn write(vm: &mut Vm, mut this: Native<'_, Probe>, stream: Obj) -> Obj {
        let stream = Stream::new(stream);
        let bytes = &mut this.get_mut(vm).bytes;
        let (len, loan) = (bytes.len(), bytes.lend());
        let n = stream.write(vm, &loan, 0..len);
        this.get_mut(vm).bytes.settle(loan);
        Obj::int(n.map_or_else(|e| -(e as isize), |n| n as isize))
    }

    fn keep(vm: &mut Vm, mut this: Native<'_, Probe>, args: &[Obj]) -> Obj {
        let kept = &mut this.get_mut(vm).kept;
        for &arg in args {
            kept.reserve().or_raise();
            kept.push(arg);
        }
        Obj::none()
    }

    fn kept(vm: &mut Vm, this: Native<'_, Probe>) -> Obj {
        Obj::list(&this.get(vm).kept)
    }
}

names!(FUNCTIONS "";
    done() = done;
    part(data, n) = part;
    fail(kind) = fail;
    pairs(n) = pairs;
    copied(object) = copied;
    items(object) = items
);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs a script, in a new virtual machine with a heap of that many bytes.
#[inline(never)]
fn run(heap: usize, script: &str) {
    let _guard = ONE_AT_A_TIME.lock();
    let script = CString::new(format!("import gc\n{script}\ndone()\n")).unwrap();
    let mut memory = vec![0u64; heap / 8];
    let mut top = 0usize;
    DONE.store(false, Ordering::Relaxed);
    // SAFETY: one virtual machine at a time, below this frame. What is defined here is put into its globals.
    unsafe {
        mp_embed_init(memory.as_mut_ptr().cast(), heap, (&raw mut top).cast());
        intern();
        let table = &sys::mp_fun_table;
        let none = table.new_dict.unwrap()(0);
        let globals = table.swap_globals.unwrap()(none.cast());
        table.swap_globals.unwrap()(globals);
        let classes = &[<Probe as micropython::Class>::TABLE];
        micropython::internal::init(Obj::from_raw(globals.cast()), FUNCTIONS, classes);
        mp_embed_exec_str(script.as_ptr());
        mp_embed_deinit();
    }
    assert!(
        DONE.load(Ordering::Relaxed),
        "the script has not come to its end: see above"
    );
}

#[test]
fn exceptions_are_what_they_say() {
    run(
        100_000,
        r#"
for kind, (cls, arg) in enumerate(((ValueError, "value"), (TypeError, "type"), (IndexError, "index out of range"),
        (RuntimeError, "runtime"), (MemoryError, "memory allocation failed"), (OSError, 5), (OSError, 104))):
    try:
        fail(kind if kind < 6 else 104)
        assert False
    except Exception as e:
        assert type(e) is cls and e.args == (arg,), (kind, repr(e))
real = ValueError
import builtins
for ValueError in 5, len, type("ValueError", (Exception,), {}):
    try:
        fail(0)
        assert False
    except real as e:
        assert type(e) is real
    builtins.ValueError = ValueError
    try:
        fail(0)
        assert False
    except Exception as e:
        assert type(e) is Exception and e.args == ("value",)
    del builtins.ValueError
"#,
    );
}

#[test]
fn no_bytes_that_python_code_freed() {
    run(
        200_000,
        r#"
class Int:
    def __int__(self):
        data[:] = b""
        data.extend(bytes(3000))
        gc.collect()
        junk.extend(bytearray(b"SECRET" * 20) for _ in range(50))
        return 100
    def __eq__(self, other):
        return True
junk = []
data = bytearray(b"M" * 1000)
assert part(data, Int()) == bytes(100)
assert part("text", 2) == b"te" and part(memoryview(b"abc")[1:], 2) == b"bc" and part(b"", 0) == b""
for bad in (5, None, [], Int):
    try:
        part(bad, 0)
        assert False
    except TypeError:
        pass
for n in (-1, 3, 1 << 30, 1 << 70, -(1 << 70)):
    try:
        part(b"ab", n)
        assert False, n
    except ValueError:
        pass
"#,
    );
}

#[test]
fn containers() {
    run(
        200_000,
        r#"
gc.threshold(500)
for n in (0, 1, 2, 100):
    d = pairs(n)
    assert len(d) == 2 * n
    for i in range(n):
        assert d[str(i)] is (i % 2 == 1) and d[i] == (str(i), None)
    c = copied(d)
    assert c == d and (c is not d)
    c["new"] = 5
    assert "new" not in d
inner = {"a": [1, 2]}
c = copied({"x": inner, "y": [3]})
c["x"]["a"].append(5)
assert inner == {"a": [1, 2]}
for other in (5, "s", (1,), None):
    assert copied(other) is other
def gen():
    for i in range(50):
        gc.collect()
        yield bytearray(i)
assert [len(b) for b in items(gen())] == list(range(50))
assert items("abc") == ["a", "b", "c"] and items({}) == []
class Bad:
    def __iter__(self):
        return self
    def __next__(self):
        raise OSError(7)
try:
    items(Bad())
    assert False
except OSError as e:
    assert e.errno == 7
"#,
    );
}

#[test]
fn native_objects_under_collections() {
    run(
        200_000,
        r#"
gc.threshold(300)
p = Probe(10)
p.keep(bytearray(b"one"), "two" * 3)
p.keep({1: bytearray(b"three")})
view = p.show(2, 5)
assert bytes(view) == bytes(3) and p.show(0, 10) is view and len(view) == 10
kept = view[3:7]
for n in (5, 50, 500, 5000, 0, 20):
    assert p.resize(n) == n
    junk = [bytearray(b"\xaa" * 64) for _ in range(200)]
    assert bytes(kept) == bytes(4)
assert p.kept() == [bytearray(b"one"), "twotwotwo", {1: bytearray(b"three")}]
for a, b in ((5, 4), (0, 21), (21, 21), (-1, 3)):
    try:
        p.show(a, b)
        assert False
    except IndexError:
        pass
try:
    view[0] = 5
    assert False
except TypeError:
    pass
class Own(Probe):
    def __init__(self):
        super().__init__(4)
assert Own().resize(8) == 8
for other in (5, None, Probe, "s", bytearray(100), [1]):
    try:
        Probe.kept(other)
        assert False
    except (TypeError, AttributeError):
        pass
for bad in ((), (1, 2, 3), ("x",)):
    try:
        Probe(*bad)
        assert False
    except TypeError:
        pass
try:
    Probe(1 << 28)
    assert False
except MemoryError:
    pass
"#,
    );
}

#[test]
fn streams_that_come_back() {
    run(
        400_000,
        r#"
import io
class S(io.IOBase):
    def __init__(self, act):
        self.act = act
    def readinto(self, buf):
        return self.act(buf)
    def write(self, buf):
        return self.act(buf)
    def ioctl(self, op, arg):
        return 0
p = Probe(100)
def grow(buf):
    p.resize(5000)
    gc.collect()
    junk = [bytearray(100) for _ in range(500)]
    try:
        for i in range(len(buf)):
            buf[i] = 0x41
    except TypeError:
        assert bytes(buf) == bytes(len(buf))
    gc.collect()
    assert not any(any(block) for block in junk)
    return len(buf)
assert p.read(S(grow)) == 100 and bytes(p.show(0, 5000)) == bytes(5000)
p = Probe(100)
assert p.write(S(grow)) == 100
p = Probe(100)
def again(buf):
    buf[0] = 1
    assert p.read(S(lambda b: None)) == -11
    p.resize(50)
    buf[99] = 2
    return 100
assert p.read(S(again)) == 100 and bytes(p.show(0, 50)) == b"\1" + bytes(49)
assert p.read(S(lambda b: len(b) + 1)) == -5 and p.read(S(lambda b: -104)) == -104
def fail_(buf):
    raise KeyError
try:
    p.read(S(fail_))
    assert False
except KeyError:
    pass
assert p.resize(200) == 200
for no in (5, None, object(), S):
    try:
        p.read(no)
        assert False
    except (OSError, AttributeError):
        pass
"#,
    );
}

#[test]
fn buffers_are_told_by_their_object() {
    // What is no boundary: a token by hand, to see that nothing but bytes is taken for bytes.
    run(50_000, "");
    // SAFETY: no virtual machine runs; a small int has no buffer, and needs none to say so.
    let vm = unsafe { Vm::new() };
    assert!(buffer(&vm, Obj::int(5)).is_err());
}
