//! Whether the server lives, whether it is ready, and what it counts.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::catalog::Catalog;
use crate::media::AssetState;
use crate::queue::Queue;

/// What probes and metrics are answered from.
#[derive(Debug, Clone)]
pub(super) struct Health {
    catalog: Catalog,
    queue: Queue,
    /// Raised when the server was told to stop.
    draining: Arc<AtomicBool>,
}

impl Health {
    pub(super) fn new(catalog: Catalog, queue: Queue) -> Self {
        Self {
            catalog,
            queue,
            draining: Arc::default(),
        }
    }

    /// From now on the server is not ready.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

/// `/healthz` and `/readyz`.
pub(super) fn probes(config: &mut web::ServiceConfig) {
    config
        .route("/healthz", web::get().to(healthz))
        .route("/healthz", web::head().to(healthz))
        .route("/readyz", web::get().to(readyz))
        .route("/readyz", web::head().to(readyz));
}

/// The probes, and `/metrics`.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    probes(config);
    config
        .route("/metrics", web::get().to(metrics))
        .route("/metrics", web::head().to(metrics));
}

fn plain(mut response: actix_web::HttpResponseBuilder, text: String) -> HttpResponse {
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text)
}

/// The process answers: nothing else is asked.
async fn healthz() -> HttpResponse {
    plain(HttpResponse::Ok(), "ok\n".to_owned())
}

/// Whether new requests should be sent here: not while it stops, and not without its catalog.
async fn readyz(health: web::Data<Health>) -> HttpResponse {
    let reason = if health.draining.load(Ordering::Relaxed) {
        "stopping"
    } else if health.catalog.ping().await.is_err() {
        "the catalog is away"
    } else {
        return plain(HttpResponse::Ok(), "ready\n".to_owned());
    };
    plain(HttpResponse::ServiceUnavailable(), format!("{reason}\n"))
}

/// Counters and gauges in Prometheus' text format.
async fn metrics(health: web::Data<Health>) -> HttpResponse {
    let mut text = String::new();
    let Ok(depth) = health.queue.depth().await else {
        return plain(
            HttpResponse::ServiceUnavailable(),
            "the catalog is away\n".to_owned(),
        );
    };
    let oldest_seconds = depth.oldest_queued_millis / 1000;
    let gauges = [
        ("headwater_tasks_queued", "Tasks that wait.", depth.queued),
        (
            "headwater_tasks_running",
            "Tasks being done.",
            depth.running,
        ),
        ("headwater_tasks_dead", "Tasks given up.", depth.dead),
    ];
    for (name, help, value) in gauges {
        // Writing to a String can't fail.
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"
        );
    }
    let _ = write!(
        text,
        "# HELP headwater_tasks_oldest_seconds Age of the task that waits longest.\n\
         # TYPE headwater_tasks_oldest_seconds gauge\n\
         headwater_tasks_oldest_seconds {oldest_seconds}\n\
         # HELP headwater_assets Assets by state.\n# TYPE headwater_assets gauge\n"
    );
    for state in AssetState::ALL {
        let count = health
            .catalog
            .assets_in(state)
            .await
            .map_or(0, |assets| assets.len());
        let name = state.name();
        let _ = writeln!(text, "headwater_assets{{state=\"{name}\"}} {count}");
    }
    plain(HttpResponse::Ok(), text)
}
