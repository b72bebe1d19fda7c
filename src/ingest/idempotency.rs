//! `Idempotency-Key`: a client that heard no answer sends its request again and gets the asset that
//! the first one made. (The IETF draft "The Idempotency-Key HTTP Header Field".)

#![expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use super::Ingest;
use crate::access::Caller;
use crate::catalog::Begun;
use crate::error::Result as OurResult;
use crate::media::{Asset, AssetId};
use crate::problem::Problem;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// Whose turn a request is.
pub(super) enum Turn {
    /// Its own: it runs, and says how it ended.
    Own(Ticket),
    /// An earlier one's, which made this asset.
    Replay(Box<Asset>),
}

/// The duty to say how a request ended.
#[must_use]
pub(super) struct Ticket {
    ingest: Ingest,
    /// `None` where the client sent no key.
    key: Option<String>,
}

impl Ticket {
    /// The request made an asset.
    pub(super) async fn done(self, asset: &AssetId) -> OurResult<()> {
        match &self.key {
            Some(key) => self.ingest.0.catalog.done(key, asset).await,
            None => Ok(()),
        }
    }

    /// The request made nothing, and may be sent again.
    pub(super) async fn give_back(self) {
        if let Some(key) = &self.key {
            // One that can't be given back is forgotten after an hour.
            let _ = self.ingest.0.catalog.abandon(key).await;
        }
    }
}

/// Whether the request runs. `said` is what makes two requests the same.
pub(super) async fn turn(
    request: &HttpRequest,
    ingest: &Ingest,
    said: &[&str],
) -> Result<Turn, Problem> {
    let own = |key| {
        let ingest = ingest.clone();
        Ok(Turn::Own(Ticket { ingest, key }))
    };
    let Some(key) = key(request)? else {
        return own(None);
    };
    match ingest.0.catalog.begin(&key, &fingerprint(said)).await? {
        Begun::Fresh => own(Some(key)),
        Begun::Different => Err(other_request()),
        Begun::Running => {
            let detail = "the first request with this Idempotency-Key is still running";
            Err(Problem::conflict(detail).retry_after(1))
        }
        Begun::Same(id) => match ingest.0.catalog.asset(&id).await? {
            Some(asset) => Ok(Turn::Replay(Box::new(asset))),
            None => Err(Problem::gone(format!(
                "asset {id}, which the first request with this Idempotency-Key made, was removed"
            ))),
        },
    }
}

/// The key was used for something else.
pub(super) fn other_request() -> Problem {
    let detail = "another request was sent with this Idempotency-Key; use a new one";
    Problem::bad_parameter("Idempotency-Key", detail)
}

/// Says that the answer is an earlier request's.
pub(super) fn mark_replayed(response: &mut HttpResponse) {
    let value = HeaderValue::from_static("true");
    response.headers_mut().insert(REPLAYED, value);
}

/// The key, within the callers' own: two callers may choose the same.
fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers().get(KEY) else {
        return Ok(None);
    };
    let text = value.as_bytes();
    let sound = (1..=KEY_BYTES_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
    if !sound {
        let detail = format!("Idempotency-Key has 1 to {KEY_BYTES_MAX} visible ASCII characters");
        return Err(Problem::bad_request(detail));
    }
    let caller = request.extensions().get::<Caller>().cloned();
    let caller = caller.and_then(|caller| caller.key).unwrap_or_default();
    Ok(Some(format!("{caller}:{}", String::from_utf8_lossy(text))))
}

/// A digest of the parts and of where each ends.
fn fingerprint(said: &[&str]) -> String {
    let mut digest = blake3::Hasher::new();
    for part in said {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_knows_where_parts_end() {
        assert_ne!(fingerprint(&["ab", "c"]), fingerprint(&["a", "bc"]));
        assert_eq!(fingerprint(&["ab", "c"]), fingerprint(&["ab", "c"]));
    }

    #[test]
    fn keys_are_visible_characters() {
        let read = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).expect("a header's value");
            let request = actix_web::test::TestRequest::get().insert_header((KEY, value));
            key(&request.to_http_request())
        };
        assert_eq!(read(b"k-1").expect("sound").as_deref(), Some(":k-1"));
        for wrong in [&b""[..], b"a b", b"\xe9", &[b'x'; 256]] {
            read(wrong).expect_err("not sound");
        }
    }
}
