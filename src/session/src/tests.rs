use super::*;
use mqtt_codec::PacketType;
use proptest::prelude::*;
use std::collections::{HashMap, VecDeque};
use std::ops::Deref;

const RESPONSE: u32 = 10_000;

struct Memory<T> {
    values: Vec<T>,
    most: usize,
}

impl<T> Deref for Memory<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values
    }
}

impl<T> DerefMut for Memory<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values
    }
}

impl<T> List<T> for Memory<T> {
    fn reserve(&mut self) -> Result<(), OutOfMemory> {
        if self.values.len() == self.most {
            return Err(OutOfMemory);
        }
        Ok(())
    }

    fn push(&mut self, value: T) {
        assert!(self.values.len() < self.most);
        self.values.push(value);
    }

    fn remove(&mut self, i: usize) {
        self.values.remove(i);
    }

    fn clear(&mut self) {
        self.values.clear();
    }
}

type Session = super::Session<Memory<Flight>, Memory<Pid>>;

fn session(version: Version) -> Session {
    session_in(version, usize::MAX)
}

/// With memory for so many requests, and for as many messages.
fn session_in(version: Version, most: usize) -> Session {
    let keep_alive = KeepAlive::new(60_000, 15_000, RESPONSE);
    let values = vec![];
    let requests = Memory { values, most };
    let values = vec![];
    let received = Memory { values, most };
    let mut s = Session::new(version, keep_alive, 4, requests, received);
    s.connected(false, 0);
    s
}

/// A new request, where there is room for it.
fn begin(s: &mut Session, wait: Wait, now: u32) -> Option<Pid> {
    s.flights.begin(wait, now).unwrap()
}

fn in_flight(s: &Session) -> usize {
    s.flights.table.len()
}

fn pid(n: u16) -> Pid {
    Pid::new(n).unwrap()
}

#[test]
fn time_wraps_with_the_smallest_clock() {
    assert_eq!(elapsed(5, (1 << 30) - 5), 10);
    assert_eq!(elapsed(7, 3), 4);
    assert_eq!(elapsed(2, u32::MAX), 3);
}

#[test]
fn identifiers_wrap_and_skip_those_in_use() {
    let mut s = session(Version::V3);
    let kept = begin(&mut s, Wait::Puback, 0).unwrap();
    s.flights.last = 65_534;
    assert_eq!(kept, pid(1));
    assert_eq!(s.flights.next_pid(), pid(65_535));
    assert_eq!(s.flights.next_pid(), pid(2));
}

#[test]
fn qos1_is_over_with_its_puback() {
    let mut s = session(Version::V3);
    let p = begin(&mut s, Wait::Puback, 0).unwrap();
    let none = Reply {
        done: false,
        received: false,
        answer: None,
    };
    assert_eq!(s.acknowledged(AckKind::Puback, pid(99), 0, 0), none);
    assert_eq!(s.acknowledged(AckKind::Pubcomp, p, 0, 0), none);
    assert!(s.acknowledged(AckKind::Puback, p, 0, 0).done);
    assert_eq!(
        s.acknowledged(AckKind::Puback, p, 0, 0),
        none,
        "a second one is harmless"
    );
}

#[test]
fn qos2_goes_through_pubrec_and_pubcomp() {
    let mut s = session(Version::V5);
    let p = begin(&mut s, Wait::Pubrec, 0).unwrap();
    let mut rel = Reply {
        done: false,
        received: true,
        answer: Some((AckKind::Pubrel, 0)),
    };
    assert_eq!(s.acknowledged(AckKind::Pubrec, p, 0, 0), rel);
    rel.received = false;
    assert_eq!(
        s.acknowledged(AckKind::Pubrec, p, 0, 0),
        rel,
        "a repeated PUBREC"
    );
    assert!(s.acknowledged(AckKind::Pubcomp, p, 0, 0).done);
    let unknown = Reply {
        done: false,
        received: false,
        answer: Some((AckKind::Pubrel, 0x92)),
    };
    assert_eq!(s.acknowledged(AckKind::Pubrec, p, 0, 0), unknown);
}

