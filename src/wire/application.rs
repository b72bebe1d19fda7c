//! The application that gets what is no request for an object, on one thread.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use actix_http::body::{BoxBody, MessageBody};
use actix_http::{HttpService, Protocol, Request, Response};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, map_config};
use actix_web::dev::AppConfig;
use futures_util::future::LocalBoxFuture;

use super::handed::Handed;
use super::{Options, Stop};

/// Serves a connection to its end.
pub(super) type Application =
    Box<dyn Fn(Handed, Protocol, SocketAddr) -> LocalBoxFuture<'static, ()>>;

/// Makes the application for the thread it is called on; `None` when that can't be, which the
/// application has said itself.
pub(super) type Prepare =
    Box<dyn FnOnce(&Options, &Stop) -> LocalBoxFuture<'static, Option<Application>> + Send>;

/// How to make the application that `factory` describes.
pub(super) fn prepare<F, I, S, B>(factory: F) -> Prepare
where
    F: Fn() -> I + Send + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    Box::new(move |options, stop| {
        let stop = stop.clone();
        let configured = map_config(factory().into_factory(), |()| AppConfig::default());
        let service = HttpService::build()
            .keep_alive(options.keep_alive)
            .client_request_timeout(options.header_timeout)
            .on_connect_ext(|stream: &Handed, known| {
                known.insert(stream.connection());
            })
            .graceful_shutdown_signal(move || {
                let stop = stop.clone();
                async move { stop.stopped().await }
            })
            .finish(configured);
        Box::pin(async move {
            let service = Rc::new(service.new_service(()).await.ok()?);
            let application: Application = Box::new(move |stream, protocol, peer| {
                let answered = service.call((stream, protocol, Some(peer)));
                // What becomes of a connection is its peer's affair.
                Box::pin(async move { drop(answered.await) })
            });
            Some(application)
        })
    })
}
