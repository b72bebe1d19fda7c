//! From a decoded picture to what an encoder takes: upright, square pixels, the rung's size,
//! BT.709 limited range, 8-bit 4:2:0.
//!
//! Colour code points are those of ISO/IEC 23091-2. Scaling is zimg's lanczos, straight from the
//! decoded picture: measured better and cheaper than swscale.

use ffmpeg_next as ffmpeg;
use ffmpeg_next::filter;

use super::fit::Fit;
use super::sys::{self, Shape};
use super::{from_av, wants_more};
use crate::error::{Error, Result};
use crate::media::{Colour, Light, Orientation, PicturePlan, PixelAspect, Scan, VideoRange};

const PQ: u8 = Colour::PQ;
const HLG: u8 = Colour::HLG;
/// Luminance of HDR reference white in cd/m2 (Rec. ITU-R BT.2408): a white page in the shade of a
/// scene. It becomes nearly the white of SDR, and what is darker keeps its place below it.
const REFERENCE_WHITE_NITS: u32 = 203;
/// Peak of HLG on the display that it is defined for (Rec. ITU-R BT.2100), and of HDR10 whose
/// source doesn't say it.
const USUAL_PEAK_NITS: u32 = 1000;
/// Up to this part of SDR's white, in percent, tone mapping changes nothing. About where the curve
/// of Rec. ITU-R BT.2390 leaves the straight line between these two peaks.
const KNEE_PERCENT: u32 = 45;
/// Least peak in thousandths of SDR's white that the curve is bent for.
const LEAST_PEAK_PERMILLE: u32 = 1050;
/// `MatrixCoefficients` of RGB.
const MATRIX_RGB: u8 = 0;

/// The plan of pictures that such a filter has made for SDR, of this width and height.
pub(super) fn finished((width, height): (u32, u32)) -> PicturePlan {
    PicturePlan {
        width,
        height,
        pixel_aspect: PixelAspect::SQUARE,
        orientation: Orientation::default(),
        colour: Colour::BT709,
        light: Light::default(),
        scan: Scan::Progressive,
        toned: None,
    }
}

/// Makes pictures of one size for one encoder.
pub(super) struct PictureFilter {
    width: u32,
    height: u32,
    orientation: Orientation,
    container: Colour,
    light: Light,
    range: VideoRange,
    plan: PicturePlan,
    /// Take one field of each picture.
    one_field: bool,
    graph: Option<((Shape, Fit), filter::Graph)>,
}

impl PictureFilter {
    /// For pictures of this width and height, both even, and of this range of light.
    pub(super) fn new(size: (u32, u32), plan: &PicturePlan, range: VideoRange) -> Self {
        let (width, height) = size;
        Self {
            width,
            height,
            orientation: plan.orientation,
            container: plan.colour,
            light: plan.light,
            range,
            plan: plan.clone(),
            one_field: false,
            graph: None,
        }
    }

    /// As [`Self::new`], for pictures that are shown still and come as they were decoded: where they
    /// are two fields, one is enough, and shows no combs.
    pub(super) fn of_stills(width: u32, height: u32, plan: &PicturePlan) -> Self {
        Self {
            one_field: plan.scan.is_fields(),
            ..Self::new((width, height), plan, VideoRange::Sdr)
        }
    }

    /// The picture as the encoder wants it. Its times are not kept.
    pub(super) fn push(&mut self, picture: &ffmpeg::Frame) -> Result<ffmpeg::Frame> {
        let mut shape = sys::shape(picture);
        shape.colour = effective_colour(self.container, shape);
        let fit = self.fit(shape, sys::pixel_aspect(picture));
        let mut input = sys::share(picture)?;
        sys::set_colour(&mut input, shape.colour);
        sys::set_square_pixels(&mut input);
        if self.is_ready(shape) && fit.is_whole() {
            return Ok(input);
        }
        input.set_pts(Some(0));
        let mut output = self.graph_for(shape, fit)?;
        let mut result = sys::empty_frame();
        let ran = output.run(&input, &mut result);
        self.graph = Some(((shape, fit), output.0));
        ran.map(|()| result)
    }