#[test]
fn a_refusing_pubrec_ends_the_exchange() {
    let mut s = session(Version::V5);
    let p = begin(&mut s, Wait::Pubrec, 0).unwrap();
    assert_eq!(
        s.acknowledged(AckKind::Pubrec, p, 0x97, 0),
        Reply {
            done: true,
            received: false,
            answer: None
        }
    );
    assert_eq!(in_flight(&s), 0);
}

#[test]
fn an_inbound_qos2_message_is_delivered_once() {
    let mut s = session(Version::V3);
    let (q, p) = (QoS::ExactlyOnce, Some(pid(7)));
    assert_eq!(s.incoming(q, p), Ok(Incoming::Deliver));
    assert_eq!(s.delivered(q, p), Some((AckKind::Pubrec, pid(7))));
    assert_eq!(s.incoming(q, p), Ok(Incoming::Duplicate));
    s.connected(true, 0);
    assert_eq!(
        s.incoming(q, p),
        Ok(Incoming::Duplicate),
        "also over a new connection"
    );
    assert_eq!(
        s.acknowledged(AckKind::Pubrel, pid(7), 0, 0).answer,
        Some((AckKind::Pubcomp, 0))
    );
    assert_eq!(
        s.acknowledged(AckKind::Pubrel, pid(7), 0, 0).answer,
        Some((AckKind::Pubcomp, 0x92))
    );
    assert_eq!(
        s.incoming(q, p),
        Ok(Incoming::Deliver),
        "the identifier may come again"
    );
}

#[test]
fn what_the_server_was_told_is_enforced() {
    let mut s = session(Version::V5);
    s.receive_maximum = 2;
    let (one, two) = (QoS::AtLeastOnce, QoS::ExactlyOnce);
    for (qos, n) in [(one, 1), (two, 2)] {
        assert_eq!(s.incoming(qos, Some(pid(n))), Ok(Incoming::Deliver));
        s.delivered(qos, Some(pid(n)));
    }
    assert_eq!(s.incoming(one, Some(pid(3))), Ok(Incoming::TooMany));
    assert_eq!(s.incoming(two, Some(pid(2))), Ok(Incoming::Duplicate));
    assert_eq!(s.incoming(QoS::AtMostOnce, None), Ok(Incoming::Deliver));
    s.sent(0, false);
    assert_eq!(
        s.incoming(two, Some(pid(3))),
        Ok(Incoming::Deliver),
        "PUBACK is out"
    );
    s.delivered(two, Some(pid(3)));
    assert_eq!(s.incoming(two, Some(pid(4))), Ok(Incoming::TooMany));
    s.connected(true, 0);
    assert_eq!(
        s.incoming(two, Some(pid(4))),
        Ok(Incoming::Deliver),
        "begins anew"
    );
    s.delivered(two, Some(pid(4)));
    s.acknowledged(AckKind::Pubrel, pid(2), 0, 0);
    s.delivered(two, Some(pid(5)));
    assert_eq!(s.incoming(two, Some(pid(6))), Ok(Incoming::TooMany));
    s.acknowledged(AckKind::Pubrel, pid(4), 0, 0);
    assert_eq!(s.incoming(two, Some(pid(6))), Ok(Incoming::Deliver));
}

#[test]
fn all_identifiers_may_be_under_way() {
    let mut s = session(Version::V3);
    let all = if cfg!(miri) { 50 } else { 2000 };
    for n in 1..=all {
        assert_eq!(
            s.incoming(QoS::ExactlyOnce, Some(pid(n))),
            Ok(Incoming::Deliver)
        );
        s.delivered(QoS::ExactlyOnce, Some(pid(n)));
    }
    for n in 1..=all {
        assert_eq!(
            s.incoming(QoS::ExactlyOnce, Some(pid(n))),
            Ok(Incoming::Duplicate)
        );
    }
    for n in (1..=all)
        .rev()
        .step_by(2)
        .chain((1..=all).rev().skip(1).step_by(2))
    {
        let reply = s.acknowledged(AckKind::Pubrel, pid(n), 0, 0);
        assert_eq!(reply.answer, Some((AckKind::Pubcomp, 0)));
        assert_eq!(
            s.incoming(QoS::ExactlyOnce, Some(pid(n))),
            Ok(Incoming::Deliver)
        );
    }
    assert!(s.received.is_empty());
}

