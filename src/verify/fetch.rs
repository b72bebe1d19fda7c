//! How verification gets at a presentation's bytes: from a directory or over HTTP.
//!
//! Addresses are URLs (RFC 3986). A directory is given the made-up address
//! `http://presentation.invalid/root/`, so that references in manifests resolve by the same rules
//! wherever the presentation lies, and one that climbs out of it is seen rather than followed.

use std::fs::File;
use std::path::{Path, PathBuf};

use url::Url;

use crate::error::{Error, ErrorKind, Result};
use crate::read_at::ReadAt;

/// The largest playlist or manifest that is read; anything longer is refused.
pub const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// Bytes by URL. Every `url` may be absolute or relative to [`Fetch::root`].
pub trait Fetch: Sync {
    /// The address that relative ones start from; ends in `/`.
    fn root(&self) -> &Url;

    /// Length of an object in bytes.
    ///
    /// # Errors
    /// When it isn't there, or its length can't be learned.
    fn size(&self, url: &str) -> Result<u64>;

    /// Up to `len` bytes from byte `start` on: fewer only where the object ends.
    ///
    /// # Errors
    /// When it isn't there or can't be read.
    fn range(&self, url: &str, start: u64, len: u64) -> Result<Vec<u8>>;

    /// A whole object, for playlists and manifests.
    ///
    /// # Errors
    /// When it isn't there, can't be read, or is longer than [`MANIFEST_BYTES_MAX`].
    fn all(&self, url: &str) -> Result<Vec<u8>>;

    /// The media type the object is served under; `None` where the place has no notion of one.
    fn content_type(&self, url: &str) -> Option<String>;

    /// Whether the object is only reached through a redirect.
    fn redirects(&self, _url: &str) -> bool {
        false
    }

    /// Names of the files directly in the root; empty where they can't be listed.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A presentation in a directory.
#[derive(Debug)]
pub struct LocalFetch {
    directory: PathBuf,
    root: Url,
}

impl LocalFetch {
    /// Reads below `directory` and nowhere else: neither `..` nor a symbolic link leads out.
    ///
    /// # Errors
    /// When `directory` isn't a directory that can be read.
    pub fn new(directory: &Path) -> Result<Self> {
        let canonical = directory
            .canonicalize()
            .map_err(|e| Error::io(format!("opening {}", directory.display()), e))?;
        if !canonical.is_dir() {
            let message = format!("{} is not a directory", directory.display());
            return Err(Error::invalid(message));
        }
        Ok(Self {
            directory: canonical,
            root: Url::parse("http://presentation.invalid/root/").expect("a valid URL"),
        })
    }

    fn open(&self, url: &str) -> Result<File> {
        let path = self.path(url)?;
        let shown = path.display();
        let canonical = path
            .canonicalize()
            .map_err(|e| Error::io(format!("opening {shown}"), e))?;
        if !canonical.starts_with(&self.directory) {
            let message = format!("{shown} leads out of {}", self.directory.display());
            return Err(Error::invalid(message));
        }
        if !canonical.is_file() {
            return Err(Error::invalid(format!("{shown} is not a file")));
        }
        File::open(&canonical).map_err(|e| Error::io(format!("opening {shown}"), e))
    }

    /// The file an address stands for. Its parts are checked after percent-decoding, so that no
    /// encoding of `/` or `..` gets through.
    fn path(&self, url: &str) -> Result<PathBuf> {
        let refused = |why: &str| Error::invalid(format!("{url}: {why}"));
        let joined = self
            .root
            .join(url)
            .map_err(|e| refused("not a URL").with_source(e))?;
        if joined.origin() != self.root.origin() {
            return Err(refused("lies on another host"));
        }
        let Some(below) = joined.path().strip_prefix(self.root.path()) else {
            return Err(refused("lies outside the presentation's directory"));
        };
        let mut path = self.directory.clone();
        for part in below.split('/') {
            let part = percent_decoded(part).ok_or_else(|| refused("its path is not UTF-8"))?;
            if part == ".." || part.contains(['/', '\0']) {
                return Err(refused("its path climbs out of its folder"));
            }
            path.push(part);
        }
        Ok(path)
    }
}

impl Fetch for LocalFetch {
    fn root(&self) -> &Url {
        &self.root
    }

    fn size(&self, url: &str) -> Result<u64> {
        self.open(url)?.size()
    }

