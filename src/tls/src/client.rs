//! One connection: embedded-tls as a future that is polled by hand, and the guard around it.
//!
//! What the guard sees to, since embedded-tls 0.19.0 does not:
//! * Only records that may come now reach it, and a ServerHello that chose what was offered: `records.rs`.
//! * After ServerHello nothing leaves, whatever embedded-tls makes of what came, before `verify.rs` said that the server is
//!   who it is to be.
//! * A panic in it, or anything else that does not return, leaves a connection that has failed.
//! * A record that is half written is never left for another one, which would be encrypted with the same nonce.
//! * Alerts are of the right form, and the server's are told.
//! * Keys and plaintext are overwritten when the connection ends.

use crate::Error;
use crate::records::Filter;
use crate::verify::{Expected, Progress, Shown, Verification, is_dns_name};
use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::marker::PhantomData;
use core::pin::{Pin, pin};
use core::ptr::NonNull;
use core::task::{Context, Poll, Waker};
use embedded_io_async::{ErrorType, Read, Write};
use embedded_tls::{
    Aes128GcmSha256, Certificate, CertificateEntryRef, CertificateRef, CertificateVerifyRef,
    CryptoProvider, CryptoRng, MaxFragmentLength, SignatureScheme, TlsConfig, TlsConnection,
    TlsContext, TlsError, TlsReader, TlsVerifier, TlsWriter,
};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// Bytes of a record of data that are not data: header, type and tag, and what embedded-tls keeps free.
const OVERHEAD: usize = 5 + embedded_tls::TLS_RECORD_OVERHEAD;

/// Bytes of a plaintext alert.
pub const ALERT: usize = 7;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Bytes have to be moved in both directions.
    Handshake,
    /// [`Client::verify`] has to be called.
    Verify,
    /// Data can be moved.
    Open,
    /// The server sends no more. What was written before still has to be taken.
    Eof,
    /// It is over.
    Closed,
    /// It is over, see [`Client::error`]. There may be an alert to be taken.
    Failed,
}

/// What a connection is to be.
pub struct Config<'m> {
    /// Whom the server has to be.
    pub expected: Expected<'m>,
    /// From the system's source of entropy; of one connection only.
    pub seed: [u8; 32],
    /// Certificate in DER, and private key of P-256, shown to a server that asks for them.
    pub identity: Option<(&'m [u8], [u8; 32])>,
    /// The application protocol to be offered (RFC 7301).
    pub alpn: Option<&'m [u8]>,
}

/// Memory of a connection, as long as it lives.
pub struct Memory<'m> {
    /// At least [`Client::size`] bytes.
    pub state: &'m mut [u8],
    /// For one record: 16 640 bytes, or 4352 or 2304 if the server knows max_fragment_length (RFC 6066, 4).
    pub read: &'m mut [u8],
    /// For one record: 512 bytes or more, of which 133 are not for data. The client's certificate has to fit, too.
    pub write: &'m mut [u8],
    /// For the server's certificates and its signature, during the handshake: 4096 bytes serve large public authorities.
    pub chain: &'m mut [u8],
}

/// Bytes that a call lends to the future while it polls it.
#[derive(Clone, Copy)]
struct Lent {
    start: *mut u8,
    len: usize,
}

impl Lent {
    const NOTHING: Lent = Lent {
        start: core::ptr::null_mut(),
        len: 0,
    };

    fn advanced(self, n: usize) -> Lent {
        Lent {
            start: self.start.wrapping_add(n),
            len: self.len - n,
        }
    }
}

/// What the future and the calls from outside share.
struct Shared {
    filter: RefCell<Filter>,
    /// What the server showed, for [`Client::verify`].
    shown: RefCell<Shown<'static>>,
    state: Cell<State>,
    error: Cell<Option<Error>>,
    /// From the network and to it.
    incoming: Cell<Lent>,
    outgoing: Cell<Lent>,
    /// To the application and from it.
    data: Cell<Lent>,
    written: Cell<Lent>,
    /// embedded-tls waits for bytes from the network.
    wants: Cell<bool>,
    /// It waits for room for data that came.
    has_data: Cell<bool>,
    /// It waits for the server to be verified.
    waits: Cell<bool>,
    verified: Cell<bool>,
    eof: Cell<bool>,
    closing: Cell<bool>,
    /// Bytes of data in a record, at most.
    piece: usize,
    /// Where the record that came last is.
    record: Cell<*const u8>,
}

