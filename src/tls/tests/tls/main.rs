//! The client against a server that does as it should, and against one that does not.

mod certificate;
mod conversation;
mod refused;
mod server;
mod vectors;

use conversation::{Conversation, expected};
use mqtt_tls::{Error, Expected, State, Trust};
use server::{ALERT, DATA, HANDSHAKE, message};
use sha2::{Digest, Sha256};

fn opened() -> Conversation {
    let mut c = Conversation::new(expected());
    c.shake_hands();
    assert_eq!((c.client.state(), c.client.error()), (State::Open, None));
    c
}

#[test]
fn data_in_both_directions() {
    let mut c = opened();
    assert_eq!(c.client.write(b"question"), 8);
    let record = c.taken();
    assert_eq!(
        c.server.from_client.open(&record),
        Some((DATA, b"question".to_vec()))
    );
    let record = c.server.to_client.seal(b"answer\x17");
    assert_eq!(c.feed(&record), record.len());
    let mut data = [0; 4];
    assert!(c.client.has_data());
    assert_eq!(c.client.read(&mut data), 4);
    assert_eq!(&data, b"answ");
    assert_eq!(c.client.read(&mut data), 2);
    assert_eq!(&data[..2], b"er");
    assert_eq!(c.client.read(&mut data), 0);
    assert!(!c.client.has_data());
    c.client.close();
    let record = c.taken();
    assert_eq!(
        c.server.from_client.open(&record),
        Some((ALERT, vec![1, 0]))
    );
    assert_eq!(c.client.state(), State::Closed);
    assert_eq!(c.client.error(), None);
}

#[test]
fn a_byte_at_a_time() {
    let mut c = Conversation::new(expected());
    c.piece = 1;
    c.shake_hands();
    assert_eq!(c.client.state(), State::Open);
    let record = c.server.to_client.seal(b"answer\x17");
    c.feed(&record);
    let mut data = [0; 8];
    assert_eq!(c.client.read(&mut data), 6);
}

#[test]
fn verified_by_one_signature_at_a_time() {
    let mut c = Conversation::new(expected());
    c.shake_hands();
    // Two of certificates, the path that is then complete, and the one over the handshake.
    assert_eq!(c.verifications, 4);
}

#[test]
fn larger_than_a_record() {
    let mut c = opened();
    let data: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
    let (mut sent, mut got) = (0, vec![]);
    while sent < data.len() {
        sent += c.client.write(&data[sent..]);
        let mut records = c.taken();
        while !records.is_empty() {
            let len = 5 + usize::from(u16::from_be_bytes([records[3], records[4]]));
            let (kind, contents) = c.server.from_client.open(&records[..len]).unwrap();
            assert_eq!(kind, DATA);
            got.extend(contents);
            records.drain(..len);
        }
    }
    assert_eq!(got, data);
}

#[test]
fn end_by_the_server() {
    let mut c = opened();
    // What was written before is a record that is on its way: it has to be completed.
    assert_eq!(c.client.write(b"last"), 4);
    let mut first = [0; 3];
    assert_eq!(c.client.take(&mut first), 3);
    let before = c.sent.len();
    let record = c.server.to_client.seal(&[1, 0, ALERT]);
    c.client.feed(&record[..5]);
    c.client.feed(&record[5..]);
    assert_eq!(c.client.state(), State::Eof);
    assert_eq!(c.client.write(b"more"), 0);
    c.client.close();
    c.taken();
    let record = [&first, &c.sent[before..]].concat();
    assert_eq!(
        c.server.from_client.open(&record),
        Some((DATA, b"last".to_vec()))
    );
    assert_eq!(c.client.state(), State::Closed);
}

#[test]
fn tickets_and_padding() {
    let mut c = opened();
    let ticket = message(4, &[0, 0, 1, 0, 1, 2, 3, 4, 1, 0, 0, 2, 5, 6, 0, 0]);
    let record = c.server.send(&ticket);
    c.feed(&record);
    let record = c.server.to_client.seal(b"data\x17\0\0\0\0");
    c.feed(&record);
    let mut data = [0; 8];
    assert_eq!(c.client.read(&mut data), 4);
}

