//! Some fields of a message -> the bytes that a UUID is made of.
//!
//! The fields' JSON values, in the order of the route, between `[` and `]`, with commas. A missing field leaves
//! nothing between its commas, null is `null`. No white space; in strings only `"`, `\` and control characters are
//! escaped, in their short form where there is one; numbers and the order of keys are those of the message. The same
//! as `json.dumps(value, ensure_ascii=False, separators=(",", ":"))` in Python, but for numbers that it rewrites.

use super::DataError;
use crate::json::{Kind, Reader};

/// Appends the content to `out`.
pub(super) fn write<'a>(
    parts: impl Iterator<Item = Option<&'a [u8]>>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), DataError> {
    out.push(b'[');
    for (position, part) in parts.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        if let Some(json) = part {
            write_value(&mut Reader::new(json)?, scratch, out)?;
        }
    }
    out.push(b']');
    Ok(())
}

// The reader bounds the depth.
fn write_value(reader: &mut Reader<'_>, scratch: &mut String, out: &mut Vec<u8>) -> Result<(), DataError> {
    match reader.peek()? {
        Kind::String => write_string(reader.string(scratch)?, out),
        Kind::Array => {
            out.push(b'[');
            reader.array()?;
            let mut first = true;
            while reader.element(first)? {
                if !first {
                    out.push(b',');
                }
                first = false;
                write_value(reader, scratch, out)?;
            }
            out.push(b']');
        }
        Kind::Object => {
            out.push(b'{');
            reader.object()?;
            let mut first = true;
            while let Some(key) = reader.key(first, scratch)? {
                if !first {
                    out.push(b',');
                }
                first = false;
                write_string(key, out);
                out.push(b':');
                write_value(reader, scratch, out)?;
            }
            out.push(b'}');
        }
        Kind::Null | Kind::Bool | Kind::Number => out.extend_from_slice(reader.skip()?.as_bytes()),
    }
    Ok(())
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x00..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
