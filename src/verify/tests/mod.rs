//! A good presentation passes; broken in any of many ways, it fails under the right rule.
//!
//! The good one is made by the real writers, from a synthetic title: verification never decodes, so
//! only parameter sets and NAL unit headers need to be real.

mod stills;

use std::collections::BTreeMap;

use super::*;
use crate::cmaf::boxes::{BoxWriter, children};
use crate::cmaf::fragment::{FragmentKind, fragment};
use crate::cmaf::init_segment::{
    AudioCoding, AudioInit, TrackInit, TrackInitKind, VideoInit, init_segment,
};
use crate::cmaf::video_config::VideoConfig;
use crate::codec::aac::AudioSpecificConfig;
use crate::codec::avc::AvcConfig;
use crate::media::{
    AudioTrack, Colour, Disposition, LanguageTag, Light, PixelAspect, Sample, SegmentInfo,
    TextKind, TextTrack, TrackCommon, VideoTrack, Waiver,
};
use crate::time::{FrameRate, Ticks, Timescale};

/// `avcC` records that x264 wrote: High, level 3.0, 25 frames a second, BT.709.
const AVCC_360: &str = "0164001effe1001e6764001eacd940a02ff97016a02020280000030008000003019078b16cb001000468ef8fcbfdf8f800";
const AVCC_180: &str = "0164001effe1001c6764001eacd941419f9f016a020202800000030080000019078b16cb01000468ef8fcbfdf8f800";
/// The same of an interlaced stream.
const AVCC_INTERLACED: &str =
    "0164001effe1001a6764001eacd940a063f3e022000003000200000300643e28532c01000468fe8fcbfdf8f800";

/// Objects by their address below the root.
type Files = BTreeMap<String, Vec<u8>>;

/// A presentation in memory, served with media types.
struct Memory {
    root: Url,
    files: Files,
}

impl Memory {
    fn new(files: Files) -> Self {
        Self {
            root: Url::parse("http://memory.invalid/p/").expect("a URL"),
            files,
        }
    }

    fn find(&self, url: &str) -> Result<&Vec<u8>> {
        let url = self.root.join(url).expect("a URL");
        let name = url.as_str().strip_prefix(self.root.as_str());
        name.and_then(|name| self.files.get(name))
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("{url} is not there")))
    }
}

impl Fetch for Memory {
    fn root(&self) -> &Url {
        &self.root
    }

    fn size(&self, url: &str) -> Result<u64> {
        Ok(self.find(url)?.len() as u64)
    }

    fn range(&self, url: &str, start: u64, len: u64) -> Result<Vec<u8>> {
        let bytes = self.find(url)?;
        let start = usize::try_from(start).expect("small").min(bytes.len());
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        Ok(bytes[start..].iter().copied().take(len).collect())
    }

    fn all(&self, url: &str) -> Result<Vec<u8>> {
        self.find(url).cloned()
    }

    fn content_type(&self, url: &str) -> Option<String> {
        let kind = match url.rsplit('.').next()? {
            "m3u8" => "application/vnd.apple.mpegurl",
            "mpd" => "application/dash+xml",
            "wrong" => "text/plain",
            "vtt" => "text/vtt; charset=utf-8",
            "jpg" => "image/jpeg",
            _ if url.contains("a-en") => "audio/mp4",
            _ => "video/mp4",
        };
        Some(kind.to_owned())
    }

