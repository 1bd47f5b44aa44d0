//! `cassandra.ca` and `cassandra.tls_name` -> the driver's TLS, and why a node's certificate was refused.
//!
//! The driver holds a node's certificate against the node's address, as it is known for every node. Containers and clouds
//! give out addresses anew, so a certificate there has names: `tls_name` is then the one that all nodes have.

#[cfg(feature = "tls")]
mod certificate;

use std::sync::{Arc, Mutex};

use scylla::client::session_builder::SessionBuilder;

use crate::locked;
use crate::settings::Cassandra;

/// Why the last certificate was refused, in OpenSSL's words; the driver's error does not tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal(Arc<Mutex<Option<String>>>);

impl Refusal {
    /// The reason, if a certificate was refused.
    pub(super) fn reason(&self) -> Option<String> {
        locked(&self.0).clone()
    }
}

/// Makes every connection a TLS connection, where `ca` asks for it.
///
/// # Errors
/// In words: the authorities cannot be read, or this binary knows no TLS.
#[cfg(feature = "tls")]
pub(super) fn secured(
    builder: SessionBuilder,
    settings: &Cassandra,
    refusal: &Refusal,
) -> Result<SessionBuilder, String> {
    if settings.ca.as_os_str().is_empty() {
        return plain(builder, settings);
    }
    let context = certificate::connector(settings, refusal.clone())
        .map_err(|reason| format!("cassandra.ca = {:?}: {reason}", settings.ca.display().to_string()))?;
    Ok(builder.tls_context(Some(context)))
}

/// As with TLS, which this binary does not know.
///
/// # Errors
/// In words: TLS is asked for.
#[cfg(not(feature = "tls"))]
pub(super) fn secured(
    builder: SessionBuilder,
    settings: &Cassandra,
    _: &Refusal,
) -> Result<SessionBuilder, String> {
    if settings.ca.as_os_str().is_empty() {
        return plain(builder, settings);
    }
    Err(format!(
        "cassandra.ca = {:?}: this binary was built without TLS: build it with --features tls, or run the one of the image",
        settings.ca.display().to_string()
    ))
}

fn plain(builder: SessionBuilder, settings: &Cassandra) -> Result<SessionBuilder, String> {
    if settings.tls_name.is_empty() {
        return Ok(builder);
    }
    Err(format!(
        "cassandra.tls_name = {:?} has no effect without TLS: set cassandra.ca too",
        settings.tls_name
    ))
}
