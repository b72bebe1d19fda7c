//! Writer and reader against each other and against independent readers.
//!
//! What each judge can't see: our reader shares this project's reading of the standard; mp4-atom
//! checks the syntax of boxes but no rule of CMAF; ffprobe forgives most mistakes, yet its packet
//! times and hashes show what a player would decode.

use std::path::{Path, PathBuf};
use std::process::Command;

use mp4_atom::{Codec, Decode, DecodeMaybe};
use proptest::prelude::*;

use super::dump::dump;
use super::fragment::{FragmentKind, FragmentSample, fragment, fragment_head};
use super::init_segment::{
    AudioCoding, AudioInit, TrackInit, TrackInitKind, VideoInit, init_segment, media_profile_brand,
};
use super::read::{InitInfo, SampleEntryMedia, SegmentInfo, box_tree, read_init, read_segment};
use crate::cmaf::video_config::VideoConfig;
use crate::codec::avc::{AvcConfig, ParameterSets};
use crate::codec::hevc::HevcConfig;
use crate::codec::test_support::{flipped, hex};
use crate::media::{Colour, Light, PixelAspect, Sample};
use crate::time::{FrameRate, Timescale};

fn video_init() -> TrackInit {
    let sps = hex("67640028acd940780227e59b20000003002000000641e30632c0");
    let pps = hex("68ebe3cb22c0");
    let sets = ParameterSets::collect([&sps[..], &pps[..]]);
    TrackInit {
        timescale: Timescale::new(12_800).expect("not zero"),
        language: "und".to_owned(),
        kind: TrackInitKind::Video(VideoInit {
            width: 1920,
            height: 1080,
            pixel_aspect: PixelAspect::SQUARE,
            colour: Colour::BT709,
            composition_delay: DELAY,
            frame_rate: FrameRate::new(25, 1),
            config: VideoConfig::Avc(AvcConfig::from_sets(sets).expect("a real encoder's")),
            light: Light::UNKNOWN,
        }),
    }
}

fn audio_init(priming: u32) -> TrackInit {
    TrackInit {
        timescale: Timescale::new(48_000).expect("not zero"),
        language: "fra".to_owned(),
        kind: TrackInitKind::Audio(AudioInit {
            config: hex("1190"),
            channels: 2,
            sample_rate: 48_000,
            priming,
            bitrate_bps: 128_000,
            coding: AudioCoding::Aac,
        }),
    }
}

fn sample(bytes: usize, composition_offset: i32, sync: bool) -> Sample {
    Sample {
        duration: 512,
        composition_offset,
        sync,
        data: vec![0xab; bytes].into(),
    }
}

/// An IDR picture and three others, one of them shown before it was decoded.
fn video_samples() -> Vec<Sample> {
    vec![
        sample(100, 0, true),
        sample(20, 1024, false),
        sample(10, -512, false),
        sample(11, -512, false),
    ]
}

/// Three frames of 512 ticks: more than any picture here is decoded ahead of time.
const DELAY: u32 = 1536;
const VIDEO: FragmentKind = FragmentKind::Video {
    composition_delay: DELAY,
};

fn audio_samples() -> Vec<Sample> {
    vec![sample(6, 0, true), sample(7, 0, true), sample(8, 0, true)]
}

fn video_fragment() -> Vec<u8> {
    fragment(VIDEO, 7, 51_200, &video_samples()).expect("small")
}

fn audio_fragment() -> Vec<u8> {
    fragment(FragmentKind::Audio, 1, 0, &audio_samples()).expect("small")
}

fn read_whole(bytes: &[u8]) -> SegmentInfo {
    read_segment(bytes, bytes.len() as u64, &[]).expect("a segment")
}

#[test]
fn dumps_show_every_field_of_init_segments_and_fragments() {
    insta::assert_snapshot!("video_init", dump(&init_segment(&video_init())));
    insta::assert_snapshot!("audio_init", dump(&init_segment(&audio_init(1024))));
    insta::assert_snapshot!("video_fragment", dump(&video_fragment()));
    insta::assert_snapshot!("audio_fragment", dump(&audio_fragment()));
}

