//! From the configuration to each module's options.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::access::{self, Access};
use crate::asset_view::BaseUrl;
use crate::catalog::Catalog;
use crate::config::{self, Config};
use crate::error::{Error, Result};
use crate::ingest::{self, Policies};
use crate::keys::{KeySource, MasterSecret};
use crate::origin::gate::{self, KeyFile, Scope, Signed};
use crate::origin::profile::Profile;
use crate::origin::{self, cache, clients};
use crate::outbound;
use crate::sandbox;
use crate::signing::Secret;
use crate::source::Sources;
use crate::telemetry::{AccessLog, Metrics};
use crate::tls::Tls;
use crate::ui;
use crate::wire;
use crate::worker;

/// Threads for what somebody waits for: more than cores, because repackaging one segment takes
/// milliseconds and should not stand behind those that are encoded.
const DEMAND_THREADS: usize = 8;
/// Threads for what players ask for first.
const FIRST_THREADS: usize = 2;

/// Bytes of the disk tier, unless configured.
const DISK_BYTES: u64 = 10 << 30;

/// Where the catalog is.
pub(super) fn catalog_place(config: &Config, data: &Path) -> Result<PathBuf> {
    let Some(url) = &config.database else {
        return Ok(data.join("catalog.sqlite"));
    };
    let is_known = ["sqlite:", "postgres:", "postgresql:"];
    if is_known.iter().any(|scheme| url.starts_with(scheme)) {
        return Ok(PathBuf::from(url));
    }
    Err(Error::unsupported(
        "no database of that kind in this build; give sqlite:///path/to/file or \
         postgres://USER:PASSWORD@HOST/NAME",
    ))
}

/// Where objects are kept.
pub(super) fn store_place(config: &Config, data: &Path) -> String {
    let given = config.store.clone();
    given.unwrap_or_else(|| data.to_string_lossy().into_owned())
}

pub(super) fn outbound(config: &Config) -> outbound::Options {
    outbound::Options {
        allow_private: config.allow_private_addresses,
        allow_loopback: config.allow_private_addresses,
    }
}

/// Where webhooks may go. A server that only this machine reaches may call programs on it.
pub(super) fn webhooks(config: &Config, is_loopback: bool) -> outbound::Options {
    outbound::Options {
        allow_private: config.allow_private_addresses,
        allow_loopback: config.allow_private_addresses || is_loopback,
    }
}

pub(super) fn ingest(config: &Config) -> ingest::Options {
    let limits = &config.limits;
    ingest::Options {
        max_upload_bytes: limits.max_upload_bytes,
        max_concurrent_uploads: limits.max_concurrent_uploads,
        min_free_disk_bytes: limits.min_free_disk_bytes,
        min_rate_bytes_per_second: limits.min_upload_bytes_per_second,
        idle_timeout: Duration::from_secs(limits.upload_idle_seconds),
        upload_expiry: Duration::from_secs(limits.upload_expiry_seconds),
        ..ingest::Options::default()
    }
}

pub(super) fn policies(config: &Config) -> Result<Policies> {
    config.named_policies()
}

/// Where content keys come from: the key file that is named, or a secret in the data folder. Machines
/// that share a catalog need the same one, so none of them makes its own.
pub(super) fn keys(config: &Config, data: &Path, is_shared: bool) -> Result<Option<KeySource>> {
    match &config.key_file {
        Some(path) => KeySource::read(path).map(Some),
        None if is_shared => Ok(None),
        None => {
            let secret = MasterSecret::read_or_make(&data.join("keys.secret"))?;
            Ok(Some(KeySource::Derived(secret)))
        }
    }
}

/// Refuses what a worker can't share with others.
pub(super) fn check_shared(config: &Config) -> Result<()> {
    let is_server = |url: &String| url.starts_with("postgres");
    if !config.database.as_ref().is_some_and(is_server) {
        return Err(Error::invalid(
            "no database that machines share; give --database postgres://USER:PASSWORD@HOST/NAME",
        ));
    }
    match config.store {
        Some(_) => Ok(()),
        None => Err(Error::invalid(
            "no store that machines share; give --store s3://bucket/prefix, as the servers have it",
        )),
    }
}

pub(super) fn workers(
    config: &Config,
    data: &Path,
    sources: Sources,
    keys: Option<KeySource>,
) -> worker::Options {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let steady_threads = config.workers.unwrap_or(cores);
    let works = usize::from(steady_threads > 0);
    worker::Options {
        sources,
        scratch: data.to_path_buf(),
        demand_threads: works * DEMAND_THREADS.max(cores),
        first_threads: works * FIRST_THREADS,
        steady_threads,
        max_duration_seconds: config.limits.max_duration_seconds,
        max_pixels: config.limits.max_pixels,
        sandbox: sandbox::Options {
            strict: config.strict_sandbox,
            ..sandbox::Options::default()
        },
        keys,
    }
}

/// What URLs in webhooks begin with, which no request asks for: as configured, or the address
/// listened on.
pub(super) fn base_url(config: &Config, listener: &TcpListener) -> Result<BaseUrl> {
    if let Some(url) = &config.public_url {
        return BaseUrl::parse(url);
    }
    let address = listener.local_addr();
    let address = address.map_err(|e| Error::io("asking for the address listened on", e))?;
    let host = match address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    };
    Ok(BaseUrl::from_host(&host, config.tls.is_some()))
}

