//! The values that labels have.

/// Names an enumeration's values in labels and finds their places in arrays.
macro_rules! labelled {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $value:ident = $label:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$what])* $value,)* }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$value,)*];

            /// Its name in metrics and logs.
            pub fn label(self) -> &'static str {
                match self { $(Self::$value => $label,)* }
            }

            /// The one of that name.
            pub fn parse(label: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.label() == label)
            }

            pub(super) const COUNT: usize = Self::ALL.len();

            pub(super) fn place(self) -> usize {
                self as usize
            }
        }
    };
}

pub(super) use labelled;

labelled! {
    /// What a request was for.
    Class {
        /// An entry point: `index.m3u8`, `manifest.mpd` of an asset.
        Entry = "entry",
        /// A playlist or MPD of a revision.
        Manifest = "manifest",
        /// An init segment.
        Init = "init",
        /// A media segment.
        Segment = "segment",
        /// Captions.
        Text = "text",
        /// A poster.
        Poster = "poster",
        /// A thumbnail, or a list of them for web players.
        Thumbnail = "thumbnail",
        /// A content key, or a licence with some.
        Key = "key",
        /// The API, uploads and pages.
        Api = "api",
        /// Anything else, what is not there and what is refused.
        Other = "other",
    }
}

labelled! {
    /// The version of HTTP.
    Version {
        /// HTTP/1.0.
        Http10 = "1.0",
        /// HTTP/1.1.
        Http11 = "1.1",
        /// HTTP/2.
        Http2 = "2",
    }
}

labelled! {
    /// The version of TLS.
    Tls {
        /// No TLS.
        None = "none",
        /// TLS 1.2.
        Tls12 = "1.2",
        /// TLS 1.3.
        Tls13 = "1.3",
    }
}

labelled! {
    /// Why a connection or a request was turned away.
    Refused {
        /// There were as many connections as may be.
        Cap = "cap",
        /// Its client asked too often.
        Rate = "rate",
        /// Its head came too slowly.
        SlowHeader = "slow_header",
        /// It took the answer too slowly.
        SlowReader = "slow_reader",
        /// It didn't have what opens the origin lock, or its signature was not sound.
        Lock = "lock",
        /// It named a host that is not ours, or none.
        Host = "host",
        /// It was no HTTP, or more of it than is read.
        Malformed = "malformed",
        /// TLS could not be agreed on.
        Handshake = "handshake",
    }
}

labelled! {
    /// What came of a request that waited for its segment to be made.
    DemandOutcome {
        /// It was made in time.
        Made = "made",
        /// It was not.
        Late = "late",
        /// Waiting failed.
        Failed = "failed",
    }
}

/// Statuses that are counted by themselves; all others count as the last.
pub(super) const STATUSES: [u16; 26] = [
    200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 408, 409, 412, 413, 414, 415, 416, 421,
    429, 431, 500, 502, 503, 507, 0,
];

/// The place in [`STATUSES`] of each status from 200 on.
const STATUS_PLACES: [u8; 400] = status_places();

#[expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer than 256 statuses"
)]
const fn status_places() -> [u8; 400] {
    let last = STATUSES.len() - 1;
    let mut places = [last as u8; 400];
    let mut at = 0;
    while at < last {
        places[(STATUSES[at] - 200) as usize] = at as u8;
        at += 1;
    }
    places
}

/// The place in [`STATUSES`] that a status counts at.
pub(super) fn status_place(status: u16) -> usize {
    let at = usize::from(status).checked_sub(200);
    let place = at.and_then(|at| STATUS_PLACES.get(at));
    place.map_or(STATUSES.len() - 1, |place| usize::from(*place))
}

/// What is counted at a place of [`STATUSES`].
pub(super) fn status_label(place: usize) -> String {
    match STATUSES[place] {
        0 => "other".to_owned(),
        status => status.to_string(),
    }
}
