//! Which certificates of nodes are accepted: signed by a trusted authority, and for the name or the address.

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

use super::Refusal;
use crate::locked;
use crate::settings::Cassandra;

/// `X509_V_ERR_IP_ADDRESS_MISMATCH` of OpenSSL's `x509_vfy.h`.
const IP_ADDRESS_MISMATCH: i32 = 64;

/// A connector that trusts the authorities in the file, and keeps the reason of each refusal.
///
/// # Errors
/// In words: the file cannot be read, or holds no certificate.
pub(super) fn connector(settings: &Cassandra, refusal: Refusal) -> Result<SslConnectorBuilder, String> {
    let pem = std::fs::read(&settings.ca).map_err(|error| error.to_string())?;
    let authorities = X509::stack_from_pem(&pem).map_err(|error| format!("not PEM: {error}"))?;
    if authorities.is_empty() {
        return Err("there is no certificate (PEM) in it".to_owned());
    }
    checking(authorities, &settings.tls_name, refusal).map_err(|error| error.to_string())
}

// Trusts these authorities, and no others of the system's.
fn checking(authorities: Vec<X509>, name: &str, refusal: Refusal) -> Result<SslConnectorBuilder, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for authority in authorities {
        store.add_cert(authority)?;
    }
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_cert_store(store.build());
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    let by_name = !name.is_empty();
    if by_name {
        // OpenSSL asks for the name; the driver adds its address, whose mismatch is let pass below.
        builder.verify_param_mut().set_host(name)?;
    }
    builder.set_verify_callback(SslVerifyMode::PEER, move |accepted, chain| {
        if accepted || (by_name && chain.error().as_raw() == IP_ADDRESS_MISMATCH) {
            return true;
        }
        *locked(&refusal.0) = Some(chain.error().error_string().to_owned());
        false
    });
    Ok(builder)
}

#[cfg(test)]
mod tests;
