//! MPDs as they were read: each level typed, what is inherited resolved.

use std::sync::Arc;

use super::addressing::{
    Addressing, ObjectRange, SegmentRef, SegmentTemplate, TemplateValues, expand_template,
};
use super::element::{Element, find_attribute};
use crate::error::Result;
use crate::time::Ticks;

/// An MPD (ISO/IEC 23009-1 5.3.1). Times are nanoseconds unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mpd {
    /// The whole document.
    pub root: Element,
    /// `@type`; `static` when not written.
    pub mpd_type: String,
    /// `@profiles`, split at the commas.
    pub profiles: Vec<String>,
    /// `@mediaPresentationDuration`.
    pub duration: Option<Ticks>,
    /// `@minBufferTime`.
    pub min_buffer_time: Option<Ticks>,
    /// `@maxSegmentDuration`.
    pub max_segment_duration: Option<Ticks>,
    /// The Periods, in order.
    pub periods: Vec<Period>,
    /// What could not be understood.
    pub problems: Vec<Problem>,
}

impl Mpd {
    /// Every Representation with its Adaptation Set and Period.
    pub fn representations(
        &self,
    ) -> impl Iterator<Item = (&Period, &AdaptationSet, &Representation)> {
        self.periods.iter().flat_map(|period| {
            period.adaptation_sets.iter().flat_map(move |set| {
                let all = set.representations.iter();
                all.map(move |representation| (period, set, representation))
            })
        })
    }
}

/// Something that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, in words.
    pub message: String,
}

/// What Periods, Adaptation Sets and Representations have in common: their own attributes,
/// descriptors and the names of the elements in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Common {
    /// Line of the element, from 1.
    pub line: usize,
    /// Attributes as written.
    pub attributes: Vec<(String, String)>,
    /// Names of the elements directly in it, in order; one run of a name counts once.
    pub child_names: Vec<String>,
    /// Descriptors directly in it.
    pub descriptors: Vec<Descriptor>,
}

impl Common {
    /// The attribute of exactly that name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        find_attribute(&self.attributes, name)
    }

    /// Whether an element of that name is directly in it.
    pub fn has_child(&self, name: &str) -> bool {
        self.child_names.iter().any(|child| child == name)
    }

    /// Descriptors of that kind: `Role`, `EssentialProperty`, `AudioChannelConfiguration`, ...
    pub fn descriptors<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Descriptor> + 'a {
        self.descriptors.iter().filter(move |d| d.kind == kind)
    }
}

/// A descriptor (5.8.2): any element with `@schemeIdUri`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The element's name: `Role`, `SupplementalProperty`, `ContentProtection`, ...
    pub kind: String,
    /// `@schemeIdUri`.
    pub scheme: String,
    /// `@value`.
    pub value: Option<String>,
    /// All attributes.
    pub attributes: Vec<(String, String)>,
}

/// A Period (5.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Its own attributes and so on.
    pub common: Common,
    /// `@id`.
    pub id: Option<String>,
    /// Start: `@start`, or the end of the Period before, or 0 for the first. `None` when unknown.
    pub start: Option<Ticks>,
    /// Length: `@duration`, or up to the next Period's start or the presentation's end.
    pub duration: Option<Ticks>,
    /// `@duration` as written.
    pub duration_written: Option<Ticks>,
    /// Its Adaptation Sets, in order.
    pub adaptation_sets: Vec<AdaptationSet>,
}

/// An Adaptation Set (5.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdaptationSet {
    /// Its own attributes and so on; shared with its Representations, which inherit from it.
    pub common: Arc<Common>,
    /// `@id`.
    pub id: Option<String>,
    /// Its Representations, in order.
    pub representations: Vec<Representation>,
}

impl AdaptationSet {
    /// `video`, `audio`, `text`, `image`, ...: `@contentType`, or else what stands before the
    /// slash in the `@mimeType` of the set or its first Representation.
    pub fn content_type(&self) -> Option<&str> {
        let of_mime = |mime: &str| mime.split('/').next().map(str::len);
        let written = self.common.attribute("contentType");
        let first = self.representations.first();
        let mime = || first.map_or_else(|| self.common.attribute("mimeType"), |r| r.mime_type());
        written.or_else(|| {
            let mime = mime()?;
            mime.get(..of_mime(mime)?)
        })
    }

    /// `@lang`.
    pub fn language(&self) -> Option<&str> {
        self.common.attribute("lang")
    }

    /// Values of the Roles in the scheme `urn:mpeg:dash:role:2011`.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.common
            .descriptors("Role")
            .filter(|role| role.scheme == "urn:mpeg:dash:role:2011")
            .filter_map(|role| role.value.as_deref())
    }
}