#[test]
fn pinned_key() {
    let info = certificate::public_key_info(&certificate::key(3));
    let pinned = Expected {
        trust: Trust::PinnedKey,
        pin: Some(Sha256::digest(info).into()),
        authorities: &[],
        name: Some("any.name"),
        now: 0,
        ..expected()
    };
    let mut c = Conversation::new(pinned);
    c.shake_hands();
    assert_eq!(c.client.state(), State::Open);
    // The certificate is public: to show it is not to have its key.
    let mut c = Conversation::new(pinned);
    c.server.key = certificate::key(4);
    c.shake_hands();
    assert_eq!(c.refusal(), Error::HandshakeSignature);
    let mut c = Conversation::new(Expected {
        pin: Some([0; 32]),
        ..pinned
    });
    c.shake_hands();
    assert_eq!(c.refusal(), Error::Pin);
    // A pin beside authorities: both count.
    let mut c = Conversation::new(Expected {
        pin: Some([0; 32]),
        ..expected()
    });
    c.shake_hands();
    assert_eq!(c.refusal(), Error::Pin);
}

#[test]
fn certificate_of_the_client() {
    let own = certificate::Request::server("root", 1).sign();
    let mut c = Conversation::with_identity(expected(), Some((&own, [5; 32])));
    let hello = c.server.hello();
    c.server.said(&hello);
    let mut out = server::record(HANDSHAKE, &hello);
    let messages = [
        c.server.encrypted_extensions(),
        c.server.certificate_request(),
        c.server.certificates(),
        c.server.signature(),
        c.server.finished(),
    ];
    // In one record: a server may do that.
    out.extend(c.server.send(&messages.concat()));
    let before = c.sent.len();
    c.feed(&out);
    assert_eq!(c.client.state(), State::Open);
    let records = c.sent[before..].to_vec();
    let len = 5 + usize::from(u16::from_be_bytes([records[3], records[4]]));
    let (_, sent) = c.server.from_client.open(&records[..len]).unwrap();
    assert!(sent[0] == 11 && sent.windows(own.len()).any(|part| part == own));
    let len = len + 5 + usize::from(u16::from_be_bytes([records[len + 3], records[len + 4]]));
    assert!(records.len() > len);
}

#[test]
fn memory_is_overwritten() {
    let mut c = opened();
    assert!(c.memory().iter().any(|&byte| byte != 0));
    c.client.end();
    assert!(c.memory().iter().all(|&byte| byte == 0));
}

#[test]
fn settings_that_cannot_work() {
    let refused = |expected: Expected<'static>| conversation::client(expected, None).err();
    assert_eq!(
        refused(Expected {
            now: 0,
            ..expected()
        }),
        Some(Error::Clock)
    );
    assert_eq!(
        refused(Expected {
            now: 1_700_000_000,
            ..expected()
        }),
        Some(Error::Clock)
    );
    assert_eq!(
        refused(Expected {
            authorities: b"",
            ..expected()
        }),
        Some(Error::InvalidAuthority)
    );
    assert_eq!(
        refused(Expected {
            authorities: b"\x30\x01\x00",
            ..expected()
        }),
        Some(Error::InvalidAuthority)
    );
    assert_eq!(
        refused(Expected {
            authorities: b"rubbish",
            ..expected()
        }),
        Some(Error::InvalidAuthority)
    );
    assert_eq!(
        refused(Expected {
            name: Some("not a name"),
            ..expected()
        }),
        Some(Error::InvalidName)
    );
    assert_eq!(
        refused(Expected {
            name: None,
            ..expected()
        }),
        Some(Error::InvalidName)
    );
    assert_eq!(
        refused(Expected {
            trust: Trust::PinnedKey,
            ..expected()
        }),
        Some(Error::Pin)
    );
    assert_eq!(
        conversation::client(expected(), Some((b"certificate", [0; 32]))).err(),
        Some(Error::InvalidKey)
    );
    assert_eq!(
        conversation::client(expected(), Some((&[0; 1000], [5; 32]))).err(),
        Some(Error::CertificateTooLarge)
    );
}
