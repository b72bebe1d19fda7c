//! Tables made by hand, sound and damaged.

use super::super::read_movie;
use crate::cmaf::boxes::BoxWriter;
use crate::error::ErrorKind;
use crate::media::{SampleEntry, SourceIndex, TrackKind};

/// Bytes before the first sample in files made here: `ftyp` and the header of `mdat`.
const DATA: u32 = 16 + 8;

/// A movie under construction: what its one track says, and how many bytes of data it has.
struct Movie {
    handler: [u8; 4],
    timescale: u32,
    entry: Vec<u8>,
    edits: Vec<(u32, i32)>,
    data_len: usize,
}

impl Movie {
    /// Motion JPEG at 10 ticks a second.
    fn pictures(data_len: usize) -> Self {
        let mut w = BoxWriter::new();
        w.nest(b"jpeg", |w| {
            w.raw(&[0; 24]).u16(64).u16(48).raw(&[0; 50]);
        });
        Self {
            handler: *b"vide",
            timescale: 10,
            entry: w.into_bytes(),
            edits: Vec::new(),
            data_len,
        }
    }

    /// PCM, 16 bits, stereo, 8 kHz.
    fn sound(data_len: usize) -> Self {
        let mut w = BoxWriter::new();
        w.nest(b"sowt", |w| {
            w.raw(&[0; 16]).u16(2).u16(16).u32(0).u32(8000 << 16);
        });
        Self {
            handler: *b"soun",
            timescale: 8000,
            entry: w.into_bytes(),
            edits: Vec::new(),
            data_len,
        }
    }

    fn with(&self, tables: &[(&[u8; 4], &[u32])]) -> Vec<u8> {
        let mut w = BoxWriter::new();
        w.nest(b"ftyp", |w| {
            w.raw(b"isom").u32(0);
        });
        w.nest(b"mdat", |w| {
            w.raw(&vec![0; self.data_len]);
        });
        w.nest(b"moov", |w| {
            w.full(b"mvhd", 0, 0, |w| {
                w.raw(&[0; 8]).u32(1000).raw(&[0; 84]);
            });
            w.nest(b"trak", |w| self.track(w, tables));
        });
        w.into_bytes()
    }

    fn track(&self, w: &mut BoxWriter, tables: &[(&[u8; 4], &[u32])]) {
        w.full(b"tkhd", 0, 1, |w| {
            w.raw(&[0; 8]).u32(7).raw(&[0; 68]);
        });
        w.nest(b"edts", |w| {
            w.full(b"elst", 0, 0, |w| {
                w.u32(u32::try_from(self.edits.len()).expect("few"));
                for (length, media_start) in &self.edits {
                    w.u32(*length).i32(*media_start).u32(1 << 16);
                }
            });
        });
        w.nest(b"mdia", |w| {
            w.full(b"mdhd", 0, 0, |w| {
                w.raw(&[0; 8]).u32(self.timescale).u32(0).u32(0x15c7_0000);
            });
            w.full(b"hdlr", 0, 0, |w| {
                w.u32(0).raw(&self.handler).raw(&[0; 13]);
            });
            w.nest(b"minf", |w| {
                w.nest(b"stbl", |w| {
                    w.full(b"stsd", 0, 0, |w| {
                        w.u32(1).raw(&self.entry);
                    });
                    for (kind, words) in tables {
                        w.full(kind, 0, 0, |w| {
                            for word in *words {
                                w.u32(*word);
                            }
                        });
                    }
                });
            });
        });
    }
}

fn index(bytes: &[u8]) -> SourceIndex {
    read_movie(&bytes).expect("usable").expect("MP4")
}

fn entries(index: &SourceIndex) -> Vec<SampleEntry> {
    index.tracks[0].samples.iter().collect()
}

/// (decode time, composition offset, sync, offset, size)
fn rows(index: &SourceIndex) -> Vec<(i64, i32, bool, u64, u32)> {
    let data = u64::from(DATA);
    let row = |e: SampleEntry| {
        let at = e.place.offset - data;
        (
            e.decode_time,
            e.composition_offset,
            e.sync,
            at,
            e.place.size,
        )
    };
    entries(index).into_iter().map(row).collect()
}

