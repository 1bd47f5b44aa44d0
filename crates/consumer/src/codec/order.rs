//! The order in which Cassandra keeps the elements of sets and the keys of maps, on their bytes.
//!
//! Each arm of [`compare`] is the comparator of one class of `org.apache.cassandra.db.marshal`, version 5.0.

use std::cmp::Ordering;
use std::ops::Range;

use super::number::{self, Magnitude};
use super::{Codec, ValueError, vint};

/// Sorts the set that begins at `start`, and drops elements that are there already.
///
/// # Errors
/// Two decimals of the same value but not of the same scale: a set keeps one of them.
pub(super) fn set(element: &Codec, out: &mut Vec<u8>, start: usize) -> Result<(), ValueError> {
    let Some(mut entries) = sorted(element, out, start, false) else { return Ok(()) };
    let differ = |left: &Entry, right: &Entry| out[left.key.clone()] != out[right.key.clone()];
    if let Some((left, right)) = equals(element, out, &entries).find(|(left, right)| differ(left, right)) {
        let (left, right) = (left.place, right.place);
        return Err(ValueError::Unfit(format!(
            "elements {left} and {right} are equal but written differently, and a set keeps only one"
        )));
    }
    entries.dedup_by(|later, earlier| !differ(later, earlier));
    rewrite(out, start, &entries);
    Ok(())
}

/// Sorts the map that begins at `start` by its keys.
///
/// # Errors
/// Two keys are the same.
pub(super) fn map(key: &Codec, out: &mut Vec<u8>, start: usize) -> Result<(), ValueError> {
    let Some(entries) = sorted(key, out, start, true) else { return Ok(()) };
    if let Some((left, right)) = equals(key, out, &entries).next() {
        return Err(ValueError::Unfit(format!("keys {} and {} are the same", left.place, right.place)));
    }
    rewrite(out, start, &entries);
    Ok(())
}

// An element, or a key with its value.
struct Entry {
    // As the message counts them, from 1.
    place: usize,
    key: Range<usize>,
    whole: Range<usize>,
}

// The entries in order; `None` where they are in order already, as most writers send them.
fn sorted(key: &Codec, out: &[u8], start: usize, pairs: bool) -> Option<Vec<Entry>> {
    let mut before: Option<Range<usize>> = None;
    let ascending = entries(out, start, pairs).all(|entry| {
        let now = entry.key;
        let follows =
            before.take().is_none_or(|before| compare(key, &out[before], &out[now.clone()]).is_lt());
        before = Some(now);
        follows
    });
    if ascending {
        return None;
    }
    let mut entries: Vec<Entry> = entries(out, start, pairs).collect();
    match key {
        // A decimal has to be spelt out before it can be compared: once each, not at every comparison.
        Codec::Decimal => entries.sort_by_cached_key(|entry| Magnitude::of(&out[entry.key.clone()])),
        _ => entries.sort_by(|left, right| compare(key, &out[left.key.clone()], &out[right.key.clone()])),
    }
    Some(entries)
}

fn entries(out: &[u8], start: usize, pairs: bool) -> impl Iterator<Item = Entry> {
    let mut at = start + 4;
    let mut place = 0;
    std::iter::from_fn(move || {
        let whole = at;
        let mut rest = out.get(at..)?;
        let key = sized(&mut rest)??;
        let key = out.len() - rest.len() - key.len()..out.len() - rest.len();
        if pairs {
            sized(&mut rest)?;
        }
        at = out.len() - rest.len();
        place += 1;
        Some(Entry { place, key, whole: whole..at })
    })
}

fn equals<'a>(
    key: &'a Codec,
    out: &'a [u8],
    entries: &'a [Entry],
) -> impl Iterator<Item = (&'a Entry, &'a Entry)> {
    let pairs = entries.iter().zip(entries.iter().skip(1));
    pairs.filter(|(left, right)| compare(key, &out[left.key.clone()], &out[right.key.clone()]).is_eq())
}

fn rewrite(out: &mut Vec<u8>, start: usize, entries: &[Entry]) {
    // There are no more of them than the count said, which was an i32.
    let count = i32::try_from(entries.len()).unwrap_or(i32::MAX);
    let mut ordered = count.to_be_bytes().to_vec();
    for entry in entries {
        ordered.extend_from_slice(&out[entry.whole.clone()]);
    }
    out.truncate(start);
    out.append(&mut ordered);
}

