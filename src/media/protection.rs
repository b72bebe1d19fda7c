//! Encryption: how tracks are protected and how players are told. All of it is public, save
//! [`ContentKey`], which is in no plan, record, manifest or message.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result};

/// How samples or segments are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "origin", derive(utoipa::ToSchema))]
pub enum Scheme {
    /// `cbcs` of ISO/IEC 23001-7, which HLS calls SAMPLE-AES: the same segments for HLS and DASH.
    #[serde(rename = "cbcs")]
    Cbcs,
    /// Whole segments, AES-128 in CBC mode: HLS only.
    #[serde(rename = "aes-128")]
    Aes128,
}

/// Which tracks share a content key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "origin", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeyDivision {
    /// One for everything.
    One,
    /// One for sound, one for pictures.
    #[default]
    AudioVideo,
    /// One for sound, and one each for pictures up to 576 lines, up to 1080, and above.
    BySize,
}

/// Widevine, as far as manifests and init segments speak of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "origin", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Widevine {
    /// Name of the provider that the licence server knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Content id that the licence server knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
    /// Where players get licences; told in DASH manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license_url: Option<String>,
}

/// `PlayReady`, as far as manifests and init segments speak of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "origin", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PlayReady {
    /// Where players get licences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license_url: Option<String>,
}

/// `FairPlay` Streaming, as far as HLS playlists speak of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "origin", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct FairPlay {
    /// What the application's key delegate gets to see: a template of an `skd://` URI.
    pub key_uri: String,
}

impl Default for FairPlay {
    fn default() -> Self {
        Self {
            key_uri: "skd://{kid}".to_owned(),
        }
    }
}

/// What the user asks for: the table `[encryption]` of a policy.
///
/// In the templates `{kid}` stands for a key id in 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "origin", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// How to encrypt.
    pub scheme: Scheme,
    /// Which tracks share a key.
    #[serde(default)]
    pub keys: KeyDivision,
    /// Whether players get the key itself from the key URL; by default where no DRM system is
    /// named, for it would make the system pointless. Always with `aes-128`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_key: Option<bool>,
    /// Template of the URL of a key; by default that of the server's own, beside the entry points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_url: Option<String>,
    /// URL for `ClearKey` licences; by default that of the server's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_url: Option<String>,
    /// Tell players of Widevine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widevine: Option<Widevine>,
    /// Tell players of `PlayReady`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playready: Option<PlayReady>,
    /// Tell players of `FairPlay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fairplay: Option<FairPlay>,
}

/// Folder of the keys, relative to the asset's folder.
pub const KEY_FOLDER: &str = "keys";
/// What a `POST` asks for `ClearKey` licences, in that folder.
pub const LICENSE_NAME: &str = "clearkey";

