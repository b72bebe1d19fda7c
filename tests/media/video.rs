//! Video tasks.

use headwater::media::*;

use crate::support::*;

/// Every sample is there, in order, and FFmpeg decodes it without a word.
fn assert_sound(made: &Made, task: &VideoTask) {
    for (rendition, encode) in (0..).zip(&task.renditions) {
        let mut frames = made.frames(rendition);
        frames.sort_unstable();
        let first = task.first_frame + task.head;
        assert_eq!(frames, (first..first + task.keep).collect::<Vec<_>>());
        let probed = probe(&made.annex_b(rendition));
        assert_eq!(probed.warnings, "");
        let kept = &task.frames[task.head as usize..(task.head + task.keep) as usize];
        let wanted: Vec<bool> = kept.iter().map(|frame| frame.idr).collect();
        assert_eq!(probed.keys, wanted);
        assert_eq!(probed.stream["width"], encode.width);
        assert_eq!(probed.stream["height"], encode.height);
        assert_eq!(probed.stream["pix_fmt"], "yuv420p");
        assert_eq!(probed.stream["color_space"], "bt709");
        assert_eq!(probed.stream["sample_aspect_ratio"], "1:1");
    }
}

#[test]
fn ladder_of_a_real_clip_is_whole() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let task = whole(&source, (30_000, 1001), 60, &[(1280, 720), (640, 360)]);
    let made = source.run_video(&task).unwrap();
    assert_eq!(made.summary.damage, []);
    assert_eq!(made.summary.decoded, 149);
    assert_sound(&made, &task);
}
