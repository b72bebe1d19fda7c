//! The HTTP client: GET with redirects for sources, POST without for webhooks.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use url::Url;

use super::address::{Options, Refusal};
use super::resolver::Resolver;
use super::{REDIRECTS_MAX, check, check_url};
use crate::error::{Error, ErrorKind, Result};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a source's server may be silent.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a webhook may take, from its first byte to the last of the answer.
const POST_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a webhook's answer is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Makes requests to addresses that users named. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    options: Options,
}

impl Client {
    /// A client that goes where `options` allow.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when no TLS library can be set up.
    pub fn new(options: Options) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .dns_resolver(Resolver { options })
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            .pool_max_idle_per_host(1)
            .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| Error::internal("no HTTP client").with_source(e))?;
        Ok(Self { http, options })
    }

    /// What is allowed beyond public addresses.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Fetches `url`, following redirects. The answer may have any status.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the request isn't allowed to go, [`ErrorKind::Unavailable`]
    /// when the server can't be reached.
    pub async fn get(&self, url: &str, headers: &[(&'static str, String)]) -> Result<Response> {
        let mut target = check_url(url, &self.options)?;
        for _ in 0..=REDIRECTS_MAX {
            let request = self.http.get(target.clone()).headers(header_map(headers)?);
            let answer = request.send().await.map_err(|e| failed(&target, &e))?;
            match next_hop(&target, &answer)? {
                None => return Ok(Response { inner: answer }),
                Some(next) => {
                    check(&next, &self.options)?;
                    target = next;
                }
            }
        }
        let message = format!("{url}: more than {REDIRECTS_MAX} redirects");
        Err(Error::invalid(message))
    }

    /// Posts `body`, follows no redirect, waits at most ten seconds. The answer may have any
    /// status.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<Answer> {
        let target = check_url(url, &self.options)?;
        let exchange = async {
            let request = self.http.post(target.clone()).headers(header_map(headers)?);
            let sent = request.body(body).send().await;
            let answer = sent.map_err(|e| failed(&target, &e))?;
            let status = answer.status().as_u16();
            let body = beginning(&target, answer).await?;
            Ok(Answer { status, body })
        };
        match tokio::time::timeout(POST_TIMEOUT, exchange).await {
            Ok(answer) => answer,
            Err(_) => {
                let message = format!("{url}: no answer within {} s", POST_TIMEOUT.as_secs());
                Err(Error::new(ErrorKind::Unavailable, message))
            }
        }
    }
}

/// The answer to a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The beginning of its body, at most 64 KiB.
    pub body: Bytes,
}

/// The answer to a GET, whose body is read piece by piece.
#[derive(Debug)]
pub struct Response {
    inner: reqwest::Response,
}

impl Response {
    /// HTTP status.
    pub fn status(&self) -> u16 {
        self.inner.status().as_u16()
    }

    /// Where it came from in the end.
    pub fn url(&self) -> &Url {
        self.inner.url()
    }

    /// A header's value, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the connection breaks or stays silent for half a minute.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.inner.chunk().await;
        chunk.map_err(|e| failed(self.inner.url(), &e))
    }
}

/// Where the answer sends us on to, if it does.
fn next_hop(from: &Url, answer: &reqwest::Response) -> Result<Option<Url>> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = answer.headers().get(LOCATION) else {
        return Ok(None);
    };
    let nowhere = || Error::invalid(format!("{from}: redirects to what is no URL"));
    let text = location.to_str().map_err(|_| nowhere())?;
    let next = from.join(text).map_err(|_| nowhere())?;
    if from.scheme() == "https" && next.scheme() == "http" {
        let message = format!("{from}: redirects from https to http, which isn't followed");
        return Err(Error::invalid(message));
    }
    Ok(Some(next))
}

async fn beginning(target: &Url, mut answer: reqwest::Response) -> Result<Bytes> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|e| failed(target, &e))? {
        let room = ANSWER_BYTES_MAX - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() >= ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(Bytes::from(body))
}

fn header_map(headers: &[(&'static str, String)]) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let unfit = |_| Error::invalid(format!("header {name} can't have the value `{value}`"));
        let value = HeaderValue::from_str(value).map_err(unfit)?;
        map.insert(HeaderName::from_static(name), value);
    }
    Ok(map)
}

/// A refused address can't be mended by another try; anything else may be.
fn failed(target: &Url, error: &reqwest::Error) -> Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        if let Some(refusal) = inner.downcast_ref::<Refusal>() {
            return Error::invalid(format!("{target}: {refusal}"));
        }
        cause = inner;
    }
    // The outer error says only that there is one; the inmost says which.
    let message = format!("requesting {target}: {cause}");
    Error::new(ErrorKind::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that gives each connection the next of `answers`.
    async fn server(answers: Vec<String>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("accepted");
                let mut head = vec![0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        address
    }

    fn redirect(to: &str) -> String {
        format!(
            "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
    }

    fn body(text: &str) -> String {
        let length = text.len();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}")
    }

    fn local() -> Client {
        let options = Options {
            allow_loopback: true,
            allow_private: false,
        };
        Client::new(options).expect("a client")
    }

    #[tokio::test]
    async fn redirects_are_followed_and_checked() {
        let address = server(vec![redirect("/clip"), body("bytes")]).await;
        let mut response = local()
            .get(&format!("http://{address}/"), &[])
            .await
            .expect("answered");
        assert_eq!(response.url().path(), "/clip");
        assert_eq!(
            response.chunk().await.expect("read").as_deref(),
            Some(&b"bytes"[..])
        );

        let address = server(vec![redirect("http://10.0.0.1/")]).await;
        let refused = local().get(&format!("http://{address}/"), &[]).await;
        let error = refused.expect_err("private");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(
            error
                .to_string()
                .contains("10.0.0.1 is in a private network")
        );

        let address = server(vec![redirect("file:///etc/passwd")]).await;
        let refused = local().get(&format!("http://{address}/"), &[]).await;
        refused.expect_err("another scheme");
    }

    #[tokio::test]
    async fn an_endless_chain_of_redirects_ends() {
        let address = server(vec![redirect("/"); 20]).await;
        let refused = local().get(&format!("http://{address}/"), &[]).await;
        assert!(
            refused
                .expect_err("endless")
                .to_string()
                .contains("redirects")
        );
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_this_machine_is_refused_for_good() {
        let client = Client::new(Options::default()).expect("a client");
        let refused = client.get("http://localhost:9/", &[]).await;
        let error = refused.expect_err("loopback");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }

    #[tokio::test]
    async fn a_webhook_follows_no_redirect_and_reads_no_endless_answer() {
        let address = server(vec![redirect("/elsewhere"), body(&"x".repeat(100_000))]).await;
        let (client, url) = (local(), format!("http://{address}/"));
        let headers = [("webhook-id", "1".to_owned())];
        let post = || client.post(&url, &headers, Bytes::new());
        assert_eq!(post().await.expect("answered").status, 302);
        assert_eq!(post().await.expect("answered").body.len(), 64 << 10);
    }
}
