//! The rules about encryption (E01 to E08): what playlists, MPDs, init segments and fragments say of
//! it, and whether they agree. Nothing is decrypted.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use super::dash::MpdView;
use super::facts::{FragmentFacts, TrackFacts};
use super::hls_multivariant::{MediaView, MultivariantView};
use super::load::Loader;
use super::report::Sheet;
use super::stream::{Medium, Stream};
use crate::cmaf::boxes::FourCc;
use crate::cmaf::read::Protection;
use crate::hls::Key;
use crate::media::KeyId;

const FAIRPLAY: &str = "com.apple.streamingkeydelivery";
const WIDEVINE: &str = "urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed";
const PLAYREADY: &str = "com.microsoft.playready";
/// The systems' ids in `pssh`.
const WIDEVINE_ID: &str = "edef8ba979d64acea3c827dcd51d21ed";
const PLAYREADY_ID: &str = "9a04f07998404286ab92e65be0885f95";
const MP4_PROTECTION: &str = "urn:mpeg:dash:mp4protection:2011";

/// Judges what was found by every rule about encryption.
pub(super) fn judge(
    sheet: &mut Sheet,
    multivariant: Option<&MultivariantView<'_>>,
    found: &Found,
    mpds: &[MpdView<'_>],
    streams: &[&Stream],
) {
    let schemes = schemes(found, streams);
    if !schemes.is_empty() {
        let is_shared = !found.media.is_empty() && !mpds.is_empty();
        let place = multivariant.map_or_else(
            || mpds.first().map_or("", |view| view.place),
            |view| view.place,
        );
        sheet.judge("E01", place, several_schemes(&schemes, is_shared));
    }
    for view in found.media.values() {
        judge_playlist(sheet, view);
    }
    for stream in streams {
        judge_stream(sheet, stream);
    }
    for view in mpds {
        judge_mpd(sheet, view);
    }
    if let Some(view) = multivariant {
        judge_multivariant(sheet, view, found);
    }
}

/// The track's entry that is encrypted, if one is.
fn protection(track: &TrackFacts) -> Option<&Protection> {
    track
        .entries
        .iter()
        .find_map(|entry| entry.protection.as_ref())
}

fn stream_protection(stream: &Stream) -> Option<&Protection> {
    protection(stream.track()?)
}

/// Every scheme that is in use, as it is written there.
fn schemes(found: &Found, streams: &[&Stream]) -> BTreeSet<String> {
    let of_samples = streams.iter().filter_map(|stream| {
        let scheme = stream_protection(stream)?.scheme?;
        Some(scheme.to_string())
    });
    let keys = found.media.values().flat_map(|view| &view.playlist.keys);
    let of_segments = keys
        .filter_map(Key::method)
        .filter(|method| method.starts_with("AES-"));
    of_samples.chain(of_segments.map(str::to_owned)).collect()
}

/// E01: a programme has one scheme (CTA-5005-A 7.2.2), and what HLS and DASH share is `cbcs`.
fn several_schemes(schemes: &BTreeSet<String>, is_shared: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let all: Vec<_> = schemes.iter().map(String::as_str).collect();
    if all.len() > 1 {
        faults.push(format!("several schemes: {}", all.join(", ")));
    }
    if let (true, [other]) = (is_shared, &all[..])
        && *other != "cbcs"
    {
        faults.push(format!(
            "HLS and DASH share {other}, which Apple's players don't play"
        ));
    }
    faults
}

fn judge_playlist(sheet: &mut Sheet, view: &MediaView) {
    let keys = &view.playlist.keys;
    if keys.iter().any(is_whole) {
        sheet.note(format!(
            "{}: its segments are encrypted whole, and were not looked into",
            view.place
        ));
    }
    for key in keys {
        let at = format!("{}:{}", view.place, key.line);
        if key.key_format() == FAIRPLAY {
            sheet.judge("E03", &at, wrong_fairplay(key));
            let has_iv = key.attributes.text("IV").is_some();
            sheet.advise("E03", &at, has_iv.then(|| "an IV beside FairPlay".into()));
        }
        if is_system(key.key_format()) {
            let systems = view.stream.init.as_ref().map(|init| &init.systems[..]);
            sheet.judge("E04", &at, wrong_system(key, systems));
        }
        if let (Some(named), Some(protection)) = (key_id(key), stream_protection(&view.stream)) {
            sheet.judge("E07", &at, other_key(&named, protection));
        }
    }
}

/// Whether whole segments are encrypted under it.
fn is_whole(key: &Key) -> bool {
    key.method()
        .is_some_and(|method| method.starts_with("AES-"))
}

/// E03: FairPlay is for SAMPLE-AES (Apple HLS Authoring 13.2), never for counter mode (13.11).
fn wrong_fairplay(key: &Key) -> Option<String> {
    let method = key.method().unwrap_or("nothing");
    (method != "SAMPLE-AES").then(|| format!("FairPlay with METHOD={method}"))
}

/// Whether a key format is that of Widevine or PlayReady, rightly written or not.
fn is_system(format: &str) -> bool {
    let format = format.to_ascii_lowercase();
    format.contains("edef8ba9") || format.contains("playready") || format.contains("9a04f079")
}

/// E04: Widevine and `PlayReady` have one name each, and a `pssh` in the init segment.
fn wrong_system(key: &Key, systems: Option<&[[u8; 16]]>) -> Option<String> {
    let id = match key.key_format() {
        WIDEVINE => WIDEVINE_ID,
        PLAYREADY => PLAYREADY_ID,
        other => return Some(format!("KEYFORMAT {other} is no name of a system")),
    };
    let is_there = systems?.iter().any(|system| hex(system) == id);
    (!is_there).then(|| format!("no pssh for {} in the init segment", key.key_format()))
}

fn hex(bytes: &[u8; 16]) -> String {
    KeyId(*bytes).to_string()
}

/// `KEYID`, 32 small digits.
fn key_id(key: &Key) -> Option<String> {
    let digits = key.attributes.text("KEYID")?;
    let digits = digits.strip_prefix("0x").or(digits.strip_prefix("0X"))?;
    Some(digits.to_ascii_lowercase())
}

/// E07: the key that a playlist names is the track's.
fn other_key(named: &str, protection: &Protection) -> Option<String> {
    let own = hex(&protection.default_key_id?);
    (own != named).then(|| format!("KEYID is {named}, the init segment's key {own}"))
}

fn judge_stream(sheet: &mut Sheet, stream: &Stream) {
    let (Some(track), Some(place)) = (stream.track(), stream.init_place.as_deref()) else {
        return;
    };
    let Some(own) = protection(track) else {
        return;
    };
    let medium = stream.medium();
    sheet.judge("E02", place, wrong_scheme(own, medium));
    sheet.judge("E07", place, several_keys(track));
    for segment in &stream.segments {
        for fragment in segment.facts.iter().flat_map(|facts| &facts.fragments) {
            sheet.judge("E05", &segment.place, untold(fragment, own, medium));
        }
    }
}

/// E02: `cbcs` has the pattern 1:9 for pictures, all blocks for sound, and one initialization vector
/// of 16 bytes; `cenc` has no pattern, and vectors of 8 bytes for each sample.
fn wrong_scheme(own: &Protection, medium: Medium) -> Option<String> {
    let scheme = own.scheme.unwrap_or(FourCc(*b"none"));
    let pattern = own.pattern.unwrap_or((0, 0));
    match &scheme.0 {
        b"cbcs" => {
            let wanted: &[(u8, u8)] = match medium {
                Medium::Video => &[(1, 9)],
                _ => &[(0, 0), (10, 0), (1, 0)],
            };
            let iv = own.constant_iv.as_ref().map(Vec::len);
            match () {
                () if !wanted.contains(&pattern) => {
                    Some(format!("cbcs with the pattern {}:{}", pattern.0, pattern.1))
                }
                () if iv != Some(16) => Some("cbcs without one vector of 16 bytes".into()),
                () => None,
            }
        }
        b"cenc" if pattern != (0, 0) => Some("cenc with a pattern".into()),
        b"cenc" if own.default_iv_size != Some(8) => Some(format!(
            "cenc with vectors of {} bytes",
            own.default_iv_size.unwrap_or(0)
        )),
        b"cenc" => None,
        _ => Some(format!("the scheme is {scheme}, neither cbcs nor cenc")),
    }
}

/// E07: all entries of a track have one key.
fn several_keys(track: &TrackFacts) -> Option<String> {
    let keys = track.entries.iter().filter_map(|entry| {
        let protection = entry.protection.as_ref()?;
        protection.default_key_id
    });
    let keys: BTreeSet<_> = keys.collect();
    (keys.len() != 1).then(|| format!("{} keys in one track", keys.len()))
}

/// E05: each fragment says of all its samples how they are encrypted, in `senc` or by `saiz` and
/// `saio`. Sound under one vector has nothing to say.
fn untold(fragment: &FragmentFacts, own: &Protection, medium: Medium) -> Option<String> {
    let traf = fragment.traf()?;
    let count = fragment.samples().count() as u64;
    let (has_saiz, has_saio) = traf.auxiliary;
    match traf.encrypted_samples {
        Some(covered) if covered != count => {
            Some(format!("senc is about {covered} of {count} samples"))
        }
        _ if has_saiz != has_saio => Some("saiz and saio, one without the other".into()),
        None if has_saiz => None,
        None if medium == Medium::Audio && own.constant_iv.is_some() => None,
        None => Some("neither senc nor saiz and saio".into()),
        Some(_) => None,
    }
}

fn judge_mpd(sheet: &mut Sheet, view: &MpdView<'_>) {
    for row in &view.representations {
        let Some(own) = stream_protection(&row.stream) else {
            continue;
        };
        let descriptors = row.representation.descriptors("ContentProtection");
        let told = descriptors
            .filter(|told| told.scheme.eq_ignore_ascii_case(MP4_PROTECTION))
            .map(|told| {
                let key = told.attributes.iter().find_map(|(name, value)| {
                    let local = name.rsplit(':').next()?;
                    (local == "default_KID").then_some(value.as_str())
                });
                (told.value.as_deref(), key)
            });
        sheet.judge(
            "E06",
            &row.stream.place,
            untrue_descriptor(told.collect(), own),
        );
    }
}

/// E06: there is a descriptor of the scheme with its four-character code and the track's key.
fn untrue_descriptor(told: Vec<(Option<&str>, Option<&str>)>, own: &Protection) -> Option<String> {
    let [(scheme, key)] = told[..] else {
        return Some(format!("{} descriptors of mp4protection", told.len()));
    };
    let own_scheme = own.scheme.map(|scheme| scheme.to_string());
    if scheme != own_scheme.as_deref() {
        let (scheme, own) = (scheme.unwrap_or("none"), own_scheme.unwrap_or_default());
        return Some(format!("the MPD says {scheme}, the init segment {own}"));
    }
    let own_key = own.default_key_id.map(|id| hex(&id));
    let key = key.map(|key| key.replace('-', "").to_ascii_lowercase());
    (key != own_key).then(|| {
        let shown = |key: Option<String>| key.unwrap_or_else(|| "none".into());
        format!(
            "the MPD's default_KID is {}, tenc's {}",
            shown(key),
            shown(own_key)
        )
    })
}

/// What `EXT-X-SESSION-KEY` and `EXT-X-KEY` have to agree on, by URI.
type Told = (String, String, String);

fn judge_multivariant(sheet: &mut Sheet, view: &MultivariantView<'_>, found: &Found) {
    let Some((_, base, _)) = &found.multivariant else {
        return;
    };
    let told = |base: &url::Url, key: &Key| {
        let text = |name: &str| key.attributes.text(name).unwrap_or_default().to_owned();
        let uri = Loader::resolve(base, key.uri()?).ok()?;
        let what = (
            text("METHOD"),
            key.key_format().to_owned(),
            text("KEYFORMATVERSIONS"),
        );
        Some((uri.to_string(), what))
    };
    let mut of_media: BTreeMap<String, Told> = BTreeMap::new();
    for (place, media) in &found.media {
        if let Ok(place) = url::Url::parse(place) {
            let keys = media.playlist.keys.iter();
            of_media.extend(keys.filter_map(|key| told(&place, key)));
        }
    }
    for key in &view.playlist.session_keys {
        let at = format!("{}:{}", view.place, key.line);
        let fault = told(base, key).and_then(|(uri, what)| match of_media.get(&uri) {
            None => Some("a session key that no media playlist names".to_owned()),
            Some(known) if *known != what => {
                Some("METHOD, KEYFORMAT or KEYFORMATVERSIONS differ from EXT-X-KEY".to_owned())
            }
            Some(_) => None,
        });
        sheet.judge("E08", &at, fault);
    }
    for (variant, media) in &view.variants {
        let mut keys = media.iter().flat_map(|media| &media.playlist.keys);
        let has_system =
            keys.any(|key| key.key_format() == FAIRPLAY || is_system(key.key_format()));
        if has_system {
            let at = format!("{}:{}", view.place, variant.line);
            let level = variant.attributes.text("HDCP-LEVEL");
            sheet.advise("E08", &at, missing_level(variant.resolution(), level));
        }
    }
}

/// E08: outputs are protected, TYPE-0 for HD and TYPE-1 above (Apple HLS Authoring 13.5, 13.6).
fn missing_level(size: Option<(u32, u32)>, level: Option<&str>) -> Option<String> {
    let (width, height) = size?;
    let wanted = match width.min(height) {
        0..=576 => return None,
        577..=1080 => "TYPE-0",
        _ => "TYPE-1",
    };
    let is_met = level == Some(wanted) || level == Some("TYPE-1");
    (!is_met).then(|| format!("{width}x{height} without HDCP-LEVEL={wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_above_sd_are_to_be_protected() {
        for (size, level, is_well) in [
            ((854, 480), None, true),
            ((1280, 720), None, false),
            ((1280, 720), Some("NONE"), false),
            ((720, 1280), Some("TYPE-0"), true),
            ((3840, 2160), Some("TYPE-0"), false),
            ((3840, 2160), Some("TYPE-1"), true),
        ] {
            assert_eq!(
                missing_level(Some(size), level).is_none(),
                is_well,
                "{size:?}"
            );
        }
    }

    #[test]
    fn counter_mode_has_small_vectors_and_no_pattern() {
        let cenc = |iv_size, pattern| Protection {
            scheme: Some(FourCc(*b"cenc")),
            default_iv_size: Some(iv_size),
            pattern,
            ..Protection::default()
        };
        assert_eq!(wrong_scheme(&cenc(8, None), Medium::Video), None);
        for wrong in [cenc(16, None), cenc(8, Some((1, 9)))] {
            assert!(wrong_scheme(&wrong, Medium::Video).is_some());
        }
    }

    #[test]
    fn one_scheme_for_all_and_the_right_one_for_both() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert!(several_schemes(&set(&["cbcs"]), true).is_empty());
        assert!(several_schemes(&set(&["cenc"]), false).is_empty());
        assert_eq!(several_schemes(&set(&["cenc"]), true).len(), 1);
        assert_eq!(several_schemes(&set(&["AES-128", "cbcs"]), false).len(), 1);
    }
}
