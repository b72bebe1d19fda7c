//! Whether the server lives, whether it is ready, and what it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::counted;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::origin::Origin;
use crate::queue::Queue;
use crate::store::Store;
use crate::telemetry::{Format, Metrics, Sample};

/// What probes and metrics are answered from.
#[derive(Debug, Clone)]
pub(super) struct Health {
    catalog: Catalog,
    queue: Queue,
    objects: Objects,
    metrics: Metrics,
    /// Raised when the server was told to stop.
    draining: Arc<AtomicBool>,
}

/// How the store is reached.
#[derive(Debug, Clone)]
pub(super) enum Objects {
    /// As those who ask for objects are answered.
    Delivered(Origin),
    /// By workers alone.
    Stored(Store),
}

impl Objects {
    async fn is_ready(&self) -> Result<()> {
        match self {
            Self::Delivered(origin) => origin.is_ready().await,
            Self::Stored(store) => store.is_answering().await,
        }
    }
}

impl Health {
    pub(super) fn new(catalog: Catalog, queue: Queue, objects: Objects, metrics: Metrics) -> Self {
        Self {
            catalog,
            queue,
            objects,
            metrics,
            draining: Arc::default(),
        }
    }

    /// From now on the server is not ready.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

/// The paths of [`probes`].
pub(super) const PROBES: [&str; 2] = ["/healthz", "/readyz"];

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

/// Whether new requests should be sent here: not while it stops, and not without its catalog or
/// its store.
async fn readyz(health: web::Data<Health>) -> HttpResponse {
    let reason = if health.draining.load(Ordering::Relaxed) {
        "stopping"
    } else if health.catalog.ping().await.is_err() {
        "the catalog is away"
    } else if health.objects.is_ready().await.is_err() {
        "the store is away"
    } else {
        return plain(HttpResponse::Ok(), "ready\n".to_owned());
    };
    plain(HttpResponse::ServiceUnavailable(), format!("{reason}\n"))
}

/// All metrics, as Prometheus or OpenMetrics has them.
#[expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]
async fn metrics(request: HttpRequest, health: web::Data<Health>) -> HttpResponse {
    let Ok(samples) = health.samples().await else {
        let problem = "the catalog is away\n".to_owned();
        return plain(HttpResponse::ServiceUnavailable(), problem);
    };
    let accept = request.headers().get(header::ACCEPT);
    let format = Format::accepted(accept.and_then(|accept| accept.to_str().ok()));
    let text = health.metrics.text(samples, format);
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(format.content_type())
        .body(text)
}

impl Health {
    async fn samples(&self) -> Result<Vec<Sample>> {
        counted::samples(&self.catalog, &self.queue).await
    }
}