#[test]
fn without_memory_nothing_changes() {
    let mut s = session_in(Version::V3, 8);
    for n in 1..=8 {
        s.incoming(QoS::ExactlyOnce, Some(pid(n))).unwrap();
        s.delivered(QoS::ExactlyOnce, Some(pid(n)));
    }
    assert_eq!(s.incoming(QoS::ExactlyOnce, Some(pid(9))), Err(OutOfMemory));
    assert_eq!(
        s.incoming(QoS::ExactlyOnce, Some(pid(8))),
        Ok(Incoming::Duplicate)
    );
    s.acknowledged(AckKind::Pubrel, pid(1), 0, 0);
    assert_eq!(
        s.incoming(QoS::ExactlyOnce, Some(pid(9))),
        Ok(Incoming::Deliver)
    );
}

#[test]
fn without_memory_a_request_has_not_begun() {
    let mut s = session_in(Version::V3, 1);
    let p = begin(&mut s, Wait::Puback, 0).unwrap();
    assert_eq!(s.flights.begin(Wait::Pubrec, 0), Err(OutOfMemory));
    assert_eq!(in_flight(&s), 1);
    assert!(s.acknowledged(AckKind::Puback, p, 0, 0).done);
    assert_eq!(begin(&mut s, Wait::Pubrec, 0), Some(pid(2)));
}

#[test]
fn many_requests_take_little_memory() {
    assert!(size_of::<Flight>() <= 12);
}

#[test]
fn releases_in_the_order_of_the_pubrecs() {
    let mut s = session(Version::V5);
    let p: Vec<Pid> = (0..4)
        .map(|_| begin(&mut s, Wait::Pubrec, 0).unwrap())
        .collect();
    // The second PUBREC of one changes nothing.
    for i in [2, 0, 3, 2] {
        s.acknowledged(AckKind::Pubrec, p[i], 0, 0);
    }
    s.connected(true, 0);
    let mut order = vec![];
    while let Some(Resend::Pubrel(pid) | Resend::Request(pid)) = s.flights.stale() {
        order.push(pid);
        s.flights.again(pid, 0);
    }
    assert_eq!(order, [p[1], p[2], p[0], p[3]]);
}

#[test]
fn the_receive_maximum_counts_publications_only() {
    let mut s = session(Version::V5);
    s.flights.set_receive_maximum(Some(1));
    let p = begin(&mut s, Wait::Puback, 0).unwrap();
    assert_eq!(begin(&mut s, Wait::Pubrec, 0), None);
    assert!(begin(&mut s, Wait::Suback(1), 0).is_some());
    s.acknowledged(AckKind::Puback, p, 0, 0);
    assert!(begin(&mut s, Wait::Pubrec, 0).is_some());
}

#[test]
fn a_kept_session_resends_in_order_with_the_same_identifiers() {
    let mut s = session(Version::V3);
    let waits = [Wait::Puback, Wait::Pubrec, Wait::Suback(1), Wait::Pubrec];
    let p: Vec<Pid> = waits
        .iter()
        .map(|&w| begin(&mut s, w, 0).unwrap())
        .collect();
    s.acknowledged(AckKind::Pubrec, p[3], 0, 0);
    s.connected(true, 0);
    assert!(!s.flights.room(Wait::Puback), "newer ones wait");
    for (i, expected) in [
        (0, Some((p[0], true))),
        (1, Some((p[1], true))),
        (2, Some((pid(5), false))),
    ] {
        assert_eq!(s.flights.stale(), Some(Resend::Request(p[i])));
        assert_eq!(s.flights.again(p[i], 0), expected);
    }
    assert_eq!(s.flights.stale(), Some(Resend::Pubrel(p[3])));
    assert_eq!(s.flights.again(p[3], 0), Some((p[3], true)));
    assert_eq!(s.flights.stale(), None);
    assert!(s.flights.room(Wait::Puback));
}

#[test]
fn a_lost_session_sends_everything_anew() {
    let mut s = session(Version::V3);
    let a = begin(&mut s, Wait::Puback, 0).unwrap();
    let b = begin(&mut s, Wait::Pubrec, 0).unwrap();
    s.acknowledged(AckKind::Pubrec, b, 0, 0);
    s.connected(false, 0);
    assert_eq!(s.flights.stale(), Some(Resend::Request(a)));
    assert_eq!(s.flights.again(a, 0), Some((pid(3), false)));
    assert_eq!(s.flights.stale(), Some(Resend::Request(b)));
    assert_eq!(s.flights.again(b, 0), Some((pid(4), false)));
}

