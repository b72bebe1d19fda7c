//! An index task: what a container holds, and where each sample lies, learnt with libavformat.
//!
//! Bytes come from the descriptor the child was given; no address is ever opened, no playlist
//! followed. Samples that the container stores in pieces are sent out to the spool.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::stream::Disposition as Flags;

use super::bytes_of::MAX_SAMPLE_BYTES;
use super::decode::RawPictures;
use super::frame_length::{self, Length};
use super::heartbeat::Heartbeat;
use super::sound_times::{self, Span};
use super::sys::{self, StreamParameters};
use super::times::{self, Continuity, TimedSample};
use super::{decode, from_av, language, light, locate, order, text};
use crate::error::{Error, ErrorKind, Result};
use crate::media::{
    ALLOWED_CODECS, AudioInfo, Codec, Disposition, Edit, Home, IndexTask, Orientation, PixelAspect,
    Place, SampleTable, SourceIndex, SourceTrack, TaskFiles, TaskOutput, TrackKind, VideoInfo,
};
use crate::read_at::ReadAt;
use crate::time::{Rounding, Ticks, Timescale, gcd, rescale};

/// Demuxers that may run: containers of media, and bare elementary streams. None of those that
/// name other files (`hls`, `dash`, `concat`, `sdp`, `image2`, ...).
const FORMATS: &str = "matroska,webm,mpegts,mpeg,mpegvideo,avi,dv,flv,live_flv,ogg,h264,hevc,m4v,obu,\
                       ivf,mov,mp4,asf,wav,w64,aiff,caf,mp3,aac,ac3,eac3,flac,dts,amr";
/// Coarser timescales are multiplied.
const LEAST_TIMESCALE: u32 = 1000;
/// Bytes and microseconds that are looked at to learn what the streams are.
const PROBE_BYTES: &str = "10000000";
const PROBE_MICROS: &str = "10000000";
/// Streams that a source may have.
const MAX_STREAMS: usize = 64;
/// Packets that a source may have: ten hours of 64 streams at 20 a second.
const MAX_PACKETS: usize = 48_000_000;
/// Broken packets in a row after which the rest is given up.
const MAX_BROKEN: u32 = 1000;
/// Gaps in a track's sound from which on counting samples isn't trusted, if they are many.
const MANY_ANCHORS: u32 = 8;
/// Warnings that are kept.
const MAX_WARNINGS: usize = 50;

/// Does an index task.
pub(super) fn run(
    task: &IndexTask,
    files: &TaskFiles,
    output: &dyn TaskOutput,
) -> Result<SourceIndex> {
    refuse_playlist(&files.source)?;
    let trouble = Arc::new(Mutex::new(None));
    let mut input = open(files, task.size_bytes, &trouble)?;
    let mut demuxed = Demuxed::default();
    demuxed.gather(&mut input, files, output)?;
    if let Some(error) = trouble
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
    {
        return Err(Error::io("reading the source", error));
    }
    let mut tracks = Vec::new();
    for stream in input.streams() {
        let packets = demuxed.packets.get_mut(stream.index()).map(std::mem::take);
        let packets = packets.unwrap_or_default();
        tracks.push(track(
            &stream,
            packets,
            files,
            output,
            &mut demuxed.warnings,
        )?);
    }
    let start_millis = start_at_zero(&mut tracks, demuxed.is_free);
    if demuxed.clock.breaks() > 0 {
        demuxed.warn(match demuxed.clock.breaks() {
            1 => "the clock jumps once; bridged".to_owned(),
            many => format!("the clock jumps {many} times; bridged"),
        });
    }
    let name = sys::format_name(&input);
    Ok(SourceIndex {
        container: name.split(',').next().unwrap_or_default().to_owned(),
        size_bytes: task.size_bytes,
        tracks,
        warnings: demuxed.warnings,
        chapters: text::chapters(&input, start_millis),
    })
}

/// Whether a container's clock may start anywhere, jump, and wrap around: transport and program
/// streams.
fn has_free_clock(format: &str) -> bool {
    ["mpegts", "mpeg"].contains(&format)
}

