//! An asset as the outside sees it: the JSON of the API, of its events and of webhooks.

use serde::Serialize;
use url::Url;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use crate::clock::rfc3339;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{HLS_NAME, MPD_NAME};
use crate::media::{Asset, AssetState, RenditionSummary, Scheme};

/// File name of the still picture of an asset.
const POSTER_NAME: &str = "poster.jpg";

/// Where this server is for whoever asks: scheme, host, and perhaps a path, without a final `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The base in a configured URL.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for what is no plain http or https URL.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |why: &str| Error::invalid(format!("public URL `{text}`: {why}"));
        let url = Url::parse(text).map_err(|e| refused("no URL").with_source(e))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(refused("write http:// or https:// and a host"));
        }
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !plain {
            return Err(refused("leave out user, query and fragment"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The base for a request that named us by `host` (a `Host` header, with its port), over TLS
    /// or plain HTTP. What can't be a host's name becomes `localhost`.
    pub fn from_host(host: &str, is_secure: bool) -> Self {
        let sign = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
        let sound = !host.is_empty() && host.len() <= 255 && host.bytes().all(sign);
        let scheme = if is_secure { "https" } else { "http" };
        Self(format!(
            "{scheme}://{}",
            if sound { host } else { "localhost" }
        ))
    }

    /// The URL of `path`, which begins with `/`.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Its host, without the port.
    pub fn host(&self) -> Option<String> {
        let url = Url::parse(&self.0).ok()?;
        url.host_str().map(str::to_owned)
    }
}

/// An asset.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Asset)]
pub struct AssetView {
    /// Its name in every URL.
    #[schema(
        pattern = "^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$",
        examples("7k3m9x2c5v8b1n4q")
    )]
    pub id: String,
    /// What people call it; may be empty.
    pub title: String,
    /// Where it is on its way: `uploading`, `indexing`, `ready` (playable), `complete` (everything
    /// stored and verified) or `failed`.
    #[schema(schema_with = state_schema)]
    pub state: &'static str,
    /// Why it failed; only where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<FailureView>,
    /// Length in seconds, once it is known.
    #[schema(required = true)]
    pub duration_s: Option<f64>,
    /// How far it is.
    pub progress: Progress,
    /// Where it is played from.
    pub playback: Playback,
    /// What it can be played as, once that is planned.
    pub renditions: Vec<RenditionView>,
    /// What its owner should know.
    pub warnings: Vec<String>,
    /// When it was created (RFC 3339).
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// Why an asset failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Failure)]
pub struct FailureView {
    /// What can be done about it.
    #[schema(schema_with = kind_schema)]
    pub kind: ErrorKind,
    /// What went wrong and how to mend it, in plain words.
    pub message: String,
}

/// How many segments are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Progress {
    /// Segments stored.
    #[schema(minimum = 0)]
    pub segments_done: u64,
    /// Segments planned; 0 before that.
    #[schema(minimum = 0)]
    pub segments_total: u64,
}

/// Where an asset is played from. The URLs never change; they answer from `ready` on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Playback {
    /// The HLS multivariant playlist.
    #[schema(format = "uri")]
    pub hls: String,
    /// The DASH MPD; none where whole segments are encrypted (`aes-128`).
    #[schema(required = true, format = "uri")]
    pub dash: Option<String>,
    /// A still picture, once there is one.
    #[schema(required = true, format = "uri")]
    pub poster: Option<String>,
    /// A page that plays it.
    #[schema(format = "uri")]
    pub page: String,
}

/// One encoding of one track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Rendition)]
pub struct RenditionView {
    /// Its name in URLs.
    #[schema(examples("v1080"))]
    pub id: String,
    /// RFC 6381 codec string.
    #[schema(examples("avc1.640028"))]
    pub codecs: String,
    /// Picture width; null for sound.
    #[schema(required = true)]
    pub width: Option<u32>,
    /// Picture height; null for sound.
    #[schema(required = true)]
    pub height: Option<u32>,
    /// BCP 47 language; null for pictures.
    #[schema(required = true)]
    pub language: Option<String>,
    /// Peak in bits a second: expected while `ready`, measured once `complete`.
    pub bandwidth: u64,
    /// Mean in bits a second, likewise.
    pub average_bandwidth: u64,
    /// `copy` for the source's own samples, `encode` for those made anew.
    pub source: String,
}