#[test]
fn our_reader_gives_back_what_the_init_segment_was_made_of() {
    let info = read_init(&init_segment(&video_init())).expect("ours");
    let brands = info.brands.as_ref().expect("ftyp");
    for brand in [b"iso6", b"cmfc", b"cfhd"] {
        assert!(brands.has(brand), "{brands:?}");
    }
    let [track] = &info.tracks[..] else {
        panic!("one track")
    };
    assert_eq!(
        (track.timescale(), track.handler_type().0),
        (12_800, *b"vide")
    );
    let edits = &track.edit_list.as_ref().expect("elst").edits;
    assert_eq!(edits[0].media_time, i64::from(DELAY));
    assert!(!brands.has(b"cmf2"), "which forbids the edit list");
    assert!(track.tables.iter().all(|(_, entries)| *entries == 0));
    assert_eq!(track.tables.len(), 4);
    let entry = &track.sample_entries[0];
    assert_eq!(entry.codecs.as_deref(), Some("avc1.640028"));
    assert_eq!(entry.colour.map(|colr| colr.colour), Some(Colour::BT709));
    assert_eq!(entry.pixel_aspect, Some(PixelAspect::SQUARE));
    let size = SampleEntryMedia::Video {
        width: 1920,
        height: 1080,
    };
    assert_eq!(entry.media, size);
    assert!(info.tree.fault.is_none() && entry.protection.is_none());
}

/// What x265 3.5 gave for 640x360 in Main.
const HEVC_ANNEX_B: &str = "\
    0000000140010c01ffff01600000030090000003000003003f959409\
    0000000142010101600000030090000003000003003fa005020169659596e4c2f016a020202080000003008000000c04\
    000000014401c173c089";

#[test]
fn hevc_brands_follow_profile_level_size_and_colour() {
    let parsed = HevcConfig::from_annex_b(&hex(HEVC_ANNEX_B)).expect("whole");
    let wide = |transfer| [9, transfer, 9];
    for (profile, level, (width, height), [primaries, transfer, matrix], expected) in [
        (1, 93, (1280, 720), [1; 3], Some(b"chhd")),
        (1, 123, (1920, 1080), [1; 3], Some(b"chhd")),
        (1, 150, (1920, 1080), [1; 3], Some(b"cud8")),
        (1, 150, (3840, 2160), [1; 3], Some(b"cud8")),
        (1, 153, (3840, 2160), [1; 3], None),
        (1, 93, (720, 576), [5, 6, 5], None),
        (2, 123, (1920, 1080), [1; 3], Some(b"chh1")),
        (2, 153, (3840, 2160), [1; 3], Some(b"cud1")),
        (2, 93, (1280, 720), wide(14), Some(b"cud1")),
        (2, 93, (1280, 720), wide(16), Some(b"chd1")),
        (2, 153, (3840, 2160), wide(18), Some(b"clg1")),
        (2, 156, (3840, 2160), wide(18), None),
        (4, 93, (1280, 720), [1; 3], None),
    ] {
        let TrackInitKind::Video(video) = video_init().kind else {
            panic!("video")
        };
        let mut colour = video.colour;
        (colour.primaries, colour.transfer, colour.matrix) = (primaries, transfer, matrix);
        let config = VideoConfig::Hevc(HevcConfig {
            profile,
            level,
            ..parsed.clone()
        });
        let kind = TrackInitKind::Video(VideoInit {
            width,
            height,
            colour,
            config,
            ..video
        });
        let brand = media_profile_brand(&kind);
        assert_eq!(
            brand.as_ref(),
            expected,
            "profile {profile}, {level}, {transfer}"
        );
    }
}

#[test]
fn priming_becomes_an_edit_that_leaves_it_out() {
    let info = read_init(&init_segment(&audio_init(2112))).expect("ours");
    assert!(!info.brands.as_ref().expect("ftyp").has(b"cmf2"));
    let edits = &info.tracks[0].edit_list.as_ref().expect("elst").edits;
    let edit = edits[0];
    assert_eq!((edit.segment_duration, edit.media_time), (0, 2112));
    assert_eq!((edits.len(), edit.media_rate), (1, 0x0001_0000));
    let without = read_init(&init_segment(&audio_init(0))).expect("ours");
    assert!(without.tracks[0].edit_list.is_none());
}

