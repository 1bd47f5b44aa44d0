//! What the operator's commands that write have in common: a connection to tables that fit, the proof that rows are durable,
//! and why they end.

mod proof;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use service::{MISCONFIGURED, UNAVAILABLE};

use crate::route::Route;
use crate::routes::{Misfit, Target, targets};
use crate::settings::Settings;
use crate::store::{ConnectError, Store, WriteError};
use crate::topic::Unread;
pub(crate) use proof::Proof;

/// A command must end: what does not answer for so long is away.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Why a command could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The settings are wrong.
    #[error("{0}")]
    Refused(String),
    /// The routes do not fit the tables.
    #[error("{0}")]
    Misfit(String),
    /// A server is away.
    #[error("{0}")]
    Unavailable(String),
}

impl From<Unread> for Failed {
    fn from(error: Unread) -> Self {
        if error.is_refusal() {
            Self::Refused(error.to_string())
        } else {
            Self::Unavailable(error.to_string())
        }
    }
}

/// Why a command ended before all was done, in words. What it has written is as its messages say; but rows may be back whose
/// deletes it has not come to, until it is run to its end ([`crate::replay::Report::reviving`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Ended {
    /// A server went away, or somebody stopped it: it can be run again as it is.
    Early(String),
    /// The routes do not fit the tables any more, or the database is another one: somebody has to mend that first.
    Mend(String),
    /// A server refuses the user a right, which is named: somebody has to grant it.
    Refused(String),
}

impl Ended {
    /// Why.
    pub fn why(&self) -> &str {
        let (Self::Early(why) | Self::Mend(why) | Self::Refused(why)) = self;
        why
    }

    /// What to do now.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Early(_) => "run it again",
            Self::Mend(_) => "mend that first",
            Self::Refused(_) => "grant that first",
        }
    }

    /// 1: something has to be mended. 69: it can be run again as it is. 78: the user needs another right.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Early(_) => UNAVAILABLE,
            Self::Mend(_) => 1,
            Self::Refused(_) => MISCONFIGURED,
        }
    }
}

/// The store, and the routes as they fit its tables, as at the consumer's start.
///
/// # Errors
/// See [`Failed`].
pub(crate) async fn connect(
    settings: &Settings,
    routes: &[Route],
) -> Result<(Arc<Store>, Vec<Target>), Failed> {
    let store = match Store::connect(&settings.cassandra).await {
        Ok(store) => Arc::new(store),
        Err(ConnectError::Refused(why)) => return Err(Failed::Refused(why)),
        Err(ConnectError::Unreachable(why)) => return Err(Failed::Unavailable(why)),
    };
    let targets = targets(&store, routes).await.map_err(|misfit| match misfit {
        Misfit::Store(WriteError::Unauthorized(why)) => Failed::Refused(why),
        Misfit::Store(error) if error.may_pass() => Failed::Unavailable(error.to_string()),
        misfit => Failed::Misfit(misfit.describe()),
    })?;
    Ok((store, targets))
}

// A table that fits no more is mended by somebody; a cluster that cannot be asked comes back.
impl From<Misfit> for Ended {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::Store(WriteError::Unauthorized(why)) => Self::Refused(why),
            Misfit::Store(error) if error.may_pass() => Self::Early(error.to_string()),
            // Its routes fit the new form.
            Misfit::Changed => Self::Early(misfit.describe()),
            misfit => Self::Mend(misfit.describe()),
        }
    }
}
