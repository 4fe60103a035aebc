use crate::support::*;
use mqtt_codec::*;
use proptest::prelude::*;

/// A PUBLISH of QoS 0 that is `len` bytes long, 5 to 129.
fn publish(len: usize, fill: u8) -> Vec<u8> {
    let mut packet = vec![0x30, len as u8 - 2, 0, 1, b'a'];
    packet.resize(len, fill);
    packet
}

fn receiver(base: usize, burst: usize, max_packet: u32) -> Receiver<Memory> {
    Receiver::new(Memory::new(base), burst, max_packet)
}

/// One read: as much of `bytes` as the window takes, at most `most`.
fn read(receiver: &mut Receiver<Memory>, bytes: &mut &[u8], most: usize) {
    let window = receiver.window().unwrap();
    let len = window.len().min(most).min(bytes.len());
    window[..len].copy_from_slice(&bytes[..len]);
    *bytes = &bytes[len..];
    receiver.commit(len);
}

fn pingresp() -> Packet<'static> {
    parse(V3, &[0xD0, 0]).unwrap()
}

fn capacity(receiver: &Receiver<Memory>) -> usize {
    receiver.storage().bytes.len()
}

/// Takes all whole packets, as bytes.
fn take(receiver: &mut Receiver<Memory>) -> usize {
    let mut taken = 0;
    while let Some((_, len)) = receiver.peek(V3).unwrap() {
        receiver.consume(len);
        taken += 1;
    }
    taken
}

#[test]
fn one_read_many_packets() {
    let mut r = receiver(64, 64, 1000);
    assert!(r.is_empty());
    assert_eq!(r.peek(V3), Ok(None));
    let stream = [publish(10, 1), vec![0xD0, 0], publish(20, 2), vec![0xD0]].concat();
    read(&mut r, &mut &stream[..], 64);
    assert!(!r.is_empty());
    let mut position = 0;
    for (length, wanted) in [
        (10, &stream[..10]),
        (2, &stream[10..12]),
        (20, &stream[12..32]),
    ] {
        let packet = parse(V3, wanted).unwrap();
        // looking does not take
        assert_eq!(r.peek(V3), Ok(Some((packet, length))));
        assert_eq!(r.peek(V3), Ok(Some((packet, length))));
        assert_eq!(r.position(), position);
        assert_eq!(&r.storage().bytes[position..][..length], wanted);
        r.consume(length);
        position += length;
    }
    assert_eq!(r.peek(V3), Ok(None));
    assert!(!r.is_empty());
    read(&mut r, &mut &[0][..], 1);
    assert_eq!(r.peek(V3), Ok(Some((pingresp(), 2))));
    r.consume(2);
    assert!(r.is_empty());
}

#[test]
fn grows_to_the_packet_and_no_further() {
    let mut r = receiver(16, 16, 1000);
    let packet = publish(100, 7);
    let mut rest = &packet[..];
    read(&mut r, &mut rest, 16);
    assert_eq!(r.peek(V3), Ok(None));
    read(&mut r, &mut rest, 16);
    assert_eq!(capacity(&r), 100);
    while !rest.is_empty() {
        assert_eq!(r.peek(V3), Ok(None));
        read(&mut r, &mut rest, 16);
    }
    assert_eq!(r.peek(V3), Ok(Some((parse(V3, &packet).unwrap(), 100))));
    r.consume(100);
    // more than four times `burst`: given back at once
    assert_eq!(r.window().unwrap().len(), 16);
    assert_eq!(capacity(&r), 16);
}

#[test]
fn grows_with_bursts() {
    let mut r = receiver(16, 100, 1000);
    let stream: Vec<u8> = (0..60).flat_map(|i| publish(8, i)).collect();
    let mut rest = &stream[..];
    let mut seen = vec![];
    while rest.len() > 50 {
        read(&mut r, &mut rest, usize::MAX);
        seen.push(capacity(&r));
        assert!(take(&mut r) > 0);
    }
    assert_eq!(seen[..4], [16, 32, 64, 100]);
    assert!(seen[4..].iter().all(|&capacity| capacity == 100));
    // short reads for a while: given back
    let mut reads = 0;
    while capacity(&r) > 16 {
        read(&mut r, &mut &publish(8, 0)[..], 8);
        take(&mut r);
        reads += 1;
        assert!(reads < 20);
    }
    assert!(reads > 4);
}

