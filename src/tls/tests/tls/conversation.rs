//! Client and server in one place.

use crate::certificate::{NOW, root};
use crate::server::{HANDSHAKE, Server, record};
use mqtt_tls::{ALERT, Client, Config, Error, Expected, Memory, State, Trust};

pub type Identity = Option<(&'static [u8], [u8; 32])>;

pub fn leaked(bytes: Vec<u8>) -> &'static mut [u8] {
    Box::leak(bytes.into_boxed_slice())
}

/// Whom a client of the tests expects.
pub fn expected() -> Expected<'static> {
    Expected {
        trust: Trust::Authorities,
        name: Some("broker.test"),
        check_name: true,
        authorities: leaked(root()),
        pin: None,
        now: NOW,
    }
}

fn client_in(
    memory: Memory<'static>,
    expected: Expected<'static>,
    identity: Identity,
) -> Result<Client<'static>, Error> {
    Client::new(
        memory,
        Config {
            expected,
            seed: [1; 32],
            identity,
            alpn: None,
        },
    )
}

fn memory() -> [&'static mut [u8]; 4] {
    [Client::size(), 16_640, 1024, 4096].map(|n| leaked(vec![0; n]))
}

pub fn client(expected: Expected<'static>, identity: Identity) -> Result<Client<'static>, Error> {
    let [state, read, write, chain] = memory();
    client_in(
        Memory {
            state,
            read,
            write,
            chain,
        },
        expected,
        identity,
    )
}

pub struct Conversation {
    pub client: Client<'static>,
    pub server: Server,
    /// All that the client sent; the ClientHello comes first.
    pub sent: Vec<u8>,
    hello: usize,
    /// Bytes that are fed at once.
    pub piece: usize,
    pub verifications: u32,
    secrets: [*const [u8]; 3],
}

impl Conversation {
    pub fn new(expected: Expected<'static>) -> Self {
        Self::with_identity(expected, None)
    }

    pub fn with_identity(expected: Expected<'static>, identity: Option<(&[u8], [u8; 32])>) -> Self {
        let identity = identity.map(|(certificate, key)| (&*leaked(certificate.to_vec()), key));
        let [state, read, write, chain] = memory();
        let secrets = [&raw const *state, &raw const *read, &raw const *write];
        let mut client = client_in(
            Memory {
                state,
                read,
                write,
                chain,
            },
            expected,
            identity,
        )
        .unwrap();
        let mut sent = vec![];
        take(&mut client, &mut sent);
        let server = Server::new(&sent);
        Conversation {
            client,
            server,
            hello: sent.len(),
            sent,
            piece: usize::MAX,
            verifications: 0,
            secrets,
        }
    }

    /// What the client has to send now.
    pub fn taken(&mut self) -> Vec<u8> {
        let before = self.sent.len();
        take(&mut self.client, &mut self.sent);
        self.sent[before..].to_vec()
    }

    /// Gives the client bytes of the server, and verifies when it wants to: how many it took.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut fed = 0;
        loop {
            take(&mut self.client, &mut self.sent);
            if self.client.state() == State::Verify {
                self.verifications += 1;
                assert!(self.sent.len() == self.hello, "sent before it was verified");
                self.client.verify();
                continue;
            }
            let wanted = self.client.wanted().min(self.piece);
            let bytes = &bytes[fed..];
            let n = self.client.feed(&bytes[..bytes.len().min(wanted)]);
            if n == 0 {
                return fed;
            }
            fed += n;
        }
    }

    /// The handshake as it should be.
    pub fn shake_hands(&mut self) {
        let hello = self.server.hello();
        self.server.said(&hello);
        let mut out = record(HANDSHAKE, &hello);
        out.extend(self.server.flight());
        self.feed(&out);
        self.server.done();
    }

    /// Why the client refused. It must not have sent anything but an alert.
    pub fn refusal(&mut self) -> Error {
        self.taken();
        let after_hello = &self.sent[self.hello..];
        assert!(
            after_hello.is_empty() || after_hello.len() == ALERT && after_hello[0] == 21,
            "{after_hello:?}"
        );
        assert_eq!(self.client.state(), State::Failed);
        self.client.error().unwrap()
    }

    /// State and buffers, as they are when the client is gone.
    pub fn memory(&self) -> Vec<u8> {
        // SAFETY: the memory is leaked; the client does not run.
        self.secrets
            .iter()
            .flat_map(|memory| unsafe { &**memory }.to_vec())
            .collect()
    }
}

fn take(client: &mut Client<'_>, to: &mut Vec<u8>) {
    let mut chunk = [0; 100];
    loop {
        match client.take(&mut chunk) {
            0 => return,
            n => to.extend(&chunk[..n]),
        }
    }
}
