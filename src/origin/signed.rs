//! Signed URLs and signed cookies at the gate: where one is needed, and which of those a request
//! shows counts.
//!
//! What is in the query counts alone; otherwise the cookies do. Either may be one of our own tokens or
//! a signature of CloudFront's. What is answered to a signed request is for its client alone, unless
//! the cache in front asks for signatures itself.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::gate::Admission;
use super::request::Request;
use crate::asset_view::BaseUrl;
use crate::error::{Error, Result};
use crate::signing::cloudfront::{Grant, Shown, Verifier, unsigned_url};
use crate::signing::{PublicKey, TOKEN_NAME, TokenKeys, cookies};

/// So many cookies of one name are looked at.
const MOST_TOKENS: usize = 4;

/// Signed URLs and cookies. By default none are needed.
#[derive(Debug, Clone, Default)]
pub struct Signed {
    /// What needs a signature.
    pub scope: Scope,
    /// The file with the keys of our own tokens (see [`TokenKeys::parse`]).
    pub token_keys: Option<PathBuf>,
    /// The public keys of CloudFront's signatures.
    pub cloudfront_keys: Vec<KeyFile>,
    /// What clients' URLs begin with. CloudFront's signatures are over whole URLs, so it must be
    /// there for them.
    pub public_url: Option<BaseUrl>,
}

/// What needs a signature.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// Nothing.
    #[default]
    Nothing,
    /// Everything delivered.
    Everything,
    /// What lies in these folders, like `/v/cats/`.
    Folders(Vec<String>),
}

/// A public key and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// The id in `Key-Pair-Id`.
    pub key_pair_id: String,
    /// The PEM file.
    pub file: PathBuf,
}

/// Looks at the signatures that requests show.
#[derive(Debug)]
pub(super) struct Signatures {
    scope: Scope,
    tokens: Option<TokenKeys>,
    /// With what the URLs begin with.
    cloudfront: Option<(Verifier, String)>,
}

impl Signatures {
    /// Reads the keys.
    pub(super) fn new(options: &Signed) -> Result<Self> {
        let tokens = options.token_keys.as_deref().map(token_keys).transpose()?;
        let signatures = Self {
            scope: own_scope(&options.scope)?,
            tokens,
            cloudfront: cloudfront(options)?,
        };
        let keyless = signatures.tokens.is_none() && signatures.cloudfront.is_none();
        if keyless && signatures.scope != Scope::Nothing {
            let why = "signatures are needed, but there is no key to verify them with; \
                give a file of token keys or CloudFront's public keys";
            return Err(Error::invalid(why));
        }
        Ok(signatures)
    }

    /// Whether `path` (without its first slash) needs a signature. An asset may be found with a
    /// `v/` more or less than it lies under, so these count for nothing on either side: rather too
    /// much is protected than too little.
    pub(super) fn are_needed(&self, path: &str) -> bool {
        let path = without_rooms(path);
        match &self.scope {
            Scope::Nothing => false,
            Scope::Everything => true,
            Scope::Folders(folders) => folders
                .iter()
                .any(|folder| path.starts_with(without_rooms(folder))),
        }
    }

    /// The admission of a request that shows a good signature.
    pub(super) fn admit(
        &self,
        request: &Request<'_>,
        path: &str,
        client: IpAddr,
        now_seconds: u64,
    ) -> Option<Admission> {
        let asked = Asked {
            request,
            path: format!("/{path}"),
            client,
            now_seconds,
        };
        let query = request.query.unwrap_or_default();
        if let Some(token) = token_in(query) {
            return self.by_token(&asked, token?);
        }
        if let Some(shown) = Shown::in_query(query) {
            let grant = self.by_cloudfront(&asked, &shown)?;
            return Some(Admission {
                is_signed: true,
                carried: (grant == Grant::Many).then(|| shown.query()),
            });
        }
        self.by_cookies(&asked)
    }

    fn by_token(&self, asked: &Asked<'_>, token: &str) -> Option<Admission> {
        let (client, now) = (asked.client, asked.now_seconds);
        let tokens = self.tokens.as_ref()?;
        let claims = tokens.verify(token, &asked.path, client, now)?;
        Some(Admission {
            is_signed: true,
            carried: claims.is_folder().then(|| format!("{TOKEN_NAME}={token}")),
        })
    }