impl Encryption {
    /// Encryption that says no more than its scheme.
    pub fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            keys: KeyDivision::default(),
            clear_key: None,
            key_url: None,
            license_url: None,
            widevine: None,
            playready: None,
            fairplay: None,
        }
    }

    /// Whether a DRM system is named.
    pub fn has_system(&self) -> bool {
        self.widevine.is_some() || self.playready.is_some() || self.fairplay.is_some()
    }

    /// Whether players get the key itself.
    pub fn gives_keys(&self) -> bool {
        match self.scheme {
            Scheme::Aes128 => true,
            Scheme::Cbcs => self.clear_key.unwrap_or(!self.has_system()),
        }
    }

    /// Whether a server that hands out keys itself can have it. Who names another place for keys
    /// has rules of his own for them, so that licences must not come from here either.
    ///
    /// # Errors
    /// Names the key of the policy that is missing.
    pub fn check_served(&self) -> Result<()> {
        let is_half = self.key_url.is_some() && self.license_url.is_none();
        if !(is_half && self.gives_keys() && self.scheme == Scheme::Cbcs) {
            return Ok(());
        }
        Err(Error::invalid(
            "policy: encryption: key_url sends players elsewhere for keys; give license_url too, \
             or leave out both, and this server hands out keys and licences",
        ))
    }

    /// Whether the server itself hands out the keys.
    pub fn has_own_keys(&self) -> bool {
        self.gives_keys() && self.key_url.is_none()
    }

    /// Whether the server itself hands out `ClearKey` licences.
    pub fn has_own_licenses(&self) -> bool {
        self.has_own_keys() && self.scheme == Scheme::Cbcs && self.license_url.is_none()
    }

    /// Whether the parts fit each other, and every URL can stand in a manifest.
    ///
    /// # Errors
    /// Names the key of the policy and what to write.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::invalid(format!("policy: encryption: {what}")));
        if self.scheme == Scheme::Aes128 && self.has_system() {
            return wrong("widevine, playready and fairplay need scheme = \"cbcs\"");
        }
        if self.scheme == Scheme::Aes128 && self.clear_key == Some(false) {
            return wrong("aes-128 hands players the key; leave out clear_key = false");
        }
        if self.scheme == Scheme::Cbcs && self.clear_key == Some(false) && !self.has_system() {
            return wrong(
                "with clear_key = false nobody could play it; name widevine, playready or fairplay",
            );
        }
        let key_uri = self.fairplay.as_ref().map(|fairplay| &fairplay.key_uri);
        for (name, template) in [
            ("key_url", self.key_url.as_ref()),
            ("fairplay.key_uri", key_uri),
        ] {
            if template.is_some_and(|template| !template.contains("{kid}")) {
                return wrong(&format!("{name} must have {{kid}} in it"));
            }
        }
        let license = |url: Option<&'_ Option<String>>| url.cloned().flatten();
        let widevine = license(self.widevine.as_ref().map(|system| &system.license_url));
        let playready = license(self.playready.as_ref().map(|system| &system.license_url));
        for (name, url) in [
            ("key_url", self.key_url.clone()),
            ("license_url", self.license_url.clone()),
            ("fairplay.key_uri", key_uri.cloned()),
            ("widevine.license_url", widevine),
            ("playready.license_url", playready),
        ] {
            if url.is_some_and(|url| !is_absolute(&url)) {
                return wrong(&format!(
                    "{name} must be a whole URL, `https://..` or the like, of at most 1024 \
                     characters without spaces and quotes"
                ));
            }
        }
        Ok(())
    }
}

/// `scheme:` and then visible ASCII that needs no escape in a playlist or in XML.
fn is_absolute(url: &str) -> bool {
    let has_scheme = url.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !rest.is_empty()
    });
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\');
    has_scheme && url.len() <= 1024 && url.bytes().all(plain)
}

/// A template with the key id in place.
fn filled(template: &str, key_id: KeyId) -> String {
    template.replace("{kid}", &key_id.to_string())
}

/// 16 public bytes.
macro_rules! sixteen_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The bytes that 32 hexadecimal digits stand for.
            pub fn parse(digits: &str) -> Option<Self> {
                parse_hex(digits).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let digits = String::deserialize(deserializer)?;
                let wrong = || de::Error::custom("32 hexadecimal digits are wanted");
                Self::parse(&digits).ok_or_else(wrong)
            }
        }
    };
}

sixteen_bytes! {
    /// Names a content key.
    KeyId
}

sixteen_bytes! {
    /// An initialization vector.
    Iv
}

sixteen_bytes! {
    /// What a key is told from another one by; nothing else can be told from it.
    KeyCheck
}

fn parse_hex(digits: &str) -> Option<[u8; 16]> {
    let digits: &[u8; 32] = digits.as_bytes().try_into().ok()?;
    let value = |digit: u8| char::from(digit).to_digit(16);
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(value(pair[0])? << 4 | value(pair[1])?).ok()?;
    }
    Some(bytes)
}