    fn names(&self) -> Vec<String> {
        let top = self.files.keys().filter(|name| !name.contains('/'));
        top.cloned().collect()
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn ts(n: u32) -> Timescale {
    Timescale::new(n).expect("not zero")
}

/// What a test may want different from the start.
#[derive(Clone)]
struct Recipe {
    /// Frames of each video segment, by rendition.
    cuts: [Vec<u32>; 2],
    timescales: [u32; 2],
    avcc: [&'static str; 2],
    priming: u32,
    /// Segments of audio left out at the end.
    audio_short: usize,
    /// Frames of sound that each cut is late.
    audio_shift: u32,
    /// Sizes of a frame in bytes.
    frame_bytes: [u32; 2],
    /// Text tracks, one of each kind.
    text: bool,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            cuts: [vec![150, 150, 75], vec![150, 150, 75]],
            timescales: [12_000, 12_000],
            avcc: [AVCC_360, AVCC_180],
            priming: 1024,
            audio_short: 0,
            audio_shift: 0,
            frame_bytes: [6000, 400],
            text: false,
        }
    }
}

fn video_samples(frames: u32, duration: u32, bytes: u32) -> Vec<Sample> {
    let sample = |frame: u32| {
        let sync = frame.is_multiple_of(50);
        let size = if sync { bytes * 2 } else { bytes };
        let mut data = vec![0_u8; size as usize];
        data[..4].copy_from_slice(&(size - 4).to_be_bytes());
        data[4] = if sync { 0x65 } else { 0x41 };
        Sample {
            duration,
            composition_offset: 0,
            sync,
            data: data.into(),
        }
    };
    (0..frames).map(sample).collect()
}

fn audio_samples(frames: u32) -> Vec<Sample> {
    let sample = Sample {
        duration: 1024,
        composition_offset: 0,
        sync: true,
        data: vec![0x21; 150].into(),
    };
    vec![sample; frames as usize]
}

/// Writes the segments of a track and returns what manifests say of them.
fn write_track(
    files: &mut Files,
    id: &str,
    init: &TrackInit,
    kind: FragmentKind,
    runs: &[Vec<Sample>],
) -> TrackCommon {
    let init_bytes = init_segment(init);
    let mut segments = Vec::new();
    let mut decode_time = 0;
    for (index, samples) in runs.iter().enumerate() {
        let number = u32::try_from(index + 1).expect("few");
        let bytes = fragment(kind, number, decode_time, samples).expect("writes");
        let duration: u64 = samples.iter().map(|s| u64::from(s.duration)).sum();
        decode_time += duration;
        segments.push(SegmentInfo {
            duration,
            bytes: bytes.len() as u64,
        });
        files.insert(format!("{id}/{number}.m4s"), bytes);
    }
    let common = TrackCommon {
        id: id.into(),
        codecs: match &init.kind {
            TrackInitKind::Video(video) => video.config.codecs(),
            TrackInitKind::Audio(_) => "mp4a.40.2".into(),
        },
        timescale: init.timescale,
        init_bytes: init_bytes.len() as u64,
        segments,
        expected: None,
        protection: None,
    };
    files.insert(format!("{id}/init.mp4"), init_bytes);
    common
}

fn write_video(files: &mut Files, recipe: &Recipe, index: usize) -> VideoTrack {
    let avc = AvcConfig::parse(&hex(recipe.avcc[index])).expect("a record");
    let sps = avc.sps().expect("an SPS");
    let frame_rate = FrameRate::new(25, 1).expect("valid");
    let init = TrackInit {
        timescale: ts(recipe.timescales[index]),
        language: "und".into(),
        kind: TrackInitKind::Video(VideoInit {
            width: u16::try_from(sps.width).expect("small"),
            height: u16::try_from(sps.height).expect("small"),
            pixel_aspect: PixelAspect::SQUARE,
            colour: Colour::BT709,
            composition_delay: 2002,
            frame_rate: Some(frame_rate),
            config: VideoConfig::Avc(avc),
            light: Light::UNKNOWN,
        }),
    };
    let duration = recipe.timescales[index] / 25;
    let bytes = recipe.frame_bytes[index];
    let cuts = recipe.cuts[index].iter();
    let runs: Vec<_> = cuts
        .map(|frames| video_samples(*frames, duration, bytes))
        .collect();
    let id = ["v360", "v180"][index];
    VideoTrack {
        common: write_track(
            files,
            id,
            &init,
            FragmentKind::Video {
                composition_delay: 2002,
            },
            &runs,
        ),
        width: sps.width,
        height: sps.height,
        frame_rate,
        colour: Colour::BT709,
        copied: false,
        audio_group: Some("a".into()),
    }
}

fn write_audio(files: &mut Files, recipe: &Recipe) -> AudioTrack {
    let config = AudioSpecificConfig::low_complexity(48_000, 2).expect("stereo");
    let init = TrackInit {
        timescale: ts(48_000),
        language: "eng".into(),
        kind: TrackInitKind::Audio(AudioInit {
            config: config.to_bytes(),
            channels: 2,
            sample_rate: 48_000,
            priming: recipe.priming,
            bitrate_bps: 64_000,
            coding: AudioCoding::Aac,
        }),
    };
    // Cuts on the sound's frames nearest to 6, 12 and 15 s, priming counted.
    let mut edges = [282 + recipe.audio_shift, 564 + recipe.audio_shift, 705].to_vec();
    edges.truncate(3 - recipe.audio_short);
    let mut before = 0;
    let mut runs = Vec::new();
    for edge in edges {
        runs.push(audio_samples(edge - before));
        before = edge;
    }
    AudioTrack {
        common: write_track(files, "a-en", &init, FragmentKind::Audio, &runs),
        group: "a".into(),
        language: "en".into(),
        name: "English".into(),
        default: true,
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

/// Cues on both sides of the cut at 12 s, and one across it.
const CUES: &str = "WEBVTT\n\nid\n00:01.000 --> 00:02.500 line:0\n<i>one</i>\n\n\
                    00:11.000 --> 00:13.000\nacross\n\n00:14.000 --> 00:20.000\nlast\n";

fn write_text(files: &mut Files, kind: TextKind) -> TextTrack {
    let cues = crate::text::parse(CUES.as_bytes()).expect("captions").cues;
    let durations = [12_000, 3000_u64];
    let ends = [12_000, 15_000].map(|end| Ticks::new(end, Timescale::MILLIS));
    let segments = crate::text::segments(&cues, &ends).expect("small");
    let whole = crate::text::write(&cues);
    let language = LanguageTag::parse("en").expect("a tag");
    let mut track = TextTrack {
        id: TextTrack::id_of(&language, kind),
        language,
        name: String::new(),
        kind,
        default: kind == TextKind::Subtitles,
        digest: format!("{:016x}", u64::try_from(kind.name().len()).expect("small")),
        bytes: whole.len() as u64,
        timescale: Timescale::MILLIS,
        segments: Vec::new(),
    };
    let folder = crate::layout::text_folder(&track.language, &track.digest);
    for (number, (segment, duration)) in (1..).zip(segments.into_iter().zip(durations)) {
        let bytes = segment.len() as u64;
        track.segments.push(SegmentInfo { duration, bytes });
        files.insert(format!("{folder}/{number}.vtt"), segment.into());
    }
    files.insert(format!("{folder}/whole.vtt"), whole.into());
    let playlist = crate::hls::text_playlist(&track).expect("renders");
    files.insert(format!("{folder}/index.m3u8"), playlist.into());
    track
}

fn build(recipe: &Recipe) -> Files {
    let mut files = Files::new();
    let video = vec![
        write_video(&mut files, recipe, 0),
        write_video(&mut files, recipe, 1),
    ];
    let audio = vec![write_audio(&mut files, recipe)];
    let kinds = [TextKind::Subtitles, TextKind::Captions, TextKind::Forced];
    let kinds = kinds.iter().filter(|_| recipe.text);
    let text = kinds.map(|kind| write_text(&mut files, *kind)).collect();
    let presentation = Presentation {
        revision: "0123456789abcdef0123456789abcdef".into(),
        source_digest: "feed".into(),
        duration: Ticks::new(15, ts(1)),
        video,
        audio,
        text,
        waivers: Vec::new(),
        chapters: Vec::new(),
        warnings: Vec::new(),
        stills: Some(stills::write(&mut files)),
    };
    write_manifests(&mut files, &presentation);
    files
}

fn write_manifests(files: &mut Files, presentation: &Presentation) {
    let multivariant = crate::hls::multivariant(presentation, "").expect("renders");
    files.insert("index.m3u8".into(), multivariant.into());
    let mpd = crate::dash::mpd(presentation, "").expect("renders");
    files.insert("manifest.mpd".into(), mpd.into());
    let target = crate::hls::target_duration(presentation);
    let video = presentation.video.iter().map(|track| &track.common);
    for track in video.chain(presentation.audio.iter().map(|track| &track.common)) {
        let playlist = crate::hls::media_playlist(track, target).expect("renders");
        files.insert(format!("{}/index.m3u8", track.id), playlist.into());
    }
    let record = serde_json::to_vec(presentation).expect("serialises");
    files.insert("presentation.json".into(), record);
}

fn report_of(files: Files) -> Report {
    verify(&Memory::new(files), None).expect("verifies")
}

/// Changes a text and makes sure that it did change.
fn edit(files: &mut Files, name: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[name].clone()).expect("text");
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "{name} has no {from:?}:\n{text}");
    files.insert(name.into(), changed.into());
}

/// The same for every occurrence.
fn edit_all(files: &mut Files, name: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[name].clone()).expect("text");
    let changed = text.replace(from, to);
    assert_ne!(text, changed, "{name} has no {from:?}:\n{text}");
    files.insert(name.into(), changed.into());
}

/// Replaces the value of an attribute, whatever it is, by what `new` makes of it.
fn edit_number(files: &mut Files, name: &str, before: &str, new: impl Fn(u64) -> u64) {
    let text = String::from_utf8(files[name].clone()).expect("text");
    let at = text.find(before).expect("there") + before.len();
    let digits: String = text[at..]
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let value = new(digits.parse().expect("a number"));
    let changed = format!("{}{value}{}", &text[..at], &text[at + digits.len()..]);
    files.insert(name.into(), changed.into());
}

/// Where the payload of the first box of that type starts.
fn payload_at(bytes: &[u8], kind: &[u8; 4]) -> usize {
    let found = bytes.windows(4).position(|window| window == kind);
    found.unwrap_or_else(|| panic!("no {}", String::from_utf8_lossy(kind))) + 4
}

/// Overwrites bytes `skip` into the payload of the first box of that type.
fn patch(files: &mut Files, name: &str, kind: &[u8; 4], skip: usize, new: &[u8]) {
    let bytes = files.get_mut(name).expect("there");
    let at = payload_at(bytes, kind) + skip;
    assert_ne!(&bytes[at..at + new.len()], new, "{name} is so already");
    bytes[at..at + new.len()].copy_from_slice(new);
}

/// Rewrites an object box by box: `change` gets each box's path and payload, and writes what is to
/// stand there; `false` copies it.
fn rewrite(files: &mut Files, name: &str, change: &dyn Fn(&str, &[u8], &mut BoxWriter) -> bool) {
    let mut w = BoxWriter::new();
    rewrite_boxes(&files[name], "", change, &mut w);
    files.insert(name.into(), w.into_bytes());
}

fn rewrite_boxes(
    bytes: &[u8],
    path: &str,
    change: &dyn Fn(&str, &[u8], &mut BoxWriter) -> bool,
    w: &mut BoxWriter,
) {
    for child in children(bytes, 0) {
        let child = child.expect("whole");
        let path = format!("{path}/{}", child.kind);
        if change(&path, child.payload, w) {
            continue;
        }
        let nests = matches!(
            &child.kind.0,
            b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" | b"mvex" | b"moof" | b"traf" | b"edts"
        );
        w.nest(&child.kind.0, |w| match nests {
            true => rewrite_boxes(child.payload, &path, change, w),
            false => {
                w.raw(child.payload);
            }
        });
    }
}

#[test]
fn a_good_presentation_passes() {
    let report = report_of(build(&Recipe::default()));
    assert!(report.passed(), "{report}");
    let warned: Vec<_> = report
        .rules
        .iter()
        .filter(|rule| rule.status == Status::Warned)
        .map(|rule| rule.id)
        .collect();
    // Its first frames are larger than the others (C15), and its sound ends on its own frame.
    assert!(
        warned.iter().all(|id| matches!(*id, "C15" | "H30")),
        "{report}"
    );
    assert!(report.count(Status::Ok) > 60, "{report}");
}

/// Breaks a good presentation and asserts that rule `id` says so.
fn breaks(id: &str, change: impl FnOnce(&mut Files)) {
    breaks_recipe(id, &Recipe::default(), change);
}

