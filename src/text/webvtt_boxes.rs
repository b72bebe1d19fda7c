//! WebVTT in ISO files (`wvtt`, ISO/IEC 14496-30 section 7.4): a sample is a row of boxes, one for
//! each cue that is shown at its time.

use super::track::Said;
use super::webvtt::{sound_id, sound_settings, sound_text};

/// Cues in one sample that are read.
const MAX_CUES_SHOWN: usize = 64;

/// The cues of a sample; none where it holds `vtte`.
pub(super) fn read(sample: &[u8]) -> Vec<Said> {
    let cues = boxes(sample).filter(|(kind, _)| kind == b"vttc");
    let said = cues.map(|(_, cue)| {
        let text = |kind| {
            child(cue, kind)
                .map(String::from_utf8_lossy)
                .unwrap_or_default()
        };
        Said {
            id: sound_id(text(*b"iden").lines().next().unwrap_or_default()).to_owned(),
            settings: sound_settings(&text(*b"sttg")),
            text: sound_text(&text(*b"payl")),
        }
    });
    said.take(MAX_CUES_SHOWN).collect()
}

/// The payload of the first box of that type.
pub(super) fn child(bytes: &[u8], kind: [u8; 4]) -> Option<&[u8]> {
    boxes(bytes)
        .find(|(found, _)| *found == kind)
        .map(|(_, payload)| payload)
}

/// The boxes in a row, as far as they fit.
fn boxes(mut rest: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (size, after) = rest.split_first_chunk::<4>()?;
        let (kind, _) = after.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
        let payload = rest.get(8..size)?;
        rest = rest.get(size..)?;
        Some((*kind, payload))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxed(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len() + 8).expect("small");
        [&size.to_be_bytes(), &kind[..], payload].concat()
    }

    #[test]
    fn each_cue_of_a_sample_is_read() {
        let first = [
            boxed(b"iden", b"7"),
            boxed(b"sttg", b"line:0 odd:1"),
            boxed(b"payl", b"<i>one</i>\n\ntwo --> three"),
        ];
        let second = boxed(b"payl", b"other");
        let sample = [boxed(b"vttc", &first.concat()), boxed(b"vttc", &second)].concat();
        let said = read(&sample);
        assert_eq!(said.len(), 2);
        assert_eq!(said[0].id, "7");
        assert_eq!(said[0].settings, "line:0");
        assert_eq!(said[0].text, "<i>one</i>\ntwo --&gt; three");
        assert_eq!(said[1].text, "other");
        assert!(read(&boxed(b"vtte", b"")).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(read(&bytes).len() <= MAX_CUES_SHOWN);
        }
    }
}