    fn by_cloudfront(&self, asked: &Asked<'_>, shown: &Shown<'_>) -> Option<Grant> {
        let (verifier, base) = self.cloudfront.as_ref()?;
        let url = unsigned_url(base, asked.request.path, asked.request.query);
        verifier.verify(shown, &url, asked.client, asked.now_seconds)
    }

    fn by_cookies(&self, asked: &Asked<'_>) -> Option<Admission> {
        let signed = Admission {
            is_signed: true,
            carried: None,
        };
        let pairs = asked.request.all("cookie").flat_map(cookies);
        let tokens = pairs.filter(|(name, _)| *name == TOKEN_NAME);
        for (_, token) in tokens.take(MOST_TOKENS) {
            if self.by_token(asked, token).is_some() {
                return Some(signed);
            }
        }
        let shown = Shown::in_cookies(asked.request.all("cookie"))?;
        self.by_cloudfront(asked, &shown).map(|_| signed)
    }
}

/// What is asked, by whom and when.
struct Asked<'a> {
    request: &'a Request<'a>,
    /// Without escapes, with its first slash.
    path: String,
    client: IpAddr,
    now_seconds: u64,
}

/// Our token in a query: `Some(None)` where there are several.
fn token_in(query: &str) -> Option<Option<&str>> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut tokens = pairs.filter(|(name, _)| *name == TOKEN_NAME);
    let (_, token) = tokens.next()?;
    Some(tokens.next().is_none().then_some(token))
}

/// A path without any `v/` that it begins with.
fn without_rooms(path: &str) -> &str {
    path.trim_start_matches("v/")
}

fn own_scope(scope: &Scope) -> Result<Scope> {
    let Scope::Folders(folders) = scope else {
        return Ok(scope.clone());
    };
    if folders.is_empty() {
        return Err(Error::invalid("no folder is named that needs a signature"));
    }
    let mut own = Vec::new();
    for folder in folders {
        let inner = folder.trim_matches('/');
        let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
        if !inner.split('/').all(plain) {
            let fix = "write one like `/v/cats/`, without escapes";
            return Err(Error::invalid(format!(
                "`{folder}` is no folder of a URL; {fix}"
            )));
        }
        own.push(format!("{inner}/"));
    }
    Ok(Scope::Folders(own))
}

fn token_keys(file: &Path) -> Result<TokenKeys> {
    TokenKeys::parse(&text_of(file)?).map_err(|e| e.context(file.display()))
}

fn cloudfront(options: &Signed) -> Result<Option<(Verifier, String)>> {
    if options.cloudfront_keys.is_empty() {
        return Ok(None);
    }
    let Some(base) = &options.public_url else {
        let why = "CloudFront's signatures are over whole URLs; configure the public URL";
        return Err(Error::invalid(why));
    };
    let mut keys = Vec::new();
    for KeyFile { key_pair_id, file } in &options.cloudfront_keys {
        let key = PublicKey::from_pem(&text_of(file)?).map_err(|e| e.context(file.display()))?;
        keys.push((key_pair_id.clone(), key));
    }
    Ok(Some((Verifier::new(keys)?, base.join(""))))
}

fn text_of(file: &Path) -> Result<String> {
    let reading = format!("reading {}", file.display());
    std::fs::read_to_string(file).map_err(|e| Error::io(reading, e))
}

