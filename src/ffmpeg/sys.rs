//! The only unsafe code: what FFmpeg's C interface offers and the safe wrapper doesn't.
//!
//! Everything here gives out safe types that free themselves on drop. Fields that are C enums are
//! read as plain integers: a hostile bitstream may leave a value in them that the Rust enum does
//! not have.

#![allow(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the one file that talks to C; neighbouring field accesses share one proof"
)]

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io::Write;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ffmpeg_next as ffmpeg;
use ffmpeg_next::ffi;

use crate::error::{Error, ErrorKind, Result};
use crate::media::Colour;

/// How many log lines are kept for error messages.
const LOG_LINES: usize = 16;
/// How many bytes of FFmpeg's log reach standard error in the life of the process.
const LOG_BYTES: usize = 48 * 1024;

static LOG: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
static LOGGED: AtomicUsize = AtomicUsize::new(0);

#[cfg(target_arch = "x86_64")]
type VaList = *mut ffi::__va_list_tag;
#[cfg(not(target_arch = "x86_64"))]
type VaList = ffi::va_list;

/// Keeps errors for [`take_log`], and copies a bounded number of bytes to standard error, where
/// the parent collects last words. Never asks whether that is a terminal, as FFmpeg's own does.
unsafe extern "C" fn capture(
    context: *mut c_void,
    level: c_int,
    format: *const c_char,
    arguments: VaList,
) {
    if level > ffi::AV_LOG_ERROR {
        return;
    }
    let mut line = [0 as c_char; 512];
    let mut prefix: c_int = 1;
    // SAFETY: FFmpeg calls this with its own context, format and arguments, valid for this call;
    // `line` is as long as said and is terminated by the callee.
    let text = unsafe {
        ffi::av_log_format_line2(
            context,
            level,
            format,
            arguments,
            line.as_mut_ptr(),
            511,
            &raw mut prefix,
        );
        CStr::from_ptr(line.as_ptr())
    };
    remember(text.to_string_lossy().trim_end());
}

fn remember(line: &str) {
    if line.is_empty() {
        return;
    }
    if LOGGED.fetch_add(line.len(), Ordering::Relaxed) < LOG_BYTES {
        // Standard error may be closed; there is nobody to tell then.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    let mut log = LOG
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if log.len() == LOG_LINES {
        log.pop_front();
    }
    log.push_back(line.to_owned());
}

/// What FFmpeg has complained about since the last call: the newest line.
pub(super) fn take_log() -> Option<String> {
    let mut log = LOG
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let newest = log.pop_back();
    log.clear();
    newest.map(|line| without_addresses(&line))
}

/// A line of FFmpeg's without the addresses of its objects (`[h264 @ 0x55d1a2]`), which differ
/// from run to run.
fn without_addresses(line: &str) -> String {
    let mut parts = line.split(" @ 0x");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    text
}

/// Sends FFmpeg's log to [`take_log`].
pub(super) fn capture_log() {
    // SAFETY: `capture` is a plain function that lives for ever and may run on any thread.
    unsafe { ffi::av_log_set_callback(Some(capture)) };
}

/// Closes every descriptor but standard input, output and error.
///
/// # Errors
/// When the list of open descriptors can't be read.
pub fn close_inherited_descriptors() -> Result<()> {
    let listing =
        std::fs::read_dir("/proc/self/fd").map_err(|e| Error::io("listing descriptors", e))?;
    let open: Vec<i32> = listing
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|number| *number > 2) {
        // SAFETY: called before anything in this process has opened a descriptor of its own, so
        // nobody owns these; the listing's own one is closed already and closing it again is
        // an error that changes nothing.
        unsafe { libc::close(descriptor) };
    }
    Ok(())
}

