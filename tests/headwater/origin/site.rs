//! The places at which every assertion must hold, and the judge who tries them all.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::client::{Answer, Connection, Target};
use super::media::{Media, copy_of_library};
use super::s3::{BUCKET, S3};
use crate::moto::{Bucket, NAME, point};
use crate::server::Server;
use crate::support::headwater;

/// One promise, and how it is tried.
pub(crate) struct Assertion {
    pub(crate) name: &'static str,
    pub(crate) check: fn(&Site),
}

/// Functions as [`Assertion`]s of their own names.
macro_rules! assertions {
    ($($module:ident: [$($name:ident),* $(,)?]),* $(,)?) => {
        &[$($(Assertion {
            name: stringify!($name),
            check: $module::$name,
        }),*),*]
    };
}
pub(crate) use assertions;

/// A server with the title, seen from one side.
pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) target: Target,
    pub(crate) media: Media,
    /// Whether a bucket is behind it.
    pub(crate) is_bucket: bool,
    /// What must live as long as it.
    _keep: Vec<Box<dyn Any>>,
}

impl Site {
    /// The store that comes with the server, over plain HTTP.
    pub(crate) fn local() -> Self {
        Self::over_library("local, plain", "", &[], |server| {
            Target::plain(&server.address)
        })
    }

    /// The same through TLS.
    pub(crate) fn secure() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (lines, config) = certificate(folder.path());
        let mut site = Self::over_library("local, TLS", &lines, &[], |server| Target {
            tls: Some(config),
            ..Target::plain(&server.address)
        });
        site._keep.push(Box::new(folder));
        site
    }

    /// The listener that delivers and does nothing else.
    pub(crate) fn delivery() -> Self {
        let flags = ["--delivery-listen", "127.0.0.1:0"];
        Self::over_library("delivery listener", "", &flags, |server| {
            Target::plain(server.delivery.as_deref().unwrap())
        })
    }

    /// Connections that were first used for something else than an object.
    pub(crate) fn handed_over() -> Self {
        Self::over_library("handed over", "", &[], |server| Target {
            opening: Some("/healthz"),
            ..Target::plain(&server.address)
        })
    }

    fn over_library(
        name: &'static str,
        lines: &str,
        flags: &[&str],
        target: impl FnOnce(&Server) -> Target,
    ) -> Self {
        let (data, media) = copy_of_library();
        let server = start(data.path(), lines, flags);
        Self {
            name,
            target: target(&server),
            media,
            is_bucket: false,
            _keep: vec![Box::new(server), Box::new(data)],
        }
    }

    /// The store that is gone when the server ends.
    pub(crate) fn memory() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start_with(data.path(), &["--store", "memory://"]);
        Self {
            name: "memory",
            target: Target::plain(&server.address),
            media: Media::upload(&server),
            is_bucket: false,
            _keep: vec![Box::new(server), Box::new(data)],
        }
    }

    /// A bucket at s3s-fs.
    pub(crate) fn s3() -> Self {
        let data = tempfile::tempdir().unwrap();
        let s3 = S3::start();
        let server = at_bucket(
            data.path(),
            &s3.address,
            &format!("s3://{BUCKET}/some/where"),
            "",
        );
        let mut media = Media::upload(&server);
        media.put_odd(&s3.root.path().join(BUCKET).join("some/where"));
        Self {
            name: "s3s-fs",
            target: Target::plain(&server.address),
            media,
            is_bucket: true,
            _keep: vec![Box::new(server), Box::new(data), Box::new(s3)],
        }
    }

    /// A bucket at moto's server, if this machine has it.
    pub(crate) fn moto() -> Option<Self> {
        let data = tempfile::tempdir().unwrap();
        let bucket = Bucket::start()?;
        let server = at_bucket(data.path(), &bucket.address, "s3://vid", "");
        let mut media = Media::upload(&server);
        let objects = [
            (media.empty(), &[][..]),
            (media.large(), super::media::large()),
        ];
        for (path, bytes) in objects {
            bucket.send("PUT", &format!("/vid{path}"), NAME, bytes);
        }
        media.has_odd = true;
        Some(Self {
            name: "moto",
            target: Target::plain(&server.address),
            media,
            is_bucket: true,
            _keep: vec![Box::new(server), Box::new(data), Box::new(bucket)],
        })
    }

    /// A connection.
    pub(crate) fn open(&self) -> Connection {
        self.target.open()
    }

    /// One GET on a connection of its own.
    pub(crate) fn get(&self, path: &str, fields: &str) -> Answer {
        self.target.get(path, fields)
    }

    /// Tries all of `table`, and fails with the names of those that don't hold.
    pub(crate) fn judge(&self, table: &[Assertion]) {
        let mut broken = Vec::new();
        for assertion in table {
            let outcome = catch_unwind(AssertUnwindSafe(|| (assertion.check)(self)));
            if let Err(cause) = outcome {
                broken.push(format!("{}: {}", assertion.name, said(&*cause)));
            }
        }
        let (count, all) = (broken.len(), table.len());
        assert!(
            broken.is_empty(),
            "{}: {count} of {all} don't hold:\n{}",
            self.name,
            broken.join("\n")
        );
    }
}

/// What a panic said.
pub(crate) fn said(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or(cause.downcast_ref::<&str>().copied())
        .unwrap_or("?")
}

/// A server over `data`, with `lines` as its configuration.
pub(crate) fn start(data: &Path, lines: &str, flags: &[&str]) -> Server {
    start_by(headwater(["serve"]), data, lines, flags)
}

/// A server over `data` whose objects are in a bucket at `address`.
pub(crate) fn at_bucket(data: &Path, address: &str, store: &str, lines: &str) -> Server {
    let mut command = headwater(["serve"]);
    point(&mut command, address);
    start_by(command, data, lines, &["--store", store])
}

fn start_by(
    mut command: std::process::Command,
    data: &Path,
    lines: &str,
    flags: &[&str],
) -> Server {
    let file = data.join("test.toml");
    std::fs::write(&file, lines).unwrap();
    command.arg("--config").arg(&file);
    Server::start_by(command, data, flags)
}

/// Makes a certificate and its authority in `folder`: the lines that name it in a configuration,
/// and a client that trusts it.
pub(crate) fn certificate(folder: &Path) -> (String, Arc<rustls::ClientConfig>) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let lines = format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display()
    );
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&certificate).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (lines, Arc::new(config))
}
