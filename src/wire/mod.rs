//! The listener: takes connections, speaks TLS and HTTP/1.1, answers requests for objects, and
//! hands every other request, with its connection, to the application.
//!
//! Objects don't go through the application's framework because it copies every body; here a
//! file is sent by the kernel and memory from where it lies. Also HTTP/2 is the application's:
//! CDNs speak HTTP/1.1 to their origins.
//!
//! Connections are spread over threads that share nothing; each has an event loop of its own.

#![expect(
    clippy::future_not_send,
    reason = "a connection stays on the thread that it was given to"
)]

mod application;
mod connection;
mod date;
mod handed;
mod head;
mod send;
mod stream;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_http::body::{BoxBody, MessageBody};
use actix_http::{Protocol, Request, Response};
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::dev::AppConfig;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::origin::file::Buffers;
use crate::origin::request::Method;
use crate::telemetry::Refused;
use crate::tls::Tls;
use application::{Application, Prepare};

/// Bounds of what a connection may take.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that serve connections; one a core if not given.
    pub threads: Option<usize>,
    /// Connections at a time; those beyond are closed at once.
    pub max_connections: usize,
    /// How long a TLS handshake, and the head of a request from its first byte, may take.
    pub header_timeout: Duration,
    /// How long a new connection may be silent.
    pub first_bytes_timeout: Duration,
    /// How long a connection may be silent after an answer: longer than any CDN keeps one, so
    /// that it is never we who close first.
    pub keep_alive: Duration,
    /// How long a reader may take nothing of an answer.
    pub stall_timeout: Duration,
    /// Bytes a second that a reader must take, on average, once `stall_timeout` has passed.
    pub min_rate: u64,
    /// How long transfers may go on after the server was told to stop.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: None,
            max_connections: 10_000,
            header_timeout: Duration::from_secs(5),
            first_bytes_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(185),
            stall_timeout: Duration::from_secs(30),
            min_rate: 4096,
            drain: Duration::from_secs(25),
        }
    }
}

impl Options {
    fn pace(&self) -> send::Pace {
        send::Pace {
            stall: self.stall_timeout,
            min_rate: self.min_rate,
        }
    }

    /// How slow the peer of the application may be.
    fn patience(&self, protocol: Protocol) -> handed::Patience {
        let heads = handed::Heads {
            head: self.header_timeout,
            // The application's own limit comes first, and ends the connection in order.
            silence: self.keep_alive + self.header_timeout,
        };
        handed::Patience {
            heads: (protocol != Protocol::Http2).then_some(heads),
            pace: self.pace(),
        }
    }

    fn thread_count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(cores).max(1)
    }
}

/// Connections that may wait to be taken.
const BACKLOG: i32 = 1024;

/// Tells a server to stop.
#[derive(Debug, Clone)]
pub struct StopSwitch(Arc<watch::Sender<bool>>);

/// Whether the server was told to stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl StopSwitch {
    /// A switch, and what it tells.
    pub fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Self(Arc::new(sender)), Stop(receiver))
    }

    /// From now on no connection is taken, and those that are idle are closed.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether it was told.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is.
    pub async fn stopped(&self) {
        let mut told = self.0.clone();
        if told.wait_for(|stopped| *stopped).await.is_err() {
            // Nobody is left who could tell.
            std::future::pending::<()>().await;
        }
    }
}

/// What one listener serves with.
#[derive(Debug)]
pub struct Parts {
    /// Where connections come in.
    pub listener: TcpListener,
    /// Its TLS; plain if not given.
    pub tls: Option<Tls>,
    /// What answers requests for objects.
    pub origin: Origin,
    /// Tells the time.
    pub clock: Clock,
    /// The only paths that are the application's; whatever is no object's if not given.
    pub application_paths: Option<&'static [&'static str]>,
    /// Bounds.
    pub options: Options,
    /// When to end.
    pub stop: Stop,
}

/// What the threads of a listener are made from.
struct Common {
    tls: Option<Tls>,
    origin: Origin,
    clock: Clock,
    application_paths: Option<&'static [&'static str]>,
    options: Options,
    stop: Stop,
}

/// What the connections of one thread share.
struct Thread {
    origin: Origin,
    tls: Option<Tls>,
    clock: Clock,
    application_paths: Option<&'static [&'static str]>,
    options: Options,
    stop: Stop,
    buffers: Buffers,
    application: Application,
}

impl Thread {
    /// Whether a request for `path` is answered here; one whose body matters is not.
    fn answers(&self, method: Method, path: &str) -> bool {
        if self.origin.takes_license_request(method, path) {
            return false;
        }
        match self.application_paths {
            Some(others) => !others.contains(&path),
            None => self.origin.delivers(path),
        }
    }
}