/// A Representation (5.3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Representation {
    /// Its own attributes and so on.
    pub common: Common,
    /// Those of its Adaptation Set.
    pub set: Arc<Common>,
    /// `@id`; empty when missing.
    pub id: String,
    /// The first `BaseURL` of each level that has one, outermost first.
    pub base_urls: Vec<String>,
    /// How it names its segments.
    pub addressing: Addressing,
    /// Length of its Period.
    pub period_duration: Option<Ticks>,
}

impl Representation {
    /// The attribute of that name, its own or else the Adaptation Set's (5.3.7).
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let own = self.common.attribute(name);
        own.or_else(|| self.set.attribute(name))
    }

    /// Descriptors of that kind: its own if there are any, or else the Adaptation Set's.
    pub fn descriptors<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Descriptor> + 'a {
        let own = self.common.descriptors(kind).next().is_some();
        let from = if own { &self.common } else { &*self.set };
        from.descriptors(kind)
    }

    /// `@bandwidth`, bits a second.
    pub fn bandwidth_bps(&self) -> Option<u64> {
        self.common.attribute("bandwidth")?.trim().parse().ok()
    }

    /// `@codecs` as written.
    pub fn codecs(&self) -> Option<&str> {
        self.attribute("codecs")
    }

    /// `@mimeType` as written.
    pub fn mime_type(&self) -> Option<&str> {
        self.attribute("mimeType")
    }

    /// `@width` and `@height` in pixels.
    pub fn size(&self) -> Option<(u32, u32)> {
        let number = |name| self.attribute(name)?.trim().parse().ok();
        Some((number("width")?, number("height")?))
    }

    /// `@frameRate` as numerator and denominator.
    pub fn frame_rate(&self) -> Option<(u32, u32)> {
        let text = self.attribute("frameRate")?.trim();
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        Some((numerator.parse().ok()?, denominator.parse().ok()?))
    }

    /// `@audioSamplingRate`, when it is one number.
    pub fn audio_sampling_rate(&self) -> Option<u32> {
        self.attribute("audioSamplingRate")?.trim().parse().ok()
    }

    /// Where `reference` (a segment's URL) is, relative to the MPD: joined with the base URLs.
    ///
    /// Dot segments are left as they are; resolve the result against the MPD's own URL.
    pub fn locate(&self, reference: &str) -> String {
        let bases = self.base_urls.iter().map(String::as_str);
        bases
            .chain([reference])
            .fold(String::new(), |base, next| join(&base, next))
    }

    /// The init segment. `None` when none is named.
    pub fn initialization(&self) -> Option<Result<ObjectRange>> {
        match &self.addressing {
            Addressing::Template(template) => {
                let url = expand_template(template.initialization.as_ref()?, &self.values(None));
                Some(url.map(|url| ObjectRange { url, range: None }))
            }
            Addressing::List(list) => list.initialization.clone().map(Ok),
            Addressing::Base(base) => base.initialization.clone().map(Ok),
            Addressing::None => None,
        }
    }

    /// The segments in order: lazily, and perhaps very many; take only as many as you can use.
    /// Empty for `SegmentBase`, whose segments only the `sidx` knows.
    pub fn segments(&self) -> Box<dyn Iterator<Item = Result<SegmentRef>> + '_> {
        match &self.addressing {
            Addressing::Template(template) => match &template.timeline {
                Some(_) => Box::new(self.timeline_segments(template)),
                None => Box::new(self.uniform_segments(template)),
            },
            Addressing::List(list) => Box::new(list_segments(list).map(Ok)),
            Addressing::Base(_) | Addressing::None => Box::new(std::iter::empty()),
        }
    }

    fn timeline_segments<'a>(
        &'a self,
        template: &'a SegmentTemplate,
    ) -> impl Iterator<Item = Result<SegmentRef>> + 'a {
        let offset = template.presentation_time_offset;
        let end = self
            .period_ticks(template.ticks_per_second())
            .and_then(|length| offset.checked_add(length));
        let timeline = template.timeline.iter();
        let segments = timeline.flat_map(move |timeline| timeline.segments(end));
        segments.map(move |segment| {
            let counted = template.first_number().saturating_add(segment.index);
            let number = segment.number.unwrap_or(counted);
            self.template_segment(template, number, segment.time, segment.duration)
        })
    }

    /// Segments by `@duration` alone, up to the Period's end or `@endNumber`.
    fn uniform_segments<'a>(
        &'a self,
        template: &'a SegmentTemplate,
    ) -> impl Iterator<Item = Result<SegmentRef>> + 'a {
        let duration = template.duration.unwrap_or(0);
        let first = template.first_number();
        let length = self.period_ticks(template.ticks_per_second());
        let by_number = template.end_number.and_then(|end| end.checked_sub(first));
        let count = match (by_number, length) {
            (Some(last), _) => last.saturating_add(1),
            (None, Some(length)) if duration > 0 => length.div_ceil(duration),
            _ => u64::from(template.media.is_some() && template.duration.is_none()),
        };
        (0..count).map_while(move |index| {
            let number = first.checked_add(index)?;
            let time = index.checked_mul(duration)?;
            let time = time.checked_add(template.presentation_time_offset)?;
            Some(self.template_segment(template, number, time, duration))
        })
    }

    fn template_segment(
        &self,
        template: &SegmentTemplate,
        number: u64,
        time: u64,
        duration: u64,
    ) -> Result<SegmentRef> {
        let media = template.media.as_deref().unwrap_or_default();
        Ok(SegmentRef {
            number,
            time,
            duration,
            url: expand_template(media, &self.values(Some((number, time))))?,
            range: None,
        })
    }

    fn values(&self, number_and_time: Option<(u64, u64)>) -> TemplateValues<'_> {
        TemplateValues {
            representation_id: &self.id,
            bandwidth_bps: self.bandwidth_bps().unwrap_or(0),
            number: number_and_time.map(|(number, _)| number),
            time: number_and_time.map(|(_, time)| time),
        }
    }

    /// The Period's length in ticks, rounded up.
    fn period_ticks(&self, ticks_per_second: u64) -> Option<u64> {
        let length = self.period_duration?;
        let nanos = u128::try_from(length.count).ok()?;
        let scaled = nanos.checked_mul(u128::from(ticks_per_second))?;
        let per_second = u128::from(length.timescale.get());
        u64::try_from(scaled.div_ceil(per_second)).ok()
    }
}

