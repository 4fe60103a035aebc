//! The whole client against a server that lacks the key of its certificate, and sends what the input says, encrypted as it
//! should be: messages of the handshake, left out, doubled, in any order and changed, messages and records of the input's
//! own. Whatever it does, the client must not take it for the right one: the connection does not open, and nothing leaves
//! after the ClientHello but one alert.
#![no_main]
use libfuzzer_sys::fuzz_target;
use mqtt_tls::{ALERT, Client, Config, Expected, Memory, State, Trust};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;

#[path = "../../tests/tls/certificate.rs"]
#[allow(dead_code)]
mod certificate;
#[path = "../../tests/tls/server.rs"]
#[allow(dead_code)]
mod server;

use server::{HANDSHAKE, Server, record};

thread_local! {
    static FOREIGN: Cell<bool> = const { Cell::new(false) };
}

/// embedded-tls may panic, which the client has to survive; nothing else may.
fn survive_panics_of_embedded_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_hook(Box::new(|info| {
            let foreign = info
                .location()
                .is_some_and(|l| l.file().contains("embedded-tls"));
            if !foreign {
                eprintln!("{info}");
                std::process::abort();
            }
            FOREIGN.set(true);
        }));
    });
}

/// The bytes of the server, as the input says.
fn flight(server: &mut Server, mut input: &[u8]) -> Vec<u8> {
    let mut hello = server.hello();
    let mut out = vec![];
    let mut take = |n: usize| {
        let (bytes, rest) = input.split_at(n.min(input.len()));
        input = rest;
        bytes.to_vec()
    };
    for n in take(1) {
        // Few inputs get beyond a ServerHello that was changed.
        if n > 240 {
            for change in take(2).chunks_exact(2) {
                let at = usize::from(change[0]) % hello.len();
                hello[at] ^= change[1];
            }
        }
    }
    server.said(&hello);
    out.extend(record(HANDSHAKE, &hello));
    loop {
        let Some(&[op, len]) = take(2).first_chunk::<2>() else {
            return out;
        };
        let mut message = match op % 9 {
            0 => server.encrypted_extensions(),
            1 => server.certificates(),
            2 => server.signature(),
            3 => server.finished(),
            4 => server.certificate_request(),
            5 => take(len.into()),
            6 => {
                out.extend(record(op >> 4 | 16, &take(len.into())));
                continue;
            }
            7 => {
                let inner = take(len.into());
                out.extend(server.to_client.seal(&inner));
                continue;
            }
            _ => {
                out.extend(take(len.into()));
                continue;
            }
        };
        if op >= 0xc0 && !message.is_empty() {
            let at = usize::from(len) * (1 + usize::from(op & 1) * 7) % message.len();
            message[at] ^= take(1).first().copied().unwrap_or(1);
        }
        out.extend(server.send(&message));
        if op % 9 == 3 && op & 0x40 != 0 {
            server.done();
        }
    }
}

fuzz_target!(|data: &[u8]| {
    survive_panics_of_embedded_tls();
    let root = certificate::root();
    let [mut state, mut read, mut write, mut chain] =
        [Client::size(), 4352, 512, 4096].map(|n| vec![0; n]);
    let memory = Memory {
        state: &mut state,
        read: &mut read,
        write: &mut write,
        chain: &mut chain,
    };
    let expected = Expected {
        trust: Trust::Authorities,
        name: Some("broker.test"),
        check_name: true,
        authorities: &root,
        pin: None,
        now: certificate::NOW,
    };
    let mut client = Client::new(
        memory,
        Config {
            expected,
            seed: [1; 32],
            identity: None,
            alpn: None,
        },
    )
    .unwrap();
    let mut sent = vec![0; 512];
    let hello = client.take(&mut sent);
    let mut server = Server::new(&sent[..hello]);
    server.key = certificate::key(4);
    let bytes = flight(&mut server, data);
    let mut bytes = bytes.as_slice();
    let mut after: Vec<u8> = vec![];
    for _ in 0..10_000 {
        FOREIGN.set(false);
        let moved = catch_unwind(AssertUnwindSafe(|| {
            let mut chunk = [0; 64];
            let n = client.take(&mut chunk);
            after.extend(&chunk[..n]);
            if client.state() == State::Verify {
                client.verify();
                return true;
            }
            let fed = client.feed(&bytes[..bytes.len().min(client.wanted())]);
            bytes = &bytes[fed..];
            n + fed > 0
        }));
        assert!(
            !matches!(client.state(), State::Open | State::Eof),
            "taken for the right one"
        );
        assert_eq!(client.read(&mut [0; 16]), 0);
        match moved {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => {
                assert!(FOREIGN.get());
                assert_eq!(client.take(&mut [0; 64]), 0);
                assert_eq!(client.state(), State::Failed);
            }
        }
    }
    assert!(after.is_empty() || after.len() == ALERT && after[0] == 21);
});
