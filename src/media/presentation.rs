//! A presentation as manifests describe it: tracks, segments, measured sizes.
//!
//! Both `hls` and `dash` render from this, and only from this. It is also the record
//! (`presentation.json`) that is written last.

use serde::{Deserialize, Serialize};

use super::{Chapter, Colour, Disposition, LanguageTag, Scheme, Stills, TrackProtection, Waiver};
use crate::time::{FrameRate, Ticks, Timescale};

/// A whole presentation of one revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Presentation {
    /// Digest of source, plan and format version: the folder of all immutable objects.
    pub revision: String,
    /// Digest of the source's bytes.
    pub source_digest: String,
    /// Length.
    pub duration: Ticks,
    /// Video renditions of one switching set, largest picture first. May be empty (audio only).
    pub video: Vec<VideoTrack>,
    /// Audio renditions.
    pub audio: Vec<AudioTrack>,
    /// Subtitles and captions. What is not there is not written: records from before captions
    /// were added stay as they were, byte for byte.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<TextTrack>,
    /// Rules knowingly not met.
    pub waivers: Vec<Waiver>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// The chapters, in order of their starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chapters: Vec<Chapter>,
    /// Trick play and thumbnails, once all is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stills: Option<Stills>,
}

impl Presentation {
    /// Every track with segments of media: pictures, sound, I-frames.
    pub fn tracks(&self) -> impl Iterator<Item = &TrackCommon> {
        let video = self.video.iter().map(|track| &track.common);
        let audio = self.audio.iter().map(|track| &track.common);
        let stills = self.stills.iter().flat_map(|stills| &stills.tracks);
        video.chain(audio).chain(stills.map(|track| &track.common))
    }

    /// Whether it can be told of in a DASH manifest: not where whole segments are encrypted, which
    /// HLS alone knows.
    pub fn has_dash(&self) -> bool {
        let video = self.video.iter().map(|track| &track.common);
        let audio = self.audio.iter().map(|track| &track.common);
        let mut protections = video
            .chain(audio)
            .filter_map(|track| track.protection.as_ref());
        protections.all(|protection| protection.scheme != Scheme::Aes128)
    }
}

/// What every track has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackCommon {
    /// Name in URLs: `v1080`, `a-en`.
    pub id: String,
    /// RFC 6381 codec string, read from the init segment.
    pub codecs: String,
    /// Ticks a second of segment times.
    pub timescale: Timescale,
    /// Size of the init segment in bytes.
    pub init_bytes: u64,
    /// The segments in order, without gaps, the first starting at decode time 0.
    pub segments: Vec<SegmentInfo>,
    /// Bits a second to announce as long as the segments' sizes aren't known; with it the sizes
    /// aren't looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<ExpectedRates>,
    /// How it is encrypted; clear without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<TrackProtection>,
}

/// What a track will need, in bits a second, before it has been measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedRates {
    /// The most that any stretch of half to one and a half target durations can need.
    pub peak_bps: u64,
    /// The forecast mean, never above the peak.
    pub average_bps: u64,
}

/// One segment as manifests need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentInfo {
    /// Sum of its sample durations, in ticks.
    pub duration: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A video rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoTrack {
    /// What every track has.
    #[serde(flatten)]
    pub common: TrackCommon,
    /// Picture width.
    pub width: u32,
    /// Picture height.
    pub height: u32,
    /// Frames a second.
    pub frame_rate: FrameRate,
    /// Colour of the encoded pictures.
    pub colour: Colour,
    /// Repackaged, not encoded.
    pub copied: bool,
    /// Audio group that variants of this rendition name: the id of an [`AudioTrack::group`].
    pub audio_group: Option<String>,
}

/// An audio rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioTrack {
    /// What every track has.
    #[serde(flatten)]
    pub common: TrackCommon,
    /// HLS group: one per codec, channel count and bitrate, each with every language.
    pub group: String,
    /// BCP 47 language.
    pub language: String,
    /// Name shown to people.
    pub name: String,
    /// Played when the user chose nothing.
    pub default: bool,
    /// Channels.
    pub channels: u16,
    /// Samples a second.
    pub sample_rate: u32,
    /// Samples of encoder delay, signalled by edit list.
    pub priming: u32,
    /// Repackaged, not encoded.
    pub copied: bool,
    /// What the track is marked as.
    #[serde(default, skip_serializing_if = "Disposition::is_plain")]
    pub disposition: Disposition,
    /// Further HLS groups that it stands in, for want of a rendition of its track in that form: all
    /// groups offer the same choice (RFC 8216bis 4.4.6.1.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<String>,
    /// Complexity index of the Atmos objects within (joint object coding of E-AC-3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<u8>,
    /// How loud it is, where that was measured: what was decoded to make it, or to make another
    /// bitrate of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness: Option<Loudness>,
}

