//! Who may have what is delivered: the names we deliver under, the lock that only our CDN opens
//! (a secret header or a client certificate), and signed URLs and cookies. Asked before anything is
//! looked up, so that a refusal costs next to nothing and tells nothing.
//!
//! Not here: rate limits, and who may use the API.

use std::net::IpAddr;

use super::request::{Method, Refusal, Request};
use super::signed::Signatures;
pub use super::signed::{KeyFile, Scope, Signed};
use crate::error::{Error, Result};
use crate::signing::Secret;

/// The header field of the lock, unless configured otherwise.
pub const LOCK_HEADER: &str = "X-Origin-Verify";

/// Under a name that isn't ours (RFC 9110 section 15.5.20).
pub const MISDIRECTED: Refusal = Refusal {
    status: 421,
    detail: "nothing is delivered under this host name; use one that this server is configured for",
    retry_after: None,
};

/// What a request must show. By default nothing.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The host names delivered under, without ports; any, if there are none.
    pub hosts: Vec<String>,
    /// The lock that the CDN in front opens.
    pub lock: Option<Lock>,
    /// Signed URLs and cookies.
    pub signed: Signed,
}

/// The origin lock: only who shows the secret, or the certificate, gets anything.
#[derive(Debug, Clone)]
pub struct Lock {
    /// The name of the header field with the secret.
    pub header: String,
    /// The secrets that open it: one, or two while the CDN is moved from one to the other. None
    /// only where the certificate opens it.
    pub secrets: Vec<Secret>,
    /// What a client certificate is good for.
    pub certificate: Certificate,
}

impl Default for Lock {
    fn default() -> Self {
        Self {
            header: LOCK_HEADER.to_owned(),
            secrets: Vec::new(),
            certificate: Certificate::Ignored,
        }
    }
}

/// What a verified client certificate is good for at the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Certificate {
    /// For nothing.
    #[default]
    Ignored,
    /// It opens the lock, as the secret does.
    Enough,
    /// There is no way in without it; where there are secrets, one must be shown too.
    Required,
}

/// A request that was let in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admission {
    /// Whether a signature was asked for and shown: then the answer is for this client alone.
    pub is_signed: bool,
    /// The part of the query that the URLs in a manifest need too, where the proof came in it and is
    /// good for more than this URL (see [`carry`](super::carry::carry)).
    pub carried: Option<String>,
}

/// Decides who gets in.
#[derive(Debug)]
pub struct Gate {
    hosts: Vec<String>,
    lock: Option<Lock>,
    signatures: Signatures,
}

impl Gate {
    /// A gate that asks for what `options` say.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) for options that contradict
    /// themselves or protect nothing, and for keys that are none; those of reading the key files.
    pub fn new(options: &Options) -> Result<Self> {
        let hosts = options.hosts.iter().map(|host| own_host(host));
        let hosts = hosts.collect::<Result<_>>()?;
        options.lock.as_ref().map(check_lock).transpose()?;
        Ok(Self {
            hosts,
            lock: options.lock.clone(),
            signatures: Signatures::new(&options.signed)?,
        })
    }

    /// Lets `request` in, or not. `path` is its path with the escapes undone and without the first
    /// slash, `client` whom it comes from behind all proxies, `now_seconds` the time since
    /// 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// The answer to give: [`MISDIRECTED`] or [`Refusal::FORBIDDEN`].
    pub fn admit(
        &self,
        request: &Request<'_>,
        path: &str,
        client: IpAddr,
        now_seconds: u64,
    ) -> Result<Admission, Refusal> {
        if !self.is_ours(request) {
            return Err(MISDIRECTED);
        }
        if self.lock.as_ref().is_some_and(|lock| !lock.opens(request)) {
            return Err(Refusal::FORBIDDEN);
        }
        // Browsers send a preflight without cookies, and it gets nothing but rules.
        if request.method == Method::Options || !self.signatures.are_needed(path) {
            return Ok(Admission::default());
        }
        let admission = self.signatures.admit(request, path, client, now_seconds);
        admission.ok_or(Refusal::FORBIDDEN)
    }