fn breaks_recipe(id: &str, recipe: &Recipe, change: impl FnOnce(&mut Files)) {
    let mut files = build(recipe);
    change(&mut files);
    let report = report_of(files);
    let rule = report.rule(id).unwrap_or_else(|| panic!("no rule {id}"));
    assert!(!rule.findings.is_empty(), "{id} found nothing:\n{report}");
    if rule.level == Level::Must {
        assert_eq!(rule.status, Status::Failed, "{id} did not fail:\n{report}");
    }
}

/// The same with text in it.
fn breaks_text(id: &str, change: impl FnOnce(&mut Files)) {
    let recipe = Recipe {
        text: true,
        ..Recipe::default()
    };
    breaks_recipe(id, &recipe, change);
}

/// The same for what is only advice.
fn advises_text(id: &str, change: impl FnOnce(&mut Files)) {
    let mut files = build(&Recipe {
        text: true,
        ..Recipe::default()
    });
    change(&mut files);
    let report = report_of(files);
    let status = report.rule(id).expect("a rule").status;
    assert_eq!(status, Status::Warned, "{id} did not warn:\n{report}");
}

#[test]
fn a_good_presentation_with_text_passes() {
    let recipe = Recipe {
        text: true,
        ..Recipe::default()
    };
    let report = report_of(build(&recipe));
    assert!(report.passed(), "{report}");
    for id in ["H34", "H35", "H36", "H39", "H40", "H24", "D12", "D22"] {
        let rule = report.rule(id).expect(id);
        assert_eq!(
            (rule.status, rule.findings.len()),
            (Status::Ok, 0),
            "{report}"
        );
    }
}

const TOP: &str = "index.m3u8";
const V360: &str = "v360/index.m3u8";
const V180: &str = "v180/index.m3u8";
const AUDIO: &str = "a-en/index.m3u8";
const MPD: &str = "manifest.mpd";
/// Folder of the subtitles.
const TEXT: &str = "text/en/0000000000000009/";

#[test]
fn h01_byte_order_mark() {
    breaks("H01", |f| edit(f, V360, "#EXTM3U", "\u{feff}#EXTM3U"));
}

#[test]
fn h01_first_line() {
    breaks("H01", |f| edit(f, V360, "#EXTM3U\n", "\n#EXTM3U\n"));
}

#[test]
fn h01_not_utf8() {
    breaks("H01", |f| {
        f.get_mut(V360).expect("there").extend(b"# \xff\n");
    });
}

#[test]
fn h02_version_too_low() {
    breaks("H02", |f| edit(f, V360, "VERSION:6", "VERSION:5"));
}

#[test]
fn h02_version_twice() {
    breaks("H02", |f| {
        edit(
            f,
            V360,
            "#EXT-X-VERSION:6\n",
            "#EXT-X-VERSION:6\n#EXT-X-VERSION:6\n",
        );
    });
}

#[test]
fn h03_attribute_twice() {
    breaks("H03", |f| {
        edit(f, TOP, "BANDWIDTH=", "BANDWIDTH=1,BANDWIDTH=");
    });
}

#[test]
fn h04_wrong_target_duration() {
    breaks("H04", |f| edit(f, V360, "DURATION:6", "DURATION:4"));
}

#[test]
fn h05_overlong_segment() {
    breaks("H05", |f| edit(f, V360, "DURATION:6", "DURATION:5"));
}

#[test]
fn h06_unusual_target_duration() {
    let recipe = Recipe {
        cuts: [vec![100, 100], vec![100, 100]],
        ..Recipe::default()
    };
    breaks_recipe("H06", &recipe, |_| {});
}

#[test]
fn h07_extinf_off() {
    breaks("H07", |f| edit(f, V360, "#EXTINF:6", "#EXTINF:5.9"));
}

#[test]
fn h08_missing_endlist() {
    breaks("H08", |f| edit(f, V360, "#EXT-X-ENDLIST", "# no end"));
}

#[test]
fn h08_missing_type() {
    breaks("H08", |f| edit(f, AUDIO, "#EXT-X-PLAYLIST-TYPE:VOD\n", ""));
}

#[test]
fn h09_h42_audio_shorter_than_video() {
    let recipe = Recipe {
        audio_short: 1,
        ..Recipe::default()
    };
    breaks_recipe("H09", &recipe, |_| {});
    breaks_recipe("H42", &recipe, |_| {});
    breaks_recipe("D04", &recipe, |_| {});
}

#[test]
fn h10_unlike_target_durations() {
    breaks("H10", |f| edit(f, AUDIO, "DURATION:6", "DURATION:7"));
}

#[test]
fn h11_missing_map() {
    breaks("H11", |f| {
        edit(f, V360, "#EXT-X-MAP:URI=\"init.mp4\"\n", "");
    });
}

#[test]
fn h12_discontinuity_in_one_playlist() {
    breaks("H12", |f| {
        edit(f, V180, "2.m4s", "2.m4s\n#EXT-X-DISCONTINUITY");
    });
}

#[test]
fn h13_sound_cut_elsewhere() {
    let recipe = Recipe {
        audio_shift: 20,
        ..Recipe::default()
    };
    breaks_recipe("H13", &recipe, |_| {});
}

#[test]
fn h14_c04_d08_shifted_tfdt() {
    for rule in ["H14", "C04", "D08", "C10", "H18"] {
        breaks(rule, |f| patch(f, "v180/2.m4s", b"tfdt", 10, &[1]));
    }
}

#[test]
fn h15_c05_first_picture_is_no_idr() {
    for rule in ["H15", "C05"] {
        breaks(rule, |f| {
            let bytes = f.get_mut("v360/2.m4s").expect("there");
            let at = payload_at(bytes, b"mdat");
            bytes[at + 4] = 0x41;
        });
    }
}

#[test]
fn h15_parameter_set_but_no_slice() {
    for rule in ["H15", "C06"] {
        breaks(rule, |f| {
            let bytes = f.get_mut("v360/2.m4s").expect("there");
            let at = payload_at(bytes, b"mdat");
            bytes[at + 4] = 0x67;
        });
    }
}

#[test]
fn h16_independent_segments_nowhere() {
    breaks("H16", |f| {
        for name in [TOP, V360] {
            edit(f, name, "#EXT-X-INDEPENDENT-SEGMENTS\n", "");
        }
    });
}

#[test]
fn h17_range_past_the_end() {
    breaks("H17", |f| {
        edit(f, V360, "1.m4s", "#EXT-X-BYTERANGE:99999999@0\n1.m4s");
    });
}

#[test]
fn h17_range_without_start() {
    breaks("H17", |f| {
        edit(f, V360, "2.m4s", "#EXT-X-BYTERANGE:1000\n2.m4s");
    });
}

#[test]
fn h20_date_range_without_id() {
    breaks("H20", |f| {
        edit(
            f,
            V360,
            "#EXTINF",
            "#EXT-X-DATERANGE:START-DATE=\"2024-01-01T00:00:00Z\"\n#EXTINF",
        );
    });
}

#[test]
fn h21_d04_missing_segment() {
    for rule in ["H21", "D04"] {
        breaks(rule, |f| {
            f.remove("v360/2.m4s").expect("there");
        });
    }
}

#[test]
fn h21_missing_playlist() {
    breaks("H21", |f| {
        f.remove(V180).expect("there");
    });
}

#[test]
fn h21_missing_init_segment() {
    breaks("H21", |f| {
        f.remove("a-en/init.mp4").expect("there");
    });
}

#[test]
fn h21_wrong_media_type() {
    breaks("H21", |f| {
        edit(f, V360, "1.m4s", "1.wrong");
        let bytes = f["v360/1.m4s"].clone();
        f.insert("v360/1.wrong".into(), bytes);
    });
}

#[test]
fn h22_wrong_codecs() {
    breaks("H22", |f| edit(f, TOP, "avc1.64001", "avc1.4d001"));
}

#[test]
fn h22_audio_codec_left_out() {
    breaks("H22", |f| edit_all(f, TOP, ",mp4a.40.2", ""));
}

