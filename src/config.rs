//! The server's configuration: a TOML file, then the environment, then flags, each over the one
//! before. Everything has a default; an unknown key is an error. Only here is the environment read.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::media::Policy;

/// Name of the policy that uploads without one are made by.
pub const DEFAULT_POLICY: &str = "default";

/// Everything that can be set. The key in a file is the field's name.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder of catalog, sources, scratch files and, unless `store` names another place, of all
    /// objects.
    pub data: Option<PathBuf>,
    /// `ADDRESS:PORT` to listen on.
    pub listen: String,
    /// `ADDRESS:PORT` that delivers `/v/` and nothing else, so that a CDN reaches nothing else.
    pub delivery_listen: Option<String>,
    /// Where objects are kept: a directory, or `s3://bucket/prefix`; `data` if not given.
    pub store: Option<String>,
    /// The catalog: `sqlite:///path`; a file in `data` if not given.
    pub database: Option<String>,
    /// Tasks worked on at a time in the background; one a core if not given. 0 leaves the work to
    /// others.
    pub workers: Option<usize>,
    /// What playback URLs begin with, for example `https://video.example.com`; the address that
    /// the API was asked at if not given.
    pub public_url: Option<String>,
    /// Host names that the API answers to beside those of a loopback listener, while it is open.
    pub hosts: Vec<String>,
    /// Origins of web pages that may use the API, for example `https://app.example.com`.
    pub allowed_origins: Vec<String>,
    /// Let sources be pulled from, and webhooks be sent to, private addresses.
    pub allow_private_addresses: bool,
    /// Refuse to decode where the system can't confine the decoder fully.
    pub strict_sandbox: bool,
    /// The file with the secret that content keys are derived from (64 hexadecimal digits), or with
    /// a list of keys; `keys.secret` in `data`, made at the first start, if not given.
    pub key_file: Option<PathBuf>,
    /// TLS of both listeners; plain HTTP without it.
    pub tls: Option<crate::tls::Options>,
    /// How objects are delivered.
    pub delivery: Delivery,
    /// What delivery holds ready.
    pub cache: Cache,
    /// Bounds of what is taken in, and of connections.
    pub limits: Limits,
    /// Policies by name; `default` is what uploads without one are made by.
    pub policies: BTreeMap<String, PolicyOverlay>,
}

/// How objects are delivered, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// Host names delivered under; any, if there are none.
    pub hosts: Vec<String>,
    /// The CDN in front, which decides some headers: `none`, `cloudfront`, `fastly`,
    /// `cloudflare`, `akamai` or `google`; `cloudfront` if not given.
    pub cdn: Option<String>,
    /// Proxies in front that are trusted to say, in `X-Forwarded-For`, whom they ask for.
    pub trusted_hops: u8,
    /// Believe `CloudFront-Viewer-Address`: only where nobody but CloudFront reaches the server.
    pub believe_viewer_address: bool,
    /// The lock that only the CDN opens.
    pub lock: Option<Lock>,
    /// Signed URLs and cookies.
    pub signed: Signed,
    /// How often one client may ask.
    pub rate: Rate,
    /// Say in `CMSD-Static` (CTA-5006) what each object is.
    pub cmsd: bool,
    /// Where the access log goes: a path, or `-` for standard output; none if not given.
    pub access_log: Option<String>,
}

/// The origin lock.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lock {
    /// The header field that the CDN sends; `X-Origin-Verify` if not given.
    pub header: Option<String>,
    /// Its value; two while the CDN is moved from one to the other.
    pub secrets: Vec<String>,
    /// What a verified client certificate is good for: `ignored`, `enough` or `required`.
    pub certificate: Option<String>,
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lock")
            .field("header", &self.header)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// Signed URLs and cookies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signed {
    /// Everything delivered needs a signature.
    pub everything: bool,
    /// What lies in these folders does, like `/v/cats/`.
    pub folders: Vec<String>,
    /// File with the keys of our own tokens.
    pub token_keys: Option<PathBuf>,
    /// Files of CloudFront's public keys by their ids.
    pub cloudfront_keys: BTreeMap<String, PathBuf>,
}

/// How often one client may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rate {
    /// Requests a second in the long run; no limit if not given.
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests at once after a pause; 200 if not given.
    pub burst: Option<NonZeroU32>,
}

/// What delivery holds ready.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Bytes held in memory; 268435456 if not given.
    pub memory_bytes: Option<u64>,
    /// Files held open; 2048 if not given.
    pub open_files: Option<u64>,
    /// Reads of the store at a time, each with up to 1 MiB in memory; 64 if not given.
    pub store_reads: Option<usize>,
    /// Folder, of its own, of a disk tier for a store that is no directory; none if not given.
    pub disk_folder: Option<PathBuf>,
    /// Bytes that objects may take there; 10737418240 if not given.
    pub disk_bytes: Option<u64>,
    /// Milliseconds that the store may take for its first answer; 2500 if not given.
    pub store_timeout_millis: Option<u64>,
}

