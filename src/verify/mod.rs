//! The rules every presentation must satisfy, checked over its bytes: HLS playlists, MPDs and the
//! CMAF objects they name, ours and others'.
//!
//! Read in this order: [`rules`](RULES) is the list; `fetch` gets at the bytes; `load` turns
//! addresses into streams, with what is really there as `facts`; `hls_media`, `hls_multivariant`,
//! `init`, `fragments`, `dash`, `text`, `stills`, `protection` and `across` hold the rules, each a small function under the
//! sentence it checks; `report` says what came out.
//!
//! Nothing here decodes, and no segment of sound or pictures is read whole: only its boxes and the
//! first bytes of its samples.

mod across;
mod configuration;
mod dash;
mod dash_colour;
mod dash_schema;
mod dash_sets;
mod decoder_buffer;
mod facts;
mod fetch;
mod fragments;
mod hls_media;
mod hls_multivariant;
mod init;
mod load;
mod protection;
mod read_init;
mod read_segment;
mod report;
mod rules;
mod session_data;
mod sound;
mod stills;
mod stream;
mod text;
mod thumbnails;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use url::Url;

pub use decoder_buffer::{DecoderBuffer, decoder_buffer_underflows};
#[cfg(feature = "aws")]
pub use fetch::HttpFetch;
pub use fetch::{Fetch, LocalFetch, MANIFEST_BYTES_MAX};
pub use report::{FINDINGS_KEPT, Finding, Level, Report, RuleReport, Status};
pub use rules::{RULES, Rule};

use self::dash::{MpdView, RepresentationView};
use self::fragments::TrackRun;
use self::hls_multivariant::{MediaView, MultivariantView};
use self::load::Loader;
use self::report::Sheet;
use self::stream::{Container, Medium, Stream};
use crate::error::{Error, ErrorKind, Result};
use crate::hls::{MultivariantPlaylist, Playlist};
use crate::layout::{HLS_NAME, MPD_NAME, RECORD_NAME};
use crate::media::Presentation;

/// Verifies what is at `target`: a directory, a playlist or MPD in one, or a URL of either.
///
/// # Errors
/// When nothing that could be verified is there. What is wrong with what is there is in the
/// report.
pub fn verify_target(target: &str) -> Result<Report> {
    if target.starts_with("http://") || target.starts_with("https://") {
        return verify_url(target);
    }
    if let Some((scheme, _)) = target.split_once("://") {
        let message =
            format!("{target}: {scheme}:// can't be read; give a folder or an http:// URL");
        return Err(Error::unsupported(message));
    }
    let path = Path::new(target);
    let metadata =
        std::fs::metadata(path).map_err(|e| Error::io(format!("opening {target}"), e))?;
    if metadata.is_dir() {
        return verify(&LocalFetch::new(path)?, None);
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::invalid(format!("{target} is not named in UTF-8")))?;
    verify(
        &LocalFetch::new(folder.unwrap_or(Path::new(".")))?,
        Some(&escaped(name)),
    )
}

/// A file name as a relative URL.
fn escaped(name: &str) -> String {
    let mut url = String::from("./");
    for c in name.chars() {
        match c {
            '%' => url.push_str("%25"),
            '?' => url.push_str("%3F"),
            '#' => url.push_str("%23"),
            '\\' => url.push_str("%5C"),
            c => url.push(c),
        }
    }
    url
}

#[cfg(feature = "aws")]
fn verify_url(target: &str) -> Result<Report> {
    let url = Url::parse(target)
        .map_err(|e| Error::invalid(format!("{target}: not a URL")).with_source(e))?;
    let is_file = is_playlist(url.path()) || is_mpd(url.path());
    if is_file {
        return verify(&HttpFetch::new(target)?, Some(target));
    }
    let folder = match url.path().ends_with('/') {
        true => target.to_owned(),
        false => format!("{target}/"),
    };
    verify(&HttpFetch::new(&folder)?, None)
}

#[cfg(not(feature = "aws"))]
fn verify_url(target: &str) -> Result<Report> {
    Err(Error::unsupported(format!(
        "{target}: this build reads no URLs; build it with the feature aws, or name a directory"
    )))
}

fn is_playlist(path: &str) -> bool {
    path.ends_with(".m3u8") || path.ends_with(".m3u")
}

fn is_mpd(path: &str) -> bool {
    path.ends_with(".mpd")
}