#[test]
fn h23_wrong_resolution() {
    breaks("H23", |f| {
        edit(f, TOP, "RESOLUTION=640x360", "RESOLUTION=1280x720");
    });
}

#[test]
fn h23_frame_rate_missing() {
    breaks("H23", |f| edit(f, TOP, "FRAME-RATE=25.000,", ""));
}

#[test]
fn h23_frame_rate_wrong() {
    breaks("H23", |f| {
        edit(f, TOP, "FRAME-RATE=25.000", "FRAME-RATE=29.970");
    });
}

#[test]
fn h24_h26_bandwidth_too_low() {
    for rule in ["H24", "H26"] {
        breaks(rule, |f| edit_number(f, TOP, "INF:BANDWIDTH=", |n| n / 2));
    }
}

#[test]
fn h26_bandwidth_too_high() {
    breaks("H26", |f| edit_number(f, TOP, "INF:BANDWIDTH=", |n| n * 2));
}

#[test]
fn h26_average_wrong() {
    breaks("H26", |f| {
        edit_number(f, TOP, "AVERAGE-BANDWIDTH=", |n| n * 2);
    });
}

#[test]
fn h25_average_missing() {
    breaks("H25", |f| {
        edit_all(f, TOP, "AVERAGE-BANDWIDTH=", "X-AVERAGE=");
    });
}

#[test]
fn h28_wrong_video_range() {
    breaks("H28", |f| edit(f, TOP, "VIDEO-RANGE=SDR", "VIDEO-RANGE=PQ"));
}

#[test]
fn h30_one_bit_rate() {
    breaks("H30", |f| {
        let text = String::from_utf8(f[TOP].clone()).expect("text");
        let at = text.rfind("#EXT-X-STREAM-INF").expect("there");
        f.insert(TOP.into(), text[..at].into());
    });
}

#[test]
fn h31_nothing_for_cellular() {
    let recipe = Recipe {
        frame_bytes: [6000, 2000],
        ..Recipe::default()
    };
    breaks_recipe("H31", &recipe, |_| {});
}

#[test]
fn h32_audio_only_variant() {
    breaks("H32", |f| {
        let line = "#EXT-X-STREAM-INF:BANDWIDTH=70000,CODECS=\"mp4a.40.2\"\na-en/index.m3u8\n";
        f.get_mut(TOP).expect("there").extend(line.as_bytes());
    });
}

#[test]
fn h33_score_on_one_variant() {
    breaks("H33", |f| {
        edit(f, TOP, "INF:BANDWIDTH=", "INF:SCORE=1.0,BANDWIDTH=");
    });
}

fn second_rendition(f: &mut Files, attributes: &str) {
    let line =
        format!("#EXT-X-MEDIA:TYPE=AUDIO,{attributes},URI=\"a-en/index.m3u8\"\n#EXT-X-MEDIA");
    edit(f, TOP, "#EXT-X-MEDIA", &line);
}

#[test]
fn h34_two_defaults() {
    breaks("H34", |f| {
        second_rendition(
            f,
            "GROUP-ID=\"a\",NAME=\"B\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES",
        );
    });
}

#[test]
fn h34_name_twice() {
    breaks("H34", |f| {
        second_rendition(f, "GROUP-ID=\"a\",NAME=\"English\",LANGUAGE=\"en\"");
    });
}

#[test]
fn h34_default_without_autoselect() {
    breaks("H34", |f| edit(f, TOP, "AUTOSELECT=YES", "AUTOSELECT=NO"));
}

#[test]
fn h34_group_that_is_nowhere() {
    breaks("H34", |f| {
        edit_all(f, TOP, "GROUP-ID=\"a\"", "GROUP-ID=\"b\"");
    });
}

#[test]
fn h35_groups_differ() {
    breaks("H35", |f| {
        second_rendition(f, "GROUP-ID=\"b\",NAME=\"Deutsch\",LANGUAGE=\"de\"");
    });
}

#[test]
fn h36_language_missing() {
    breaks("H36", |f| edit(f, TOP, "LANGUAGE=\"en\",", ""));
}

#[test]
fn h37_wrong_channels() {
    breaks("H37", |f| edit(f, TOP, "CHANNELS=\"2\"", "CHANNELS=\"6\""));
}

#[test]
fn h41_captions_on_one_variant() {
    breaks("H41", |f| edit(f, TOP, "CLOSED-CAPTIONS=NONE,", ""));
}

#[test]
fn h21_text_segment_missing() {
    breaks_text("H21", |f| {
        f.remove(&format!("{TEXT}2.vtt"));
    });
}

#[test]
fn h24_text_left_out_of_the_bandwidth() {
    advises_text("H24", |f| {
        let segment = f.get_mut(&format!("{TEXT}1.vtt")).expect("there");
        segment.extend("\nNOTE x".repeat(2000).bytes());
    });
}

#[test]
fn h34_text_group_that_is_nowhere() {
    breaks_text("H34", |f| {
        edit_all(f, TOP, "GROUP-ID=\"text\"", "GROUP-ID=\"other\"");
    });
}

#[test]
fn h34_text_name_twice() {
    breaks_text("H34", |f| edit(f, TOP, "NAME=\"en (2)\"", "NAME=\"en\""));
}

#[test]
fn h35_text_on_one_variant() {
    advises_text("H35", |f| edit(f, TOP, ",SUBTITLES=\"text\"\n", "\n"));
}

#[test]
fn h36_d14_d22_language_is_no_tag() {
    let bad = "zz-bad tag";
    breaks("H36", |f| {
        edit(f, TOP, "LANGUAGE=\"en\"", &format!("LANGUAGE=\"{bad}\""));
    });
    breaks_text("D14", |f| {
        edit_all(f, MPD, "lang=\"en\"", &format!("lang=\"{bad}\""));
    });
    breaks_text("D22", |f| {
        edit_all(f, MPD, "lang=\"en\"", &format!("lang=\"{bad}\""));
    });
}

#[test]
fn d04_event_after_the_end() {
    let event = |time: u32, duration: u32| {
        let event = format!("<Event presentationTime=\"{time}\" duration=\"{duration}\"/>");
        format!(
            "<EventStream schemeIdUri=\"urn:x\" timescale=\"1000\">{event}</EventStream><AdaptationSet"
        )
    };
    let with = |f: &mut Files, event: &str| {
        let text = String::from_utf8(f[MPD].clone()).expect("text");
        let text = text.replacen("<AdaptationSet", event, 1);
        f.insert(MPD.into(), text.into());
    };
    breaks("D04", |f| with(f, &event(10_000, 99_999)));
    breaks("D04", |f| with(f, &event(15_000, 0)));
    let mut files = build(&Recipe::default());
    with(&mut files, &event(10_000, 5000));
    assert!(report_of(files).passed());
}

#[test]
fn h36_text_without_language() {
    breaks_text("H36", |f| {
        edit(
            f,
            TOP,
            "GROUP-ID=\"text\",LANGUAGE=\"en\"",
            "GROUP-ID=\"text\"",
        );
    });
}

#[test]
fn h39_half_of_the_characteristics() {
    let half = ",public.accessibility.describes-music-and-sound";
    breaks_text("H39", |f| edit(f, TOP, half, ""));
}

#[test]
fn h39_captions_that_are_not_chosen() {
    breaks_text("H39", |f| {
        let captions = "NAME=\"en (2)\",DEFAULT=NO,AUTOSELECT=";
        edit(f, TOP, &format!("{captions}YES"), &format!("{captions}NO"));
    });
}

#[test]
fn h39_forced_sound() {
    breaks_text("H39", |f| {
        edit(f, TOP, "CHANNELS=\"2\"", "FORCED=NO,CHANNELS=\"2\"");
    });
}

#[test]
fn h40_text_too_short() {
    breaks_text("H40", |f| {
        let name = format!("{TEXT}index.m3u8");
        edit(f, &name, "#EXTINF:3.000000,\n2.vtt\n", "");
    });
}

#[test]
fn h40_no_timestamp_map() {
    breaks_text("H40", |f| {
        let map = format!("{}\n", crate::text::TIMESTAMP_MAP);
        edit(f, &format!("{TEXT}1.vtt"), &map, "");
    });
}