/// The order of two cells of one type.
pub(super) fn compare(codec: &Codec, left: &[u8], right: &[u8]) -> Ordering {
    match codec {
        Codec::Integer(_) | Codec::Timestamp(_) => {
            let negative = |bytes: &[u8]| bytes.first().is_some_and(|first| *first >= 0x80);
            negative(right).cmp(&negative(left)).then_with(|| left.cmp(right))
        }
        Codec::Float => {
            let value = |bytes: &[u8]| bytes.first_chunk().map_or(0.0, |bytes| f32::from_be_bytes(*bytes));
            value(left).total_cmp(&value(right))
        }
        Codec::Double => {
            let value = |bytes: &[u8]| bytes.first_chunk().map_or(0.0, |bytes| f64::from_be_bytes(*bytes));
            value(left).total_cmp(&value(right))
        }
        Codec::VarInt => number::compare_varints(left, right),
        Codec::Decimal => number::compare_decimals(left, right),
        Codec::Uuid { time_based } => uuid(left, *time_based).cmp(&uuid(right, *time_based)),
        Codec::List(element) | Codec::Set(element) => counted(left, right, &[element]),
        Codec::Map(key, value) => counted(left, right, &[key, value]),
        Codec::Tuple(parts) => fields(left, right, parts.iter()),
        Codec::Udt(parts) => fields(left, right, parts.iter().map(|(_, part)| part)),
        Codec::Vector(element, _) => vectors(left, right, element),
        // All others are ordered by their bytes.
        _ => left.cmp(right),
    }
}

// Element by element, then the shorter first.
fn counted(left: &[u8], right: &[u8], kinds: &[&Codec]) -> Ordering {
    let (mut left_rest, mut right_rest) = (&left[4..], &right[4..]);
    for kind in kinds.iter().cycle() {
        let (Some(one), Some(other)) = (sized(&mut left_rest), sized(&mut right_rest)) else { break };
        let order = compare(kind, one.unwrap_or_default(), other.unwrap_or_default());
        if order.is_ne() {
            return order;
        }
    }
    left[..4].cmp(&right[..4])
}

// Field by field, nulls first.
fn fields<'a>(mut left: &[u8], mut right: &[u8], parts: impl Iterator<Item = &'a Codec>) -> Ordering {
    for part in parts {
        let order = match (sized(&mut left).flatten(), sized(&mut right).flatten()) {
            (Some(one), Some(other)) => compare(part, one, other),
            (one, other) => one.is_some().cmp(&other.is_some()),
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn vectors(mut left: &[u8], mut right: &[u8], element: &Codec) -> Ordering {
    while let (Some(one), Some(other)) = (component(&mut left, element), component(&mut right, element)) {
        let order = compare(element, one, other);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// The next element of a vector.
pub(super) fn component<'a>(bytes: &mut &'a [u8], element: &Codec) -> Option<&'a [u8]> {
    let length = match element.fixed_length() {
        Some(length) => length,
        None => usize::try_from(vint::read_unsigned(bytes)?).ok()?,
    };
    split(bytes, length)
}

/// What comes after a length; the inner `None` is null.
pub(super) fn sized<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) => split(bytes, length).map(Some),
        Err(_) => Some(None),
    }
}

fn split<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(first)
}

// A key whose order is that of the UUIDs. Version 1 is ordered by its time; the bytes behind it count as signed in a
// `timeuuid` and as unsigned in a `uuid` (CASSANDRA-8730).
fn uuid(bytes: &[u8], time_based: bool) -> (u8, [u8; 16]) {
    const SIGNS: u128 = 0x8080_8080_8080_8080;
    let mut key: [u8; 16] = bytes.first_chunk().copied().unwrap_or_default();
    let version = key[6] >> 4;
    if version == 1 {
        // High, middle, low: the other way round than they are written.
        let [a, b, c, d, e, f, g, h, ..] = key;
        key[..8].copy_from_slice(&[g, h, e, f, a, b, c, d]);
    }
    if time_based {
        key = (u128::from_be_bytes(key) ^ SIGNS).to_be_bytes();
    }
    (version, key)
}

#[cfg(test)]
mod tests;
