//! What players report with each request: Common Media Client Data (CTA-5004), in the query
//! parameter `CMCD` or in the headers `CMCD-Request`, `CMCD-Object`, `CMCD-Session` and
//! `CMCD-Status`.
//!
//! Anybody may write it, so it is read strictly and within bounds, and decides nothing: what isn't
//! sound is counted and ignored, all of it. Keys that aren't read here (`nor`, `nrr` and a
//! provider's own) need only be written as they should.

use super::labels::labelled;

labelled! {
    /// What kind of object is asked for (`ot`).
    ObjectType {
        /// A playlist or manifest.
        Manifest = "m",
        /// Audio alone.
        Audio = "a",
        /// Video alone.
        Video = "v",
        /// Audio and video.
        Muxed = "av",
        /// An init segment.
        Init = "i",
        /// Captions or subtitles.
        Caption = "c",
        /// Timed text in ISO BMFF.
        TimedText = "tt",
        /// A key, licence or certificate.
        Key = "k",
        /// Anything else.
        Other = "o",
    }
}

labelled! {
    /// The streaming format (`sf`).
    StreamingFormat {
        /// MPEG-DASH.
        Dash = "d",
        /// HLS.
        Hls = "h",
        /// Smooth Streaming.
        Smooth = "s",
        /// Another.
        Other = "o",
    }
}

labelled! {
    /// Whether there will be more (`st`).
    StreamType {
        /// All segments are there.
        Vod = "v",
        /// Segments are still added.
        Live = "l",
        /// The same with low latency (version 2).
        LowLatency = "ll",
    }
}

/// Longest report in bytes. Players send a few hundred.
const LONGEST: usize = 4096;

/// Most keys of a report. The standard has 18.
const MOST_KEYS: usize = 64;

/// Longest content or session id in characters (128 since version 2).
const LONGEST_ID: usize = 128;

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cmcd {
    /// `br`: bit rate of the object in kb/s.
    pub bitrate: Option<u64>,
    /// `bl`: what the player has buffered, in ms.
    pub buffer: Option<u64>,
    /// `bs`: it ran out of it since its last request.
    pub is_starved: bool,
    /// `cid`: what is played.
    pub content: Option<String>,
    /// `d`: duration of the object in ms.
    pub duration: Option<u64>,
    /// `dl`: when it is needed, in ms from now.
    pub deadline: Option<u64>,
    /// `mtp`: measured throughput in kb/s.
    pub throughput: Option<u64>,
    /// `ot`: what kind of object it is.
    pub object: Option<ObjectType>,
    /// `pr`: rate of playback in thousandths; nothing means 1.
    pub playback_rate: Option<u64>,
    /// `rtp`: the throughput asked for at most, in kb/s.
    pub requested_throughput: Option<u64>,
    /// `sf`: the streaming format.
    pub format: Option<StreamingFormat>,
    /// `sid`: the session; never a label.
    pub session: Option<String>,
    /// `st`: the stream's type.
    pub stream: Option<StreamType>,
    /// `su`: needed at once, at the start, after a seek or a stall.
    pub is_startup: bool,
    /// `tb`: the best bit rate that may be played, in kb/s.
    pub top_bitrate: Option<u64>,
    /// `v`: version of the standard; nothing means 1.
    pub version: Option<u64>,
}

/// What a request has of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// None.
    Nothing,
    /// One that is not sound.
    Invalid,
    /// This one.
    Report(Box<Cmcd>),
}

impl Found {
    /// Looks for a report in the query and the header fields of a request.
    pub fn of<'a>(query: Option<&str>, fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut report = None;
        if let Some(value) = query.and_then(parameter) {
            let sound = decoded(value)
                .and_then(|text| report.get_or_insert_with(Box::<Cmcd>::default).read(&text));
            if sound.is_none() {
                return Self::Invalid;
            }
        }
        for (_, value) in fields.filter(|(name, _)| is_header(name)) {
            let report = report.get_or_insert_with(Box::<Cmcd>::default);
            let text = std::str::from_utf8(value).ok();
            if text.and_then(|text| report.read(text)).is_none() {
                return Self::Invalid;
            }
        }
        report.map_or(Self::Nothing, Self::Report)
    }

    /// The report, if there is a sound one.
    pub fn report(&self) -> Option<&Cmcd> {
        match self {
            Self::Report(report) => Some(report),
            Self::Nothing | Self::Invalid => None,
        }
    }
}

/// The value of the parameter `CMCD`, still escaped.
fn parameter(query: &str) -> Option<&str> {
    let mut parameters = query.split('&');
    parameters.find_map(|parameter| parameter.strip_prefix("CMCD="))
}