/// How loud a programme is (EBU R 128), to a hundredth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loudness {
    /// Integrated loudness in LUFS.
    pub integrated_lufs: f64,
    /// Loudness range in LU.
    pub range_lu: f64,
    /// The highest true peak in dBTP.
    pub true_peak_dbtp: f64,
}

/// What a text track is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    /// What is said, for who doesn't know the language.
    Subtitles,
    /// What is said and heard, for who can't hear it ("SDH").
    Captions,
    /// Only what everybody needs: signs, and speech in a language foreign to the title.
    Forced,
}

impl TextKind {
    /// How it is written where people or programs name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subtitles => "subtitles",
            Self::Captions => "captions",
            Self::Forced => "forced",
        }
    }
}

/// A text rendition: WebVTT, in segments for HLS and whole for DASH, in a folder of its own
/// (`{revision}/text/{language}/{digest}`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextTrack {
    /// Name in manifests: `t-en`, `t-en-captions`. One of each language and kind.
    pub id: String,
    /// Language of the text.
    pub language: LanguageTag,
    /// Name shown to people.
    pub name: String,
    /// What it is for.
    pub kind: TextKind,
    /// Shown when the user chose nothing.
    pub default: bool,
    /// 16 hexadecimal digits that stand for the uploaded file: the last part of its folder.
    pub digest: String,
    /// Size in bytes of the whole text in one file.
    pub bytes: u64,
    /// Ticks a second of segment times.
    pub timescale: Timescale,
    /// The segments in order, without gaps, the first starting at 0.
    pub segments: Vec<SegmentInfo>,
}

impl TextTrack {
    /// The id of the one track of that language and kind.
    pub fn id_of(language: &LanguageTag, kind: TextKind) -> String {
        match kind {
            TextKind::Subtitles => format!("t-{language}"),
            other => format!("t-{language}-{}", other.name()),
        }
    }
}

/// A presentation to render in tests: three rungs, two languages, two audio bitrates.
#[cfg(test)]
#[allow(missing_docs, reason = "test data that explains itself")]
pub(crate) mod example {
    use super::*;
    use crate::media::{StillRates, Thumbnails, TrickTrack};

    /// 10.01 seconds at 30000/1001 frames a second in segments of 4.004 s; audio of 48 kHz.
    pub(crate) fn presentation() -> Presentation {
        Presentation {
            revision: "0123456789abcdef0123456789abcdef".into(),
            source_digest: "feed".into(),
            duration: Ticks::new(300_300, timescale(30_000)),
            video: vec![
                video("v1080", 1920, 1080, 625, Some("a-high")),
                video("v720", 1280, 720, 230, Some("a-high")),
                video("v360", 640, 360, 40, Some("a-low")),
            ],
            audio: vec![
                audio("a-en", "a-high", "en", "English", true, 16),
                audio("a-en-low", "a-low", "en", "English", true, 8),
                audio(
                    "a-fr",
                    "a-high",
                    "fr",
                    "Français \"doublé\" & <plus>",
                    false,
                    17,
                ),
                audio(
                    "a-fr-low",
                    "a-low",
                    "fr",
                    "Français \"doublé\" & <plus>",
                    false,
                    8,
                ),
            ],
            text: Vec::new(),
            waivers: Vec::new(),
            warnings: Vec::new(),
            chapters: Vec::new(),
            stills: None,
        }
    }

    /// The same with two languages of text, one of them in two kinds.
    pub(crate) fn with_text() -> Presentation {
        Presentation {
            text: vec![
                text("en", "English", TextKind::Subtitles, true),
                text("en", "English", TextKind::Captions, false),
                text("pt-BR", "Português", TextKind::Forced, false),
            ],
            ..presentation()
        }
    }

    /// The same with an I-frame track of two pictures a segment, and five thumbnails.
    pub(crate) fn with_stills() -> Presentation {
        Presentation {
            stills: Some(Stills {
                tracks: vec![trick().0],
                thumbnails: Thumbnails {
                    width: 400,
                    height: 226,
                    timescale: timescale(30_000),
                    duration: 60_060,
                    count: 5,
                    bytes: 60_000,
                    rates: StillRates {
                        peak_bps: 70_000,
                        average_bps: 48_000,
                    },
                },
            }),
            ..presentation()
        }
    }

