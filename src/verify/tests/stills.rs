//! Trick play and thumbnails, good and broken.

use super::*;
use crate::media::{StillRates, Stills, Thumbnails, TrickTrack};

/// What x264 wrote for I-frames of 284x160.
const AVCC_160: &str = "0164000cffe1001c6764000cacb4090af7e02d4040405000000300100000030028f142aa01000468ef3cb0fdf8f800";
/// I-frames in each segment.
const I_FRAMES: [usize; 3] = [6, 6, 3];
const SMALL_JPEG: usize = 12_000;

const TRICK: &str = "trick/index.m3u8";
const THUMBS: &str = "thumbs/index.m3u8";
const IMAGES: &str = "thumbs/images.m3u8";
const CUES_OF_THUMBS: &str = "thumbs/thumbnails.vtt";

/// Writes two I-frame tracks and eight thumbnails.
pub(super) fn write(files: &mut Files) -> Stills {
    let tracks = [
        write_trick(files, "trick", AVCC_360, 18_000),
        write_trick(files, "trick-160", AVCC_160, 4_000),
    ];
    Stills {
        tracks: tracks.into(),
        thumbnails: write_thumbnails(files),
    }
}

fn write_trick(files: &mut Files, id: &str, avcc: &str, bytes: u32) -> TrickTrack {
    let avc = AvcConfig::parse(&hex(avcc)).expect("a record");
    let sps = avc.sps().expect("an SPS");
    let codecs = avc.codecs();
    let frame_rate = FrameRate::new(1, 1).expect("valid");
    let init = init_segment(&TrackInit {
        timescale: ts(12_000),
        language: "und".into(),
        kind: TrackInitKind::Video(VideoInit {
            width: u16::try_from(sps.width).expect("small"),
            height: u16::try_from(sps.height).expect("small"),
            pixel_aspect: PixelAspect::SQUARE,
            colour: Colour::BT709,
            composition_delay: 0,
            frame_rate: Some(frame_rate),
            config: VideoConfig::Avc(avc),
            light: Light::UNKNOWN,
        }),
    });
    let kind = FragmentKind::Video {
        composition_delay: 0,
    };
    let (mut segments, mut all) = (Vec::new(), Vec::new());
    let mut sequence = 0;
    for (number, count) in (1..).zip(I_FRAMES) {
        let (mut segment, mut fragments) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let samples = video_samples(1, 12_000, bytes / 2);
            let time = u64::from(sequence) * 12_000;
            sequence += 1;
            let bytes = fragment(kind, sequence, time, &samples).expect("writes");
            fragments.push(SegmentInfo {
                duration: 12_000,
                bytes: bytes.len() as u64,
            });
            segment.extend(bytes);
        }
        segments.push(SegmentInfo {
            duration: 12_000 * fragments.len() as u64,
            bytes: segment.len() as u64,
        });
        files.insert(format!("{id}/{number}.m4s"), segment);
        all.push(fragments);
    }
    let common = TrackCommon {
        id: id.into(),
        codecs,
        timescale: ts(12_000),
        init_bytes: init.len() as u64,
        segments,
        expected: None,
        protection: None,
    };
    files.insert(format!("{id}/init.mp4"), init);
    let playlist = crate::hls::i_frame_playlist(&common, &all).expect("writes");
    files.insert(format!("{id}/index.m3u8"), playlist.into());
    let pictures: Vec<SegmentInfo> = all.concat();
    TrickTrack {
        common,
        width: sps.width,
        height: sps.height,
        frame_rate,
        max_speed: 25,
        rates: rates(&pictures, 12_000, 1),
    }
}

fn rates(pictures: &[SegmentInfo], timescale: u32, target: u32) -> StillRates {
    StillRates {
        peak_bps: crate::bandwidth::peak_bps(pictures, ts(timescale), target),
        average_bps: crate::bandwidth::average_bps(pictures, ts(timescale)),
    }
}

fn write_thumbnails(files: &mut Files) -> Thumbnails {
    for number in 1..=8 {
        files.insert(format!("thumbs/{number}.jpg"), jpeg(400, 224));
    }
    let mut pictures = vec![
        SegmentInfo {
            duration: 2000,
            bytes: SMALL_JPEG as u64,
        };
        8
    ];
    pictures[7].duration = 1000;
    let thumbnails = Thumbnails {
        width: 400,
        height: 224,
        timescale: Timescale::MILLIS,
        duration: 2000,
        count: 8,
        bytes: 8 * SMALL_JPEG as u64,
        rates: rates(&pictures, 1000, 2),
    };
    let end = Ticks::new(15, ts(1));
    let list = crate::hls::thumbnail_playlist(&thumbnails, end).expect("writes");
    files.insert(THUMBS.into(), list.into());
    let list = crate::hls::image_playlist(&thumbnails, end).expect("writes");
    files.insert(IMAGES.into(), list.into());
    let list = crate::text::thumbnails(&thumbnails, end);
    files.insert(CUES_OF_THUMBS.into(), list.into());
    thumbnails
}

