//! Certificates made here, a server on the loopback, and the driver's own way to connect: what is taken, what is not.

use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslAcceptor};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509Builder, X509Name, X509NameBuilder};

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

// What all certificates here have: a name, a key, a lifetime.
fn certificate(name: &str, key: &PKey<Private>, ends_at: &Asn1Time) -> X509Builder {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(rand::random()).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&name_of(name)).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(ends_at).unwrap();
    builder
}

fn name_of(name: &str) -> X509Name {
    let mut builder = X509NameBuilder::new().unwrap();
    builder.append_entry_by_text("CN", name).unwrap();
    builder.build()
}

fn tomorrow() -> Asn1Time {
    Asn1Time::days_from_now(1).unwrap()
}

impl Authority {
    fn new() -> Self {
        let key = key();
        let mut builder = certificate("authority", &key, &tomorrow());
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder.set_issuer_name(&name_of("authority")).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    // A node's certificate with one alternative name.
    fn signs(&self, name: &SubjectAlternativeName, ends_at: &Asn1Time) -> (X509, PKey<Private>) {
        let key = key();
        let mut builder = certificate("node", &key, ends_at);
        builder.set_issuer_name(self.certificate.subject_name()).unwrap();
        let names = name.build(&builder.x509v3_context(Some(&self.certificate), None)).unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        (builder.build(), key)
    }
}

fn named(name: &str) -> SubjectAlternativeName {
    let mut names = SubjectAlternativeName::new();
    names.dns(name);
    names
}

fn at(address: &str) -> SubjectAlternativeName {
    let mut names = SubjectAlternativeName::new();
    names.ip(address);
    names
}

/// Connects as the driver does, by the node's address, and returns why the certificate is refused.
fn refused(trusted: &Authority, name: &str, node: (X509, PKey<Private>)) -> Option<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut acceptor = SslAcceptor::mozilla_modern_v5(SslMethod::tls()).unwrap();
        acceptor.set_certificate(&node.0).unwrap();
        acceptor.set_private_key(&node.1).unwrap();
        // Its own view of the handshake does not matter.
        let _ = acceptor.build().accept(listener.accept().unwrap().0);
    });
    let refusal = Refusal::default();
    let builder = checking(vec![trusted.certificate.clone()], name, refusal.clone()).unwrap();
    let context = builder.build().into_context();
    // As in `new_ssl` of scylla's network/tls/openssl.rs.
    let mut ssl = Ssl::new(&context).unwrap();
    ssl.param_mut().set_ip(LOOPBACK).unwrap();
    let connected = ssl.connect(TcpStream::connect(address).unwrap()).is_ok();
    server.join().unwrap();
    assert_eq!(connected, refusal.reason().is_none());
    refusal.reason()
}

#[test]
fn a_node_is_known_by_the_name_wherever_it_is() {
    let authority = Authority::new();
    let node = authority.signs(&named("cassandra"), &tomorrow());
    assert_eq!(refused(&authority, "cassandra", node), None);
}

#[test]
fn another_name_is_refused() {
    let authority = Authority::new();
    let node = authority.signs(&named("elsewhere"), &tomorrow());
    let reason = refused(&authority, "cassandra", node).unwrap();
    assert!(reason.contains("ostname mismatch"), "{reason}");
}

#[test]
fn without_a_name_the_address_counts() {
    let authority = Authority::new();
    assert_eq!(refused(&authority, "", authority.signs(&at("127.0.0.1"), &tomorrow())), None);
    for other in [at("192.0.2.1"), named("cassandra")] {
        let reason = refused(&authority, "", authority.signs(&other, &tomorrow())).unwrap();
        assert!(reason.contains("IP address mismatch"), "{reason}");
    }
}

#[test]
fn another_authority_is_refused_whatever_the_name() {
    let (trusted, other) = (Authority::new(), Authority::new());
    for name in ["cassandra", ""] {
        let mut names = named("cassandra");
        names.ip("127.0.0.1");
        assert!(refused(&trusted, name, other.signs(&names, &tomorrow())).is_some(), "{name}");
    }
}

#[test]
fn a_certificate_that_has_expired_is_refused() {
    let authority = Authority::new();
    let node = authority.signs(&named("cassandra"), &Asn1Time::from_unix(1_000_000_000).unwrap());
    let reason = refused(&authority, "cassandra", node).unwrap();
    assert!(reason.contains("expired"), "{reason}");
}

#[test]
fn a_file_without_certificates_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let of = |ca: &std::path::Path| {
        let settings = Cassandra { ca: ca.to_owned(), ..Cassandra::default() };
        connector(&settings, Refusal::default()).err().unwrap()
    };
    assert!(of(file.path()).contains("no certificate"));
    assert!(of("/none/ca.pem".as_ref()).contains("No such file"));
}
