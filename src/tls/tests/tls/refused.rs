//! Whatever a server does wrong, the client says what, and sends nothing after its ClientHello but an alert.

use crate::certificate::{self, FUTURE, PAST, Request, START, chain, intermediate, key};
use crate::conversation::{Conversation, expected};
use crate::server::{ALERT, DATA, HANDSHAKE, Server, extension, message, record};
use mqtt_tls::{Error, Expected, State};

/// What comes of a flight that is made like this.
fn outcome(flight: impl FnOnce(&mut Server) -> Vec<u8>) -> Error {
    let mut c = Conversation::new(expected());
    let bytes = flight(&mut c.server);
    c.feed(&bytes);
    c.refusal()
}

/// A ServerHello as it should be, then that.
fn after_hello(flight: impl FnOnce(&mut Server) -> Vec<u8>) -> Error {
    outcome(|server| {
        let hello = server.hello();
        server.said(&hello);
        [record(HANDSHAKE, &hello), flight(server)].concat()
    })
}

fn of_chain(certificates: Vec<Vec<u8>>) -> Error {
    of_chain_for(certificates, expected())
}

fn of_chain_for(certificates: Vec<Vec<u8>>, expected: Expected<'static>) -> Error {
    let mut c = Conversation::new(expected);
    c.server.chain = certificates;
    c.shake_hands();
    c.refusal()
}

fn leaf() -> Request<'static> {
    Request::server("intermediate", 2)
}

#[test]
fn certificates() {
    let with = |leaf: Request| vec![leaf.sign(), intermediate().sign()];
    assert_eq!(
        of_chain(with(Request {
            validity: (START, PAST),
            ..leaf()
        })),
        Error::Expired(0)
    );
    assert_eq!(
        of_chain(with(Request {
            validity: (FUTURE, "490101000000Z"),
            ..leaf()
        })),
        Error::NotYetValid(0)
    );
    assert_eq!(
        of_chain(with(Request {
            tampered: true,
            ..leaf()
        })),
        Error::CertificateSignature(0)
    );
    assert_eq!(
        of_chain(with(Request {
            usage: Some(2),
            ..leaf()
        })),
        Error::Usage
    );
    // A name in the subject alone is none (RFC 6125, 6.4.4 and RFC 9525).
    assert_eq!(
        of_chain(with(Request {
            subject: "broker.test",
            names: vec![],
            ..leaf()
        })),
        Error::Name
    );
    let above = |above: Request| vec![leaf().sign(), above.sign()];
    assert_eq!(
        of_chain(above(Request {
            validity: (START, PAST),
            ..intermediate()
        })),
        Error::Expired(1)
    );
    assert_eq!(
        of_chain(above(Request {
            tampered: true,
            ..intermediate()
        })),
        Error::CertificateSignature(1)
    );
    assert_eq!(
        of_chain(above(Request {
            authority: None,
            ..intermediate()
        })),
        Error::NotAnAuthority
    );
    assert_eq!(
        of_chain(above(Request {
            permitted: Some("other.test"),
            ..intermediate()
        })),
        Error::NameConstraint
    );
    assert_eq!(of_chain(vec![leaf().sign()]), Error::UnknownAuthority);
    assert_eq!(of_chain(vec![]), Error::NotAuthenticated);
    assert_eq!(of_chain(vec![vec![0x30, 0]]), Error::Certificate(0));
    let authority = Request {
        authority: Some(None),
        ..leaf()
    };
    assert_eq!(of_chain(with(authority)), Error::AuthorityAsServer);
    // An authority that may have none below it.
    let narrow = Request {
        authority: Some(Some(0)),
        ..intermediate()
    };
    let below = Request::authority("below", 4, "intermediate", 2);
    let chain = vec![
        Request::server("below", 4).sign(),
        below.sign(),
        narrow.sign(),
    ];
    assert_eq!(of_chain(chain), Error::PathLength);
    // One that its own server signed.
    let other = Request { key: 4, ..leaf() };
    let chain = vec![
        Request::server("server", 4).sign(),
        other.sign(),
        intermediate().sign(),
    ];
    assert_eq!(of_chain(chain), Error::NotAnAuthority);
    // More, or larger ones, than there is room for.
    assert_eq!(of_chain(vec![leaf().sign(); 7]), Error::ChainTooLarge);
    let names = (0..200)
        .map(|n| (2, format!("host{n}.some.domain.test").into_bytes()))
        .collect();
    assert_eq!(
        of_chain(with(Request { names, ..leaf() })),
        Error::ChainTooLarge
    );
}