impl From<&RenditionSummary> for RenditionView {
    fn from(summary: &RenditionSummary) -> Self {
        Self {
            id: summary.id.clone(),
            codecs: summary.codecs.clone(),
            width: summary.width,
            height: summary.height,
            language: summary.language.clone(),
            bandwidth: summary.bandwidth,
            average_bandwidth: summary.average_bandwidth,
            source: summary.source.clone(),
        }
    }
}

/// The asset as the outside sees it, with URLs under `base`.
pub fn asset_json(asset: &Asset, base: &BaseUrl) -> AssetView {
    let failure = asset.failure.as_ref().map(|failure| FailureView {
        kind: failure.kind,
        message: failure.message.clone(),
    });
    AssetView {
        id: asset.id.to_string(),
        title: asset.title.clone(),
        state: asset.state.name(),
        error: failure.filter(|_| asset.state == AssetState::Failed),
        duration_s: asset.duration_s,
        progress: Progress {
            segments_done: asset.segments_done,
            segments_total: asset.segments_total,
        },
        playback: playback(asset, base),
        renditions: asset.renditions.iter().map(RenditionView::from).collect(),
        warnings: asset.warnings.clone(),
        created_at: rfc3339(asset.created_at_millis),
    }
}

fn playback(asset: &Asset, base: &BaseUrl) -> Playback {
    let id = &asset.id;
    let object = |name: &str| base.join(&format!("/v/{id}/{name}"));
    let encryption = asset.policy.encryption.as_ref();
    let has_dash = encryption.is_none_or(|it| it.scheme != Scheme::Aes128);
    Playback {
        hls: object(HLS_NAME),
        dash: has_dash.then(|| object(MPD_NAME)),
        poster: asset.has_poster.then(|| object(POSTER_NAME)),
        page: base.join(&format!("/watch/{id}")),
    }
}

fn words(words: &[&str]) -> Schema {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    schema.enum_values(Some(words.iter().copied())).into()
}

fn state_schema() -> Schema {
    words(&["uploading", "indexing", "ready", "complete", "failed"])
}

fn kind_schema() -> Schema {
    words(&[
        "invalid",
        "unsupported",
        "not_found",
        "conflict",
        "exhausted",
        "unavailable",
        "data_loss",
        "internal",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{AssetId, Failure, Policy};

    fn asset(state: AssetState) -> Asset {
        Asset {
            id: AssetId::parse("clip").expect("sound"),
            title: "A clip".to_owned(),
            state,
            failure: Some(Failure {
                kind: ErrorKind::DataLoss,
                message: "cut off".to_owned(),
            }),
            policy: Policy::default(),
            source_url: Some("https://example.org/secret".to_owned()),
            source_bytes: None,
            source_digest: None,
            revision: None,
            duration_s: None,
            renditions: Vec::new(),
            segments_done: 0,
            segments_total: 0,
            has_poster: false,
            warnings: Vec::new(),
            created_at_millis: 0,
        }
    }

    #[test]
    fn urls_are_absolute_under_the_base() {
        let base = BaseUrl::from_host("127.0.0.1:8080", false);
        let view = asset_json(&asset(AssetState::Ready), &base);
        assert_eq!(view.playback.hls, "http://127.0.0.1:8080/v/clip/index.m3u8");
        assert_eq!(view.playback.page, "http://127.0.0.1:8080/watch/clip");
        assert_eq!(view.playback.poster, None);
        assert!(view.error.is_none(), "it didn't fail for good");
        assert_eq!(view.created_at, "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn absent_values_are_null_and_the_source_is_nobodys_business() {
        let base = BaseUrl::parse("https://video.example.org/origin/").expect("sound");
        let view = asset_json(&asset(AssetState::Failed), &base);
        let json = serde_json::to_value(&view).expect("JSON");
        assert!(json["duration_s"].is_null() && json["playback"]["poster"].is_null());
        assert_eq!(json["error"]["kind"], "data_loss");
        let dash = "https://video.example.org/origin/v/clip/manifest.mpd";
        assert_eq!(json["playback"]["dash"], dash);
        assert!(!json.to_string().contains("secret"));
    }

    #[test]
    fn a_host_header_puts_nothing_else_into_urls() {
        for host in ["", "a/b", "a\"b", "user@host", "a b"] {
            assert_eq!(
                BaseUrl::from_host(host, true).join("/"),
                "https://localhost/"
            );
        }
        assert_eq!(
            BaseUrl::from_host("[::1]:80", false).join("/"),
            "http://[::1]:80/"
        );
        assert!(BaseUrl::parse("example.org").is_err());
        assert!(BaseUrl::parse("https://example.org/?x").is_err());
    }
}