/// Verifies the presentation behind `fetch`: the playlist or MPD `entry` (an address relative to
/// the root, or absolute), or else those that the root holds.
///
/// # Errors
/// When no playlist or MPD is there, or none could be read.
pub fn verify(fetch: &dyn Fetch, entry: Option<&str>) -> Result<Report> {
    let entries = match entry {
        Some(entry) => vec![entry.to_owned()],
        None => find_entries(fetch)?,
    };
    let mut sheet = Sheet::default();
    let record = read_record(fetch, &mut sheet);
    let mut loader = Loader::new(fetch);
    let mut found = Found::default();
    let mut shown = Vec::new();
    for entry in &entries {
        let url = Loader::resolve(fetch.root(), entry)?;
        shown.push(loader.shown(url.as_str()));
        read_entry(&mut loader, &mut sheet, &url, &mut found)?;
    }
    judge_all(&mut sheet, &found, record.as_ref());
    if record
        .as_ref()
        .is_some_and(|record| record.stills.is_some())
    {
        let images = found.media.iter();
        for (url, view) in images.filter(|(_, view)| view.playlist.images_only) {
            thumbnails::judge(&loader, &mut sheet, url, view);
        }
    }
    let waivers = record.map(|record| record.waivers).unwrap_or_default();
    Ok(sheet.finish(shown, &waivers))
}

/// Names under which packagers put their entry points, ours first.
const HLS_NAMES: &[&str] = &[
    HLS_NAME,
    "master.m3u8",
    "main.m3u8",
    "manifest.m3u8",
    "playlist.m3u8",
];
const MPD_NAMES: &[&str] = &[
    MPD_NAME,
    "stream.mpd",
    "dash.mpd",
    "index.mpd",
    "master.mpd",
];