#[test]
fn the_abandoned_hold_their_identifier_until_answered() {
    let mut s = session(Version::V3);
    let a = begin(&mut s, Wait::Puback, 0).unwrap();
    let b = begin(&mut s, Wait::Pubrec, 0).unwrap();
    s.flights.abandon(a);
    s.flights.abandon(b);
    assert_eq!(in_flight(&s), 2);
    assert!(s.acknowledged(AckKind::Puback, a, 0, 0).done);
    s.acknowledged(AckKind::Pubrec, b, 0, 0);
    s.connected(true, 0);
    assert_eq!(
        s.flights.stale(),
        Some(Resend::Pubrel(b)),
        "QoS 2 is brought to its end"
    );
    s.connected(false, 0);
    assert_eq!(in_flight(&s), 0);
}

#[test]
fn pings_when_nothing_comes_in() {
    let mut s = session(Version::V3);
    assert_eq!(s.due(0), Due::Nothing(15_000));
    s.keep_alive.received(10_000);
    assert_eq!(s.due(15_000), Due::Nothing(10_000));
    assert_eq!(s.due(25_000), Due::Ping);
    s.pinged(25_000);
    assert_eq!(s.due(25_000), Due::Nothing(RESPONSE));
    s.ponged();
    s.keep_alive.received(26_000);
    assert_eq!(s.due(26_000), Due::Nothing(15_000));
}

#[test]
fn pings_when_nothing_goes_out() {
    let mut s = session(Version::V3);
    s.keep_alive.received(50_000);
    assert_eq!(s.due(50_000), Due::Nothing(2_500));
    s.keep_alive.received(52_500);
    assert_eq!(s.due(52_500), Due::Ping);
    s.sent(52_500, false);
    assert_eq!(s.due(52_500), Due::Nothing(15_000));
}

#[test]
fn bytes_that_come_in_put_the_end_off() {
    let mut s = session(Version::V3);
    s.pinged(0);
    s.keep_alive.received(RESPONSE - 1);
    assert_eq!(s.due(RESPONSE), Due::Nothing(RESPONSE - 1));
    assert_eq!(s.due(2 * RESPONSE - 1), Due::Dead);
}

#[test]
fn bytes_that_come_in_put_the_end_off_so_far() {
    let mut s = session(Version::V3);
    s.pinged(0);
    for n in 1..8 {
        assert_ne!(s.due(n * (RESPONSE - 1)), Due::Dead);
        s.keep_alive.received(n * (RESPONSE - 1));
    }
    s.keep_alive.received(8 * RESPONSE - 1);
    assert_ne!(s.due(8 * RESPONSE - 1), Due::Dead);
    assert_eq!(s.due(8 * RESPONSE), Due::Dead);
    s.ponged();
    assert_ne!(s.due(8 * RESPONSE), Due::Dead);
}

/// A session over a transport that is bounded, and how many short writes it takes.
fn bounded() -> Session {
    let mut s = session(Version::V5);
    s.flights.window.bounded = true;
    s
}

fn writes(s: &mut Session) -> usize {
    let mut n = 0;
    while s.flights.window.room(10) && n < 99 {
        s.flights.window.wrote(10);
        n += 1;
        if s.flights.window.wants_ping() {
            s.pinged(0);
        }
    }
    n
}

fn publish(s: &mut Session, len: usize) -> Pid {
    let p = begin(s, Wait::Puback, 0).unwrap();
    s.flights.window.wrote(len);
    s.flights.written();
    p
}

#[test]
fn what_is_written_is_bounded_until_its_answer() {
    let mut s = session(Version::V5);
    assert_eq!(writes(&mut s), 99, "without need there is no bound");
    let mut s = bounded();
    assert_eq!(writes(&mut s), 24);
    assert!(!s.flights.window.room(1));
    s.ponged();
    assert!(s.flights.window.wants_ping());
    s.pinged(0);
    assert!(s.flights.window.room(1920) && !s.flights.window.room(1921));
    assert_eq!(writes(&mut s), 12);
    s.connected(true, 0);
    assert_eq!(writes(&mut s), 24, "CONNACK answers CONNECT");
}