fn is_header(name: &str) -> bool {
    const NAMES: [&str; 4] = ["cmcd-request", "cmcd-object", "cmcd-session", "cmcd-status"];
    // Nearly all headers end here.
    matches!(name.as_bytes(), [b'c' | b'C', b'm' | b'M', ..])
        && NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Without percent-escapes; `None` where one is broken or the whole is too long or no text.
pub(super) fn decoded(text: &str) -> Option<String> {
    if text.len() > 3 * LONGEST {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// The value of a key.
enum Value<'a> {
    /// No value: true.
    Flag,
    /// A number or a token.
    Bare(&'a str),
    /// What stood in quotes, with its escapes.
    Quoted(&'a str),
    /// What stood in brackets; version 2 has some.
    List,
}

impl Cmcd {
    /// Reads a list of keys; `None` when any of it is not sound.
    fn read(&mut self, text: &str) -> Option<()> {
        if text.len() > LONGEST {
            return None;
        }
        let mut rest = text.trim_matches([' ', '\t']);
        for _ in 0..MOST_KEYS {
            let (key, value, after) = item(rest)?;
            self.set(key, &value)?;
            let Some(after) = after.strip_prefix(',') else {
                return after.is_empty().then_some(());
            };
            rest = after.trim_start_matches([' ', '\t']);
        }
        None
    }

    fn set(&mut self, key: &str, value: &Value<'_>) -> Option<()> {
        match key {
            "bl" => self.buffer = number(value)?,
            "br" => self.bitrate = number(value)?,
            "bs" => self.is_starved = flag(value)?,
            "cid" => self.content = Some(id(value)?),
            "d" => self.duration = number(value)?,
            "dl" => self.deadline = number(value)?,
            "mtp" => self.throughput = number(value)?,
            "ot" => self.object = Some(token(ObjectType::parse, value)?),
            "pr" => self.playback_rate = Some(thousandths(value)?),
            "rtp" => self.requested_throughput = number(value)?,
            "sf" => self.format = Some(token(StreamingFormat::parse, value)?),
            "sid" => self.session = Some(id(value)?),
            "st" => self.stream = Some(token(StreamType::parse, value)?),
            "su" => self.is_startup = flag(value)?,
            "tb" => self.top_bitrate = number(value)?,
            "v" => self.version = number(value)?,
            _ => {}
        }
        Some(())
    }
}

/// A key, its value, and what follows.
fn item(text: &str) -> Option<(&str, Value<'_>, &str)> {
    let in_key = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'*');
    let (key, rest) = text.split_at(length_of(text, in_key));
    if key.is_empty() || key.len() > LONGEST_ID {
        return None;
    }
    let Some(rest) = rest.strip_prefix('=') else {
        return Some((key, Value::Flag, rest));
    };
    if let Some(rest) = rest.strip_prefix('"') {
        let end = end_of_quoted(rest)?;
        return Some((key, Value::Quoted(&rest[..end]), &rest[end + 1..]));
    }
    if let Some(rest) = rest.strip_prefix('(') {
        return Some((key, Value::List, after_list(rest)?));
    }
    let in_bare = |b: u8| b.is_ascii_graphic() && !matches!(b, b',' | b'"' | b'(' | b')' | b'\\');
    let (bare, rest) = rest.split_at(length_of(rest, in_bare));
    (!bare.is_empty()).then_some((key, Value::Bare(bare), rest))
}

fn length_of(text: &str, belongs: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|b| belongs(*b)).count()
}

/// Where the closing quote is; before it only visible signs and spaces, quotes and backslashes
/// after a backslash.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at),
            b'\\' if !matches!(bytes.next(), Some((_, b'"' | b'\\'))) => return None,
            b'\\' => {}
            byte if byte == b' ' || byte.is_ascii_graphic() => {}
            _ => return None,
        }
    }
    None
}

/// What follows the closing bracket, which may stand in quotes before.
fn after_list(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let plain = |b: u8| (b == b' ' || b.is_ascii_graphic()) && !matches!(b, b'"' | b'(' | b')');
        rest = &rest[length_of(rest, plain)..];
        match rest.as_bytes().first()? {
            b')' => return Some(&rest[1..]),
            b'"' => rest = &rest[1 + end_of_quoted(&rest[1..])? + 1..],
            _ => return None,
        }
    }
}

fn flag(value: &Value<'_>) -> Option<bool> {
    matches!(value, Value::Flag).then_some(true)
}

/// A whole number of at most ten digits; of a list there is none to name.
#[expect(
    clippy::option_option,
    reason = "not sound, and nothing to tell, differ"
)]
fn number(value: &Value<'_>) -> Option<Option<u64>> {
    match value {
        Value::List => Some(None),
        Value::Bare(text) => digits(text).map(Some),
        Value::Flag | Value::Quoted(_) => None,
    }
}