fn find_entries(fetch: &dyn Fetch) -> Result<Vec<String>> {
    let names = fetch.names();
    let there = |name: &&&str| fetch.size(name).is_ok();
    let mut entries = Vec::new();
    match HLS_NAMES.iter().find(there) {
        Some(name) => entries.push((*name).to_owned()),
        None => entries.extend(only_playlist(fetch, &names)?),
    }
    match MPD_NAMES.iter().find(there) {
        Some(name) => entries.push((*name).to_owned()),
        None => {
            let mpds: Vec<_> = names.iter().filter(|name| is_mpd(name)).collect();
            match mpds.as_slice() {
                [] => {}
                [only] => entries.push(escaped(only)),
                several => return Err(ambiguous("MPDs", several)),
            }
        }
    }
    if entries.is_empty() {
        let message = "no playlist (index.m3u8) or MPD (manifest.mpd) there; name one directly";
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    Ok(entries)
}

fn ambiguous(what: &str, names: &[&String]) -> Error {
    let names: Vec<_> = names.iter().take(8).map(|name| name.as_str()).collect();
    Error::invalid(format!(
        "several {what} there ({}); name one directly",
        names.join(", ")
    ))
}

/// The one multivariant playlist among `names`, or else the one playlist.
fn only_playlist(fetch: &dyn Fetch, names: &[String]) -> Result<Option<String>> {
    let playlists: Vec<&String> = names.iter().filter(|name| is_playlist(name)).collect();
    let is_multivariant = |name: &&&String| {
        let bytes = fetch.all(&escaped(name)).unwrap_or_default();
        let read = crate::hls::read(&String::from_utf8_lossy(&bytes));
        matches!(read, Ok(Playlist::Multivariant(_)))
    };
    let multivariants: Vec<&String> = playlists.iter().filter(is_multivariant).copied().collect();
    match (multivariants.as_slice(), playlists.as_slice()) {
        ([only], _) | ([], [only]) => Ok(Some(escaped(only))),
        ([], []) => Ok(None),
        ([], several) => Err(ambiguous("playlists", several)),
        (several, _) => Err(ambiguous("multivariant playlists", several)),
    }
}

/// The record beside the entry points, for its waivers.
fn read_record(fetch: &dyn Fetch, sheet: &mut Sheet) -> Option<Presentation> {
    let bytes = fetch.all(RECORD_NAME).ok()?;
    match serde_json::from_slice(&bytes) {
        Ok(record) => Some(record),
        Err(error) => {
            sheet.note(format!(
                "{RECORD_NAME} can't be read, so nothing is waived: {error}"
            ));
            None
        }
    }
}

/// What was found at the entry points.
#[derive(Default)]
struct Found {
    multivariant: Option<(String, Url, MultivariantPlaylist)>,
    /// Media playlists by their absolute address.
    media: BTreeMap<String, MediaView>,
    mpds: Vec<FoundMpd>,
}

struct FoundMpd {
    place: String,
    mpd: crate::dash::Mpd,
    bytes: usize,
    streams: Vec<(Stream, Vec<(u64, u64)>)>,
}

fn read_entry(
    loader: &mut Loader<'_>,
    sheet: &mut Sheet,
    url: &Url,
    found: &mut Found,
) -> Result<()> {
    let bytes = loader.fetch.all(url.as_str())?;
    if is_mpd(url.path())
        || (!is_playlist(url.path()) && bytes.trim_ascii_start().starts_with(b"<"))
    {
        let read = read_mpd(loader, sheet, url, &bytes)?;
        found.mpds.push(read);
        return Ok(());
    }
    match read_playlist(loader, sheet, url, &bytes)? {
        Playlist::Media(playlist) => keep_media(loader, sheet, url, playlist, found),
        Playlist::Multivariant(playlist) => {
            read_children(loader, sheet, url, &playlist, found);
            found.multivariant = Some((loader.shown(url.as_str()), url.clone(), playlist));
        }
    }
    Ok(())
}

const PLAYLIST_TYPES: &[&str] = &[
    "application/vnd.apple.mpegurl",
    "audio/mpegurl",
    "application/x-mpegurl",
];
const MPD_TYPES: &[&str] = &["application/dash+xml"];

fn read_playlist(
    loader: &mut Loader<'_>,
    sheet: &mut Sheet,
    url: &Url,
    bytes: &[u8],
) -> Result<Playlist> {
    let place = loader.shown(url.as_str());
    loader.judge_serving(sheet, url.as_str(), PLAYLIST_TYPES);
    let utf8 = std::str::from_utf8(bytes).is_ok();
    let playlist =
        crate::hls::read(&String::from_utf8_lossy(bytes)).map_err(|e| e.context(&place))?;
    hls_media::judge_document(sheet, &place, &playlist, utf8);
    Ok(playlist)
}

fn keep_media(
    loader: &mut Loader<'_>,
    sheet: &mut Sheet,
    url: &Url,
    playlist: crate::hls::MediaPlaylist,
    found: &mut Found,
) {
    let place = loader.shown(url.as_str());
    let stream = loader.playlist_stream(sheet, url, &playlist);
    let view = MediaView {
        place,
        playlist,
        stream,
    };
    found.media.insert(url.as_str().to_owned(), view);
}

/// Reads every media playlist that a multivariant playlist names, each once.
fn read_children(
    loader: &mut Loader<'_>,
    sheet: &mut Sheet,
    base: &Url,
    multivariant: &MultivariantPlaylist,
    found: &mut Found,
) {
    let variants = multivariant
        .variants
        .iter()
        .chain(&multivariant.i_frame_variants)
        .chain(&multivariant.image_variants);
    let of_variants = variants.map(|variant| (variant.line, variant.uri.as_str()));
    let renditions = multivariant.renditions.iter();
    let of_renditions = renditions.filter_map(|r| Some((r.line, r.uri()?)));
    let place = loader.shown(base.as_str());
    let mut seen = BTreeSet::new();
    for (line, uri) in of_variants.chain(of_renditions) {
        let at = format!("{place}:{line}");
        if uri.is_empty() {
            sheet.judge("H21", &at, Some("no URI".into()));
            continue;
        }
        if !seen.insert(uri) {
            continue;
        }
        let read = read_child(loader, sheet, base, uri, found);
        sheet.judge("H21", &at, read.err().map(|error| error.to_string()));
    }
    let played = found.media.values().filter(|view| !view.stream.stills);
    let length = played.map(|view| view.stream.declared_nanos()).max();
    for tag in &multivariant.session_data {
        session_data::judge(loader, sheet, base, (&place, tag), length);
    }
}

fn read_child(
    loader: &mut Loader<'_>,
    sheet: &mut Sheet,
    base: &Url,
    uri: &str,
    found: &mut Found,
) -> Result<()> {
    let url = Loader::resolve(base, uri)?;
    let bytes = loader.fetch.all(url.as_str())?;
    match read_playlist(loader, sheet, &url, &bytes)? {
        Playlist::Media(playlist) => {
            keep_media(loader, sheet, &url, playlist, found);
            Ok(())
        }
        Playlist::Multivariant(_) => {
            let message = format!("{uri} is a multivariant playlist itself");
            Err(Error::invalid(message))
        }
    }
}

fn read_mpd(
    loader: &mut Loader<'_>,
    sheet: &mut Sheet,
    url: &Url,
    bytes: &[u8],
) -> Result<FoundMpd> {
    let place = loader.shown(url.as_str());
    loader.judge_serving(sheet, url.as_str(), MPD_TYPES);
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Error::invalid(format!("{place}: not UTF-8")).with_source(e))?;
    let mpd = crate::dash::read(text).map_err(|e| e.context(&place))?;
    let streams = mpd
        .representations()
        .map(|(_, _, representation)| loader.representation_stream(sheet, url, representation))
        .collect();
    Ok(FoundMpd {
        place,
        mpd,
        bytes: bytes.len(),
        streams,
    })
}