    fn is_ours(&self, request: &Request<'_>) -> bool {
        if self.hosts.is_empty() {
            return true;
        }
        let mut named = request.all("host");
        let (Some(host), None) = (named.next(), named.next()) else {
            return false;
        };
        let name = without_port(host);
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

impl Lock {
    /// Whether the request opens it. Every secret is compared with all that is shown, so that the
    /// time doesn't tell which one matched.
    fn opens(&self, request: &Request<'_>) -> bool {
        match self.certificate {
            Certificate::Required if !request.is_certified => return false,
            Certificate::Required if self.secrets.is_empty() => return true,
            Certificate::Enough if request.is_certified => return true,
            _ => {}
        }
        let mut opens = false;
        for shown in request.all(&self.header) {
            for secret in &self.secrets {
                opens |= secret.matches(shown.as_bytes());
            }
        }
        opens
    }
}

/// A host name as it is compared.
fn own_host(host: &str) -> Result<String> {
    let refused = |why: &str| Err(Error::invalid(format!("host `{host}`: {why}")));
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(sign) {
        return refused("write a plain name like `media.example.org`");
    }
    let name = without_port(host);
    if name.len() != host.trim_end_matches('.').len() {
        return refused("leave out the port; any port is accepted");
    }
    Ok(name.to_ascii_lowercase())
}

/// The name in a `Host` field, without the port and the root's dot.
fn without_port(host: &str) -> &str {
    let after_literal = host.rfind(']').map_or(0, |at| at + 1);
    let name = match host[after_literal..].find(':') {
        Some(at) => &host[..after_literal + at],
        None => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

fn check_lock(lock: &Lock) -> Result<()> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if lock.header.is_empty() || !lock.header.bytes().all(token) {
        return Err(Error::invalid(format!(
            "`{}` is no name of a header field for the origin lock; use one like {LOCK_HEADER}",
            lock.header
        )));
    }
    match lock.secrets.len() {
        0 if lock.certificate == Certificate::Ignored => Err(Error::invalid(
            "the origin lock has no secret and takes no certificate, so nobody could open it; \
             give it a secret",
        )),
        0..=2 => Ok(()),
        count => Err(Error::invalid(format!(
            "the origin lock has {count} secrets; give it one, or two while changing them"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Field;
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OLD: &str = "the-old-secret-of-the-cdn";
    const NEW: &str = "the-new-secret-of-the-cdn";

    fn status(gate: &Gate, fields: &[(&str, &str)], is_certified: bool) -> u16 {
        let fields = fields.iter().map(|(name, value)| Field {
            name,
            value: value.as_bytes(),
        });
        let fields: Vec<_> = fields.collect();
        let request = Request {
            method: Method::Get,
            path: "/v/cats/index.m3u8",
            query: None,
            fields: &fields,
            peer: CLIENT,
            is_secure: true,
            is_certified,
        };
        let admitted = gate.admit(&request, "v/cats/index.m3u8", CLIENT, 0);
        admitted.map_or_else(|refusal| refusal.status, |_| 200)
    }

    fn locked(secrets: &[&str], certificate: Certificate) -> Options {
        let secrets = secrets.iter().map(|secret| Secret::new(*secret).unwrap());
        let lock = Lock {
            secrets: secrets.collect(),
            certificate,
            ..Lock::default()
        };
        Options {
            lock: Some(lock),
            ..Options::default()
        }
    }

    #[test]
    fn without_options_everybody_gets_in() {
        let gate = Gate::new(&Options::default()).unwrap();
        assert_eq!(status(&gate, &[], false), 200);
        assert_eq!(status(&gate, &[("Host", "anything.example")], false), 200);
    }

    #[test]
    fn only_our_names_are_delivered_under() {
        let hosts = ["media.example.org", "MEDIA.example.net.", "[2001:db8::1]"];
        let options = Options {
            hosts: hosts.map(str::to_owned).to_vec(),
            ..Options::default()
        };
        let gate = Gate::new(&options).unwrap();
        for host in [
            "media.example.org",
            "Media.Example.Org:8443",
            "media.example.org.",
            "media.example.net:80",
            "[2001:db8::1]:8080",
        ] {
            assert_eq!(status(&gate, &[("host", host)], false), 200, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "media.example.org.evil.example",
            "evil@media.example.org",
            "media.example.org/x",
            "[2001:db8::2]",
            "]",
        ] {
            assert_eq!(status(&gate, &[("host", host)], false), 421, "{host}");
        }
        let twice = [("host", "media.example.org"), ("host", "evil.example")];
        assert_eq!(status(&gate, &twice, false), 421);
        assert_eq!(status(&gate, &[], false), 421);
    }

    #[test]
    fn both_secrets_open_the_lock_while_they_change() {
        let gate = Gate::new(&locked(&[OLD, NEW], Certificate::Ignored)).unwrap();
        assert_eq!(status(&gate, &[("x-origin-verify", OLD)], false), 200);
        assert_eq!(status(&gate, &[(LOCK_HEADER, NEW)], false), 200);
        for wrong in ["", "x", &NEW[1..], "the-new-secret-of-the-cdN"] {
            assert_eq!(status(&gate, &[(LOCK_HEADER, wrong)], false), 403);
        }
        assert_eq!(status(&gate, &[], true), 403);
        assert_eq!(status(&gate, &[("X-Other", OLD)], false), 403);
    }

    #[test]
    fn a_certificate_opens_the_lock_where_it_may() {
        let either = Gate::new(&locked(&[OLD], Certificate::Enough)).unwrap();
        assert_eq!(status(&either, &[], true), 200);
        assert_eq!(status(&either, &[(LOCK_HEADER, OLD)], false), 200);
        assert_eq!(status(&either, &[], false), 403);
        let both = Gate::new(&locked(&[OLD], Certificate::Required)).unwrap();
        assert_eq!(status(&both, &[], true), 403);
        assert_eq!(status(&both, &[(LOCK_HEADER, OLD)], false), 403);
        assert_eq!(status(&both, &[(LOCK_HEADER, OLD)], true), 200);
        let alone = Gate::new(&locked(&[], Certificate::Required)).unwrap();
        assert_eq!(status(&alone, &[], true), 200);
        assert_eq!(status(&alone, &[], false), 403);
    }

    #[test]
    fn options_that_protect_nothing_are_refused_in_words() {
        let words = |options: &Options| Gate::new(options).unwrap_err().to_string();
        assert!(words(&locked(&[], Certificate::Ignored)).contains("no secret"));
        assert!(words(&locked(&[OLD, NEW, OLD], Certificate::Ignored)).contains("3 secrets"));
        let mut unnamed = locked(&[OLD], Certificate::Ignored);
        unnamed.lock.as_mut().unwrap().header = "X Verify".to_owned();
        assert!(words(&unnamed).contains("X Verify"));
        for (host, why) in [
            ("a.example:80", "port"),
            ("https://a", "plain name"),
            ("", ""),
        ] {
            let options = Options {
                hosts: vec![host.to_owned()],
                ..Options::default()
            };
            assert!(words(&options).contains(why));
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let options = locked(&[OLD], Certificate::Ignored);
        let shown = format!("{options:?} {:?}", Gate::new(&options).unwrap());
        assert!(!shown.contains(OLD), "{shown}");
    }
}
