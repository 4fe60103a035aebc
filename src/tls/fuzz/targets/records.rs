//! The filter of records: the largest record, sizes of reads, then a stream. However it is cut, the same comes of it; and
//! what is let through is what may come.
#![no_main]
use libfuzzer_sys::fuzz_target;
use mqtt_tls::Error;
use mqtt_tls::internal::Filter;

/// The records that were let through, and how it ends.
fn filtered(largest: usize, mut stream: &[u8], reads: &[u8]) -> (Vec<Vec<u8>>, Option<Error>) {
    let mut filter = Filter::new(largest);
    let mut reads = reads.iter().cycle();
    let (mut records, mut record) = (vec![], vec![]);
    while !stream.is_empty() {
        let read = reads
            .next()
            .map_or(usize::MAX, |&read| 1 + usize::from(read));
        let wanted = filter.wanted();
        assert!(wanted > 0);
        let (bytes, rest) = stream.split_at(wanted.min(read).min(stream.len()));
        if let Err(error) = filter.accept(bytes) {
            return (records, Some(error));
        }
        record.extend(bytes);
        stream = rest;
        let len = record
            .get(3..5)
            .map(|len| 5 + usize::from(u16::from_be_bytes([len[0], len[1]])));
        if len == Some(record.len()) {
            records.push(std::mem::take(&mut record));
        }
    }
    (records, None)
}

fuzz_target!(|data: &[u8]| {
    let &[largest, reads, ref rest @ ..] = data else {
        return;
    };
    let Some((reads, stream)) = rest.split_at_checked(reads.into()) else {
        return;
    };
    let largest = 64 * usize::from(largest);
    let (records, error) = filtered(largest, stream, reads);
    assert_eq!(
        (&records, error),
        (
            &filtered(largest, stream, &[]).0,
            filtered(largest, stream, &[]).1
        )
    );
    for (n, record) in records.iter().enumerate() {
        let len = record.len() - 5;
        assert!(len <= largest);
        match (n, record[0]) {
            (0, 22) => assert!(record[5] == 2 && record[9..11] == [3, 3]),
            (0, _) => panic!("before a ServerHello"),
            (_, 20) => assert!(record[5..] == [1]),
            (_, 23) => assert!((17..=16640).contains(&len)),
            _ => panic!("in plaintext"),
        }
    }
});
