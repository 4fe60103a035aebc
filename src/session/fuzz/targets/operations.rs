//! A client and a server that publishes nothing, over a line that loses, doubles and reorders what is under way and breaks
//! with and without the session. After each operation: a request ends once, an identifier serves one request at a time,
//! a message of QoS 2 is delivered once. At the end, when all is sent again: nothing is lost.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use mqtt_codec::{AckKind, OutOfMemory, Pid, QoS, Version};
use mqtt_session::{Due, Flight, Incoming, KeepAlive, List, Resend, Session, Wait};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::{Deref, DerefMut};

const RESPONSE: u32 = 10_000;

struct Memory<T>(Vec<T>);

impl<T> Deref for Memory<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Memory<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> List<T> for Memory<T> {
    fn reserve(&mut self) -> Result<(), OutOfMemory> {
        Ok(())
    }

    fn push(&mut self, value: T) {
        self.0.push(value);
    }

    fn remove(&mut self, i: usize) {
        self.0.remove(i);
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Operation {
    Publish {
        exactly_once: bool,
    },
    Subscribe,
    /// The application gives up a request under way.
    Abandon(u8),
    /// The next packet comes to the server, or to the client.
    Deliver {
        to_server: bool,
    },
    Lose {
        to_server: bool,
    },
    Double {
        to_server: bool,
    },
    /// The next answer of the server comes after the one behind it.
    Reorder,
    Reconnect {
        session_present: bool,
    },
    /// An answer that the server never gave.
    Invent {
        kind: u8,
        pid: u16,
        reason: u8,
    },
    Wait,
}

#[derive(Clone, Copy, Debug)]
enum Packet {
    Publish(QoS, Pid, usize),
    Subscribe(Pid),
    Ack(AckKind, Pid),
    Suback(Pid),
}

#[derive(Clone, Copy)]
enum Request {
    Message(usize),
    Subscription,
}

struct Message {
    qos: QoS,
    delivered: u32,
    /// The session was lost, the request given up or answered by an invention: it may come twice, or not at all.
    free: bool,
}

struct Model {
    client: Session<Memory<Flight>, Memory<Pid>>,
    server: Session<Memory<Flight>, Memory<Pid>>,
    to_server: VecDeque<Packet>,
    to_client: VecDeque<Packet>,
    now: u32,
    waiting: HashMap<Pid, Request>,
    abandoned: HashSet<Pid>,
    messages: Vec<Message>,
    invented: bool,
}

fn session(version: Version) -> Session<Memory<Flight>, Memory<Pid>> {
    let keep_alive = KeepAlive::new(60_000, 15_000, RESPONSE);
    let mut s = Session::new(version, keep_alive, 4, Memory(vec![]), Memory(vec![]));
    s.connected(false, 0);
    s
}

impl Model {
    fn new(version: Version) -> Self {
        Model {
            client: session(version),
            server: session(version),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            now: 0,
            waiting: HashMap::new(),
            abandoned: HashSet::new(),
            messages: vec![],
            invented: false,
        }
    }

    fn begin(&mut self, wait: Wait, request: Request) -> Option<Pid> {
        let pid = self
            .client
            .flights
            .begin(wait, self.now)
            .expect("there is memory")?;
        let before = self.waiting.insert(pid, request);
        assert!(before.is_none(), "an identifier is in use twice");
        // Its exchange is over, or it would still be in use.
        self.abandoned.remove(&pid);
        Some(pid)
    }

    fn again(&mut self, resend: Resend) {
        let (Resend::Pubrel(old) | Resend::Request(old)) = resend;
        let (pid, _) = self
            .client
            .flights
            .again(old, self.now)
            .expect("there is the request");
        if pid != old {
            if let Some(request) = self.waiting.remove(&old) {
                assert!(
                    self.waiting.insert(pid, request).is_none(),
                    "an identifier is in use twice"
                );
            }
            if self.abandoned.remove(&old) {
                self.abandoned.insert(pid);
            }
        }
        self.to_server.push_back(match resend {
            Resend::Pubrel(_) => Packet::Ack(AckKind::Pubrel, pid),
            Resend::Request(_) => match self.waiting.get(&pid) {
                Some(&Request::Message(n)) => Packet::Publish(self.messages[n].qos, pid, n),
                Some(Request::Subscription) => Packet::Subscribe(pid),
                None => {
                    // Nobody waits for it: the client asks no more, as Python does.
                    self.client.flights.abandon(pid);
                    return;
                }
            },
        });
    }

    fn again_all(&mut self) {
        for _ in 0..1000 {
            match self.client.due(self.now) {
                Due::Resend(resend) => self.again(resend),
                _ => return,
            }
        }
        panic!("it is sent again for ever");
    }

    fn ended(&mut self, pid: Pid) {
        match self.waiting.remove(&pid) {
            Some(_) => {}
            None => assert!(self.abandoned.remove(&pid), "a request ends once"),
        }
    }

    fn serve(&mut self, packet: Packet) {
        match packet {
            Packet::Publish(qos, pid, n) => {
                match self
                    .server
                    .incoming(qos, Some(pid))
                    .expect("there is memory")
                {
                    Incoming::Deliver => self.messages[n].delivered += 1,
                    Incoming::Duplicate => {}
                    Incoming::TooMany => panic!("more than the client can have in flight"),
                }
                let message = &self.messages[n];
                assert!(
                    message.free || qos == QoS::AtLeastOnce || message.delivered == 1,
                    "QoS 2 came twice"
                );
                if let Some((kind, pid)) = self.server.delivered(qos, Some(pid)) {
                    self.to_client.push_back(Packet::Ack(kind, pid));
                }
                self.server.sent(self.now, false);
            }
            Packet::Ack(kind, pid) => {
                if let Some((kind, _)) = self.server.acknowledged(kind, pid, 0, self.now).answer {
                    self.to_client.push_back(Packet::Ack(kind, pid));
                }
            }
            Packet::Subscribe(pid) => self.to_client.push_back(Packet::Suback(pid)),
            Packet::Suback(_) => unreachable!("a server gets none"),
        }
    }

    fn answer(&mut self, packet: Packet, reason: u8) {
        match packet {
            Packet::Ack(kind, pid) => {
                let reply = self.client.acknowledged(kind, pid, reason, self.now);
                if reply.done {
                    self.ended(pid);
                }
                if let Some((kind, _)) = reply.answer {
                    self.to_server.push_back(Packet::Ack(kind, pid));
                }
            }
            Packet::Suback(pid) => {
                if self.client.flights.finish(pid, Wait::Suback(1)) == Some(true) {
                    self.ended(pid);
                }
            }
            _ => unreachable!("the server publishes nothing"),
        }
    }

    fn reconnect(&mut self, session_present: bool) {
        self.to_server.clear();
        self.to_client.clear();
        self.client.connected(session_present, self.now);
        self.server.connected(session_present, self.now);
        if !session_present {
            for m in &mut self.messages {
                m.free = true;
            }
        }
        self.again_all();
    }

    fn line(&mut self, to_server: bool) -> &mut VecDeque<Packet> {
        if to_server {
            &mut self.to_server
        } else {
            &mut self.to_client
        }
    }

    fn step(&mut self, operation: Operation) {
        match operation {
            Operation::Publish { exactly_once } => {
                let (qos, wait) = match exactly_once {
                    false => (QoS::AtLeastOnce, Wait::Puback),
                    true => (QoS::ExactlyOnce, Wait::Pubrec),
                };
                let n = self.messages.len();
                if let Some(pid) = self.begin(wait, Request::Message(n)) {
                    self.messages.push(Message {
                        qos,
                        delivered: 0,
                        free: self.invented,
                    });
                    self.to_server.push_back(Packet::Publish(qos, pid, n));
                }
            }
            Operation::Subscribe => {
                if let Some(pid) = self.begin(Wait::Suback(1), Request::Subscription) {
                    self.to_server.push_back(Packet::Subscribe(pid));
                }
            }
            Operation::Abandon(i) => {
                let mut pids: Vec<Pid> = self.waiting.keys().copied().collect();
                pids.sort_by_key(|pid| pid.get());
                if !pids.is_empty() {
                    let pid = pids[i as usize % pids.len()];
                    if let Some(Request::Message(n)) = self.waiting.remove(&pid) {
                        self.messages[n].free = true;
                    }
                    self.abandoned.insert(pid);
                    self.client.flights.abandon(pid);
                }
            }
            Operation::Deliver { to_server: true } => {
                if let Some(packet) = self.to_server.pop_front() {
                    self.serve(packet);
                }
            }
            Operation::Deliver { to_server: false } => {
                if let Some(packet) = self.to_client.pop_front() {
                    self.answer(packet, 0);
                }
            }
            Operation::Lose { to_server } => {
                self.line(to_server).pop_front();
            }
            Operation::Double { to_server } => {
                let line = self.line(to_server);
                if let Some(&packet) = line.front() {
                    line.push_front(packet);
                }
            }
            Operation::Reorder => {
                if self.to_client.len() > 1 {
                    self.to_client.swap(0, 1);
                }
            }
            Operation::Reconnect { session_present } => self.reconnect(session_present),
            Operation::Invent { kind, pid, reason } => {
                let kinds = [
                    AckKind::Puback,
                    AckKind::Pubrec,
                    AckKind::Pubrel,
                    AckKind::Pubcomp,
                ];
                if let Some(pid) = Pid::new(pid % 64) {
                    self.invented = true;
                    for m in &mut self.messages {
                        m.free = true;
                    }
                    self.answer(Packet::Ack(kinds[kind as usize % 4], pid), reason);
                }
            }
            Operation::Wait => {
                self.now = self.now.wrapping_add(RESPONSE) & ((1 << 30) - 1);
                self.client.keep_alive.start(self.now);
                match self.client.due(self.now) {
                    Due::Resend(resend) => self.again(resend),
                    Due::Dead => self.reconnect(true),
                    Due::Ping | Due::Nothing(_) => {}
                }
            }
        }
    }
}

fuzz_target!(|input: (bool, Vec<Operation>)| {
    let (v5, operations) = input;
    let mut m = Model::new(if v5 { Version::V5 } else { Version::V3 });
    for operation in operations {
        m.step(operation);
    }
    // What a reconnection sends may wait until some of it is answered.
    for _ in 0..100 {
        m.reconnect(true);
        while !m.to_server.is_empty() || !m.to_client.is_empty() {
            m.step(Operation::Deliver { to_server: true });
            m.step(Operation::Deliver { to_server: false });
        }
        if m.waiting.is_empty() {
            break;
        }
    }
    assert!(m.waiting.is_empty(), "a request is never answered");
    for message in &m.messages {
        assert!(message.free || message.delivered >= 1, "a message is lost");
    }
});