#[test]
fn a_language_tag_that_mdhd_cannot_hold_goes_into_elng() {
    let mut init = audio_init(0);
    "pt-BR".clone_into(&mut init.language);
    let info = read_init(&init_segment(&init)).expect("ours");
    let track = &info.tracks[0];
    assert_eq!(track.extended_language.as_deref(), Some("pt-BR"));
    assert_eq!(track.media.as_ref().expect("mdhd").language(), "und");
    let french = read_init(&init_segment(&audio_init(0))).expect("ours");
    assert_eq!(
        french.tracks[0].media.as_ref().expect("mdhd").language(),
        "fra"
    );
    assert!(french.tracks[0].extended_language.is_none());
}

#[test]
fn the_media_profile_brand_is_the_smallest_that_fits() {
    let brand = |width, height, level, fps, colour| {
        let mut init = video_init();
        if let TrackInitKind::Video(video) = &mut init.kind {
            (video.width, video.height) = (width, height);
            if let VideoConfig::Avc(avc) = &mut video.config {
                avc.level = level;
            }
            (video.frame_rate, video.colour) = (FrameRate::new(fps, 1), colour);
        }
        media_profile_brand(&init.kind)
    };
    let hdr = Colour {
        primaries: 9,
        transfer: 16,
        matrix: 9,
        full_range: false,
    };
    assert_eq!(brand(854, 480, 31, 30, Colour::BT709), Some(*b"cfsd"));
    assert_eq!(brand(1280, 720, 31, 30, Colour::BT709), Some(*b"cfhd"));
    assert_eq!(
        brand(1920, 1080, 42, 60, Colour::UNSPECIFIED),
        Some(*b"chdf")
    );
    assert_eq!(brand(3840, 2160, 51, 30, Colour::BT709), None);
    assert_eq!(brand(1920, 1080, 42, 120, Colour::BT709), None);
    assert_eq!(brand(1920, 1080, 40, 25, hdr), None);
}

#[test]
fn mp4_atom_reads_the_same_from_init_segments() {
    let mut bytes = &init_segment(&video_init())[..];
    mp4_atom::Ftyp::decode(&mut bytes).expect("ftyp first");
    let moov = mp4_atom::Moov::decode(&mut bytes).expect("then moov");
    assert!(bytes.is_empty() && moov.trak.len() == 1);
    let media = &moov.trak[0].mdia;
    assert_eq!(media.mdhd.timescale, 12_800);
    let Codec::Avc1(avc1) = &media.minf.stbl.stsd.codecs[0] else {
        panic!("avc1")
    };
    assert_eq!((avc1.visual.width, avc1.visual.height), (1920, 1080));
    assert_eq!(
        (avc1.avcc.avc_profile_indication, avc1.avcc.length_size),
        (100, 4)
    );
    assert!(avc1.colr.is_some() && avc1.pasp.is_some());

    let mut bytes = &init_segment(&audio_init(1024))[..];
    mp4_atom::Ftyp::decode(&mut bytes).expect("ftyp first");
    let moov = mp4_atom::Moov::decode(&mut bytes).expect("then moov");
    let Codec::Mp4a(mp4a) = &moov.trak[0].mdia.minf.stbl.stsd.codecs[0] else {
        panic!("mp4a")
    };
    let config = &mp4a.esds.es_desc.dec_config;
    assert_eq!(
        (config.object_type_indication, config.avg_bitrate),
        (0x40, 128_000)
    );
    let elst = moov.trak[0]
        .edts
        .as_ref()
        .and_then(|edts| edts.elst.as_ref());
    assert_eq!(elst.expect("elst").entries[0].media_time, Some(1024));
}

#[test]
fn mp4_atom_reads_the_same_from_fragments() {
    let bytes = video_fragment();
    let moof = mp4_atom::Moof::decode(&mut &bytes[..]).expect("moof");
    let traf = &moof.traf[0];
    assert_eq!((moof.mfhd.sequence_number, moof.traf.len()), (7, 1));
    assert!(traf.tfhd.default_base_is_moof);
    let time = traf.tfdt.as_ref().expect("tfdt").base_media_decode_time;
    assert_eq!(time, 51_200);
    let offsets: Vec<_> = traf.trun[0]
        .samples
        .iter()
        .map(|s| (s.size, s.cts))
        .collect();
    let wanted = [(100, 1536), (20, 2560), (10, 1024), (11, 1024)];
    assert_eq!(offsets, wanted.map(|(size, cts)| (Some(size), Some(cts))));
    let data_at = usize::try_from(traf.trun[0].data_offset.expect("offset")).expect("positive");
    assert_eq!(bytes[data_at - 4..data_at], *b"mdat");
    assert_eq!(bytes.len() - data_at, 141);
}