#[test]
fn h40_timestamp_map_without_local_time() {
    breaks_text("H40", |f| edit(f, &format!("{TEXT}1.vtt"), "LOCAL:", "L:"));
}

#[test]
fn h40_no_signature() {
    breaks_text("H40", |f| edit(f, &format!("{TEXT}2.vtt"), "WEBVTT", "VTT"));
    breaks_text("H40", |f| edit(f, &format!("{TEXT}1.vtt"), "WEBVTT", "VTT"));
}

#[test]
fn h40_cue_lost_at_a_cut() {
    breaks_text("H40", |f| {
        let cue = "\n00:00:11.000 --> 00:00:13.000\nacross\n";
        edit(f, &format!("{TEXT}2.vtt"), cue, "");
    });
}

#[test]
fn a01_codec_beyond_players() {
    breaks("A01", |f| {
        let bytes = f.get_mut("v360/init.mp4").expect("there");
        let at = payload_at(bytes, b"avcC");
        bytes[at + 3] = 62;
    });
}

#[test]
fn a03_interlaced() {
    let recipe = Recipe {
        avcc: [AVCC_INTERLACED, AVCC_180],
        ..Recipe::default()
    };
    breaks_recipe("A03", &recipe, |_| {});
}

#[test]
fn a05_rotated() {
    for rule in ["A05", "C02"] {
        breaks(rule, |f| {
            let turned = [
                [0, 0, 0, 0],
                [0, 1, 0, 0],
                [0, 0, 0, 0],
                [0xff, 0xff, 0, 0],
                [0; 4],
            ];
            patch(f, "v360/init.mp4", b"tkhd", 40, &turned.concat());
        });
    }
}

#[test]
fn a05_pixels_not_square() {
    breaks("A05", |f| {
        patch(f, "v360/init.mp4", b"pasp", 0, &[0, 0, 0, 4, 0, 0, 0, 3]);
    });
}

#[test]
fn a05_c14_odd_size() {
    // The first byte of frame cropping in the SPS is hard to reach; without parameter sets the
    // sample entry's size counts.
    breaks("A05", |f| {
        rewrite(f, "v360/init.mp4", &|path, payload, w| {
            if path != "/moov/trak/mdia/minf/stbl/stsd" {
                return false;
            }
            w.nest(b"stsd", |w| {
                w.raw(&payload[..8]);
                let entry = &payload[8..];
                w.nest(b"avc1", |w| {
                    w.raw(&entry[8..32]).u16(641).u16(360).raw(&entry[36..86]);
                });
            });
            true
        });
    });
    breaks("C14", |f| {
        patch(f, "v360/init.mp4", b"avc1", 24, &[2, 0x82]);
    });
}

/// An init segment for the sound with another codec.
fn with_codec(files: &mut Files, coding: AudioCoding, config: &[u8]) {
    let init = TrackInit {
        timescale: ts(48_000),
        language: "eng".into(),
        kind: TrackInitKind::Audio(AudioInit {
            config: config.to_vec(),
            channels: 2,
            sample_rate: 48_000,
            priming: 1024,
            bitrate_bps: 64_000,
            coding,
        }),
    };
    files.insert("a-en/init.mp4".into(), init_segment(&init));
}

fn status_of(files: Files, id: &str) -> Status {
    report_of(files).rule(id).expect("a rule").status
}

#[test]
fn a06_high_rate_of_he_aac() {
    // SBR said openly: object type 5 over 2.
    let he_aac = [0x2b, 0x11, 0x88, 0x00];
    let mut files = build(&Recipe::default());
    with_codec(&mut files, AudioCoding::Aac, &he_aac);
    assert_eq!(status_of(files.clone(), "A06"), Status::Ok);
    let more = [&30_000_u32.to_be_bytes()[..], b"free", &[0; 29_992]].concat();
    files.get_mut("a-en/1.m4s").expect("there").extend(more);
    assert_eq!(status_of(files, "A06"), Status::Warned);
}

#[test]
fn a07_one_form_is_quieter() {
    for (lufs, status) in [(-17.0, Status::Ok), (-23.7, Status::Warned)] {
        let mut files = build(&Recipe::default());
        let mut record: Presentation =
            serde_json::from_slice(&files["presentation.json"]).expect("a record");
        let loudness = |integrated_lufs| {
            Some(crate::media::Loudness {
                integrated_lufs,
                range_lu: 4.0,
                true_peak_dbtp: -1.0,
            })
        };
        record.audio[0].loudness = loudness(-16.0);
        let mut other = record.audio[0].clone();
        other.loudness = loudness(lufs);
        record.audio.push(other);
        let record = serde_json::to_vec(&record).expect("serialises");
        files.insert("presentation.json".into(), record);
        assert_eq!(status_of(files, "A07"), status, "{lufs}");
    }
}

#[test]
fn a09_enhanced_dolby_alone() {
    for (coding, config, status) in [
        (
            AudioCoding::Eac3,
            &[6, 0, 0x20, 0x0f, 0][..],
            Status::Warned,
        ),
        (AudioCoding::Ac3, &[0x10, 0x3d, 0xe0], Status::Ok),
    ] {
        let mut files = build(&Recipe::default());
        with_codec(&mut files, coding, config);
        assert_eq!(status_of(files, "A09"), status);
    }
}

#[test]
fn a08_edit_list_missing() {
    let recipe = Recipe {
        priming: 0,
        ..Recipe::default()
    };
    breaks_recipe("A08", &recipe, |_| {});
}

#[test]
fn a08_sound_starts_late() {
    breaks("A08", |f| {
        for (number, ticks) in [
            (1, 48_000_u32),
            (2, 48_000 + 288_768),
            (3, 48_000 + 577_536),
        ] {
            patch(
                f,
                &format!("a-en/{number}.m4s"),
                b"tfdt",
                8,
                &ticks.to_be_bytes(),
            );
        }
    });
}

#[test]
fn c01_brand_missing() {
    breaks("C01", |f| {
        rewrite(f, "v360/init.mp4", &|path, _, w| {
            path == "/ftyp" && {
                w.nest(b"ftyp", |w| {
                    w.raw(b"iso6").u32(0).raw(b"iso6");
                });
                true
            }
        });
    });
}

#[test]
fn c01_mvhd_not_first() {
    breaks("C01", |f| {
        rewrite(f, "v360/init.mp4", &|path, payload, w| {
            path == "/moov" && {
                w.nest(b"moov", |w| {
                    w.nest(b"free", |_| {}).raw(payload);
                });
                true
            }
        });
    });
}

#[test]
fn c01_sample_table_not_empty() {
    breaks("C01", |f| {
        rewrite(f, "v360/init.mp4", &|path, _, w| {
            path.ends_with("/stts") && {
                w.full(b"stts", 0, 0, |w| {
                    w.u32(1).u32(1).u32(480);
                });
                true
            }
        });
    });
}

#[test]
fn c01_no_trex() {
    breaks("C01", |f| {
        rewrite(f, "a-en/init.mp4", &|path, _, _| path == "/moov/mvex");
    });
}

#[test]
fn c01_cut_off_box() {
    breaks("C01", |f| {
        let bytes = f.get_mut("v360/init.mp4").expect("there");
        let at = payload_at(bytes, b"trex");
        bytes[at - 5] = 0xff;
    });
}

#[test]
fn c02_duration_in_a_header() {
    breaks("C02", |f| patch(f, "v360/init.mp4", b"mvhd", 19, &[1]));
}

#[test]
fn c02_file_level_udta() {
    breaks("C02", |f| {
        f.get_mut("v360/init.mp4")
            .expect("there")
            .extend(b"\0\0\0\x08udta");
    });
}

/// Rewrites a segment's `moof`, keeping its data offset right.
fn remake_moof(f: &mut Files, name: &str, change: &dyn Fn(&str, &[u8], &mut BoxWriter) -> bool) {
    let before = payload_at(&f[name], b"mdat");
    rewrite(f, name, change);
    let after = payload_at(&f[name], b"mdat");
    let bytes = f.get_mut(name).expect("there");
    let at = payload_at(bytes, b"trun") + 8;
    let offset = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
    let moved =
        offset + u32::try_from(after).expect("small") - u32::try_from(before).expect("small");
    bytes[at..at + 4].copy_from_slice(&moved.to_be_bytes());
}