    /// The I-frame track, and its fragments by segment.
    pub(crate) fn trick() -> (TrickTrack, Vec<Vec<SegmentInfo>>) {
        let common = common(
            "trick",
            "avc1.64001e",
            30_000,
            &[120_120, 120_120, 60_060],
            12,
        );
        let halves = |segment: &SegmentInfo| {
            let half = |bytes| SegmentInfo {
                duration: segment.duration / 2,
                bytes,
            };
            vec![
                half(segment.bytes / 3),
                half(segment.bytes - segment.bytes / 3),
            ]
        };
        let fragments = common.segments.iter().map(halves).collect();
        let track = TrickTrack {
            common,
            width: 640,
            height: 360,
            frame_rate: FrameRate::new(30_000, 30 * 1001).expect("valid"),
            max_speed: 30,
            rates: StillRates {
                peak_bps: 200_000,
                average_bps: 110_000,
            },
        };
        (track, fragments)
    }

    pub(crate) fn text(language: &str, name: &str, kind: TextKind, default: bool) -> TextTrack {
        let language = LanguageTag::parse(language).expect("a tag");
        TextTrack {
            id: TextTrack::id_of(&language, kind),
            language,
            name: name.into(),
            kind,
            default,
            digest: "0123456789abcdef".into(),
            bytes: 900,
            timescale: timescale(30_000),
            segments: vec![SegmentInfo {
                duration: 300_300,
                bytes: 1000,
            }],
        }
    }

    fn timescale(ticks_per_second: u32) -> Timescale {
        Timescale::new(ticks_per_second).expect("non-zero")
    }

    pub(crate) fn video(
        id: &str,
        width: u32,
        height: u32,
        kilobytes_per_second: u64,
        audio_group: Option<&str>,
    ) -> VideoTrack {
        let durations = [120_120, 120_120, 60_060];
        VideoTrack {
            common: common(id, "avc1.64001f", 30_000, &durations, kilobytes_per_second),
            width,
            height,
            frame_rate: FrameRate::new(30_000, 1001).expect("valid"),
            colour: Colour::BT709,
            copied: false,
            audio_group: audio_group.map(str::to_owned),
        }
    }

    pub(crate) fn audio(
        id: &str,
        group: &str,
        language: &str,
        name: &str,
        default: bool,
        kilobytes_per_second: u64,
    ) -> AudioTrack {
        let durations = [188 * 1024, 188 * 1024, 95 * 1024];
        AudioTrack {
            common: common(id, "mp4a.40.2", 48_000, &durations, kilobytes_per_second),
            group: group.into(),
            language: language.into(),
            name: name.into(),
            default,
            channels: 2,
            sample_rate: 48_000,
            priming: 1024,
            copied: false,
            disposition: Disposition::default(),
            also_in: Vec::new(),
            objects: None,
            loudness: None,
        }
    }

    pub(crate) fn common(
        id: &str,
        codecs: &str,
        ticks_per_second: u32,
        durations: &[u64],
        kilobytes_per_second: u64,
    ) -> TrackCommon {
        // The second segment is half as large again as the others, for their length.
        let segment = |(i, &duration): (usize, &u64)| SegmentInfo {
            duration,
            bytes: duration * kilobytes_per_second * if i == 1 { 1500 } else { 1000 }
                / u64::from(ticks_per_second),
        };
        TrackCommon {
            id: id.into(),
            codecs: codecs.into(),
            timescale: timescale(ticks_per_second),
            init_bytes: 700,
            segments: durations.iter().enumerate().map(segment).collect(),
            expected: None,
            protection: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_without_text_stay_as_they_were() {
        let json = serde_json::to_string(&example::presentation()).expect("writes");
        assert!(!json.contains("\"text\"") && !json.contains("\"stills\""));
        let read: Presentation = serde_json::from_str(&json).expect("reads");
        assert_eq!(read, example::presentation());
    }

    #[test]
    fn records_with_stills_read_the_same() {
        let json = serde_json::to_string(&example::with_stills()).expect("writes");
        let read: Presentation = serde_json::from_str(&json).expect("reads");
        assert_eq!(read, example::with_stills());
    }

    #[test]
    fn records_with_text_read_the_same() {
        let json = serde_json::to_string(&example::with_text()).expect("writes");
        let read: Presentation = serde_json::from_str(&json).expect("reads");
        assert_eq!(read, example::with_text());
        let broken = json.replace("\"pt-BR\"", "\"../x\"");
        assert!(serde_json::from_str::<Presentation>(&broken).is_err());
    }
}