#[test]
fn names() {
    let for_name = |name| {
        of_chain_for(
            chain(),
            Expected {
                name: Some(name),
                ..expected()
            },
        )
    };
    for name in [
        "evil.test",
        "test",
        "x.broker.test",
        "wild.test",
        "a.b.wild.test",
        "127.0.0.2",
        "::1",
    ] {
        assert_eq!(for_name(name), Error::Name, "{name}");
    }
    for name in ["BROKER.test", "x.wild.test", "127.0.0.1"] {
        let mut c = Conversation::new(Expected {
            name: Some(name),
            ..expected()
        });
        c.shake_hands();
        assert_eq!(c.client.state(), State::Open, "{name}");
    }
    let mut c = Conversation::new(Expected {
        name: Some("evil.test"),
        check_name: false,
        ..expected()
    });
    c.shake_hands();
    assert_eq!(c.client.state(), State::Open);
}

#[test]
fn other_authorities() {
    // Of the same name as the one that issued, and another key.
    let same_name = Request::authority("root", 5, "root", 5).sign();
    let other = Request::authority("other", 5, "other", 5).sign();
    let several = [other.clone(), same_name.clone(), certificate::root()].concat();
    for (authorities, error) in [
        (other, Some(Error::UnknownAuthority)),
        (same_name, Some(Error::CertificateSignature(1))),
        (several, None),
    ] {
        let authorities = crate::conversation::leaked(authorities);
        let mut c = Conversation::new(Expected {
            authorities,
            ..expected()
        });
        c.shake_hands();
        assert_eq!(c.client.error(), error);
        assert_eq!(
            c.client.state(),
            if error.is_some() {
                State::Failed
            } else {
                State::Open
            }
        );
    }
}

#[test]
fn what_is_left_out() {
    fn without(left_out: usize) -> Error {
        after_hello(|server| {
            let all = [
                Server::encrypted_extensions,
                Server::certificates,
                Server::signature,
                Server::finished,
            ];
            let mut out = vec![];
            for (i, make) in all.into_iter().enumerate() {
                if i != left_out && !(left_out == 4 && (i == 1 || i == 2)) {
                    let message = make(server);
                    out.extend(server.send(&message));
                }
            }
            out
        })
    }
    assert_eq!(without(1), Error::Message); // A signature of nothing
    assert_eq!(without(2), Error::NotAuthenticated);
    assert_eq!(without(4), Error::NotAuthenticated); // Both
    // Without Finished the client waits, and sends nothing.
    let mut c = Conversation::new(expected());
    let hello = c.server.hello();
    c.server.said(&hello);
    let mut out = record(HANDSHAKE, &hello);
    for make in [
        Server::encrypted_extensions,
        Server::certificates,
        Server::signature,
    ] {
        let message = make(&mut c.server);
        out.extend(c.server.send(&message));
    }
    c.feed(&out);
    assert_eq!(c.client.state(), State::Handshake);
    c.client.feed_eof();
    assert_eq!(c.refusal(), Error::Truncated);
}

#[test]
fn wrong_proofs() {
    let mut c = Conversation::new(expected());
    c.server.key = key(4);
    c.shake_hands();
    assert_eq!(c.refusal(), Error::HandshakeSignature);
    let error = after_hello(|server| {
        let mut flight = vec![];
        for make in [
            Server::encrypted_extensions,
            Server::certificates,
            Server::signature,
        ] {
            let message = make(server);
            flight.extend(server.send(&message));
        }
        let mut finished = server.finished();
        *finished.last_mut().unwrap() ^= 1;
        flight.extend(server.send(&finished));
        flight
    });
    assert_eq!(error, Error::Finished);
    // Certificates again, after they were signed.
    let error = after_hello(|server| {
        let mut flight = vec![];
        for make in [
            Server::encrypted_extensions,
            Server::certificates,
            Server::signature,
            Server::certificates,
        ] {
            let message = make(server);
            flight.extend(server.send(&message));
        }
        flight
    });
    assert_eq!(error, Error::Message);
}

