//! What packaging does besides encoding: reading an index, planning, writing fragment headers.
//!
//! The source is made up: ten minutes of 720p30 with two B-pictures between others, and stereo.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater::cmaf::boxes::BoxWriter;
use headwater::cmaf::fragment::{FragmentKind, FragmentSample, fragment_head};
use headwater::cmaf::movie::read_movie;
use headwater::codec::aac::{EsDescriptor, OBJECT_TYPE_MPEG4_AUDIO};
use headwater::media::Policy;
use headwater::plan::{Inspection, plan};

const SECONDS: u32 = 600;
const PICTURES: u32 = SECONDS * 30;
const GOP: u32 = 60;
const SOUND_FRAMES: u32 = SECONDS * 48_000 / 1024;
const SAMPLE_BYTES: u32 = 1000;

/// High profile, 1280x720, progressive, 8 bits, 4:2:0.
const AVC_CONFIG: [u8; 47] = [
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50,
    0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83,
    0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

/// One track of the made-up movie: what differs between its boxes.
struct Track {
    id: u32,
    handler: &'static [u8; 4],
    timescale: u32,
    entry: Vec<u8>,
    samples: u32,
    duration: u32,
    /// Whether there is a sync sample table and composition offsets.
    reordered: bool,
    first_byte: u32,
}

/// Presentation minus decode time in pictures, one picture late throughout: I, then P B B, which
/// are shown in the order B B P.
fn composition_offset(number: u32) -> u32 {
    match number % GOP {
        0 => 1,
        n if n % 3 == 1 => 3.min(GOP - n),
        _ => 0,
    }
}

fn table(w: &mut BoxWriter, kind: &[u8; 4], words: &[u32]) {
    w.full(kind, 0, 0, |w| {
        for word in words {
            w.u32(*word);
        }
    });
}

fn counted(rows: impl Iterator<Item = Vec<u32>>) -> Vec<u32> {
    let rows: Vec<_> = rows.collect();
    let count = u32::try_from(rows.len()).expect("fewer than there are samples");
    std::iter::once(count)
        .chain(rows.into_iter().flatten())
        .collect()
}

impl Track {
    fn write(&self, w: &mut BoxWriter) {
        w.full(b"tkhd", 0, 1, |w| {
            w.raw(&[0; 8]).u32(self.id).raw(&[0; 24]);
            for value in [
                1 << 16,
                0,
                0,
                0,
                1 << 16,
                0,
                0,
                0,
                1 << 30,
                1280 << 16,
                720 << 16,
            ] {
                w.u32(value);
            }
        });
        w.nest(b"mdia", |w| {
            w.full(b"mdhd", 0, 0, |w| {
                w.raw(&[0; 8]).u32(self.timescale).u32(0).u32(0x55c4_0000);
            });
            w.full(b"hdlr", 0, 0, |w| {
                w.u32(0).raw(self.handler).raw(&[0; 13]);
            });
            w.nest(b"minf", |w| {
                w.nest(b"stbl", |w| self.write_tables(w));
            });
        });
    }

    fn write_tables(&self, w: &mut BoxWriter) {
        w.full(b"stsd", 0, 0, |w| {
            w.u32(1).raw(&self.entry);
        });
        table(w, b"stts", &[1, self.samples, self.duration]);
        if self.reordered {
            let offsets = (0..self.samples).map(|number| {
                let pictures = composition_offset(number);
                vec![1, pictures * self.duration]
            });
            table(w, b"ctts", &counted(offsets));
            let sync = (0..self.samples).filter(|number| number.is_multiple_of(GOP));
            table(w, b"stss", &counted(sync.map(|number| vec![number + 1])));
        }
        table(w, b"stsc", &[1, 1, 1, 1]);
        let sizes = std::iter::repeat_n(SAMPLE_BYTES, self.samples as usize);
        let head = [0, self.samples].into_iter();
        table(w, b"stsz", &head.chain(sizes).collect::<Vec<_>>());
        let places = (0..self.samples).map(|number| vec![self.first_byte + number * SAMPLE_BYTES]);
        table(w, b"stco", &counted(places));
    }
}

fn video() -> Track {
    let mut w = BoxWriter::new();
    w.nest(b"avc1", |w| {
        w.raw(&[0; 24]).u16(1280).u16(720).raw(&[0; 50]);
        w.nest(b"avcC", |w| {
            w.raw(&AVC_CONFIG);
        });
    });
    Track {
        id: 1,
        handler: b"vide",
        timescale: 30_000,
        entry: w.into_bytes(),
        samples: PICTURES,
        duration: 1000,
        reordered: true,
        first_byte: 24,
    }
}

fn sound() -> Track {
    let descriptor = EsDescriptor {
        object_type: OBJECT_TYPE_MPEG4_AUDIO,
        buffer_size: 0,
        max_bitrate_bps: 0,
        average_bitrate_bps: 0,
        specific: vec![0x11, 0x90],
    };
    let mut w = BoxWriter::new();
    w.nest(b"mp4a", |w| {
        w.raw(&[0; 6])
            .u16(1)
            .raw(&[0; 8])
            .u16(2)
            .u16(16)
            .u32(0)
            .u32(48_000 << 16);
        w.nest(b"esds", |w| {
            w.raw(&descriptor.to_bytes());
        });
    });
    Track {
        id: 2,
        handler: b"soun",
        timescale: 48_000,
        entry: w.into_bytes(),
        samples: SOUND_FRAMES,
        duration: 1024,
        reordered: false,
        first_byte: 24 + PICTURES * SAMPLE_BYTES,
    }
}

/// A whole file; its samples are zeros.
fn movie() -> Vec<u8> {
    let data = (PICTURES + SOUND_FRAMES) * SAMPLE_BYTES;
    let mut w = BoxWriter::new();
    w.nest(b"ftyp", |w| {
        w.raw(b"isom").u32(0);
    });
    w.nest(b"mdat", |w| {
        w.raw(&vec![0; data as usize]);
    });
    w.nest(b"moov", |w| {
        w.full(b"mvhd", 0, 0, |w| {
            w.raw(&[0; 8]).u32(1000).raw(&[0; 84]);
        });
        for track in [video(), sound()] {
            w.nest(b"trak", |w| track.write(w));
        }
    });
    w.into_bytes()
}

fn six_seconds() -> Vec<FragmentSample> {
    let sample = |number: u32| FragmentSample {
        size: SAMPLE_BYTES + number,
        duration: 1000,
        composition_offset: (composition_offset(number).cast_signed() - 1) * 1000,
        sync: number.is_multiple_of(GOP),
    };
    (0..180).map(sample).collect()
}

fn benches(criterion: &mut Criterion) {
    let file = movie();
    let index = read_movie(&&file[..]).expect("a sound file").expect("MP4");
    assert_eq!(index.tracks.len(), 2);

    let mut group = criterion.benchmark_group("ten_minutes");
    group.throughput(Throughput::Elements(u64::from(PICTURES + SOUND_FRAMES)));
    group.bench_function("index", |b| b.iter(|| read_movie(black_box(&&file[..]))));
    let (policy, inspection) = (Policy::default(), Inspection::default());
    group.bench_function("plan", |b| {
        b.iter(|| plan(black_box(&index), "digest", &policy, &inspection).expect("can be planned"));
    });
    group.finish();

    let samples = six_seconds();
    let kind = FragmentKind::Video {
        composition_delay: 1000,
    };
    criterion.bench_function("fragment_head_of_six_seconds", |b| {
        b.iter(|| fragment_head(kind, 1, 0, black_box(&samples)).expect("no sample is too early"));
    });
}

criterion_group!(packaging, benches);
criterion_main!(packaging);
