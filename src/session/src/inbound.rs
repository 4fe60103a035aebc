//! QoS 2 messages on their way to us (MQTT 3.1.1 and 5, 4.3.3).
use mqtt_codec::{OutOfMemory, Pid, Storage};

/// Bytes of an identifier.
const SIZE: usize = 2;

/// Room for so many at first, and whenever there is no more.
const STEP: usize = 8;

/// Identifiers of messages delivered whose PUBREL has not come, in the order of
/// the messages.
pub(crate) struct Inbound<S> {
    storage: S,
    len: usize,
}

impl<S: Storage> Inbound<S> {
    pub fn new(storage: S) -> Self {
        Inbound { storage, len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn position(&self, pid: Pid) -> Option<usize> {
        let (known, _) = self.storage.bytes().as_chunks();
        let pid = pid.get().to_ne_bytes();
        known
            .get(..self.len)?
            .iter()
            .position(|known| *known == pid)
    }

    /// Sees to it that one more finds room.
    pub fn reserve(&mut self) -> Result<(), OutOfMemory> {
        let end = SIZE * self.len;
        if end < self.storage.bytes().len() {
            return Ok(());
        }
        self.storage.resize(end + SIZE * STEP, 0..end)
    }

    /// After [`reserve`](Inbound::reserve).
    pub fn push(&mut self, pid: Pid) {
        let (room, _) = self.storage.bytes_mut().as_chunks_mut();
        if let Some(room) = room.get_mut(self.len) {
            *room = pid.get().to_ne_bytes();
            self.len += 1;
        }
    }

    pub fn remove(&mut self, i: usize) {
        let end = SIZE * self.len;
        if let Some(bytes) = self.storage.bytes_mut().get_mut(SIZE * i..end) {
            bytes.copy_within(SIZE.min(bytes.len()).., 0);
            self.len -= 1;
        }
    }

    pub fn clear(&mut self) {
        self.len = 0;
        // Smaller is a wish: with what there is it goes on as well.
        let _ = self.storage.resize(0, 0..0);
    }
}