/// The decoder of the codec that has this name (`avcodec_descriptor_get_by_name`), which is not
/// always the decoder's own: `av1` gives `libdav1d`, `dts` gives `dca`.
pub(super) fn decoder_named(codec: &str) -> Option<ffmpeg::Codec> {
    let name = CString::new(codec).ok()?;
    // SAFETY: `name` outlives the call; the descriptor returned is static or null.
    let descriptor = unsafe { ffi::avcodec_descriptor_get_by_name(name.as_ptr()).as_ref() }?;
    // SAFETY: takes any id; gives a static codec or null.
    let codec = unsafe { ffi::avcodec_find_decoder(descriptor.id) };
    // SAFETY: not null, static.
    (!codec.is_null()).then(|| unsafe { ffmpeg::Codec::wrap(codec) })
}

/// Another reference to the same picture: its pixels are shared, its properties are its own.
pub(super) fn share(frame: &ffmpeg::Frame) -> Result<ffmpeg::Frame> {
    // SAFETY: `empty` allocates a frame that frees itself; `av_frame_ref` fills it from a valid
    // frame, and reference counts are atomic.
    let (shared, code) = unsafe {
        let mut shared = ffmpeg::Frame::empty();
        let code = ffi::av_frame_ref(shared.as_mut_ptr(), frame.as_ptr());
        (shared, code)
    };
    if code < 0 {
        return Err(no_memory());
    }
    Ok(shared)
}

/// An empty frame for a decoder or filter to fill.
pub(super) fn empty_frame() -> ffmpeg::Frame {
    // SAFETY: allocates; the frame frees itself.
    unsafe { ffmpeg::Frame::empty() }
}

pub(super) fn no_memory() -> Error {
    Error::new(ErrorKind::Exhausted, "out of memory")
}

/// Size, pixel format and colour of a decoded picture: what a filter graph depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub width: u32,
    pub height: u32,
    /// `AVPixelFormat`.
    pub format: i32,
    pub colour: Colour,
}

/// Reads the shape of a picture.
pub(super) fn shape(frame: &ffmpeg::Frame) -> Shape {
    // SAFETY: a live frame; enum fields are read as the integers they are.
    unsafe {
        let raw = frame.as_ptr();
        Shape {
            width: u32::try_from((*raw).width).unwrap_or(0),
            height: u32::try_from((*raw).height).unwrap_or(0),
            format: (*raw).format,
            colour: Colour {
                primaries: code_point((&raw const (*raw).color_primaries).cast::<i32>().read()),
                transfer: code_point((&raw const (*raw).color_trc).cast::<i32>().read()),
                matrix: code_point((&raw const (*raw).colorspace).cast::<i32>().read()),
                full_range: (&raw const (*raw).color_range).cast::<i32>().read()
                    == ffi::AVColorRange::AVCOL_RANGE_JPEG as i32,
            },
        }
    }
}

/// Whether pictures of a pixel format have an opacity.
pub(super) fn has_alpha(format: i32) -> bool {
    let Some(format) = pixel_format(format) else {
        return false;
    };
    // SAFETY: takes any format; gives a static descriptor or null.
    let descriptor = unsafe { ffi::av_pix_fmt_desc_get(format.into()).as_ref() };
    descriptor.is_some_and(|d| d.flags & (ffi::AV_PIX_FMT_FLAG_ALPHA as u64) != 0)
}

/// Width to height of a picture's pixels, as its bitstream says; 0 where it doesn't.
pub(super) fn pixel_aspect(frame: &ffmpeg::Frame) -> (u32, u32) {
    // SAFETY: a live frame.
    let aspect = unsafe { (*frame.as_ptr()).sample_aspect_ratio };
    let unsigned = |value| u32::try_from(value).unwrap_or(0);
    (unsigned(aspect.num), unsigned(aspect.den))
}

fn code_point(value: i32) -> u8 {
    u8::try_from(value).unwrap_or(2)
}

