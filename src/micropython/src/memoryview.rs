//! A `memoryview` that can be moved.

use crate::gc::{GcBytes, allocate};
use crate::{Exception, Obj, qstr};
use core::ops::Range;
use core::ptr::NonNull;
use micropython_sys as sys;

/// A Python `memoryview` of bytes in a [`GcBytes`], to be pointed elsewhere without an allocation.
///
/// Hold it like an [`Obj`]: where the collector can see it. What Python code makes of it, slices included, keeps the
/// block alive and shows whatever the block holds then. Code that keeps the object itself sees it move.
pub struct MemoryView(NonNull<sys::mp_obj_array_t>);

impl MemoryView {
    /// A view of nothing, for reading only.
    ///
    /// # Raises
    /// `MemoryError`, and `NameError` where the port has no `memoryview`, or `RuntimeError` where another took its name.
    #[allow(clippy::new_without_default, reason = "it allocates and raises")]
    pub fn new() -> Self {
        let name = qstr!(memoryview);
        let class = Obj::builtin(name);
        // `builtins.memoryview = something` is possible. A class in Python is no type to make an object of by hand.
        if !class.is_native_type(name) {
            Exception::Runtime(c"memoryview is not the builtin type").raise()
        }
        let view = allocate::<sys::mp_obj_array_t>();
        // SAFETY: the block is large enough and aligned, and every field is written.
        unsafe {
            view.write(sys::mp_obj_array_t {
                base: sys::mp_obj_base_t {
                    type_: class.as_ptr(),
                },
                _bitfield_1: header(0),
                len: 0,
                items: core::ptr::null_mut(),
            });
        }
        Self(view)
    }

    /// Points the view at those bytes of the block, which is [shared](GcBytes::share) from now on.
    ///
    /// # Raises
    /// `IndexError`, if the range does not lie in the block or starts beyond 16 MiB.
    pub fn point_to(&self, block: &mut GcBytes, range: Range<usize>) {
        if range.start > range.end || range.end > block.len() || range.start > OFFSET_MAX {
            Exception::Index.raise()
        }
        block.share();
        // SAFETY: the object is ours, and no reference to it exists.
        let view = unsafe { &mut *self.0.as_ptr() };
        view._bitfield_1 = header(range.start);
        view.len = range.len();
        // The collector follows pointers to the first byte of a block only, hence the offset beside it.
        view.items = block.as_ptr().cast();
    }

    /// Makes the view one of nothing, so that it keeps no block alive.
    pub fn clear(&self) {
        let mut nothing = GcBytes::EMPTY;
        self.point_to(&mut nothing, 0..0);
    }

    /// The Python object.
    pub fn obj(&self) -> Obj {
        // SAFETY: it is an object, a memoryview.
        unsafe { Obj::from_raw(self.0.as_ptr().cast()) }
    }
}

/// What the field beside the type code can hold on a 32-bit port.
const OFFSET_MAX: usize = (1 << 24) - 1;

/// The word that holds the type code of a read-only view of bytes and its offset in the block.
fn header(offset: usize) -> sys::__BindgenBitfieldUnit<[u8; size_of::<usize>()]> {
    sys::__BindgenBitfieldUnit::new((b'B' as usize | offset << 8).to_ne_bytes())
}
