//! The rules, in the order reports list them. What each asks in full, and which document asks it,
//! is said above the function that checks it.

use super::report::Level::{self, Must, Should};

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Short name, stable for ever: `H24`.
    pub id: &'static str,
    /// How binding it is; some musts have a part that is only advice.
    pub level: Level,
    /// What it asks, in a few words.
    pub title: &'static str,
    /// Where it comes from.
    pub source: &'static str,
}

const fn rule(id: &'static str, level: Level, title: &'static str, source: &'static str) -> Rule {
    Rule {
        id,
        level,
        title,
        source,
    }
}

/// Every rule that is checked.
pub const RULES: &[Rule] = &[
    rule(
        "H01",
        Must,
        "playlists are UTF-8 without BOM and start with #EXTM3U",
        "RFC 8216bis 4.1, 4.4.1.1",
    ),
    rule(
        "H02",
        Must,
        "EXT-X-VERSION at most once and high enough for what is used",
        "RFC 8216bis 8",
    ),
    rule(
        "H03",
        Must,
        "no attribute twice in a tag, quoted strings clean",
        "RFC 8216bis 4.2",
    ),
    rule(
        "H04",
        Must,
        "one EXT-X-TARGETDURATION, no rounded EXTINF above it",
        "RFC 8216bis 4.4.3.1",
    ),
    rule(
        "H05",
        Must,
        "no segment longer than the target duration by over 0.5 s",
        "Apple HLS Authoring 7.7",
    ),
    rule(
        "H06",
        Should,
        "segments of about 6 s",
        "Apple HLS Authoring 7.5, 7.6",
    ),
    rule(
        "H07",
        Must,
        "sums of EXTINF within one frame of the media",
        "Apple HLS Authoring 8.1",
    ),
    rule(
        "H08",
        Must,
        "EXT-X-PLAYLIST-TYPE and, for VOD, EXT-X-ENDLIST",
        "Apple HLS Authoring 8.6; RFC 8216bis 4.4.3.4",
    ),
    rule(
        "H09",
        Must,
        "all media playlists cover the same time",
        "Apple HLS Authoring 8.3, 8.7",
    ),
    rule(
        "H10",
        Must,
        "audio and video have one target duration",
        "Apple HLS Authoring 8.2",
    ),
    rule(
        "H11",
        Must,
        "EXT-X-MAP before the first fMP4 segment",
        "Apple HLS Authoring 8.20; RFC 8216bis 4.4.4.5",
    ),
    rule(
        "H12",
        Must,
        "discontinuities at the same instants everywhere",
        "Apple HLS Authoring 8.13-8.15",
    ),
    rule(
        "H13",
        Should,
        "segment boundaries at the same instants in audio and video",
        "Apple HLS Authoring 8.22",
    ),
    rule(
        "H14",
        Must,
        "media timestamps run on from segment to segment",
        "Apple HLS Authoring 7.1, 7.3",
    ),
    rule(
        "H15",
        Must,
        "video segments start with an IDR picture",
        "Apple HLS Authoring 7.4, 1.13",
    ),
    rule(
        "H16",
        Must,
        "EXT-X-INDEPENDENT-SEGMENTS is there",
        "Apple HLS Authoring 9.11, 9.12",
    ),
    rule(
        "H17",
        Must,
        "byte ranges have a start and lie inside their object",
        "RFC 8216bis 4.4.4.2",
    ),
    rule(
        "H18",
        Must,
        "timestamps match in all variants",
        "RFC 8216bis 6.2.4",
    ),
    rule(
        "H19",
        Must,
        "playlists and media never answer a redirect",
        "Apple HLS Authoring 8.18",
    ),
    rule(
        "H20",
        Must,
        "EXT-X-DATERANGE has a unique ID, and program date-times beside it",
        "RFC 8216bis 4.4.5.1",
    ),
    rule(
        "H21",
        Must,
        "every URI resolves, to the right length and type",
        "RFC 8216bis 6.2.1",
    ),
    rule(
        "H22",
        Must,
        "CODECS equal to what the init segments say",
        "Apple HLS Authoring 9.1, 9.3",
    ),
    rule(
        "H23",
        Must,
        "RESOLUTION and FRAME-RATE where they belong",
        "Apple HLS Authoring 9.2, 9.4, 9.15",
    ),
    rule(
        "H24",
        Must,
        "BANDWIDTH covers the peak of every combination",
        "RFC 8216bis 4.1; Apple HLS Authoring 9.13",
    ),
    rule(
        "H25",
        Must,
        "AVERAGE-BANDWIDTH is there",
        "Apple HLS Authoring 9.14",
    ),
    rule(
        "H26",
        Must,
        "declared bandwidths within 10% of the measured ones",
        "Apple HLS Authoring 1.26, 1.27",
    ),
    rule(
        "H27",
        Should,
        "peak at most twice the average",
        "Apple HLS Authoring 1.30",
    ),
    rule(
        "H28",
        Must,
        "VIDEO-RANGE agrees with the pictures",
        "Apple HLS Authoring 9.16",
    ),
    rule(
        "H30",
        Must,
        "at least two bit rates",
        "Apple HLS Authoring 9.9",
    ),
    rule(
        "H31",
        Must,
        "a variant at or under 192 kb/s",
        "Apple HLS Authoring 9.21",
    ),
    rule(
        "H32",
        Must,
        "no audio-only variant beside video",
        "Apple HLS Authoring 9.20 (tvOS)",
    ),
    rule(
        "H33",
        Must,
        "SCORE on all variants or none",
        "Apple HLS Authoring 9.19",
    ),
    rule(
        "H34",
        Must,
        "EXT-X-MEDIA is complete, names unique, one default a group",
        "RFC 8216bis 4.4.6.1",
    ),
    rule(
        "H35",
        Must,
        "all groups of a type offer the same renditions",
        "RFC 8216bis 4.4.6.1.1",
    ),
    rule(
        "H36",
        Must,
        "LANGUAGE on every rendition",
        "Apple HLS Authoring 8.10, 4.7",
    ),
    rule(
        "H37",
        Must,
        "CHANNELS there and true; a stereo group always",
        "RFC 8216bis 4.4.6.1; Apple HLS Authoring 2.3",
    ),
    rule(
        "H38",
        Must,
        "one sound track a segment, audio apart from video",
        "Apple HLS Authoring 2.17, 9.5",
    ),
    rule(
        "H39",
        Must,
        "accessible and forced renditions say what they are",
        "Apple HLS Authoring 2.12, 4.5, 4.6, 5.11",
    ),
    rule(
        "H40",
        Must,
        "text is WebVTT with a timestamp map, of the whole length",
        "Apple HLS Authoring 5.3-5.5; RFC 8216bis 3.1.4",
    ),
    rule(
        "H41",
        Must,
        "CLOSED-CAPTIONS=NONE on every variant or none",
        "RFC 8216bis 4.4.6.2",
    ),
    rule(
        "H42",
        Must,
        "alternative audio covers the whole length",
        "Apple HLS Authoring 2.15",
    ),
    rule(
        "H43",
        Must,
        "I-frame playlists are there, of single I-frames",
        "Apple HLS Authoring 6.1, 6.8; RFC 8216bis 4.4.3.6",
    ),
    rule(
        "H44",
        Should,
        "I-frames of their own, one a second, at several bit rates",
        "Apple HLS Authoring 6.2, 6.5, 6.6",
    ),
    rule(
        "H45",
        Must,
        "an I-frame comes with its moof, which describes it exactly",
        "Apple HLS Authoring 6.10",
    ),
    rule(
        "H46",
        Must,
        "I-frame BANDWIDTH is the peak of the I-frames",
        "Apple HLS Authoring 6.9",
    ),
    rule(
        "H47",
        Must,
        "trick play in SDR",
        "Apple HLS Authoring 6.14-6.16",
    ),
    rule(
        "H48",
        Should,
        "JPEG thumbnails 400 wide, I-frames 160 high",
        "Apple HLS Authoring 6.19, appendix",
    ),
    rule(
        "H49",
        Must,
        "image playlists say how their tiles lie, and hold JPEGs; web players' list is the same",
        "Roku, trick mode",
    ),
    rule(
        "A01",
        Must,
        "codec, profile and level are ones that players have",
        "Apple HLS Authoring 1.1-1.11",
    ),
    rule(
        "A02",
        Must,
        "standard dynamic range beside high, and H.264 among it",
        "Apple HLS Authoring 1.12, 1.24",
    ),
    rule(
        "A03",
        Must,
        "progressive, at most 60 frames a second",
        "Apple HLS Authoring 1.14, 1.19",
    ),
    rule(
        "A04",
        Must,
        "high dynamic range in ten bits, with what is known of its light",
        "Apple HLS Authoring 1.7, 1.8, 1.35",
    ),
    rule(
        "A05",
        Must,
        "upright pictures, square pixels, even sizes",
        "own rule",
    ),
    rule(
        "A06",
        Should,
        "HE-AAC only up to 64 kb/s",
        "Apple HLS Authoring 2.4",
    ),
    rule(
        "A07",
        Should,
        "the forms of a sound track are equally loud",
        "Apple HLS Authoring 2.18, 2.19",
    ),
    rule(
        "A08",
        Must,
        "audio priming taken out, audio and video start together",
        "Apple, Preparing audio for HLS",
    ),
    rule(
        "A09",
        Should,
        "AC-3 beside E-AC-3",
        "Apple HLS Authoring 2.6",
    ),
    rule(
        "C01",
        Must,
        "init segment has the boxes and brands of a CMAF header",
        "ISO/IEC 23000-19 7.3.1",
    ),
    rule(
        "C02",
        Must,
        "mvhd and tkhd defaults; no file-level meta or udta",
        "ISO/IEC 23000-19 7.5.1, 7.5.2",
    ),
    rule(
        "C03",
        Must,
        "a fragment is one moof with one traf and one trun",
        "ISO/IEC 23000-19 7.3.2.3",
    ),
    rule(
        "C04",
        Must,
        "decode times add up, data lies inside its mdat",
        "ISO/IEC 23000-19 7.3.2.2, 7.3.2.3",
    ),
    rule(
        "C05",
        Must,
        "fragments start with a sync sample and flag only those",
        "ISO/IEC 23000-19 7.3.2.4",
    ),
    rule(
        "C06",
        Must,
        "the init segment holds all that decoding needs",
        "ISO/IEC 23000-19 7.3.2.4",
    ),
    rule(
        "C07",
        Must,
        "edit list or negative offsets, not both",
        "ISO/IEC 23000-19 7.7, 9.2.1",
    ),
    rule(
        "C08",
        Must,
        "pixel shape and colour in the sample entry",
        "ISO/IEC 23000-19 7.3.2.4",
    ),
    rule(
        "C09",
        Must,
        "tracks of a switching set have equal headers",
        "ISO/IEC 23000-19 7.3.4",
    ),
    rule(
        "C10",
        Must,
        "segment boundaries equal over a switching set",
        "ISO/IEC 23000-19 7.3.4",
    ),
    rule(
        "C11",
        Must,
        "the segment index is exact",
        "ISO/IEC 23000-19 7.3.3.3",
    ),
    rule(
        "C12",
        Must,
        "no mix of clear and encrypted samples",
        "ISO/IEC 23000-19 8.2",
    ),
    rule(
        "C13",
        Must,
        "fragments joined give a valid file",
        "ISO/IEC 23000-19 7.3.2.2",
    ),
    rule(
        "C14",
        Must,
        "decoder configuration complete and as declared",
        "ISO/IEC 14496-15 5.3.3",
    ),
    rule(
        "C15",
        Should,
        "fragments near the track's average rate",
        "CTA-5005-A 4.1.2",
    ),
    rule("C16", Should, "no clock times in the headers", "own rule"),
    rule(
        "D01",
        Must,
        "MPD has the elements and attributes its schema asks",
        "ISO/IEC 23009-1 Annex B; DASH-IF IOP 4.3",
    ),
    rule(
        "D02",
        Must,
        "durations of the MPD agree",
        "DASH-IF IOP 4.3 3.10; DASH-IF Timing",
    ),
    rule(
        "D03",
        Must,
        "Periods follow each other from 0",
        "DASH-IF Timing 8.1",
    ),
    rule(
        "D04",
        Must,
        "segments cover the Period without gap or overlap",
        "DASH-IF Timing 9.2",
    ),
    rule(
        "D05",
        Must,
        "one addressing mode in a set",
        "DASH-IF Timing",
    ),
    rule(
        "D06",
        Must,
        "SegmentTemplate with timeline, media and initialization",
        "DASH-IF Timing; IOP 4.3",
    ),
    rule(
        "D07",
        Must,
        "indexed addressing is complete",
        "DASH-IF Timing; IOP 4.3 3.10.3",
    ),
    rule(
        "D08",
        Must,
        "timeline equal to the media's own times",
        "DASH-IF Timing 9.1",
    ),
    rule(
        "D09",
        Must,
        "numbers below 2^53, durations without months",
        "DASH-IF Timing; IOP 4.3",
    ),
    rule(
        "D10",
        Must,
        "alignment is signalled",
        "DASH-IF IOP 4.3 3.2.2.2, 3.10.3",
    ),
    rule("D11", Must, "no SegmentList in a Period", "DASH-IF IOP 4.3"),
    rule(
        "D12",
        Must,
        "one media type and codec in a set, known MIME types",
        "DASH-IF IOP 4.3",
    ),
    rule(
        "D13",
        Must,
        "video sets say size, rate and shape, and truly",
        "DASH-IF IOP 4.3 3.2.4",
    ),
    rule(
        "D14",
        Must,
        "audio sets say language, rate and channels, and truly",
        "DASH-IF IOP 4.3 3.2.4; TS 103 285 6.1.1",
    ),
    rule(
        "D15",
        Must,
        "Roles are there, one of them main",
        "DASH-IF IOP 4.3; TS 103 285 6.1.2",
    ),
    rule(
        "D16",
        Must,
        "ids are there and unique",
        "DASH-IF IOP 4.3; DASH-IF Timing",
    ),
    rule(
        "D17",
        Must,
        "at @bandwidth a client never stalls",
        "ISO/IEC 23009-1 5.3.5.2",
    ),
    rule(
        "D18",
        Must,
        "thumbnails say how their tiles lie and how large they are",
        "DASH-IF IOP 4.3 6.2.6",
    ),
    rule(
        "D19",
        Must,
        "trick sets name their main set and depend on nothing",
        "DASH-IF IOP 4.3 3.2.9",
    ),
    rule("D20", Should, "DVB limits", "ETSI TS 103 285 4.5, 11.2.2"),
    rule(
        "D21",
        Must,
        "high dynamic range is told by the code points of the bitstream",
        "ETSI TS 103 285 5.2",
    ),
    rule(
        "D22",
        Must,
        "stand-alone text counts from the Period's start",
        "DASH-IF Timing",
    ),
    rule(
        "D23",
        Must,
        "HLS and DASH name the same objects, and the same text",
        "own rule",
    ),
    rule("D24", Must, "no MPEG-TS in DASH", "DASH-IF Timing"),
    rule(
        "E01",
        Must,
        "one scheme of encryption",
        "CTA-5005-A 7.2.2; Apple HLS Authoring 13.7",
    ),
    rule(
        "E02",
        Must,
        "patterns and initialization vectors as the scheme wants",
        "ISO/IEC 23001-7 10; Apple HLS Authoring 13.7",
    ),
    rule(
        "E03",
        Must,
        "FairPlay keys are for SAMPLE-AES, without IV",
        "Apple HLS Authoring 13.2-13.4, 13.11",
    ),
    rule(
        "E04",
        Must,
        "DRM systems by their names, with pssh",
        "Apple HLS Authoring, appendix",
    ),
    rule(
        "E05",
        Must,
        "fragments say how their samples are encrypted",
        "ISO/IEC 23001-7 7; Apple HLS Authoring 1.39",
    ),
    rule(
        "E06",
        Must,
        "MPDs name scheme and key of what they list",
        "DASH-IF IOP 6",
    ),
    rule(
        "E07",
        Must,
        "one key a track, the one that playlists name",
        "CTA-5005-A 4.3.2",
    ),
    rule(
        "E08",
        Should,
        "session keys are those of the media, HDCP-LEVEL above SD",
        "RFC 8216bis 4.4.6.5; Apple HLS Authoring 13.5, 13.6",
    ),
    rule(
        "E09",
        Must,
        "thumbnails are clear",
        "Apple HLS Authoring, appendix",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique() {
        let ids: std::collections::BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), RULES.len());
    }
}