impl Shared {
    /// The first error is the one that counts.
    fn fail(&self, error: Error) {
        if self.error.get().is_none() {
            self.error.set(Some(error));
        }
    }
}

/// The network, as embedded-tls sees it.
#[derive(Clone, Copy)]
struct Link(&'static Shared);

/// The reason is in `Shared`.
#[derive(Debug)]
struct LinkError;

impl core::fmt::Display for LinkError {
    fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Ok(())
    }
}

impl core::error::Error for LinkError {}

impl embedded_io::Error for LinkError {
    fn kind(&self) -> embedded_io::ErrorKind {
        embedded_io::ErrorKind::Other
    }
}

impl ErrorType for Link {
    type Error = LinkError;
}

impl Link {
    fn receive(&self, to: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        let shared = self.0;
        let lent = shared.incoming.get();
        if shared.error.get().is_some() {
            return Poll::Ready(Err(LinkError));
        }
        if lent.len == 0 {
            if shared.eof.get() {
                shared.fail(Error::Truncated);
                return Poll::Ready(Err(LinkError));
            }
            shared.wants.set(true);
            return Poll::Pending;
        }
        let mut filter = shared.filter.borrow_mut();
        let n = lent.len.min(filter.wanted()).min(to.len());
        let Some(to) = to.get_mut(..n) else {
            return Poll::Pending;
        };
        // SAFETY: `feed` lends so many bytes while it polls, and nobody else writes to them.
        to.copy_from_slice(unsafe { core::slice::from_raw_parts(lent.start, n) });
        shared.incoming.set(lent.advanced(n));
        if let Err(error) = filter.accept(to) {
            shared.fail(error);
            return Poll::Ready(Err(LinkError));
        }
        if let Some(len) = filter.whole() {
            shared
                .record
                .set(to.as_ptr().wrapping_add(n).wrapping_sub(len));
        }
        Poll::Ready(Ok(n))
    }

    fn send(&self, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        let shared = self.0;
        if shared.error.get().is_some() {
            return Poll::Ready(Err(LinkError));
        }
        if shared.filter.borrow().protected() && !shared.verified.get() {
            shared.waits.set(true);
            return Poll::Pending;
        }
        let lent = shared.outgoing.get();
        let n = lent.len.min(from.len());
        let Some(from) = from.get(..n).filter(|from| !from.is_empty()) else {
            return Poll::Pending;
        };
        // SAFETY: `take` lends so many bytes while it polls, and nobody else uses them.
        unsafe { core::slice::from_raw_parts_mut(lent.start, n) }.copy_from_slice(from);
        shared.outgoing.set(lent.advanced(n));
        Poll::Ready(Ok(n))
    }
}

impl Read for Link {
    async fn read(&mut self, to: &mut [u8]) -> Result<usize, LinkError> {
        poll_fn(|_| self.receive(to)).await
    }
}

impl Write for Link {
    async fn write(&mut self, from: &[u8]) -> Result<usize, LinkError> {
        poll_fn(|_| self.send(from)).await
    }

    async fn flush(&mut self) -> Result<(), LinkError> {
        Ok(())
    }
}

/// SHA-256 of the system's entropy and a counter.
struct Random {
    seed: [u8; 32],
    counter: u32,
}

impl rand_core::RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, to: &mut [u8]) {
        for to in to.chunks_mut(32) {
            self.counter = self.counter.wrapping_add(1);
            let block = Sha256::new()
                .chain_update(self.seed)
                .chain_update(self.counter.to_be_bytes())
                .finalize();
            to.iter_mut().zip(block).for_each(|(to, byte)| *to = byte);
        }
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(to);
        Ok(())
    }
}