/// Texts that name other files are no media, whatever they are called.
fn refuse_playlist(source: &File) -> Result<()> {
    let mut head = [0; 1024];
    let got = source.read_at(0, &mut head)?;
    let head = head.get(..got).unwrap_or_default();
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let head = head.trim_ascii_start();
    let kinds: [(&[u8], &str); 8] = [
        (b"#EXTM3U", "an HLS playlist"),
        (b"ffconcat", "a concat script"),
        (b"v=0", "a session description"),
        (b"<?xml", "an XML document"),
        (b"<MPD", "a DASH manifest"),
        (b"<smil", "a SMIL document"),
        (b"[playlist]", "a playlist"),
        (b"[InternetShortcut]", "a link"),
    ];
    match kinds.iter().find(|(mark, _)| head.starts_with(mark)) {
        Some((_, what)) => Err(Error::invalid(format!(
            "the source is {what}, which only names other files"
        ))),
        None => Ok(()),
    }
}

/// The source as FFmpeg reads it. Remembers the first error that is not the end.
struct Source {
    file: File,
    position: u64,
    size: u64,
    trouble: Arc<Mutex<Option<std::io::Error>>>,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match std::os::unix::fs::FileExt::read_at(&self.file, buffer, self.position) {
            Ok(got) => {
                self.position = self.position.saturating_add(got as u64);
                Ok(got)
            }
            Err(error) => {
                let kind = error.kind();
                if kind != std::io::ErrorKind::Interrupted {
                    let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
                    trouble.get_or_insert(error);
                }
                Err(kind.into())
            }
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

fn open(
    files: &TaskFiles,
    size: u64,
    trouble: &Arc<Mutex<Option<std::io::Error>>>,
) -> Result<ffmpeg::format::context::Input> {
    let file = files
        .source
        .try_clone()
        .map_err(|e| Error::io("opening the source", e))?;
    let source = Source {
        file,
        position: 0,
        size,
        trouble: Arc::clone(trouble),
    };
    let stream = ffmpeg::format::context::StreamIo::from_read_seek(source)
        .map_err(|e| from_av("opening the source", e))?;
    // Learning about streams opens decoders: only those of the list, by the decoders' own names.
    let decoders: Vec<String> = ALLOWED_CODECS
        .iter()
        .filter_map(|codec| Some(sys::decoder_named(codec)?.name().to_owned()))
        .collect();
    let mut options = ffmpeg::Dictionary::new();
    options.set("format_whitelist", FORMATS);
    options.set("protocol_whitelist", "none");
    options.set("codec_whitelist", &decoders.join(","));
    options.set("probesize", PROBE_BYTES);
    options.set("analyzeduration", PROBE_MICROS);
    options.set("max_streams", &MAX_STREAMS.to_string());
    options.set("enable_drefs", "0");
    ffmpeg::format::input_from_stream(stream, None, Some(options)).map_err(|error| {
        let why = from_av(
            "no media file that can be read, or its start is missing; check it, or export it \
             again as MP4, MOV, Matroska, WebM or MPEG-TS",
            error,
        );
        match why.kind() {
            ErrorKind::Exhausted | ErrorKind::DataLoss => why,
            _ => Error::unsupported(why.to_string()),
        }
    })
}

/// A packet as the container gave it.
#[derive(Debug, Clone, Copy)]
struct Packet {
    pts: Option<i64>,
    dts: Option<i64>,
    duration: i64,
    sync: bool,
    /// VP8 only: the picture is for reference and never shown.
    hidden: bool,
    /// How much sound its own header says that it holds.
    length: Option<Length>,
    /// The container gave its time; else libavformat made it up from the packet before.
    timed: bool,
    place: Place,
}

/// Everything that was demuxed.
#[derive(Debug, Default)]
struct Demuxed {
    packets: Vec<Vec<Packet>>,
    warnings: Vec<String>,
    clock: Continuity,
    /// See [`has_free_clock`].
    is_free: bool,
    /// End of the last packet found in the source, by stream.
    ends: Vec<u64>,
    /// Bytes sent to the spool.
    spooled: u64,
}

impl Demuxed {
    fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Reads all packets. Drives the reading itself, because an iterator would make the end of
    /// the file out of every error.
    fn gather(
        &mut self,
        input: &mut ffmpeg::format::context::Input,
        files: &TaskFiles,
        output: &dyn TaskOutput,
    ) -> Result<()> {
        self.is_free = has_free_clock(&sys::format_name(input));
        let (mut total, mut broken) = (0_usize, 0);
        let heartbeat = Heartbeat::new(output);
        loop {
            let mut packet = ffmpeg::Packet::empty();
            match packet.read(input) {
                Ok(()) => broken = 0,
                Err(ffmpeg::Error::Eof) => break,
                Err(error) => {
                    let error = from_av("reading a packet", error);
                    if error.kind() == ErrorKind::Exhausted {
                        return Err(error);
                    }
                    self.warn(error.to_string());
                    broken += 1;
                    if broken > MAX_BROKEN {
                        break;
                    }
                    continue;
                }
            }
            total += 1;
            if total > MAX_PACKETS {
                return Err(Error::new(
                    ErrorKind::Exhausted,
                    "the source has too many samples",
                ));
            }
            let offset = if self.is_free {
                self.bridge(input, &packet)
            } else {
                0
            };
            self.add(&packet, input, offset, files, output)?;
            heartbeat.beat()?;
        }
        Ok(())
    }

    /// What to add to this packet's times, in its stream's ticks.
    fn bridge(&mut self, input: &ffmpeg::format::context::Input, packet: &ffmpeg::Packet) -> i64 {
        let Some(stream) = input.stream(packet.stream()) else {
            return 0;
        };
        let Some(scale) = Scale::of(&stream) else {
            return 0;
        };
        let Some(time) = packet.dts().or(packet.pts()) else {
            return 0;
        };
        let now = Ticks::new(scale.ticks(time), scale.timescale);
        let micros = now.to(Timescale::MICROS, Rounding::Nearest).count;
        let steady = matches!(
            stream.parameters().medium(),
            ffmpeg::media::Type::Audio | ffmpeg::media::Type::Video
        );
        let offset = self.clock.offset(packet.stream(), steady, micros);
        let offset = Ticks::new(offset, Timescale::MICROS).to(scale.timescale, Rounding::Nearest);
        offset.count / scale.multiple.max(1)
    }

    fn add(
        &mut self,
        packet: &ffmpeg::Packet,
        input: &ffmpeg::format::context::Input,
        offset: i64,
        files: &TaskFiles,
        output: &dyn TaskOutput,
    ) -> Result<()> {
        let track = packet.stream();
        let data = packet.data().unwrap_or_default();
        let codec = input.stream(track).map(|s| sys::stream_codec(&s));
        let is = |name: &str| codec.as_deref() == Some(name);
        let lines = is("webvtt").then(|| text::webvtt_lines(packet, data));
        let data = lines.as_deref().unwrap_or(data);
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        if track >= MAX_STREAMS || size == 0 {
            return Ok(());
        }
        if size > MAX_SAMPLE_BYTES {
            self.warn(format!("a sample of {size} bytes was left out"));
            return Ok(());
        }
        if self.packets.len() <= track {
            self.packets.resize(track + 1, Vec::new());
            self.ends.resize(track + 1, 0);
        }
        let place = self.place(packet, data, size, files, output)?;
        // RFC 6386 section 9.1: bit 4 of the first byte is `show_frame`.
        let hidden = data.first().is_some_and(|first| first & 0x10 == 0) && is("vp8");
        let gathered = Packet {
            pts: packet.pts().map(|pts| pts.saturating_add(offset)),
            dts: packet.dts().map(|dts| dts.saturating_add(offset)),
            duration: packet.duration().max(0),
            sync: packet.is_key(),
            hidden,
            length: codec
                .as_deref()
                .and_then(|codec| frame_length::of_packet(codec, data)),
            // Of the packets that libavformat cut from one PES packet the first has its position.
            timed: !self.is_free || packet.position() >= 0,
            place,
        };
        if let Some(packets) = self.packets.get_mut(track) {
            packets.push(gathered);
        }
        Ok(())
    }

    fn place(
        &mut self,
        packet: &ffmpeg::Packet,
        data: &[u8],
        size: u32,
        files: &TaskFiles,
        output: &dyn TaskOutput,
    ) -> Result<Place> {
        let end = self.ends.get(packet.stream()).copied().unwrap_or(0);
        let position = u64::try_from(packet.position()).ok();
        if let Some(offset) = locate::find(&files.source, data, position, end)? {
            if let Some(slot) = self.ends.get_mut(packet.stream()) {
                *slot = offset + u64::from(size);
            }
            return Ok(Place {
                home: Home::Source,
                offset,
                size,
            });
        }
        output.spool(data)?;
        let offset = self.spooled;
        self.spooled += u64::from(size);
        Ok(Place {
            home: Home::Spool,
            offset,
            size,
        })
    }
}

/// A stream's time base as a timescale: ticks of `1 / timescale`, `multiple` of them at a time.
#[derive(Debug, Clone, Copy)]
struct Scale {
    timescale: Timescale,
    multiple: i64,
}

impl Scale {
    fn of(stream: &ffmpeg::Stream<'_>) -> Option<Self> {
        let base = stream.time_base();
        let (num, den) = (
            u32::try_from(base.numerator()).ok()?,
            u32::try_from(base.denominator()).ok()?,
        );
        let divisor = gcd(num, den).max(1);
        Self::fine(num / divisor, den / divisor)
    }

    /// Ticks of `num / den` seconds, made finer where they are coarse: half a picture must be a whole
    /// number of them.
    fn fine(num: u32, den: u32) -> Option<Self> {
        let by = match den {
            0 => return None,
            coarse @ 1..LEAST_TIMESCALE => LEAST_TIMESCALE.div_ceil(coarse).next_multiple_of(2),
            _ => 1,
        };
        Some(Self {
            timescale: Timescale::new(den * by)?,
            multiple: i64::from(num) * i64::from(by),
        })
    }

    fn ticks(self, time: i64) -> i64 {
        time.saturating_mul(self.multiple)
    }
}

/// Makes a track of a stream and its packets.
fn track(
    stream: &ffmpeg::Stream<'_>,
    packets: Vec<Packet>,
    files: &TaskFiles,
    output: &dyn TaskOutput,
    warnings: &mut Vec<String>,
) -> Result<SourceTrack> {
    let parameters = sys::stream_parameters(stream);
    let kind = kind(stream, &parameters);
    let number = stream.index();
    let scale = Scale::of(stream).unwrap_or(Scale {
        timescale: Timescale::MILLIS,
        multiple: 1,
    });
    let codec = Codec::from_name(&parameters.codec);
    let raw = RawPictures {
        tag: parameters.tag,
        bits: parameters.coded_bits,
        rest: &parameters.extradata,
    };
    let mut track = SourceTrack {
        number: u32::try_from(number).unwrap_or(u32::MAX),
        config: raw
            .config(&codec)
            .unwrap_or_else(|| parameters.extradata.clone()),
        codec,
        timescale: scale.timescale,
        language: sys::stream_tag(stream, c"language")
            .map_or_else(|| "und".to_owned(), |l| language::tag(&l)),
        name: sys::stream_tag(stream, c"title"),
        disposition: disposition(stream),
        edit: Edit::default(),
        samples: SampleTable::default(),
        kind,
        shown: Vec::new(),
    };
    let mut packets = packets;
    for packet in &mut packets {
        packet.pts = packet.pts.map(|time| scale.ticks(time));
        packet.dts = packet.dts.map(|time| scale.ticks(time));
        packet.duration = scale.ticks(packet.duration);
    }
    let samples = match &track.kind {
        TrackKind::Video(info) => {
            let size = (info.width, info.height);
            pictures(&mut track, stream, size, &packets, files, output)?
        }
        TrackKind::Audio(_) => sound(&mut track, &parameters, &packets, warnings),
        TrackKind::Text | TrackKind::Other => plain(&packets),
    };
    if track.kind == TrackKind::Text {
        track.shown = shown(&samples);
    }
    match times::table(&samples) {
        Some(table) => track.samples = table,
        None if samples.is_empty() => {}
        None => warnings.push(format!(
            "track {number} has impossible times and was left out"
        )),
    }
    Ok(track)
}

/// What the container's flags and the stream's name mark it as.
fn disposition(stream: &ffmpeg::Stream<'_>) -> Disposition {
    let flags = stream.disposition();
    let marks = Disposition {
        default: flags.contains(Flags::DEFAULT),
        forced: flags.contains(Flags::FORCED),
        hearing_impaired: flags
            .intersects(Flags::HEARING_IMPAIRED | Flags::CLEAN_EFFECTS | Flags::CAPTIONS),
        visual_impaired: flags.intersects(Flags::VISUAL_IMPAIRED | Flags::DESCRIPTIONS),
        commentary: flags.contains(Flags::COMMENT),
        original: flags.contains(Flags::ORIGINAL),
        dub: flags.contains(Flags::DUB),
    };
    match sys::stream_tag(stream, c"title") {
        Some(name) => marks.or(Disposition::of_name(&name)),
        None => marks,
    }
}

fn kind(stream: &ffmpeg::Stream<'_>, parameters: &StreamParameters) -> TrackKind {
    use ffmpeg::media::Type;
    match stream.parameters().medium() {
        Type::Video if stream.disposition().contains(Flags::ATTACHED_PIC) => TrackKind::Other,
        Type::Video if parameters.width > 0 && parameters.height > 0 => {
            TrackKind::Video(VideoInfo {
                width: parameters.width,
                height: parameters.height,
                pixel_aspect: pixel_aspect(parameters.pixel_aspect),
                orientation: orientation(stream),
                colour: parameters.colour,
                light: light::of_stream(stream),
                dolby_vision: light::dolby_vision(stream),
            })
        }
        Type::Audio if parameters.sample_rate > 0 => TrackKind::Audio(AudioInfo {
            sample_rate: parameters.sample_rate,
            channels: parameters.channels,
            block_align: parameters.block_align,
            bitrate: parameters.bitrate,
        }),
        Type::Subtitle => TrackKind::Text,
        _ => TrackKind::Other,
    }
}

fn pixel_aspect((horizontal, vertical): (i32, i32)) -> PixelAspect {
    match (u32::try_from(horizontal), u32::try_from(vertical)) {
        (Ok(horizontal), Ok(vertical)) if horizontal > 0 && vertical > 0 => {
            let divisor = gcd(horizontal, vertical);
            PixelAspect {
                horizontal: horizontal / divisor,
                vertical: vertical / divisor,
            }
        }
        _ => PixelAspect::SQUARE,
    }
}

fn orientation(stream: &ffmpeg::Stream<'_>) -> Orientation {
    use ffmpeg::codec::packet::side_data::Type;
    stream
        .side_data()
        .find(|side| side.kind() == Type::DisplayMatrix)
        .and_then(|side| {
            let mut numbers = side
                .data()
                .chunks_exact(4)
                .map(|bytes| i64::from(i32::from_ne_bytes(bytes.try_into().unwrap_or_default())));
            let (a, b) = (numbers.next()?, numbers.next()?);
            let (c, d) = (numbers.nth(1)?, numbers.next()?);
            Some(Orientation::from_matrix([a, b, c, d]))
        })
        .unwrap_or_default()
}

/// Pictures with their times; decoded once where the container doesn't tell their order.
fn pictures(
    track: &mut SourceTrack,
    stream: &ffmpeg::Stream<'_>,
    size: (u32, u32),
    packets: &[Packet],
    files: &TaskFiles,
    output: &dyn TaskOutput,
) -> Result<Vec<TimedSample>> {
    let shown = shown_times(packets);
    if let Some(shown) = shown {
        let samples = packets
            .iter()
            .zip(shown)
            .map(|(packet, pts)| timed(packet, pts));
        return Ok(samples.collect());
    }
    if decode::allowed_decoder(&track.codec).is_err() {
        return Ok(Vec::new());
    }
    let places: Vec<(Place, bool)> = packets.iter().map(|p| (p.place, p.sync)).collect();
    let ranks =
        order::presentation_ranks(&track.codec, &track.config, size, &places, files, output)?;
    let given = track.timescale;
    let times = grid(track, stream, packets);
    let samples = packets.iter().zip(ranks).map(|(packet, rank)| {
        let time = times.get(rank).copied().unwrap_or(0);
        TimedSample {
            dts: None,
            duration: rescale(packet.duration, given, track.timescale, Rounding::Nearest),
            ..timed(packet, time)
        }
    });
    Ok(samples.collect())
}

fn timed(packet: &Packet, pts: i64) -> TimedSample {
    TimedSample {
        pts,
        dts: packet.dts,
        duration: packet.duration,
        sync: packet.sync,
        place: packet.place,
    }
}

/// Presentation times, if all are given. A picture that is never shown gets that of the next
/// one, so that it takes no time of its own.
fn shown_times(packets: &[Packet]) -> Option<Vec<i64>> {
    let mut times: Vec<i64> = packets
        .iter()
        .map(|packet| packet.pts)
        .collect::<Option<_>>()?;
    let mut next = None;
    for (time, packet) in times.iter_mut().zip(packets).rev() {
        if packet.hidden {
            *time = next.unwrap_or(*time);
        }
        next = Some(*time);
    }
    Some(times)
}

/// The times that pictures are shown at, in order: the decode times where they are given, else a
/// constant rate.
fn grid(track: &mut SourceTrack, stream: &ffmpeg::Stream<'_>, packets: &[Packet]) -> Vec<i64> {
    let given: Vec<i64> = packets.iter().filter_map(|packet| packet.dts).collect();
    let in_order = given.windows(2).all(|pair| pair[0] < pair[1]);
    // Bare elementary streams carry no times: libavformat's are made up.
    let has_container = !["h264", "hevc", "m4v", "mpegvideo"].contains(&track.codec.name())
        || stream.start_time() != ffmpeg::ffi::AV_NOPTS_VALUE;
    if has_container && in_order && given.len() == packets.len() {
        return given;
    }
    let scale = [stream.avg_frame_rate(), stream.rate()]
        .into_iter()
        .find_map(|rate| {
            let (num, den) = (
                u32::try_from(rate.numerator()).ok()?,
                u32::try_from(rate.denominator()).ok()?,
            );
            (den > 0).then(|| Scale::fine(den, num))?
        });
    let scale = scale.unwrap_or(Scale {
        timescale: Timescale::MILLIS,
        multiple: 40,
    });
    track.timescale = scale.timescale;
    (0..)
        .take(packets.len())
        .map(|number: i64| scale.ticks(number))
        .collect()
}

/// Sound with its times, counted in its own samples where each packet's length is known.
fn sound(
    track: &mut SourceTrack,
    parameters: &StreamParameters,
    packets: &[Packet],
    warnings: &mut Vec<String>,
) -> Vec<TimedSample> {
    let mut samples = plain(packets);
    let spans: Option<Vec<Span>> = packets
        .iter()
        .map(|packet| span(parameters, packet))
        .collect();
    let (Some(spans), Some(rate)) = (spans, Timescale::new(parameters.sample_rate)) else {
        return samples;
    };
    let given = samples.clone();
    let anchors =
        sound_times::count_samples(&mut samples, &spans, track.timescale.get(), rate.get());
    // Where so many times are off, packets aren't as long as counting says.
    if anchors > MANY_ANCHORS && anchors as usize > samples.len() / 16 {
        warnings.push(format!(
            "the sound of track {} has {anchors} gaps or jumps; it is placed by the container's \
             times",
            track.number
        ));
        return given;
    }
    track.timescale = rate;
    if anchors > 0 {
        warnings.push(format!(
            "the sound of track {} has {anchors} gaps or jumps",
            track.number
        ));
    }
    samples
}

/// How much sound a packet holds, by its header or, where that is fixed, by its codec.
fn span(parameters: &StreamParameters, packet: &Packet) -> Option<Span> {
    let length = match packet.length {
        Some(length) => length,
        None => Length {
            samples: samples_in(parameters, packet.place.size)?,
            rate: parameters.sample_rate,
        },
    };
    let said = if packet.timed {
        packet.pts.or(packet.dts)
    } else {
        None
    };
    Some(Span { length, said })
}

/// How many PCM samples a packet of that many bytes holds, for codecs where that is fixed.
fn samples_in(parameters: &StreamParameters, size: u32) -> Option<u32> {
    let codec = parameters.codec.as_str();
    if codec.starts_with("pcm_") {
        return size
            .checked_div(parameters.block_align)
            .filter(|samples| *samples > 0);
    }
    let fixed = ["aac", "mp3", "mp2", "ac3"].contains(&codec) && parameters.frame_size > 0;
    fixed.then_some(parameters.frame_size)
}

/// How long each text is shown; what the container doesn't say, until the next one comes.
fn shown(samples: &[TimedSample]) -> Vec<u32> {
    let next = samples.iter().skip(1).map(|sample| Some(sample.pts));
    let each = samples.iter().zip(next.chain([None]));
    let ticks = each.map(|(sample, next)| match (sample.duration, next) {
        (1.., _) => sample.duration,
        (_, Some(next)) => next.saturating_sub(sample.pts),
        (_, None) => 0,
    });
    ticks
        .map(|ticks| u32::try_from(ticks).unwrap_or(u32::MAX))
        .collect()
}

/// Samples shown in the order they are stored.
fn plain(packets: &[Packet]) -> Vec<TimedSample> {
    let mut given: Vec<_> = packets.iter().map(|p| (p.pts, p.dts, p.duration)).collect();
    let times = times::settle(&mut given);
    let samples = packets.iter().zip(times);
    samples
        .map(|(packet, time)| TimedSample {
            dts: None,
            ..timed(packet, time)
        })
        .collect()
}

/// Lets the movie start where its first picture or sound is, as players do: transport streams
/// start anywhere, and before zero when their clock wraps around soon after (`is_free`). Of other
/// containers what lies before zero (encoder delay) stays there. Gives where that was, in
/// milliseconds.
fn start_at_zero(tracks: &mut [SourceTrack], is_free: bool) -> i64 {
    let start = |track: &SourceTrack| {
        let first = track
            .samples
            .iter()
            .take(64)
            .map(|s| s.presentation_time())
            .min()?;
        Some(
            Ticks::new(first, track.timescale)
                .to(Timescale::MICROS, Rounding::Floor)
                .count,
        )
    };
    let heard = tracks
        .iter()
        .filter(|track| matches!(track.kind, TrackKind::Video(_) | TrackKind::Audio(_)));
    let Some(first) = heard.filter_map(start).min() else {
        return 0;
    };
    let first = if is_free { first } else { first.max(0) };
    let start = Ticks::new(first, Timescale::MICROS);
    for track in tracks {
        track.edit.media_start = start.to(track.timescale, Rounding::Nearest).count;
    }
    start.to(Timescale::MILLIS, Rounding::Nearest).count
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn playlists_are_refused_by_name() {
        for text in [
            "#EXTM3U\n",
            "\u{feff}#EXTM3U",
            "ffconcat version 1.0",
            "v=0\r\no=-",
            " <MPD>",
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let error = refuse_playlist(&file).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn hidden_picture_takes_no_time() {
        let place = Place {
            home: Home::Source,
            offset: 0,
            size: 1,
        };
        let packet = |pts, hidden| Packet {
            pts: Some(pts),
            dts: None,
            duration: 0,
            sync: false,
            hidden,
            length: None,
            timed: true,
            place,
        };
        let packets = [packet(0, false), packet(32, true), packet(33, false)];
        assert_eq!(shown_times(&packets), Some(vec![0, 33, 33]));
    }
}
