//! Requests to a CA: https only, bounded in time and size, without redirects (what is signed names
//! its URL) and without a proxy of the environment.

use std::error::Error as StdError;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Request;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};

use crate::error::{Error, Result};

const CONNECT: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(60);

/// Longest answer; a chain with its intermediates has a hundredth of it.
const ANSWER_BYTES: usize = 1 << 20;

type Failure = instant_acme::Error;

/// What the ACME library sends its requests by.
#[derive(Debug, Clone)]
pub(super) struct Requests {
    client: reqwest::Client,
}

impl Requests {
    /// Trusts the system's CAs, and those in a PEM file if one is given.
    pub(super) fn new(directory_ca: Option<&Path>) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(WHOLE);
        if let Some(path) = directory_ca {
            builder = builder.tls_certs_merge(certificates(path)?);
        }
        let client = builder.build().map_err(|e| {
            Error::internal(format!("no requests to a CA can be made: {}", chain(&e)))
        })?;
        Ok(Self { client })
    }
}

fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>> {
    let name = format!("`acme.directory_ca` {}", path.display());
    let text = std::fs::read(path).map_err(|e| Error::io(format!("reading {name}"), e))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&text);
    let certificates = certificates.map_err(|e| Error::invalid(format!("{name}: {e}")))?;
    match certificates.is_empty() {
        true => Err(Error::invalid(format!("{name}: holds no certificate"))),
        false => Ok(certificates),
    }
}

impl HttpClient for Requests {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Failure>> + Send>> {
        let client = self.client.clone();
        Box::pin(send(client, request))
    }
}

async fn send(
    client: reqwest::Client,
    request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, Failure> {
    let (parts, body) = request.into_parts();
    let sent = client
        .request(parts.method, parts.uri.to_string())
        .headers(parts.headers)
        .body(reqwest::Body::wrap(body))
        .send();
    let mut answer = sent.await.map_err(|e| failure(chain(&e)))?;
    let mut bytes = BytesMut::new();
    while let Some(piece) = answer.chunk().await.map_err(|e| failure(chain(&e)))? {
        if bytes.len() + piece.len() > ANSWER_BYTES {
            return Err(failure(format!("an answer of over {ANSWER_BYTES} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = answer.status();
    parts.headers = std::mem::take(answer.headers_mut());
    Ok(BytesResponse {
        parts,
        body: Box::new(bytes.freeze()),
    })
}

fn failure(message: String) -> Failure {
    Failure::Other(message.into())
}

/// An error with its causes, since the outermost says only that something failed.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
