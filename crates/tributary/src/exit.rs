//! How a command ends -> the exit code that tells a script what kind of end it is, as sysexits.h numbers them.

use consumer::topic::Unread;
use service::UNAVAILABLE;

/// Kafka or Cassandra could not be reached, or stopped answering; says which and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(pub(crate) String);

impl From<Unread> for Unavailable {
    fn from(error: Unread) -> Self {
        Self(error.to_string())
    }
}

/// The code of an error: 69, or as the services have it.
pub(crate) fn code(error: &anyhow::Error) -> i32 {
    if error.downcast_ref::<Unavailable>().is_some() { UNAVAILABLE } else { service::exit_code(error) }
}
