//! `EXT-X-KEY` and `EXT-X-SESSION-KEY` (R 4.4.4.4, 4.4.6.5): how players get the key of a track.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::attributes::AttributeList;
use crate::media::{Presentation, Scheme, TrackProtection};
use crate::pssh;

/// The key itself, as 16 bytes.
const IDENTITY: &str = "identity";
/// `FairPlay` (rule E03).
const FAIRPLAY: &str = "com.apple.streamingkeydelivery";
/// Widevine (rule E04).
const WIDEVINE: &str = "urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed";
/// `PlayReady` (rule E04).
const PLAYREADY: &str = "com.microsoft.playready";

/// The tags' attributes for one track: one list for each key format. `to_asset` (empty, or ending
/// in `/`) leads from the playlist to the asset's folder.
pub(super) fn key_attributes(protection: &TrackProtection, to_asset: &str) -> Vec<AttributeList> {
    match protection.scheme {
        Scheme::Aes128 => whole_segments(protection, to_asset).into_iter().collect(),
        Scheme::Cbcs => samples(protection, to_asset),
    }
}

/// Without `IV`: that of each segment is its media sequence number.
fn whole_segments(protection: &TrackProtection, to_asset: &str) -> Option<AttributeList> {
    let url = protection.key_url_from(to_asset)?;
    Some(
        AttributeList::new()
            .plain("METHOD", "AES-128")
            .quoted("URI", url),
    )
}

fn samples(protection: &TrackProtection, to_asset: &str) -> Vec<AttributeList> {
    let mut lists = Vec::new();
    if let Some(url) = protection.key_url_from(to_asset) {
        let list = sample_aes(url)
            .plain("IV", format_args!("0x{}", protection.iv))
            .plain("KEYID", format_args!("0x{}", protection.key_id));
        lists.push(in_format(list, IDENTITY));
    }
    if let Some(url) = &protection.fairplay_uri {
        // No IV: it comes with the key.
        lists.push(in_format(sample_aes(url.clone()), FAIRPLAY));
    }
    if let Some(widevine) = &protection.widevine {
        let pssh = STANDARD.encode(pssh::widevine_box(protection.key_id, widevine));
        let list = sample_aes(format!("data:text/plain;base64,{pssh}"))
            .plain("KEYID", format_args!("0x{}", protection.key_id));
        lists.push(in_format(list, WIDEVINE));
    }
    if let Some(playready) = &protection.playready {
        let object = STANDARD.encode(pssh::playready_object(protection.key_id, playready));
        let uri = format!("data:text/plain;charset=UTF-16;base64,{object}");
        lists.push(in_format(sample_aes(uri), PLAYREADY));
    }
    lists
}

fn sample_aes(uri: String) -> AttributeList {
    AttributeList::new()
        .plain("METHOD", "SAMPLE-AES")
        .quoted("URI", uri)
}

fn in_format(list: AttributeList, format: &str) -> AttributeList {
    list.quoted("KEYFORMAT", format)
        .quoted("KEYFORMATVERSIONS", "1")
}

/// The attributes of every key of a presentation, each once, so that players can get them before
/// they read a media playlist.
pub(super) fn session_keys(presentation: &Presentation, to_asset: &str) -> Vec<AttributeList> {
    let video = presentation.video.iter().map(|track| &track.common);
    let audio = presentation.audio.iter().map(|track| &track.common);
    let mut lists = Vec::new();
    for protection in video
        .chain(audio)
        .filter_map(|track| track.protection.as_ref())
    {
        for list in key_attributes(protection, to_asset) {
            if !lists.contains(&list) {
                lists.push(list);
            }
        }
    }
    lists
}

