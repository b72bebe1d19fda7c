//! Publishing: manifests from what is stored, checked, then made visible, the record last.

use std::fs::File;

use bytes::Bytes;

use super::damage;
use super::prepare::Prepared;
use super::stored::Stored;
use super::{init_key, segment_key};
use crate::cmaf;
use crate::dash;
use crate::error::{Error, ErrorKind, Result};
use crate::hls;
use crate::layout::{HLS_NAME, Key, MPD_NAME, RECORD_NAME};
use crate::media::{
    AudioMethod, AudioRendition, AudioTrack, Colour, Plan, Presentation, SegmentInfo, TrackCommon,
    VideoMethod, VideoPlan, VideoRendition, VideoTrack,
};
use crate::segmenter::last_audio_duration;
use crate::store::BlockingStore;
use crate::time::Timescale;
use crate::verify::{self, Fetch, Report, RuleReport, Status};
use url::Url;

/// Keeps other runs off the same directory while this one works. A bucket has no such lock; its
/// runs are kept apart by conditional creates alone.
pub(super) fn lock(store: &BlockingStore) -> Result<Option<File>> {
    let Some(directory) = store.store().directory() else {
        return Ok(None);
    };
    let path = directory.join(".lock");
    let file =
        File::create(&path).map_err(|e| Error::io(format!("making {}", path.display()), e))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "another run is writing to {}; wait for its end",
                directory.display()
            ),
        )),
    }
}

/// Stores the plan under its revision: what every worker of this revision goes by.
pub(super) fn store_plan(store: &BlockingStore, prepared: &Prepared) -> Result<()> {
    let json = serde_json::to_vec_pretty(prepared.plan.as_ref())
        .map_err(|e| Error::internal("writing the plan as JSON").with_source(e))?;
    let key = Key::Private {
        revision: prepared.revision.clone(),
        name: "plan.json".into(),
    };
    store.create(&key, vec![Bytes::from(json)])?;
    Ok(())
}

/// Segments in all renditions of a plan.
pub(super) fn planned_segments(plan: &Plan) -> u64 {
    tracks(plan).map(|(_, count)| count as u64).sum()
}

/// Renditions of a plan.
pub(super) fn rendition_count(plan: &Plan) -> usize {
    tracks(plan).count()
}

/// How many of a plan's segments are stored.
pub(super) fn count_planned(plan: &Plan, stored: &Stored) -> u64 {
    tracks(plan)
        .map(|(id, _)| u64::from(stored.count(id)))
        .sum()
}

/// Ids and segment counts of all renditions.
fn tracks(plan: &Plan) -> impl Iterator<Item = (&str, usize)> {
    let video = plan.video.iter().flat_map(|video| {
        video
            .renditions
            .iter()
            .map(|rendition| (rendition.id.as_str(), video.segments.len()))
    });
    let audio = plan
        .audio
        .iter()
        .map(|audio| (audio.id.as_str(), audio.segments.len()));
    video.chain(audio)
}

/// Bytes of all media objects.
pub(super) fn total_bytes(presentation: &Presentation) -> u64 {
    let video = presentation.video.iter().map(|track| &track.common);
    let audio = presentation.audio.iter().map(|track| &track.common);
    let track_bytes = |track: &TrackCommon| {
        track.init_bytes
            + track
                .segments
                .iter()
                .map(|segment| segment.bytes)
                .sum::<u64>()
    };
    video.chain(audio).map(track_bytes).sum()
}

/// The record of what was made: planned times, measured sizes, codecs as the init segments say.
pub(super) fn presentation(
    store: &BlockingStore,
    prepared: &Prepared,
    stored: &Stored,
) -> Result<Presentation> {
    let plan = prepared.plan.as_ref();
    let revision = &prepared.revision;
    let mut video = Vec::new();
    if let Some(video_plan) = &plan.video {
        for (at, rendition) in video_plan.renditions.iter().enumerate() {
            let is_lowest = at > 0 && at + 1 == video_plan.renditions.len();
            let durations = video_plan
                .segments
                .iter()
                .map(|span| span.duration.unsigned_abs());
            let common = common(
                store,
                revision,
                stored,
                &rendition.id,
                video_plan.timescale,
                durations,
            )?;
            video.push(video_track(plan, video_plan, rendition, common, is_lowest));
        }
    }
    let mut audio = Vec::new();
    for (at, rendition) in plan.audio.iter().enumerate() {
        let timescale = Timescale::new(rendition.sample_rate)
            .ok_or_else(|| Error::internal("a sample rate of zero in the plan"))?;
        let durations = audio_durations(rendition);
        let common = common(
            store,
            revision,
            stored,
            &rendition.id,
            timescale,
            durations.into_iter(),
        )?;
        audio.push(audio_track(plan, at, common));
    }
    let mut warnings = plan.warnings.clone();
    warnings.extend(damage::told(store, revision)?);
    Ok(Presentation {
        revision: revision.clone(),
        source_digest: plan.source_digest.clone(),
        duration: plan.duration,
        video,
        audio,
        text: Vec::new(),
        waivers: plan.waivers.clone(),
        warnings,
    })
}