impl KeyId {
    /// As a UUID, the way MPDs write it.
    pub fn uuid(self) -> String {
        let digits = self.to_string();
        let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &digits[range]);
        format!("{a}-{b}-{c}-{d}-{e}")
    }
}

/// The secret of a [`KeyId`]. It is never shown, not by `Debug` either, and can't be serialized.
#[derive(Clone, PartialEq, Eq)]
pub struct ContentKey([u8; 16]);

impl ContentKey {
    /// The key with these bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key that 32 hexadecimal digits stand for.
    pub fn parse(digits: &str) -> Option<Self> {
        parse_hex(digits).map(Self)
    }

    /// The bytes, for ciphers and for whoever may have the key.
    pub fn secret_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(..)")
    }
}

/// What a content key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyUse {
    /// Every track.
    All,
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Pictures of up to 576 lines.
    Sd,
    /// Pictures of up to 1080 lines.
    Hd,
    /// Pictures of more lines.
    Uhd,
}

impl KeyUse {
    /// All of them.
    pub const EVERY: [Self; 6] = [
        Self::All,
        Self::Audio,
        Self::Video,
        Self::Sd,
        Self::Hd,
        Self::Uhd,
    ];

    /// How it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Sd => "sd",
            Self::Hd => "hd",
            Self::Uhd => "uhd",
        }
    }

    /// Whether the key is for tracks of that kind.
    pub fn covers(self, kind: ProtectedKind) -> bool {
        match (self, kind) {
            (Self::All, _)
            | (Self::Audio, ProtectedKind::Audio)
            | (Self::Video, ProtectedKind::Video { .. }) => true,
            (Self::Sd, ProtectedKind::Video { lines }) => lines <= 576,
            (Self::Hd, ProtectedKind::Video { lines }) => (577..=1080).contains(&lines),
            (Self::Uhd, ProtectedKind::Video { lines }) => lines > 1080,
            _ => false,
        }
    }
}

impl KeyDivision {
    /// The keys there are.
    pub fn uses(self) -> &'static [KeyUse] {
        match self {
            Self::One => &[KeyUse::All],
            Self::AudioVideo => &[KeyUse::Video, KeyUse::Audio],
            Self::BySize => &[KeyUse::Sd, KeyUse::Hd, KeyUse::Uhd, KeyUse::Audio],
        }
    }
}

/// What decides about the key of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectedKind {
    /// Sound.
    Audio,
    /// Pictures, whose short side has so many pixels.
    Video {
        /// Pixels of the short side.
        lines: u32,
    },
}

impl ProtectedKind {
    /// Of a picture's size.
    pub fn of_picture(width: u32, height: u32) -> Self {
        Self::Video {
            lines: width.min(height),
        }
    }
}

/// A content key without its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPlan {
    /// What it is for.
    #[serde(rename = "use")]
    pub usage: KeyUse,
    /// Its id.
    pub key_id: KeyId,
    /// The initialization vector of every sample under it (`cbcs`).
    pub iv: Iv,
    /// Tells the key of a list from another one that was given the same id. One that is derived has an
    /// id that no other has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<KeyCheck>,
}

/// How everything of a presentation is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionPlan {
    /// What was asked for.
    pub policy: Encryption,
    /// The keys.
    pub keys: Vec<KeyPlan>,
}

impl EncryptionPlan {
    /// The key of tracks of a kind.
    ///
    /// # Errors
    /// When a list of keys that the user gave has none for it.
    pub fn key_for(&self, kind: ProtectedKind) -> Result<KeyPlan> {
        let found = self.keys.iter().find(|key| key.usage.covers(kind));
        found.copied().ok_or_else(|| {
            let what = match kind {
                ProtectedKind::Audio => "sound".to_owned(),
                ProtectedKind::Video { lines } => format!("pictures of {lines} lines"),
            };
            Error::invalid(format!(
                "there is no key for {what}; add one to the key file"
            ))
        })
    }