fn judge_all(sheet: &mut Sheet, found: &Found, record: Option<&Presentation>) {
    let multivariant = found
        .multivariant
        .as_ref()
        .map(|(place, url, playlist)| link_multivariant(place, url, playlist, &found.media));
    judge_hls(sheet, found, multivariant.as_ref());
    let mpds: Vec<MpdView<'_>> = found.mpds.iter().map(link_mpd).collect();
    for view in &mpds {
        dash::judge(sheet, view);
        judge_sets(sheet, view);
        if !found.media.is_empty() {
            judge_shared_objects(sheet, view, found);
        }
    }
    let of_hls = found.media.values().map(|view| &view.stream);
    let of_dash = mpds
        .iter()
        .flat_map(|view| view.representations.iter().map(|r| &r.stream));
    let streams = across::distinct(of_hls.chain(of_dash));
    judge_streams(sheet, &streams, record);
    protection::judge(sheet, multivariant.as_ref(), found, &mpds, &streams);
}

fn link_multivariant<'a>(
    place: &'a str,
    base: &Url,
    playlist: &'a MultivariantPlaylist,
    media: &'a BTreeMap<String, MediaView>,
) -> MultivariantView<'a> {
    let view = |uri: &str| media.get(Loader::resolve(base, uri).ok()?.as_str());
    let variants = |all: &'a [crate::hls::Variant]| {
        all.iter()
            .map(|variant| (variant, view(&variant.uri)))
            .collect()
    };
    let renditions = playlist.renditions.iter();
    MultivariantView {
        place,
        playlist,
        variants: variants(&playlist.variants),
        i_frame_variants: variants(&playlist.i_frame_variants),
        image_variants: variants(&playlist.image_variants),
        renditions: renditions
            .map(|rendition| (rendition, rendition.uri().and_then(&view)))
            .collect(),
    }
}

fn link_mpd(found: &FoundMpd) -> MpdView<'_> {
    let rows = found.mpd.representations().zip(&found.streams);
    let representations = rows
        .map(
            |((period, set, representation), (stream, times))| RepresentationView {
                period,
                set,
                representation,
                objects: objects(stream),
                stream: stream.clone(),
                times: times.clone(),
            },
        )
        .collect();
    MpdView {
        place: &found.place,
        mpd: &found.mpd,
        bytes: found.bytes,
        representations,
    }
}

/// The addresses a stream names, its init segment's first.
fn objects(stream: &Stream) -> Vec<String> {
    let segments = stream.segments.iter().map(|segment| segment.place.clone());
    stream.init_place.iter().cloned().chain(segments).collect()
}

/// The same, but of the byte ranges of an object that follow each other the object itself, once:
/// I-frame playlists list parts of what DASH lists whole.
fn whole_objects(stream: &Stream) -> Vec<String> {
    let mut objects = objects(stream);
    if stream.stills {
        for object in &mut objects {
            if let Some((url, _)) = object.split_once(" bytes ") {
                *object = url.to_owned();
            }
        }
        objects.dedup();
    }
    objects
}

fn judge_hls(sheet: &mut Sheet, found: &Found, multivariant: Option<&MultivariantView<'_>>) {
    let videos = || found.media.values().filter(|v| v.stream.is_played_video());
    let video_frame = videos().find_map(|view| view.stream.frame_nanos());
    for view in found.media.values() {
        hls_media::judge(
            sheet,
            &view.place,
            &view.playlist,
            &view.stream,
            video_frame,
        );
    }
    let rows: Vec<_> = found
        .media
        .values()
        .map(|view| (view.place.as_str(), &view.playlist, view.stream.medium()))
        .collect();
    let above = multivariant.map(|view| (view.place, view.playlist.independent_segments));
    hls_media::independent_segments(sheet, above, &rows);
    let Some(multivariant) = multivariant else {
        return;
    };
    hls_multivariant::judge(sheet, multivariant);
    text::judge_renditions(sheet, multivariant);
    stills::judge_hls(sheet, multivariant);
    let place = multivariant.place;
    let plays: Vec<&MediaView> = found
        .media
        .values()
        .filter(|view| !view.playlist.i_frames_only && !view.playlist.images_only)
        .collect();
    if plays.len() > 1 {
        hls_multivariant::equal_lengths(sheet, place, &plays);
        sheet.judge(
            "H10",
            place,
            hls_multivariant::target_durations_differ(&plays),
        );
        sheet.judge(
            "H12",
            place,
            hls_multivariant::discontinuities_differ(&plays),
        );
    }
    judge_hls_alignment(sheet, multivariant);
}