#[test]
fn a_second_sync_sample_in_a_fragment_keeps_its_flag() {
    let mut samples = video_samples();
    samples.push(sample(50, 0, true));
    samples.push(sample(5, 0, false));
    let bytes = fragment(VIDEO, 1, 0, &samples).expect("small");
    let read = read_whole(&bytes);
    let syncs: Vec<_> = read
        .samples()
        .map(super::read::SampleInfo::is_sync)
        .collect();
    assert_eq!(syncs, [true, false, false, false, true, false]);
}

#[test]
fn a_fragment_that_cannot_be_written_is_refused_with_a_reason() {
    let huge = FragmentSample {
        size: u32::MAX,
        duration: 1,
        composition_offset: 0,
        sync: true,
    };
    let error = fragment_head(VIDEO, 1, 0, &[huge]).expect_err("over 4 GiB");
    assert!(error.to_string().contains("4 GiB"), "{error}");
    assert!(fragment_head(VIDEO, 1, 0, &[]).is_err());
    let error = fragment(FragmentKind::Audio, 1, 0, &[sample(1, 5, true)]);
    assert!(error.is_err());
}

#[test]
fn the_payload_of_the_last_mdat_need_not_be_there() {
    let bytes = video_fragment();
    let whole = read_whole(&bytes);
    let cut = read_segment(&bytes[..bytes.len() - 130], bytes.len() as u64, &[]).expect("enough");
    assert_eq!(cut.fragments, whole.fragments);
    assert!(cut.complete && cut.tree.fault.is_none());
    let error = read_segment(&bytes[..60], bytes.len() as u64, &[]).expect_err("half a moof");
    assert!(error.to_string().contains("moof"), "{error}");
    let short = read_segment(&bytes, bytes.len() as u64, &[]).expect("whole");
    assert_eq!(
        short.fragments[0].mdat.as_ref().map(|m| m.end),
        Some(bytes.len() as u64)
    );
    let lost = read_segment(&bytes[..bytes.len() - 1], bytes.len() as u64 - 1, &[]);
    assert!(lost.expect("moof is there").tree.fault.is_some());
}

#[test]
fn defaults_of_the_init_segment_fill_what_fragments_leave_out() {
    let mut w = super::boxes::BoxWriter::new();
    w.nest(b"moof", |w| {
        w.nest(b"traf", |w| {
            w.full(b"tfhd", 0, 0, |w| {
                w.u32(3);
            });
            w.full(b"trun", 0, 0x205, |w| {
                w.u32(2).i32(100).u32(0x0200_0000).u32(11).u32(12);
            });
            w.full(b"trun", 0, 0, |w| {
                w.u32(1);
            });
        });
    });
    let bytes = w.into_bytes();
    let trex = super::read::TrackDefaults {
        track_id: 3,
        description_index: 1,
        duration: 512,
        size: 9,
        flags: 0x0101_0000,
    };
    let read = read_segment(&bytes, bytes.len() as u64, &[trex]).expect("a moof");
    let samples: Vec<_> = read.samples().copied().collect();
    let seen: Vec<_> = samples
        .iter()
        .map(|s| (s.offset, s.size, s.is_sync()))
        .collect();
    assert_eq!(seen, [(100, 11, true), (111, 12, false), (123, 9, false)]);
    assert_eq!(read.duration(), 3 * 512);
}

#[test]
fn runs_that_claim_billions_of_samples_cost_nothing() {
    let mut w = super::boxes::BoxWriter::new();
    w.nest(b"moof", |w| {
        w.nest(b"traf", |w| {
            for _ in 0..1000 {
                w.full(b"trun", 0, 0, |w| {
                    w.u32(u32::MAX);
                });
            }
            w.full(b"trun", 0, 0x100, |w| {
                w.u32(u32::MAX).u32(1);
            });
        });
    });
    let bytes = w.into_bytes();
    let read = read_whole(&bytes);
    assert_eq!(read.samples().count(), (1 << 20) + 1);
    let last = &read.fragments[0].tracks[0].runs[1000];
    assert_eq!((last.sample_count, last.samples.len()), (u32::MAX, 1));
}

