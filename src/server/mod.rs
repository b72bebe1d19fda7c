//! The whole server: catalog, store, workers, routes, and its orderly end.
//!
//! HTTP runs on actix's threads, everything in the background on a runtime of its own, work on
//! plain threads; see [`crate::worker`].

mod background;
mod base;
mod counted;
mod crew;
mod front;
mod health;
mod leftovers;
mod node;
mod options;
mod rebuild;
mod resume;
mod workshop;

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::access::Access;
use crate::api::{Webhooks, webhooks};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::ingest::Ingest;
use crate::origin::cache::Cache;
use crate::origin::{self, Making, Origin};
use crate::outbound;
use crate::queue::Queue;
use crate::telemetry::{Metrics, tell_operator};
use crate::tls::Tls;
use crate::ui;
use crate::wire;
use crate::worker::Workers;
use base::Base;
pub use crew::Crew;
use health::{Health, Objects};
pub use leftovers::{Leftovers, leftovers};
pub use rebuild::{LeftOut, Rebuilt, back_up, rebuild};
use workshop::ForApi;

/// The sockets a server listens on.
#[derive(Debug)]
pub struct Listeners {
    /// API, pages and delivery.
    pub main: TcpListener,
    /// Delivery alone.
    pub delivery: Option<TcpListener>,
}

/// A server that is ready to run.
pub struct Server {
    listeners: Listeners,
    runtime: Runtime,
    workers: Workers,
    first_key: Option<String>,
    parts: Parts,
    /// Keeps other servers off the folder while this one lives.
    _lock: File,
}

/// What the routes need.
#[derive(Debug, Clone)]
struct Parts {
    catalog: Catalog,
    queue: Queue,
    access: Access,
    ingest: Ingest,
    webhooks: Webhooks,
    origin: Origin,
    workshop: ForApi,
    pages: ui::Options,
    health: Health,
    tls: Option<Tls>,
    wire: wire::Options,
    clock: Clock,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Opens everything and starts the workers.
    ///
    /// # Errors
    /// `Unavailable` when another server has the folder or a part of it can't be opened, `Invalid`
    /// for what the configuration gets wrong.
    pub fn start(config: &Config, listeners: Listeners) -> Result<Self> {
        raise_file_limit();
        let data = data_folder(config)?;
        let lock = lock(&data)?;
        let foundation = Base::open(config, &data)?;
        let Base {
            runtime,
            clock,
            catalog,
            queue,
            store,
            ingest,
            keys,
            ..
        } = &foundation;
        let base = options::base_url(config, &listeners.main)?;
        let open = is_loopback(&listeners.main);
        let caller = outbound::Client::new(options::webhooks(config, open))?;
        let webhooks = Webhooks::new(catalog.clone(), caller, clock.clone(), base);
        let cache = Cache::new(
            store.store().clone(),
            options::cache(config),
            runtime.handle().clone(),
        )?;
        let making = Making {
            catalog: catalog.clone(),
            queue: queue.clone(),
            patience: origin::PATIENCE,
        };
        let delivery = options::delivery(config, keys.clone())?;
        let metrics = Metrics::new();
        let log = options::access_log(config, &metrics)?;
        let origin = Origin::new(cache, &delivery, Some(making), metrics, log, clock.clone())?;
        let workshop = foundation.workshop(config, &data);
        runtime.block_on(resume::resume(catalog, queue, ingest))?;
        workshop.hide_failed()?;
        let (access, first_key) = runtime.block_on(options::access(config, catalog, open))?;
        let workers = workshop.start()?;
        runtime.spawn(background::sweep(ingest.clone()));
        runtime.spawn(ingest.clone().share());
        // Ends with the runtime.
        runtime.spawn(webhooks::run(webhooks.clone(), std::future::pending()));
        let counts = origin.metrics().clone();
        let objects = Objects::Delivered(origin.clone());
        let health = Health::new(catalog.clone(), queue.clone(), objects, counts);
        let pages = options::pages(config)?;
        let tls = options::tls(config)?;
        if let Some(tls) = &tls {
            runtime.spawn(tls.clone().keep_current(|line| tell_operator("tls", line)));
            tls.warnings()
                .iter()
                .for_each(|line| tell_operator("tls", line));
        }
        let Base {
            runtime,
            clock,
            catalog,
            queue,
            ingest,
            ..
        } = foundation;
        Ok(Self {
            listeners,
            runtime,
            workers,
            first_key,
            parts: Parts {
                catalog,
                queue,
                access,
                ingest,
                webhooks,
                origin,
                workshop: ForApi::new(workshop),
                pages,
                health,
                tls,
                wire: options::wire(config),
                clock,
            },
            _lock: lock,
        })
    }

    /// The API key that was made at this start, which nobody will see again: at the first start
    /// on an address that others reach.
    pub fn first_key(&self) -> Option<&str> {
        self.first_key.as_deref()
    }

    /// Serves until the process is told to stop; then lets transfers end, and ends the workers,
    /// whose tasks go on at the next start.
    ///
    /// # Errors
    /// When a listener fails.
    pub fn run(self) -> Result<()> {
        let Self {
            listeners,
            runtime,
            workers,
            parts,
            first_key: _,
            _lock,
        } = self;
        let served = actix_web::rt::System::new().block_on(front::serve(listeners, parts));
        workers.end();
        runtime.shutdown_timeout(Duration::from_secs(1));
        served
    }
}

/// As many open files as the system allows: each connection is one, and each object held ready.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With the old limit fewer connections fit.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn data_folder(config: &Config) -> Result<PathBuf> {
    let Some(data) = &config.data else {
        return Err(Error::invalid("no data folder; give --data DIR"));
    };
    let shown = data.display();
    let unusable = |e: std::io::Error| {
        let message = format!("{shown} can't be used as a folder; name one that can be written");
        Error::new(ErrorKind::Unavailable, message).with_source(e)
    };
    std::fs::create_dir_all(data.join("src")).map_err(unusable)?;
    data.canonicalize().map_err(unusable)
}

/// A runtime for a command that does one thing and ends.
fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::io("starting the runtime", e))
}

/// Keeps a second server off the folder: it would take this one's tasks for abandoned.
fn lock(data: &Path) -> Result<File> {
    let path = data.join(".serve.lock");
    let file =
        File::create(&path).map_err(|e| Error::io(format!("making {}", path.display()), e))?;
    file.try_lock().map_err(|_| {
        let message = format!(
            "another server uses {}; stop it, or name another folder",
            data.display()
        );
        Error::new(ErrorKind::Unavailable, message)
    })?;
    Ok(file)
}

/// Whether only this machine reaches a listener.
fn is_loopback(listener: &TcpListener) -> bool {
    listener
        .local_addr()
        .is_ok_and(|address| address.ip().is_loopback())
}