impl CryptoRng for Random {}

/// What embedded-tls asks for. What it hands out to be verified is kept.
struct Provider {
    shared: &'static Shared,
    random: Random,
    identity: Option<(&'static [u8], [u8; 32])>,
}

impl Provider {
    fn kept(&self, result: Result<(), Error>) -> Result<(), TlsError> {
        result.map_err(|error| {
            self.shared.fail(error);
            TlsError::InvalidCertificate
        })
    }
}

impl TlsVerifier<Aes128GcmSha256> for Provider {
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), TlsError> {
        Ok(())
    }

    fn verify_certificate(
        &mut self,
        transcript: &Sha256,
        sent: CertificateRef,
    ) -> Result<(), TlsError> {
        let certificates = sent.entries.iter().filter_map(|entry| match entry {
            CertificateEntryRef::X509(certificate) => Some(*certificate),
            CertificateEntryRef::RawPublicKey(_) => None,
        });
        let kept = self
            .shared
            .shown
            .borrow_mut()
            .certificates(certificates, transcript.clone().finalize().into());
        self.kept(kept)
    }

    fn verify_signature(&mut self, sent: CertificateVerifyRef) -> Result<(), TlsError> {
        let kept = self
            .shared
            .shown
            .borrow_mut()
            .signature(sent.signature_scheme.as_u16(), sent.signature);
        self.kept(kept)
    }
}

impl CryptoProvider for Provider {
    type CipherSuite = Aes128GcmSha256;
    type Signature = p256::ecdsa::DerSignature;

    fn rng(&mut self) -> impl embedded_tls::CryptoRngCore {
        &mut self.random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        Ok(self)
    }

    fn signer(
        &mut self,
    ) -> Result<(impl signature::SignerMut<Self::Signature>, SignatureScheme), TlsError> {
        let (_, key) = self.identity.as_ref().ok_or(TlsError::InvalidPrivateKey)?;
        let key =
            p256::ecdsa::SigningKey::from_slice(key).map_err(|_| TlsError::InvalidPrivateKey)?;
        Ok((key, SignatureScheme::EcdsaSecp256r1Sha256))
    }

    fn client_cert(&mut self) -> Option<Certificate<impl AsRef<[u8]>>> {
        self.identity
            .map(|(certificate, _)| Certificate::X509(certificate))
    }
}