fn digits(text: &str) -> Option<u64> {
    let sound = (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    sound.then(|| text.parse().ok())?
}

/// A decimal number in thousandths; what is finer is cut off.
fn thousandths(value: &Value<'_>) -> Option<u64> {
    let Value::Bare(text) = value else {
        return None;
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    digits(fraction)?;
    let fraction = digits(format!("{fraction}000").get(..3)?)?;
    Some(digits(whole)? * 1000 + fraction)
}

fn token<T>(parse: fn(&str) -> Option<T>, value: &Value<'_>) -> Option<T> {
    match value {
        Value::Bare(text) => parse(text),
        Value::Flag | Value::Quoted(_) | Value::List => None,
    }
}

fn id(value: &Value<'_>) -> Option<String> {
    let Value::Quoted(text) = value else {
        return None;
    };
    if text.len() > LONGEST_ID {
        return None;
    }
    let mut signs = text.chars();
    let mut id = String::with_capacity(text.len());
    while let Some(sign) = signs.next() {
        id.push(if sign == '\\' { signs.next()? } else { sign });
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_query(query: &str) -> Found {
        Found::of(Some(query), std::iter::empty())
    }

    fn read(text: &str) -> Option<Cmcd> {
        let mut report = Cmcd::default();
        report.read(text).map(|()| report)
    }

    #[test]
    fn a_report_in_the_query_is_read() {
        let found = in_query(
            "a=b&CMCD=bl%3D21300%2Cbr%3D3200%2Cbs%2Ccid%3D%22faec%5C%22-5%22%2Cd%3D4004%2C\
             mtp%3D25400%2Cnor%3D%22..%252F300kbps%252Fsegment35.m4v%22%2Cot%3Dv%2Cpr%3D1.08%2C\
             sf%3Dh%2Csid%3D%226e2fb550%22%2Cst%3Dv%2Csu%2Ctb%3D6000%2Ccom.example-x%3D1",
        );
        let expected = Cmcd {
            bitrate: Some(3200),
            buffer: Some(21_300),
            is_starved: true,
            content: Some("faec\"-5".to_owned()),
            duration: Some(4004),
            throughput: Some(25_400),
            object: Some(ObjectType::Video),
            playback_rate: Some(1080),
            format: Some(StreamingFormat::Hls),
            session: Some("6e2fb550".to_owned()),
            stream: Some(StreamType::Vod),
            is_startup: true,
            top_bitrate: Some(6000),
            ..Cmcd::default()
        };
        assert_eq!(found.report(), Some(&expected));
    }

    #[test]
    fn headers_make_one_report_together() {
        let fields: [(&str, &[u8]); 4] = [
            ("User-Agent", b"\xff"),
            ("CMCD-Session", b"sid=\"6e2f\", sf=d"),
            ("cmcd-object", b"ot=a"),
            ("CMCD-Else", b"\xff"),
        ];
        let found = Found::of(None, fields.into_iter());
        let report = found.report().expect("a report");
        assert_eq!(report.session.as_deref(), Some("6e2f"));
        assert_eq!(report.format, Some(StreamingFormat::Dash));
        assert_eq!(report.object, Some(ObjectType::Audio));
    }

    #[test]
    fn what_is_not_sound_is_no_report() {
        for text in [
            "",
            ",",
            "br",
            "br=",
            "br=x",
            "br=-1",
            "br=12345678901",
            "br=\"5\"",
            "bs=true",
            "ot=z",
            "ot",
            "sid=abc",
            "sid=\"abc",
            "sid=\"a\\bc\"",
            "br=1,",
            "br=1,,bl=1",
            "br=1 bl=1",
            "=1",
            "pr=1.",
            "pr=.5",
            "pr=1.0.0",
            "x=(1 \"",
            "x=((1))",
            "sid=\"ü\"",
            "ü=1",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let ids = |length| read(&format!("sid=\"{}\"", "x".repeat(length)));
        assert!(ids(128).is_some() && ids(129).is_none());
        let keys = |count| read(&vec!["x-y=1"; count].join(","));
        assert!(keys(64).is_some() && keys(65).is_none());
        for query in ["CMCD=", "CMCD=br%3", "CMCD=br%3D%ff", "CMCD=%00"] {
            assert_eq!(in_query(query), Found::Invalid, "{query}");
        }
        assert_eq!(in_query("cmcd=br%3D1&XCMCD=1"), Found::Nothing);
    }

    #[test]
    fn lists_of_version_2_are_passed_over() {
        let report = read("br=(5000;v 128;a \")\"),bl=100,v=2").expect("a report");
        assert_eq!((report.bitrate, report.buffer), (None, Some(100)));
        assert_eq!(report.version, Some(2));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(text in "[a-z=,\"\\\\()0-9 .;%ü-]{0,60}") {
            let _ = read(&text);
            let _ = in_query(&format!("CMCD={text}"));
        }

        #[test]
        fn sound_numbers_come_through(bitrate in 0_u64..10_000_000_000, rate in 0_u64..100_000) {
            let text = format!("br={bitrate},pr={}.{:03}", rate / 1000, rate % 1000);
            let report = read(&text).expect("sound");
            prop_assert_eq!(report.bitrate, Some(bitrate));
            prop_assert_eq!(report.playback_rate, Some(rate));
        }
    }
}
