//! What a media child is told to do. A task is self-contained: byte ranges, times, recipes.
//!
//! Tasks cross a pipe as JSON; see `sandbox/`.

use serde::{Deserialize, Serialize};

use super::{
    Codec, Level, OrderTask, PicturePlan, Place, Ranks, Reconfiguration, ScanCount, ScanTask,
    SoundPosterTask, StillsTask, VideoRecipe,
};
use crate::time::{FrameRate, Timescale};

/// Work for one child process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Demux a container that we don't read ourselves, and report its index.
    Index(IndexTask),
    /// Decode a stretch once, encode it for every rung.
    Video(VideoTask),
    /// Decode a stretch of sound, encode it.
    Audio(AudioTask),
    /// Say what encoders will say of themselves, and make a poster.
    Configure(ConfigureTask),
    /// Look whether pictures are interlaced.
    Scan(ScanTask),
    /// Decode a stretch of sound, tell how loud it is.
    Measure(MeasureTask),
    /// Learn the order of pictures.
    Order(OrderTask),
}

/// Index the source given as descriptor with libavformat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexTask {
    /// Length of the source in bytes.
    pub size_bytes: u64,
}

/// A sample to feed to a decoder. Times are ticks of the task's `timescale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSample {
    /// Where its bytes are.
    pub place: Place,
    /// Presentation time on the movie time line (edit list applied).
    pub time: i64,
    /// Decode time on the same line.
    pub decode_time: i64,
    /// Ticks it lasts.
    pub duration: u32,
    /// Whether decoding can start here.
    pub sync: bool,
}

/// An output frame to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFrame {
    /// Presentation time of the source picture it shows: equal to some [`TaskSample::time`]. Where
    /// decoding lost that picture, the nearest earlier one is shown (else the next).
    pub source_time: i64,
    /// Make it an IDR picture.
    pub idr: bool,
    /// Of a picture that is two fields ([`super::Scan::Fields`]), it shows the second.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub second_field: bool,
}

/// Decode once, encode for all `renditions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoTask {
    /// Decoder.
    pub codec: Codec,
    /// Decoder configuration.
    pub config: Vec<u8>,
    /// Timescale of the sample times.
    pub timescale: Timescale,
    /// Samples in decode order, starting with a sync sample.
    pub samples: Vec<TaskSample>,
    /// Number, on the plan's frame grid, of `frames[0]`.
    pub first_frame: u32,
    /// All frames to encode, head and tail included, in order.
    pub frames: Vec<TaskFrame>,
    /// How many of the first frames are head: encoded and thrown away.
    pub head: u32,
    /// How many frames after the head are kept; what follows is tail.
    pub keep: u32,
    /// Output frame rate.
    pub frame_rate: FrameRate,
    /// What happens to the picture before scaling.
    pub picture: PicturePlan,
    /// How the kept frames meet their neighbours.
    pub joining: Joining,
    /// What to encode.
    pub renditions: Vec<VideoEncode>,
    /// Still pictures to make on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stills: Option<StillsTask>,
    /// Where the decoder's configuration changes among the samples, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reconfigurations: Vec<Reconfiguration>,
}

/// How a stretch of video meets what is encoded before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joining {
    /// As if all had been encoded in one piece: the recipe's head and tail are encoded too, and
    /// thrown away. Equal tasks give equal bytes, on any machine.
    #[default]
    Seamless,
    /// By itself, as soon as it can be had on this many cores: without a head, and with a decoder
    /// buffer that counts on little from before. The bytes may differ from run to run; the
    /// parameter sets don't.
    Alone {
        /// Cores to use.
        threads: u32,
    },
}

/// One rung in a [`VideoTask`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoEncode {
    /// Output width.
    pub width: u32,
    /// Output height.
    pub height: u32,
    /// Encoder settings. Its head and tail are already part of the task's frames.
    pub recipe: VideoRecipe,
}

/// Decode a stretch of sound and encode AAC-LC frames of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioTask {
    /// Decoder.
    pub codec: Codec,
    /// Decoder configuration.
    pub config: Vec<u8>,
    /// Timescale of the sample times.
    pub timescale: Timescale,
    /// Samples in decode order.
    pub samples: Vec<TaskSample>,
    /// Source channels, as the container says.
    pub source_channels: u16,
    /// Source sample rate, as the container says.
    pub source_sample_rate: u32,
    /// Movie time (source timescale) of the presentation's start, that is of PCM sample 0.
    pub source_start: i64,
    /// First encoded frame to keep, on the rendition's frame grid. Frame `f` covers PCM samples
    /// `f * 1024 - priming ..` of the presentation.
    pub first_frame: u32,
    /// Encoded frames to keep.
    pub frames: u32,
    /// Encoded frames to make before `first_frame` and throw away.
    pub head: u32,
    /// Samples of encoder delay (1024).
    pub priming: u32,
    /// PCM samples in the whole presentation: silence follows.
    pub total_samples: u64,
    /// What to encode; all renditions share sample rate and channels.
    pub renditions: Vec<AudioEncode>,
    /// Output samples a second.
    pub sample_rate: u32,
    /// Output channels.
    pub channels: u16,
    /// Bytes of a source packet, as the container says, or 0.
    pub source_block_align: u32,
    /// Bits a second of the source, as the container says, or 0.
    pub source_bitrate: u32,
    /// What is done to the level before encoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
}

/// Decode a stretch of sound and measure it in one way or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasureTask {
    /// Samples in decode order, for all of `sounds`.
    pub samples: Vec<TaskSample>,
    /// What to hear of one source track: tasks without samples and renditions of their own.
    pub sounds: Vec<AudioTask>,
}

