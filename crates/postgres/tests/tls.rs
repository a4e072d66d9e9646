//! Encrypted connections: made where they are asked for, refused where the certificate is not one to
//! trust.

use std::net::TcpListener;

use crate::common::pooler::Pooler;
use crate::common::{Result, messages};
use evenfold_core::store::{ReadStore, WriteStore};
use evenfold_core::{ExpectedVersion, Position, StreamName};
use evenfold_postgres::Postgres;
use evenfold_postgres::testing::TestDatabase;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Result<Authority> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?)
}

/// A PgBouncer that speaks TLS alone, for a server's socket in the file system does not, and its port.
fn encrypted(authority: &Authority) -> Result<(Pooler, u16)> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".into()])?;
    let certificate = certificate.signed_by(&key, authority)?;
    let files = [("key", &*key.serialize_pem()), ("certificate", &*certificate.pem())];
    // It wants to be told a port, and a free one may be taken before it comes to that.
    for _ in 0..20 {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let settings = format!(
            "listen_addr = 127.0.0.1\nlisten_port = {port}\npool_mode = session\n\
             ignore_startup_parameters = extra_float_digits, options\nclient_tls_sslmode = require\n\
             client_tls_key_file = FOLDER/key\nclient_tls_cert_file = FOLDER/certificate\n"
        );
        if let Ok(pooler) = Pooler::with(&settings, &files) {
            return Ok((pooler, port));
        }
    }
    Err("no port is free".into())
}

#[tokio::test]
async fn a_connection_is_encrypted_and_its_server_is_known() -> Result {
    let database = TestDatabase::new().await?;
    let (known, other) = (authority()?, authority()?);
    let (_pooler, port) = encrypted(&known)?;
    let folder = tempfile::tempdir()?;
    for (name, authority) in [("known", &known), ("other", &other)] {
        std::fs::write(folder.path().join(name), authority.pem())?;
    }
    let url = database.url();
    let (place, _) = url.split_once('?').ok_or("no parameters")?;
    let at = |host: &str, parameters: &str| {
        let place = place.replace("@localhost/", &format!("@{host}:{port}/"));
        let parameters = parameters.replace("FOLDER", &folder.path().display().to_string());
        format!("{place}?{parameters}")
    };

    let full = "sslmode=verify-full&sslrootcert=FOLDER/known";
    let stream = StreamName::new("account-1")?;
    for (written, parameters) in (0..).zip([full, "sslmode=require"]) {
        let store = Postgres::connect(&at("localhost", parameters)).await?;
        store.write(&stream, &messages(written..written + 1)?, ExpectedVersion::Any).await?;
        let last = Position::new(i64::try_from(written)?)?;
        assert_eq!(store.stream_version(&stream).await?, Some(last));
        store.close().await;
    }

    for (host, parameters, said) in [
        ("localhost", "sslmode=verify-full&sslrootcert=FOLDER/other", "certificate"),
        ("localhost", "sslmode=verify-full", "certificate"),
        ("127.0.0.1", full, "certificate"),
        ("localhost", "sslmode=disable", "SSL required"),
    ] {
        let refused = Postgres::connect(&at(host, parameters)).await.unwrap_err();
        assert!(format!("{refused:?}").contains(said), "{refused:?}");
    }
    Ok(())
}