#[test]
fn server_hellos() {
    const RETRY: [u8; 32] = *b"\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c";
    let of = |make: &dyn Fn(&Server) -> Vec<u8>| outcome(|server| record(HANDSHAKE, &make(server)));
    let version = extension(43, &[3, 4]);
    assert_eq!(
        of(&|s| s.hello_of(&[7; 32], 0x1302, &s.hello_extensions())),
        Error::Suite
    );
    assert_eq!(
        of(&|s| s.hello_of(&[7; 32], 0xc02b, &extension(0xff01, &[0]))),
        Error::Version
    );
    assert_eq!(
        of(&|s| s.hello_of(&[7; 32], 0x1301, &s.hello_extensions()[..73])),
        Error::Version
    );
    assert_eq!(
        of(&|s| s.hello_of(&[7; 32], 0x1301, &extension(43, &[3, 3]))),
        Error::Version
    );
    assert_eq!(
        of(&|s| s.hello_of(
            &RETRY,
            0x1301,
            &[extension(51, &[0, 29]), version.clone()].concat()
        )),
        Error::Group
    );
    assert_eq!(
        of(&|s| s.hello_of(
            &[7; 32],
            0x1301,
            &[s.hello_extensions(), version.clone()].concat()
        )),
        Error::Message
    );
    assert_eq!(
        of(&|s| s.hello_of(
            &[7; 32],
            0x1301,
            &[s.hello_extensions(), extension(16, &[])].concat()
        )),
        Error::Message
    );
    // Another message in the same record would come before the keys change.
    assert_eq!(
        of(&|s| [s.hello(), message(8, &[0, 0])].concat()),
        Error::Message
    );
    assert_eq!(of(&|s| s.hello()[..40].to_vec()), Error::Message);
    // Without a key share there are no keys.
    assert_eq!(
        of(&|s| s.hello_of(&[7; 32], 0x1301, &version)),
        Error::Group
    );
}

#[test]
fn records_that_may_not_come() {
    let plain = |kind, contents: &'static [u8]| outcome(|_| record(kind, contents));
    assert_eq!(plain(DATA, &[0; 20]), Error::Record);
    assert_eq!(plain(HANDSHAKE, b""), Error::Record);
    assert_eq!(plain(ALERT, &[2]), Error::Record);
    assert_eq!(plain(20, &[1]), Error::Record);
    assert_eq!(plain(ALERT, &[2, 40]), Error::Alert(40));
    assert_eq!(
        outcome(|_| b"HTTP/1.1 400 Bad Request\r\n".to_vec()),
        Error::Record
    );
    // After keys exist:
    assert_eq!(after_hello(|_| record(ALERT, &[1, 0])), Error::Record);
    assert_eq!(
        after_hello(|_| record(HANDSHAKE, &message(8, &[0, 0]))),
        Error::Record
    );
    assert_eq!(after_hello(|_| record(DATA, b"")), Error::Record);
    assert_eq!(after_hello(|_| record(DATA, &[0; 16])), Error::Record);
    assert_eq!(after_hello(|_| record(DATA, &[0; 17])), Error::Decrypt);
    assert_eq!(
        after_hello(|_| [DATA, 3, 3, 0x41, 0x01].to_vec()),
        Error::Record
    );
    assert_eq!(after_hello(|_| record(20, &[2])), Error::Record);
    assert_eq!(after_hello(|_| record(20, &[1]).repeat(40)), Error::Flood);
    assert_eq!(
        after_hello(|server| server.to_client.seal(&[0; 30])),
        Error::Message
    );
    assert_eq!(
        after_hello(|server| server.to_client.seal(b"early\x17")),
        Error::Message
    );
    assert_eq!(
        after_hello(|server| server.to_client.seal(&[2, 48, ALERT])),
        Error::Alert(48)
    );
    // Messages over several records are not put together.
    let error = after_hello(|server| {
        let flight = server.certificates();
        flight
            .chunks(100)
            .map(|part| server.send(part))
            .collect::<Vec<_>>()
            .concat()
    });
    assert_eq!(error, Error::Message);
}