#[test]
fn every_table_reaches_its_column() {
    let bytes = Movie::pictures(100).with(&[
        (b"stts", &[2, 2, 1, 1, 3]),
        (b"ctts", &[2, 1, 2, 2, u32::MAX]),
        (b"stss", &[2, 1, 3]),
        (b"stsz", &[0, 3, 10, 20, 30]),
        (b"stsc", &[2, 1, 2, 1, 2, 1, 1]),
        (b"stco", &[2, DATA + 5, DATA + 60]),
    ]);
    let index = index(&bytes);
    assert_eq!(index.warnings, Vec::<String>::new());
    let expected = [
        (0, 2, true, 5, 10),
        (1, -1, false, 15, 20),
        (2, -1, true, 60, 30),
    ];
    assert_eq!(rows(&index), expected);
    assert_eq!(index.tracks[0].samples.end_decode_time(), 5);
    assert_eq!(index.tracks[0].language, "en");
}

#[test]
fn compact_sizes_and_wide_offsets_are_read() {
    let rows_with = |sizes: &[u32]| {
        let bytes = Movie::pictures(100).with(&[
            (b"stts", &[1, 3, 1]),
            (b"stz2", sizes),
            (b"stsc", &[1, 1, 3, 1]),
            (b"co64", &[1, 0, DATA]),
        ]);
        let sizes = entries(&index(&bytes))
            .iter()
            .map(|e| e.place.size)
            .collect();
        let sizes: Vec<u32> = sizes;
        sizes
    };
    assert_eq!(rows_with(&[4, 3, 0x1230_0000]), [1, 2, 3]);
    assert_eq!(rows_with(&[8, 3, 0x0102_0300]), [1, 2, 3]);
    assert_eq!(rows_with(&[16, 3, 0x0001_0002, 0x0003_0000]), [1, 2, 3]);
    assert_eq!(rows_with(&[7, 3, 0x0001_0002]), [0_u32; 0]);
}

#[test]
fn a_cut_file_keeps_what_is_there_and_says_until_when() {
    let tables: [(&[u8; 4], &[u32]); 4] = [
        (b"stts", &[1, 5, 3]),
        (b"stsz", &[30, 5]),
        (b"stsc", &[1, 1, 5, 1]),
        (b"stco", &[1, DATA]),
    ];
    let mut bytes = Movie::pictures(0).with(&tables);
    let end = u32::try_from(bytes.len()).expect("small");
    let at = bytes.windows(4).rposition(|w| w == DATA.to_be_bytes());
    // Two of five samples lie before the end.
    bytes[at.expect("there")..][..4].copy_from_slice(&(end - 60).to_be_bytes());
    let index = index(&bytes);
    assert_eq!(entries(&index).len(), 2);
    let warning = &index.warnings[0];
    assert!(
        warning.starts_with("track 7: the file is cut off: 2 of 5 samples"),
        "{warning}"
    );
    assert!(warning.contains("up to 0.600000 s"), "{warning}");
}

#[test]
fn claims_beyond_all_measure_are_bounded() {
    for size in [0, 1] {
        let bytes = Movie::pictures(1000).with(&[
            (b"stts", &[1, u32::MAX, u32::MAX]),
            (b"ctts", &[1, u32::MAX, u32::MAX]),
            (b"stsz", &[size, u32::MAX]),
            (b"stsc", &[1, 1, u32::MAX, 1]),
            (b"stco", &[3, DATA, DATA, DATA]),
        ]);
        let index = index(&bytes);
        assert!(entries(&index).len() <= bytes.len());
        assert!(!index.warnings.is_empty());
    }
}

#[test]
fn entries_without_samples_and_missing_tables_are_survived() {
    let movie = Movie::pictures(100);
    let bytes = movie.with(&[
        (b"stts", &[2, 0, 9, 2, 1]),
        (b"stsz", &[10, 2]),
        (b"stsc", &[3, 1, 0, 1, 0, 0, 0, 1, 1, 1]),
        (b"stco", &[2, DATA, DATA + 50]),
    ]);
    assert_eq!(
        rows(&index(&bytes)),
        [(0, 0, true, 0, 10), (1, 0, true, 50, 10)]
    );

    let bytes = movie.with(&[(b"stsz", &[10, 2]), (b"stts", &[1, 2, 1])]);
    let index = index(&bytes);
    assert!(entries(&index).is_empty());
    assert!(
        index.warnings[0].contains("stsc is missing"),
        "{:?}",
        index.warnings
    );
}

