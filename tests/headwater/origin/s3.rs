//! An S3 server in this process (s3s-fs) that counts what is fetched, and is slow, broken or away
//! when told so.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The bucket that is there from the start.
pub(crate) const BUCKET: &str = "media";

/// What goes wrong with the fetch of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The answer comes later.
    Delay(Duration),
    /// The answer is this error.
    Status(u16),
    /// The first answer ends after as many bytes of its body, the next are errors.
    Cut(u64),
}

#[derive(Debug, Default)]
struct State {
    /// GETs by path.
    fetches: HashMap<String, u64>,
    /// Bytes of their bodies that were handed out, by path.
    bytes: HashMap<String, u64>,
    /// Faults by the end of the path; the first that fits counts.
    faults: Vec<(String, Fault)>,
}

/// What the server is told and tells.
#[derive(Debug, Clone)]
struct Desk {
    state: Arc<Mutex<State>>,
    is_away: watch::Sender<bool>,
}

/// A running server, gone when dropped.
#[derive(Debug)]
pub(crate) struct S3 {
    desk: Desk,
    /// `host:port`.
    pub(crate) address: String,
    /// Objects lie here under their bucket and key.
    pub(crate) root: tempfile::TempDir,
    _ends_when_dropped: tokio::sync::oneshot::Sender<()>,
}

impl S3 {
    /// Starts one on a free port.
    pub(crate) fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let files = s3s_fs::FileSystem::new(root.path()).unwrap();
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single("key", "secret"));
        let service = builder.build();
        let desk = Desk {
            state: Arc::default(),
            is_away: watch::Sender::new(false),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (ends, ended) = tokio::sync::oneshot::channel();
        let shared = desk.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            let serving = serve(listener, service, shared);
            runtime.block_on(async move {
                tokio::select! {
                    () = serving => {}
                    _ = ended => {}
                }
            });
            runtime.shutdown_background();
        });
        Self {
            desk,
            address,
            root,
            _ends_when_dropped: ends,
        }
    }

    /// How often objects whose paths end with `end` were fetched.
    pub(crate) fn fetches(&self, end: &str) -> u64 {
        let state = self.desk.state.lock().unwrap();
        let same = state.fetches.iter().filter(|(path, _)| path.ends_with(end));
        same.map(|(_, count)| count).sum()
    }

    /// How many bytes of objects whose paths end with `end` were handed out.
    pub(crate) fn bytes(&self, end: &str) -> u64 {
        let state = self.desk.state.lock().unwrap();
        let same = state.bytes.iter().filter(|(path, _)| path.ends_with(end));
        same.map(|(_, count)| count).sum()
    }

    /// Puts an object there, in place of one that may be; `tag` is its ETag without quotes.
    pub(crate) fn put(&self, key: &str, bytes: &[u8], tag: &str) {
        let path = self.root.path().join(BUCKET).join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        // Where the server would note it; it works out the MD5 for every answer otherwise.
        let encode = |name: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(name);
        let (bucket, key) = (encode(BUCKET), encode(key));
        let note = format!(".bucket-{bucket}.object-{key}.internal.json");
        let json = format!("{{\"e_tag\":\"{tag}\"}}");
        std::fs::write(self.root.path().join(note), json).unwrap();
    }

    /// From now on fetches of what ends with `end` go wrong.
    pub(crate) fn fault(&self, end: &str, fault: Fault) {
        let mut state = self.desk.state.lock().unwrap();
        state.faults.insert(0, (end.to_owned(), fault));
    }

    /// From now on nothing goes wrong.
    pub(crate) fn mend(&self) {
        self.desk.state.lock().unwrap().faults.clear();
        self.desk.is_away.send_replace(false);
    }

    /// Cuts all connections, and takes no more.
    pub(crate) fn go_away(&self) {
        self.desk.is_away.send_replace(true);
    }
}

async fn serve(listener: std::net::TcpListener, service: S3Service, desk: Desk) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let mut is_away = desk.is_away.subscribe();
        let (service, desk) = (service.clone(), desk.clone());
        let answer = service_fn(move |request| answer(service.clone(), desk.clone(), request));
        tokio::spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), answer);
            tokio::select! {
                biased;
                _ = is_away.wait_for(|away| *away) => {}
                _ = connection => {}
            }
        });
    }
}

async fn answer(
    service: S3Service,
    desk: Desk,
    request: Request<Incoming>,
) -> Result<Response<Cut>, Infallible> {
    let fault = match *request.method() {
        Method::GET => desk.fetch(request.uri().path()),
        Method::HEAD => desk.fault(request.uri().path()),
        _ => None,
    };
    let is_fetch = *request.method() == Method::GET;
    let count = is_fetch.then(|| (desk.clone(), request.uri().path().to_owned()));
    let mut left = u64::MAX;
    match fault {
        None => {}
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::Status(status)) => {
            let body = Cut {
                body: s3s::Body::empty(),
                left,
                count: None,
            };
            return Ok(Response::builder().status(status).body(body).unwrap());
        }
        Some(Fault::Cut(count)) => left = count,
    }
    let request = request.map(s3s::Body::from);
    let answer = service.call(request).await.unwrap();
    Ok(answer.map(|body| Cut { body, left, count }))
}

impl Desk {
    /// Counts a fetch; what goes wrong with it.
    fn fetch(&self, path: &str) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        *state.fetches.entry(path.to_owned()).or_default() += 1;
        drop(state);
        self.fault(path)
    }

    /// What goes wrong with an answer about the object at `path`.
    fn fault(&self, path: &str) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let (_, fault) = state
            .faults
            .iter_mut()
            .find(|(end, _)| path.ends_with(end.as_str()))?;
        let now = *fault;
        if matches!(now, Fault::Cut(_)) {
            *fault = Fault::Status(503);
        }
        Some(now)
    }
}

/// A body that breaks off when nothing is `left`.
struct Cut {
    body: s3s::Body,
    left: u64,
    /// Where its bytes are counted, and for which path.
    count: Option<(Desk, String)>,
}

impl hyper::body::Body for Cut {
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(Some(Err("broken off".into())));
        }
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        let Poll::Ready(Some(Ok(frame))) = frame else {
            return frame;
        };
        let Ok(data) = frame.into_data() else {
            return Poll::Ready(None);
        };
        let count = u64::try_from(data.len()).unwrap().min(this.left);
        this.left -= count;
        if let Some((desk, path)) = &this.count {
            let mut state = desk.state.lock().unwrap();
            *state.bytes.entry(path.clone()).or_default() += count;
        }
        let data = data.slice(..usize::try_from(count).unwrap());
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
