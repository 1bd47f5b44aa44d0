//! Integers of variable length, as the protocol's `[vint]` and Cassandra's `VIntCoding` write them.

/// The leading ones of the first byte count the bytes that follow; the rest is the number, big-endian.
pub(super) fn unsigned(value: u64, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    let bits = 64 - (value | 1).leading_zeros();
    let following = ((bits - 1) / 7).min(8);
    if following == 8 {
        out.push(0xff);
        out.extend_from_slice(&bytes);
        return;
    }
    let first = out.len();
    out.extend_from_slice(&bytes[7 - following as usize..]);
    out[first] |= !(0xff_u8 >> following);
}

/// Zigzag first, so that small negative numbers are short as well.
pub(super) fn signed(value: i64, out: &mut Vec<u8>) {
    unsigned((value << 1 ^ value >> 63).cast_unsigned(), out);
}

/// Takes one off the front; `None` at the end.
pub(super) fn read_unsigned(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    let (following, rest) = rest.split_at_checked(first.leading_ones() as usize)?;
    *bytes = rest;
    let own = u64::from(first) & (0x7f_u64 >> following.len().min(7));
    Some(following.iter().fold(own, |value, byte| value << 8 | u64::from(*byte)))
}

/// As [`read_unsigned`], of a number that [`signed`] has written.
pub(super) fn read_signed(bytes: &mut &[u8]) -> Option<i64> {
    let zigzag = read_unsigned(bytes)?;
    Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_bytes_are_those_of_the_protocol() {
        let unsigned = |value| {
            let mut out = Vec::new();
            unsigned(value, &mut out);
            out
        };
        assert_eq!(unsigned(0), [0]);
        assert_eq!(unsigned(127), [0x7f]);
        assert_eq!(unsigned(128), [0x80, 0x80]);
        assert_eq!(unsigned(16_383), [0xbf, 0xff]);
        assert_eq!(unsigned(16_384), [0xc0, 0x40, 0x00]);
        assert_eq!(unsigned((1 << 56) - 1), [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(unsigned(1 << 56), [0xff, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(unsigned(u64::MAX), [0xff; 9]);
        for value in (0..64).flat_map(|bit| [1 << bit, (1 << bit) - 1, u64::MAX >> bit]) {
            let bytes = unsigned(value);
            let mut rest = &bytes[..];
            assert_eq!((read_unsigned(&mut rest), rest), (Some(value), &[][..]));
        }
        assert_eq!(read_unsigned(&mut &[0x80][..]), None);
        let signed = |value| {
            let mut out = Vec::new();
            signed(value, &mut out);
            out
        };
        // The protocol's own example, section 3: 0 -> 0, -1 -> 1, 1 -> 2, -2 -> 3, 2 -> 4.
        for (value, zigzag) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (2, 4), (-64, 127), (63, 126)] {
            assert_eq!(signed(value), [zigzag], "{value}");
            assert_eq!(read_signed(&mut &[zigzag][..]), Some(value));
        }
        assert_eq!(signed(i64::MIN), [0xff; 9]);
        assert_eq!(read_signed(&mut &[0xff; 9][..]), Some(i64::MIN));
    }
}
