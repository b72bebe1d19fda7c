//! A CA that speaks ACME over HTTPS, strict where a lax client would fail with a real one: every
//! nonce is good once, every signature and URL is checked, and challenges are looked at by TLS.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use rcgen::date_time_ymd;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::jws::{self, AccountKey, Signed};
use super::validation;
use crate::tls::tests::pki::Authority;

/// What a test makes the CA do.
#[derive(Debug, Default)]
pub(super) struct Mood {
    /// Answers this problem, with this status, to orders.
    pub(super) refuse_orders: Option<(u16, &'static str)>,
    /// Says once that a good nonce is bad.
    pub(super) bad_nonce: bool,
    /// Has names proved already.
    pub(super) knows_names: bool,
    /// Issues for this name instead.
    pub(super) misissue: Option<&'static str>,
}

#[derive(Debug)]
struct Order {
    names: Vec<String>,
    /// Of each name, how its challenge went.
    proofs: Vec<Option<Result<(), String>>>,
    chain: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) mood: Mood,
    nonces: HashSet<String>,
    next_nonce: u64,
    pub(super) accounts: HashMap<String, AccountKey>,
    pub(super) contacts: Vec<Value>,
    orders: Vec<Order>,
}

/// The CA, while it is kept.
pub(super) struct Directory {
    pub(super) base: String,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) issuer: Arc<Authority>,
    /// Where the CA finds the names that it looks at.
    target: u16,
}

