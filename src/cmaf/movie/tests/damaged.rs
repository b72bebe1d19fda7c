//! Damaged files: whatever is flipped or cut off, nothing panics and nothing grows.

use proptest::prelude::*;

use super::super::read_movie;

/// Two seconds of a test picture and a tone, and the same in fragments, written by ffmpeg.
const FIXTURES: [&[u8]; 2] = [
    include_bytes!("../../../../fixtures/movie_plain.mp4"),
    include_bytes!("../../../../fixtures/movie_fragmented.mp4"),
];

/// Checks what holds for any bytes: places lie in the file, times can be added up, and the index
/// is no longer than the file allows.
fn check(bytes: &[u8]) {
    let Ok(Some(index)) = read_movie(&bytes) else {
        return;
    };
    let samples: usize = index.tracks.iter().map(|track| track.samples.len()).sum();
    assert!(samples <= bytes.len());
    assert!(index.warnings.len() <= 100);
    for track in &index.tracks {
        for entry in track.samples.iter() {
            assert!(entry.place.offset + u64::from(entry.place.size) <= bytes.len() as u64);
            let _ = track.movie_time(entry.presentation_time());
        }
    }
}

/// Where the boxes are, which is where damage tells: all but the media data of the plain file.
fn place_of_damage(bytes: &[u8], place: usize) -> usize {
    let moov = bytes.windows(4).position(|w| w == b"moov").unwrap_or(0);
    moov + place % (bytes.len() - moov)
}

#[test]
fn fixtures_are_sound() {
    let [plain, fragmented] = FIXTURES.map(|b| read_movie(&b).expect("sound").expect("MP4"));
    assert!(plain.warnings.is_empty() && fragmented.warnings.is_empty());
    assert_eq!(plain.tracks.len(), 2);
    for (a, b) in plain.tracks.iter().zip(&fragmented.tracks) {
        assert_eq!(a.samples.len(), b.samples.len());
        assert_eq!(
            (&a.kind, &a.codec, &a.config),
            (&b.kind, &b.codec, &b.config)
        );
    }
}

#[test]
fn every_truncation_is_survived() {
    for bytes in FIXTURES {
        for len in 0..bytes.len() {
            check(&bytes[..len]);
        }
    }
}

#[test]
fn every_word_of_the_header_may_be_all_ones_or_zero() {
    for bytes in FIXTURES {
        let moov = place_of_damage(bytes, 0);
        for at in (moov - 4..bytes.len().min(moov + 4000) - 4).step_by(4) {
            for word in [[0xff; 4], [0; 4], [0x7f, 0xff, 0xff, 0xff]] {
                let mut damaged = bytes.to_vec();
                damaged[at..at + 4].copy_from_slice(&word);
                check(&damaged);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn flipped_bits_are_survived(
        which in 0_usize..2,
        flips in prop::collection::vec((any::<usize>(), any::<u8>()), 1..12),
        keep in 0.5_f64..1.1,
    ) {
        let mut bytes = FIXTURES[which].to_vec();
        for (place, value) in flips {
            let at = place_of_damage(&bytes, place);
            bytes[at] ^= value;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a test's choice")]
        bytes.truncate((bytes.len() as f64 * keep) as usize);
        check(&bytes);
    }
}
