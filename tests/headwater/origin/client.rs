//! A client that sends exactly the bytes it is told to and believes nothing it reads: no library
//! that mends requests or forgives answers stands between a test and the socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// How long an answer may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where a server is and how it is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `host:port`.
    pub(crate) address: String,
    /// TLS, where it is spoken.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// What is asked first on each connection, and answered, before the test begins.
    pub(crate) opening: Option<&'static str>,
}

impl Target {
    /// Plain HTTP at `address`.
    pub(crate) fn plain(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            tls: None,
            opening: None,
        }
    }

    /// A new connection.
    pub(crate) fn open(&self) -> Connection {
        let mut connection = self.try_open().unwrap();
        if let Some(path) = self.opening {
            assert_eq!(connection.get(path, "").status, 200, "{path}");
        }
        connection
    }

    /// A new connection on which nothing was asked, or why there is none.
    pub(crate) fn try_open(&self) -> io::Result<Connection> {
        let socket = TcpStream::connect(&self.address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let mut stream = Stream::Plain(socket);
        if let Some(config) = &self.tls {
            stream = handshake(stream, config)?;
        }
        Ok(Connection {
            stream,
            unread: Vec::new(),
            host: self.address.clone(),
        })
    }

    /// One GET on a connection of its own.
    pub(crate) fn get(&self, path: &str, fields: &str) -> Answer {
        self.open().get(path, fields)
    }
}

fn handshake(stream: Stream, config: &Arc<ClientConfig>) -> io::Result<Stream> {
    let Stream::Plain(mut socket) = stream else {
        return Ok(stream);
    };
    let name = ServerName::try_from("localhost").unwrap();
    let mut session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    Ok(Stream::Secure(Box::new(StreamOwned::new(session, socket))))
}

enum Stream {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Secure(stream) => stream.get_ref(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Secure(stream) => stream.read(buffer),
        }
    }
}

/// What came of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The server ended it in order.
    Closed,
    /// It was cut off: reset, or TLS without its farewell.
    Cut,
    /// It is still open.
    Open,
}

/// One connection.
pub(crate) struct Connection {
    stream: Stream,
    /// What was read beyond the last answer.
    unread: Vec<u8>,
    /// What `Host` says.
    pub(crate) host: String,
}

impl Connection {
    /// Sends these bytes and no others.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    /// As [`Self::send`], to a server that may not want to hear more.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(bytes),
            Stream::Secure(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Asks, with the `fields` given as whole lines, and reads the answer.
    pub(crate) fn ask(&mut self, method: &str, path: &str, fields: &str) -> Answer {
        let text = self.request(method, path, fields);
        self.send(text.as_bytes());
        self.answer(method)
    }

    /// The text of a request without a body.
    pub(crate) fn request(&self, method: &str, path: &str, fields: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n",
            self.host
        )
    }

    /// As [`Self::ask`].
    pub(crate) fn get(&mut self, path: &str, fields: &str) -> Answer {
        self.ask("GET", path, fields)
    }

    /// The next answer, to a request with `method`.
    pub(crate) fn answer(&mut self, method: &str) -> Answer {
        self.try_answer(method)
            .unwrap_or_else(|e| panic!("no answer: {e}"))
    }

    /// As [`Self::answer`], or why there is none that is whole.
    pub(crate) fn try_answer(&mut self, method: &str) -> io::Result<Answer> {
        let mut answer = self.head()?;
        let has_none = method == "HEAD" || matches!(answer.status, 100..=199 | 204 | 304);
        if has_none {
            return Ok(answer);
        }
        let length = answer
            .field("content-length")
            .map(|text| text.parse::<usize>());
        answer.body = match (answer.field("transfer-encoding"), length) {
            (None, Some(Ok(length))) => self.take(length)?,
            (Some("chunked"), None) => self.chunks()?,
            (None, None) => self.rest()?,
            _ => return Err(wrong(format!("framing: {}", answer.head))),
        };
        Ok(answer)
    }

    /// The next answer's status and fields; its body is left unread.
    pub(crate) fn head(&mut self) -> io::Result<Answer> {
        let end = loop {
            match find(&self.unread, b"\r\n\r\n") {
                Some(end) => break end + 4,
                None if self.unread.len() > 64 << 10 => return Err(wrong("an endless head")),
                None => self.more()?,
            }
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        parse(&head)
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < count {
            self.more()?;
        }
        Ok(self.unread.drain(..count).collect())
    }

    fn rest(&mut self) -> io::Result<Vec<u8>> {
        self.stream.read_to_end(&mut self.unread)?;
        Ok(std::mem::take(&mut self.unread))
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match find(&self.unread, b"\r\n") {
                    Some(end) => break self.take(end + 2)?,
                    None => self.more()?,
                }
            };
            let text = String::from_utf8_lossy(&line).into_owned();
            let length = usize::from_str_radix(text.trim(), 16).map_err(wrong)?;
            let chunk = self.take(length + 2)?;
            if length == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..length]);
        }
    }

    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 64 << 10];
        match self.stream.read(&mut buffer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }

    /// What becomes of the connection within `limit`; whatever comes meanwhile is kept.
    pub(crate) fn end(&mut self, limit: Duration) -> End {
        let since = Instant::now();
        loop {
            let left = limit
                .saturating_sub(since.elapsed())
                .max(Duration::from_millis(1));
            self.stream.socket().set_read_timeout(Some(left)).unwrap();
            let ended = match self.more() {
                Ok(()) if since.elapsed() < limit => continue,
                Ok(()) => End::Open,
                Err(e) if is_timeout(&e) => End::Open,
                // TLS says good-bye; where it doesn't, rustls gives this error a text.
                Err(e) if e.kind() == ErrorKind::UnexpectedEof && e.get_ref().is_none() => {
                    End::Closed
                }
                Err(_) => End::Cut,
            };
            self.stream
                .socket()
                .set_read_timeout(Some(PATIENCE))
                .unwrap();
            return ended;
        }
    }

    /// What was read and belongs to no answer.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Lets the server's answers wait in the smallest buffer the system allows.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.stream.socket()
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn wrong(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_string())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// As it came.
    pub(crate) head: String,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a field that comes at most once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(other, _)| other == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "`{name}` twice: {}", self.head);
        value
    }

    /// The value of a field that must be there.
    pub(crate) fn must(&self, name: &str) -> &str {
        self.field(name)
            .unwrap_or_else(|| panic!("no `{name}`: {}", self.head))
    }

    /// The fields but `Date`, sorted: what has to be the same each time.
    pub(crate) fn lasting(&self) -> Vec<(String, String)> {
        let mut fields = self.fields.clone();
        fields.retain(|(name, _)| name != "date");
        fields.sort();
        fields
    }
}

fn parse(head: &[u8]) -> io::Result<Answer> {
    let head = String::from_utf8(head.to_vec()).map_err(wrong)?;
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status = status.and_then(|line| line.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| wrong(format!("status line: {head}")))?;
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| wrong(format!("field: {line}")))?;
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if name.is_empty() || !name.bytes().all(is_token) || value.contains(['\r', '\n']) {
            return Err(wrong(format!("field: {line:?}")));
        }
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let body = Vec::new();
    Ok(Answer {
        status,
        head,
        fields,
        body,
    })
}