fn list_segments(list: &super::SegmentList) -> impl Iterator<Item = SegmentRef> + '_ {
    let first = list.start_number.unwrap_or(1);
    let uniform = list.duration.unwrap_or(0);
    let timeline = list.timeline.iter();
    let mut times = timeline.flat_map(|timeline| timeline.segments(None));
    list.segments
        .iter()
        .zip(0_u64..)
        .map(move |(object, index)| {
            let (time, duration) = match times.next() {
                Some(segment) => (segment.time, segment.duration),
                None => (index.saturating_mul(uniform), uniform),
            };
            SegmentRef {
                number: first.saturating_add(index),
                time,
                duration,
                url: object.url.clone(),
                range: object.range,
            }
        })
}

/// `reference` as seen from `base` (RFC 3986 5.2, without removing dot segments).
fn join(base: &str, reference: &str) -> String {
    let scheme_end = |text: &str| {
        let colon = text.find(':')?;
        let first_slash = text.find('/').unwrap_or(text.len());
        (colon < first_slash).then_some(colon)
    };
    if reference.is_empty() {
        return base.to_owned();
    }
    if base.is_empty() || scheme_end(reference).is_some() {
        return reference.to_owned();
    }
    let root_end = scheme_end(base).map_or(0, |colon| {
        let host = colon.saturating_add("://".len());
        let path = base.get(host..).and_then(|rest| rest.find('/'));
        path.map_or(base.len(), |at| at.saturating_add(host))
    });
    let keep = if reference.starts_with("//") {
        scheme_end(base).map_or(0, |colon| colon.saturating_add(1))
    } else if reference.starts_with('/') {
        root_end
    } else {
        let path = base.get(root_end..).unwrap_or_default();
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let folder = path.rfind('/').map_or(0, |at| at.saturating_add(1));
        root_end.saturating_add(folder)
    };
    let kept = base.get(..keep).unwrap_or_default();
    let bare_host = keep == base.len() && root_end == keep && scheme_end(base).is_some();
    let slash = if bare_host && !reference.starts_with('/') {
        "/"
    } else {
        ""
    };
    format!("{kept}{slash}{reference}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::join;

    #[test]
    fn references_join_like_urls() {
        for (base, reference, joined) in [
            ("", "a/b", "a/b"),
            ("x/", "a", "x/a"),
            ("x/m.mpd", "a", "x/a"),
            ("x/y", "", "x/y"),
            ("x/y", "/a", "/a"),
            ("https://h/x/y?q=/1", "a", "https://h/x/a"),
            ("https://h/x/y", "/a", "https://h/a"),
            ("https://h", "a", "https://h/a"),
            ("https://h/x", "//i/a", "https://i/a"),
            ("x/", "https://h/a", "https://h/a"),
            ("x/", "a/b:c", "x/a/b:c"),
        ] {
            assert_eq!(join(base, reference), joined, "{base} + {reference}");
        }
    }

    proptest! {
        #[test]
        fn any_pair_is_survived(base in "([:/?#.]|\\PC){0,20}", reference in "([:/?#.]|\\PC){0,20}") {
            join(&base, &reference);
        }
    }
}