/// Says what colour a picture has.
///
/// The caller gives only code points that FFmpeg knows; see `picture.rs`.
pub(super) fn set_colour(frame: &mut ffmpeg::Frame, colour: Colour) {
    let range = if colour.full_range {
        ffi::AVColorRange::AVCOL_RANGE_JPEG
    } else {
        ffi::AVColorRange::AVCOL_RANGE_MPEG
    };
    // SAFETY: a live frame that the caller alone holds; the fields are C enums, that is integers.
    unsafe {
        let raw = frame.as_mut_ptr();
        (*raw).color_range = range;
        (&raw mut (*raw).color_primaries)
            .cast::<i32>()
            .write(i32::from(colour.primaries));
        (&raw mut (*raw).color_trc)
            .cast::<i32>()
            .write(i32::from(colour.transfer));
        (&raw mut (*raw).colorspace)
            .cast::<i32>()
            .write(i32::from(colour.matrix));
    }
}

/// Makes the picture's pixels square.
pub(super) fn set_square_pixels(frame: &mut ffmpeg::Frame) {
    // SAFETY: a live frame that the caller alone holds.
    unsafe { (*frame.as_mut_ptr()).sample_aspect_ratio = ffi::AVRational { num: 1, den: 1 } };
}

/// Marks which type the encoder shall make of the picture: intra, or its own choice.
pub(super) fn set_intra(frame: &mut ffmpeg::Frame, intra: bool) {
    let kind = if intra {
        ffi::AVPictureType::AV_PICTURE_TYPE_I
    } else {
        ffi::AVPictureType::AV_PICTURE_TYPE_NONE
    };
    // SAFETY: a live frame that the caller alone holds.
    unsafe { (*frame.as_mut_ptr()).pict_type = kind };
}

/// The quantiser that an encoder of constant quality shall use for the picture.
pub(super) fn set_quantiser(frame: &mut ffmpeg::Frame, quantiser: i32) {
    // SAFETY: a live frame that the caller alone holds.
    unsafe { (*frame.as_mut_ptr()).quality = quantiser * ffi::FF_QP2LAMBDA as c_int };
}

/// Whether the decoder marked the picture as damaged.
pub(super) fn is_damaged(frame: &ffmpeg::Frame) -> bool {
    frame.is_corrupt() || frame.has_decode_errors()
}

/// Gives a codec context its out-of-band configuration.
pub(super) fn set_extradata(context: &mut ffmpeg::codec::Context, bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let size = c_int::try_from(bytes.len())
        .map_err(|_| Error::invalid("the decoder configuration is too long"))?;
    let padding = usize::try_from(ffi::AV_INPUT_BUFFER_PADDING_SIZE).unwrap_or(64);
    // SAFETY: the buffer is as long as the bytes plus zeroed padding, comes from FFmpeg's
    // allocator, and from here on belongs to the context, which frees it.
    unsafe {
        let buffer = ffi::av_mallocz(bytes.len() + padding).cast::<u8>();
        if buffer.is_null() {
            return Err(no_memory());
        }
        ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, bytes.len());
        let raw = context.as_mut_ptr();
        ffi::av_freep((&raw mut (*raw).extradata).cast());
        (*raw).extradata = buffer;
        (*raw).extradata_size = size;
    }
    Ok(())
}

/// A codec context's out-of-band configuration.
pub(super) fn extradata(context: &ffmpeg::codec::Context) -> Vec<u8> {
    // SAFETY: a live context.
    let (data, size) = unsafe {
        let raw = context.as_ptr();
        ((*raw).extradata.cast_const(), (*raw).extradata_size)
    };
    // SAFETY: FFmpeg keeps `extradata_size` bytes there.
    unsafe { bytes_at(data, size) }
}

/// # Safety
/// `data` is null or points at `size` readable bytes.
unsafe fn bytes_at(data: *const u8, size: c_int) -> Vec<u8> {
    match usize::try_from(size) {
        // SAFETY: the caller's promise.
        Ok(size) if !data.is_null() => unsafe { std::slice::from_raw_parts(data, size) }.to_vec(),
        _ => Vec::new(),
    }
}