#[cfg(test)]
mod tests {
    use super::super::gate::{Gate, Options};
    use super::super::request::{Field, Method, Refusal};
    use super::*;
    use crate::signing::{Claims, Hash, Network, Policy, PrivateKey, Signer};

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const NOW: u64 = 1_800_000_000;
    const ID: &str = "K2JCJMDEHXQW5F";
    const KEYS: &str = "k1 a-secret-of-the-tests-only";

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/signing")
            .join(name)
    }

    fn options(scope: Scope, keys: &Path) -> Options {
        let signed = Signed {
            scope,
            token_keys: Some(keys.to_owned()),
            cloudfront_keys: vec![KeyFile {
                key_pair_id: ID.to_owned(),
                file: fixture("rsa_public.pem"),
            }],
            public_url: Some(BaseUrl::parse("https://media.example.org").unwrap()),
        };
        Options {
            signed,
            ..Options::default()
        }
    }

    fn gate(scope: Scope) -> Gate {
        let keys = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(keys.path(), KEYS).unwrap();
        Gate::new(&options(scope, keys.path())).unwrap()
    }

    fn ask(
        gate: &Gate,
        path: &str,
        query: Option<&str>,
        cookies: &[&str],
    ) -> Result<Admission, Refusal> {
        let fields = cookies.iter().map(|value| Field {
            name: "Cookie",
            value: value.as_bytes(),
        });
        let fields: Vec<_> = fields.collect();
        let request = Request {
            method: Method::Get,
            path,
            query,
            fields: &fields,
            peer: CLIENT,
            is_secure: true,
            is_certified: false,
        };
        gate.admit(&request, &path[1..], CLIENT, NOW)
    }

    fn token(path: &str) -> String {
        let claims = Claims {
            path: path.to_owned(),
            until: NOW + 60,
            from: None,
            network: Some(Network::parse("192.0.2.0/24").unwrap()),
        };
        TokenKeys::parse(KEYS).unwrap().make(&claims).unwrap()
    }

    fn signature(resource: &str) -> crate::signing::Signature {
        let pem = std::fs::read_to_string(fixture("rsa_pkcs8.pem")).unwrap();
        let signer = Signer::new(PrivateKey::from_pem(&pem).unwrap(), ID, Hash::Sha256).unwrap();
        let resource = format!("https://media.example.org{resource}");
        if !resource.contains('*') {
            return signer.canned(&resource, NOW + 60).unwrap();
        }
        let policy = Policy {
            resource: Some(resource),
            until: NOW + 60,
            from: None,
            network: None,
        };
        signer.custom(&policy).unwrap()
    }

    fn signed(carried: Option<&str>) -> Result<Admission, Refusal> {
        Ok(Admission {
            is_signed: true,
            carried: carried.map(str::to_owned),
        })
    }

    const PATH: &str = "/v/cats/index.m3u8";

    #[test]
    fn a_token_in_the_query_or_a_cookie_lets_in() {
        let gate = gate(Scope::Everything);
        assert_eq!(ask(&gate, PATH, None, &[]), Err(Refusal::FORBIDDEN));
        let folder = format!("hw-token={}", token("/v/cats/"));
        assert_eq!(ask(&gate, PATH, Some(&folder), &[]), signed(Some(&folder)));
        let more = format!("CMCD=x&{folder}&y");
        assert_eq!(ask(&gate, PATH, Some(&more), &[]), signed(Some(&folder)));
        let one = format!("hw-token={}", token(PATH));
        assert_eq!(ask(&gate, PATH, Some(&one), &[]), signed(None));
        let stale = "a=b; hw-token=1.k1.1...x.y";
        assert_eq!(ask(&gate, PATH, None, &[stale, &folder]), signed(None));
        let dogs = "/v/dogs/index.m3u8";
        assert_eq!(
            ask(&gate, dogs, Some(&folder), &[]),
            Err(Refusal::FORBIDDEN)
        );
        assert_eq!(ask(&gate, dogs, None, &[&folder]), Err(Refusal::FORBIDDEN));
    }

    #[test]
    fn what_is_in_the_query_counts_alone() {
        let gate = gate(Scope::Everything);
        let folder = format!("hw-token={}", token("/v/cats/"));
        let doubled = format!("{folder}&{folder}");
        for query in ["hw-token=", "Signature=x", &doubled] {
            let answer = ask(&gate, PATH, Some(query), &[&folder]);
            assert_eq!(answer, Err(Refusal::FORBIDDEN), "{query}");
        }
        let answer = ask(&gate, PATH, Some("Expires=1&Policy=x"), &[&folder]);
        assert_eq!(answer, signed(None));
    }

    #[test]
    fn a_signature_of_cloudfronts_lets_in() {
        let gate = gate(Scope::Everything);
        let canned = signature("/v/cats/index%2Em3u8?a=b").query();
        let escaped = "/v/cats/index%2Em3u8";
        let asked = |query: &str| ask(&gate, escaped, Some(query), &[]);
        assert_eq!(asked(&format!("a=b&{canned}")), signed(None));
        assert_eq!(asked(&canned), Err(Refusal::FORBIDDEN));
        let custom = signature("/v/cats/*");
        let query = custom.query();
        let carried = ask(&gate, PATH, Some(&format!("CMCD=x&{query}")), &[]);
        assert_eq!(carried, signed(Some(&query)));
        let pairs = custom
            .cookies()
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        let cookies = pairs.collect::<Vec<_>>().join("; ");
        assert_eq!(ask(&gate, PATH, None, &[&cookies]), signed(None));
        let dogs = ask(&gate, "/v/dogs/index.m3u8", None, &[&cookies]);
        assert_eq!(dogs, Err(Refusal::FORBIDDEN));
    }

    #[test]
    fn only_what_is_in_scope_needs_a_signature() {
        let folders = Scope::Folders(vec!["v/cats".to_owned(), "/v/owls/".to_owned()]);
        let gate = gate(folders);
        for (path, open) in [
            (PATH, false),
            ("/v/cats/r/v720/1.m4s", false),
            ("/v/owls/index.m3u8", false),
            ("/cats/index.m3u8", false),
            ("/v/catsuits/index.m3u8", true),
            ("/v/dogs/index.m3u8", true),
        ] {
            let open_answer = Ok(Admission::default());
            let expected = if open {
                open_answer
            } else {
                Err(Refusal::FORBIDDEN)
            };
            assert_eq!(ask(&gate, path, None, &[]), expected, "{path}");
        }
    }

    #[test]
    fn a_room_more_or_less_protects_no_less() {
        for folder in ["/v/cats/", "/cats/", "/v/v/cats/"] {
            let scope = own_scope(&Scope::Folders(vec![folder.to_owned()])).unwrap();
            let signatures = Signatures {
                scope,
                tokens: None,
                cloudfront: None,
            };
            for path in [
                "cats/index.m3u8",
                "v/cats/index.m3u8",
                "v/v/cats/index.m3u8",
            ] {
                assert!(signatures.are_needed(path), "{folder} {path}");
            }
            assert!(!signatures.are_needed("v/dogs/index.m3u8"), "{folder}");
        }
        let all = own_scope(&Scope::Folders(vec!["/v/".to_owned()])).unwrap();
        let signatures = Signatures {
            scope: all,
            tokens: None,
            cloudfront: None,
        };
        assert!(signatures.are_needed("top/index.m3u8"));
    }

    #[test]
    fn a_preflight_needs_no_signature() {
        let gate = gate(Scope::Everything);
        let request = Request {
            method: Method::Options,
            path: PATH,
            query: None,
            fields: &[],
            peer: CLIENT,
            is_secure: true,
            is_certified: false,
        };
        let admitted = gate.admit(&request, &PATH[1..], CLIENT, NOW);
        assert_eq!(admitted, Ok(Admission::default()));
    }

    #[test]
    fn options_that_can_verify_nothing_are_refused_in_words() {
        let words = |change: fn(&mut Signed)| {
            let keys = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(keys.path(), KEYS).unwrap();
            let mut options = options(Scope::Everything, keys.path());
            change(&mut options.signed);
            Gate::new(&options).unwrap_err().to_string()
        };
        let keyless = words(|signed| {
            signed.token_keys = None;
            signed.cloudfront_keys.clear();
        });
        assert!(keyless.contains("no key"), "{keyless}");
        assert!(words(|signed| signed.public_url = None).contains("public URL"));
        assert!(words(|signed| signed.scope = Scope::Folders(vec![])).contains("no folder"));
        assert!(
            words(|signed| signed.scope = Scope::Folders(vec!["/".to_owned()])).contains("`/`")
        );
        let missing = words(|signed| signed.token_keys = Some("nowhere/keys".into()));
        assert!(missing.contains("nowhere/keys"), "{missing}");
        let private = words(|signed| signed.cloudfront_keys[0].file = fixture("ec_sec1.pem"));
        assert!(
            private.contains("ec_sec1.pem: this is a private key"),
            "{private}"
        );
        let twice = words(|signed| {
            signed
                .cloudfront_keys
                .push(signed.cloudfront_keys[0].clone());
        });
        assert!(twice.contains("twice"), "{twice}");
    }
}
