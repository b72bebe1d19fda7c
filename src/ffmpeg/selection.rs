//! Which decoded picture each output frame shows.

use std::sync::Arc;

use crate::media::TaskFrame;

/// A picture's time, and whether it is the second of its two fields.
pub(super) type Moment = (i64, bool);

/// Which moment of the source an output frame shows.
pub(super) fn moment(frame: &TaskFrame) -> Moment {
    (frame.source_time, frame.second_field)
}

/// Matches pictures, in presentation order, with the output frames that want them.
///
/// A frame whose picture was lost shows the nearest earlier one; the next, when there is none.
#[derive(Debug)]
pub(super) struct Selection<'a, P> {
    frames: &'a [TaskFrame],
    /// First frame that has no picture yet.
    next: usize,
    last: Option<(Moment, Arc<P>)>,
    /// Source times whose pictures were lost, each once.
    lost: Vec<i64>,
}

/// Output frame `number` (in the task) shows `picture`.
#[derive(Debug)]
pub(super) struct Chosen<P> {
    pub number: usize,
    pub idr: bool,
    pub picture: Arc<P>,
}

impl<'a, P> Selection<'a, P> {
    pub(super) fn new(frames: &'a [TaskFrame]) -> Self {
        Self {
            frames,
            next: 0,
            last: None,
            lost: Vec::new(),
        }
    }

    /// Whether every frame has its picture: nothing more needs decoding.
    pub(super) fn is_done(&self) -> bool {
        self.next == self.frames.len()
    }

    /// Takes the next picture; gives the frames that are now decided.
    pub(super) fn push(&mut self, time: Moment, picture: P) -> Vec<Chosen<P>> {
        if self.last.as_ref().is_some_and(|(last, _)| time <= *last) {
            // The decoder gave it too late or twice; its place is taken.
            return Vec::new();
        }
        let picture = Arc::new(picture);
        let mut chosen = Vec::new();
        while let Some(frame) = self.frames.get(self.next)
            && moment(frame) < time
        {
            let (of, shown) = match &self.last {
                Some((last, earlier)) => (*last, Arc::clone(earlier)),
                None => (time, Arc::clone(&picture)),
            };
            self.miss(moment(frame), of);
            chosen.push(self.choose(frame, shown));
        }
        while let Some(frame) = self.frames.get(self.next)
            && moment(frame) == time
        {
            chosen.push(self.choose(frame, Arc::clone(&picture)));
        }
        self.last = Some((time, picture));
        chosen
    }

    /// No more pictures come: the rest shows the last one.
    pub(super) fn finish(&mut self) -> Vec<Chosen<P>> {
        let mut chosen = Vec::new();
        let Some((last, picture)) = self.last.take() else {
            return chosen;
        };
        while let Some(frame) = self.frames.get(self.next) {
            self.miss(moment(frame), last);
            chosen.push(self.choose(frame, Arc::clone(&picture)));
        }
        chosen
    }

    /// Source times whose pictures were lost.
    pub(super) fn lost(&self) -> &[i64] {
        &self.lost
    }

    fn choose(&mut self, frame: &TaskFrame, picture: Arc<P>) -> Chosen<P> {
        let number = self.next;
        self.next += 1;
        Chosen {
            number,
            idr: frame.idr,
            picture,
        }
    }

    fn miss(&mut self, wanted: Moment, shown: Moment) {
        if wanted != shown && self.lost.last() != Some(&wanted.0) {
            self.lost.push(wanted.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(times: &[i64]) -> Vec<TaskFrame> {
        times
            .iter()
            .map(|time| TaskFrame {
                source_time: *time,
                idr: false,
                second_field: false,
            })
            .collect()
    }

    fn show(frames: &[TaskFrame], pictures: &[i64]) -> (Vec<i64>, Vec<i64>) {
        let mut selection = Selection::new(frames);
        let mut shown = Vec::new();
        for time in pictures {
            shown.extend(selection.push((*time, false), *time));
        }
        shown.extend(selection.finish());
        assert!(selection.is_done() || pictures.is_empty());
        let numbers: Vec<usize> = shown.iter().map(|chosen| chosen.number).collect();
        assert_eq!(numbers, (0..shown.len()).collect::<Vec<_>>());
        (
            shown.iter().map(|chosen| *chosen.picture).collect(),
            selection.lost().to_vec(),
        )
    }

    #[test]
    fn frames_repeat_and_skip_pictures() {
        let wanted = frames(&[0, 0, 10, 30]);
        assert_eq!(
            show(&wanted, &[0, 10, 20, 30, 40]),
            (vec![0, 0, 10, 30], vec![])
        );
    }

    #[test]
    fn lost_picture_is_replaced_by_the_earlier_one_and_counted_once() {
        let wanted = frames(&[0, 10, 10, 20]);
        assert_eq!(show(&wanted, &[0, 20]), (vec![0, 0, 0, 20], vec![10]));
    }

    #[test]
    fn lost_first_picture_is_replaced_by_the_next() {
        let wanted = frames(&[0, 10, 20]);
        assert_eq!(show(&wanted, &[20]), (vec![20, 20, 20], vec![0, 10]));
    }

    #[test]
    fn lost_end_shows_the_last_picture() {
        let wanted = frames(&[0, 10, 20]);
        assert_eq!(show(&wanted, &[0, 5]), (vec![0, 5, 5], vec![10, 20]));
    }
}