#[test]
fn negative_durations_are_paid_back_by_later_samples() {
    let bytes = Movie::pictures(100).with(&[
        (b"stts", &[3, 2, 10, 1, (-5_i32).cast_unsigned(), 2, 10]),
        (b"stsz", &[1, 5]),
        (b"stsc", &[1, 1, 5, 1]),
        (b"stco", &[1, DATA]),
    ]);
    let times: Vec<i64> = entries(&index(&bytes))
        .iter()
        .map(|e| e.decode_time)
        .collect();
    assert_eq!(times, [0, 10, 20, 21, 25]);
}

#[test]
fn zero_timescale_falls_back_to_that_of_the_movie() {
    let mut movie = Movie::pictures(100);
    movie.timescale = 0;
    let index = index(&movie.with(&[]));
    assert_eq!(index.tracks[0].timescale.get(), 1000);
    assert!(
        index.warnings[0].contains("timescale 0"),
        "{:?}",
        index.warnings
    );
}

#[test]
fn pcm_frames_are_grouped_within_their_chunk() {
    let bytes = Movie::sound(40_000).with(&[
        (b"stts", &[1, 10_000, 1]),
        (b"stsz", &[1, 10_000]),
        (b"stsc", &[2, 1, 9_000, 1, 2, 1_000, 1]),
        (b"stco", &[2, DATA, DATA + 36_000]),
    ]);
    let index = index(&bytes);
    let expected = [
        (0, 0, true, 0, 16_384),
        (4096, 0, true, 16_384, 16_384),
        (8192, 0, true, 32_768, 3_232),
        (9000, 0, true, 36_000, 4_000),
    ];
    assert_eq!(rows(&index), expected);
    let track = &index.tracks[0];
    assert_eq!(track.samples.end_decode_time(), 10_000);
    assert_eq!(track.codec.name(), "pcm_s16le");
    assert!(matches!(&track.kind, TrackKind::Audio(a) if (a.channels, a.sample_rate) == (2, 8000)));
}

#[test]
fn edits_are_reduced_to_delay_start_and_length() {
    let mut movie = Movie::pictures(100);
    movie.edits = vec![(500, -1), (300, -1), (1000, 4), (500, -1)];
    let index = index(&movie.with(FIFTY));
    let edit = index.tracks[0].edit;
    assert_eq!(
        (edit.delay, edit.media_start, edit.length),
        (8, 4, Some(10))
    );
    assert_eq!(index.warnings, Vec::<String>::new());
}

/// Fifty samples of one tick and one byte.
const FIFTY: &[(&[u8; 4], &[u32])] = &[
    (b"stts", &[1, 50, 1]),
    (b"stsz", &[1, 50]),
    (b"stsc", &[1, 1, 50, 1]),
    (b"stco", &[1, DATA]),
];

#[test]
fn edits_of_several_stretches_are_refused_rather_than_cut() {
    for edits in [
        vec![(1000, 4), (100, 0)],
        vec![(1000, 4), (300, -1), (100, 14)],
    ] {
        let mut movie = Movie::pictures(100);
        movie.edits = edits;
        let error = read_movie(&movie.with(FIFTY).as_slice()).expect_err("several");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("edit list"), "{error}");
    }
}

#[test]
fn what_is_no_movie_is_none_and_what_cannot_be_used_is_an_error() {
    for bytes in [&b""[..], b"#EXTM3U\n#EXT-X-VERSION:3\n", &[0; 100]] {
        assert!(read_movie(&bytes).expect("no error").is_none());
    }
    let whole = Movie::pictures(100).with(&[]);
    for (len, says) in [
        (60, "cut off at byte 60, within the mdat box at byte 16"),
        (124, "no moov box in 124 bytes"),
        (200, "the moov box at byte 124 is cut off"),
    ] {
        let error = read_movie(&&whole[..len]).expect_err("cut");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn mdat_with_a_64_bit_size_or_up_to_the_end_is_passed_over() {
    let whole = Movie::pictures(100).with(&[]);
    let (start, moov) = (&whole[..16], &whole[124..]);
    let mut long = start.to_vec();
    long.extend(b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x14abcd");
    long.extend(moov);
    assert_eq!(index(&long).tracks.len(), 1);
    let mut open = [start, moov].concat();
    open.extend(b"\0\0\0\0mdatabcd");
    assert_eq!(index(&open).warnings, Vec::<String>::new());
}
