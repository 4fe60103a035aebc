//! The memory of buffers and tables on the Python heap.
use core::ops::{Deref, DerefMut, Range};
use micropython::{GcBytes, GcVec};
use mqtt_codec::{OutOfMemory, Storage};

pub struct Memory(pub GcBytes);

impl Memory {
    /// # Raises
    /// `MemoryError`
    pub fn new(len: usize) -> Self {
        Memory(GcBytes::new(len))
    }
}

impl Storage for Memory {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn resize(&mut self, capacity: usize, live: Range<usize>) -> Result<(), OutOfMemory> {
        self.0.resize(capacity, live).map_err(|_| OutOfMemory)
    }
}

pub struct List<T>(pub GcVec<T>);

impl<T: Copy> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Copy> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Copy> mqtt_session::List<T> for List<T> {
    fn reserve(&mut self) -> Result<(), OutOfMemory> {
        self.0.reserve().map_err(|_| OutOfMemory)
    }

    fn push(&mut self, value: T) {
        self.0.push(value)
    }

    fn remove(&mut self, i: usize) {
        self.0.remove(i)
    }

    fn clear(&mut self) {
        self.0.clear()
    }
}
