//! A worker without a server: claims tasks from a catalog that machines share, reads sources and
//! writes objects in the store that they share, and answers nobody but probes.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use actix_web::{App, HttpServer, web};

use super::base::Base;
use super::health::{self, Health, Objects};
use super::{options, raise_file_limit};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::telemetry::Metrics;
use crate::worker::Workers;

/// A worker at work.
pub struct Crew {
    base: Base,
    workers: Workers,
    health: Health,
    listener: Option<TcpListener>,
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").finish_non_exhaustive()
    }
}

impl Crew {
    /// Opens what machines share and starts to work, with scratch files in `scratch`. Probes and
    /// metrics are answered on `listener`, if there is one.
    ///
    /// # Errors
    /// `Invalid` where nothing is shared, `Unavailable` when a part of it can't be opened.
    pub fn start(config: &Config, scratch: &Path, listener: Option<TcpListener>) -> Result<Self> {
        raise_file_limit();
        options::check_shared(config)?;
        let folder = scratch.join("src");
        std::fs::create_dir_all(&folder)
            .map_err(|e| Error::io(format!("making {}", folder.display()), e))?;
        let scratch = scratch
            .canonicalize()
            .map_err(|e| Error::io(format!("looking at {}", scratch.display()), e))?;
        let base = Base::open(config, &scratch)?;
        let workers = base.workshop(config, &scratch).start()?;
        let health = Health::new(
            base.catalog.clone(),
            base.queue.clone(),
            Objects::Stored(base.store.store().clone()),
            Metrics::new(),
        );
        Ok(Self {
            base,
            workers,
            health,
            listener,
        })
    }

    /// Works until the process is told to stop; then gives back what it hasn't finished.
    ///
    /// # Errors
    /// When the listener fails.
    pub fn run(self) -> Result<()> {
        let Self {
            base,
            workers,
            health,
            listener,
        } = self;
        let answered = actix_web::rt::System::new().block_on(async {
            let stopped = stop_signal(health.clone());
            match listener {
                None => {
                    stopped.await;
                    Ok(())
                }
                Some(listener) => answer(listener, health, stopped).await,
            }
        });
        workers.end();
        base.runtime.shutdown_timeout(Duration::from_secs(1));
        answered
    }
}

async fn answer(
    listener: TcpListener,
    health: Health,
    stopped: impl Future<Output = ()>,
) -> Result<()> {
    let failed = |e| Error::io("answering probes", e);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(health.clone()))
            .configure(health::routes)
    })
    .workers(1)
    .disable_signals()
    .listen(listener)
    .map_err(failed)?
    .run();
    let handle = server.handle();
    let ending = async {
        stopped.await;
        handle.stop(true).await;
    };
    let (served, ()) = futures_util::future::join(server, ending).await;
    served.map_err(failed)
}

/// Ends with Ctrl-C or SIGTERM. A second signal ends the program at once.
async fn stop_signal(health: Health) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    health.drain();
    actix_web::rt::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        std::process::exit(3);
    });
}
