//! A `dict` made here.

use crate::Obj;
use crate::table::table;

/// A `dict` that is made here, with keys that run no Python code when they are looked for.
#[derive(Clone, Copy)]
pub struct Dict(Obj);

impl Dict {
    /// An empty one with room for that many items.
    ///
    /// # Raises
    /// `MemoryError`
    pub fn new(capacity: usize) -> Self {
        // SAFETY: any number will do, and a dict is an object.
        Self(unsafe { Obj::from_raw(table!(new_dict(capacity))) })
    }

    /// Stores an item.
    ///
    /// # Raises
    /// `MemoryError`
    pub fn store(self, key: Key, value: Obj) {
        // SAFETY: it is a dict.
        unsafe { table!(dict_store(self.0.raw(), key.0.raw(), value.raw())) };
    }

    /// The number of items.
    pub fn len(self) -> usize {
        self.0.count()
    }

    /// Whether there are no items.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The Python object.
    pub fn obj(self) -> Obj {
        self.0
    }
}

/// An object of a type whose `__hash__` and `__eq__` are the runtime's own.
#[derive(Clone, Copy)]
pub struct Key(Obj);

impl Key {
    /// An `int`.
    ///
    /// # Raises
    /// `MemoryError`, for values of more than 30 bits, on a 32-bit port.
    pub fn int(value: isize) -> Self {
        Self(Obj::int(value))
    }

    /// A `str`, see [`Obj::text`].
    ///
    /// # Raises
    /// `MemoryError`
    ///
    /// # Safety
    /// It is UTF-8.
    pub unsafe fn text(utf8: &[u8]) -> Self {
        // SAFETY: as the caller says.
        Self(unsafe { Obj::text(utf8) })
    }
}

impl From<Key> for Obj {
    fn from(key: Key) -> Obj {
        key.0
    }
}
