//! Rules about the kinds and levels of sound.

use std::collections::BTreeMap;

use super::hls_multivariant::MultivariantView;
use super::report::Sheet;
use super::stream::{Stream, nanos};
use crate::media::Presentation;

/// Most bits a second that HE-AAC is for.
const HE_AAC_BITS: i64 = 64_000;
/// How far apart forms of one track may be in loudness, in LU: a change that is heard at once.
const LEVELS_APART: f64 = 2.0;

/// Judges one stream of sound.
pub(super) fn judge(sheet: &mut Sheet, audio: &Stream) {
    sheet.judge("A06", &audio.place, he_aac_at_high_rates(audio));
}

/// A06: HE-AAC is for rates up to 64 kb/s (Apple HLS Authoring 2.4).
fn he_aac_at_high_rates(audio: &Stream) -> Option<String> {
    let codecs = audio.codecs()?;
    let codec = codecs
        .iter()
        .find(|codec| matches!(codec.as_str(), "mp4a.40.5" | "mp4a.40.29"))?;
    let mut bits: i64 = 0;
    let mut lasting: i64 = 0;
    for segment in &audio.segments {
        bits = bits.saturating_add(i64::try_from(segment.bytes?).ok()?.saturating_mul(8));
        lasting = lasting.saturating_add(nanos(segment.declared));
    }
    let rate = i128::from(bits) * 1_000_000_000 / i128::from(lasting.max(1));
    (rate > i128::from(HE_AAC_BITS)).then(|| format!("{codec} at {rate} bits a second"))
}

/// A07: the forms of one track are equally loud (Apple HLS Authoring 2.18, 2.19), as far as the record
/// knows: players go from one to the other without asking.
pub(super) fn judge_levels(sheet: &mut Sheet, place: &str, record: &Presentation) {
    let mut tracks: BTreeMap<_, Vec<(&str, f64)>> = BTreeMap::new();
    for track in &record.audio {
        if let Some(loudness) = &track.loudness {
            let heard = (track.common.id.as_str(), loudness.integrated_lufs);
            let of = (track.language.as_str(), track.name.as_str());
            tracks.entry(of).or_default().push(heard);
        }
    }
    for forms in tracks.values() {
        sheet.judge("A07", place, levels_apart(forms));
    }
}

fn levels_apart(forms: &[(&str, f64)]) -> Option<String> {
    let quietest = forms.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let loudest = forms.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (loudest.1 - quietest.1 > LEVELS_APART).then(|| {
        let ((one, low), (two, high)) = (quietest, loudest);
        format!("{one} is at {low:.1} LUFS, {two} at {high:.1} LUFS")
    })
}

/// A09: there is AC-3 beside E-AC-3, for devices that know only that (Apple HLS Authoring 2.6).
pub(super) fn no_plain_dolby(view: &MultivariantView<'_>) -> Option<String> {
    let sounds = view.of_type("AUDIO").filter_map(|(_, media)| media);
    let codecs: Vec<String> = sounds
        .filter_map(|media| media.stream.codecs())
        .flatten()
        .collect();
    let has = |name: &str| codecs.iter().any(|codec| codec == name);
    (has("ec-3") && !has("ac-3")).then(|| "E-AC-3 without AC-3".into())
}