#[test]
fn c03_two_trafs() {
    breaks("C03", |f| {
        remake_moof(f, "v360/1.m4s", &|path, payload, w| {
            path == "/moof/traf" && {
                w.nest(b"traf", |w| {
                    w.raw(payload);
                });
                w.nest(b"traf", |w| {
                    w.raw(payload);
                });
                true
            }
        });
    });
}

#[test]
fn c03_foreign_track_id() {
    breaks("C03", |f| patch(f, "v360/1.m4s", b"tfhd", 7, &[9]));
}

#[test]
fn c04_missing_tfdt() {
    breaks("C04", |f| {
        remake_moof(f, "v360/2.m4s", &|path, _, _| path == "/moof/traf/tfdt");
    });
}

#[test]
fn c04_wrong_data_offset() {
    breaks("C04", |f| patch(f, "v360/1.m4s", b"trun", 8, &[0, 0, 0, 1]));
}

#[test]
fn c04_base_is_not_the_moof() {
    breaks("C04", |f| patch(f, "v360/1.m4s", b"tfhd", 1, &[0]));
}

#[test]
fn c05_first_sample_not_flagged() {
    breaks("C05", |f| {
        let bytes = f.get_mut("v360/1.m4s").expect("there");
        let at = bytes
            .windows(4)
            .position(|w| w == 0x0200_0000_u32.to_be_bytes())
            .expect("flags");
        bytes[at..at + 4].copy_from_slice(&0x0101_0000_u32.to_be_bytes());
    });
}

#[test]
fn c06_no_parameter_sets() {
    breaks("C06", |f| {
        let empty = [1, 0x64, 0, 0x1e, 0xff, 0xe0, 0, 0xfd, 0xf8, 0xf8, 0];
        rewrite(f, "v360/init.mp4", &|path, payload, w| {
            path.ends_with("/stsd") && {
                w.nest(b"stsd", |w| {
                    w.raw(&payload[..8]);
                    w.nest(b"avc1", |w| {
                        w.raw(&payload[16..94]);
                        w.nest(b"avcC", |w| {
                            w.raw(&empty);
                        });
                    });
                });
                true
            }
        });
    });
}

#[test]
fn c07_edit_list_and_negative_offsets() {
    breaks("C07", |f| patch(f, "v360/1.m4s", b"trun", 0, &[1]));
}

#[test]
fn c07_empty_edit() {
    breaks("C07", |f| {
        patch(f, "a-en/init.mp4", b"elst", 12, &[0xff; 4]);
    });
}

#[test]
fn c09_unlike_timescales() {
    let recipe = Recipe {
        timescales: [12_000, 24_000],
        ..Recipe::default()
    };
    breaks_recipe("C09", &recipe, |_| {});
}

#[test]
fn c10_misaligned_rung() {
    let recipe = Recipe {
        cuts: [vec![150, 150, 75], vec![100, 150, 125]],
        ..Recipe::default()
    };
    for rule in ["C10", "H18"] {
        breaks_recipe(rule, &recipe, |_| {});
    }
}

#[test]
fn c11_index_with_a_wrong_size() {
    breaks("C11", |f| {
        let bytes = f.get_mut("v360/1.m4s").expect("there");
        let mut w = BoxWriter::new();
        let len = u32::try_from(bytes.len()).expect("small");
        w.full(b"sidx", 0, 0, |w| {
            w.u32(1).u32(12_000).u32(0).u32(0).u16(0).u16(1);
            w.u32(len + 1).u32(72_000).u32(0x9000_0000);
        });
        bytes.splice(0..0, w.into_bytes());
    });
}

#[test]
fn c12_encrypted_sample_in_a_clear_track() {
    breaks("C12", |f| {
        remake_moof(f, "v360/1.m4s", &|path, payload, w| {
            path == "/moof/traf" && {
                w.nest(b"traf", |w| {
                    w.raw(payload);
                    w.full(b"senc", 0, 0, |w| {
                        w.u32(3);
                    });
                });
                true
            }
        });
    });
}

#[test]
fn c13_sequence_number_falls() {
    breaks("C13", |f| patch(f, "v360/3.m4s", b"mfhd", 7, &[1]));
}

#[test]
fn c13_truncated_segment() {
    breaks("C13", |f| {
        f.get_mut("v360/1.m4s").expect("there").truncate(50_000);
    });
}

#[test]
fn c13_garbage_instead_of_a_segment() {
    breaks("C13", |f| {
        f.insert(
            "v360/1.m4s".into(),
            b"\0\0\0\x10styp\0\0\0\0\0\0\0\0garbage, garbage".into(),
        );
    });
}

#[test]
fn c14_record_unlike_its_sps() {
    breaks("C14", |f| patch(f, "v360/init.mp4", b"avcC", 3, &[31]));
}

#[test]
fn c16_clock_times() {
    breaks("C16", |f| patch(f, "v360/init.mp4", b"mdhd", 7, &[1]));
}

#[test]
fn d01_required_attribute_missing() {
    breaks("D01", |f| edit(f, MPD, " profiles=", " x-profiles="));
}

#[test]
fn d01_elements_out_of_order() {
    breaks("D01", |f| {
        edit(f, MPD, "<SegmentTimeline>", "<SegmentTimeline><Wrong/>");
    });
    breaks("D01", |f| {
        edit(
            f,
            MPD,
            "</AdaptationSet>",
            "<Role schemeIdUri=\"urn:x\" value=\"y\"/></AdaptationSet>",
        );
    });
}

#[test]
fn d01_malformed_number() {
    breaks("D01", |f| edit(f, MPD, "bandwidth=\"", "bandwidth=\"x"));
}

#[test]
fn d01_dynamic() {
    breaks("D01", |f| {
        edit(f, MPD, "type=\"static\"", "type=\"dynamic\"");
    });
}

#[test]
fn d02_wrong_duration() {
    breaks("D02", |f| {
        edit(
            f,
            MPD,
            "mediaPresentationDuration=\"PT15S",
            "mediaPresentationDuration=\"PT16S",
        );
    });
}

#[test]
fn d02_no_buffer_time() {
    breaks("D02", |f| {
        edit(f, MPD, "minBufferTime=", "x-minBufferTime=");
    });
}

#[test]
fn d03_period_starts_late() {
    breaks("D03", |f| edit(f, MPD, "start=\"PT0S\"", "start=\"PT1S\""));
}

#[test]
fn d04_gap_in_the_timeline() {
    breaks("D04", |f| {
        edit(f, MPD, "<S d=\"36000\"/>", "<S t=\"144480\" d=\"36000\"/>");
    });
}

#[test]
fn d04_overlap_in_the_timeline() {
    breaks("D04", |f| {
        edit(f, MPD, "<S d=\"36000\"/>", "<S t=\"143520\" d=\"36000\"/>");
    });
}

#[test]
fn d04_period_longer_than_its_segments() {
    breaks("D04", |f| edit_all(f, MPD, "PT15S", "PT25S"));
}

#[test]
fn d05_mixed_addressing() {
    breaks("D05", |f| {
        let text = String::from_utf8(f[MPD].clone()).expect("text");
        let at = text.find("id=\"v180\"").expect("there");
        let end = at + text[at..].find("/>").expect("closed");
        let inner = "<BaseURL>v180/1.m4s</BaseURL><SegmentBase indexRange=\"0-9\"/>";
        let (before, after) = (&text[..end], &text[end + 2..]);
        f.insert(
            MPD.into(),
            format!("{before}>{inner}</Representation>{after}").into(),
        );
    });
}

#[test]
fn d06_number_in_the_init_segments_name() {
    breaks("D06", |f| {
        edit(
            f,
            MPD,
            "$RepresentationID$/init.mp4",
            "$RepresentationID$/init$Number$.mp4",
        );
    });
}

