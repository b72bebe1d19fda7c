//! Presentation order of pictures whose container doesn't tell: learnt by decoding them once.

use super::decode::{Decoder, Kind};
use super::heartbeat::Heartbeat;
use crate::error::Result;
use crate::media::{Codec, OrderTask, Place, Ranks, TaskFiles, TaskOutput, TaskSample};
use crate::time::Timescale;

/// Does an order task.
pub(super) fn run(task: &OrderTask, files: &TaskFiles, output: &dyn TaskOutput) -> Result<Ranks> {
    let size = (task.width, task.height);
    let ranks = presentation_ranks(
        &task.codec,
        &task.config,
        size,
        &task.samples,
        files,
        output,
    )?;
    let narrow = |rank| u32::try_from(rank).unwrap_or(u32::MAX);
    Ok(Ranks(ranks.into_iter().map(narrow).collect()))
}

/// For each packet in decode order, its rank in presentation order.
///
/// Packets that give no picture follow the one before them.
pub(super) fn presentation_ranks(
    codec: &Codec,
    config: &[u8],
    size: (u32, u32),
    places: &[(Place, bool)],
    files: &TaskFiles,
    output: &dyn TaskOutput,
) -> Result<Vec<usize>> {
    // The largest depth there is: only the order matters here, not how late pictures come.
    let kind = Kind::Video {
        size,
        reorder_depth: 16,
    };
    let mut decoder = Decoder::open(codec, config, Timescale::MILLIS, kind, 1)?;
    let mut seen = Vec::new();
    let heartbeat = Heartbeat::new(output);
    for (number, (place, sync)) in (0_i64..).zip(places) {
        let sample = TaskSample {
            place: *place,
            time: number,
            decode_time: number,
            duration: 1,
            sync: *sync,
        };
        decoder.push(files, &sample, &mut |frame| {
            seen.extend(frame.pts());
            Ok(())
        })?;
        heartbeat.beat()?;
    }
    decoder.finish(&mut |frame| {
        seen.extend(frame.pts());
        Ok(())
    })?;
    decoder.report()?;
    Ok(ranks(places.len(), &seen))
}

/// Ranks of `count` packets whose pictures came out in the order `seen`.
fn ranks(count: usize, seen: &[i64]) -> Vec<usize> {
    let mut place_of: Vec<Option<usize>> = vec![None; count];
    for (place, number) in seen.iter().enumerate() {
        let slot = usize::try_from(*number)
            .ok()
            .and_then(|number| place_of.get_mut(number));
        if let Some(slot @ None) = slot {
            *slot = Some(place + 1);
        }
    }
    let mut keys = Vec::with_capacity(count);
    let mut last = 0;
    for (number, place) in place_of.into_iter().enumerate() {
        keys.push((place.unwrap_or(last), place.is_none(), number));
        last = place.unwrap_or(last);
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|number| keys.get(*number).copied());
    let mut ranks = vec![0; count];
    for (rank, number) in order.into_iter().enumerate() {
        if let Some(slot) = ranks.get_mut(number) {
            *slot = rank;
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_follow_the_decoder() {
        assert_eq!(ranks(5, &[0, 2, 3, 1, 4]), [0, 3, 1, 2, 4]);
    }

    #[test]
    fn packet_without_picture_follows_its_predecessor() {
        assert_eq!(ranks(4, &[0, 3, 1]), [0, 2, 3, 1]);
        assert_eq!(ranks(2, &[]), [0, 1]);
    }
}
