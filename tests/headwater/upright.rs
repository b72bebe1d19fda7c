//! Turned and mirrored pictures stand as the file's matrix says.

use std::path::Path;
use std::process::Command;

use crate::support::{joined, package};

/// Corners: top left, top right, bottom left, bottom right, and their grey of 0 to 255. In the clip it
/// is of 16 to 235.
const CORNERS: [(i32, i32, u8); 4] = [(-1, -1, 16), (1, -1, 86), (-1, 1, 156), (1, 1, 237)];

/// A short clip of 96 by 64 whose quarters are [`CORNERS`].
fn quarters(path: &Path) {
    let picture = "color=c=0x1e1e1e:s=96x64:r=25:d=0.2,geq=lum='if(lt(Y,32),if(lt(X,48),30,90),\
                   if(lt(X,48),150,220))':cb=128:cr=128";
    let ran = Command::new("ffmpeg")
        .args([
            "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", picture,
        ])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-qp", "8"])
        .arg(path)
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

/// Writes a matrix into the track header (ISO/IEC 14496-12, 8.3.2): `[a, b, c, d]`.
fn turn(bytes: &mut [u8], matrix: [i32; 4]) {
    let at = bytes.windows(4).position(|four| four == b"tkhd").unwrap() + 4;
    // Version and flags, times, number, duration; then layer, group and volume.
    let matrix_at = at + 4 + 20 + 16;
    let [a, b, c, d] = matrix.map(|one| one << 16);
    for (number, value) in [a, b, 0, c, d, 0, 0, 0, 1 << 30].into_iter().enumerate() {
        let place = matrix_at + number * 4;
        bytes[place..place + 4].copy_from_slice(&value.to_be_bytes());
    }
}

#[test]
fn all_eight_orientations_stand_as_the_matrix_says() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.mp4");
    quarters(&plain);
    let plain = std::fs::read(plain).unwrap();
    for (number, matrix) in [
        [1, 0, 0, 1],
        [0, 1, -1, 0],
        [-1, 0, 0, -1],
        [0, -1, 1, 0],
        [-1, 0, 0, 1],
        [1, 0, 0, -1],
        [0, 1, 1, 0],
        [0, -1, -1, 0],
    ]
    .into_iter()
    .enumerate()
    {
        let mut bytes = plain.clone();
        turn(&mut bytes, matrix);
        let source = folder.path().join(format!("{number}.mp4"));
        std::fs::write(&source, bytes).unwrap();
        let out = folder.path().join(format!("out{number}"));
        let result = package(&source, &out, &["--rungs", "64", "--preset", "ultrafast"]);
        let file = folder.path().join("made.mp4");
        std::fs::write(&file, joined(&out, &result, "v64")).unwrap();
        let ran = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(&file)
            .args(["-frames:v", "1", "-vf", "scale=2:2:flags=area,format=gray"])
            .args(["-f", "rawvideo", "-"])
            .output()
            .unwrap();
        let got = ran.stdout;
        let [a, b, c, d] = matrix;
        for (x, y, grey) in CORNERS {
            let (across, down) = (a * x + c * y, b * x + d * y);
            let at = usize::from(down > 0) * 2 + usize::from(across > 0);
            assert!(
                got[at].abs_diff(grey) < 12,
                "{matrix:?}: {got:?} where {grey} goes to {across}, {down}"
            );
        }
        let wide = result["renditions"][0]["width"].as_u64() == Some(96);
        assert_eq!(wide, a != 0, "{matrix:?}");
    }
}