fn media_dir() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media");
    let dir = std::env::var_os("HEADWATER_MEDIA").map_or(here, PathBuf::from);
    let found = dir.is_dir();
    if !found {
        println!("skipped: no clips in {}", dir.display());
    }
    found.then_some(dir)
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("the program is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{program}: {said}"
    );
    output.stdout
}

/// One stream of a clip as a fragmented file by FFmpeg.
fn fragmented(clip: &Path, stream: &str, flags: &str, out: &Path) -> Vec<u8> {
    let (clip, to) = (clip.to_str().expect("UTF-8"), out.to_str().expect("UTF-8"));
    let copy = [
        "-v", "error", "-y", "-i", clip, "-map", stream, "-c", "copy",
    ];
    run("ffmpeg", &[&copy[..], &["-movflags", flags, to]].concat());
    std::fs::read(out).expect("just written")
}

fn packets(file: &Path) -> String {
    let fields = "packet=pts,dts,duration,size,flags,data_hash";
    let file = file.to_str().expect("UTF-8");
    let arguments = ["-v", "error", "-show_data_hash", "md5", "-show_packets"];
    let format = ["-show_entries", fields, "-of", "csv", file];
    let text = run("ffprobe", &[&arguments[..], &format].concat());
    let text = String::from_utf8(text).expect("text");
    // Side data (skipped samples) stands behind the fields.
    text.lines()
        .map(|line| line.trim_end_matches(",side_data").to_owned() + "\n")
        .collect()
}

/// The samples of a fragment as our writer takes them.
fn samples_of(file: &[u8], segment: &SegmentInfo, fragment: usize) -> Vec<Sample> {
    let tracks = &segment.fragments[fragment].tracks;
    let take = |range: std::ops::Range<u64>| {
        let range = usize::try_from(range.start).expect("small")
            ..usize::try_from(range.end).expect("small");
        bytes::Bytes::copy_from_slice(&file[range])
    };
    let samples = tracks[0].samples().map(|sample| Sample {
        duration: sample.duration,
        composition_offset: i32::try_from(sample.composition_offset).expect("small"),
        sync: sample.is_sync(),
        data: take(sample.range()),
    });
    samples.collect()
}

/// Init segment and fragments of ours, from what our reader found in FFmpeg's file.
fn rewritten(file: &[u8], init: &TrackInit, kind: FragmentKind) -> Vec<u8> {
    let segment = read_whole(file);
    assert!(segment.complete && segment.tree.fault.is_none());
    let mut out = init_segment(init);
    for number in 0..segment.fragments.len() {
        let time = segment.fragments[number].tracks[0]
            .decode_time
            .expect("tfdt");
        let sequence = u32::try_from(number + 1).expect("few");
        let samples = samples_of(file, &segment, number);
        out.extend(fragment(kind, sequence, time.value, &samples).expect("small"));
    }
    out
}

fn foreign_video_init(info: &InitInfo) -> TrackInit {
    let entry = &info.tracks[0].sample_entries[0];
    let SampleEntryMedia::Video { width, height } = entry.media else {
        panic!("a video entry")
    };
    let avc = AvcConfig::parse(entry.find(b"avcC").expect("avcC")).expect("whole");
    let sps = avc.sps().expect("whole");
    assert_eq!(
        (u32::from(width), u32::from(height)),
        (sps.width, sps.height)
    );
    TrackInit {
        timescale: Timescale::new(info.tracks[0].timescale()).expect("not zero"),
        language: "und".to_owned(),
        kind: TrackInitKind::Video(VideoInit {
            width,
            height,
            pixel_aspect: sps.pixel_aspect(),
            colour: sps.colour(),
            composition_delay: 0,
            frame_rate: None,
            config: VideoConfig::Avc(avc),
            light: Light::UNKNOWN,
        }),
    }
}

#[test]
fn ffprobe_sees_the_same_packets_in_our_video_as_in_its_own() {
    let Some(media) = media_dir() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    for clip in [
        "h264_518x488.mp4",
        "talk_540p2997.mp4",
        "h264_10bit.mp4",
        "video_only.mp4",
    ] {
        let (theirs, ours) = (dir.path().join("theirs.mp4"), dir.path().join("ours.mp4"));
        let flags = "frag_keyframe+empty_moov+default_base_moof";
        let file = fragmented(&media.join(clip), "0:v:0", flags, &theirs);
        let info = read_init(&file).expect("FFmpeg's");
        let kind = FragmentKind::Video {
            composition_delay: 0,
        };
        let bytes = rewritten(&file, &foreign_video_init(&info), kind);
        std::fs::write(&ours, bytes).expect("space");
        assert_eq!(packets(&ours), packets(&theirs), "{clip}");
    }
}

