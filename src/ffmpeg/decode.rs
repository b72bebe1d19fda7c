//! A decoder of listed samples: packets made from byte ranges go in, frames with their movie
//! times come out. No demuxer takes part, so no container's quirk reaches the encoders.

use ffmpeg_next as ffmpeg;

use super::bytes_of::packet_at;
use super::{from_av, sys, wants_more};
use crate::error::{Error, ErrorKind, Result};
use crate::media::{Codec, Damage, TaskFiles, TaskSample};
use crate::time::Timescale;

/// At most so many damages are reported one by one.
const MAX_DAMAGE: usize = 100;
/// Largest picture that is decoded: 8192 x 4320.
pub(super) const MAX_PIXELS: i64 = 8192 * 4320;

/// What a decoder must be told beside the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Pictures of that size, held back by that many for reordering.
    Video {
        size: (u32, u32),
        reorder_depth: u32,
    },
    /// Sound.
    Audio {
        sample_rate: u32,
        channels: u16,
        block_align: u32,
        bitrate: u32,
    },
}

/// What a configuration of ours says of pictures without any coding, which have none of their own.
pub(super) struct RawPictures<'c> {
    /// The container's code for how pixels are laid out, or 0.
    pub(super) tag: u32,
    /// Bits of a pixel, where that tells the layout, or 0.
    pub(super) bits: u32,
    /// What the container says beside.
    pub(super) rest: &'c [u8],
}

impl<'c> RawPictures<'c> {
    const CODEC: &'static str = "rawvideo";

    /// What `config` says, if it is one of raw pictures.
    fn of(codec: &Codec, config: &'c [u8]) -> Option<Self> {
        let (tag, rest) = config.split_first_chunk()?;
        let (bits, rest) = rest.split_first_chunk()?;
        (codec.name() == Self::CODEC).then_some(Self {
            tag: u32::from_le_bytes(*tag),
            bits: u32::from_le_bytes(*bits),
            rest,
        })
    }

    /// The configuration of a stream of `codec` that the container says this of; `None` for other
    /// codecs.
    pub(super) fn config(&self, codec: &Codec) -> Option<Vec<u8>> {
        let bytes = [
            &self.tag.to_le_bytes()[..],
            &self.bits.to_le_bytes(),
            self.rest,
        ];
        (codec.name() == Self::CODEC).then(|| bytes.concat())
    }
}

/// An open decoder, and what it complained about.
pub(super) struct Decoder {
    opened: ffmpeg::decoder::Opened,
    damage: Vec<Damage>,
    decoded: u64,
}

impl Decoder {
    /// Opens the decoder of an allowed codec.
    pub(super) fn open(
        codec: &Codec,
        config: &[u8],
        timescale: Timescale,
        kind: Kind,
        threads: usize,
    ) -> Result<Self> {
        let decoder = allowed_decoder(codec)?;
        let mut context = ffmpeg::codec::Context::new_with_codec(decoder);
        match RawPictures::of(codec, config) {
            Some(raw) => {
                sys::set_raw_pictures(&mut context, raw.tag, raw.bits);
                sys::set_extradata(&mut context, raw.rest)?;
            }
            None => sys::set_extradata(&mut context, config)?,
        }
        match kind {
            Kind::Video {
                size,
                reorder_depth,
            } => {
                // Only H.264 needs it: without it its decoder guesses the depth as it goes, and
                // drops pictures whenever it guessed too low.
                let depth = if *codec == Codec::H264 {
                    reorder_depth
                } else {
                    0
                };
                sys::set_picture_size(&mut context, size, depth);
                sys::set_max_pixels(&mut context, MAX_PIXELS);
            }
            Kind::Audio {
                sample_rate,
                channels,
                block_align,
                bitrate,
            } => {
                sys::set_sound(&mut context, sample_rate, channels);
                sys::set_packets(&mut context, block_align, bitrate);
            }
        }
        context.set_threading(ffmpeg::codec::threading::Config {
            kind: ffmpeg::codec::threading::Type::Frame,
            count: threads,
            ..ffmpeg::codec::threading::Config::default()
        });
        let mut context = context.decoder();
        let ticks = i32::try_from(timescale.get()).unwrap_or(i32::MAX);
        context.set_packet_time_base((1, ticks));
        let opened = context
            .open_as(decoder)
            .map_err(|e| from_av(&format!("opening the {codec} decoder"), e))?;
        Ok(Self {
            opened,
            damage: Vec::new(),
            decoded: 0,
        })
    }

    /// Goes on with the decoder of `other`, opened anew for samples of another configuration. What
    /// this one still holds must have been got out: see [`Self::finish`].
    pub(super) fn go_on_with(&mut self, other: Self) {
        self.opened = other.opened;
    }

    /// From the next sample on, leaves out pictures that no other picture needs, or no longer.
    pub(super) fn skip_unreferenced(&mut self, skip: bool) {
        sys::set_skip_unreferenced(&mut self.opened, skip);
    }

    /// Feeds one sample and gives every frame that comes out to `take`.
    pub(super) fn push(
        &mut self,
        files: &TaskFiles,
        sample: &TaskSample,
        take: &mut dyn FnMut(ffmpeg::Frame) -> Result<()>,
    ) -> Result<()> {
        let mut packet = match packet_at(files, sample.place) {
            Ok(packet) => packet,
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            Err(error) => {
                self.note(sample.time, error.to_string());
                return Ok(());
            }
        };
        packet.set_pts(Some(sample.time));
        packet.set_dts(Some(sample.decode_time));
        packet.set_duration(i64::from(sample.duration));
        if sample.sync {
            packet.set_flags(ffmpeg::packet::Flags::KEY);
        }
        self.push_packet(&packet, sample.time, take)
    }

