//! The decoder's input buffer as a leaky bucket (ISO/IEC 14496-10 Annex C.1, in the form x264
//! rate control keeps it): bits arrive at `maxrate` up to `bufsize`, and each frame takes its bits
//! out at its decode time. A frame whose bits are not all there yet is an underflow: a player at
//! that rate would stall.

use crate::time::FrameRate;

/// Rate and size of the bucket, and how full it is when decoding starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderBuffer {
    /// Rate at which bits arrive, in bits a second.
    pub maxrate_bps: u64,
    /// Size of the buffer in bits.
    pub bufsize_bits: u64,
    /// Fullness before the first frame is taken, in percent; x264 starts at 90.
    pub initial_fullness_percent: u8,
}

impl DecoderBuffer {
    /// x264's `vbv-init`, in percent.
    pub const X264_INITIAL_FULLNESS_PERCENT: u8 = 90;

    /// A bucket that starts as x264's does.
    pub fn new(maxrate_bps: u64, bufsize_bits: u64) -> Self {
        Self {
            maxrate_bps,
            bufsize_bits,
            initial_fullness_percent: Self::X264_INITIAL_FULLNESS_PERCENT,
        }
    }
}

/// The frames (counted from 0 in decode order) whose bits are not in the buffer at their decode
/// time. `sizes_bytes` are the frames' sizes in decode order.
///
/// After an underflow the buffer goes on from empty, as a player that waited would.
pub fn decoder_buffer_underflows(
    sizes_bytes: &[u64],
    frame_rate: FrameRate,
    buffer: DecoderBuffer,
) -> Vec<usize> {
    // In units of 1/numerator bit what arrives during one frame is a whole number.
    let unit = i128::from(frame_rate.numerator());
    let arriving = i128::from(buffer.maxrate_bps) * i128::from(frame_rate.denominator());
    let size = i128::from(buffer.bufsize_bits) * unit;
    let mut fullness = size * i128::from(buffer.initial_fullness_percent.min(100)) / 100;
    let mut underflows = Vec::new();
    for (frame, bytes) in sizes_bytes.iter().enumerate() {
        fullness -= i128::from(*bytes) * 8 * unit;
        if fullness < 0 {
            underflows.push(frame);
            fullness = 0;
        }
        fullness = (fullness + arriving).min(size);
    }
    underflows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(n: u32) -> FrameRate {
        FrameRate::new(n, 1).expect("valid")
    }

    #[test]
    fn frames_at_the_arrival_rate_never_underflow() {
        // 1 Mb/s at 25 frames a second is 5000 bytes a frame.
        let sizes = vec![5000; 500];
        let buffer = DecoderBuffer::new(1_000_000, 1_000_000);
        assert_eq!(decoder_buffer_underflows(&sizes, rate(25), buffer), [0; 0]);
    }

    #[test]
    fn a_frame_larger_than_what_has_arrived_underflows() {
        let mut sizes = vec![5000; 10];
        sizes[4] = 120_000; // 960 kbit of the 900 kbit that are there
        let buffer = DecoderBuffer::new(1_000_000, 1_000_000);
        assert_eq!(decoder_buffer_underflows(&sizes, rate(25), buffer), [4]);
    }

    #[test]
    fn two_full_buckets_one_after_the_other_underflow_at_the_second() {
        // Each chunk alone spends the bucket it believes to be full: the fault of naive joins.
        let chunk = [vec![100_000_u64], vec![2000; 12]].concat();
        let joined = [chunk.clone(), chunk.clone()].concat();
        let buffer = DecoderBuffer::new(1_000_000, 1_000_000);
        assert_eq!(decoder_buffer_underflows(&chunk, rate(25), buffer), [0; 0]);
        assert_eq!(decoder_buffer_underflows(&joined, rate(25), buffer), [13]);
    }

    #[test]
    fn fullness_never_passes_the_buffer() {
        // A long pause must not save up more than the buffer holds.
        let sizes = [vec![0; 1000], vec![130_000]].concat();
        let buffer = DecoderBuffer::new(1_000_000, 1_000_000);
        assert_eq!(decoder_buffer_underflows(&sizes, rate(25), buffer), [1000]);
    }

    proptest! {
        #[test]
        fn a_faster_line_never_underflows_more(
            sizes in proptest::collection::vec(0_u64..200_000, 0..200),
            slow in 1_u64..5_000_000,
            extra in 0_u64..5_000_000,
        ) {
            let count = |maxrate| {
                decoder_buffer_underflows(&sizes, rate(30), DecoderBuffer::new(maxrate, 1_000_000)).len()
            };
            prop_assert!(count(slow + extra) <= count(slow));
        }
    }
}