    /// Whether the picture is already what the encoder wants.
    fn is_ready(&self, shape: Shape) -> bool {
        let size = (shape.width, shape.height) == (self.width, self.height);
        let format = match self.range {
            VideoRange::Sdr => ffmpeg::format::Pixel::YUV420P,
            VideoRange::Pq(_) | VideoRange::Hlg => ffmpeg::format::Pixel::YUV420P10LE,
        };
        let format = shape.format == ffmpeg::ffi::AVPixelFormat::from(format) as i32;
        size && format
            && !self.one_field
            && self.orientation == Orientation::default()
            && shape.colour == self.range.colour()
    }

    /// The graph for pictures of this shape: the last one, unless the shape has changed.
    fn graph_for(&mut self, shape: Shape, fit: Fit) -> Result<Graph> {
        match self.graph.take() {
            Some((made_for, graph)) if made_for == (shape, fit) => Ok(Graph(graph)),
            _ => Graph::new(shape, &self.chain(shape, fit)),
        }
    }

    /// The shape of what is taken of a picture.
    fn taken(&self, shape: Shape) -> Shape {
        let height = match self.one_field {
            true => shape.height.div_ceil(2),
            false => shape.height,
        };
        Shape { height, ..shape }
    }

    /// Where a picture of this shape goes in the frame, before it is turned.
    fn fit(&self, shape: Shape, aspect: (u32, u32)) -> Fit {
        let frame = match self.orientation.quarter_turns % 2 {
            1 => (self.height, self.width),
            _ => (self.width, self.height),
        };
        Fit::of(&self.plan, (shape.width, shape.height), aspect, frame)
    }

    /// The filters, in order.
    fn chain(&self, shape: Shape, fit: Fit) -> String {
        let mut chain = String::new();
        if self.one_field {
            chain.push_str("field=type=top,");
        }
        let shape = self.taken(shape);
        let size = format!("w={}:h={}:filter=lanczos", fit.width, fit.height);
        chain.push_str(&match self.range {
            VideoRange::Sdr => scale_chain(&size, shape, self.light),
            VideoRange::Pq(_) | VideoRange::Hlg => wide_chain(&size, shape, self.range),
        });
        chain.push_str(&fit.bars());
        chain.push_str(&orientation_chain(self.orientation));
        chain
    }
}

/// Scales and brings the colour to BT.2020 in ten bits, the light kept as it is.
fn wide_chain(size: &str, shape: Shape, range: VideoRange) -> String {
    let transfer = match range {
        VideoRange::Hlg => "arib-std-b67",
        VideoRange::Sdr | VideoRange::Pq(_) => "smpte2084",
    };
    format!(
        "{}{}zscale={size}:primaries=2020:matrix=2020_ncl:transfer={transfer}:range=limited:\
         chromal=left:dither=ordered,format=yuv420p10le",
        over_black(shape),
        whole_chroma(shape),
    )
}

/// Scales and brings the colour to BT.709.
fn scale_chain(size: &str, shape: Shape, light: Light) -> String {
    let target = "primaries=709:matrix=709:transfer=709:range=limited:chromal=left:dither=ordered";
    let before = format!("{}{}", over_black(shape), whole_chroma(shape));
    if let PQ | HLG = shape.colour.transfer {
        let tone = tone_chain(shape.colour.transfer, light);
        return format!("{before}zscale={size}:{tone},zscale={target},format=yuv420p");
    }
    // Ordered dither repeats exactly, and costs nothing where no depth is lost.
    format!("{before}zscale={size}:{target},format=yuv420p")
}

