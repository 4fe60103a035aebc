//! A stream of packets, cut into reads: version and whether in pieces, base capacity, burst, maximum packet size, number of reads, their
//! sizes, then the stream. The same packets must come out, and the same error, as if all were read at once; and so where
//! long messages come in pieces.
#![no_main]
use libfuzzer_sys::fuzz_target;
use mqtt_codec::{Error, OutOfMemory, PacketType, Receiver, Storage, Version};
use std::mem::take;
use std::ops::Range;

/// What is not live is filled, so that a slice too long is seen.
struct Memory(Vec<u8>);

impl Storage for Memory {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn resize(&mut self, capacity: usize, live: Range<usize>) -> Result<(), OutOfMemory> {
        let mut bytes = vec![0xEE; capacity];
        bytes[..live.len()].copy_from_slice(&self.0[live]);
        self.0 = bytes;
        Ok(())
    }
}

/// The packets as text, with their payloads, and how it ends.
fn receive(
    version: Version,
    mut receiver: Receiver<Memory>,
    mut stream: &[u8],
    reads: &[u8],
    bound: usize,
) -> (Vec<(String, Vec<u8>)>, Option<Error>) {
    let mut packets = vec![];
    let mut divided = None;
    let mut reads = reads.iter().cycle();
    loop {
        loop {
            if let Some((_, payload)) = &mut divided {
                let (from, len) = (receiver.position(), receiver.piece());
                Vec::extend_from_slice(payload, &receiver.storage().0[from..from + len]);
                receiver.consume(len);
                if receiver.rest() > 0 {
                    break;
                }
                packets.extend(divided.take());
            }
            match receiver.peek(version) {
                Ok(Some((mut packet, len))) => {
                    let (packet_type, payload) = (packet.packet_type, take(&mut packet.payload));
                    let seen = format!("{packet:?}");
                    let head = receiver.head(len, payload.len());
                    if packet_type == PacketType::Publish && receiver.divides(len) && head < len {
                        divided = Some((seen, vec![]));
                        receiver.divide(head, len - head);
                    } else {
                        packets.push((seen, payload.to_vec()));
                        receiver.consume(len);
                    }
                }
                Ok(None) => break,
                Err(error) => return (packets, Some(error)),
            }
        }
        if stream.is_empty() {
            return (packets, None);
        }
        let window = receiver.window().unwrap();
        let read = reads
            .next()
            .map_or(usize::MAX, |&read| 1 + usize::from(read));
        let len = window.len().min(stream.len()).min(read);
        window[..len].copy_from_slice(&stream[..len]);
        stream = &stream[len..];
        receiver.commit(len);
        assert!(receiver.storage().0.len() <= bound);
    }
}

fuzz_target!(|data: &[u8]| {
    let &[version, base, burst, max_packet, reads, ref rest @ ..] = data else {
        return;
    };
    let Some((reads, stream)) = rest.split_at_checked(reads.into()) else {
        return;
    };
    let in_pieces = version & 2 != 0;
    let version = if version & 1 == 0 {
        Version::V3
    } else {
        Version::V5
    };
    let (base, burst) = (1 + usize::from(base), usize::from(burst));
    let max_packet = 4 * u32::from(max_packet);
    let bound = base.max(burst).max(max_packet as usize).max(5);
    let mut cut = Receiver::new(Memory(vec![0xEE; base]), burst, max_packet);
    cut.in_pieces = in_pieces;
    let whole = Receiver::new(Memory(vec![0xEE; stream.len().max(1)]), 0, max_packet);
    let (cut, cut_error) = receive(version, cut, stream, reads, bound);
    let (whole, whole_error) = receive(version, whole, stream, &[], usize::MAX);
    assert_eq!(cut, whole);
    // in pieces, a bad head is seen before all of its packet has come
    assert!(cut_error == whole_error || in_pieces && whole_error.is_none());
});
