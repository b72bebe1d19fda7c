//! What is told of an object in `CMSD-Static` (CTA-5006), for players and logs.
//!
//! It depends on the object alone, never on who asks: a cache keeps the header with the object and
//! gives it to everybody. So it is the configuration that decides whether it is sent, not whether a
//! request reports anything itself.

use super::cmcd::{ObjectType, StreamType, StreamingFormat};

/// Longest name of a server that is told.
const LONGEST_NAME: usize = 64;

/// What is known of an object. Nothing is told that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Average bit rate in kb/s of a segment.
    pub bitrate: Option<u64>,
    /// Duration in ms of a segment.
    pub duration: Option<u64>,
    /// The name of this server, which tells its owner and itself.
    pub server: Option<&'a str>,
    /// What it is.
    pub object: Option<ObjectType>,
    /// The streaming format; nothing for what several have in common.
    pub format: Option<StreamingFormat>,
    /// Whether there will be more.
    pub stream: Option<StreamType>,
}

/// The value of `CMSD-Static`, a dictionary of RFC 8941; empty where nothing is known.
pub fn cmsd_static(facts: &Facts<'_>) -> String {
    let number = |key, value: Option<u64>| value.map(|value| format!("{key}={value}"));
    let token = |key, value: Option<&str>| value.map(|value| format!("{key}={value}"));
    let members = [
        number("br", facts.bitrate),
        number("d", facts.duration),
        facts.server.map(|name| format!("n={}", quoted(name))),
        token("ot", facts.object.map(ObjectType::label)),
        token("sf", facts.format.map(StreamingFormat::label)),
        token("st", facts.stream.map(StreamType::label)),
    ];
    let members: Vec<_> = members.into_iter().flatten().collect();
    members.join(",")
}

/// A string of RFC 8941; what can't be in one is left out.
fn quoted(text: &str) -> String {
    let visible = |sign: &char| *sign == ' ' || sign.is_ascii_graphic();
    let mut quoted = String::from("\"");
    for sign in text.chars().filter(visible).take(LONGEST_NAME) {
        if matches!(sign, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(sign);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_told() {
        let mut facts = Facts {
            bitrate: Some(3200),
            duration: Some(6000),
            server: Some("Exämple \"one\"\r\n"),
            object: Some(ObjectType::Video),
            format: Some(StreamingFormat::Hls),
            stream: Some(StreamType::Vod),
        };
        let all = "br=3200,d=6000,n=\"Exmple \\\"one\\\"\",ot=v,sf=h,st=v";
        assert_eq!(cmsd_static(&facts), all);
        facts.bitrate = None;
        facts.format = None;
        facts.server = None;
        assert_eq!(cmsd_static(&facts), "d=6000,ot=v,st=v");
    }
}