fn common(
    store: &BlockingStore,
    revision: &str,
    stored: &Stored,
    track: &str,
    timescale: Timescale,
    durations: impl Iterator<Item = u64>,
) -> Result<TrackCommon> {
    let lost = |key: &Key| Error::new(ErrorKind::DataLoss, format!("{key} is not in the store"));
    let key = init_key(revision, track);
    let init = store.get(&key.to_string())?.ok_or_else(|| lost(&key))?;
    let mut segments = Vec::new();
    for (number, duration) in (1..).zip(durations) {
        let bytes = stored
            .segment_size(track, number)
            .ok_or_else(|| lost(&segment_key(revision, track, number)))?;
        segments.push(SegmentInfo { duration, bytes });
    }
    let info = cmaf::read::read_init(&init)?;
    let mut entries = info
        .tracks
        .into_iter()
        .flat_map(|track| track.sample_entries);
    let codecs = entries
        .next()
        .and_then(|entry| entry.codecs)
        .ok_or_else(|| Error::internal(format!("{key} names no codec")))?;
    Ok(TrackCommon {
        id: track.to_owned(),
        codecs,
        timescale,
        init_bytes: init.len() as u64,
        segments,
        expected: None,
    })
}

fn video_track(
    plan: &Plan,
    video: &VideoPlan,
    rendition: &VideoRendition,
    common: TrackCommon,
    is_lowest: bool,
) -> VideoTrack {
    let copied = rendition.method == VideoMethod::Copy;
    let audio_group = (0..plan.audio.len())
        .filter(|at| plan.audio[*at].source_track == plan.audio[0].source_track)
        .map(|at| audio_group(plan, at))
        .nth(usize::from(is_lowest))
        .or_else(|| (!plan.audio.is_empty()).then(|| audio_group(plan, 0)));
    VideoTrack {
        common,
        width: rendition.width,
        height: rendition.height,
        frame_rate: video.frame_rate,
        colour: if copied {
            video.picture.colour
        } else {
            Colour::BT709
        },
        copied,
        audio_group,
    }
}

fn audio_track(plan: &Plan, at: usize, common: TrackCommon) -> AudioTrack {
    let rendition = &plan.audio[at];
    AudioTrack {
        common,
        group: audio_group(plan, at),
        language: rendition.language.clone(),
        name: rendition.name.clone(),
        default: rendition.default,
        channels: rendition.channels,
        sample_rate: rendition.sample_rate,
        priming: rendition.priming,
        copied: matches!(rendition.method, AudioMethod::Copy { .. }),
    }
}

/// The group of an audio rendition: `audio` for the best of each language, `audio-2` for the
/// second, and so on.
fn audio_group(plan: &Plan, at: usize) -> String {
    let source = plan.audio[at].source_track;
    let before = plan.audio[..at]
        .iter()
        .filter(|other| other.source_track == source)
        .count();
    match before {
        0 => "audio".to_owned(),
        n => format!("audio-{}", n + 1),
    }
}

/// Sums of the sample durations of each segment.
fn audio_durations(rendition: &AudioRendition) -> Vec<u64> {
    let frame = u64::from(rendition.frame_length);
    let mut durations: Vec<u64> = rendition
        .segments
        .iter()
        .map(|span| u64::from(span.frames) * frame)
        .collect();
    if let Some(last) = durations.last_mut() {
        *last = *last + u64::from(last_audio_duration(rendition)) - frame;
    }
    durations
}

/// Writes the manifests, checks everything, makes it visible.
///
/// # Errors
/// When a must of the rules fails: nothing becomes visible then.
pub(super) fn publish(store: &BlockingStore, presentation: &Presentation) -> Result<Report> {
    write_revision(store, presentation)?;
    let report = check(store, presentation)?;
    let failed: Vec<String> = failures(&report);
    if !failed.is_empty() {
        let message = format!(
            "the presentation breaks {} rules: {}",
            failed.len(),
            failed.join("; ")
        );
        return Err(Error::invalid(message));
    }
    let base = format!("{}/", presentation.revision);
    let playlist = hls::multivariant(presentation, &base)?;
    store.replace(&Key::EntryHls, Bytes::from(playlist))?;
    store.replace(
        &Key::EntryDash,
        Bytes::from(dash::mpd(presentation, &base)?),
    )?;
    store.replace(&Key::Record, Bytes::from(record_json(presentation)?))?;
    Ok(report)
}