/// `HDCP-LEVEL` of a variant (rule E08), where a DRM system can see to it.
pub(super) fn hdcp_level(
    protection: &TrackProtection,
    width: u32,
    height: u32,
) -> Option<&'static str> {
    let lines = width.min(height);
    match lines {
        _ if !protection.has_system() => None,
        0..=576 => None,
        577..=1080 => Some("TYPE-0"),
        _ => Some("TYPE-1"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Playlist, media_playlist, multivariant, read};
    use super::*;
    use crate::media::{
        Encryption, EncryptionPlan, FairPlay, Iv, KeyId, KeyPlan, KeyUse, PlayReady, ProtectedKind,
        Widevine, example,
    };

    fn plan(policy: Encryption) -> EncryptionPlan {
        let key = |usage, byte: u8| KeyPlan {
            usage,
            key_id: KeyId([byte; 16]),
            iv: Iv([byte + 1; 16]),
            check: None,
        };
        EncryptionPlan {
            policy,
            keys: vec![key(KeyUse::Video, 0x10), key(KeyUse::Audio, 0x20)],
        }
    }

    fn encrypted(policy: Encryption) -> Presentation {
        let plan = plan(policy);
        let mut presentation = example::presentation();
        for track in &mut presentation.video {
            let kind = ProtectedKind::of_picture(track.width, track.height);
            track.common.protection = Some(plan.track(kind).unwrap());
        }
        for track in &mut presentation.audio {
            track.common.protection = Some(plan.track(ProtectedKind::Audio).unwrap());
        }
        presentation
    }

    fn with_systems() -> Encryption {
        Encryption {
            widevine: Some(Widevine::default()),
            playready: Some(PlayReady::default()),
            fairplay: Some(FairPlay::default()),
            ..Encryption::new(Scheme::Cbcs)
        }
    }

    fn keys_of(text: &str) -> Vec<super::super::Key> {
        match read(text).unwrap() {
            Playlist::Media(playlist) => {
                assert_eq!(playlist.document.problems, []);
                let segment = playlist.segments.last().unwrap();
                let keys = segment.keys.iter().map(|at| playlist.keys[*at].clone());
                keys.collect()
            }
            Playlist::Multivariant(playlist) => playlist.session_keys,
        }
    }

    #[test]
    fn every_segment_has_one_key_of_each_format() {
        let presentation = encrypted(with_systems());
        let text = media_playlist(&presentation.video[0].common, 4).unwrap();
        let keys = keys_of(&text);
        let formats: Vec<_> = keys.iter().map(|key| key.key_format()).collect();
        assert_eq!(formats, [FAIRPLAY, WIDEVINE, PLAYREADY]);
        assert!(keys.iter().all(|key| key.method() == Some("SAMPLE-AES")));
        assert_eq!(
            keys[0].uri(),
            Some("skd://10101010101010101010101010101010")
        );
        assert_eq!(keys[0].attributes.text("IV"), None);
        // The init segment is what the key is for, too.
        assert!(text.find("#EXT-X-KEY") < text.find("#EXT-X-MAP"));
    }

    #[test]
    fn the_multivariant_playlist_names_every_key_once() {
        let presentation = encrypted(Encryption::new(Scheme::Cbcs));
        let text = multivariant(&presentation, "0123/").unwrap();
        let uris: Vec<_> = keys_of(&text)
            .iter()
            .map(|key| key.uri().unwrap().to_owned())
            .collect();
        let wanted = ["10", "20"].map(|byte| format!("keys/{}", byte.repeat(16)));
        assert_eq!(uris, wanted);
        let within = multivariant(&presentation, "").unwrap();
        let first = keys_of(&within)[0].uri().unwrap().to_owned();
        assert_eq!(first, format!("../keys/{}", "10".repeat(16)));
        assert!(!text.contains("HDCP-LEVEL"));
    }

    #[test]
    fn protected_outputs_are_asked_for_where_a_system_can_see_to_it() {
        let text = multivariant(&encrypted(with_systems()), "0123/").unwrap();
        let Playlist::Multivariant(playlist) = read(&text).unwrap() else {
            panic!("a multivariant playlist")
        };
        for variant in playlist.variants {
            let (width, height) = variant.resolution().unwrap();
            let wanted = (width.min(height) > 576).then_some("TYPE-0");
            assert_eq!(variant.attributes.text("HDCP-LEVEL"), wanted);
        }
    }

    #[test]
    fn init_segments_before_whole_segments_are_clear() {
        let presentation = encrypted(Encryption::new(Scheme::Aes128));
        let text = media_playlist(&presentation.video[0].common, 4).unwrap();
        let [key] = &keys_of(&text)[..] else {
            panic!("one key")
        };
        assert_eq!(key.method(), Some("AES-128"));
        assert_eq!(key.uri(), Some(&*format!("../../keys/{}", "10".repeat(16))));
        assert_eq!(key.attributes.text("IV"), None);
        assert!(text.find("#EXT-X-MAP") < text.find("#EXT-X-KEY"));
    }
}