#[test]
fn keeps_what_bursts_need() {
    let mut r = receiver(16, 32, 1000);
    let burst = [publish(16, 1), publish(16, 2)].concat();
    let mut rest = &burst[..];
    read(&mut r, &mut rest, 32);
    take(&mut r);
    // the window was filled, so there is more to come, though by now all is taken
    for _ in 0..20 {
        let mut rest = &burst[..];
        read(&mut r, &mut rest, 32);
        assert_eq!(capacity(&r), 32);
        assert_eq!(take(&mut r), 2);
    }
    for short in 0..8 {
        assert_eq!((short, capacity(&r)), (short, 32));
        read(&mut r, &mut &[0xD0, 0][..], 2);
        take(&mut r);
    }
    assert_eq!(r.window().map(|window| window.len()), Ok(16));
}

#[test]
fn keeps_what_long_packets_need() {
    let mut r = receiver(16, 25, 1000);
    let whole = |r: &mut Receiver<Memory>, len| {
        let packet = publish(len, 1);
        let mut rest = &packet[..];
        while !rest.is_empty() {
            read(r, &mut rest, 60);
        }
        assert_eq!(take(r), 1);
    };
    for len in [100, 99, 100, 26, 26, 26, 26, 26, 26, 26, 26, 26] {
        whole(&mut r, len);
        assert_eq!(r.window().map(|window| window.len()), Ok(100));
    }
    // a burst would do for these
    for short in 0..8 {
        assert_eq!((short, capacity(&r)), (short, 100));
        whole(&mut r, 24);
    }
    assert_eq!(r.window().map(|window| window.len()), Ok(16));
    // too long to be kept
    whole(&mut r, 101);
    assert_eq!(r.window().map(|window| window.len()), Ok(16));
}

#[test]
fn shrinks_when_told() {
    let mut r = receiver(16, 32, 1000);
    let packet = publish(100, 7);
    let mut rest = &packet[..];
    read(&mut r, &mut rest, 16);
    r.shrink();
    read(&mut r, &mut rest, 16);
    r.shrink();
    assert_eq!(capacity(&r), 100);
    read(&mut r, &mut rest, 68);
    r.shrink();
    assert_eq!(r.peek(V3), Ok(Some((parse(V3, &packet).unwrap(), 100))));
    r.consume(100);
    r.shrink();
    assert_eq!((capacity(&r), r.position()), (16, 0));
    assert_eq!(r.window().map(|window| window.len()), Ok(16));
}

#[test]
fn what_is_a_short_read() {
    let mut r = receiver(16, 32, 1000);
    read(&mut r, &mut &publish(16, 1)[..], 16);
    take(&mut r);
    for _ in 0..20 {
        // as much as the first size takes
        read(&mut r, &mut &publish(16, 1)[..], 16);
        take(&mut r);
        assert_eq!(r.window().map(|window| window.len()), Ok(32));
    }
}

#[test]
fn grows_for_a_header() {
    let mut r = receiver(1, 0, 1000);
    let packet = publish(100, 1);
    let mut rest = &packet[..];
    while !rest.is_empty() {
        read(&mut r, &mut rest, 1);
    }
    assert_eq!((take(&mut r), capacity(&r)), (1, 100));
}

#[test]
fn keeps_what_recurring_packets_need() {
    let mut r = receiver(16, 100, 1000);
    for _ in 0..20 {
        let packet = publish(60, 1);
        let mut rest = &packet[..];
        while !rest.is_empty() {
            read(&mut r, &mut rest, 5);
        }
        assert_eq!(take(&mut r), 1);
        assert_eq!(r.window().map(|window| window.len()), Ok(60));
    }
}

#[test]
fn too_large_by_policy() {
    let mut r = receiver(16, 16, 50);
    read(&mut r, &mut &publish(50, 0)[..], 5);
    assert_eq!(r.peek(V3), Ok(None));
    r.reset();
    // known from the fixed header on
    read(&mut r, &mut &publish(51, 0)[..], 1);
    assert_eq!(r.peek(V3), Ok(None));
    read(&mut r, &mut &publish(51, 0)[1..], 1);
    assert_eq!(r.peek(V3), Err(Error::PacketTooLarge));
    // no growth for it
    assert_eq!(r.window().map(|window| window.len()), Ok(14));
    r.reset();
    read(&mut r, &mut &[0x30, 0xFF, 0xFF, 0xFF, 0x7F][..], 16);
    assert_eq!(r.peek(V3), Err(Error::PacketTooLarge));
    assert_eq!(capacity(&r), 16);
}

