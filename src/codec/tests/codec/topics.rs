use crate::support::*;
use mqtt_codec::{Error, check_topic_filter, check_topic_name};
use proptest::prelude::*;

#[test]
fn topic_names() {
    for name in [
        "a",
        "/",
        "//",
        "a b",
        "$SYS/broker",
        "äöü/\u{FEFF}",
        "\u{10FFFF}",
    ] {
        assert_eq!(check_topic_name(name.as_bytes()), Ok(()), "{name}");
    }
    assert_eq!(check_topic_name(b""), Err(Error::EmptyTopic));
    assert_eq!(check_topic_name(b"a\0"), Err(Error::NulInString));
    for name in ["+", "#", "a/+", "a/#", "a+b", "#a"] {
        assert_eq!(
            check_topic_name(name.as_bytes()),
            Err(Error::WildcardInTopic),
            "{name}"
        );
    }
}

#[test]
fn topic_filters() {
    for filter in [
        "a",
        "/",
        "#",
        "+",
        "+/#",
        "/#",
        "a//#",
        "a/+/b",
        "+/+",
        "/+",
        "+/",
        "$SYS/#",
        "$share",
        "$shared/#",
        "$share/group/a",
        "$share/group//",
        "$share/group/#",
        "$share/group/+/a",
    ] {
        assert_eq!(check_topic_filter(filter.as_bytes()), Ok(()), "{filter}");
    }
    for filter in [
        "",
        "a#",
        "#a",
        "#/",
        "#/a",
        "##",
        "a/#/b",
        "a+",
        "+a",
        "++",
        "a/b+/c",
        "a/#b",
        "$share/",
        "$share/group",
        "$share/group/",
        "$share//a",
        "$share/gr+up/a",
        "$share/#/a",
        "$share/group/a#",
    ] {
        assert_eq!(
            check_topic_filter(filter.as_bytes()),
            Err(Error::BadTopicFilter),
            "{filter}"
        );
    }
    assert_eq!(check_topic_filter(b"a/\0"), Err(Error::NulInString));
    assert_eq!(check_topic_filter(b"a/\xFF"), Err(Error::BadUtf8));
}

#[test]
fn utf8_at_the_edges() {
    for fine in [
        &b"\x7F"[..],
        b"\xC2\x80",
        b"\xDF\xBF",
        b"\xE0\xA0\x80",
        b"\xED\x9F\xBF",
        b"\xEE\x80\x80",
        b"\xEF\xBF\xBF",
        b"\xF0\x90\x80\x80",
        b"\xF4\x8F\xBF\xBF",
    ] {
        assert_eq!(check_topic_name(fine), Ok(()), "{fine:x?}");
    }
    for bad in [
        // a following byte without or instead of a first one, and none
        &b"\x80"[..],
        b"\xBF",
        b"\xC2",
        b"\xC2a",
        b"\xE0\xA0",
        b"\xF0\x90\x80",
        b"\xC2\xC2",
        // longer than need be
        b"\xC0\x80",
        b"\xC1\xBF",
        b"\xE0\x9F\xBF",
        b"\xF0\x8F\xBF\xBF",
        // surrogates, beyond Unicode
        b"\xED\xA0\x80",
        b"\xED\xBF\xBF",
        b"\xF4\x90\x80\x80",
        b"\xF8\x88\x80\x80\x80",
        b"\xFF",
    ] {
        assert_eq!(check_topic_name(bad), Err(Error::BadUtf8), "{bad:x?}");
    }
}

/// A string of bytes that is UTF-8 or nearly so.
fn nearly_utf8() -> impl Strategy<Value = Vec<u8>> {
    let edge = prop::sample::select(vec![
        0x00u8, 0x01, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xED,
        0xEE, 0xEF, 0xF0, 0xF4, 0xF5, 0xF7, 0xF8, 0xFF,
    ]);
    prop_oneof![
        prop::collection::vec(edge, 1..6),
        (text(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
            let mut bytes = text.into_bytes();
            bytes.push(b'a');
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        }),
    ]
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn utf8_as_the_standard_library(name in nearly_utf8()) {
        let plain = std::str::from_utf8(&name).is_ok() && !name.contains(&0);
        let error = matches!(
            check_topic_name(&name),
            Err(Error::BadUtf8 | Error::NulInString)
        );
        prop_assert_eq!(plain, !error);
    }
}