/// What the future borrows.
struct Setup {
    /// Lives here since `config` wants a slice of slices.
    alpn: [&'static [u8]; 1],
    config: TlsConfig<'static>,
    provider: Provider,
}

/// Hands data to the application, as much as it has room for at a time.
async fn receive(
    shared: &'static Shared,
    mut from: TlsReader<'_, Link, Aes128GcmSha256>,
) -> TlsError {
    loop {
        let mut data = match from.read_buffered().await {
            Ok(data) => data,
            Err(error) => return error,
        };
        shared.filter.borrow_mut().fruitful();
        let (lent, n) = poll_fn(|_| match shared.data.get() {
            Lent { len: 0, .. } => {
                shared.has_data.set(true);
                Poll::Pending
            }
            // SAFETY: `read` lends so many bytes while it polls, and nobody else uses them.
            lent => Poll::Ready((
                lent,
                data.pop_into(unsafe { core::slice::from_raw_parts_mut(lent.start, lent.len) }),
            )),
        })
        .await;
        shared.data.set(lent.advanced(n));
    }
}

/// Makes records of what the application writes. Ends only between two records, when the connection is to be closed.
async fn transmit(
    shared: &'static Shared,
    mut to: TlsWriter<'_, Link, Aes128GcmSha256>,
) -> Result<(), TlsError> {
    loop {
        let lent = poll_fn(|_| match shared.written.get() {
            Lent { len: 0, .. } if !shared.closing.get() => Poll::Pending,
            lent => Poll::Ready(lent),
        })
        .await;
        if lent.len == 0 {
            return Ok(());
        }
        let n = lent.len.min(shared.piece);
        shared.written.set(lent.advanced(n));
        // SAFETY: `write` lends so many bytes while it polls. embedded-tls copies them before it waits for anything, since
        // they fit into a record.
        let data = unsafe { core::slice::from_raw_parts(lent.start, n) };
        if to.write(data).await? != n {
            return Err(TlsError::InternalError);
        }
        to.flush().await?;
    }
}

async fn converse(
    shared: &'static Shared,
    setup: &'static mut Setup,
    read: &'static mut [u8],
    write: &'static mut [u8],
) -> Result<(), TlsError> {
    let mut tls = TlsConnection::new(Link(shared), read, write);
    tls.open(TlsContext::new(&setup.config, &mut setup.provider))
        .await?;
    if !shared.verified.get() {
        return Err(TlsError::InvalidCertificate);
    }
    shared.filter.borrow_mut().open();
    shared.state.set(State::Open);
    let notify = {
        let (from, to) = tls.split();
        let mut receiving = pin!(receive(shared, from));
        let mut transmitting = pin!(transmit(shared, to));
        let end = poll_fn(|cx| {
            if let Poll::Ready(done) = transmitting.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            receiving.as_mut().poll(cx).map(Err)
        })
        .await;
        match end {
            Ok(done) => {
                done?;
                true
            }
            Err(TlsError::ConnectionClosed) => {
                // A record that is under way is completed. embedded-tls makes no more of them now, close_notify neither.
                shared.state.set(State::Eof);
                transmitting.await?;
                false
            }
            Err(error) => return Err(error),
        }
    };
    if notify {
        tls.close().await.map_err(|(_, error)| error)?;
    }
    Ok(())
}

/// All that lives as long as the connection, in memory that does not move.
struct Block<F> {
    shared: Shared,
    setup: Setup,
    future: F,
}

type Converse<F> =
    fn(&'static Shared, &'static mut Setup, &'static mut [u8], &'static mut [u8]) -> F;

/// The memory as a block; the function tells the type of the future, which has no name.
fn block<F: Future>(_: Converse<F>, memory: NonNull<u8>) -> *mut Block<F> {
    memory.as_ptr().cast()
}

const fn layout<F>(_: Converse<F>) -> core::alloc::Layout {
    core::alloc::Layout::new::<Block<F>>()
}

/// A TLS 1.3 connection of a client, without input and output.
///
/// Bytes of the network go in by [`feed`](Self::feed) and out by [`take`](Self::take), data by [`read`](Self::read) and
/// [`write`](Self::write). Nothing is waited for: each call does what can be done with what is there.
pub struct Client<'m> {
    /// The block, aligned.
    block: NonNull<u8>,
    /// What is overwritten at the end: the state, the read buffer, the write buffer.
    secrets: [NonNull<[u8]>; 3],
    verification: Verification,
    expected: Expected<'m>,
    /// A call into code that may panic is under way, or did not return.
    busy: bool,
    /// The block is in use.
    live: bool,
    /// What came of it, once it is not.
    end: (State, Option<Error>),
    /// To be sent, of an error before the server was verified.
    alert: Option<u8>,
    memory: PhantomData<&'m mut [u8]>,
}

impl<'m> Client<'m> {
    /// Bytes of the state.
    pub const fn size() -> usize {
        let layout = layout(converse);
        layout.size() + layout.align() - 1
    }

