//! What the driver's errors mean: try again, or look at the row and the schema.

use scylla::errors::{
    BadQuery, ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError,
    MetadataError, NewSessionError, PrepareError, RequestAttemptError,
};
use service::telemetry::chain;

use crate::settings::Cassandra;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Wrong settings: no attempt will succeed.
    #[error("{0}")]
    Refused(String),
    /// Nobody answers yet.
    #[error("{0}")]
    Unreachable(String),
}

/// Why a write did not happen; one variant per decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The cluster cannot take it now: try again.
    #[error("{0}")]
    Unavailable(String),
    /// The cluster will not take it: a row is at fault, or the table has changed.
    #[error("{0}")]
    Refused(String),
    /// The server failed on it: at fault may be the row or the server.
    #[error("{0}")]
    Failed(String),
}

pub(super) fn of_connect(error: &NewSessionError, settings: &Cassandra) -> ConnectError {
    let points = &settings.contact_points;
    if let NewSessionError::MetadataError(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken {
        last_connection_error: ConnectionError::ConnectionSetupRequestError(setup),
    })) = error
    {
        match &setup.error {
            ConnectionSetupRequestErrorKind::DbError(DbError::AuthenticationError, reason) => {
                return ConnectError::Refused(format!(
                    "cassandra at {points} refuses user {:?}: {reason}; set cassandra.username and cassandra.password \
                     (or password_file)",
                    settings.username
                ));
            }
            ConnectionSetupRequestErrorKind::MissingAuthentication => {
                return ConnectError::Refused(format!(
                    "cassandra at {points} wants a user: set cassandra.username and cassandra.password (or password_file)"
                ));
            }
            _ => {}
        }
    }
    match error {
        NewSessionError::EmptyKnownNodesList | NewSessionError::IllegalConfig(_) => {
            ConnectError::Refused(format!("cassandra.contact_points = {points:?}: {}", chain(error)))
        }
        _ => ConnectError::Unreachable(format!("cassandra at {points} does not answer: {}", chain(error))),
    }
}

pub(super) fn of_prepare(error: &PrepareError) -> WriteError {
    match error {
        PrepareError::AllAttemptsFailed { first_attempt } => of_attempt(first_attempt, chain(error)),
        // The statement's meaning has changed between nodes: the schema is on its way.
        PrepareError::PreparedStatementIdsMismatch => WriteError::Refused(chain(error)),
        _ => WriteError::Unavailable(chain(error)),
    }
}

pub(super) fn of_execution(error: &ExecutionError) -> WriteError {
    match error {
        ExecutionError::LastAttemptError(attempt) => of_attempt(attempt, chain(error)),
        ExecutionError::PrepareError(prepare) => of_prepare(prepare),
        ExecutionError::BadQuery(BadQuery::ValuesTooLongForKey(..) | BadQuery::SerializationError(_)) => {
            WriteError::Refused(chain(error))
        }
        _ => WriteError::Unavailable(chain(error)),
    }
}

fn of_attempt(error: &RequestAttemptError, text: String) -> WriteError {
    match error {
        RequestAttemptError::DbError(kind, _) => match kind {
            DbError::Invalid | DbError::SyntaxError | DbError::ConfigError => WriteError::Refused(text),
            DbError::ServerError | DbError::ProtocolError | DbError::FunctionFailure { .. } => {
                WriteError::Failed(text)
            }
            _ => WriteError::Unavailable(text),
        },
        RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => {
            WriteError::Refused(text)
        }
        RequestAttemptError::RepreparedIdChanged { .. } => WriteError::Refused(text),
        _ => WriteError::Unavailable(text),
    }
}