/// How the pixels of pictures without any coding are laid out: a container's code, bits of a pixel.
pub(super) fn set_raw_pictures(context: &mut ffmpeg::codec::Context, tag: u32, bits: u32) {
    // SAFETY: a live context that isn't open yet.
    unsafe {
        let raw = context.as_mut_ptr();
        (*raw).codec_tag = tag;
        (*raw).bits_per_coded_sample = c_int::try_from(bits).unwrap_or(0);
    }
}

/// What a video decoder has to be told that the bitstream may not say.
pub(super) fn set_picture_size(
    context: &mut ffmpeg::codec::Context,
    size: (u32, u32),
    reorder_depth: u32,
) {
    // SAFETY: a live context that isn't open yet.
    unsafe {
        let raw = context.as_mut_ptr();
        (*raw).width = c_int::try_from(size.0).unwrap_or(0);
        (*raw).height = c_int::try_from(size.1).unwrap_or(0);
        (*raw).has_b_frames = c_int::try_from(reorder_depth).unwrap_or(0);
    }
}

/// Bounds the pictures that a decoder agrees to decode.
pub(super) fn set_max_pixels(context: &mut ffmpeg::codec::Context, pixels: i64) {
    // SAFETY: a live context that isn't open yet.
    unsafe { (*context.as_mut_ptr()).max_pixels = pixels };
}

/// Makes an open decoder leave out the pictures that no other one needs.
pub(super) fn set_skip_unreferenced(context: &mut ffmpeg::codec::Context, skip: bool) {
    let discard = match skip {
        true => ffi::AVDiscard::AVDISCARD_NONREF,
        false => ffi::AVDiscard::AVDISCARD_DEFAULT,
    };
    // SAFETY: a live context; a decoder reads the field when it takes the next packet.
    unsafe { (*context.as_mut_ptr()).skip_frame = discard };
}

/// What an audio decoder has to be told that the bitstream may not say.
pub(super) fn set_sound(context: &mut ffmpeg::codec::Context, sample_rate: u32, channels: u16) {
    // SAFETY: a live context that isn't open yet; the layout inside it is initialised.
    unsafe {
        let raw = context.as_mut_ptr();
        (*raw).sample_rate = c_int::try_from(sample_rate).unwrap_or(0);
        ffi::av_channel_layout_uninit(&raw mut (*raw).ch_layout);
        ffi::av_channel_layout_default(&raw mut (*raw).ch_layout, c_int::from(channels));
    }
}

/// Tells a decoder how its packets are made: bytes of each and bits a second, where known. WMA and
/// block-wise ADPCM can't be decoded without.
pub(super) fn set_packets(context: &mut ffmpeg::codec::Context, block_align: u32, bitrate: u32) {
    // SAFETY: a live context that isn't open yet.
    unsafe {
        let raw = context.as_mut_ptr();
        (*raw).block_align = c_int::try_from(block_align).unwrap_or(0);
        (*raw).bit_rate = i64::from(bitrate);
    }
}

/// Decoder buffer size, and where chroma lies: fields without a setter.
pub(super) fn set_encoder_fields(context: &mut ffmpeg::codec::Context, bufsize_bits: u32) {
    // SAFETY: a live context that isn't open yet.
    unsafe {
        let raw = context.as_mut_ptr();
        (*raw).rc_buffer_size = c_int::try_from(bufsize_bits).unwrap_or(c_int::MAX);
        (*raw).chroma_sample_location = ffi::AVChromaLocation::AVCHROMA_LOC_UNSPECIFIED;
    }
}

/// The level, by the number that the encoder knows it by.
pub(super) fn set_level(context: &mut ffmpeg::encoder::video::Video, level: u32) {
    // SAFETY: a live context that isn't open yet.
    unsafe { (*context.as_mut_ptr()).level = c_int::try_from(level).unwrap_or(0) };
}

