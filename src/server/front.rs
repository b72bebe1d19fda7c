//! The listeners and what each of them answers, from the start to the orderly end.

use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, web};

use super::health::{self, Health};
use super::{Listeners, Parts};
use crate::api;
use crate::error::Result;
use crate::origin::over_actix;
use crate::problem;
use crate::ui;
use crate::wire::{self, Stop, StopSwitch};

/// How long a server that is told to stop still takes connections.
const NOTICE: Duration = Duration::from_secs(1);

/// Serves both listeners until they have ended.
pub(super) async fn serve(listeners: Listeners, parts: Parts) -> Result<()> {
    let (switch, stop) = StopSwitch::new();
    let streams = web::Data::new(api::Streams::default());
    let ended = stop_on_signal(switch, parts.health.clone(), streams.clone());
    actix_web::rt::spawn(ended);
    let delivery = listeners.delivery.map(|listener| {
        let (origin, health) = (parts.origin.clone(), parts.health.clone());
        let mut wired = wire_parts(listener, &parts, &stop);
        wired.application_paths = Some(&health::PROBES);
        wire::serve(wired, move || {
            App::new()
                .wrap(from_fn(over_actix::tell))
                .app_data(web::Data::new(origin.clone()))
                .app_data(web::Data::new(health.clone()))
                .configure(health::probes)
                .configure(over_actix::routes)
        })
    });
    let main = wire_parts(listeners.main, &parts, &stop);
    let main = wire::serve(main, move || {
        let parts = parts.clone();
        App::new()
            .wrap(from_fn(over_actix::tell))
            .app_data(web::Data::new(parts.catalog))
            .app_data(web::Data::new(parts.queue))
            .app_data(web::Data::new(parts.access))
            .app_data(web::Data::new(parts.ingest))
            .app_data(web::Data::new(parts.webhooks))
            .app_data(web::Data::new(parts.origin))
            .app_data(web::Data::from(parts.workshop.removal()))
            .app_data(web::Data::from(parts.workshop.captions()))
            .app_data(streams.clone())
            .app_data(web::Data::new(parts.pages))
            .app_data(web::Data::new(parts.health))
            .configure(problem::configure)
            .configure(health::routes)
            .configure(api::routes)
            .configure(ui::routes)
            .configure(over_actix::routes)
    });
    match delivery {
        None => main.await,
        Some(delivery) => futures_util::future::try_join(main, delivery)
            .await
            .map(drop),
    }
}

fn wire_parts(listener: std::net::TcpListener, parts: &Parts, stop: &Stop) -> wire::Parts {
    wire::Parts {
        listener,
        tls: parts.tls.clone(),
        origin: parts.origin.clone(),
        clock: parts.clock.clone(),
        application_paths: None,
        options: parts.wire.clone(),
        stop: stop.clone(),
    }
}

/// Ctrl-C and SIGTERM: says that it is not ready any more, takes no new connections, lets
/// transfers end. A second signal ends the program at once.
async fn stop_on_signal(switch: StopSwitch, health: Health, streams: web::Data<api::Streams>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    let mut stopping = false;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if stopping {
            std::process::exit(3);
        }
        stopping = true;
        health.drain();
        // Those who ask whether it is ready get to hear it before the listener closes.
        tokio::time::sleep(NOTICE).await;
        streams.end();
        switch.stop();
    }
}
