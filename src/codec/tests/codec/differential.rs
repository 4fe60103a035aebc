//! Against the crate mqttbytes, which is by other people: what one writes the other reads alike.
//!
//! That crate is laxer, so only what is legal is compared. It reads wrongly, so that this is left out there:
//! DISCONNECT with a remaining length of 0 or 1, and whatever follows a subscription identifier, whose bytes it
//! counts twice.
use crate::support::*;
use bytes::{Bytes, BytesMut};
use mqtt_codec::*;
use mqttbytes::{v4, v5};
use proptest::option::of;
use proptest::prelude::*;
use std::num::NonZeroU16;

type Pairs = Vec<(String, String)>;

fn pairs() -> impl Strategy<Value = Pairs> {
    prop::collection::vec((text(), text()), 0..3)
}

fn qos() -> impl Strategy<Value = u8> {
    0u8..3
}

fn their_qos(qos: u8) -> mqttbytes::QoS {
    mqttbytes::qos(qos).unwrap()
}

fn filter() -> impl Strategy<Value = String> {
    prop_oneof![
        topic(),
        topic().prop_map(|topic| topic + "/#"),
        topic().prop_map(|topic| "+/".to_owned() + &topic),
        topic().prop_map(|topic| "$share/group/".to_owned() + &topic),
    ]
}

/// Properties from values that may be absent.
#[derive(Default)]
struct Block(Vec<u8>);

impl Block {
    fn of(place: Place, given: &[(u8, Option<Value>)], pairs: &Pairs) -> Block {
        let mut block = vec![0; 16384];
        let mut writer = PropertyWriter::new(&mut block);
        for &(id, value) in given {
            if let Some(value) = value {
                put_value(&mut writer, id, value).unwrap();
            }
        }
        for (name, value) in pairs {
            writer.put_pair(name.as_bytes(), value.as_bytes());
        }
        Block(writer.finish(place).unwrap().as_bytes().to_vec())
    }

    fn get(&self, place: Place) -> Properties<'_> {
        Properties::parse(&self.0, place).unwrap()
    }

    /// Theirs are None where there are none.
    fn some<T>(&self, theirs: T) -> Option<T> {
        (!self.0.is_empty()).then_some(theirs)
    }
}

fn string(text: &Option<String>) -> Option<Value<'_>> {
    text.as_ref().map(|text| Value::Str(text.as_bytes()))
}

/// The same properties, in whatever order.
#[track_caller]
fn same(place: Place, parsed: Properties<'_>, given: &[(u8, Option<Value>)], pairs: &Pairs) {
    let wanted = Block::of(place, given, pairs);
    let sorted = |block: Properties<'_>| {
        let mut all: Vec<String> = block
            .iter()
            .map(|property| format!("{property:?}"))
            .collect();
        all.sort();
        all
    };
    assert_eq!(sorted(parsed), sorted(wanted.get(place)));
}

/// A packet as they write it.
macro_rules! theirs {
    ($packet:expr) => {{
        let mut out = BytesMut::new();
        $packet.write(&mut out).unwrap();
        out
    }};
}