/// What a container says about one stream.
#[derive(Debug, Clone)]
pub(super) struct StreamParameters {
    /// Codec name, or its four-character code where FFmpeg knows none.
    pub codec: String,
    /// The container's own code for the codec, or for how raw pixels are laid out; else 0.
    pub tag: u32,
    /// Bits of a pixel or of a PCM sample as the container says; else 0.
    pub coded_bits: u32,
    pub extradata: Vec<u8>,
    pub width: u32,
    pub height: u32,
    /// Width to height of a pixel; (0, 1) when not known.
    pub pixel_aspect: (i32, i32),
    pub colour: Colour,
    pub sample_rate: u32,
    pub channels: u16,
    /// PCM samples in a packet, where constant; else 0.
    pub frame_size: u32,
    /// Bytes of one PCM sample of all channels; else 0.
    pub block_align: u32,
    /// Bits a second, or 0.
    pub bitrate: u32,
}

/// Reads a stream's parameters.
pub(super) fn stream_parameters(stream: &ffmpeg::Stream<'_>) -> StreamParameters {
    let unsigned = |value: c_int| u32::try_from(value).unwrap_or(0);
    // SAFETY: the stream belongs to a live format context and has parameters for as long; enum
    // fields are read as the integers they are.
    unsafe {
        let raw = stream.as_ptr();
        let parameters = (*raw).codecpar;
        let own = (*parameters).sample_aspect_ratio;
        let aspect = if (*raw).sample_aspect_ratio.num > 0 {
            (*raw).sample_aspect_ratio
        } else {
            own
        };
        StreamParameters {
            codec: codec_name(parameters),
            tag: (*parameters).codec_tag,
            coded_bits: unsigned((*parameters).bits_per_coded_sample),
            extradata: bytes_at((*parameters).extradata, (*parameters).extradata_size),
            width: unsigned((*parameters).width),
            height: unsigned((*parameters).height),
            pixel_aspect: (aspect.num, aspect.den),
            colour: Colour {
                primaries: code_point(
                    (&raw const (*parameters).color_primaries)
                        .cast::<i32>()
                        .read(),
                ),
                transfer: code_point((&raw const (*parameters).color_trc).cast::<i32>().read()),
                matrix: code_point((&raw const (*parameters).color_space).cast::<i32>().read()),
                full_range: (&raw const (*parameters).color_range).cast::<i32>().read()
                    == ffi::AVColorRange::AVCOL_RANGE_JPEG as i32,
            },
            sample_rate: unsigned((*parameters).sample_rate),
            channels: u16::try_from((*parameters).ch_layout.nb_channels).unwrap_or(0),
            frame_size: unsigned((*parameters).frame_size),
            block_align: unsigned((*parameters).block_align),
            bitrate: u32::try_from((*parameters).bit_rate).unwrap_or(0),
        }
    }
}

/// # Safety
/// `parameters` is live.
unsafe fn codec_name(parameters: *const ffi::AVCodecParameters) -> String {
    // SAFETY: the caller's promise; the name returned is static. The id comes from FFmpeg's own
    // tables, so it is a value of the enum.
    let (name, tag) = unsafe {
        let name = CStr::from_ptr(ffi::avcodec_get_name((*parameters).codec_id));
        (name.to_string_lossy().into_owned(), (*parameters).codec_tag)
    };
    if name != "none" && name != "unknown_codec" {
        return name;
    }
    tag.to_le_bytes()
        .iter()
        .map(|byte| {
            if byte.is_ascii_graphic() {
                char::from(*byte)
            } else {
                '.'
            }
        })
        .collect()
}

/// The number of channels and the native layout mask of decoded sound (0 when unordered).
fn layout_of(frame: &ffmpeg::Frame) -> (c_int, u64) {
    // SAFETY: a live frame; the mask is read only where the layout is a native one.
    unsafe {
        let layout = &(*frame.as_ptr()).ch_layout;
        let native = layout.order as u32 == ffi::AVChannelOrder::AV_CHANNEL_ORDER_NATIVE as u32;
        (layout.nb_channels, if native { layout.u.mask } else { 0 })
    }
}