/// One thread as the one who takes connections sees it.
struct Desk {
    connections: mpsc::UnboundedSender<(std::net::TcpStream, SocketAddr)>,
    load: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<()>,
}

/// Serves until told to stop, and then until transfers have ended or their time is up.
/// `application` answers whatever is no request for an object.
///
/// # Errors
/// When the listener can't be used or a thread can't be started.
pub async fn serve<F, I, S, B>(parts: Parts, application: F) -> Result<()>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let failed = |e: std::io::Error| Error::io("using the listener", e);
    let Parts {
        listener,
        tls,
        origin,
        clock,
        application_paths,
        options,
        stop,
    } = parts;
    let common = Common {
        tls,
        origin,
        clock,
        application_paths,
        options,
        stop,
    };
    // The standard library's queue of connections is short.
    rustix::net::listen(&listener, BACKLOG).map_err(|e| failed(e.into()))?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    let mut desks = Vec::new();
    for number in 0..common.options.thread_count() {
        desks.push(start(
            number,
            &common,
            application::prepare(application.clone()),
        )?);
    }
    take_connections(&listener, &desks, &common).await;
    // The last of it: from now on nobody waits to be taken.
    drop(listener);
    let ended = move || {
        // All are told before one is waited for: their time to end is the same.
        let threads: Vec<_> = desks.into_iter().map(|desk| desk.thread).collect();
        for thread in threads {
            // A thread that panicked has told so itself.
            let _ = thread.join();
        }
    };
    let ended = tokio::task::spawn_blocking(ended).await;
    ended.map_err(|e| Error::internal("ending the listener's threads").with_source(e))
}

/// Gives each connection to the thread that has the fewest, until told to stop.
async fn take_connections(listener: &tokio::net::TcpListener, desks: &[Desk], common: &Common) {
    /// How long to wait when the system has no descriptor left.
    const BREATH: Duration = Duration::from_millis(50);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = common.stop.stopped() => return,
        };
        let Ok((socket, peer)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let load = |desk: &&Desk| desk.load.load(Ordering::Relaxed);
        let total: usize = desks.iter().map(|desk| load(&desk)).sum();
        if total >= common.options.max_connections {
            common.origin.metrics().refused(Refused::Cap);
            continue;
        }
        if let (Some(desk), Ok(socket)) = (desks.iter().min_by_key(load), socket.into_std()) {
            desk.load.fetch_add(1, Ordering::Relaxed);
            // A thread that is gone has ended the server.
            let _ = desk.connections.send((socket, peer));
        }
    }
}

fn start(number: usize, common: &Common, prepare: Prepare) -> Result<Desk> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let load = Arc::new(AtomicUsize::new(0));
    let (origin, tls, clock) = (
        common.origin.clone(),
        common.tls.clone(),
        common.clock.clone(),
    );
    let application_paths = common.application_paths;
    let (options, stop, counted) = (
        common.options.clone(),
        common.stop.clone(),
        Arc::clone(&load),
    );
    let run = move || {
        actix_web::rt::System::new().block_on(async move {
            let Some(application) = prepare(&options, &stop).await else {
                return;
            };
            let thread = Thread {
                origin,
                tls,
                clock,
                application_paths,
                options,
                stop,
                buffers: Buffers::default(),
                application,
            };
            work(receiver, Rc::new(thread), &counted).await;
        });
    };
    let thread = std::thread::Builder::new()
        .name(format!("http {number}"))
        .spawn(run);
    Ok(Desk {
        connections: sender,
        load,
        thread: thread.map_err(|e| Error::io("starting a thread of the listener", e))?,
    })
}

/// Serves connections until there are no more to come and the last has ended, or its time is up.
async fn work(
    mut incoming: mpsc::UnboundedReceiver<(std::net::TcpStream, SocketAddr)>,
    thread: Rc<Thread>,
    load: &Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    while let Some((socket, peer)) = incoming.recv().await {
        while connections.try_join_next().is_some() {}
        let (thread, load) = (Rc::clone(&thread), Arc::clone(load));
        connections.spawn_local(async move {
            let _counted = Counted(load);
            if let Ok(socket) = tokio::net::TcpStream::from_std(socket) {
                connection::serve(socket, peer, thread).await;
            }
        });
    }
    let all = async { while connections.join_next().await.is_some() {} };
    // Who is not done by then is cut off.
    let _ = tokio::time::timeout(thread.options.drain, all).await;
}

/// One connection in a thread's load, for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