#[test]
fn ffprobe_counts_audio_from_before_zero_by_the_priming() {
    let Some(media) = media_dir() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (theirs, ours) = (dir.path().join("theirs.mp4"), dir.path().join("ours.mp4"));
    let clip = media.join("talk_540p2997.mp4");
    let file = fragmented(
        &clip,
        "0:a:0",
        "empty_moov+default_base_moof+frag_every_frame",
        &theirs,
    );
    let info = read_init(&file).expect("FFmpeg's");
    let entry = &info.tracks[0].sample_entries[0];
    assert_eq!(entry.codecs.as_deref(), Some("mp4a.40.2"));
    let esds = crate::codec::aac::EsDescriptor::parse(entry.find(b"esds").expect("esds"));
    let mut init = audio_init(1024);
    if let TrackInitKind::Audio(audio) = &mut init.kind {
        audio.config = esds.expect("whole").specific;
    }
    let bytes = rewritten(&file, &init, FragmentKind::Audio);
    std::fs::write(&ours, bytes).expect("space");
    let frames = packets(&ours).lines().count();
    assert_eq!(frames, packets(&theirs).lines().count());
    assert!(packets(&ours).starts_with("packet,-1024,-1024,"));
    // FFmpeg 5.1 gives out what lies before zero too: every frame decodes, without a complaint.
    let ours = ours.to_str().expect("UTF-8");
    let decoded = run("ffmpeg", &["-v", "error", "-i", ours, "-f", "s16le", "-"]);
    assert_eq!(decoded.len(), frames * 1024 * 4);
}

/// `width,height,pix_fmt,level` of the first video stream by ffprobe.
fn facts_by_ffprobe(clip: &Path) -> String {
    let clip = clip.to_str().expect("UTF-8");
    let entries = "stream=width,height,level,pix_fmt";
    let select = [
        "-v",
        "quiet",
        "-select_streams",
        "v:0",
        "-show_entries",
        entries,
    ];
    let text = run(
        "ffprobe",
        &[&select[..], &["-of", "csv=p=0", clip]].concat(),
    );
    let text = String::from_utf8(text).expect("text");
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn parameter_sets_of_clips_say_what_ffprobe_says() {
    let Some(media) = media_dir() else { return };
    let mut seen = 0;
    for clip in std::fs::read_dir(media).expect("readable") {
        let clip = clip.expect("readable").path();
        // Of damaged clips ffprobe knows too little to judge by.
        if clip
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("bad_"))
        {
            continue;
        }
        let info = read_init(&std::fs::read(&clip).expect("readable"));
        let entries = info
            .iter()
            .flat_map(|i| &i.tracks)
            .flat_map(|t| &t.sample_entries);
        let Some(avc) = entries
            .filter_map(|e| e.find(b"avcC"))
            .find_map(|c| AvcConfig::parse(c).ok())
        else {
            continue;
        };
        let sps = avc.sps().expect("a real encoder's");
        let facts = facts_by_ffprobe(&clip);
        let facts: Vec<_> = facts.split(',').collect();
        let ours = [sps.width.to_string(), sps.height.to_string()];
        assert_eq!(facts[..2], ours, "{}", clip.display());
        assert_eq!(facts[3], sps.level.to_string(), "{}", clip.display());
        let ten_bit = facts[2].contains("p10");
        assert_eq!(
            ten_bit,
            sps.format.bit_depth_luma == 10,
            "{}",
            clip.display()
        );
        seen += 1;
    }
    assert!(seen > 10, "only {seen} clips");
}