/// The start of a JPEG of that size.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xc0, 0, 11, 8];
    bytes.extend(height.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.resize(SMALL_JPEG - 2, 0);
    bytes.extend([0xff, 0xd9]);
    bytes
}

fn advises(id: &str, change: impl FnOnce(&mut Files)) {
    let mut files = build(&Recipe::default());
    change(&mut files);
    let report = report_of(files);
    let status = report.rule(id).expect("a rule").status;
    assert_eq!(status, Status::Warned, "{id} did not warn:\n{report}");
}

/// Takes the lines away that contain `what`.
fn without(files: &mut Files, name: &str, what: &str) {
    let text = String::from_utf8(files[name].clone()).expect("text");
    let lines = text.lines().filter(|line| !line.contains(what));
    let left: String = lines.flat_map(|line| [line, "\n"]).collect();
    assert_ne!(text, left, "{name} has no {what}");
    files.insert(name.into(), left.into());
}

#[test]
fn every_rule_of_stills_is_kept_by_what_we_write() {
    let report = report_of(build(&Recipe::default()));
    for id in [
        "H43", "H44", "H45", "H46", "H47", "H48", "H49", "D18", "D19", "E09", "D23",
    ] {
        let rule = report.rule(id).expect(id);
        assert_eq!(
            (rule.status, rule.findings.len()),
            (Status::Ok, 0),
            "{report}"
        );
    }
}

#[test]
fn h43_no_trick_play() {
    breaks("H43", |f| without(f, TOP, "I-FRAME-STREAM-INF"));
}

#[test]
fn h43_playlist_does_not_say_so() {
    breaks("H43", |f| without(f, TRICK, "I-FRAMES-ONLY"));
}

#[test]
fn h43_picture_is_no_idr() {
    breaks("H43", |f| {
        let bytes = f.get_mut("trick/2.m4s").expect("there");
        let at = payload_at(bytes, b"mdat") + 4;
        bytes[at] = 0x41;
    });
}

#[test]
fn h43_several_pictures_in_one() {
    let samples = video_samples(2, 6000, 9000);
    let kind = FragmentKind::Video {
        composition_delay: 0,
    };
    let bytes = fragment(kind, 1, 0, &samples).expect("writes");
    let range = format!("{}@0", bytes.len());
    breaks("H43", |f| {
        f.insert("trick/1.m4s".into(), bytes);
        let old = f[TRICK].clone();
        let old = String::from_utf8(old).expect("text");
        let (_, rest) = old.split_once("EXT-X-BYTERANGE:").expect("there");
        let (old, _) = rest.split_once('\n').expect("there");
        edit(f, TRICK, old, &range);
    });
}

#[test]
fn h43_what_is_listed_as_jpeg_is_none() {
    breaks("H43", |f| {
        f.insert("thumbs/3.jpg".into(), vec![7; SMALL_JPEG]);
    });
}

#[test]
fn h44_one_bit_rate_of_i_frames() {
    breaks("H44", |f| without(f, TOP, "trick-160"));
}

#[test]
fn h44_sparse_i_frames() {
    breaks("H44", |f| edit_all(f, TRICK, "EXTINF:1.0", "EXTINF:2.0"));
}

#[test]
fn h45_moof_left_out() {
    let text = String::from_utf8(build(&Recipe::default())[TRICK].clone()).expect("text");
    let (_, rest) = text.split_once("BYTERANGE:").expect("there");
    let (length, _) = rest.split_once('@').expect("there");
    let length: u64 = length.parse().expect("a number");
    breaks("H45", |f| {
        let shorter = format!("BYTERANGE:{}@0", length - 50);
        edit(f, TRICK, &format!("BYTERANGE:{length}@0"), &shorter);
    });
}

#[test]
fn h46_bandwidth_of_the_video() {
    let line = "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=";
    breaks("H46", |f| edit_number(f, TOP, line, |n| n * 2));
    breaks("H46", |f| edit_number(f, TOP, line, |n| n / 2));
    breaks("H46", |f| edit_number(f, TOP, line, |_| 0));
}

#[test]
fn h47_only_hdr_i_frames() {
    breaks("H47", |f| {
        let text = String::from_utf8(f[TOP].clone()).expect("text");
        let line = |line: &str| match line.contains("I-FRAME") {
            true => line.replace("VIDEO-RANGE=SDR", "VIDEO-RANGE=PQ") + "\n",
            false => format!("{line}\n"),
        };
        f.insert(
            TOP.into(),
            text.lines().map(line).collect::<String>().into(),
        );
    });
}

#[test]
fn h48_no_thumbnails_or_no_small_i_frames() {
    breaks("H48", |f| without(f, TOP, "mjpg"));
    breaks("H48", |f| without(f, TOP, "trick-160"));
}