/// Variants' videos of one codec and range are a switching set; each audio rendition is cut with them.
fn judge_hls_alignment(sheet: &mut Sheet, multivariant: &MultivariantView<'_>) {
    let place = multivariant.place;
    let media = || {
        let variants = multivariant.variants.iter().filter_map(|(_, media)| *media);
        let renditions = multivariant
            .renditions
            .iter()
            .filter_map(|(_, media)| *media);
        variants.chain(renditions).map(|media| &media.stream)
    };
    let distinct = across::distinct(media());
    let of = |medium| {
        let streams = distinct.iter().copied();
        streams
            .filter(move |stream| stream.medium() == medium)
            .collect::<Vec<_>>()
    };
    let (videos, audios) = (of(Medium::Video), of(Medium::Audio));
    for set in across::by_codec_and_range(&videos) {
        across::judge_switching_set(sheet, place, &set, true);
    }
    let Some(video) = videos.first() else {
        return;
    };
    for audio in &audios {
        sheet.judge("H13", &audio.place, across::sound_boundaries(video, audio));
    }
}

fn judge_sets(sheet: &mut Sheet, view: &MpdView<'_>) {
    for period in &view.mpd.periods {
        for set in &period.adaptation_sets {
            let in_set = |r: &&RepresentationView<'_>| std::ptr::eq(r.set, set);
            let representations = view.representations.iter().filter(in_set);
            let streams: Vec<&Stream> = representations.map(|r| &r.stream).collect();
            let place = format!("{}:{}", view.place, set.common.line);
            across::judge_switching_set(sheet, &place, &streams, false);
        }
    }
}

fn judge_shared_objects(sheet: &mut Sheet, view: &MpdView<'_>, found: &Found) {
    let playlists = found
        .media
        .iter()
        .map(|(url, media)| (url.clone(), whole_objects(&media.stream)))
        .collect();
    let mut faults = dash::objects_differ(&view.representations, &playlists);
    faults.extend(text::cues_differ(&view.representations, &found.media));
    sheet.judge("D23", view.place, faults);
}

/// What holds for each stream once, whoever names it.
fn judge_streams(sheet: &mut Sheet, streams: &[&Stream], record: Option<&Presentation>) {
    let mut inits = BTreeSet::new();
    for stream in streams {
        if let Some(container) = hls_multivariant::foreign_container(stream) {
            let kind = match container {
                Container::Ts => "MPEG-2 transport stream",
                _ => "packed audio",
            };
            sheet.note(format!(
                "{}: {kind} segments; the CMAF rules don't apply",
                stream.place
            ));
        }
        let (Some(init), Some(place)) = (stream.init.as_deref(), stream.init_place.as_deref())
        else {
            continue;
        };
        if inits.insert(place) {
            init::judge(sheet, place, init);
        }
        let segments = stream.segments.iter();
        let run = TrackRun {
            place: &stream.place,
            init,
            stills: stream.stills,
            segments: segments
                .map(|s| (s.place.as_str(), s.facts.as_deref()))
                .collect(),
        };
        fragments::judge(sheet, &run);
        if stream.medium() == Medium::Video {
            sheet.judge("A03", &stream.place, across::too_many_frames(stream));
        }
    }
    judge_sound(sheet, streams, record);
}

fn judge_sound(sheet: &mut Sheet, streams: &[&Stream], record: Option<&Presentation>) {
    if let Some(record) = record {
        sound::judge_levels(sheet, "presentation.json", record);
    }
    let video = streams.iter().find(|stream| stream.is_played_video());
    for audio in streams
        .iter()
        .filter(|stream| stream.medium() == Medium::Audio)
    {
        across::judge_priming(sheet, audio, record);
        sound::judge(sheet, audio);
        if let Some(video) = video {
            sheet.judge("A08", &audio.place, across::starts_apart(video, audio));
        }
    }
}

#[cfg(test)]
mod tests;