/// The access rules, and the key that had to be made for them.
pub(super) async fn access(
    config: &Config,
    catalog: &Catalog,
    is_loopback: bool,
) -> Result<(Access, Option<String>)> {
    let open = is_loopback && !catalog.has_keys().await?;
    let first_key = match open {
        true => None,
        false => access::first_key(catalog).await?,
    };
    let public_url = config.public_url.as_deref().map(BaseUrl::parse);
    let options = access::Options {
        open,
        hosts: config.hosts.clone(),
        allowed_origins: config.allowed_origins.clone(),
        public_url: public_url.transpose()?,
        is_secure: config.tls.is_some(),
    };
    Ok((Access::new(catalog.clone(), options), first_key))
}

pub(super) fn pages(config: &Config) -> Result<ui::Options> {
    match &config.public_url {
        Some(url) => ui::Options::with_media_at(url),
        None => Ok(ui::Options::default()),
    }
}

/// What delivery holds ready.
pub(super) fn cache(config: &Config) -> cache::Options {
    let (set, default) = (&config.cache, cache::Options::default());
    let timeout = set.store_timeout_millis.map(Duration::from_millis);
    let disk = |folder: &PathBuf| cache::DiskOptions {
        folder: folder.clone(),
        bytes: set.disk_bytes.unwrap_or(DISK_BYTES),
    };
    cache::Options {
        memory_bytes: set.memory_bytes.unwrap_or(default.memory_bytes),
        open_files: set.open_files.unwrap_or(default.open_files),
        store_reads: set.store_reads.unwrap_or(default.store_reads),
        store_timeout: timeout.unwrap_or(default.store_timeout),
        disk: set.disk_folder.as_ref().map(disk),
        ..default
    }
}

/// TLS of both listeners, if there is a certificate.
pub(super) fn tls(config: &Config) -> Result<Option<Tls>> {
    config.tls.as_ref().map(Tls::open).transpose()
}

pub(super) fn wire(config: &Config) -> wire::Options {
    let limits = &config.limits;
    wire::Options {
        max_connections: limits.max_connections,
        header_timeout: Duration::from_secs(limits.request_head_seconds),
        keep_alive: Duration::from_secs(limits.keep_alive_seconds),
        stall_timeout: Duration::from_secs(limits.reader_stall_seconds),
        min_rate: limits.min_delivery_bytes_per_second,
        drain: Duration::from_secs(limits.drain_seconds),
        ..wire::Options::default()
    }
}

/// How delivery meets those who ask.
pub(super) fn delivery(config: &Config, keys: Option<KeySource>) -> Result<origin::Options> {
    let set = &config.delivery;
    let signed = signed(config)?;
    let profile = set.cdn.as_deref().map(Profile::parse).transpose()?;
    Ok(origin::Options {
        gate: gate::Options {
            hosts: set.hosts.clone(),
            lock: set.lock.as_ref().map(lock).transpose()?,
            signed: signed.clone(),
        },
        clients: clients(set.rate),
        trusted_hops: set.trusted_hops,
        believes_viewer_address: set.believe_viewer_address,
        profile: profile.unwrap_or_default(),
        allowed_origins: config.allowed_origins.clone(),
        says_cmsd: set.cmsd,
        keys,
        public_url: signed.public_url,
    })
}

/// The access log, if one is kept.
pub(super) fn access_log(config: &Config, metrics: &Metrics) -> Result<Option<AccessLog>> {
    let place = config.delivery.access_log.as_deref();
    place
        .map(|place| AccessLog::open(place, metrics))
        .transpose()
}

fn lock(set: &config::Lock) -> Result<gate::Lock> {
    let secrets = set.secrets.iter().map(|text| Secret::new(text.as_str()));
    let header = set.header.clone();
    Ok(gate::Lock {
        header: header.unwrap_or_else(|| gate::LOCK_HEADER.to_owned()),
        secrets: secrets
            .collect::<Result<_>>()
            .map_err(|e| e.context("delivery.lock.secrets"))?,
        certificate: match set.certificate.as_deref() {
            None | Some("ignored") => gate::Certificate::Ignored,
            Some("enough") => gate::Certificate::Enough,
            Some("required") => gate::Certificate::Required,
            Some(other) => {
                return Err(Error::invalid(format!(
                    "delivery.lock.certificate: `{other}`; write ignored, enough or required"
                )));
            }
        },
    })
}

fn signed(config: &Config) -> Result<Signed> {
    let set = &config.delivery.signed;
    let key = |(id, file): (&String, &PathBuf)| KeyFile {
        key_pair_id: id.clone(),
        file: file.clone(),
    };
    let public_url = config.public_url.as_deref().map(BaseUrl::parse);
    Ok(Signed {
        scope: match (set.everything, set.folders.is_empty()) {
            (true, _) => Scope::Everything,
            (false, true) => Scope::Nothing,
            (false, false) => Scope::Folders(set.folders.clone()),
        },
        token_keys: set.token_keys.clone(),
        cloudfront_keys: set.cloudfront_keys.iter().map(key).collect(),
        public_url: public_url.transpose()?,
    })
}

fn clients(set: config::Rate) -> clients::Options {
    let default = clients::Options::default();
    clients::Options {
        requests_per_second: set.requests_per_second,
        burst: set.burst.unwrap_or(default.burst),
        ..default
    }
}