/// Has them read a packet of ours.
macro_rules! read_by_them {
    ($version:ident, $bytes:expr) => {
        $version::read(&mut BytesMut::from(&$bytes[..]), usize::MAX).unwrap()
    };
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn connect_3(
        (client_id, keep_alive, clean) in (text(), any::<u16>(), any::<bool>()),
        // theirs takes a login without password for none
        login in of((topic(), topic())),
        will in of((topic(), bytes(50), qos(), any::<bool>())),
    ) {
        let clean = clean || client_id.is_empty();
        let ours = Connect {
            version: V3,
            clean,
            keep_alive,
            client_id: client_id.as_bytes(),
            user: login.as_ref().map(|(user, _)| user.as_bytes()),
            password: login.as_ref().map(|(_, password)| password.as_bytes()),
            will: will.as_ref().map(|&(ref topic, ref payload, qos, retain)| Will {
                topic: topic.as_bytes(),
                payload,
                qos: QoS::from_bits(qos).unwrap(),
                retain,
                properties: Properties::EMPTY,
            }),
            properties: Properties::EMPTY,
        };
        let mut theirs = v4::Connect::new(client_id.clone());
        theirs.keep_alive = keep_alive;
        theirs.clean_session = clean;
        theirs.login = login.clone().map(|(user, password)| v4::Login::new(user, password));
        theirs.last_will = will.clone().map(|(topic, payload, qos, retain)| {
            v4::LastWill::new(topic, payload, their_qos(qos), retain)
        });
        let bytes = encode(&ours).unwrap();
        prop_assert_eq!(&bytes, &theirs!(theirs));
        prop_assert_eq!(read_by_them!(v4, bytes), v4::Packet::Connect(theirs));
    }

    #[test]
    fn connect_5(
        (client_id, keep_alive, clean) in (text(), any::<u16>(), any::<bool>()),
        login in of((topic(), topic())),
        will in of((topic(), bytes(50), qos(), any::<bool>())),
        will_numbers in (of(any::<u32>()), of(0u8..2), of(any::<u32>())),
        will_texts in (of(text()), of(topic()), of(bytes(20)), pairs()),
        numbers in (
            of(any::<u32>()), of(1u16..), of(1u32..), of(any::<u16>()), of(0u8..2), of(0u8..2)
        ),
        texts in (of((text(), bytes(20))), pairs()),
    ) {
        let (delay, format, message_expiry) = will_numbers;
        let (content_type, response_topic, correlation, will_pairs) = will_texts;
        let will_block = Block::of(Place::Will, &[
            (0x18, delay.map(Value::U32)),
            (0x01, format.map(|n| Value::Byte(n.into()))),
            (0x02, message_expiry.map(Value::U32)),
            (0x03, string(&content_type)),
            (0x08, string(&response_topic)),
            (0x09, correlation.as_deref().map(Value::Bin)),
        ], &will_pairs);
        let (expiry, receive_maximum, packet_size, aliases, response_info, problem_info) = numbers;
        let (auth, user_pairs) = texts;
        let method = auth.as_ref().map(|(method, _)| method.clone());
        let data = auth.as_ref().map(|(_, data)| data.clone());
        let block = Block::of(Place::Connect, &[
            (0x11, expiry.map(Value::U32)),
            (0x21, receive_maximum.map(|n| Value::U16(n.into()))),
            (0x27, packet_size.map(Value::U32)),
            (0x22, aliases.map(|n| Value::U16(n.into()))),
            (0x19, response_info.map(|n| Value::Byte(n.into()))),
            (0x17, problem_info.map(|n| Value::Byte(n.into()))),
            (0x15, string(&method)),
            (0x16, data.as_deref().map(Value::Bin)),
        ], &user_pairs);
        let ours = Connect {
            version: V5,
            clean,
            keep_alive,
            client_id: client_id.as_bytes(),
            user: login.as_ref().map(|(user, _)| user.as_bytes()),
            password: login.as_ref().map(|(_, password)| password.as_bytes()),
            will: will.as_ref().map(|&(ref topic, ref payload, qos, retain)| Will {
                topic: topic.as_bytes(),
                payload,
                qos: QoS::from_bits(qos).unwrap(),
                retain,
                properties: will_block.get(Place::Will),
            }),
            properties: block.get(Place::Connect),
        };
        let theirs = v5::Connect {
            protocol: mqttbytes::Protocol::V5,
            keep_alive,
            client_id: client_id.clone(),
            clean_session: clean,
            login: login.clone().map(|(user, password)| v5::Login::new(user, password)),
            last_will: will.clone().map(|(topic, payload, qos, retain)| v5::LastWill {
                topic,
                message: Bytes::from(payload),
                qos: their_qos(qos),
                retain,
                properties: will_block.some(v5::WillProperties {
                    delay_interval: delay,
                    payload_format_indicator: format,
                    message_expiry_interval: message_expiry,
                    content_type,
                    response_topic,
                    correlation_data: correlation.map(Bytes::from),
                    user_properties: will_pairs,
                }),
            }),
            properties: block.some(v5::ConnectProperties {
                session_expiry_interval: expiry,
                receive_maximum,
                max_packet_size: packet_size,
                topic_alias_max: aliases,
                request_response_info: response_info,
                request_problem_info: problem_info,
                user_properties: user_pairs,
                authentication_method: method,
                authentication_data: data.map(Bytes::from),
            }),
        };
        prop_assert_eq!(
            read_by_them!(v5, encode(&ours).unwrap()),
            v5::Packet::Connect(theirs)
        );
    }

    #[test]
    fn publish_3(
        topic in topic(),
        payload in bytes(300),
        (id, qos, dup, retain) in (1u16.., qos(), any::<bool>(), any::<bool>()),
    ) {
        let dup = dup && qos != 0;
        let mut theirs = v4::Publish::new(topic.clone(), their_qos(qos), payload.clone());
        theirs.pkid = if qos == 0 { 0 } else { id };
        theirs.dup = dup;
        theirs.retain = retain;
        let head = PublishHead {
            version: V3,
            dup,
            retain,
            qos: QoS::from_bits(qos).unwrap(),
            pid: (qos != 0).then(|| pid(id)),
            topic: topic.as_bytes(),
            alias: None,
            properties: Properties::EMPTY,
            payload_len: payload.len(),
        };
        let packet = [encode(&head).unwrap(), payload.clone()].concat();
        let written = theirs!(theirs);
        prop_assert_eq!(&packet, &written);
        prop_assert_eq!(see(V3, &written), Ok(Seen {
            dup,
            retain,
            qos: head.qos,
            pid: head.pid,
            topic: topic.as_bytes(),
            payload: &payload,
            ..bare(PacketType::Publish)
        }));
    }

    #[test]
    fn publish_5(
        topic in text().prop_map(|topic| topic.replace(['+', '#'], "")),
        payload in bytes(300),
        (id, qos, dup, retain) in (1u16.., qos(), any::<bool>(), any::<bool>()),
        (format, expiry, alias, alias_apart) in (
            of(0u8..2), of(any::<u32>()), of(1u16..), any::<bool>()
        ),
        (response_topic, content_type, correlation) in (of(crate::support::topic()), of(text()), of(bytes(20))),
        user_pairs in pairs(),
        subscriptions in prop::collection::vec(1usize..=268_435_455, 0..4),
    ) {
        let dup = dup && qos != 0;
        let alias = if topic.is_empty() { alias.or(Some(1)) } else { alias };
        let given = [
            (0x01, format.map(|n| Value::Byte(n.into()))),
            (0x02, expiry.map(Value::U32)),
            (0x23, alias.map(|n| Value::U16(n.into()))),
            (0x08, string(&response_topic)),
            (0x09, correlation.as_deref().map(Value::Bin)),
            (0x03, string(&content_type)),
        ];
        let alias_apart = alias.filter(|_| alias_apart);
        let without = given.map(|(id, value)| (id, value.filter(|_| id != 0x23 || alias_apart.is_none())));
        let sent = Block::of(Place::PublishOut, &without, &user_pairs);
        let block = Block::of(Place::PublishOut, &given, &user_pairs);
        let head = PublishHead {
            version: V5,
            dup,
            retain,
            qos: QoS::from_bits(qos).unwrap(),
            pid: (qos != 0).then(|| pid(id)),
            topic: topic.as_bytes(),
            alias: alias_apart.and_then(NonZeroU16::new),
            properties: sent.get(Place::PublishOut),
            payload_len: payload.len(),
        };
        let mut theirs = v5::Publish::new(topic.clone(), their_qos(qos), payload.clone());
        theirs.pkid = if qos == 0 { 0 } else { id };
        theirs.dup = dup;
        theirs.retain = retain;
        theirs.properties = block.some(v5::PublishProperties {
            payload_format_indicator: format,
            message_expiry_interval: expiry,
            topic_alias: alias,
            response_topic: response_topic.clone(),
            correlation_data: correlation.clone().map(Bytes::from),
            user_properties: user_pairs.clone(),
            subscription_identifiers: vec![],
            content_type: content_type.clone(),
        });
        let packet = [encode(&head).unwrap(), payload.clone()].concat();
        prop_assert_eq!(read_by_them!(v5, packet), v5::Packet::Publish(theirs.clone()));

        if let Some(properties) = &mut theirs.properties {
            properties.subscription_identifiers = subscriptions.clone();
        }
        let identified = theirs.properties.is_some();
        let written = theirs!(theirs);
        let parsed = see(V5, &written).unwrap();
        prop_assert_eq!(parsed, Seen {
            dup,
            retain,
            qos: head.qos,
            pid: head.pid,
            topic: topic.as_bytes(),
            properties: parsed.properties,
            payload: &payload,
            ..bare(PacketType::Publish)
        });
        let subscriptions = subscriptions
            .iter()
            .filter(|_| identified)
            .map(|&id| (0x0B, Some(Value::Varint(id as u32))));
        let given: Vec<_> = given.into_iter().chain(subscriptions).collect();
        same(Place::PublishIn, parsed.properties, &given, &user_pairs);
    }

    #[test]
    fn subscriptions_3(
        id in 1u16..,
        filters in prop::collection::vec((filter(), qos()), 1..5),
    ) {
        let get = |i: usize| filters.get(i).map(|(filter, qos)| (filter.as_bytes(), *qos));
        let (version, pid, properties) = (V3, pid(id), Properties::EMPTY);
        let ours = Subscribe { unsubscribe: false, version, pid, properties, filters: get };
        let mut theirs = v4::Subscribe::empty_subscribe();
        theirs.pkid = id;
        for (filter, qos) in &filters {
            theirs.add(filter.clone(), their_qos(*qos));
        }
        let bytes = encode(&ours).unwrap();
        prop_assert_eq!(&bytes, &theirs!(theirs));
        prop_assert_eq!(read_by_them!(v4, bytes), v4::Packet::Subscribe(theirs));

        let ours = Subscribe { unsubscribe: true, ..ours };
        let theirs = v4::Unsubscribe {
            pkid: id,
            topics: filters.iter().map(|(filter, _)| filter.clone()).collect(),
        };
        let bytes = encode(&ours).unwrap();
        prop_assert_eq!(&bytes, &theirs!(theirs));
        prop_assert_eq!(read_by_them!(v4, bytes), v4::Packet::Unsubscribe(theirs));
    }

    #[test]
    fn subscriptions_5(
        id in 1u16..,
        filters in prop::collection::vec(
            (filter(), qos(), any::<bool>(), any::<bool>(), 0u8..3), 1..5
        ),
        subscription in of(1u32..=268_435_455),
        user_pairs in pairs(),
    ) {
        let filters: Vec<_> = filters.into_iter().map(|(filter, qos, no_local, retain, handling)| {
            let no_local = no_local && !filter.starts_with("$share/");
            (filter, qos, no_local, retain, handling)
        }).collect();
        let get = |i: usize| filters.get(i).map(|&(ref filter, qos, no_local, retain, handling)| {
            let options = qos | (no_local as u8) << 2 | (retain as u8) << 3 | handling << 4;
            (filter.as_bytes(), options)
        });
        let given = [(0x0B, subscription.map(Value::Varint))];
        // what follows a subscription identifier they do not see
        let seen = if subscription.is_some() { vec![] } else { user_pairs.clone() };
        let block = Block::of(Place::Subscribe, &given, &seen);
        let ours = Subscribe {
            unsubscribe: false,
            version: V5,
            pid: pid(id),
            properties: block.get(Place::Subscribe),
            filters: get,
        };
        let mut theirs = v5::Subscribe::empty_subscribe();
        theirs.pkid = id;
        theirs.properties = block.some(v5::SubscribeProperties {
            id: subscription.map(|id| id as usize),
            user_properties: seen,
        });
        for &(ref filter, qos, no_local, retain, handling) in &filters {
            let mut filter = v5::SubscribeFilter::new(filter.clone(), their_qos(qos));
            filter
                .set_nolocal(no_local)
                .set_preserve_retain(retain)
                .set_retain_forward_rule(match handling {
                    0 => v5::RetainForwardRule::OnEverySubscribe,
                    1 => v5::RetainForwardRule::OnNewSubscribe,
                    _ => v5::RetainForwardRule::Never,
                });
            theirs.filters.push(filter);
        }
        let bytes = encode(&ours).unwrap();
        prop_assert_eq!(&bytes, &theirs!(theirs));
        prop_assert_eq!(read_by_them!(v5, bytes), v5::Packet::Subscribe(theirs));

        let block = Block::of(Place::Unsubscribe, &[], &user_pairs);
        let ours = Subscribe {
            unsubscribe: true,
            version: V5,
            pid: pid(id),
            properties: block.get(Place::Unsubscribe),
            filters: get,
        };
        let theirs = v5::Unsubscribe {
            pkid: id,
            filters: filters.iter().map(|(filter, ..)| filter.clone()).collect(),
            properties: block.some(v5::UnsubscribeProperties { user_properties: user_pairs }),
        };
        prop_assert_eq!(
            read_by_them!(v5, encode(&ours).unwrap()),
            v5::Packet::Unsubscribe(theirs)
        );
    }

    #[test]
    fn subacks(
        id in 1u16..,
        granted in prop::collection::vec((qos(), any::<bool>()), 1..6),
        (reason, user_pairs) in (of(text()), pairs()),
    ) {
        let codes: Vec<u8> = granted
            .iter()
            .map(|&(qos, failed)| if failed { 0x80 } else { qos })
            .collect();
        let given = [(0x1F, string(&reason))];
        let suback = Seen { pid: Some(pid(id)), payload: &codes, ..bare(PacketType::Suback) };

        let theirs = v4::SubAck::new(id, granted.iter().map(|&(qos, failed)| match failed {
            true => v4::SubscribeReasonCode::Failure,
            false => v4::SubscribeReasonCode::Success(their_qos(qos)),
        }).collect());
        let written = theirs!(theirs);
        prop_assert_eq!(see(V3, &written), Ok(suback));

        let theirs = v5::SubAck {
            pkid: id,
            return_codes: granted.iter().map(|&(qos, failed)| match (failed, qos) {
                (true, _) => v5::SubscribeReasonCode::Unspecified,
                (_, 0) => v5::SubscribeReasonCode::QoS0,
                (_, 1) => v5::SubscribeReasonCode::QoS1,
                _ => v5::SubscribeReasonCode::QoS2,
            }).collect(),
            properties: Some(v5::SubAckProperties {
                reason_string: reason.clone(),
                user_properties: user_pairs.clone(),
            }),
        };
        let written = theirs!(theirs);
        let parsed = see(V5, &written).unwrap();
        prop_assert_eq!(parsed, Seen { properties: parsed.properties, ..suback });
        same(Place::Ack, parsed.properties, &given, &user_pairs);

        let written = theirs!(v4::UnsubAck::new(id));
        let unsuback = Seen { pid: Some(pid(id)), ..bare(PacketType::Unsuback) };
        prop_assert_eq!(see(V3, &written), Ok(unsuback));

        let theirs = v5::UnsubAck {
            pkid: id,
            reasons: vec![
                v5::UnsubAckReason::Success,
                v5::UnsubAckReason::NoSubscriptionExisted,
                v5::UnsubAckReason::TopicFilterInvalid,
            ],
            properties: Some(v5::UnsubAckProperties {
                reason_string: reason.clone(),
                user_properties: user_pairs.clone(),
            }),
        };
        let written = theirs!(theirs);
        let parsed = see(V5, &written).unwrap();
        prop_assert_eq!(parsed, Seen {
            properties: parsed.properties,
            payload: &[0, 0x11, 0x8F],
            ..unsuback
        });
        same(Place::Ack, parsed.properties, &given, &user_pairs);
    }

    #[test]
    fn connacks(
        session_present: bool,
        numbers in (
            of(any::<u32>()), of(1u16..), of(1u32..), of(any::<u16>()), of(any::<u16>())
        ),
        flags in (of(0u8..2), of(0u8..2), of(0u8..2), of(0u8..2), of(0u8..2)),
        texts in (of(text()), of(text()), of(text()), of(text())),
        (auth, user_pairs) in (of((text(), bytes(20))), pairs()),
    ) {
        let connack = Seen { session_present, ..bare(PacketType::Connack) };
        let theirs = v4::ConnAck::new(v4::ConnectReturnCode::Success, session_present);
        let written = theirs!(theirs);
        prop_assert_eq!(see(V3, &written), Ok(connack));

        let (expiry, receive_maximum, packet_size, aliases, keep_alive) = numbers;
        let (max_qos, retain, wildcards, identifiers, shared) = flags;
        let (client_id, reason, response, server) = texts;
        let method = auth.as_ref().map(|(method, _)| method.clone());
        let data = auth.as_ref().map(|(_, data)| data.clone());
        let theirs = v5::ConnAck {
            session_present,
            code: v5::ConnectReturnCode::Success,
            properties: Some(v5::ConnAckProperties {
                session_expiry_interval: expiry,
                receive_max: receive_maximum,
                max_qos,
                retain_available: retain,
                max_packet_size: packet_size,
                assigned_client_identifier: client_id.clone(),
                topic_alias_max: aliases,
                reason_string: reason.clone(),
                user_properties: user_pairs.clone(),
                wildcard_subscription_available: wildcards,
                subscription_identifiers_available: identifiers,
                shared_subscription_available: shared,
                server_keep_alive: keep_alive,
                response_information: response.clone(),
                server_reference: server.clone(),
                authentication_method: method.clone(),
                authentication_data: data.clone().map(Bytes::from),
            }),
        };
        let written = theirs!(theirs);
        let parsed = see(V5, &written).unwrap();
        prop_assert_eq!(parsed, Seen { properties: parsed.properties, ..connack });
        same(Place::Connack, parsed.properties, &[
            (0x11, expiry.map(Value::U32)),
            (0x21, receive_maximum.map(|n| Value::U16(n.into()))),
            (0x24, max_qos.map(|n| Value::Byte(n.into()))),
            (0x25, retain.map(|n| Value::Byte(n.into()))),
            (0x27, packet_size.map(Value::U32)),
            (0x12, string(&client_id)),
            (0x22, aliases.map(|n| Value::U16(n.into()))),
            (0x1F, string(&reason)),
            (0x28, wildcards.map(|n| Value::Byte(n.into()))),
            (0x29, identifiers.map(|n| Value::Byte(n.into()))),
            (0x2A, shared.map(|n| Value::Byte(n.into()))),
            (0x13, keep_alive.map(|n| Value::U16(n.into()))),
            (0x1A, string(&response)),
            (0x1C, string(&server)),
            (0x15, string(&method)),
            (0x16, data.as_deref().map(Value::Bin)),
        ], &user_pairs);
    }

    #[test]
    fn acks(id in 1u16.., (reason, user_pairs) in (of(text()), pairs())) {
        let mut out = [0; 5];
        let mut ours =
            |version, kind, reason| ack(version, kind, pid(id), reason, &mut out).to_vec();
        let plain = |packet_type| Seen { pid: Some(pid(id)), ..bare(packet_type) };
        use AckKind::*;
        for (kind, packet_type, theirs) in [
            (Puback, PacketType::Puback, theirs!(v4::PubAck::new(id))),
            (Pubrec, PacketType::Pubrec, theirs!(v4::PubRec::new(id))),
            (Pubrel, PacketType::Pubrel, theirs!(v4::PubRel::new(id))),
            (Pubcomp, PacketType::Pubcomp, theirs!(v4::PubComp::new(id))),
        ] {
            prop_assert_eq!(&ours(V3, kind, 0), &theirs);
            prop_assert_eq!(&ours(V5, kind, 0), &theirs);
            prop_assert_eq!(see(V3, &theirs), Ok(plain(packet_type)));
            prop_assert_eq!(see(V5, &theirs), Ok(plain(packet_type)));
        }
        prop_assert_eq!(
            read_by_them!(v5, ours(V5, Puback, 0x97)),
            v5::Packet::PubAck(v5::PubAck {
                pkid: id,
                reason: v5::PubAckReason::QuotaExceeded,
                properties: None,
            })
        );
        prop_assert_eq!(
            read_by_them!(v5, ours(V5, Pubcomp, 0x92)),
            v5::Packet::PubComp(v5::PubComp {
                pkid: id,
                reason: v5::PubCompReason::PacketIdentifierNotFound,
                properties: None,
            })
        );

        let theirs = v5::PubAck {
            pkid: id,
            reason: v5::PubAckReason::NotAuthorized,
            properties: Some(v5::PubAckProperties {
                reason_string: reason.clone(),
                user_properties: user_pairs.clone(),
            }),
        };
        let written = theirs!(theirs);
        let parsed = see(V5, &written).unwrap();
        prop_assert_eq!(parsed, Seen {
            reason: 0x87,
            properties: parsed.properties,
            ..plain(PacketType::Puback)
        });
        same(Place::Ack, parsed.properties, &[(0x1F, string(&reason))], &user_pairs);
    }

    #[test]
    fn disconnects(
        expiry in any::<u32>(),
        // theirs leaves out the reason where there are no properties
        (reason, server, user_pairs) in (of(text()), text().prop_map(Some), pairs()),
    ) {
        let given = [(0x11, Some(Value::U32(expiry))), (0x1F, string(&reason))];
        let block = Block::of(Place::DisconnectOut, &given, &user_pairs);
        let ours = Disconnect {
            reason: 4,
            properties: block.get(Place::DisconnectOut),
        };
        let mut theirs = v5::Disconnect {
            reason_code: v5::DisconnectReasonCode::DisconnectWithWillMessage,
            properties: Some(v5::DisconnectProperties {
                session_expiry_interval: Some(expiry),
                reason_string: reason.clone(),
                user_properties: user_pairs.clone(),
                server_reference: None,
            }),
        };
        prop_assert_eq!(
            read_by_them!(v5, encode(&(V5, ours)).unwrap()),
            v5::Packet::Disconnect(theirs.clone())
        );

        theirs.reason_code = v5::DisconnectReasonCode::ServerMoved;
        if let Some(properties) = &mut theirs.properties {
            properties.session_expiry_interval = None;
            properties.server_reference = server.clone();
        }
        let written = theirs!(theirs);
        let parsed = see(V5, &written).unwrap();
        prop_assert_eq!(parsed, Seen {
            reason: 0x9D,
            properties: parsed.properties,
            ..bare(PacketType::Disconnect)
        });
        let given = [(0x1C, string(&server)), (0x1F, string(&reason))];
        same(Place::DisconnectIn, parsed.properties, &given, &user_pairs);
    }
}

#[test]
fn pings() {
    assert_eq!(theirs!(v4::PingReq), PINGREQ[..]);
    let theirs = theirs!(v4::PingResp);
    assert_eq!(see(V3, &theirs), Ok(bare(PacketType::Pingresp)));
    let ours = encode(&(V3, Disconnect::NORMAL)).unwrap();
    assert_eq!(theirs!(v4::Disconnect), ours);
}