#[test]
fn h48_thumbnails_of_another_size() {
    breaks("H48", |f| {
        edit(
            f,
            TOP,
            "\"mjpg\",RESOLUTION=400x224",
            "\"mjpg\",RESOLUTION=200x112",
        );
    });
}

#[test]
fn h23_resolution_of_thumbnails_is_another() {
    breaks("H23", |f| {
        f.insert("thumbs/1.jpg".into(), jpeg(402, 224));
    });
}

#[test]
fn h49_image_attributes() {
    breaks("H49", |f| {
        edit(f, TOP, "CODECS=\"jpeg\"", "CODECS=\"mjpg\"");
    });
    breaks("H49", |f| {
        edit(
            f,
            TOP,
            "\"jpeg\",RESOLUTION=400x224",
            "\"jpeg\",RESOLUTION=100x56",
        );
    });
}

#[test]
fn h49_tiles() {
    breaks("H49", |f| without(f, IMAGES, "IMAGES-ONLY"));
    breaks("H49", |f| without(f, IMAGES, "EXT-X-TILES"));
    breaks("H49", |f| edit(f, IMAGES, "LAYOUT=1x1", "LAYOUT=2x1"));
    breaks("H49", |f| edit(f, IMAGES, ",DURATION=2.0", ",LASTS=2.0"));
    breaks("H49", |f| edit(f, IMAGES, ",DURATION=2.0", ",DURATION=1.0"));
    breaks("H49", |f| {
        edit(f, IMAGES, ",DURATION=2.0", ",DURATION=20.0");
    });
}

#[test]
fn h49_list_for_web_players() {
    breaks("H49", |f| drop(f.remove(CUES_OF_THUMBS)));
    breaks("H49", |f| edit(f, CUES_OF_THUMBS, "\n3.jpg", "\n33.jpg"));
    breaks("H49", |f| edit_all(f, CUES_OF_THUMBS, "04.000", "05.000"));
    breaks("H49", |f| {
        let cue = "\n00:00:14.000 --> 00:00:15.000\n8.jpg\n";
        edit(f, CUES_OF_THUMBS, cue, "");
    });
}

#[test]
fn h21_thumbnail_cut_off() {
    breaks("H21", |f| {
        f.get_mut("thumbs/3.jpg").expect("there").truncate(300);
    });
}

#[test]
fn h09_i_frames_end_early() {
    breaks("H09", |f| {
        let text = String::from_utf8(f[TRICK].clone()).expect("text");
        let (kept, _) = text.rsplit_once("#EXTINF").expect("there");
        f.insert(TRICK.into(), format!("{kept}#EXT-X-ENDLIST\n").into());
    });
}

#[test]
fn d18_tiles() {
    let old = "thumbnail_tile\" value=\"1x1\"";
    breaks("D18", |f| edit(f, MPD, old, "thumbnail_tile\" value=\"1\""));
    breaks("D18", |f| edit(f, MPD, "thumbnail_tile", "thumbnails"));
    breaks("D18", |f| {
        edit(
            f,
            MPD,
            "width=\"400\" height=\"224\"",
            "width=\"400\" height=\"226\"",
        );
    });
}

#[test]
fn d19_trick_set() {
    breaks("D19", |f| {
        edit(f, MPD, "trickmode\" value=\"1\"", "trickmode\" value=\"9\"");
    });
    breaks("D19", |f| edit(f, MPD, " maxPlayoutRate=\"25\"", ""));
    breaks("D19", |f| {
        edit(
            f,
            MPD,
            "codingDependency=\"false\"",
            "codingDependency=\"true\"",
        );
    });
}

#[test]
fn d23_stills_of_their_own() {
    breaks("D23", |f| {
        edit(
            f,
            MPD,
            "media=\"thumbs/$Number$.jpg\"",
            "media=\"thumb/$Number$.jpg\"",
        );
    });
}

#[test]
fn e09_encrypted_thumbnails() {
    let key = "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF";
    breaks("E09", |f| edit(f, THUMBS, "#EXTINF", key));
    breaks("E09", |f| edit(f, IMAGES, "#EXTINF", key));
    let protected = "<ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\"/><SegmentTemplate timescale=\"1000\" media=\"thumbs";
    breaks("E09", |f| {
        edit(
            f,
            MPD,
            "<SegmentTemplate timescale=\"1000\" media=\"thumbs",
            protected,
        );
    });
}

#[test]
fn h44_rates_far_from_the_usual_are_told() {
    let recipe = Recipe {
        frame_bytes: [600, 400],
        ..Recipe::default()
    };
    breaks_recipe("H44", &recipe, |_| {});
}

#[test]
fn h47_no_i_frames_in_h264_are_told() {
    advises("H47", |f| {
        let text = String::from_utf8(f[TOP].clone()).expect("text");
        let line = |line: &str| match line.contains("I-FRAME") {
            true => line.replace("avc1.64", "hvc1.64") + "\n",
            false => format!("{line}\n"),
        };
        f.insert(
            TOP.into(),
            text.lines().map(line).collect::<String>().into(),
        );
    });
}