    fn range(&self, url: &str, start: u64, len: u64) -> Result<Vec<u8>> {
        let file = self.open(url)?;
        let there = file.size()?.saturating_sub(start).min(len);
        let mut bytes = vec![0; buffer_len(there)?];
        let got = ReadAt::read_at(&file, start, &mut bytes).map_err(|e| e.context(url))?;
        bytes.truncate(got);
        Ok(bytes)
    }

    fn all(&self, url: &str) -> Result<Vec<u8>> {
        let size = self.size(url)?;
        if size > MANIFEST_BYTES_MAX {
            return Err(too_long(url, size));
        }
        self.range(url, 0, size)
    }

    fn content_type(&self, _url: &str) -> Option<String> {
        None
    }

    fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.directory) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }
}

fn too_long(url: &str, size: u64) -> Error {
    let message =
        format!("{url} has {size} bytes; a manifest over {MANIFEST_BYTES_MAX} is refused");
    Error::new(ErrorKind::Exhausted, message)
}

fn buffer_len(len: u64) -> Result<usize> {
    usize::try_from(len).map_err(|_| Error::invalid("a range longer than memory"))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match tail {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            bytes.push(high << 4 | low);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

#[cfg(feature = "aws")]
pub use http::HttpFetch;

#[cfg(feature = "aws")]
mod http {
    use std::io::Read;
    use std::time::Duration;

    use reqwest::StatusCode;
    use reqwest::blocking::{Client, Response};
    use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, RANGE};
    use reqwest::redirect::Policy;
    use url::Url;

    use super::{Fetch, MANIFEST_BYTES_MAX, too_long};
    use crate::error::{Error, ErrorKind, Result};

    /// How long one request may take.
    const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
    /// Redirects followed before giving up.
    const REDIRECTS_MAX: usize = 5;

    /// A presentation behind a URL.
    ///
    /// Must not be used from inside an async runtime's thread: requests block.
    #[derive(Debug)]
    pub struct HttpFetch {
        client: Client,
        root: Url,
    }

    impl HttpFetch {
        /// Reads below `url`; a last part without `/` (a playlist's name) is cut off.
        ///
        /// # Errors
        /// When `url` is no HTTP URL, or no client can be made.
        pub fn new(url: &str) -> Result<Self> {
            let invalid = |why: &str| Error::invalid(format!("{url}: {why}"));
            let parsed = Url::parse(url).map_err(|e| invalid("not a URL").with_source(e))?;
            if !matches!(parsed.scheme(), "http" | "https") {
                return Err(invalid("not an http or https URL"));
            }
            let root = parsed
                .join(".")
                .map_err(|e| invalid("no folder").with_source(e))?;
            // Redirects are followed here, one by one, so that they can be reported (H19).
            let client = Client::builder()
                .redirect(Policy::none())
                .timeout(REQUEST_TIMEOUT)
                .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|e| Error::internal("no HTTP client").with_source(e))?;
            Ok(Self { client, root })
        }

        fn resolve(&self, url: &str) -> Result<Url> {
            self.root
                .join(url)
                .map_err(|e| Error::invalid(format!("{url}: not a URL")).with_source(e))
        }

        /// The answer after redirects.
        fn get(&self, url: &str, head: bool, range: Option<String>) -> Result<Response> {
            let mut target = self.resolve(url)?;
            for _ in 0..REDIRECTS_MAX {
                let response = self.once(&target, head, range.as_deref())?;
                match next_hop(&response) {
                    None => return answered(url, response),
                    Some(location) => {
                        target = target.join(&location).map_err(|e| {
                            Error::invalid(format!("{url}: redirected to no URL")).with_source(e)
                        })?;
                    }
                }
            }
            let message = format!("{url}: more than {REDIRECTS_MAX} redirects");
            Err(Error::new(ErrorKind::Unavailable, message))
        }

        fn once(&self, url: &Url, head: bool, range: Option<&str>) -> Result<Response> {
            let mut request = match head {
                true => self.client.head(url.clone()),
                false => self.client.get(url.clone()),
            };
            if let Some(range) = range {
                request = request.header(RANGE, range);
            }
            request.send().map_err(|e| {
                // The outer error says only that there is one; the inmost says which.
                let mut cause: &dyn std::error::Error = &e;
                while let Some(inner) = cause.source() {
                    cause = inner;
                }
                let message = format!("requesting {url}: {cause}");
                Error::new(ErrorKind::Unavailable, message)
            })
        }
    }

    impl Fetch for HttpFetch {
        fn root(&self) -> &Url {
            &self.root
        }

        fn size(&self, url: &str) -> Result<u64> {
            let response = self.get(url, true, None)?;
            // A HEAD answer has no body: the length is only in its header.
            number(response.headers(), CONTENT_LENGTH.as_str())
                .ok_or_else(|| Error::invalid(format!("{url}: answered without Content-Length")))
        }

        fn range(&self, url: &str, start: u64, len: u64) -> Result<Vec<u8>> {
            let Some(last) = len.checked_sub(1).and_then(|n| start.checked_add(n)) else {
                return Ok(Vec::new());
            };
            let response = match self.get(url, false, Some(format!("bytes={start}-{last}"))) {
                Ok(response) => response,
                Err(e) if is_past_the_end(&e) => return Ok(Vec::new()),
                Err(e) => return Err(e),
            };
            // 200 means the server has no ranges: skip what comes before.
            let skip = match response.status() {
                StatusCode::PARTIAL_CONTENT => 0,
                _ => start,
            };
            read_body(url, response, skip, len)
        }

        fn all(&self, url: &str) -> Result<Vec<u8>> {
            let response = self.get(url, false, None)?;
            let bytes = read_body(url, response, 0, MANIFEST_BYTES_MAX + 1)?;
            if bytes.len() as u64 > MANIFEST_BYTES_MAX {
                return Err(too_long(url, bytes.len() as u64));
            }
            Ok(bytes)
        }

        fn content_type(&self, url: &str) -> Option<String> {
            let response = self.get(url, true, None).ok()?;
            let value = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
            Some(value.to_owned())
        }

        fn redirects(&self, url: &str) -> bool {
            let Ok(target) = self.resolve(url) else {
                return false;
            };
            self.once(&target, true, None)
                .is_ok_and(|response| next_hop(&response).is_some())
        }
    }

    fn next_hop(response: &Response) -> Option<String> {
        if !response.status().is_redirection() {
            return None;
        }
        Some(response.headers().get(LOCATION)?.to_str().ok()?.to_owned())
    }

    const PAST_THE_END: &str = "416";

    fn is_past_the_end(error: &Error) -> bool {
        error.kind() == ErrorKind::DataLoss && error.to_string().contains(PAST_THE_END)
    }

    fn answered(url: &str, response: Response) -> Result<Response> {
        let status = response.status();
        let kind = match status.as_u16() {
            200..=299 => return Ok(response),
            404 | 410 => ErrorKind::NotFound,
            416 => ErrorKind::DataLoss,
            400..=499 => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        let code = status.as_u16();
        Err(Error::new(
            kind,
            format!("{url}: the server answered {code}"),
        ))
    }

    fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
        headers.get(name)?.to_str().ok()?.trim().parse().ok()
    }

    fn read_body(url: &str, response: Response, skip: u64, len: u64) -> Result<Vec<u8>> {
        let failed = |e| Error::io(format!("reading {url}"), e);
        let mut body = response;
        std::io::copy(&mut body.by_ref().take(skip), &mut std::io::sink()).map_err(failed)?;
        let mut bytes = Vec::new();
        body.take(len).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(dir.path().join("root/a b")).expect("made");
        std::fs::write(dir.path().join("secret"), b"outside").expect("written");
        std::fs::write(dir.path().join("root/a b/x.m4s"), b"0123456789").expect("written");
        std::os::unix::fs::symlink("../secret", dir.path().join("root/link")).expect("linked");
        dir
    }

    #[test]
    fn ranges_end_where_the_file_ends() {
        let dir = tree();
        let fetch = LocalFetch::new(&dir.path().join("root")).expect("opens");
        assert_eq!(fetch.size("a%20b/x.m4s").expect("there"), 10);
        let tail = fetch.range("a%20b/x.m4s", 8, u64::MAX).expect("reads");
        assert_eq!(tail, b"89");
        let past = fetch.range("a%20b/x.m4s", 50, 4).expect("reads");
        assert_eq!(past, b"");
    }

    #[test]
    fn nothing_leads_out_of_the_directory() {
        let dir = tree();
        let fetch = LocalFetch::new(&dir.path().join("root")).expect("opens");
        for url in [
            "../secret",
            "a/../../secret",
            "%2e%2e/secret",
            "..%2fsecret",
            "a%2f..%2f..%2fsecret",
            "link",
            "/secret",
            "file:///etc/passwd",
            "http://example.org/x",
            "x\0y",
            "a%20b",
            "",
        ] {
            fetch.all(url).expect_err(url);
        }
    }
}