#[test]
fn an_answer_frees_what_was_written_before() {
    let mut s = bounded();
    let p: Vec<Pid> = (0..4).map(|_| publish(&mut s, 960)).collect();
    assert!(!s.flights.window.room(10) && !s.flights.window.wants_ping());
    s.acknowledged(AckKind::Puback, p[1], 0, 0);
    assert!(s.flights.window.room(1920) && !s.flights.window.room(1921));
    s.acknowledged(AckKind::Puback, p[0], 0, 0);
    assert!(
        !s.flights.window.room(1921),
        "an older one tells nothing new"
    );
    s.acknowledged(AckKind::Puback, p[3], 0, 0);
    assert!(s.flights.window.room(3840) && !s.flights.window.wants_ping());
}

#[test]
fn a_second_pingresp_frees_nothing_of_what_came_after_its_ping() {
    let mut s = bounded();
    s.pinged(0);
    s.flights.window.wrote(3840);
    s.pinged(0);
    s.ponged();
    let late = publish(&mut s, 10);
    s.ponged();
    assert!(
        !s.flights.window.room(10),
        "it may be the answer to the second"
    );
    s.acknowledged(AckKind::Puback, late, 0, 0);
    assert!(s.flights.window.room(3840));
}

#[test]
fn a_second_ping_under_way_keeps_the_bound() {
    let mut s = bounded();
    s.pinged(0);
    s.pinged(0);
    s.ponged();
    assert_eq!(writes(&mut s), 24, "its answer is to come");
    s.ponged();
    assert!(s.flights.window.room(10) && s.flights.window.wants_ping());
}

#[test]
fn the_answer_to_one_sent_again_may_be_to_the_first() {
    let mut s = bounded();
    let p = publish(&mut s, 10);
    publish(&mut s, 1920);
    s.flights.again(p, 0);
    s.flights.window.wrote(1900);
    s.flights.written();
    assert!(!s.flights.window.room(100));
    s.acknowledged(AckKind::Puback, p, 0, 0);
    assert!(!s.flights.window.room(1000));
}

#[test]
fn a_packet_beyond_the_bound_goes_alone() {
    let mut s = bounded();
    assert!(s.flights.window.room(1 << 28));
    let p = publish(&mut s, 10);
    assert!(!s.flights.window.room(5000));
    s.acknowledged(AckKind::Puback, p, 0, 0);
    assert!(s.flights.window.room(1 << 28));
    let p = publish(&mut s, 1 << 28);
    assert!(!s.flights.window.room(1), "its count does not wrap");
    s.acknowledged(AckKind::Puback, p, 0, 0);
    assert_eq!(writes(&mut s), 24);
}

#[test]
fn held_back_for_want_of_an_answer() {
    let mut s = bounded();
    s.keep_alive.held(0);
    s.keep_alive.held(5);
    assert_eq!(s.due(RESPONSE - 1), Due::Nothing(1));
    assert_eq!(s.due(RESPONSE), Due::Dead);
    s.sent(RESPONSE, false);
    assert_ne!(s.due(RESPONSE), Due::Dead);
    s.pinged(RESPONSE);
    s.sent(RESPONSE + 5, false);
    s.keep_alive.received(RESPONSE - 1);
    assert_eq!(
        s.due(2 * RESPONSE),
        Due::Dead,
        "the PINGRESP is still awaited"
    );
}

#[test]
fn the_servers_keep_alive_holds_for_its_connection() {
    let mut s = session(Version::V5);
    s.keep_alive.promise(4_000);
    assert_eq!(s.due(0), Due::Nothing(1_000));
    s.connected(true, 0);
    assert_eq!(s.due(0), Due::Nothing(15_000));
}

#[test]
fn gives_up_without_an_answer() {
    let mut s = session(Version::V3);
    s.pinged(0);
    assert_eq!(s.due(RESPONSE - 1), Due::Nothing(1));
    assert_eq!(s.due(RESPONSE), Due::Dead);
    s.keep_alive.start(0);
    s.sent(0, true);
    s.keep_alive.stalled(5);
    assert_eq!(s.due(RESPONSE), Due::Dead, "the peer takes no bytes");
    s.keep_alive.start(0);
    begin(&mut s, Wait::Suback(1), 0);
    assert_eq!(s.due(RESPONSE), Due::Dead, "no SUBACK");
}