/// How decoded sound is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SoundShape {
    /// `AVSampleFormat`.
    pub format: i32,
    pub rate: u32,
    pub channels: i32,
    /// Native channel mask, or 0.
    pub mask: u64,
    /// Samples a channel.
    pub samples: usize,
}

/// Reads how decoded sound is stored.
pub(super) fn sound_shape(frame: &ffmpeg::Frame) -> SoundShape {
    let (channels, mask) = layout_of(frame);
    // SAFETY: a live frame.
    let (format, rate, samples) = unsafe {
        let raw = frame.as_ptr();
        ((*raw).format, (*raw).sample_rate, (*raw).nb_samples)
    };
    SoundShape {
        format,
        rate: u32::try_from(rate).unwrap_or(0),
        channels,
        mask,
        samples: usize::try_from(samples).unwrap_or(0),
    }
}

/// At which level more channels are mixed into fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mix {
    /// So that the sum can't be over full scale.
    Scaled,
    /// As ITU-R BS.775 has it: front channels as they are. The sum may be over full scale.
    Full,
}

/// Mixes, converts and resamples sound to planar 32-bit float.
pub(super) struct Resampler {
    context: *mut ffi::SwrContext,
    channels: usize,
    input_rate: u32,
    output_rate: u32,
}

// SAFETY: the context has one owner and no ties to the thread it was made on.
unsafe impl Send for Resampler {}

impl Resampler {
    /// From sound of `shape` to `channels` channels at `rate`.
    pub(super) fn new(shape: SoundShape, channels: u16, rate: u32, mix: Mix) -> Result<Self> {
        let mut context: *mut ffi::SwrContext = ptr::null_mut();
        // SAFETY: layouts are plain values here (native or default order: nothing to free); the
        // format comes from a decoder or from our own constant; `context` receives an owned
        // context, which drop frees also when a later step fails.
        let code = unsafe {
            let mut input: ffi::AVChannelLayout = std::mem::zeroed();
            if shape.mask == 0 || ffi::av_channel_layout_from_mask(&raw mut input, shape.mask) < 0 {
                ffi::av_channel_layout_default(&raw mut input, shape.channels);
            }
            let mut output: ffi::AVChannelLayout = std::mem::zeroed();
            ffi::av_channel_layout_default(&raw mut output, c_int::from(channels));
            ffi::swr_alloc_set_opts2(
                &raw mut context,
                &raw mut output,
                ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP,
                c_int::try_from(rate).unwrap_or(0),
                &raw mut input,
                std::mem::transmute::<i32, ffi::AVSampleFormat>(shape.format),
                c_int::try_from(shape.rate).unwrap_or(0),
                0,
                ptr::null_mut(),
            )
        };
        let made = Self {
            context,
            channels: usize::from(channels),
            input_rate: shape.rate,
            output_rate: rate,
        };
        if code < 0 {
            return Err(from_code("setting up the sound converter", code));
        }
        let largest_sum = match mix {
            Mix::Scaled => 1.0,
            // More than any.
            Mix::Full => 1000.0,
        };
        // SAFETY: a live context; the option name is a C string.
        let code = unsafe {
            let name = c"rematrix_maxval".as_ptr();
            ffi::av_opt_set_double(made.context.cast(), name, largest_sum, 0);
            ffi::swr_init(made.context)
        };
        if code < 0 {
            return Err(from_code("setting up the sound converter", code));
        }
        Ok(made)
    }

    /// Planar float of `channels` channels at `from`, resampled to `to`.
    pub(super) fn planar(channels: u16, from: u32, to: u32) -> Result<Self> {
        let shape = SoundShape {
            format: ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP as i32,
            rate: from,
            channels: c_int::from(channels),
            mask: 0,
            samples: 0,
        };
        Self::new(shape, channels, to, Mix::Scaled)
    }