fn record_json(presentation: &Presentation) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(presentation)
        .map_err(|e| Error::internal("writing the record as JSON").with_source(e))
}

/// Each broken must, in one line.
fn failures(report: &Report) -> Vec<String> {
    let failed = report
        .rules
        .iter()
        .filter(|rule| rule.status == Status::Failed);
    let line = |rule: &RuleReport| match rule.findings.first() {
        Some(finding) => format!("{} at {}: {}", rule.id, finding.place, finding.message),
        None => rule.id.to_owned(),
    };
    failed.map(line).collect()
}

/// Media playlists, then the manifests that name them.
fn write_revision(store: &BlockingStore, presentation: &Presentation) -> Result<()> {
    let revision = &presentation.revision;
    let target = hls::target_duration(presentation);
    let video = presentation.video.iter().map(|track| &track.common);
    let audio = presentation.audio.iter().map(|track| &track.common);
    for track in video.chain(audio) {
        let playlist = hls::media_playlist(track, target)?;
        let key = Key::MediaPlaylist {
            revision: revision.clone(),
            track: track.id.clone(),
        };
        store.create(&key, vec![Bytes::from(playlist)])?;
    }
    let playlist = hls::multivariant(presentation, "")?;
    // Replaced, not created: a run that mends a damaged folder measures other sizes.
    let revision = revision.clone();
    store.replace(
        &Key::Multivariant {
            revision: revision.clone(),
        },
        Bytes::from(playlist),
    )?;
    store.replace(
        &Key::Mpd { revision },
        Bytes::from(dash::mpd(presentation, "")?),
    )?;
    Ok(())
}

/// Runs every rule over the revision as it lies in the store, and stores the report.
fn check(store: &BlockingStore, presentation: &Presentation) -> Result<Report> {
    let revision = &presentation.revision;
    let root = Url::parse("store:///").map_err(|e| Error::internal(e.to_string()))?;
    let record = record_json(presentation)?;
    let report = verify::verify(
        &StoreFetch {
            store,
            folder: revision,
            root,
            record,
        },
        None,
    )?;
    let json = serde_json::to_vec_pretty(&report)
        .map_err(|e| Error::internal("writing the report as JSON").with_source(e))?;
    let key = Key::Private {
        revision: revision.clone(),
        name: "conformance.json".into(),
    };
    store.replace(&key, Bytes::from(json))?;
    Ok(report)
}

/// The objects of one revision, for the rules to look at.
#[derive(Debug)]
struct StoreFetch<'a> {
    store: &'a BlockingStore,
    folder: &'a str,
    root: Url,
    /// The record that will be stored if the rules allow.
    record: Vec<u8>,
}

impl StoreFetch<'_> {
    fn key(&self, url: &str) -> String {
        let path = url.strip_prefix(self.root.as_str()).unwrap_or(url);
        format!("{}/{path}", self.folder)
    }
}

impl Fetch for StoreFetch<'_> {
    fn root(&self) -> &Url {
        &self.root
    }

    fn names(&self) -> Vec<String> {
        vec![HLS_NAME.to_owned(), MPD_NAME.to_owned()]
    }

    fn size(&self, url: &str) -> Result<u64> {
        let missing = || Error::new(ErrorKind::NotFound, format!("{url} is not in the store"));
        self.store.size(&self.key(url))?.ok_or_else(missing)
    }

    fn range(&self, url: &str, start: u64, len: u64) -> Result<Vec<u8>> {
        Ok(self
            .store
            .get_range(&self.key(url), start, start.saturating_add(len))?
            .into())
    }

    fn all(&self, url: &str) -> Result<Vec<u8>> {
        if url == RECORD_NAME {
            return Ok(self.record.clone());
        }
        let missing = || Error::new(ErrorKind::NotFound, format!("{url} is not in the store"));
        self.store
            .get(&self.key(url))?
            .map(Into::into)
            .ok_or_else(missing)
    }

    fn content_type(&self, url: &str) -> Option<String> {
        Key::parse(&self.key(url)).map(|key| key.kind().content_type().to_owned())
    }
}