#[test]
fn d06_start_number_off_by_one() {
    for rule in ["D04", "D08", "D23"] {
        breaks(rule, |f| {
            edit(f, MPD, "startNumber=\"1\"", "startNumber=\"2\"");
        });
    }
}

#[test]
fn d08_timescale_missing() {
    breaks("D08", |f| {
        edit(
            f,
            MPD,
            "<SegmentTemplate timescale=\"12000\"",
            "<SegmentTemplate",
        );
    });
}

#[test]
fn d09_number_too_large() {
    breaks("D09", |f| {
        edit(
            f,
            MPD,
            "startNumber=\"1\"",
            "startNumber=\"1\" presentationTimeOffset=\"9007199254740993\"",
        );
    });
}

#[test]
fn d09_months() {
    breaks("D09", |f| {
        edit(f, MPD, "minBufferTime=\"PT", "minBufferTime=\"P0M0DT");
    });
}

#[test]
fn d10_alignment_not_signalled() {
    breaks("D10", |f| edit(f, MPD, " segmentAlignment=\"true\"", ""));
}

#[test]
fn d11_list_in_the_period() {
    breaks("D11", |f| {
        edit(
            f,
            MPD,
            "<AdaptationSet",
            "<SegmentList duration=\"6\"/><AdaptationSet",
        );
    });
}

#[test]
fn d12_two_codecs() {
    breaks("D12", |f| {
        edit(
            f,
            MPD,
            "codecs=\"mp4a.40.2\"",
            "codecs=\"mp4a.40.2,mp4a.40.5\"",
        );
    });
}

#[test]
fn d13_wrong_size() {
    breaks("D13", |f| edit(f, MPD, " width=\"640\"", " width=\"642\""));
}

#[test]
fn d13_aspect_missing() {
    breaks("D13", |f| edit(f, MPD, "par=\"16:9\"", ""));
}

#[test]
fn d14_channel_configuration_missing() {
    breaks("D14", |f| {
        edit(f, MPD, "AudioChannelConfiguration", "EssentialProperty");
    });
}

#[test]
fn d14_wrong_sampling_rate() {
    breaks("D14", |f| {
        edit(
            f,
            MPD,
            "audioSamplingRate=\"48000\"",
            "audioSamplingRate=\"44100\"",
        );
    });
}

#[test]
fn d14_language_missing() {
    breaks("D14", |f| edit(f, MPD, " lang=\"en\"", ""));
}

#[test]
fn d15_role_missing() {
    breaks("D15", |f| {
        let text = String::from_utf8(f[MPD].clone()).expect("text");
        let role = "<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>";
        f.insert(MPD.into(), text.replace(role, "").into());
    });
}

#[test]
fn d16_id_twice() {
    breaks("D16", |f| edit(f, MPD, "id=\"v180\"", "id=\"v360\""));
}

#[test]
fn d16_set_without_id() {
    breaks("D16", |f| {
        edit(f, MPD, "<AdaptationSet id=\"1\"", "<AdaptationSet");
    });
}

#[test]
fn d17_bandwidth_too_low() {
    breaks("D17", |f| edit_number(f, MPD, " bandwidth=\"", |n| n / 2));
}

#[test]
fn d17_no_bandwidth() {
    breaks("D01", |f| edit(f, MPD, " bandwidth=", " x-bandwidth="));
}

#[test]
fn d20_tiny_segments() {
    let recipe = Recipe {
        cuts: [vec![20, 150, 205], vec![20, 150, 205]],
        ..Recipe::default()
    };
    breaks_recipe("D20", &recipe, |_| {});
}

#[test]
fn d04_text_file_missing() {
    breaks_text("D04", |f| {
        f.remove(&format!("{TEXT}whole.vtt"));
    });
}

#[test]
fn d12_text_of_a_foreign_type() {
    breaks_text("D12", |f| edit(f, MPD, "text/vtt", "text/plain"));
}

#[test]
fn d22_text_file_that_is_none() {
    breaks_text("D22", |f| {
        edit(f, &format!("{TEXT}whole.vtt"), "WEBVTT", "VTT");
    });
}

#[test]
fn d22_text_of_another_time_line() {
    breaks_text("D22", |f| {
        edit_all(f, &format!("{TEXT}whole.vtt"), "00:00:", "10:00:");
    });
}

#[test]
fn d22_text_with_an_offset() {
    let offset = "</BaseURL><SegmentBase presentationTimeOffset=\"9\"/>";
    breaks_text("D22", |f| {
        let before = "whole.vtt";
        edit(
            f,
            MPD,
            &format!("{before}</BaseURL>"),
            &format!("{before}{offset}"),
        );
    });
}

#[test]
fn d23_dash_names_other_objects() {
    breaks("D23", |f| {
        edit(
            f,
            MPD,
            "media=\"$RepresentationID$/",
            "media=\"x/$RepresentationID$/",
        );
        let copies: Vec<_> = f
            .iter()
            .filter(|(name, _)| name.ends_with(".m4s"))
            .map(|(name, bytes)| (format!("x/{name}"), bytes.clone()))
            .collect();
        f.extend(copies);
    });
}

#[test]
fn d23_text_of_hls_and_dash_differs() {
    breaks_text("D23", |f| {
        let name = format!("{TEXT}whole.vtt");
        f.insert(name, b"WEBVTT\n\n".to_vec());
    });
    breaks_text("D23", |f| {
        edit(f, &format!("{TEXT}1.vtt"), "00:00:01.000", "00:00:02.000");
    });
}

#[test]
fn c14_codecs_of_the_mpd_wrong() {
    breaks("C14", |f| {
        edit(f, MPD, "codecs=\"avc1.64", "codecs=\"avc1.4D");
    });
}

#[test]
fn d24_transport_stream() {
    let mut packet = vec![0_u8; 188 * 4];
    for at in [0, 188, 376, 564] {
        packet[at] = 0x47;
    }
    breaks("D24", |f| {
        f.insert("v360/1.m4s".into(), packet);
    });
}

#[test]
fn a_waiver_of_the_record_is_honoured() {
    let mut files = build(&Recipe {
        frame_bytes: [6000, 2000],
        ..Recipe::default()
    });
    let mut record: Presentation =
        serde_json::from_slice(&files["presentation.json"]).expect("a record");
    record.waivers.push(Waiver {
        rule: "H31".into(),
        reason: "the source is too small a picture".into(),
    });
    let record = serde_json::to_vec(&record).expect("serialises");
    files.insert("presentation.json".into(), record);
    let report = report_of(files);
    assert!(report.passed(), "{report}");
    assert_eq!(report.rule("H31").expect("a rule").status, Status::Waived);
}

#[test]
fn segments_are_not_read_whole() {
    struct Counting(Memory, std::sync::atomic::AtomicU64);
    impl Fetch for Counting {
        fn root(&self) -> &Url {
            self.0.root()
        }
        fn size(&self, url: &str) -> Result<u64> {
            self.0.size(url)
        }
        fn range(&self, url: &str, start: u64, len: u64) -> Result<Vec<u8>> {
            let bytes = self.0.range(url, start, len)?;
            let count = bytes.len() as u64;
            self.1
                .fetch_add(count, std::sync::atomic::Ordering::Relaxed);
            Ok(bytes)
        }
        fn all(&self, url: &str) -> Result<Vec<u8>> {
            self.0.all(url)
        }
        fn content_type(&self, _: &str) -> Option<String> {
            None
        }
    }
    let fetch = Counting(Memory::new(build(&Recipe::default())), Default::default());
    verify(&fetch, None).expect("verifies");
    let read = fetch.1.into_inner();
    let played = 9 * (16 << 10) + 3 * 2000;
    let stills = (2 * 2 * 15 + 8) * (2 << 10) + 2 * 2000;
    assert!(read < played + stills, "{read} bytes");
}