#[test]
fn bad_from_the_first_byte() {
    for (version, bytes, error) in [
        (V3, &[0x00][..], Error::UnknownType),
        (V3, &[0xF0], Error::UnknownType),
        (V3, &[0xE0], Error::ServerOnly),
        (V5, &[0x10], Error::ServerOnly),
        (V5, &[0x36], Error::BadQos),
        (V5, &[0x38], Error::DupQos0),
        (V5, &[0x60], Error::ReservedFlags),
        (V5, &[0x30, 0x80, 0x00], Error::VarintOverlong),
        (V5, &[0x30, 0xFF, 0xFF, 0xFF, 0xFF], Error::VarintTooLong),
        (V5, &[0x30, 0xFF, 0xFF, 0xFF, 0x80], Error::VarintTooLong),
    ] {
        let mut r = receiver(16, 16, 100);
        read(&mut r, &mut &bytes[..], 16);
        assert_eq!(r.peek(version), Err(error), "{bytes:x?}");
    }
}

#[test]
fn memory_refused() {
    let mut r = receiver(16, 64, 1000);
    r = {
        let mut memory = Memory::new(16);
        memory.limit = 16;
        drop(r);
        Receiver::new(memory, 64, 1000)
    };
    let packet = publish(17, 0);
    read(&mut r, &mut &packet[..], 16);
    assert_eq!(r.window(), Err(OutOfMemory));
    assert_eq!(r.window(), Err(OutOfMemory));
    assert_eq!(r.peek(V3), Ok(None));
    // a burst does without
    r.reset();
    let stream: Vec<u8> = (0..10).flat_map(|i| publish(8, i)).collect();
    let mut rest = &stream[..];
    let mut taken = 0;
    while !rest.is_empty() {
        read(&mut r, &mut rest, 16);
        taken += take(&mut r);
    }
    assert_eq!((taken, capacity(&r)), (10, 16));
}

#[test]
fn full_of_whole_packets() {
    let mut r = receiver(16, 16, 1000);
    read(
        &mut r,
        &mut &[publish(8, 1), publish(8, 2)].concat()[..],
        16,
    );
    assert_eq!(r.window(), Err(OutOfMemory));
    r.consume(8);
    assert_eq!(r.window().map(|window| window.len()), Ok(8));
    assert_eq!(
        r.peek(V3),
        Ok(Some((parse(V3, &publish(8, 2)).unwrap(), 8)))
    );
}

#[test]
fn reset_forgets() {
    let mut r = receiver(16, 16, 1000);
    read(&mut r, &mut &publish(10, 1)[..], 7);
    r.reset();
    assert!(r.is_empty());
    assert_eq!(r.peek(V3), Ok(None));
    read(&mut r, &mut &[0xD0, 0][..], 2);
    assert_eq!(r.peek(V3), Ok(Some((pingresp(), 2))));
}

#[test]
fn no_stale_bytes() {
    // a topic length beyond the packet, with bytes of the packet before it behind it
    let mut r = receiver(64, 64, 1000);
    read(&mut r, &mut &publish(60, b's')[..], 64);
    assert_eq!(take(&mut r), 1);
    read(&mut r, &mut &[0x30, 3, 0, 20, b'a'][..], 64);
    assert_eq!(r.peek(V3), Err(Error::StringBeyondPacket));
}

#[test]
fn more_claimed_than_there_is() {
    let mut r = receiver(16, 16, 1000);
    r.window().unwrap();
    r.commit(usize::MAX);
    r.consume(usize::MAX);
    assert!(r.is_empty());
    assert_eq!(r.window().map(|window| window.len()), Ok(16));
}