#[test]
fn repeats_a_publication_so_often_in_3_1_1() {
    let mut s = session(Version::V3);
    let p = begin(&mut s, Wait::Puback, 0).unwrap();
    for n in 1..=4 {
        let now = n * RESPONSE;
        s.keep_alive.start(now);
        assert_eq!(s.due(now), Due::Resend(Resend::Request(p)));
        assert_eq!(s.flights.again(p, now), Some((p, true)));
    }
    s.keep_alive.start(5 * RESPONSE);
    assert_eq!(s.due(5 * RESPONSE), Due::Dead);
}

#[test]
fn never_repeats_over_a_live_connection_in_5() {
    let mut s = session(Version::V5);
    begin(&mut s, Wait::Puback, 0).unwrap();
    s.keep_alive.start(4 * RESPONSE);
    assert_eq!(s.due(4 * RESPONSE), Due::Nothing(RESPONSE));
    s.keep_alive.start(5 * RESPONSE);
    assert_eq!(s.due(5 * RESPONSE), Due::Dead);
}

#[test]
fn an_abandoned_request_is_not_repeated_but_waited_for() {
    let mut s = session(Version::V3);
    let p = begin(&mut s, Wait::Puback, 0).unwrap();
    s.flights.abandon(p);
    s.keep_alive.start(4 * RESPONSE);
    assert_eq!(s.due(4 * RESPONSE), Due::Nothing(RESPONSE));
    s.keep_alive.start(5 * RESPONSE);
    assert_eq!(s.due(5 * RESPONSE), Due::Dead);
}

#[test]
fn without_an_announcement_3_1_1_keeps_to_what_servers_take() {
    for (version, most) in [(Version::V3, 16), (Version::V5, IN_FLIGHT)] {
        let mut s = session(version);
        let begun = (0..99)
            .map_while(|_| begin(&mut s, Wait::Pubrec, 0))
            .count();
        assert_eq!(begun, most);
    }
}

/// A packet between the two ends of the model below.
#[derive(Clone, Copy, Debug)]
enum Packet {
    Publish(QoS, Pid, u32),
    Ack(AckKind, Pid),
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Publish(QoS),
    /// Hand over the next packet, to the receiver or to the sender.
    Deliver(bool),
    Lose(bool),
    Duplicate(bool),
    /// A new connection: all that is under way is lost.
    Reconnect,
    Wait,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => prop_oneof![Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)].prop_map(Event::Publish),
        6 => any::<bool>().prop_map(Event::Deliver),
        1 => any::<bool>().prop_map(Event::Lose),
        1 => any::<bool>().prop_map(Event::Duplicate),
        1 => Just(Event::Reconnect),
        1 => Just(Event::Wait),
    ]
}

struct Model {
    ends: [Session; 2],
    lines: [VecDeque<Packet>; 2],
    now: u32,
    // What the sender still has to get through, by identifier.
    waiting: HashMap<Pid, (QoS, u32)>,
    published: Vec<QoS>,
    delivered: HashMap<u32, u32>,
}

impl Model {
    fn new() -> Self {
        Model {
            ends: [session(Version::V3), session(Version::V3)],
            lines: Default::default(),
            now: 0,
            waiting: HashMap::new(),
            published: Vec::new(),
            delivered: HashMap::new(),
        }
    }

    fn send_again(&mut self, resend: Resend) {
        let (Resend::Pubrel(pid) | Resend::Request(pid)) = resend;
        assert_eq!(self.ends[0].flights.again(pid, self.now), Some((pid, true)));
        self.lines[0].push_back(match resend {
            Resend::Pubrel(pid) => Packet::Ack(AckKind::Pubrel, pid),
            Resend::Request(pid) => {
                let (qos, n) = self.waiting[&pid];
                Packet::Publish(qos, pid, n)
            }
        });
    }

