//! The receive and transmit buffers' memory on the Python heap.
use core::ops::Range;
use micropython::GcBytes;
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
