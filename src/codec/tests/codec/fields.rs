//! What holds for every packet received, of whatever bytes. The fuzz targets check the same.
use mqtt_codec::PacketType::*;
use mqtt_codec::{Packet, QoS, Value, Version};

fn inside(body: &[u8], slice: &[u8]) {
    let (outer, inner) = (body.as_ptr_range(), slice.as_ptr_range());
    assert!(slice.is_empty() || outer.start <= inner.start && inner.end <= outer.end);
}

/// Checks that a packet has the fields of its type and no other, and that all it refers to lies within its body.
pub fn check(version: Version, first: u8, body: &[u8], packet: &Packet) {
    let (of, v5) = (packet.packet_type, version == Version::V5);
    assert_eq!(of as u8 >> 4, first >> 4);

    let accepted = of == Connack && packet.reason == 0;
    assert!(accepted || !packet.session_present, "{packet:?}");
    let has_reason = match of {
        Connack => true,
        Puback | Pubrec | Pubrel | Pubcomp | Disconnect | Auth => v5,
        _ => false,
    };
    assert!(has_reason || packet.reason == 0, "{packet:?}");
    let has_pid = match of {
        Publish => packet.qos() != QoS::AtMostOnce,
        Puback | Pubrec | Pubrel | Pubcomp | Suback | Unsuback => true,
        _ => false,
    };
    assert_eq!(packet.pid.is_some(), has_pid, "{packet:?}");
    match of {
        Publish if !v5 => assert!(!packet.topic.is_empty(), "{packet:?}"),
        Publish => {
            let aliased = packet.properties.get(0x23).is_some();
            assert!(aliased || !packet.topic.is_empty(), "{packet:?}");
        }
        _ => assert_eq!(packet.topic, b"", "{packet:?}"),
    }
    let has_properties = v5 && of != Pingresp;
    assert!(has_properties || packet.properties.is_empty(), "{packet:?}");
    match of {
        Publish => {}
        Suback => assert!(!packet.payload.is_empty(), "{packet:?}"),
        Unsuback => assert_eq!(packet.payload.is_empty(), !v5, "{packet:?}"),
        _ => assert_eq!(packet.payload, b"", "{packet:?}"),
    }
    let (dup, retain) = match of {
        Publish => (first & 8 != 0, first & 1 != 0),
        _ => (false, false),
    };
    assert_eq!((packet.dup(), packet.retain()), (dup, retain));
    match of {
        Publish => assert_eq!(packet.qos() as u8, first >> 1 & 3),
        // the flags it has to have are in the place of the QoS
        Pubrel => {}
        _ => assert_eq!(packet.qos(), QoS::AtMostOnce),
    }

    assert!(std::str::from_utf8(packet.topic).is_ok());
    inside(body, packet.topic);
    inside(body, packet.payload);
    inside(body, packet.properties.as_bytes());
    for (_, value) in packet.properties {
        match value {
            Value::Str(bytes) | Value::Bin(bytes) => inside(body, bytes),
            Value::Pair(name, value) => {
                inside(body, name);
                inside(body, value);
            }
            _ => {}
        }
    }
}
