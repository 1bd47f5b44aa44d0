//! libFuzzer's bytes -> [`fuzz::sse`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::sse::check(bytes));