    /// How a track of a kind is protected.
    ///
    /// # Errors
    /// As [`EncryptionPlan::key_for`].
    pub fn track(&self, kind: ProtectedKind) -> Result<TrackProtection> {
        let KeyPlan { key_id, iv, .. } = self.key_for(kind)?;
        let policy = &self.policy;
        let gives_keys = policy.gives_keys();
        let key_url = match &policy.key_url {
            Some(template) => filled(template, key_id),
            None => format!("{KEY_FOLDER}/{key_id}"),
        };
        let license_url = policy.license_url.clone();
        Ok(TrackProtection {
            scheme: policy.scheme,
            key_id,
            iv,
            key_url: gives_keys.then_some(key_url),
            license_url: license_url.filter(|_| gives_keys),
            widevine: policy.widevine.clone(),
            playready: policy.playready.clone(),
            fairplay_uri: policy
                .fairplay
                .as_ref()
                .map(|fairplay| filled(&fairplay.key_uri, key_id)),
        })
    }
}

/// How one track is protected, and what its manifests say of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackProtection {
    /// How it is encrypted.
    pub scheme: Scheme,
    /// The key's id.
    pub key_id: KeyId,
    /// The initialization vector of every sample (`cbcs`).
    pub iv: Iv,
    /// Where players get the key itself, if they do: a whole URL, or one relative to the asset's
    /// folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_url: Option<String>,
    /// Where they ask for a `ClearKey` licence, where that isn't [`LICENSE_NAME`] in the asset's own
    /// [`KEY_FOLDER`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_url: Option<String>,
    /// Widevine is told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widevine: Option<Widevine>,
    /// `PlayReady` is told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playready: Option<PlayReady>,
    /// `FairPlay` is told of, with this URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fairplay_uri: Option<String>,
}

impl TrackProtection {
    /// Whether a DRM system is told of.
    pub fn has_system(&self) -> bool {
        self.widevine.is_some() || self.playready.is_some() || self.fairplay_uri.is_some()
    }

    /// The key's URL from a place that reaches the asset's folder by `to_asset` (empty, or ending
    /// in `/`).
    pub fn key_url_from(&self, to_asset: &str) -> Option<String> {
        let url = self.key_url.as_ref()?;
        Some(match is_absolute(url) {
            true => url.clone(),
            false => format!("{to_asset}{url}"),
        })
    }