    /// Converts a decoded frame; `shape` must be what this converter was made for.
    pub(super) fn push_frame(
        &mut self,
        frame: &ffmpeg::Frame,
        output: &mut [Vec<f32>],
    ) -> Result<()> {
        // SAFETY: a live frame; `extended_data` has a pointer for each plane of `nb_samples`.
        let (data, samples) = unsafe {
            let raw = frame.as_ptr();
            ((*raw).extended_data.cast::<*const u8>(), (*raw).nb_samples)
        };
        // SAFETY: as above.
        unsafe { self.convert(data, samples, output) }
    }

    /// Converts planes of equal length.
    pub(super) fn push_planes(
        &mut self,
        planes: &[Vec<f32>],
        output: &mut [Vec<f32>],
    ) -> Result<()> {
        let samples = planes.first().map_or(0, Vec::len);
        if planes.len() != self.channels || planes.iter().any(|plane| plane.len() != samples) {
            return Err(Error::internal("sound planes of unequal length"));
        }
        let mut pointers: Vec<*const u8> =
            planes.iter().map(|plane| plane.as_ptr().cast()).collect();
        let samples = c_int::try_from(samples).map_err(|_| no_memory())?;
        // SAFETY: one pointer for each channel, each to `samples` floats.
        unsafe { self.convert(pointers.as_mut_ptr(), samples, output) }
    }

    /// Gets out what the filter still holds.
    pub(super) fn finish(&mut self, output: &mut [Vec<f32>]) -> Result<()> {
        // SAFETY: no input.
        unsafe { self.convert(ptr::null_mut(), 0, output) }
    }

    /// # Safety
    /// `input` is null, or has a plane of `samples` samples in the input format for each of its
    /// planes.
    unsafe fn convert(
        &mut self,
        input: *mut *const u8,
        samples: c_int,
        output: &mut [Vec<f32>],
    ) -> Result<()> {
        // SAFETY: a live context.
        let bound = unsafe { ffi::swr_get_out_samples(self.context, samples) };
        let room = usize::try_from(bound).map_err(|_| no_memory())?;
        let mut starts = Vec::with_capacity(self.channels);
        for plane in output.iter_mut() {
            starts.push(plane.len());
            plane.resize(plane.len() + room, 0.0);
        }
        if output.len() != self.channels {
            return Err(Error::internal(
                "one output plane for each channel expected",
            ));
        }
        let mut pointers: Vec<*mut u8> = output
            .iter_mut()
            .zip(&starts)
            .map(|(plane, start)| plane[*start..].as_mut_ptr().cast())
            .collect();
        // SAFETY: each output plane has room for `bound` floats behind its start; the input is
        // as the caller promises.
        let got =
            unsafe { ffi::swr_convert(self.context, pointers.as_mut_ptr(), bound, input, samples) };
        let taken = usize::try_from(got).unwrap_or(0).min(room);
        for (plane, start) in output.iter_mut().zip(&starts) {
            plane.truncate(start + taken);
        }
        if got < 0 {
            return Err(from_code("converting sound", got));
        }
        Ok(())
    }
}

impl Drop for Resampler {
    fn drop(&mut self) {
        // SAFETY: owned; a null context is allowed.
        unsafe { ffi::swr_free(&raw mut self.context) };
    }
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Resampler({} -> {} Hz)",
            self.input_rate, self.output_rate
        )
    }
}

/// A planar float frame of these planes, for the encoder.
pub(super) fn sound_frame(planes: &[&[f32]], sample_rate: u32) -> Result<ffmpeg::Frame> {
    let samples = planes.first().map_or(0, |plane| plane.len());
    let mut frame = empty_frame();
    // SAFETY: a fresh frame that we alone hold; the buffer is allocated for exactly these numbers
    // of channels and samples before the planes are copied into it.
    unsafe {
        let raw = frame.as_mut_ptr();
        (*raw).format = ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP as i32;
        (*raw).sample_rate = c_int::try_from(sample_rate).unwrap_or(0);
        (*raw).nb_samples = c_int::try_from(samples).map_err(|_| no_memory())?;
        let channels = c_int::try_from(planes.len()).map_err(|_| no_memory())?;
        ffi::av_channel_layout_default(&raw mut (*raw).ch_layout, channels);
        if ffi::av_frame_get_buffer(raw, 0) < 0 {
            return Err(no_memory());
        }
        for (channel, plane) in planes.iter().enumerate() {
            if plane.len() != samples {
                return Err(Error::internal("sound planes of unequal length"));
            }
            let target = (*(*raw).extended_data.add(channel)).cast::<f32>();
            ptr::copy_nonoverlapping(plane.as_ptr(), target, samples);
        }
    }
    Ok(frame)
}