/// One rendition in an [`AudioTask`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioEncode {
    /// Bits a second.
    pub bitrate: u32,
}

/// Open encoders without encoding, for the decoder configurations that tasks with the same recipes
/// will report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigureTask {
    /// Output frame rate of the video.
    pub frame_rate: FrameRate,
    /// The video encoders.
    pub video: Vec<VideoEncode>,
    /// The audio encoders.
    pub audio: Vec<AudioSetting>,
    /// The picture to make a poster of, if one is wanted.
    pub poster: Option<PosterTask>,
    /// The same for a title that has no pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound_poster: Option<SoundPosterTask>,
}

impl ConfigureTask {
    /// Whether a poster is wanted, of whatever kind.
    pub fn wants_poster(&self) -> bool {
        self.poster.is_some() || self.sound_poster.is_some()
    }
}

/// An AAC-LC encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioSetting {
    /// Bits a second.
    pub bitrate: u32,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u16,
}

/// Make a JPEG of the first picture at or after a time that isn't nearly black; of the brightest,
/// where all are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PosterTask {
    /// Decoder.
    pub codec: Codec,
    /// Decoder configuration.
    pub config: Vec<u8>,
    /// Timescale of the sample times.
    pub timescale: Timescale,
    /// Samples in decode order, starting with a sync sample.
    pub samples: Vec<TaskSample>,
    /// Earliest presentation time to show.
    pub from: i64,
    /// What happens to the picture before scaling.
    pub picture: PicturePlan,
    /// Width of the poster.
    pub width: u32,
    /// Height of the poster.
    pub height: u32,
}

/// What a [`ConfigureTask`] gives.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Configured {
    /// The `avcC` of each video encoder.
    pub video: Vec<Vec<u8>>,
    /// The AudioSpecificConfig of each audio encoder.
    pub audio: Vec<Vec<u8>>,
    /// The poster, a JPEG; `None` where none was asked for or no picture could be decoded. Travels
    /// apart from the rest: see [`TaskOutput::poster`].
    #[serde(skip)]
    pub poster: Option<bytes::Bytes>,
    /// What was damaged on the way to the poster.
    pub damage: Vec<Damage>,
}

/// An encoded sample as a child hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedSample {
    /// Which of the task's renditions; of a video task also its stills, which come after them:
    /// [`StillsTask`].
    pub rendition: u32,
    /// Video: presentation number on the plan's frame grid (samples come in decode order).
    /// Audio: frame number on the rendition's frame grid.
    pub frame: u32,
    /// IDR picture, or any AAC frame.
    pub sync: bool,
    /// H.264: length-prefixed NAL units without parameter sets. AAC: the raw frame. A thumbnail:
    /// a JPEG.
    pub data: bytes::Bytes,
}

/// Damage met while decoding, and survived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// Movie time of the sample concerned, in ticks of the task's timescale.
    pub time: i64,
    /// What the decoder said.
    pub message: String,
}

/// What a child reports when it has delivered everything.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TaskSummary {
    /// Decoder configuration of each rendition, and of each I-frame track after them: an `avcC` or
    /// an AudioSpecificConfig.
    pub configs: Vec<Vec<u8>>,
    /// What was damaged.
    pub damage: Vec<Damage>,
    /// Pictures or audio frames decoded.
    pub decoded: u64,
    /// Of an audio task: how loud it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness: Option<LoudnessPart>,
}

/// A tenth of a second without sound in [`LoudnessPart::tenths`].
pub const SILENT_TENTH: i16 = i16::MIN;

/// What was measured of the sound that a task kept, before it was encoded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LoudnessPart {
    /// Number, from the presentation's start, of the first tenth of a second that ends in it.
    pub first_tenth: u32,
    /// Loudness of that one and the following in hundredths of LUFS, or [`SILENT_TENTH`].
    pub tenths: Vec<i16>,
    /// The highest true peak in hundredths of dBTP.
    pub peak_centi_dbtp: i32,
}

/// The files a task's [`Place`]s speak of.
#[derive(Debug)]
pub struct TaskFiles {
    /// [`super::Home::Source`].
    pub source: std::fs::File,
    /// [`super::Home::Spool`], where the container's samples were in pieces.
    pub spool: Option<std::fs::File>,
}

/// Where a task's results go while it works. Called from several threads at once.
pub trait TaskOutput: Sync {
    /// Takes an encoded sample.
    ///
    /// # Errors
    /// When nobody listens any more.
    fn sample(&self, sample: EncodedSample) -> crate::error::Result<()>;

    /// Takes bytes to append to the spool (index tasks only).
    ///
    /// # Errors
    /// When nobody listens any more.
    fn spool(&self, bytes: &[u8]) -> crate::error::Result<()>;

    /// Takes the poster (configure tasks only).
    ///
    /// # Errors
    /// When nobody listens any more.
    fn poster(&self, jpeg: bytes::Bytes) -> crate::error::Result<()>;

    /// Says that work goes on: `done` pictures, frames or packets so far. To be called at least
    /// every few seconds.
    ///
    /// # Errors
    /// When nobody listens any more.
    fn progress(&self, done: u64) -> crate::error::Result<()>;
}

/// What a task gives at its end.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskResult {
    /// Of an index task.
    Index(Box<super::SourceIndex>),
    /// Of a video or audio task.
    Summary(TaskSummary),
    /// Of a scan task.
    Scanned(ScanCount),
    /// Of a measure task: one part for each sound.
    Measured(Vec<LoudnessPart>),
    /// Of an order task.
    Ordered(Ranks),
    /// Of a configure task. Its poster has gone to the [`TaskOutput`].
    Configured(Configured),
}