/// What comes of a record after the handshake; the server's own data never reaches the application then.
fn when_open(make: impl FnOnce(&mut Server) -> Vec<u8>) -> Option<Error> {
    let mut c = Conversation::new(expected());
    c.shake_hands();
    let bytes = make(&mut c.server);
    c.feed(&bytes);
    assert_eq!(c.client.read(&mut [0; 16]), 0);
    c.client.error()
}

#[test]
fn after_the_handshake() {
    assert_eq!(when_open(|s| s.to_client.seal(b"\x17")), None);
    assert_eq!(
        when_open(|s| (0..40)
            .map(|_| s.to_client.seal(b"\x17"))
            .collect::<Vec<_>>()
            .concat()),
        Some(Error::Flood)
    );
    let ticket = message(4, &[0, 0, 1, 0, 1, 2, 3, 4, 1, 0, 0, 2, 5, 6, 0, 0]);
    assert_eq!(
        when_open(|s| (0..40)
            .map(|_| s.send(&ticket))
            .collect::<Vec<_>>()
            .concat()),
        Some(Error::Flood)
    );
    assert_eq!(
        when_open(|s| s.send(&message(24, &[0]))),
        Some(Error::KeyUpdate)
    );
    assert_eq!(
        when_open(|s| s.send(&message(24, &[1]))),
        Some(Error::KeyUpdate)
    );
    assert_eq!(
        when_open(|s| s.to_client.seal(&[2, 116, ALERT])),
        Some(Error::Alert(116))
    );
    assert_eq!(
        when_open(|s| s.to_client.seal(&[2, 116, ALERT, 0, 0])),
        Some(Error::Alert(116))
    );
    assert_eq!(
        when_open(|s| s.to_client.seal(&[1, 90, ALERT])),
        Some(Error::Alert(90))
    );
    assert_eq!(when_open(|_| record(ALERT, &[1, 0])), Some(Error::Record));
    assert_eq!(
        when_open(|_| record(HANDSHAKE, &message(8, &[0, 0]))),
        Some(Error::Record)
    );
    assert_eq!(when_open(|_| record(20, &[1])), Some(Error::Record));
    let changed = |s: &mut Server| {
        let mut record = s.to_client.seal(b"data\x17");
        record[7] ^= 1;
        record
    };
    assert_eq!(when_open(changed), Some(Error::Decrypt));
    // Twice the same: the number of a record is part of its nonce.
    let mut c = Conversation::new(expected());
    c.shake_hands();
    let data = c.server.to_client.seal(b"data\x17");
    c.feed(&data);
    assert_eq!(c.client.read(&mut [0; 16]), 4);
    c.feed(&data);
    assert_eq!(c.client.error(), Some(Error::Decrypt));
}

#[test]
fn an_end_that_is_none() {
    let mut c = Conversation::new(expected());
    c.shake_hands();
    let data = c.server.to_client.seal(b"data\x17");
    c.feed(&data[..7]);
    c.client.feed_eof();
    assert_eq!(c.client.error(), Some(Error::Truncated));
}

#[test]
fn messages_that_embedded_tls_does_not_expect() {
    // Of which it does not return: the connection has failed all the same, and stays so.
    let mut c = Conversation::new(expected());
    c.shake_hands();
    let record = c.server.send(&message(8, &[0, 0]));
    let panicked =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| c.feed(&record))).is_err();
    assert!(panicked);
    assert_eq!(c.client.take(&mut [0; 100]), 0);
    assert_eq!(
        (c.client.state(), c.client.error()),
        (State::Failed, Some(Error::Internal))
    );
    assert!(c.memory().iter().all(|&byte| byte == 0));
}
