//! What is read from files as they are found, and that what is written reads the same.

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::time::{Ticks, Timescale};

const VTT: &str = "\u{feff}WEBVTT - a title\nKind: captions\n\n\
STYLE\n::cue(b) { color: red }\n\n\
REGION\nid:fred width:40%\n\n\
NOTE nobody sees this\n--\n\n\
intro\n00:01.000 --> 00:00:04.500 line:0 align:start nonsense size:\n<v Bob>Hello\n- you\n\n\
00:00:00.250 --> 00:02.000\nearlier\n\n\
STYLE\n::cue { color: blue }\n\n\
broken\n00:09.000 --> 00:08.000\nnegative\n\n\
00:x --> 00:10.000\nno time\n\n\
stray text\n\n\
intro\n01:00:00.000 --> 01:00:01.000\nlast\n";

const SRT: &str = "1\r\n00:00:01,000 --> 00:00:02,500 X1:10 X2:20\r\n\
{\\an8}<I>Fish</I> & <font color=\"red\">chips</font> <x>&amp; a < b\r\n\r\nafter a gap -->\r\n\r\n\
2\r\n00:00:02,500 --> 00:00:02,500\r\nno length\r\n\r\n\
3\r\n00:00:03,000 --> 00:00:04,000\r\n<i></i>\r\n\r\n\
00:00:05,000 --> 00:00:06,000\r\n1984\r\nis a year\r\n";

fn cues(text: &str) -> Cues {
    parse(text.as_bytes()).expect("captions").cues
}

fn refused(bytes: &[u8]) -> (ErrorKind, String) {
    let error = parse(bytes).expect_err("refused");
    (error.kind(), error.to_string())
}