/// An answer: status, headers besides the usual, body.
type Answer = (u16, Vec<(&'static str, String)>, String);

impl Directory {
    /// Starts a CA whose own certificate is from `web`, and to which all names are at the port
    /// `target`.
    pub(super) async fn start(web: &Authority, target: u16) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let directory = Arc::new(Self {
            base: format!(
                "https://localhost:{}",
                listener.local_addr().unwrap().port()
            ),
            state: Arc::default(),
            issuer: Arc::new(Authority::new("issuer")),
            target,
        });
        let issued = web.issue("localhost");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(issued.chain_der(web), issued.key_der())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let serving = Arc::clone(&directory);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, directory) = (acceptor.clone(), Arc::clone(&serving));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        directory.serve(BufStream::new(stream)).await;
                    }
                });
            }
        });
        directory
    }

    pub(super) fn orders(&self) -> usize {
        self.state.lock().unwrap().orders.len()
    }

    async fn serve(&self, mut stream: BufStream<TlsStream<TcpStream>>) {
        while let Some((method, path, content_type, body)) = read_request(&mut stream).await {
            let (status, mut headers, text) = match &*method {
                "POST" => {
                    assert_eq!(content_type, "application/jose+json");
                    self.post(&path, &body).await
                }
                _ => self.get(&path),
            };
            headers.push(("Replay-Nonce", self.nonce()));
            headers.push(("Content-Length", text.len().to_string()));
            let mut answer = format!("HTTP/1.1 {status} -\r\n");
            for (name, value) in headers {
                answer += &format!("{name}: {value}\r\n");
            }
            answer += "\r\n";
            if method != "HEAD" {
                answer += &text;
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
    }

    fn nonce(&self) -> String {
        let mut state = self.state.lock().unwrap();
        state.next_nonce += 1;
        let nonce = format!("nonce{}", state.next_nonce);
        state.nonces.insert(nonce.clone());
        nonce
    }

    fn get(&self, path: &str) -> Answer {
        let url = |name: &str| format!("{}/{name}", self.base);
        match path {
            "/directory" => ok(json!({
                "newNonce": url("nonce"), "newAccount": url("account"), "newOrder": url("order"),
                "revokeCert": url("revoke"), "keyChange": url("key"),
            })),
            "/nonce" => (200, Vec::new(), String::new()),
            _ => panic!("GET {path}"),
        }
    }

    async fn post(&self, path: &str, body: &[u8]) -> Answer {
        let opened = jws::open(body, |kid| {
            self.state.lock().unwrap().accounts.get(kid).cloned()
        });
        let Some(signed) = opened else {
            return problem(400, "accountDoesNotExist", "no such account");
        };
        assert_eq!(signed.header["url"], format!("{}{path}", self.base));
        if !self.take_nonce(signed.header["nonce"].as_str().unwrap()) {
            return problem(400, "badNonce", "used or unknown");
        }
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let number = |at: usize| parts[at].parse::<usize>().unwrap();
        match parts[0] {
            "account" => self.new_account(&signed),
            "order" if parts.len() == 1 => self.new_order(&signed),
            "order" => ok(self.order(number(1))),
            "authz" => ok(self.authorization(number(1), number(2))),
            "challenge" => self.challenge(number(1), number(2), &signed).await,
            "finalize" => self.finalize(number(1), &signed),
            "certificate" => self.certificate(number(1)),
            _ => panic!("POST {path}"),
        }
    }

    fn take_nonce(&self, nonce: &str) -> bool {
        let mut state = self.state.lock().unwrap();
        let is_known = state.nonces.remove(nonce);
        is_known && !std::mem::take(&mut state.mood.bad_nonce)
    }

    fn new_account(&self, signed: &Signed) -> Answer {
        assert_eq!(signed.payload["termsOfServiceAgreed"], true);
        let mut state = self.state.lock().unwrap();
        let kid = format!("{}/account/{}", self.base, state.accounts.len());
        state.accounts.insert(kid.clone(), signed.key.clone());
        state.contacts.push(signed.payload["contact"].clone());
        let body = json!({"status": "valid"}).to_string();
        (201, vec![("Location", kid)], body)
    }

    fn new_order(&self, signed: &Signed) -> Answer {
        assert!(signed.header["kid"].is_string());
        let mut names = Vec::new();
        for identifier in signed.payload["identifiers"].as_array().unwrap() {
            assert_eq!(identifier["type"], "dns");
            names.push(String::from(identifier["value"].as_str().unwrap()));
        }
        let number = {
            let mut state = self.state.lock().unwrap();
            let known = state.mood.knows_names.then_some(Ok(()));
            state.orders.push(Order {
                proofs: vec![known; names.len()],
                names,
                chain: None,
            });
            if let Some((status, name)) = state.mood.refuse_orders {
                return problem(status, name, "not now");
            }
            state.orders.len() - 1
        };
        let location = format!("{}/order/{number}", self.base);
        (
            201,
            vec![("Location", location)],
            self.order(number).to_string(),
        )
    }

    fn order(&self, number: usize) -> Value {
        let state = self.state.lock().unwrap();
        let order = &state.orders[number];
        let url = |what: &str| format!("{}/{what}/{number}", self.base);
        let status = match &order.proofs {
            _ if order.chain.is_some() => "valid",
            proofs if proofs.contains(&None) => "pending",
            proofs if proofs.iter().flatten().all(Result::is_ok) => "ready",
            _ => "invalid",
        };
        let authorizations = (0..order.names.len()).map(|at| format!("{}/{at}", url("authz")));
        json!({
            "status": status,
            "authorizations": authorizations.collect::<Vec<_>>(),
            "finalize": url("finalize"),
            "certificate": order.chain.as_ref().map(|_| url("certificate")),
        })
    }

    fn authorization(&self, number: usize, at: usize) -> Value {
        let state = self.state.lock().unwrap();
        let order = &state.orders[number];
        let (status, error) = match &order.proofs[at] {
            None => ("pending", Value::Null),
            Some(Ok(())) => ("valid", Value::Null),
            Some(Err(why)) => ("invalid", json!({"type": "connection", "detail": why})),
        };
        let challenge = |kind: &str| {
            json!({
                "type": kind,
                "url": format!("{}/challenge/{number}/{at}", self.base),
                "token": token(number, at),
                "status": status,
                "error": error,
            })
        };
        json!({
            "status": status,
            "identifier": {"type": "dns", "value": order.names[at]},
            "challenges": [challenge("http-01"), challenge("tls-alpn-01")],
        })
    }

    async fn challenge(&self, number: usize, at: usize, signed: &Signed) -> Answer {
        assert_eq!(signed.payload, json!({}));
        let name = self.state.lock().unwrap().orders[number].names[at].clone();
        let authorization = format!("{}.{}", token(number, at), signed.key.thumbprint());
        let seen = validation::look(self.target, &name, &authorization).await;
        self.state.lock().unwrap().orders[number].proofs[at] = Some(seen);
        let mut challenge = self.authorization(number, at)["challenges"][1].take();
        challenge["error"] = Value::Null;
        ok(challenge)
    }

    fn finalize(&self, number: usize, signed: &Signed) -> Answer {
        assert_eq!(self.order(number)["status"], "ready");
        {
            let mut state = self.state.lock().unwrap();
            let csr = jws::decode(signed.payload["csr"].as_str().unwrap());
            let key = jws::open_csr(&csr, &state.orders[number].names);
            let mut names = state.orders[number].names.clone();
            if let Some(other) = state.mood.misissue {
                names = vec![other.into()];
            }
            let mut params = rcgen::CertificateParams::new(names).unwrap();
            params.not_before = date_time_ymd(2025, 6, 14);
            params.use_authority_key_identifier_extension = true;
            let leaf = params.signed_by(&key, &self.issuer.intermediate).unwrap();
            let chain = leaf.pem() + "\n" + &self.issuer.intermediate.pem();
            state.orders[number].chain = Some(chain);
        }
        ok(self.order(number))
    }

    fn certificate(&self, number: usize) -> Answer {
        let chain = self.state.lock().unwrap().orders[number].chain.clone();
        let kind = String::from("application/pem-certificate-chain");
        (200, vec![("Content-Type", kind)], chain.unwrap())
    }
}

fn token(number: usize, at: usize) -> String {
    format!("token-{number}-{at}")
}

fn ok(body: Value) -> Answer {
    (200, Vec::new(), body.to_string())
}

fn problem(status: u16, name: &str, detail: &str) -> Answer {
    let kind = format!("urn:ietf:params:acme:error:{name}");
    let body = json!({"type": kind, "detail": detail, "status": status});
    (status, Vec::new(), body.to_string())
}

/// Method, path, content type and body; `None` at the end of the connection.
async fn read_request(
    stream: &mut BufStream<TlsStream<TcpStream>>,
) -> Option<(String, String, String, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split(' ').map(String::from);
    let (method, path) = (words.next()?, words.next()?);
    let (mut length, mut content_type) = (0, String::new());
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        match &*name.to_ascii_lowercase() {
            "content-length" => length = value.parse().unwrap(),
            "content-type" => content_type = value.into(),
            "transfer-encoding" => panic!("an ACME server needs no chunks"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((method, path, content_type, body))
}