#[test]
fn every_clip_with_boxes_reads_and_dumps_without_a_panic() {
    let Some(media) = media_dir() else { return };
    for entry in std::fs::read_dir(media).expect("readable") {
        let bytes = std::fs::read(entry.expect("readable").path()).expect("readable");
        let info = read_init(&bytes);
        let _ = read_segment(&bytes, bytes.len() as u64, &[]);
        let _ = dump(&bytes);
        for track in info.iter().flat_map(|info| &info.tracks) {
            for entry in &track.sample_entries {
                let known = [*b"avc1", *b"hvc1", *b"hev1", *b"mp4a", *b"av01", *b"ec-3"];
                let broken = entry.find(b"avcC").is_some_and(<[u8]>::is_empty);
                assert!(
                    entry.codecs.is_some() || broken || !known.contains(&entry.original.0),
                    "{entry:?}"
                );
            }
        }
    }
}

#[test]
fn mp4_atom_reads_all_atoms_of_a_file_of_ours() {
    let bytes = [
        init_segment(&video_init()),
        video_fragment(),
        video_fragment(),
    ]
    .concat();
    let mut rest = &bytes[..];
    let mut kinds = Vec::new();
    while let Some(atom) = mp4_atom::Any::decode_maybe(&mut rest).expect("well-formed") {
        kinds.push(atom.kind().to_string());
    }
    assert_eq!(kinds, ["ftyp", "moov", "moof", "mdat", "moof", "mdat"]);
}

fn any_sample() -> impl Strategy<Value = FragmentSample> {
    let duration = prop_oneof![Just(512_u32), any::<u32>()];
    let offset = prop_oneof![Just(0_i32), -1536..i32::MAX - 1536];
    let size = prop_oneof![Just(8_u32), 0_u32..100_000];
    (size, duration, offset, any::<bool>()).prop_map(|(size, duration, offset, sync)| {
        FragmentSample {
            size,
            duration,
            composition_offset: offset,
            sync,
        }
    })
}

proptest! {
    #[test]
    fn fragments_read_back_equal(
        sequence in any::<u32>(),
        time in any::<u64>(),
        samples in proptest::collection::vec(any_sample(), 1..60),
    ) {
        let head = fragment_head(VIDEO, sequence, time, &samples).expect("small");
        let data: u64 = samples.iter().map(|s| u64::from(s.size)).sum();
        let read = read_segment(&head, head.len() as u64 + data, &[]).expect("ours");
        let part = &read.fragments[0];
        let traf = &part.tracks[0];
        prop_assert_eq!(part.sequence_number, Some(sequence));
        prop_assert_eq!(traf.decode_time.map(|t| (t.version, t.value)), Some((1, time)));
        prop_assert_eq!((read.fragments.len(), part.tracks.len(), traf.runs.len()), (1, 1, 1));
        let back: Vec<_> = traf.samples().map(|s| FragmentSample {
            size: s.size,
            duration: s.duration,
            composition_offset: i32::try_from(s.composition_offset).expect("positive") - 1536,
            sync: s.is_sync(),
        }).collect();
        prop_assert_eq!(&back, &samples);
        let mut at = head.len() as u64;
        for sample in traf.samples() {
            prop_assert_eq!(sample.offset, at);
            at = sample.range().end;
        }
        prop_assert_eq!(part.mdat.clone(), Some(head.len() as u64..at));
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), more in any::<u64>()) {
        let _ = read_init(&bytes);
        let _ = read_segment(&bytes, more, &[]);
        let _ = box_tree(&bytes, more);
        let _ = dump(&bytes);
    }

    #[test]
    fn a_flipped_bit_never_panics(bit in 0_usize..12_000, cut in 0_usize..1500) {
        let whole = [init_segment(&audio_init(1)), init_segment(&video_init()), video_fragment()].concat();
        let mut bytes = flipped(whole, bit);
        for _ in 0..2 {
            let info = read_init(&bytes);
            let defaults = info.map(|info| info.defaults).unwrap_or_default();
            let _ = read_segment(&bytes, bytes.len() as u64, &defaults).map(|s| (s.duration(), s.decode_time()));
            let _ = dump(&bytes);
            bytes.truncate(bytes.len().saturating_sub(cut));
        }
    }

    #[test]
    fn the_same_track_gives_the_same_bytes(priming in any::<u32>()) {
        prop_assert_eq!(init_segment(&audio_init(priming)), init_segment(&audio_init(priming)));
        let info = read_init(&init_segment(&audio_init(priming))).expect("ours");
        let edits = info.tracks[0].edit_list.as_ref().map(|list| list.edits[0].media_time);
        prop_assert_eq!(edits.unwrap_or(0), i64::from(priming));
    }
}