    /// The URL for licences, likewise; `None` where players don't get the key itself.
    pub fn license_url_from(&self, to_asset: &str) -> Option<String> {
        self.key_url.as_ref()?;
        let own = || format!("{to_asset}{KEY_FOLDER}/{LICENSE_NAME}");
        Some(self.license_url.clone().unwrap_or_else(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_ID: KeyId = KeyId([0xab; 16]);

    #[test]
    fn a_content_key_is_never_shown() {
        let key = ContentKey::parse("000102030405060708090a0b0c0d0e0f").unwrap();
        assert_eq!(key.secret_bytes()[15], 15);
        assert_eq!(format!("{key:?}"), "ContentKey(..)");
        assert_eq!(ContentKey::parse("00"), None);
        assert_eq!(ContentKey::parse(&"zz".repeat(16)), None);
    }

    #[test]
    fn a_key_id_is_written_in_two_ways() {
        let id = KeyId::parse("00112233445566778899aabbccddeeff").unwrap();
        assert_eq!(id.to_string(), "00112233445566778899aabbccddeeff");
        assert_eq!(id.uuid(), "00112233-4455-6677-8899-aabbccddeeff");
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<KeyId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<KeyId>("\"0011\"").is_err());
    }

    #[test]
    fn every_track_has_one_key_in_every_division() {
        let kinds = [0, 240, 576, 577, 1080, 1081, 4320]
            .map(|lines| ProtectedKind::Video { lines })
            .into_iter()
            .chain([ProtectedKind::Audio]);
        for kind in kinds {
            for division in [
                KeyDivision::One,
                KeyDivision::AudioVideo,
                KeyDivision::BySize,
            ] {
                let covering = division.uses().iter().filter(|usage| usage.covers(kind));
                assert_eq!(covering.count(), 1, "{kind:?} {division:?}");
            }
        }
    }

    #[test]
    fn a_system_takes_the_place_of_the_plain_key() {
        let mut policy = Encryption::new(Scheme::Cbcs);
        assert!(policy.gives_keys());
        policy.widevine = Some(Widevine::default());
        assert!(!policy.gives_keys());
        policy.clear_key = Some(true);
        assert!(policy.gives_keys());
    }

    #[test]
    fn a_server_hands_out_keys_unless_all_of_them_are_elsewhere() {
        let mut policy = Encryption::new(Scheme::Cbcs);
        policy.check_served().unwrap();
        assert!(policy.has_own_keys() && policy.has_own_licenses());
        policy.key_url = Some("https://k.example/{kid}".to_owned());
        let words = policy.check_served().unwrap_err().to_string();
        assert!(words.contains("license_url"), "{words}");
        policy.license_url = Some("https://k.example/license".to_owned());
        policy.check_served().unwrap();
        assert!(!policy.has_own_keys() && !policy.has_own_licenses());
        policy.key_url = None;
        assert!(policy.has_own_keys() && !policy.has_own_licenses());
        let whole = Encryption::new(Scheme::Aes128);
        assert!(whole.has_own_keys() && !whole.has_own_licenses());
    }

    #[test]
    fn what_does_not_fit_is_refused_in_words() {
        let refused = |text: &str| {
            let policy: Encryption = toml::from_str(text).expect("reads");
            policy.check().map_err(|e| e.to_string())
        };
        assert_eq!(refused("scheme = \"cbcs\""), Ok(()));
        assert_eq!(
            refused("scheme = \"cbcs\"\nkey_url = \"https://k.example/{kid}\"\n[widevine]\n"),
            Ok(())
        );
        for (text, word) in [
            ("scheme = \"aes-128\"\n[widevine]\n", "cbcs"),
            ("scheme = \"aes-128\"\nclear_key = false", "clear_key"),
            ("scheme = \"cbcs\"\nclear_key = false", "nobody"),
            (
                "scheme = \"cbcs\"\nkey_url = \"https://k.example/x\"",
                "{kid}",
            ),
            ("scheme = \"cbcs\"\nkey_url = \"../{kid}\"", "key_url"),
            (
                "scheme = \"cbcs\"\nlicense_url = \"https://a b\"",
                "license_url",
            ),
            (
                "scheme = \"cbcs\"\n[fairplay]\nkey_uri = \"skd://x\"",
                "fairplay",
            ),
        ] {
            let words = refused(text).unwrap_err();
            assert!(words.contains(word), "{text}: {words}");
        }
        assert!(
            toml::from_str::<Encryption>("keys = \"one\"").is_err(),
            "no scheme"
        );
        assert!(toml::from_str::<Encryption>("scheme = \"cbcs\"\nkey = \"00\"").is_err());
    }

    #[test]
    fn urls_lead_from_any_place_to_the_key() {
        let mut plan = EncryptionPlan {
            policy: Encryption::new(Scheme::Cbcs),
            keys: vec![KeyPlan {
                usage: KeyUse::All,
                key_id: KEY_ID,
                iv: Iv([0; 16]),
                check: None,
            }],
        };
        let own = plan.track(ProtectedKind::Audio).unwrap();
        let url = own.key_url_from("../../").unwrap();
        assert_eq!(url, format!("../../keys/{KEY_ID}"));
        assert_eq!(own.license_url_from("").as_deref(), Some("keys/clearkey"));
        plan.policy.key_url = Some("https://k.example/{kid}?a".to_owned());
        let theirs = plan.track(ProtectedKind::Audio).unwrap();
        let url = theirs.key_url_from("../").unwrap();
        assert_eq!(url, format!("https://k.example/{KEY_ID}?a"));
    }
}
