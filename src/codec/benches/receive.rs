//! Packets a second through the receive buffer on one core, against the length of the payload: for each, a line with
//! the payload's bytes, packets a second, and the same where the payload is copied out, as the application gets it.
use std::hint::black_box;
use std::time::{Duration, Instant};

use mqtt_codec::{OutOfMemory, Receiver, Storage, Version};

struct Heap(Vec<u8>);

impl Storage for Heap {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
    fn resize(&mut self, capacity: usize, live: std::ops::Range<usize>) -> Result<(), OutOfMemory> {
        self.0.copy_within(live, 0);
        self.0.resize(capacity, 0);
        Ok(())
    }
}

/// A PUBLISH at QoS 0 with the topic "bench/to".
fn publish(payload: usize) -> Vec<u8> {
    let mut packet = vec![0x30];
    let mut rest = 10 + payload;
    while rest > 0x7f {
        packet.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    packet.push(rest as u8);
    packet.extend(b"\0\x08bench/to");
    packet.resize(packet.len() + payload, 0);
    packet
}

/// Packets a second. `stream` holds as many as one read brings.
fn rate(stream: &[u8], copy: bool) -> f64 {
    let mut receiver = Receiver::new(Heap(vec![0; stream.len()]), stream.len(), u32::MAX);
    let mut packets = 0u64;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(150) {
        let window = receiver.window().unwrap();
        let n = window.len();
        window.copy_from_slice(&stream[..n]);
        receiver.commit(n);
        while let Some((packet, len)) = receiver.peek(Version::V3).unwrap() {
            if copy {
                black_box(packet.payload.to_vec());
            } else {
                black_box(packet);
            }
            receiver.consume(len);
            packets += 1;
        }
    }
    packets as f64 / started.elapsed().as_secs_f64()
}

fn main() {
    for payload in [0, 1, 16, 100, 256, 1024, 4096, 16384, 65536, 262144] {
        let packet = publish(payload);
        let stream = packet.repeat((4096 / packet.len()).max(1));
        println!(
            "{payload} {:.0} {:.0}",
            rate(&stream, false),
            rate(&stream, true)
        );
    }
}