#[test]
fn webvtt_keeps_blocks_settings_and_markup() {
    let parsed = parse(VTT.as_bytes()).expect("captions");
    insta::assert_snapshot!(write(&parsed.cues), @r"
    WEBVTT

    STYLE
    ::cue(b) { color: red }

    REGION
    id:fred width:40%

    00:00:00.250 --> 00:00:02.000
    earlier

    intro
    00:00:01.000 --> 00:00:04.500 line:0 align:start
    <v Bob>Hello
    - you

    01:00:00.000 --> 01:00:01.000
    last
    ");
    insta::assert_debug_snapshot!(parsed.warnings, @r#"
    [
        "line 21: a STYLE or REGION block after the first cue is left out, as players do",
        "line 24: a cue that ends no later than it starts is left out",
        "line 28: a cue whose times can't be read is left out",
        "line 31: text without times is left out",
    ]
    "#);
}

#[test]
fn subrip_becomes_valid_webvtt() {
    let parsed = parse(SRT.as_bytes()).expect("captions");
    insta::assert_snapshot!(write(&parsed.cues), @r"
    WEBVTT

    00:00:01.000 --> 00:00:02.500 line:0
    <i>Fish</i> &amp; chips &amp; a &lt; b
    after a gap --&gt;

    00:00:05.000 --> 00:00:06.000
    1984
    is a year
    ");
    insta::assert_debug_snapshot!(parsed.warnings, @r#"
    [
        "line 8: a cue that ends no later than it starts is left out",
        "line 12: a cue without text is left out",
        "line 5: a time that can't be read; the line is taken as text",
    ]
    "#);
}

#[test]
fn line_breaks_and_encodings_make_no_difference() {
    let expected = cues(VTT);
    for text in [VTT.replace('\n', "\r\n"), VTT.replace('\n', "\r")] {
        assert_eq!(cues(&text), expected);
    }
    let utf16: Vec<u8> = VTT.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(parse(&utf16).expect("captions").cues, expected);
}

#[test]
fn windows_1252_is_told() {
    let parsed = parse(b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9\n").expect("captions");
    assert_eq!(parsed.cues.cues()[0].text, "café");
    assert!(parsed.warnings[0].contains("Windows-1252"));
}

/// Not a measure of time: what looks at each sign once is done before anybody notices, what begins anew
/// at each would take hours.
#[test]
fn a_cue_of_nothing_but_openings_is_read_at_once() {
    for opening in ["<", "<a", "{\\", "&", "{\\an8{", "</"] {
        let text = opening.repeat(300_000 / opening.len());
        let srt = format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n");
        let refused = parse(srt.as_bytes()).expect_err("too long");
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{opening}");
    }
}

#[test]
fn positions_of_subrip_become_settings() {
    for (tag, settings) in [
        ("an8", "line:0"),
        ("an5", "line:50%"),
        ("an1", "align:left"),
        ("an2", ""),
        ("an9\\fs20", "line:0 align:right"),
        ("pos(1,2)", ""),
    ] {
        let text = format!("00:01,0 --> 00:02,0\n{{\\{tag}}}x");
        let cues = cues(&text);
        let cue = &cues.cues()[0];
        assert_eq!((cue.settings.as_str(), cue.text.as_str()), (settings, "x"));
    }
}

#[test]
fn a_timing_ends_the_cue_before_it() {
    let cues = cues("WEBVTT\n00:01.000 --> 00:02.000\na\n00:03.000 --> 00:04.000\nb");
    let texts: Vec<_> = cues.cues().iter().map(|cue| cue.text.as_str()).collect();
    assert_eq!(texts, ["a", "b"]);
}

#[test]
fn an_identifier_that_players_mistake_is_dropped() {
    let text = "WEBVTT\n\nNOTE\n00:01.000 --> 00:02.000\na\n\nSTYLE\n00:01.000 --> 00:02.000\nb";
    assert!(cues(text).cues().iter().all(|cue| cue.id.is_empty()));
}

#[test]
fn a_segment_of_another_stream_is_told() {
    let text =
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\n00:01.000 --> 00:02.000\na";
    let parsed = parse(text.as_bytes()).expect("captions");
    assert!(parsed.warnings[0].starts_with("X-TIMESTAMP-MAP is left out"));
    let document = read_webvtt(text.as_bytes()).expect("WebVTT");
    let map = document.timestamp_map.expect("there");
    assert_eq!(map, "MPEGTS:900000,LOCAL:00:00:00.000");
}

#[test]
fn what_is_no_captions_is_refused_by_line_and_fix() {
    for (bytes, kind, words) in [
        (&b""[..], ErrorKind::Invalid, "empty"),
        (
            b"\n\n{\"a\": 1}",
            ErrorKind::Invalid,
            "line 3: \"{\\\"a\\\": 1}\"",
        ),
        (
            b"WEBVTT\n\na --> b\nx",
            ErrorKind::Invalid,
            "no cue can be used; line 3",
        ),
        (
            b"1\n00:99:01,000 --> 00:99:02,000\nx",
            ErrorKind::Invalid,
            "line 2: ",
        ),
        (
            b"[Script Info]\nTitle: x",
            ErrorKind::Unsupported,
            "SubStation",
        ),
        (
            b"<?xml version=\"1.0\"?><tt/>",
            ErrorKind::Unsupported,
            "TTML",
        ),
        (b"{12}{40}Hello", ErrorKind::Unsupported, "MicroDVD"),
        (
            b"0:00:01.000,0:00:02.000\nHello",
            ErrorKind::Unsupported,
            "SBV",
        ),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            ErrorKind::Invalid,
            "not text",
        ),
    ] {
        let (found, message) = refused(bytes);
        assert_eq!(found, kind, "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn each_limit_is_named() {
    let long = "x".repeat(MAX_CUE_BYTES + 1);
    let style = "y".repeat(MAX_HEADER_BYTES);
    let many = "00:01,0 --> 00:02,0\nx\n\n".repeat(MAX_CUES + 1);
    for text in [
        " ".repeat(MAX_BYTES + 1),
        format!("00:01,0 --> 00:02,0\n{long}"),
        format!("WEBVTT\n\n00:01.0 --> 00:02.0\n{long}"),
        format!("WEBVTT\n\nSTYLE\n{style}\n\n00:01.0 --> 00:02.0\nx"),
        many,
    ] {
        let (kind, message) = refused(text.as_bytes());
        assert_eq!(kind, ErrorKind::Invalid, "{message}");
    }
}

fn seconds(ends: &[i64]) -> Vec<Ticks> {
    let end = |seconds: &i64| Ticks::new(seconds * 1000, Timescale::MILLIS);
    ends.iter().map(end).collect()
}

#[test]
fn a_cue_stands_whole_in_every_segment_it_is_shown_in() {
    let text = "WEBVTT\n\nSTYLE\n::cue {}\n\n00:05.000 --> 00:30.000\na\n\n\
                00:29.999 --> 01:30.000 line:0\nb\n\n01:00.000 --> 01:01.000\nc";
    let segments = segments(&cues(text), &seconds(&[30, 60, 90])).expect("small");
    insta::assert_snapshot!(segments.join("======\n"), @r"
    WEBVTT
    X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000

    STYLE
    ::cue {}

    00:00:05.000 --> 00:00:30.000
    a

    00:00:29.999 --> 00:01:30.000 line:0
    b

    ======
    WEBVTT
    X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000

    STYLE
    ::cue {}

    00:00:29.999 --> 00:01:30.000 line:0
    b

    ======
    WEBVTT
    X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000

    STYLE
    ::cue {}

    00:00:29.999 --> 00:01:30.000 line:0
    b

    00:01:00.000 --> 00:01:01.000
    c
    ");
}

#[test]
fn segments_do_not_grow_without_bound() {
    let cue = format!(
        "00:00:00.000 --> 23:00:00.000\n{}\n\n",
        "x".repeat(MAX_CUE_BYTES)
    );
    let text = format!("WEBVTT\n\n{}", cue.repeat(10));
    let ends: Vec<i64> = (1..=2000).map(|n| n * 30).collect();
    let error = segments(&cues(&text), &seconds(&ends)).expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn cues_after_the_end_are_counted() {
    let mut cues = cues("WEBVTT\n\n00:01.000 --> 00:02.000\na\n\n00:10.010 --> 00:12.000\nb");
    let frame = Timescale::new(30_000).expect("valid");
    assert_eq!(cues.clone().cut_at(Ticks::new(300_330, frame)), 0);
    assert_eq!(cues.cut_at(Ticks::new(300_300, frame)), 1);
    assert_eq!(cues.cues().len(), 1);
}

#[test]
fn text_is_cut_on_the_border_nearest_to_thirty_seconds() {
    let merge = |durations: &[u64]| merge(durations, Timescale::MILLIS);
    assert_eq!(merge(&[6000; 12]), [30_000, 30_000, 12_000]);
    assert_eq!(merge(&[6006; 12]), [30_030, 30_030, 12_012]);
    assert_eq!(merge(&[2000, 2000, 4000, 6000, 6000, 6000, 6000]), [32_000]);
    assert_eq!(
        merge(&[2000, 2000, 4000, 6000, 6000, 6000, 6000, 6000]),
        [32_000, 6000]
    );
    assert_eq!(merge(&[100_000, 1000, 1000]), [100_000, 2000]);
    assert_eq!(merge(&[]), Vec::<u64>::new());
}

/// Text that looks like captions often enough to reach every branch.
fn caption_like() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => Just("\n".to_owned()),
        3 => "[0-9]{1,2}:[0-5][0-9][.,][0-9]{1,3} ?--> ?[0-9]{1,2}:[0-5][0-9][.,][0-9]{1,3}( (line|align|x):[a-z0-9%]{0,4})?\n",
        1 => "(STYLE|REGION|NOTE|WEBVTT|X-TIMESTAMP-MAP=a)( .{0,4})?\r?\n",
        1 => "[0-9]{1,3}\n",
        3 => "(<i>|</i>|<|>|--|-->|&|&amp;|\\{\\\\an[0-9]\\}|[a-zé ]|\r|\0|\u{b}|\u{2028}){0,8}\n",
    ];
    ("(WEBVTT\n)?", prop::collection::vec(line, 0..24))
        .prop_map(|(start, lines)| start + &lines.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
        let _ = read_webvtt(&bytes);
    }

    #[test]
    fn what_is_written_reads_the_same(text in caption_like()) {
        let Ok(parsed) = parse(text.as_bytes()) else { return Ok(()) };
        let again = parse(write(&parsed.cues).as_bytes()).expect("reads");
        prop_assert_eq!(again.warnings, Vec::<String>::new());
        prop_assert_eq!(again.cues, parsed.cues);
    }

    /// Put together again, the segments are the whole: no cue is lost, none is outside its times.
    #[test]
    fn segments_hold_every_cue_where_it_is_shown(
        times in prop::collection::vec((0_u64..200_000, 1_u64..80_000), 0..20),
        lengths in prop::collection::vec(1_i64..90_000, 1..12),
        ticks_per_second in 1_u32..3000,
    ) {
        let cue = |(start, length): &(u64, u64)| {
            let mut text = String::new();
            timing::write_time(&mut text, *start);
            text.push_str(" --> ");
            timing::write_time(&mut text, start + length);
            format!("{text}\n{start}+{length}\n\n")
        };
        let all = cues(&format!("WEBVTT\n\n{}", times.iter().map(cue).collect::<String>()));
        let timescale = Timescale::new(ticks_per_second).expect("valid");
        let ends: Vec<Ticks> = lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(Ticks::new(*end, timescale))
        }).collect();
        let segments = segments(&all, &ends).expect("small");
        prop_assert_eq!(segments.len(), ends.len());
        let mut start = 0_i128;
        for (segment, end) in segments.iter().zip(&ends) {
            let document = read_webvtt(segment.as_bytes()).expect("reads");
            prop_assert!(document.timestamp_map.is_some());
            let end = i128::from(end.count) * 1000;
            let shown = |cue: &&Cue| {
                let scaled = |millis: u64| i128::from(millis) * i128::from(ticks_per_second);
                scaled(cue.start_millis) < end && scaled(cue.end_millis) > start
            };
            let expected: Vec<&Cue> = all.cues().iter().filter(shown).collect();
            prop_assert_eq!(document.cues.cues().iter().collect::<Vec<_>>(), expected);
            start = end;
        }
    }

    #[test]
    fn merged_segments_are_whole_runs(durations in prop::collection::vec(1_u64..12_000, 0..80)) {
        let merged = merge(&durations, Timescale::MILLIS);
        let mut rest = durations.iter();
        for length in &merged {
            let mut sum = 0;
            while sum < *length {
                sum += rest.next().expect("a run ends at a border");
            }
            prop_assert_eq!(sum, *length);
            prop_assert!(*length < 54_000);
        }
        prop_assert!(rest.next().is_none());
    }
}
