//! A message of `users_created`, borrowed: what a hand-written program would parse it into.

use std::borrow::Cow;

use serde::Deserialize;

/// The columns of `created_users`, in the order of their table.
pub(crate) const COLUMNS: [&str; 11] = [
    "id",
    "first_name",
    "last_name",
    "gender",
    "address",
    "post_code",
    "email",
    "username",
    "registered_date",
    "phone",
    "picture",
];

/// One user. A text with escapes is owned, all others point into the message.
#[derive(Debug, Deserialize)]
pub(crate) struct User<'a> {
    pub(crate) id: &'a str,
    #[serde(borrow)]
    pub(crate) first_name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) last_name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) gender: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) address: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) post_code: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) email: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) username: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) registered_date: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) phone: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) picture: Cow<'a, str>,
}

impl<'a> User<'a> {
    /// Parses a message's value.
    pub(crate) fn parse(value: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(value)
    }

    /// All columns but the id, in the order of [`COLUMNS`].
    pub(crate) fn texts(&self) -> [&str; 10] {
        [
            &self.first_name,
            &self.last_name,
            &self.gender,
            &self.address,
            &self.post_code,
            &self.email,
            &self.username,
            &self.registered_date,
            &self.phone,
            &self.picture,
        ]
    }
}