/// Bounds of what is taken in, each named in the error that it causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest source in bytes.
    pub max_upload_bytes: u64,
    /// Uploads that may send bytes at a time.
    pub max_concurrent_uploads: usize,
    /// Bytes of the disk that uploads leave free.
    pub min_free_disk_bytes: u64,
    /// Slowest upload in bytes a second, over half a minute.
    pub min_upload_bytes_per_second: u64,
    /// How long an upload may be silent, in seconds.
    pub upload_idle_seconds: u64,
    /// How long an unfinished resumable upload is kept, in seconds.
    pub upload_expiry_seconds: u64,
    /// Longest presentation in seconds.
    pub max_duration_seconds: u32,
    /// Largest picture in pixels.
    pub max_pixels: u64,
    /// Connections at a time, on each listener; those beyond are closed at once.
    pub max_connections: usize,
    /// How long the head of a request, or a TLS handshake, may take, in seconds.
    pub request_head_seconds: u64,
    /// How long an idle connection is kept, in seconds: longer than any CDN keeps one.
    pub keep_alive_seconds: u64,
    /// How long a reader may take nothing of an answer, in seconds.
    pub reader_stall_seconds: u64,
    /// Slowest reader of an answer in bytes a second, on average, once that time has passed.
    pub min_delivery_bytes_per_second: u64,
    /// How long transfers may go on after the server was told to stop, in seconds.
    pub drain_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_upload_bytes: 100 << 30,
            max_concurrent_uploads: 32,
            min_free_disk_bytes: 1 << 30,
            min_upload_bytes_per_second: 4096,
            upload_idle_seconds: 60,
            upload_expiry_seconds: 24 * 3600,
            max_duration_seconds: 12 * 3600,
            max_pixels: 8192 * 4320,
            max_connections: 10_000,
            request_head_seconds: 5,
            keep_alive_seconds: 185,
            reader_stall_seconds: 30,
            min_delivery_bytes_per_second: 4096,
            drain_seconds: 25,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: None,
            listen: "127.0.0.1:8080".to_owned(),
            delivery_listen: None,
            store: None,
            database: None,
            workers: None,
            public_url: None,
            hosts: Vec::new(),
            allowed_origins: Vec::new(),
            allow_private_addresses: false,
            strict_sandbox: false,
            key_file: None,
            tls: None,
            delivery: Delivery::default(),
            cache: Cache::default(),
            limits: Limits::default(),
            policies: BTreeMap::new(),
        }
    }
}

/// A policy in the server's file: what it leaves out is as in [`server_policy`].
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(transparent)]
pub struct PolicyOverlay(toml::Table);

/// The policy of a server without any in its configuration: as of the command line, but with
/// short segments at the start, so that playing can begin after little was made.
pub fn server_policy() -> Policy {
    Policy {
        quick_start: true,
        ..Policy::default()
    }
}

impl PolicyOverlay {
    fn policy(&self, name: &str) -> Result<Policy> {
        let wrong = |e: &dyn std::fmt::Display| Error::invalid(format!("policies.{name}: {e}"));
        let mut table = toml::Table::try_from(server_policy()).map_err(|e| wrong(&e))?;
        table.extend(self.0.clone());
        let policy: Policy = table.try_into().map_err(|e| wrong(&e))?;
        policy.check().map_err(|e| wrong(&e))?;
        if let Some(encryption) = &policy.encryption {
            encryption.check_served().map_err(|e| wrong(&e))?;
        }
        Ok(policy)
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// When it can't be read, or a key or value makes no sense; the message names file and line.
    pub fn read(file: &Path) -> Result<Self> {
        let shown = file.display();
        let text =
            std::fs::read_to_string(file).map_err(|e| Error::io(format!("reading {shown}"), e))?;
        let config: Self =
            toml::from_str(&text).map_err(|e| Error::invalid(format!("{shown}: {e}")))?;
        config.named_policies().map_err(|e| e.context(shown))?;
        Ok(config)
    }

    /// The environment over this: `HEADWATER_DATA`, `HEADWATER_LISTEN`,
    /// `HEADWATER_DELIVERY_LISTEN`, `HEADWATER_STORE`, `HEADWATER_DATABASE`,
    /// `HEADWATER_PUBLIC_URL`.
    #[must_use]
    pub fn with_environment(mut self) -> Self {
        let set = |name: &str| std::env::var(format!("HEADWATER_{name}")).ok();
        if let Some(data) = set("DATA") {
            self.data = Some(PathBuf::from(data));
        }
        if let Some(listen) = set("LISTEN") {
            self.listen = listen;
        }
        let texts = [
            ("DELIVERY_LISTEN", &mut self.delivery_listen),
            ("STORE", &mut self.store),
            ("DATABASE", &mut self.database),
            ("PUBLIC_URL", &mut self.public_url),
        ];
        for (name, field) in texts {
            if let Some(value) = set(name) {
                *field = Some(value);
            }
        }
        self
    }

    /// All policies by name, the default among them.
    ///
    /// # Errors
    /// When a value of one is out of its range.
    pub fn named_policies(&self) -> Result<BTreeMap<String, Policy>> {
        let mut policies = BTreeMap::from([(DEFAULT_POLICY.to_owned(), server_policy())]);
        for (name, overlay) in &self.policies {
            policies.insert(name.clone(), overlay.policy(name)?);
        }
        Ok(policies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_of_the_file_says_only_what_is_different() {
        let text = "[policies.small]\nrungs = [360]\n[policies.default]\ncrf = 21\n";
        let config: Config = toml::from_str(text).unwrap();
        let policies = config.named_policies().unwrap();
        assert_eq!(policies["small"].rungs, [360]);
        assert!(policies["small"].quick_start);
        assert_eq!(policies[DEFAULT_POLICY].crf, 21);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for text in [
            "colour = 1",
            "[limits]\nmax = 1",
            "[policies.a]\ncrfs = 1",
            "[policies.a]\ncrf = 99",
        ] {
            let config: std::result::Result<Config, _> = toml::from_str(text);
            let named = config
                .map_err(|e| e.to_string())
                .and_then(|config| config.named_policies().map(drop).map_err(|e| e.to_string()));
            assert!(named.is_err(), "{text}");
        }
    }
}