/// High dynamic range to what a display of SDR can show: to linear light of BT.709's primaries in
/// which reference white is 1, then brights are compressed so that the source's peak becomes 1. The
/// brightest of red, green and blue goes by the curve and takes the others along, which keeps hues.
///
/// The peak is the plan's, not the picture's, so that pieces made apart join. HLG's system gamma
/// works on luminance (BT.2100, note 5f), not on each colour, which zimg does only when it may not
/// approximate.
fn tone_chain(transfer: u8, light: Light) -> String {
    let exact = if transfer == HLG { ":agamma=0" } else { "" };
    let peak = match transfer {
        PQ => light.peak_nits().unwrap_or(USUAL_PEAK_NITS),
        _ => USUAL_PEAK_NITS,
    };
    let permille = peak.saturating_mul(1000) / REFERENCE_WHITE_NITS;
    let permille = permille.max(LEAST_PEAK_PERMILLE);
    format!(
        "primaries=709:transfer=linear:npl={REFERENCE_WHITE_NITS}{exact},format=gbrpf32le,\
         tonemap=tonemap=mobius:param=0.{KNEE_PERCENT}:peak={}.{:03}:desat=0",
        permille / 1000,
        permille % 1000,
    )
}

/// Transparent pictures are shown over black, as a player shows them. Their colours are taken not
/// to have been multiplied with their opacity (straight alpha), which is what ProRes, PNG and
/// FFV1 hold.
fn over_black(shape: Shape) -> &'static str {
    let Some(format) = descriptor(shape.format) else {
        return "";
    };
    match format.name() {
        // Every colour of a palette has its opacity.
        "pal8" => "format=gbrap,premultiply=inplace=1,format=gbrp,",
        name if !sys::has_alpha(shape.format) || name.starts_with("yuvj") => "",
        _ if is_rgb(shape.format) => {
            "format=gbrap|gbrap10|gbrap12|gbrap16,premultiply=inplace=1,\
             format=gbrp|gbrp10|gbrp12|gbrp16,"
        }
        _ => {
            "format=yuva444p|yuva444p9|yuva444p10|yuva444p12|yuva444p16,premultiply=inplace=1,\
             format=yuv444p|yuv444p9|yuv444p10|yuv444p12|yuv444p16,"
        }
    }
}

/// zimg takes no pictures of odd sizes whose chroma is subsampled: those get a chroma sample for
/// each pixel first, in the depth that loses nothing.
fn whole_chroma(shape: Shape) -> &'static str {
    if shape.width.is_multiple_of(2) && shape.height.is_multiple_of(2) {
        ""
    } else if is_full_range(shape.format) {
        "format=yuvj444p,"
    } else {
        "format=yuv444p|yuv444p10|yuv444p12|gbrp,"
    }
}

fn orientation_chain(orientation: Orientation) -> String {
    let mut chain = String::new();
    if orientation.mirrored {
        chain.push_str(",hflip");
    }
    chain.push_str(match orientation.quarter_turns % 4 {
        1 => ",transpose=clock",
        2 => ",hflip,vflip",
        3 => ",transpose=cclock",
        _ => "",
    });
    chain
}

/// The colour a picture has: as the container says, else as the bitstream says, else guessed.
fn effective_colour(container: Colour, shape: Shape) -> Colour {
    let pick = |container: u8, stream: u8| if container == 2 { stream } else { container };
    let said = Colour {
        primaries: pick(container.primaries, shape.colour.primaries),
        transfer: pick(container.transfer, shape.colour.transfer),
        matrix: pick(container.matrix, shape.colour.matrix),
        full_range: container.full_range || shape.colour.full_range || is_full_range(shape.format),
    };
    let matrix = match said.matrix {
        _ if is_rgb(shape.format) => MATRIX_RGB,
        // RGB coefficients on YUV samples are a muxer's mistake.
        MATRIX_RGB | 2 => guessed_matrix(shape.height),
        known @ (1 | 4..=10) => known,
        _ => 1,
    };
    Colour {
        primaries: if matches!(said.primaries, 1 | 4..=12) {
            said.primaries
        } else {
            1
        },
        transfer: known_transfer(said.transfer),
        matrix,
        full_range: said.full_range || matrix == MATRIX_RGB,
    }
}