/// Sets sample rate, planar float and the default layout of that many channels on an encoder.
pub(super) fn set_encoder_sound(
    context: &mut ffmpeg::codec::Context,
    sample_rate: u32,
    channels: u16,
) {
    set_sound(context, sample_rate, channels);
    // SAFETY: a live context that isn't open yet.
    unsafe { (*context.as_mut_ptr()).sample_fmt = ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP };
}

/// An error of ours from an FFmpeg error code.
pub(super) fn from_code(what: &str, code: c_int) -> Error {
    super::from_av(what, ffmpeg::Error::from(code))
}

/// The pixel format of that number, if FFmpeg has it.
pub(super) fn pixel_format(number: i32) -> Option<ffmpeg::format::Pixel> {
    if number < 0 || number >= ffi::AVPixelFormat::AV_PIX_FMT_NB as i32 {
        return None;
    }
    // SAFETY: the enum has every value from 0 up to its count.
    let format = unsafe { std::mem::transmute::<i32, ffi::AVPixelFormat>(number) };
    Some(ffmpeg::format::Pixel::from(format))
}

/// A stream's tag of that name. Containers hold any bytes; what isn't UTF-8 is replaced.
pub(super) fn stream_tag(stream: &ffmpeg::Stream<'_>, name: &CStr) -> Option<String> {
    // SAFETY: the stream belongs to a live format context; entries live as long as its
    // dictionary, and their values are C strings.
    unsafe {
        let metadata = (*stream.as_ptr()).metadata;
        let entry = ffi::av_dict_get(metadata, name.as_ptr(), ptr::null(), 0).as_ref()?;
        Some(CStr::from_ptr(entry.value).to_string_lossy().into_owned())
    }
}

/// A chapter's tag of that name, likewise.
pub(super) fn chapter_tag(
    chapter: &ffmpeg::format::chapter::Chapter<'_>,
    name: &CStr,
) -> Option<String> {
    // SAFETY: the chapter belongs to a live format context; entries live as long as its
    // dictionary, and their values are C strings.
    unsafe {
        let metadata = (*chapter.as_ptr()).metadata;
        let entry = ffi::av_dict_get(metadata, name.as_ptr(), ptr::null(), 0).as_ref()?;
        Some(CStr::from_ptr(entry.value).to_string_lossy().into_owned())
    }
}

/// The name of a container format.
pub(super) fn format_name(input: &ffmpeg::format::context::Input) -> String {
    // SAFETY: an open input has a format; its name is static.
    unsafe { CStr::from_ptr((*(*input.as_ptr()).iformat).name) }
        .to_string_lossy()
        .into_owned()
}

/// The codec of a stream.
pub(super) fn stream_codec(stream: &ffmpeg::Stream<'_>) -> String {
    // SAFETY: the stream belongs to a live format context and has parameters for as long.
    unsafe { codec_name((*stream.as_ptr()).codecpar) }
}

/// Makes a graph run on the thread that feeds it: some filters cut pictures into as many slices as
/// there are threads, and their output depends on the cuts.
pub(super) fn set_single_threaded(graph: &mut ffmpeg::filter::Graph) {
    // SAFETY: a live graph that isn't configured yet.
    unsafe {
        let raw = graph.as_mut_ptr();
        (*raw).nb_threads = 1;
        (*raw).thread_type = 0;
    }
}