/// A packet as a server may send it.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![0xD0, 0]),
        (0x40u8..=0x70, 1u16..).prop_map(|(kind, pid)| {
            let kind = match kind & 0x70 {
                0x60 => 0x62,
                kind => kind,
            };
            [&[kind, 2], &pid.to_be_bytes()[..]].concat()
        }),
        (5usize..130, any::<u8>()).prop_map(|(len, fill)| publish(len, fill)),
        (topic(), bytes(700)).prop_map(|(topic, payload)| {
            let head = PublishHead {
                version: V3,
                dup: false,
                retain: true,
                qos: QoS::ExactlyOnce,
                pid: Some(pid(77)),
                topic: topic.as_bytes(),
                alias: None,
                properties: Properties::EMPTY,
                payload_len: payload.len(),
            };
            [encode(&head).unwrap(), payload].concat()
        }),
    ]
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// However a stream is cut into reads, what comes in pieces is the same as what comes whole, and takes no more memory
    /// than bursts do.
    #[test]
    fn in_pieces(
        packets in prop::collection::vec(packet(), 1..12),
        (base, burst) in (1usize..200, 0usize..400),
        reads in prop::collection::vec(1usize..400, 1..20),
    ) {
        let stream = packets.concat();
        let mut rest = &stream[..];
        let mut reads = reads.iter().cycle();
        let mut r = receiver(base, burst, 1000);
        r.in_pieces = true;
        for bytes in &packets {
            let wanted = parse(V3, bytes).unwrap();
            let (packet, len) = loop {
                if let Some((packet, len)) = r.peek(V3).unwrap() {
                    let mut whole = packet;
                    whole.payload = wanted.payload;
                    prop_assert_eq!(whole, wanted);
                    break (packet, len);
                }
                read(&mut r, &mut rest, *reads.next().unwrap());
            };
            prop_assert_eq!(len, bytes.len());
            let head = r.head(len, packet.payload.len());
            prop_assert_eq!(len - head, wanted.payload.len());
            if wanted.packet_type != PacketType::Publish || !r.divides(len) {
                prop_assert_eq!(packet.payload, wanted.payload);
                r.consume(len);
                continue;
            }
            r.divide(head, len - head);
            let mut payload = vec![];
            while r.rest() > 0 {
                let (from, piece) = (r.position(), r.piece());
                payload.extend_from_slice(&r.storage().bytes[from..from + piece]);
                r.consume(piece);
                if r.rest() > 0 {
                    read(&mut r, &mut rest, *reads.next().unwrap());
                }
                // a head of up to 50 bytes, which the buffer doubles for
                prop_assert!(capacity(&r) <= base.max(burst).max(100));
            }
            prop_assert_eq!(&payload[..], wanted.payload);
        }
        prop_assert!(r.is_empty() && rest.is_empty());
    }

    /// However a stream is cut into reads, the same packets come out.
    #[test]
    fn any_split(
        packets in prop::collection::vec(packet(), 1..12),
        (base, burst) in (1usize..200, 0usize..1000),
        reads in prop::collection::vec(1usize..400, 1..20),
        eager: bool,
    ) {
        let stream = packets.concat();
        let longest = packets.iter().map(Vec::len).max().unwrap();
        let mut rest = &stream[..];
        let mut reads = reads.iter().cycle();
        let mut wanted = packets.iter();
        let mut r = receiver(base, burst, longest as u32);
        loop {
            while let Some((packet, len)) = r.peek(V3).unwrap() {
                let bytes = wanted.next().unwrap();
                prop_assert_eq!(len, bytes.len());
                prop_assert_eq!(packet, parse(V3, bytes).unwrap());
                r.consume(len);
                // not all of them at once
                if !eager && !rest.is_empty() && len % 3 == 0 {
                    break;
                }
            }
            if rest.is_empty() && r.peek(V3).unwrap().is_none() {
                break;
            }
            if r.window().is_ok() {
                read(&mut r, &mut rest, *reads.next().unwrap());
            }
            prop_assert!(capacity(&r) <= longest.max(base).max(burst).max(5));
        }
        prop_assert_eq!(wanted.next(), None);
        prop_assert!(r.is_empty());
        for _ in 0..20 {
            r.window().unwrap();
            r.commit(0);
        }
        r.window().unwrap();
        prop_assert_eq!(capacity(&r), base);
    }

    /// Rubbish makes no panic, no growth beyond the limits and no endless loop.
    #[test]
    fn any_stream(
        version in version(),
        stream in bytes(2_000),
        base in 1usize..64,
        reads in prop::collection::vec(1usize..100, 1..8),
    ) {
        let mut r = receiver(base, 128, 300);
        let mut rest = &stream[..];
        let mut reads = reads.iter().cycle();
        while !rest.is_empty() {
            read(&mut r, &mut rest, *reads.next().unwrap());
            prop_assert!(capacity(&r) <= 300);
            loop {
                match r.peek(version) {
                    Ok(Some((_, len))) => r.consume(len),
                    Ok(None) => break,
                    Err(_) => {
                        r.reset();
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn never_a_byte_of_the_next_packet() {
    let stream = [
        publish(129, 1),
        vec![0xD0, 0],
        [vec![0x30, 0x80, 0x01], publish(130, 2)[2..].to_vec()].concat(),
        publish(5, 3),
    ];
    let lengths = stream.each_ref().map(Vec::len);
    let stream = stream.concat();
    for most in [1, 2, 3, 1000] {
        let mut r = receiver(16, 16, 1000);
        let mut rest = &stream[..];
        for length in lengths {
            assert_eq!(r.begun(), None);
            let before = rest.len();
            while r.peek(V3).unwrap().is_none() {
                let missing = r.missing();
                assert!(missing > 0);
                read(&mut r, &mut rest, most.min(missing));
            }
            assert_eq!(before - rest.len(), length);
            assert_eq!(r.missing(), 0);
            let first = stream[stream.len() - before];
            assert_eq!(r.begun().map(|(first, _)| first), Some(first));
            r.consume(length);
        }
    }
}
