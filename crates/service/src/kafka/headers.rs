//! The headers of a message as bytes: rdkafka's own reading of them panics at a name that is not UTF-8, and any
//! client can send one.

#![expect(unsafe_code, reason = "no safe way leads to the bytes of a header's name")]

use std::ffi::{CStr, c_void};
use std::ptr;

use rdkafka::Message as _;
use rdkafka::bindings::{rd_kafka_header_get_all, rd_kafka_headers_t, rd_kafka_resp_err_t};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage};

/// Names and values, in their order; the value is `None` for null.
pub fn headers<'m>(
    message: &'m BorrowedMessage<'_>,
) -> impl Iterator<Item = (&'m [u8], Option<&'m [u8]>)> + use<'m> {
    message.headers().into_iter().flat_map(|headers| (0..).map_while(|index| header(headers, index)))
}

fn header(headers: &BorrowedHeaders, index: usize) -> Option<(&[u8], Option<&[u8]>)> {
    // `BorrowedHeaders` is how rdkafka types a pointer to librdkafka's headers (its `as_native_ptr` is this cast).
    let native = ptr::from_ref(headers).cast::<rd_kafka_headers_t>();
    let mut name = ptr::null();
    let mut value: *const c_void = ptr::null();
    let mut length = 0;
    // SAFETY: `native` points to headers that live as long as the borrow; the others are out parameters.
    let answer =
        unsafe { rd_kafka_header_get_all(native, index, &raw mut name, &raw mut value, &raw mut length) };
    if answer != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return None;
    }
    // SAFETY: after success `name` is a string with its NUL, `value` is null or `length` bytes; both belong to the
    // message and live as long as the borrow.
    unsafe {
        let value = (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), length));
        Some((CStr::from_ptr(name).to_bytes(), value))
    }
}
