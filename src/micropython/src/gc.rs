//! Memory on the Python heap.

use crate::Exception;
use crate::table::table;
use core::mem::{align_of, needs_drop};
use core::ops::{Deref, DerefMut, Range};
use core::ptr::{self, NonNull};
use core::slice;

/// Allocates a block, of which the content is not defined, or changes the size of one.
///
/// # Safety
/// `block` is null or a block of this heap to which nothing else refers, since it may be moved and freed.
unsafe fn reallocate(block: *mut u8, len: usize) -> Option<NonNull<u8>> {
    // SAFETY: as the caller says. On failure the runtime returns null and leaves the block as it was.
    NonNull::new(unsafe { table!(realloc_(block.cast(), len, true)) }.cast())
}

/// Room for a value on the Python heap; a block of the heap is aligned to four words.
pub(crate) fn allocate<T>() -> Result<NonNull<T>, Exception> {
    const {
        assert!(
            align_of::<T>() <= 4 * size_of::<usize>(),
            "the Python heap does not align so far"
        )
    };
    const { assert!(size_of::<T>() > 0, "nothing to allocate") };
    // SAFETY: there is no block yet.
    unsafe { reallocate(ptr::null_mut(), size_of::<T>()) }
        .map(NonNull::cast)
        .ok_or(Exception::Memory)
}

/// A value on the Python heap.
///
/// The collector frees it when nothing points to it any more: hold it in an object on the heap or on the stack.
/// Destructors never run, so a type that needs one does not compile.
pub struct GcBox<T>(NonNull<T>);

impl<T> GcBox<T> {
    /// Moves a value to the heap.
    pub fn new(value: T) -> Result<Self, Exception> {
        const {
            assert!(
                !needs_drop::<T>(),
                "destructors do not run on the Python heap"
            )
        };
        let block = allocate::<T>()?;
        // SAFETY: the block is large enough, aligned and ours.
        unsafe { block.write(value) };
        Ok(Self(block))
    }
}

impl<T> Deref for GcBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the block holds a value, and this is its one owner.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for GcBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the block holds a value, and this is its one owner.
        unsafe { self.0.as_mut() }
    }
}

/// Bytes on the Python heap, of a length that can change. Every byte is initialised.
///
/// The collector frees them when nothing points to their first byte: hold the `GcBytes` in an object on the heap or on
/// the stack. Dropping it frees nothing; [`free`](Self::free) does.
///
/// Once it is [shared](Self::share) with Python objects the block is never freed or moved from here: a change of size
/// takes a new block and leaves the old one to the collector.
pub struct GcBytes {
    block: Option<NonNull<u8>>,
    /// Twice the number of bytes, and one more if the block is shared.
    len_shared: usize,
}

impl GcBytes {
    /// No bytes, and no block.
    pub const EMPTY: Self = Self {
        block: None,
        len_shared: 0,
    };

    /// That many zero bytes, or `MemoryError`.
    pub fn new(len: usize) -> Result<Self, Exception> {
        let mut bytes = Self::EMPTY;
        bytes.resize(len, 0..0)?;
        Ok(bytes)
    }

    /// The number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len_shared / 2
    }

    /// Whether there are no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The address of the first byte; dangling if there is none.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.block.unwrap_or(NonNull::dangling()).as_ptr()
    }

    /// From now on Python objects may refer to the block, which is therefore neither freed nor moved any more.
    #[inline]
    pub fn share(&mut self) {
        self.len_shared |= 1;
    }

    fn is_shared(&self) -> bool {
        self.len_shared & 1 != 0
    }

    /// Changes the length to `len`, moves the bytes `keep` to the front and leaves the others undefined, though
    /// initialised. `IndexError` if `keep` does not fit into the old or the new length, `MemoryError` if there is no
    /// memory: then nothing has changed.
    pub fn resize(&mut self, len: usize, keep: Range<usize>) -> Result<(), Exception> {
        let old = self.len();
        if keep.start > keep.end || keep.end > old || keep.len() > len {
            return Err(Exception::Index);
        }
        if len > isize::MAX as usize / 2 {
            return Err(Exception::Memory);
        }
        if len == 0 {
            core::mem::replace(self, Self::EMPTY).free();
            return Ok(());
        }
        // SAFETY: `keep` lies within the old block and its length within the new one; unless it is shared, nothing but
        // this value refers to the old block, which is not used again where it may have been moved or freed.
        unsafe {
            let kept = self.as_ptr().add(keep.start);
            let (block, initialised) = if self.is_shared() {
                let block = reallocate(ptr::null_mut(), len).ok_or(Exception::Memory)?;
                block.as_ptr().copy_from_nonoverlapping(kept, keep.len());
                (block, keep.len())
            } else if len >= old {
                let head = self.block.map_or(ptr::null_mut(), NonNull::as_ptr);
                let block = reallocate(head, len).ok_or(Exception::Memory)?;
                block
                    .as_ptr()
                    .copy_from(block.as_ptr().add(keep.start), keep.len());
                (block, old)
            } else {
                self.as_ptr().copy_from(kept, keep.len());
                // Freeing the tail fails only while the heap is locked; then the block stays longer than needed.
                let head = self.as_ptr();
                (
                    reallocate(head, len).unwrap_or(NonNull::new_unchecked(head)),
                    len,
                )
            };
            block
                .as_ptr()
                .add(initialised)
                .write_bytes(0, len - initialised);
            *self = Self {
                block: Some(block),
                len_shared: len * 2,
            };
        }
        Ok(())
    }

    /// Gives the memory back at once, unless it is shared: then the collector will.
    pub fn free(self) {
        if let Some(block) = self.block
            && !self.is_shared()
        {
            // SAFETY: nothing else refers to the block.
            unsafe { reallocate(block.as_ptr(), 0) };
        }
    }
}

impl Deref for GcBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the block has that many initialised bytes.
        unsafe { slice::from_raw_parts(self.as_ptr(), self.len()) }
    }
}

impl DerefMut for GcBytes {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for reading. Python objects that share the block do not run while the slice is in use.
        unsafe { slice::from_raw_parts_mut(self.as_ptr(), self.len()) }
    }
}
