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
    /// The cluster cannot take so much now: try again, and less at once.
    #[error("{0}")]
    Overloaded(String),
    /// The cluster will not take it: a row is at fault, or the table has changed.
    #[error("{0}")]
    Refused(String),
    /// The server failed on it: at fault may be the row or the server.
    #[error("{0}")]
    Failed(String),
    /// The user lacks a right, which is named: try again once it is granted.
    #[error("{0}")]
    Unauthorized(String),
}

impl WriteError {
    /// Whether it says nothing of the rows or their table, and may pass by itself.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Overloaded(_) | Self::Unauthorized(_))
    }
}

/// Guardrails that refuse good rows, for what a node or its settings are: a replica's full disk, the consistency, the
/// WRITETIME in each statement. They answer with the code of a bad row.
const GUARDRAILS_OF_THE_CLUSTER: [&str; 3] =
    ["replica_disk_usage", "write_consistency_levels", "user_timestamps"];

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
            ConnectError::Refused(format!("cassandra.contact_points = {points:?}: {}", words(error)))
        }
        _ => ConnectError::Unreachable(format!("cassandra at {points} does not answer: {}", words(error))),
    }
}

pub(super) fn of_certificate(reason: &str, settings: &Cassandra) -> ConnectError {
    let Cassandra { contact_points, ca, tls_name, .. } = settings;
    ConnectError::Refused(format!(
        "the certificate of cassandra at {contact_points} is refused: {reason}; look at cassandra.ca = {:?} and \
         cassandra.tls_name = {tls_name:?} (empty: the certificate must have the node's address)",
        ca.display().to_string()
    ))
}

pub(super) fn of_prepare(error: &PrepareError) -> WriteError {
    match error {
        PrepareError::AllAttemptsFailed { first_attempt } => of_attempt(first_attempt, words(error)),
        // The statement's meaning has changed between nodes: the schema is on its way.
        PrepareError::PreparedStatementIdsMismatch => WriteError::Refused(words(error)),
        _ => WriteError::Unavailable(words(error)),
    }
}

pub(super) fn of_execution(error: &ExecutionError) -> WriteError {
    match error {
        ExecutionError::LastAttemptError(attempt) => of_attempt(attempt, words(error)),
        ExecutionError::PrepareError(prepare) => of_prepare(prepare),
        ExecutionError::BadQuery(BadQuery::ValuesTooLongForKey(..) | BadQuery::SerializationError(_)) => {
            WriteError::Refused(words(error))
        }
        ExecutionError::RequestTimeout(_) => WriteError::Overloaded(words(error)),
        _ => WriteError::Unavailable(words(error)),
    }
}

fn of_attempt(error: &RequestAttemptError, text: String) -> WriteError {
    match error {
        RequestAttemptError::DbError(kind, message) => match kind {
            DbError::Invalid if is_of_the_cluster(message) => WriteError::Unavailable(text),
            // Where a node cannot read the rights it says so with the same code.
            DbError::Unauthorized if message.contains(" has no ") => WriteError::Unauthorized(text),
            DbError::Overloaded | DbError::WriteTimeout { .. } => WriteError::Overloaded(text),
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

// The message begins with the guardrail's name: `Guardrail.decorateMessage` of Cassandra since 4.1.
fn is_of_the_cluster(message: &str) -> bool {
    let name = message.strip_prefix("Guardrail ").and_then(|rest| rest.split_once(" violated: "));
    name.is_some_and(|(name, _)| GUARDRAILS_OF_THE_CLUSTER.contains(&name))
}

// Before what a connection failed with the driver names its own parts.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = chain(error);
    match chain.rsplit_once("Last connection failed with: ") {
        Some((_, why)) => why.to_owned(),
        None => chain,
    }
}

#[cfg(test)]
mod tests {
    use scylla::errors::WriteType;
    use scylla::statement::Consistency;

    use super::*;

    fn said(kind: DbError, message: &str) -> WriteError {
        of_execution(&ExecutionError::LastAttemptError(RequestAttemptError::DbError(
            kind,
            message.to_owned(),
        )))
    }

    #[test]
    fn invalid_is_of_the_row_unless_the_cluster_says_it_of_itself() {
        for of_cluster in [
            "Guardrail replica_disk_usage violated: Write request failed because disk usage exceeds failure threshold",
            "Guardrail write_consistency_levels violated: Provided values [LOCAL_QUORUM] are not allowed for write \
             consistency levels (disallowed values are: [LOCAL_QUORUM])",
            "Guardrail user_timestamps violated: User provided timestamps (USING TIMESTAMP) is not allowed",
        ] {
            assert!(matches!(said(DbError::Invalid, of_cluster), WriteError::Unavailable(_)), "{of_cluster}");
        }
        for of_row in [
            "Key length of 70000 is longer than maximum of 65535",
            "Batch too large",
            "Guardrail column_value_size violated: Value of column v has size 2MiB, this exceeds the failure threshold \
             of 1MiB.",
        ] {
            assert!(matches!(said(DbError::Invalid, of_row), WriteError::Refused(_)), "{of_row}");
        }
    }

    #[test]
    fn a_right_that_is_missing_is_told_from_rights_that_cannot_be_read() {
        let missing = said(
            DbError::Unauthorized,
            "User tributary has no MODIFY permission on <table shop.orders> or any of its parents",
        );
        assert!(matches!(missing, WriteError::Unauthorized(_)) && missing.may_pass(), "{missing:?}");
        let unread = said(DbError::Unauthorized, "Unable to perform authorization of permissions");
        assert!(matches!(unread, WriteError::Unavailable(_)), "{unread:?}");
    }

    #[test]
    fn a_server_with_too_much_to_do_is_told_from_one_that_is_away() {
        let timeout = DbError::WriteTimeout {
            consistency: Consistency::LocalQuorum,
            received: 0,
            required: 1,
            write_type: WriteType::UnloggedBatch,
        };
        assert!(matches!(said(timeout, "timed out"), WriteError::Overloaded(_)));
        assert!(matches!(said(DbError::Overloaded, "overloaded"), WriteError::Overloaded(_)));
        let unanswered = ExecutionError::RequestTimeout(std::time::Duration::from_secs(10));
        assert!(matches!(of_execution(&unanswered), WriteError::Overloaded(_)));
        let away = DbError::Unavailable { consistency: Consistency::LocalQuorum, required: 2, alive: 1 };
        assert!(matches!(said(away, "cannot achieve consistency"), WriteError::Unavailable(_)));
    }
}