#[test]
fn a_directory_is_verified_like_memory_and_by_file_name() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, bytes) in build(&Recipe::default()) {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
    let path = dir.path().to_str().expect("UTF-8");
    let report = verify_target(path).expect("verifies");
    assert!(report.passed(), "{report}");
    assert_eq!(report.entries, ["index.m3u8", "manifest.mpd"]);
    for name in ["manifest.mpd", "index.m3u8", "v360/index.m3u8"] {
        let report = verify_target(&format!("{path}/{name}")).expect("verifies");
        assert!(report.passed(), "{report}");
    }
    let error = verify_target(&format!("{path}/v360/init.mp4x")).expect_err("not there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    std::fs::create_dir(dir.path().join("empty")).expect("made");
    let error = verify_target(&format!("{path}/empty")).expect_err("nothing there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// Runs FFmpeg, `~` standing for a space within an argument; `None` when it isn't installed.
fn ffmpeg(dir: &Path, arguments: &str) -> Option<()> {
    let run = std::process::Command::new("ffmpeg")
        .args("-nostdin -loglevel error -y".split(' '))
        .args(
            arguments
                .split(' ')
                .map(|argument| argument.replace('~', " ")),
        )
        .current_dir(dir)
        .status();
    match run {
        Ok(status) => {
            assert!(status.success(), "ffmpeg {arguments}");
            Some(())
        }
        Err(_) => {
            println!("skipped: no ffmpeg");
            None
        }
    }
}

const SOURCE: &str = "-f lavfi -i testsrc=size=320x180:rate=25:duration=9 -f lavfi -i sine=duration=9 -c:v libx264 -preset ultrafast -g 50 -pix_fmt yuv420p -c:a aac";

#[test]
fn a_foreign_presentation_is_read_and_its_known_faults_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let rungs = "-map 0:v -map 0:v -map 1:a -s:v:1 160x90";
    let sets = "-adaptation_sets id=0,streams=v~id=1,streams=a";
    let arguments =
        format!("{SOURCE} {rungs} -f dash {sets} -hls_playlist 1 -seg_duration 4 out.mpd");
    if ffmpeg(dir.path(), &arguments).is_none() {
        return;
    }
    let report = verify_target(dir.path().to_str().expect("UTF-8")).expect("verifies");
    assert!(!report.passed(), "{report}");
    for id in ["H08", "H16", "H23", "H24", "H25", "C01", "D15"] {
        assert_eq!(
            report.rule(id).expect("a rule").status,
            Status::Failed,
            "{id}: {report}"
        );
    }
    // What FFmpeg gets right must not be called wrong.
    for id in ["H01", "H14", "C04", "C10", "C13", "D04", "D08"] {
        assert_eq!(
            report.rule(id).expect("a rule").status,
            Status::Ok,
            "{id}: {report}"
        );
    }
}

#[test]
fn transport_streams_byte_ranges_and_muxed_files_are_survived() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, options) in [
        ("ts", "-f hls -hls_time 4 -hls_playlist_type vod ts.m3u8"),
        (
            "one",
            "-f hls -hls_time 4 -hls_segment_type fmp4 -hls_flags single_file one.m3u8",
        ),
        ("base", "-f dash -single_file 1 -seg_duration 4 base.mpd"),
    ] {
        if ffmpeg(dir.path(), &format!("{SOURCE} {options}")).is_none() {
            return;
        }
        let extension = if name == "base" { "mpd" } else { "m3u8" };
        let target = dir.path().join(format!("{name}.{extension}"));
        let report = verify_target(target.to_str().expect("UTF-8")).expect("verifies");
        let status = |id| report.rule(id).expect("a rule").status;
        match name {
            "ts" => {
                assert_eq!(status("C01"), Status::NotApplicable, "{report}");
                assert!(report.notes[0].contains("transport stream"), "{report}");
            }
            "one" => {
                assert_eq!(status("H17"), Status::Ok, "{report}");
                assert_eq!(status("C01"), Status::Failed, "{report}");
            }
            _ => assert_eq!(status("D23"), Status::NotApplicable, "{report}"),
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// Whatever is flipped, cut or doubled: there is a report or an error, never a panic.
    #[test]
    fn no_damage_makes_it_panic(
        which in proptest::prelude::any::<proptest::sample::Index>(),
        hits in proptest::collection::vec((0_usize..4000, proptest::prelude::any::<u8>()), 1..12),
        cut in proptest::option::of(0_usize..3000),
    ) {
        let recipe = Recipe { frame_bytes: [60, 20], ..Recipe::default() };
        let mut files = build(&recipe);
        let names: Vec<String> = files.keys().cloned().collect();
        let bytes = files.get_mut(which.get(&names)).expect("there");
        for (at, value) in hits {
            let len = bytes.len();
            if let Some(byte) = bytes.get_mut(at % len.max(1)) {
                *byte = value;
            }
        }
        bytes.truncate(cut.unwrap_or(usize::MAX));
        let _ = verify(&Memory::new(files), None).map(|report| report.to_string());
    }
}

/// Answers HTTP on a loopback port with `files`; `/moved/` redirects to the root.
#[cfg(feature = "aws")]
fn serve(files: Files) -> String {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut lines = BufReader::new(stream.try_clone().expect("a handle")).lines();
            let request = lines
                .next()
                .and_then(std::result::Result::ok)
                .unwrap_or_default();
            let mut range = None;
            for line in lines
                .map_while(std::result::Result::ok)
                .take_while(|l| !l.is_empty())
            {
                let line = line.to_ascii_lowercase();
                if let Some(bytes) = line.strip_prefix("range: bytes=") {
                    let (first, last) = bytes.split_once('-').expect("a range");
                    range = Some((first.parse().expect("first"), last.parse().expect("last")));
                }
            }
            let answer = answer(&files, &request, range);
            stream.write_all(&answer).expect("written");
        }
    });
    base
}

#[cfg(feature = "aws")]
fn answer(files: &Files, request: &str, range: Option<(usize, usize)>) -> Vec<u8> {
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or("/"));
    if let Some(rest) = path.strip_prefix("/moved/") {
        let head = format!(
            "HTTP/1.1 302 Found\r\nLocation: /{rest}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        return head.into();
    }
    let Some(bytes) = files.get(path.trim_start_matches('/')) else {
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into();
    };
    let (status, part) = match range {
        Some((first, last)) => (
            "206 Partial Content",
            &bytes[first..bytes.len().min(last + 1)],
        ),
        None => ("200 OK", &bytes[..]),
    };
    let memory = Memory::new(Files::new());
    let kind = memory.content_type(path).expect("known");
    let len = part.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n"
    );
    let body = if method == "HEAD" { &[][..] } else { part };
    [head.as_bytes(), body].concat()
}

#[cfg(feature = "aws")]
#[test]
fn a_url_is_verified_like_a_directory_and_redirects_are_told() {
    let base = serve(build(&Recipe::default()));
    for target in [
        base.clone(),
        format!("{base}/"),
        format!("{base}/index.m3u8"),
    ] {
        let report = verify_target(&target).expect("verifies");
        assert!(report.passed(), "{report}");
        assert_eq!(report.rule("H19").expect("a rule").status, Status::Ok);
    }
    let report = verify_target(&format!("{base}/moved/")).expect("verifies");
    assert_eq!(
        report.rule("H19").expect("a rule").status,
        Status::Failed,
        "{report}"
    );
    let error = verify_target(&format!("{base}/nothing/")).expect_err("nothing there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn every_rule_that_is_judged_is_in_the_table() {
    let sources = [
        include_str!("../mod.rs"),
        include_str!("../across.rs"),
        include_str!("../dash.rs"),
        include_str!("../dash_sets.rs"),
        include_str!("../fragments.rs"),
        include_str!("../hls_media.rs"),
        include_str!("../hls_multivariant.rs"),
        include_str!("../init.rs"),
        include_str!("../load.rs"),
        include_str!("../protection.rs"),
        include_str!("../sound.rs"),
        include_str!("../stills.rs"),
        include_str!("../text.rs"),
    ]
    .concat();
    let used: BTreeSet<&str> = sources
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|text| {
            let (letter, digits) = text.split_at_checked(1).unwrap_or_default();
            "HACDE".contains(letter)
                && digits.len() == 2
                && digits.bytes().all(|b| b.is_ascii_digit())
        })
        .filter(|text| text.len() == 3)
        .collect();
    let listed: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(used, listed);
}
