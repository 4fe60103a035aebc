//! Memory on the Python heap.

use crate::table::table;
use crate::{Exception, OrRaise};
use core::marker::PhantomData;
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
///
/// # Raises
/// `MemoryError`
pub(crate) fn allocate<T>() -> NonNull<T> {
    const {
        assert!(
            align_of::<T>() <= BLOCK,
            "the Python heap does not align so far"
        )
    };
    const { assert!(size_of::<T>() > 0, "nothing to allocate") };
    // SAFETY: there is no block yet.
    match unsafe { reallocate(ptr::null_mut(), size_of::<T>()) } {
        Some(block) => block.cast(),
        None => Exception::Memory.raise(),
    }
}

/// A value on the Python heap.
///
/// The collector frees it when nothing points to it any more: hold it in an object on the heap or on the stack.
/// Destructors never run, so a type that needs one does not compile.
pub struct GcBox<T>(NonNull<T>);

impl<T> GcBox<T> {
    /// Moves a value to the heap.
    ///
    /// # Raises
    /// `MemoryError`
    pub fn new(value: T) -> Self {
        const {
            assert!(
                !needs_drop::<T>(),
                "destructors do not run on the Python heap"
            )
        };
        let block = allocate::<T>();
        // SAFETY: the block is large enough, aligned and ours.
        unsafe { block.write(value) };
        Self(block)
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

/// Bytes of a block: the heap gives and aligns whole ones.
const BLOCK: usize = 4 * size_of::<usize>();

/// There is no memory for bytes of that length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

impl<T> OrRaise<T> for Result<T, NoMemory> {
    /// # Raises
    /// `MemoryError`
    #[inline(always)]
    fn or_raise(self) -> T {
        match self {
            Ok(value) => value,
            Err(NoMemory) => Exception::Memory.raise(),
        }
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
    /// Dangling if there are no bytes.
    block: NonNull<u8>,
    /// Twice the number of bytes, and one more if the block is shared.
    len_shared: usize,
}

impl GcBytes {
    /// No bytes, and no block.
    pub const EMPTY: Self = Self {
        // Aligned, for `GcVec`.
        block: NonNull::<usize>::dangling().cast(),
        len_shared: 0,
    };

    /// That many zero bytes.
    ///
    /// # Raises
    /// `MemoryError`
    pub fn new(len: usize) -> Self {
        let mut bytes = Self::EMPTY;
        bytes.resize(len, 0..0).or_raise();
        bytes
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
        self.block.as_ptr()
    }

    /// From now on Python objects may refer to the block, which is therefore neither freed nor moved any more.
    #[inline]
    pub fn share(&mut self) {
        self.len_shared |= 1;
    }

    fn is_shared(&self) -> bool {
        self.len_shared & 1 != 0
    }

    /// Hands the bytes out while Python code may run, which may come back to who owns them: until they are
    /// [settled](Self::settle) nothing frees or moves the block.
    #[inline]
    pub fn lend(&mut self) -> Loan {
        let loan = Loan {
            block: self.block,
            len_shared: self.len_shared,
        };
        self.share();
        loan
    }

    /// The loan is over; if the owner has another block by now, nothing changes.
    #[inline]
    pub fn settle(&mut self, loan: Loan) {
        if core::hint::black_box(loan.block) == self.block {
            self.len_shared = loan.len_shared;
        }
    }

    /// Changes the length to `len`, moves the bytes `keep` to the front and zeroes the others. [`NoMemory`] also if
    /// `keep` does not fit into the old or the new length: then nothing has changed.
    pub fn resize(&mut self, len: usize, keep: Range<usize>) -> Result<(), NoMemory> {
        let old = self.len();
        let kept = keep.end.wrapping_sub(keep.start);
        if keep.start > keep.end || keep.end > old || kept > len || len > isize::MAX as usize / 2 {
            return Err(NoMemory);
        }
        if len == 0 {
            core::mem::replace(self, Self::EMPTY).free();
            return Ok(());
        }
        // SAFETY: `keep` lies within the old block and its length within the new one; unless it is shared, nothing but
        // this value refers to the old block, which is not used again where it may have been moved or freed.
        unsafe {
            let head = self.as_ptr();
            let shrinks = len < old && !self.is_shared();
            if shrinks {
                head.copy_from(head.add(keep.start), kept);
            }
            let fresh = old == 0 || self.is_shared();
            let block = match reallocate(if fresh { ptr::null_mut() } else { head }, len) {
                Some(block) => block,
                // Freeing the tail fails only while the heap is locked; then the block stays longer than needed.
                None if shrinks => self.block,
                None => return Err(NoMemory),
            };
            let to = block.as_ptr();
            if !shrinks {
                to.copy_from((if fresh { head } else { to }).add(keep.start), kept);
            }
            to.add(kept).write_bytes(0, len - kept);
            *self = Self {
                block,
                len_shared: len * 2,
            };
        }
        Ok(())
    }

    /// Gives the memory back at once, unless it is shared: then the collector will.
    pub fn free(self) {
        if !self.is_empty() && !self.is_shared() {
            // SAFETY: nothing else refers to the block.
            unsafe { reallocate(self.as_ptr(), 0) };
        }
    }
}

/// The bytes of a [`GcBytes`] that a [`Stream`](crate::Stream) uses while Python code runs; it keeps them alive on the stack,
/// and gives no reference to them, since their owner may change them meanwhile.
pub struct Loan {
    block: NonNull<u8>,
    len_shared: usize,
}

impl Loan {
    /// The address of bytes of the block.
    pub(crate) fn part(&self, range: &Range<usize>) -> Option<*mut u8> {
        let fits = range.start <= range.end && range.end <= self.len_shared / 2;
        // SAFETY: it lies within the block.
        fits.then(|| unsafe { self.block.as_ptr().add(range.start) })
    }
}

/// Values on the Python heap, of a number that can change. What holds for [`GcBytes`] holds for them, but that they are
/// never shared.
pub struct GcVec<T> {
    items: Items,
    values: PhantomData<T>,
}

/// Items of a size that the caller knows: one code for all types.
struct Items {
    bytes: GcBytes,
    /// So many are at the front of the bytes.
    len: usize,
}

impl Items {
    #[inline(never)]
    fn reserve(&mut self, size: usize) -> Result<(), NoMemory> {
        let end = self.len * size;
        let needed = end + size;
        if needed <= self.bytes.len() {
            return Ok(());
        }
        self.bytes.resize(needed.next_multiple_of(BLOCK), 0..end)
    }

    #[inline(never)]
    fn remove(&mut self, i: usize, size: usize) {
        if let Some(bytes) = self.bytes.get_mut(i * size..self.len * size)
            && !bytes.is_empty()
        {
            bytes.copy_within(size.min(bytes.len()).., 0);
            self.len -= 1;
        }
    }

    fn clear(&mut self) {
        self.len = 0;
        // To no bytes: nothing can fail.
        let _ = self.bytes.resize(0, 0..0);
    }
}

impl<T: Copy> GcVec<T> {
    /// No values, and no block.
    pub const EMPTY: Self = Self {
        items: Items {
            bytes: GcBytes::EMPTY,
            len: 0,
        },
        values: PhantomData,
    };

    /// That many values, all the same.
    pub fn filled(n: usize, value: T) -> Result<Self, NoMemory> {
        let mut all = Self::EMPTY;
        let len = n.checked_mul(size_of::<T>()).ok_or(NoMemory)?;
        all.items.bytes.resize(len, 0..0)?;
        for _ in 0..n {
            all.push(value);
        }
        Ok(all)
    }

    /// Sees to it that one more finds room. On an error nothing has changed.
    pub fn reserve(&mut self) -> Result<(), NoMemory> {
        self.items.reserve(size_of::<T>())
    }

    /// Adds a value, for which there is [room](Self::reserve); else it is dropped.
    pub fn push(&mut self, value: T) {
        let len = self.len();
        if (len + 1) * size_of::<T>() <= self.items.bytes.len() {
            // SAFETY: the block is aligned and has room for a value there.
            unsafe { self.as_ptr().add(len).write(value) };
            self.items.len = len + 1;
        }
    }

    /// Takes out that at `i`, which there is; those behind it move up.
    pub fn remove(&mut self, i: usize) {
        self.items.remove(i, size_of::<T>());
    }

    /// Takes out all and gives the memory back.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    fn as_ptr(&self) -> *mut T {
        const {
            assert!(
                align_of::<T>() <= align_of::<usize>(),
                "bytes are not aligned so far"
            )
        };
        self.items.bytes.as_ptr().cast()
    }
}

impl<T: Copy> Deref for GcVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the block, or what stands for none, is aligned and has that many values.
        unsafe { slice::from_raw_parts(self.as_ptr(), self.items.len) }
    }
}

impl<T: Copy> DerefMut for GcVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for reading; nothing else refers to the block.
        unsafe { slice::from_raw_parts_mut(self.as_ptr(), self.items.len) }
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
