//! A message's bytes -> JSON values, one pass, nothing built.
//!
//! A pull reader: the caller asks for what it expects at the current place and gets slices of the input. Numbers
//! stay literals, so that a decimal of forty digits survives; skipped values are checked as strictly as read ones,
//! so that a message is either JSON as a whole (RFC 8259) or an error with its byte offset.

mod string;

/// Objects and arrays may nest this deep.
pub const DEPTH_MAX: u32 = 128;

/// Where and why the bytes are not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Error {
    /// Offset into the message.
    pub at: usize,
    /// What was found or expected.
    pub what: &'static str,
}

/// What kind of value comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number literal.
    Number,
    /// A string.
    String,
    /// `[`
    Array,
    /// `{`
    Object,
}

impl Kind {
    /// As error messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// A cursor over one JSON text.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> Reader<'a> {
    /// Starts before the first value.
    ///
    /// # Errors
    /// The bytes are not UTF-8.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let text = simdutf8::compat::from_utf8(bytes)
            .map_err(|error| Error { at: error.valid_up_to(), what: "invalid UTF-8" })?;
        Ok(Self { text, at: 0, depth: 0 })
    }

    /// The next value's kind; the cursor moves to its first byte.
    pub fn peek(&mut self) -> Result<Kind, Error> {
        match self.next_byte() {
            Some(b'"') => Ok(Kind::String),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => Err(self.error("expected a value")),
            None => Err(self.error("expected a value, found the end")),
        }
    }

    /// Reads `null`.
    pub fn null(&mut self) -> Result<(), Error> {
        self.literal("null")
    }

    /// Reads `true` or `false`.
    pub fn boolean(&mut self) -> Result<bool, Error> {
        let value = self.byte() == Some(b't');
        self.literal(if value { "true" } else { "false" })?;
        Ok(value)
    }

    /// Reads a number; the literal as it stands.
    pub fn number(&mut self) -> Result<&'a str, Error> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.error("expected a digit")),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    /// Enters an object; ask [`Reader::key`] until it says `None`.
    pub fn object(&mut self) -> Result<(), Error> {
        self.enter(b'{', "expected {")
    }

    /// The next key of the object, or `None` after its last. `first` is true for the first call only.
    pub fn key<'s>(&mut self, first: bool, scratch: &'s mut String) -> Result<Option<&'s str>, Error>
    where
        'a: 's,
    {
        if !self.another(first, b'}')? {
            return Ok(None);
        }
        if self.next_byte() != Some(b'"') {
            return Err(self.error("expected a key"));
        }
        let key = self.string(scratch)?;
        if self.next_byte() != Some(b':') {
            return Err(self.error("expected :"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether the object's next key stands in the input just like this, quotes and colon included; then the cursor
    /// moves behind it. `false` says nothing of the key: [`Reader::key`] reads it.
    pub fn at_key(&mut self, first: bool, written: &str) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let key = if first { Some(rest) } else { rest.strip_prefix(b",") };
        let found = key.is_some_and(|key| key.starts_with(written.as_bytes()));
        if found {
            self.at += usize::from(!first) + written.len();
        }
        found
    }

    /// Enters an array; ask [`Reader::element`] until it says `false`.
    pub fn array(&mut self) -> Result<(), Error> {
        self.enter(b'[', "expected [")
    }

    /// Whether the array has another element, which is next to read.
    pub fn element(&mut self, first: bool) -> Result<bool, Error> {
        self.another(first, b']')
    }

    /// Passes over one whole value and returns its text.
    pub fn skip(&mut self) -> Result<&'a str, Error> {
        let kind = self.peek()?;
        let start = self.at;
        match kind {
            Kind::Null => self.null()?,
            Kind::Bool => drop(self.boolean()?),
            Kind::Number => drop(self.number()?),
            Kind::String => self.skip_string()?,
            Kind::Array | Kind::Object => self.skip_nested(kind)?,
        }
        Ok(&self.text[start..self.at])
    }

    /// Checks that nothing but white space follows.
    pub fn end(&mut self) -> Result<(), Error> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(self.error("trailing characters")),
        }
    }

    /// The cursor's byte offset.
    pub fn at(&self) -> usize {
        self.at
    }

    // One bit a level tells arrays from objects, so that hostile nesting costs no stack.
    fn skip_nested(&mut self, outer: Kind) -> Result<(), Error> {
        let base = self.depth;
        let mut objects: u128 = 0;
        let mut kind = outer;
        loop {
            // At the first byte of a value.
            match kind {
                Kind::Null => self.null()?,
                Kind::Bool => drop(self.boolean()?),
                Kind::Number => drop(self.number()?),
                Kind::String => self.skip_string()?,
                Kind::Array | Kind::Object => {
                    let object = kind == Kind::Object;
                    if object {
                        self.object()?;
                    } else {
                        self.array()?;
                    }
                    objects = objects << 1 | u128::from(object);
                    if self.step_in(object, true)? {
                        kind = self.peek()?;
                        continue;
                    }
                    objects >>= 1;
                }
            }
            // After a value: on to the next sibling, leaving what has ended.
            loop {
                if self.depth == base {
                    return Ok(());
                }
                if self.step_in(objects & 1 == 1, false)? {
                    break;
                }
                objects >>= 1;
            }
            kind = self.peek()?;
        }
    }

    fn step_in(&mut self, object: bool, first: bool) -> Result<bool, Error> {
        if !object {
            return self.another(first, b']');
        }
        if !self.another(first, b'}')? {
            return Ok(false);
        }
        if self.next_byte() != Some(b'"') {
            return Err(self.error("expected a key"));
        }
        self.skip_string()?;
        if self.next_byte() != Some(b':') {
            return Err(self.error("expected :"));
        }
        self.at += 1;
        Ok(true)
    }

    fn enter(&mut self, open: u8, expected: &'static str) -> Result<(), Error> {
        if self.next_byte() != Some(open) {
            return Err(self.error(expected));
        }
        if self.depth == DEPTH_MAX {
            return Err(self.error("nested deeper than 128 levels"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn another(&mut self, first: bool, close: u8) -> Result<bool, Error> {
        match self.next_byte() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if first => Ok(true),
            Some(_) => Err(self.error("expected , or the end of the list")),
            None => Err(self.error("unterminated object or array")),
        }
    }

    fn digits(&mut self) -> Result<(), Error> {
        if !self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.error("expected a digit"));
        }
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, expected: &'static str) -> Result<(), Error> {
        if !self.text.as_bytes()[self.at..].starts_with(expected.as_bytes()) {
            return Err(self.error("expected a value"));
        }
        self.at += expected.len();
        Ok(())
    }

    fn next_byte(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn error(&self, what: &'static str) -> Error {
        Error { at: self.at, what }
    }
}

#[cfg(test)]
mod tests;