    fn take(&mut self, to_receiver: bool) {
        let (me, line) = if to_receiver { (1, 0) } else { (0, 1) };
        let Some(packet) = self.lines[line].pop_front() else {
            return;
        };
        match packet {
            Packet::Publish(qos, pid, n) => {
                let end = &mut self.ends[me];
                match end.incoming(qos, Some(pid)).unwrap() {
                    Incoming::Deliver => *self.delivered.entry(n).or_default() += 1,
                    Incoming::Duplicate => {}
                    Incoming::TooMany => panic!("more than the sender can have in flight"),
                }
                if let Some((kind, pid)) = end.delivered(qos, Some(pid)) {
                    self.lines[1 - line].push_back(Packet::Ack(kind, pid));
                }
            }
            Packet::Ack(kind, pid) => {
                let reply = self.ends[me].acknowledged(kind, pid, 0, 0);
                if reply.done {
                    self.waiting.remove(&pid).expect("a publication ends once");
                }
                if let Some((kind, _)) = reply.answer {
                    self.lines[1 - line].push_back(Packet::Ack(kind, pid));
                }
            }
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Publish(qos) => {
                let wait = if qos == QoS::AtLeastOnce {
                    Wait::Puback
                } else {
                    Wait::Pubrec
                };
                if let Some(pid) = begin(&mut self.ends[0], wait, self.now) {
                    let n = self.published.len() as u32;
                    self.published.push(qos);
                    self.waiting.insert(pid, (qos, n));
                    self.lines[0].push_back(Packet::Publish(qos, pid, n));
                }
            }
            Event::Deliver(to_receiver) => self.take(to_receiver),
            Event::Lose(line) => {
                self.lines[line as usize].pop_front();
            }
            Event::Duplicate(line) => {
                if let Some(&packet) = self.lines[line as usize].front() {
                    self.lines[line as usize].push_front(packet);
                }
            }
            Event::Reconnect => {
                for i in 0..2 {
                    self.lines[i].clear();
                    self.ends[i].connected(true, self.now);
                }
                while let Some(resend) = self.ends[0].flights.stale() {
                    self.send_again(resend);
                }
            }
            Event::Wait => {
                self.now += RESPONSE;
                for i in 0..2 {
                    self.ends[i].keep_alive.start(self.now);
                }
                match self.ends[0].due(self.now) {
                    Due::Resend(resend) => self.send_again(resend),
                    Due::Dead => self.step(Event::Reconnect),
                    _ => {}
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Over a line that loses, duplicates and breaks, QoS 1 arrives at least
    /// once and QoS 2 exactly once.
    #[test]
    fn a_lossy_line_delivers(events in prop::collection::vec(events(), 0..if cfg!(miri) { 40 } else { 300 })) {
        let mut m = Model::new();
        for event in events {
            m.step(event);
        }
        m.step(Event::Reconnect);
        while m.lines.iter().any(|l| !l.is_empty()) {
            m.take(true);
            m.take(false);
        }
        prop_assert!(m.waiting.is_empty());
        prop_assert_eq!(in_flight(&m.ends[0]), 0);
        prop_assert!(m.ends[1].received.is_empty());
        for (n, qos) in m.published.iter().enumerate() {
            let times = m.delivered.get(&(n as u32)).copied().unwrap_or(0);
            prop_assert!(times >= 1, "{} was lost", n);
            prop_assert!(times == 1 || *qos == QoS::AtLeastOnce, "{} came {} times", n, times);
        }
    }
}

#[test]
fn answers_that_a_request_waits_for() {
    use PacketType::{Puback, Pubcomp, Pubrec, Suback, Unsuback};
    for (wait, answers) in [
        (Wait::Puback, &[Puback][..]),
        (Wait::Pubrec, &[Pubrec, Pubcomp]),
        (Wait::Pubcomp, &[Pubrec, Pubcomp]),
        (Wait::Suback(1), &[Suback]),
        (Wait::Unsuback(0), &[Unsuback]),
    ] {
        let mut s = session(Version::V3);
        let pid = begin(&mut s, wait, 0).unwrap();
        for kind in [Puback, Pubrec, Pubcomp, Suback, Unsuback] {
            assert_eq!(
                s.flights.awaits(kind),
                answers.contains(&kind),
                "{wait:?} {kind:?}"
            );
        }
        s.flights.finish(pid, wait);
        assert!(!s.flights.awaits(answers[0]));
    }
}

#[test]
fn another_keep_alive_from_the_next_connection_on() {
    let mut s = session(Version::V3);
    s.keep_alive.configure(8_000);
    s.connected(false, 0);
    assert_eq!(s.due(6_999), Due::Nothing(1));
    assert_eq!(s.due(7_000), Due::Ping);
}
