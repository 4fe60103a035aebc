//! Topic names and topic filters (4.7).
use crate::{Error, string};

fn is_wildcard(byte: &u8) -> bool {
    matches!(byte, b'+' | b'#')
}

/// Checks a topic name (4.7.1): UTF-8 without U+0000 and wildcards, 1 to 65535 bytes.
pub fn check_topic_name(name: &[u8]) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::EmptyTopic);
    }
    check_wildcard_free(name)
}

/// As [`check_topic_name`], but the name may be empty.
pub(crate) fn check_wildcard_free(name: &[u8]) -> Result<(), Error> {
    string::check(name)?;
    if name.iter().any(is_wildcard) {
        return Err(Error::WildcardInTopic);
    }
    Ok(())
}

/// What a shared subscription, `$share/NAME/FILTER`, begins with (4.8.2).
pub(crate) const SHARE: &[u8] = b"$share/";

/// Checks a topic filter (4.7.1, 4.8.2): UTF-8 without U+0000, 1 to 65535 bytes, `+` and `#` only as whole
/// levels, `#` only as the last, a shared subscription with both its share name and its filter.
pub fn check_topic_filter(filter: &[u8]) -> Result<(), Error> {
    string::check(filter)?;
    if are_levels(filter.strip_prefix(SHARE).map_or(Some(filter), after_name)) {
        Ok(())
    } else {
        Err(Error::BadTopicFilter)
    }
}

/// The filter behind a share name; None where the name is missing, empty or has a wildcard.
fn after_name(shared: &[u8]) -> Option<&[u8]> {
    let len = shared.iter().position(|&byte| byte == b'/')?;
    let (name, filter) = shared.split_at_checked(len)?;
    if name.is_empty() || name.iter().any(is_wildcard) {
        return None;
    }
    filter.get(1..)
}

/// True for a filter that is there and has its wildcards in the right places.
fn are_levels(filter: Option<&[u8]>) -> bool {
    let filter = filter.unwrap_or_default();
    let mut last = b'/';
    for &byte in filter {
        let fine = match last {
            b'/' => true,
            b'+' => byte == b'/',
            b'#' => false,
            _ => !is_wildcard(&byte),
        };
        if !fine {
            return false;
        }
        last = byte;
    }
    !filter.is_empty()
}