    /// Feeds one packet whose pts is set; `time` is where damage is reported.
    pub(super) fn push_packet(
        &mut self,
        packet: &ffmpeg::Packet,
        time: i64,
        take: &mut dyn FnMut(ffmpeg::Frame) -> Result<()>,
    ) -> Result<()> {
        if packet.size() == 0 {
            // An empty packet would mean the end of the stream.
            return Ok(());
        }
        loop {
            match self.opened.send_packet(packet) {
                Ok(()) => break,
                Err(ffmpeg::Error::Other {
                    errno: libc::EAGAIN,
                }) => {
                    if self.receive(time, take)? == 0 {
                        self.note(
                            time,
                            "the decoder takes nothing and gives nothing".to_owned(),
                        );
                        break;
                    }
                }
                Err(error) => {
                    self.refused(time, error)?;
                    break;
                }
            }
        }
        self.receive(time, take).map(drop)
    }

    /// Gets out what the decoder still holds.
    pub(super) fn finish(
        &mut self,
        take: &mut dyn FnMut(ffmpeg::Frame) -> Result<()>,
    ) -> Result<()> {
        match self.opened.send_eof() {
            Ok(()) | Err(ffmpeg::Error::Eof) => {}
            Err(error) => return Err(from_av("ending the decoder", error)),
        }
        self.receive(i64::MAX, take).map(drop)
    }

    /// Gives all frames that are ready to `take`, and says how many those were.
    fn receive(
        &mut self,
        time: i64,
        take: &mut dyn FnMut(ffmpeg::Frame) -> Result<()>,
    ) -> Result<u64> {
        let mut count = 0;
        loop {
            let mut frame = sys::empty_frame();
            match self.opened.receive_frame(&mut frame) {
                Ok(()) => {
                    count += 1;
                    self.decoded += 1;
                    if sys::is_damaged(&frame) {
                        let said = sys::take_log();
                        let at = frame.pts().unwrap_or(time);
                        self.note(at, said.unwrap_or_else(|| "concealed damage".to_owned()));
                    }
                    take(frame)?;
                }
                Err(error) if wants_more(error) => return Ok(count),
                Err(error) => {
                    self.refused(time, error)?;
                    // Some decoders repeat the same error for ever instead of asking for more.
                    return Ok(count);
                }
            }
        }
    }

    fn refused(&mut self, time: i64, error: ffmpeg::Error) -> Result<()> {
        let error = from_av("decoding", error);
        if error.kind() == ErrorKind::Exhausted {
            return Err(error);
        }
        self.note(time, error.to_string());
        Ok(())
    }

    /// Adds a damage to the report.
    pub(super) fn note(&mut self, time: i64, message: String) {
        if self.damage.len() < MAX_DAMAGE {
            self.damage.push(Damage { time, message });
        }
    }

    /// What was damaged, and how many frames came out.
    ///
    /// # Errors
    /// `Invalid` when nothing came out at all.
    pub(super) fn report(self) -> Result<(Vec<Damage>, u64)> {
        if self.decoded > 0 {
            return Ok((self.damage, self.decoded));
        }
        let why = self
            .damage
            .first()
            .map_or("no sample holds a frame", |d| &d.message);
        Err(Error::invalid(format!("nothing could be decoded: {why}")))
    }
}

/// The decoder of a codec on the allow-list.
pub(super) fn allowed_decoder(codec: &Codec) -> Result<ffmpeg::Codec> {
    if !codec.is_allowed() {
        return Err(Error::unsupported(format!(
            "codec {codec} is not on the list of codecs decoded"
        )));
    }
    sys::decoder_named(codec.name())
        .ok_or_else(|| Error::unsupported(format!("this build of FFmpeg has no {codec} decoder")))
}

/// Whether a decoder can tell from a picture itself that no other picture needs it, and skips it
/// without a trace: H.264's pictures with `nal_ref_idc` 0, MPEG-2's B pictures.
pub(super) fn can_skip_unreferenced(codec: &Codec) -> bool {
    matches!(codec.name(), "h264" | "mpeg2video")
}

/// How many pictures a decoder must hold back to give them out in presentation order: the most
/// samples that precede one in decode order and follow it in presentation order.
pub(super) fn reorder_depth(samples: &[TaskSample]) -> u32 {
    // H.264 allows at most 16; looking back twice as far finds any depth that is possible.
    const WINDOW: usize = 32;
    let mut depth = 0;
    for (number, sample) in samples.iter().enumerate() {
        let before = samples
            .get(number.saturating_sub(WINDOW)..number)
            .unwrap_or_default();
        depth = depth.max(
            before
                .iter()
                .filter(|earlier| earlier.time > sample.time)
                .count(),
        );
    }
    u32::try_from(depth.min(16)).unwrap_or(16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Home, Place};

    fn samples(times: &[i64]) -> Vec<TaskSample> {
        let place = Place {
            home: Home::Source,
            offset: 0,
            size: 1,
        };
        let sample = |time: &i64| TaskSample {
            place,
            time: *time,
            decode_time: 0,
            duration: 1,
            sync: true,
        };
        times.iter().map(sample).collect()
    }

    #[test]
    fn reorder_depth_counts_pictures_held_back() {
        assert_eq!(reorder_depth(&samples(&[0, 1, 2, 3])), 0);
        assert_eq!(reorder_depth(&samples(&[0, 2, 1, 4, 3])), 1);
        assert_eq!(reorder_depth(&samples(&[0, 4, 2, 1, 3])), 2);
    }
}
