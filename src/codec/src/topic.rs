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

/// The filter within a shared subscription, `$share/NAME/FILTER` (4.8.2); None if `filter` is not of that form.
/// A share name that is missing, empty or has a wildcard is an error.
pub(crate) fn shared(filter: &[u8]) -> Result<Option<&[u8]>, Error> {
    let Some(rest) = filter.strip_prefix(b"$share/") else {
        return Ok(None);
    };
    let mut parts = rest.splitn(2, |&byte| byte == b'/');
    match (parts.next(), parts.next()) {
        (Some(name), Some(filter)) if !name.is_empty() && !name.iter().any(is_wildcard) => {
            Ok(Some(filter))
        }
        _ => Err(Error::BadTopicFilter),
    }
}

/// Checks a topic filter (4.7.1, 4.8.2): UTF-8 without U+0000, 1 to 65535 bytes, `+` and `#` only as whole
/// levels, `#` only as the last, a shared subscription with both its share name and its filter.
pub fn check_topic_filter(filter: &[u8]) -> Result<(), Error> {
    string::check(filter)?;
    let filter = shared(filter)?.unwrap_or(filter);
    if filter.is_empty() {
        return Err(Error::BadTopicFilter);
    }
    let mut levels = filter.split(|&byte| byte == b'/');
    while let Some(level) = levels.next() {
        let fine = match level {
            b"#" => levels.next().is_none(),
            b"+" => true,
            _ => !level.iter().any(is_wildcard),
        };
        if !fine {
            return Err(Error::BadTopicFilter);
        }
    }
    Ok(())
}