    /// A connection of which nothing is sent yet.
    pub fn new(memory: Memory<'m>, config: Config<'m>) -> Result<Client<'m>, Error> {
        config.expected.check()?;
        if config
            .identity
            .is_some_and(|(_, key)| p256::ecdsa::SigningKey::from_slice(&key).is_err())
        {
            return Err(Error::InvalidKey);
        }
        let fragment = match memory.read.len() {
            16_640.. => None,
            4352.. => Some(MaxFragmentLength::Bits12),
            2304.. => Some(MaxFragmentLength::Bits11),
            _ => return Err(Error::Buffer),
        };
        let identity_len = config
            .identity
            .map_or(0, |(certificate, _)| certificate.len());
        if memory.write.len() < 512 {
            return Err(Error::Buffer);
        }
        if memory.write.len() < identity_len + OVERHEAD + 64 {
            return Err(Error::CertificateTooLarge);
        }
        let aligned = memory.state.as_ptr().align_offset(layout(converse).align());
        if memory.state.len() < aligned + layout(converse).size() {
            return Err(Error::Buffer);
        }
        let secrets = [memory.state, memory.read, memory.write].map(NonNull::from);
        let [state, read, write] = secrets;
        let shared = Shared {
            filter: RefCell::new(Filter::new(read.len())),
            shown: RefCell::new(Shown::new(&mut [])),
            state: Cell::new(State::Handshake),
            error: Cell::new(None),
            incoming: Cell::new(Lent::NOTHING),
            outgoing: Cell::new(Lent::NOTHING),
            data: Cell::new(Lent::NOTHING),
            written: Cell::new(Lent::NOTHING),
            wants: Cell::new(false),
            has_data: Cell::new(false),
            waits: Cell::new(false),
            verified: Cell::new(false),
            eof: Cell::new(false),
            closing: Cell::new(false),
            piece: write.len() - OVERHEAD,
            record: Cell::new(core::ptr::null()),
        };
        // SAFETY: `aligned` lies within the memory, see above.
        let start = unsafe { state.cast::<u8>().add(aligned) };
        let block = block(converse, start);
        // SAFETY: the block is aligned and as large as it has to be. All that is borrowed for 'static here lives for 'm,
        // and nothing uses it after this Client, which lives no longer: the future is polled by it only and never dropped.
        // The block and the buffers do not move, and nobody else uses them for 'm.
        unsafe {
            (&raw mut (*block).shared).write(shared);
            let shared: &'static Shared = &(*block).shared;
            shared
                .shown
                .replace(Shown::new(&mut *NonNull::from(memory.chain).as_ptr()));
            let setup = &raw mut (*block).setup;
            let config: &Config<'static> = &*(&raw const config).cast();
            set_up(setup, shared, fragment, config);
            let future = converse(
                shared,
                &mut *setup,
                &mut *read.as_ptr(),
                &mut *write.as_ptr(),
            );
            (&raw mut (*block).future).write(future);
        }
        Ok(Client {
            block: start,
            secrets,
            verification: Verification::new(),
            expected: config.expected,
            busy: false,
            live: true,
            end: (State::Handshake, None),
            alert: None,
            memory: PhantomData,
        })
    }

    fn shared(&self) -> &Shared {
        // SAFETY: the block was set up, and is overwritten only when `live` is set back, after which nobody asks for this.
        unsafe { &(*block(converse, self.block)).shared }
    }

    /// Where the connection stands.
    pub fn state(&self) -> State {
        if !self.live {
            return self.end.0;
        }
        let shared = self.shared();
        if shared.waits.get() && !shared.verified.get() {
            State::Verify
        } else {
            shared.state.get()
        }
    }

    /// Why the connection has failed.
    pub fn error(&self) -> Option<Error> {
        self.end.1
    }

    /// So many bytes from the network can be used now, at most: 0 while it waits for anything else.
    pub fn wanted(&self) -> usize {
        if self.live && self.shared().wants.get() {
            self.shared().filter.borrow().wanted()
        } else {
            0
        }
    }

    /// Whether data of the server's can be [read](Self::read) without more bytes from the network.
    pub fn has_data(&self) -> bool {
        self.live && self.shared().has_data.get()
    }

    /// Bytes from the network: how many of them were taken. All are, if they are no more than [`wanted`](Self::wanted).
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        // The bytes are only read.
        self.lend(
            |shared| &shared.incoming,
            bytes.as_ptr().cast_mut(),
            bytes.len(),
        )
    }

    /// The network has no more bytes.
    pub fn feed_eof(&mut self) {
        if self.live {
            self.shared().eof.set(true);
            self.poll();
        }
    }

    /// Fills in bytes for the network: how many. To be called until there are none, after every other call.
    pub fn take(&mut self, bytes: &mut [u8]) -> usize {
        if let Some(alert) = self.alert.take() {
            // Servers accept it unprotected until they know our keys (RFC 8446, 6.2 and appendix D.4).
            let record = [21, 3, 3, 0, 2, 2, alert];
            return match bytes.first_chunk_mut::<ALERT>() {
                Some(bytes) => {
                    *bytes = record;
                    ALERT
                }
                None => 0,
            };
        }
        self.lend(|shared| &shared.outgoing, bytes.as_mut_ptr(), bytes.len())
    }

    /// Data of the server's: how many bytes were filled in. 0 means that there is none now, or, in [`State::Eof`], no more.
    pub fn read(&mut self, data: &mut [u8]) -> usize {
        self.lend(|shared| &shared.data, data.as_mut_ptr(), data.len())
    }

    /// Data for the server: how many bytes were taken. Fewer than all are, 0 too, if what was made of those before has to
    /// be [taken](Self::take) first.
    pub fn write(&mut self, data: &[u8]) -> usize {
        if self.state() != State::Open || self.shared().closing.get() {
            return 0;
        }
        // The bytes are only read.
        self.lend(
            |shared| &shared.written,
            data.as_ptr().cast_mut(),
            data.len(),
        )
    }

    /// Says the server, after what was written, that no more comes (RFC 8446, 6.1). In a handshake, all is over at once.
    pub fn close(&mut self) {
        match self.state() {
            State::Open | State::Eof => {
                self.shared().closing.set(true);
                self.poll();
            }
            State::Handshake | State::Verify => self.finish(State::Closed, None),
            State::Closed | State::Failed => {}
        }
    }

    /// Ends the connection, whatever it is doing: the memory is overwritten and not used any more.
    pub fn end(&mut self) {
        self.finish(State::Closed, None);
    }

    /// In [`State::Verify`]: goes on with the verification of the server, by one signature at most. It is not done before
    /// the state is another.
    pub fn verify(&mut self) {
        if self.state() != State::Verify {
            return;
        }
        if core::mem::replace(&mut self.busy, true) {
            return self.finish(State::Failed, Some(Error::Internal));
        }
        // SAFETY: as in `shared`, which would borrow all of `self`.
        let shared = unsafe { &(*block(converse, self.block)).shared };
        let progress = self
            .verification
            .step(&shared.shown.borrow(), &self.expected);
        self.busy = false;
        match progress {
            Ok(Progress::More) => {}
            Ok(Progress::Verified) => shared.verified.set(true),
            Err(error) => self.finish(State::Failed, Some(error)),
        }
    }

    /// Whether the memory for the server's certificates is of no use any more.
    pub fn is_verified(&self) -> bool {
        !self.live || self.shared().verified.get()
    }

    /// Gives up the memory for the server's certificates, once it [is of no use](Self::is_verified).
    pub fn release_chain(&mut self) {
        if self.live && self.is_verified() {
            self.shared().shown.borrow_mut().release();
        }
    }

    /// Lends memory to the future while it is polled: how much of it was used.
    fn lend(&mut self, place: fn(&Shared) -> &Cell<Lent>, start: *mut u8, len: usize) -> usize {
        if !self.live {
            return 0;
        }
        place(self.shared()).set(Lent { start, len });
        let end = self.advance();
        let left = place(self.shared()).replace(Lent::NOTHING).len;
        self.ended(end);
        len - left
    }

    fn poll(&mut self) {
        let end = self.advance();
        self.ended(end);
    }

    /// Polls the future, until it is ready.
    fn advance(&mut self) -> Poll<Result<(), TlsError>> {
        // A poll that did not return has left the future in pieces.
        if core::mem::replace(&mut self.busy, true) {
            self.shared().fail(Error::Internal);
            return Poll::Ready(Err(TlsError::InternalError));
        }
        self.shared().wants.set(false);
        self.shared().has_data.set(false);
        // SAFETY: the block does not move, and nothing else refers to the future.
        let future = unsafe { Pin::new_unchecked(&mut (*block(converse, self.block)).future) };
        let end = future.poll(&mut Context::from_waker(Waker::noop()));
        self.busy = false;
        end
    }

    fn ended(&mut self, end: Poll<Result<(), TlsError>>) {
        match end {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => self.finish(State::Closed, None),
            Poll::Ready(Err(error)) => {
                let error = self
                    .shared()
                    .error
                    .get()
                    .unwrap_or_else(|| self.translate(error));
                self.finish(State::Failed, Some(error));
            }
        }
    }

    fn translate(&self, error: TlsError) -> Error {
        if let TlsError::CryptoError = error {
            return Error::Decrypt;
        }
        // embedded-tls does not tell which alert came, nor what it does not know: the record, decrypted in place, does.
        match *self.last_record() {
            [_, alert, 21] => return Error::Alert(alert),
            [24, 0, 0, 1, _, 22] => return Error::KeyUpdate,
            _ => {}
        }
        match error {
            TlsError::InvalidSignature => Error::Finished,
            TlsError::InvalidKeyShare => Error::Group,
            TlsError::InvalidPrivateKey => Error::InvalidKey,
            TlsError::EncodeError => Error::CertificateTooLarge,
            TlsError::ConnectionClosed => Error::Closed,
            _ => Error::Message,
        }
    }

    /// Contents and type of the protected record that came last, if it is complete and was decrypted, without padding.
    fn last_record(&self) -> &[u8] {
        let shared = self.shared();
        let start = shared.record.get();
        let Some(len) = shared.filter.borrow().whole().filter(|_| !start.is_null()) else {
            return &[];
        };
        // SAFETY: the record has that many bytes in the read buffer, and the future, which has ended, does not use it.
        let record = unsafe { core::slice::from_raw_parts(start, len.saturating_sub(16)) };
        let end = record
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        record.get(..end).unwrap_or_default()
    }

    /// The connection is over. All that was secret is overwritten, the future with it: it owns nothing outside.
    fn finish(&mut self, state: State, error: Option<Error>) {
        if !core::mem::replace(&mut self.live, false) {
            return;
        }
        let told = !self.shared().verified.get()
            && !matches!(error, Some(Error::Alert(_) | Error::Truncated));
        self.alert = error.filter(|_| told).map(Error::alert);
        self.end = (state, error);
        self.shared().shown.borrow_mut().release();
        for secret in self.secrets {
            // SAFETY: it is the memory that was given for 'm, of which nothing is used any more.
            unsafe { &mut *secret.as_ptr() }.zeroize();
        }
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// # Safety
/// `setup` is aligned memory for one.
#[inline(never)]
unsafe fn set_up(
    setup: *mut Setup,
    shared: &'static Shared,
    fragment: Option<MaxFragmentLength>,
    config: &Config<'static>,
) {
    // SAFETY: as the caller says; the field is written before it is borrowed, and not again.
    let alpn: &'static [&'static [u8]] = unsafe {
        (&raw mut (*setup).alpn).write([config.alpn.unwrap_or_default()]);
        &(*setup).alpn
    };
    let mut tls = TlsConfig::new();
    if cfg!(feature = "rsa") {
        tls = tls.enable_rsa_signatures();
    }
    if let Some(name) = config.expected.name.filter(|name| is_dns_name(name)) {
        tls = tls.with_server_name(name);
    }
    if config.alpn.is_some() {
        tls = tls.with_alpn(alpn);
    }
    if let Some(fragment) = fragment {
        tls = tls.with_max_fragment_length(fragment);
    }
    let random = Random {
        seed: config.seed,
        counter: 0,
    };
    let provider = Provider {
        shared,
        random,
        identity: config.identity,
    };
    // SAFETY: as the caller says.
    unsafe {
        (&raw mut (*setup).config).write(tls);
        (&raw mut (*setup).provider).write(provider);
    }
}