/// Standard definition is BT.601 (six: SMPTE 170M), everything larger BT.709.
fn guessed_matrix(height: u32) -> u8 {
    if height <= 576 { 6 } else { 1 }
}

/// The curves zimg knows; the camera curves of BT.601, BT.709 and BT.2020 are one and the same.
fn known_transfer(transfer: u8) -> u8 {
    match transfer {
        4 | 5 | 8 | 9 | 10 | 13 | PQ | HLG => transfer,
        _ => 1,
    }
}

fn descriptor(format: i32) -> Option<ffmpeg::format::pixel::Descriptor> {
    sys::pixel_format(format)?.descriptor()
}

fn is_rgb(format: i32) -> bool {
    descriptor(format).is_some_and(|d| {
        let name = d.name();
        // Gray with opacity is taken apart as RGB, of which it is the like.
        [
            "rgb", "bgr", "gbr", "argb", "abgr", "pal8", "0rgb", "0bgr", "ya8", "ya16",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    })
}

/// The formats whose name says full range (`yuvj420p`).
fn is_full_range(format: i32) -> bool {
    descriptor(format).is_some_and(|d| d.name().starts_with("yuvj"))
}

/// A filter graph that gives one picture for each one it takes.
pub(super) struct Graph(filter::Graph);

impl Graph {
    pub(super) fn new(shape: Shape, chain: &str) -> Result<Self> {
        let find = |name| {
            filter::find(name).ok_or_else(|| {
                Error::unsupported(format!("this build of FFmpeg has no {name} filter"))
            })
        };
        let setting_up = |error| from_av(&format!("setting up the filters {chain}"), error);
        let mut graph = filter::Graph::new();
        sys::set_single_threaded(&mut graph);
        let source = format!(
            "video_size={}x{}:pix_fmt={}:time_base=1/1000000:pixel_aspect=1/1",
            shape.width, shape.height, shape.format
        );
        graph
            .add(&find("buffer")?, "in", &source)
            .map_err(setting_up)?;
        graph
            .add(&find("buffersink")?, "out", "")
            .map_err(setting_up)?;
        let parser = graph
            .output("in", 0)
            .and_then(|p| p.input("out", 0))
            .map_err(setting_up)?;
        parser.parse(chain).map_err(setting_up)?;
        graph.validate().map_err(setting_up)?;
        Ok(Self(graph))
    }

    /// Puts a picture in. The frame is emptied: give a shared one.
    pub(super) fn push(&mut self, input: &ffmpeg::Frame) -> Result<()> {
        let mut source = self
            .0
            .get("in")
            .ok_or_else(|| Error::internal("a graph without input"))?;
        source
            .source()
            .add(input)
            .map_err(|e| from_av("filtering a picture", e))
    }

    /// Says that no more pictures come.
    pub(super) fn flush(&mut self) -> Result<()> {
        let mut source = self
            .0
            .get("in")
            .ok_or_else(|| Error::internal("a graph without input"))?;
        source
            .source()
            .flush()
            .map_err(|e| from_av("ending the filters", e))
    }

    /// Gets a picture out, if one is ready.
    pub(super) fn pull(&mut self) -> Result<Option<ffmpeg::Frame>> {
        let mut sink = self
            .0
            .get("out")
            .ok_or_else(|| Error::internal("a graph without output"))?;
        let mut frame = sys::empty_frame();
        match sink.sink().frame(&mut frame) {
            Ok(()) => Ok(Some(frame)),
            Err(error) if wants_more(error) => Ok(None),
            Err(error) => Err(from_av("filtering a picture", error)),
        }
    }

    /// What becomes of one picture.
    pub(super) fn one(&mut self, picture: &ffmpeg::Frame) -> Result<ffmpeg::Frame> {
        let mut input = sys::share(picture)?;
        input.set_pts(Some(0));
        let mut result = sys::empty_frame();
        self.run(&input, &mut result)?;
        Ok(result)
    }

    fn run(&mut self, input: &ffmpeg::Frame, result: &mut ffmpeg::Frame) -> Result<()> {
        self.push(input)?;
        *result = self
            .pull()?
            .ok_or_else(|| Error::internal("the filters gave no picture for a picture"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(height: u32, format: ffmpeg::format::Pixel, colour: Colour) -> Shape {
        let format = ffmpeg::ffi::AVPixelFormat::from(format) as i32;
        Shape {
            width: 640,
            height,
            format,
            colour,
        }
    }

    #[test]
    fn unspecified_colour_is_guessed_from_the_height() {
        let sd = shape(480, ffmpeg::format::Pixel::YUV420P, Colour::UNSPECIFIED);
        assert_eq!(effective_colour(Colour::UNSPECIFIED, sd).matrix, 6);
        let hd = shape(720, ffmpeg::format::Pixel::YUV420P, Colour::UNSPECIFIED);
        assert_eq!(effective_colour(Colour::UNSPECIFIED, hd), Colour::BT709);
    }

    #[test]
    fn container_colour_goes_before_the_bitstream() {
        let stream = shape(720, ffmpeg::format::Pixel::YUV420P, Colour::BT709);
        let container = Colour {
            primaries: 9,
            transfer: PQ,
            matrix: 9,
            full_range: false,
        };
        assert_eq!(effective_colour(container, stream), container);
    }

    #[test]
    fn rgb_is_full_range_whatever_is_said() {
        let rgb = shape(480, ffmpeg::format::Pixel::RGB24, Colour::BT709);
        let colour = effective_colour(Colour::BT709, rgb);
        assert_eq!((colour.matrix, colour.full_range), (MATRIX_RGB, true));
    }

    /// A picture whose lines come from two moments: bright ones between dark ones.
    fn combed() -> ffmpeg::Frame {
        let mut picture = ffmpeg::frame::Video::new(ffmpeg::format::Pixel::YUV420P, 64, 64);
        let stride = picture.stride(0);
        for (number, row) in picture.data_mut(0).chunks_mut(stride).enumerate() {
            row.fill(if number % 2 == 0 { 60 } else { 180 });
        }
        for plane in 1..3 {
            picture.data_mut(plane).fill(128);
        }
        sys::share(&picture).expect("memory")
    }

    #[test]
    fn a_still_of_two_fields_shows_one() {
        let plan = PicturePlan {
            width: 64,
            height: 64,
            pixel_aspect: PixelAspect::SQUARE,
            orientation: Orientation::default(),
            colour: Colour::BT709,
            light: Light::default(),
            scan: Scan::Fields { top_first: true },
            toned: None,
        };
        let spread = |mut filter: PictureFilter| {
            let picture = filter.push(&combed()).expect("filtered");
            let picture = ffmpeg::frame::Video::from(picture);
            let rows = picture.data(0).chunks(picture.stride(0)).take(32);
            let middle: Vec<u8> = rows.map(|row| row[16]).collect();
            let (least, most) = (middle.iter().min(), middle.iter().max());
            most.expect("rows") - least.expect("rows")
        };
        assert!(spread(PictureFilter::of_stills(32, 64, &plan)) < 4);
        assert!(spread(PictureFilter::new((32, 64), &plan, VideoRange::Sdr)) > 60);
    }

    #[test]
    fn mirror_comes_before_the_turn() {
        let orientation = Orientation {
            quarter_turns: 1,
            mirrored: true,
        };
        assert_eq!(orientation_chain(orientation), ",hflip,transpose=clock");
    }
}
