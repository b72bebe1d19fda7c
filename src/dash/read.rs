//! Text -> MPD, leniently: what is odd is told rather than refused, as long as it is well-formed.

use std::sync::Arc;

use super::addressing::{Addressing, ObjectRange, SegmentBase, SegmentList, SegmentTemplate};
use super::duration::parse_duration;
use super::element::{Element, read_tree};
use super::mpd::{AdaptationSet, Common, Descriptor, Mpd, Period, Problem, Representation};
use super::timeline::{Timeline, TimelineEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Ticks;

/// Most Representations in one MPD.
const MAX_REPRESENTATIONS: usize = 4096;
/// Longest `BaseURL` in bytes.
const MAX_URL_BYTES: usize = 64 << 10;
/// So many problems are told; those after are of the same sort.
const MAX_PROBLEMS: usize = 1000;

/// Reads an MPD.
///
/// Refused is what is not well-formed XML, whose root is not `MPD`, or what exceeds the limits;
/// everything else is told in [`Mpd::problems`].
pub fn read(text: &str) -> Result<Mpd> {
    let root = read_tree(text)?;
    if root.name != "MPD" {
        let message = format!("not an MPD: the root element is {:?}", root.name);
        return Err(Error::invalid(message));
    }
    let mut reader = Reader::default();
    let duration = reader.duration(&root, "mediaPresentationDuration");
    let periods = reader.periods(&root, duration)?;
    Ok(Mpd {
        mpd_type: root.attribute("type").unwrap_or("static").to_owned(),
        profiles: profiles(&root),
        duration,
        min_buffer_time: reader.duration(&root, "minBufferTime"),
        max_segment_duration: reader.duration(&root, "maxSegmentDuration"),
        periods,
        problems: reader.problems,
        root,
    })
}

fn profiles(root: &Element) -> Vec<String> {
    let written = root.attribute("profiles").unwrap_or_default();
    let profiles = written.split(',').map(str::trim);
    let profiles = profiles.filter(|profile| !profile.is_empty());
    profiles.map(str::to_owned).collect()
}

/// What a level (MPD, Period, Adaptation Set, Representation) passes on to those in it.
#[derive(Clone, Default)]
struct Inherited<'a> {
    base_urls: Vec<&'a str>,
    /// The elements of each addressing, outermost first, with their parsed lists.
    templates: Vec<Level<'a>>,
    lists: Vec<Level<'a>>,
    bases: Vec<Level<'a>>,
    /// Which of the three was written last, on the way in.
    latest: Option<Kind>,
}

#[derive(Clone, Copy)]
enum Kind {
    Template,
    List,
    Base,
}

#[derive(Clone)]
struct Level<'a> {
    element: &'a Element,
    timeline: Option<Timeline>,
    /// The `SegmentURL`s, if it has any.
    urls: Option<Arc<[ObjectRange]>>,
}

#[derive(Default)]
struct Reader {
    representations: usize,
    problems: Vec<Problem>,
}

impl Reader {
    fn complain(&mut self, line: usize, message: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem {
                line,
                message: message.into(),
            });
        }
    }

    fn duration(&mut self, element: &Element, name: &str) -> Option<Ticks> {
        let text = element.attribute(name)?;
        let duration = parse_duration(text);
        if duration.is_none() {
            self.complain(element.line, format!("@{name} is no fixed duration"));
        }
        duration
    }

    fn number(&mut self, element: &Element, name: &str) -> Option<u64> {
        let text = element.attribute(name)?;
        let number = text.trim().parse().ok();
        if number.is_none() {
            let message = format!("{}@{name} is no whole number", element.name);
            self.complain(element.line, message);
        }
        number
    }

    fn periods(&mut self, root: &Element, total: Option<Ticks>) -> Result<Vec<Period>> {
        let elements: Vec<&Element> = root.all("Period").collect();
        let durations: Vec<_> = elements
            .iter()
            .map(|e| self.duration(e, "duration"))
            .collect();
        let starts = self.period_starts(&elements, &durations);
        let mut inherited = Inherited::default();
        self.inherit(&mut inherited, root)?;
        let mut periods = Vec::with_capacity(elements.len());
        for (i, element) in elements.iter().enumerate() {
            let start = starts.get(i).copied().flatten();
            let duration_written = durations.get(i).copied().flatten();
            let end = match starts.get(i + 1) {
                Some(next) => *next,
                None => total,
            };
            let duration = duration_written.or_else(|| difference(end?, start?));
            periods.push(Period {
                common: common(element),
                id: element.attribute("id").map(str::to_owned),
                start,
                duration,
                duration_written,
                adaptation_sets: self.adaptation_sets(element, &inherited, duration)?,
            });
        }
        Ok(periods)
    }

    /// `@start`, or the end of the Period before, or 0 for the first (5.3.2.1).
    fn period_starts(
        &mut self,
        elements: &[&Element],
        durations: &[Option<Ticks>],
    ) -> Vec<Option<Ticks>> {
        let mut next = parse_duration("PT0S");
        let mut starts = Vec::with_capacity(elements.len());
        for (element, duration) in elements.iter().zip(durations) {
            let start = self.duration(element, "start").or(next);
            starts.push(start);
            next = start.and_then(|start| {
                let end = start.count.checked_add((*duration)?.count)?;
                Some(Ticks::new(end, start.timescale))
            });
        }
        starts
    }

    fn adaptation_sets(
        &mut self,
        period: &Element,
        inherited: &Inherited<'_>,
        period_duration: Option<Ticks>,
    ) -> Result<Vec<AdaptationSet>> {
        let mut inherited = inherited.clone();
        self.inherit(&mut inherited, period)?;
        let mut sets = Vec::new();
        for element in period.all("AdaptationSet") {
            sets.push(self.adaptation_set(element, &inherited, period_duration)?);
        }
        Ok(sets)
    }

    fn adaptation_set(
        &mut self,
        element: &Element,
        inherited: &Inherited<'_>,
        period_duration: Option<Ticks>,
    ) -> Result<AdaptationSet> {
        let mut inherited = inherited.clone();
        self.inherit(&mut inherited, element)?;
        let set = Arc::new(common(element));
        let mut representations = Vec::new();
        for element in element.all("Representation") {
            representations.push(self.representation(
                element,
                &inherited,
                &set,
                period_duration,
            )?);
        }
        Ok(AdaptationSet {
            common: set,
            id: element.attribute("id").map(str::to_owned),
            representations,
        })
    }

    fn representation(
        &mut self,
        element: &Element,
        inherited: &Inherited<'_>,
        set: &Arc<Common>,
        period_duration: Option<Ticks>,
    ) -> Result<Representation> {
        self.representations += 1;
        if self.representations > MAX_REPRESENTATIONS {
            let message = "MPD has more Representations than are read";
            return Err(Error::new(ErrorKind::Exhausted, message));
        }
        let mut inherited = inherited.clone();
        self.inherit(&mut inherited, element)?;
        Ok(Representation {
            common: common(element),
            set: Arc::clone(set),
            id: element.attribute("id").unwrap_or_default().to_owned(),
            addressing: self.addressing(&inherited),
            base_urls: inherited.base_urls.into_iter().map(str::to_owned).collect(),
            period_duration,
        })
    }

    /// Adds what `element` itself says about URLs and addressing.
    fn inherit<'a>(&mut self, inherited: &mut Inherited<'a>, element: &'a Element) -> Result<()> {
        if let Some(base) = element.first("BaseURL") {
            if base.text.len() > MAX_URL_BYTES {
                let message = format!("line {}: BaseURL is too long", base.line);
                return Err(Error::new(ErrorKind::Exhausted, message));
            }
            inherited.base_urls.push(base.text.trim());
        }
        let kinds = [
            ("SegmentBase", Kind::Base),
            ("SegmentList", Kind::List),
            ("SegmentTemplate", Kind::Template),
        ];
        for (name, kind) in kinds {
            let Some(element) = element.first(name) else {
                continue;
            };
            let level = self.level(element);
            inherited.latest = Some(kind);
            match kind {
                Kind::Template => inherited.templates.push(level),
                Kind::List => inherited.lists.push(level),
                Kind::Base => inherited.bases.push(level),
            }
        }
        Ok(())
    }

    fn level<'a>(&mut self, element: &'a Element) -> Level<'a> {
        let timeline = element.first("SegmentTimeline");
        let urls: Vec<_> = element
            .all("SegmentURL")
            .map(|url| object_range(url, "media", "mediaRange"))
            .collect();
        Level {
            element,
            timeline: timeline.map(|timeline| self.timeline(timeline)),
            urls: (!urls.is_empty()).then(|| urls.into()),
        }
    }

    fn timeline(&mut self, element: &Element) -> Timeline {
        let mut entries = Vec::with_capacity(element.children.len());
        for s in element.all("S") {
            let d = self.number(s, "d");
            if s.attribute("d").is_none() {
                self.complain(s.line, "S without @d");
            }
            let r = s.attribute("r").map(|r| r.trim().parse());
            if matches!(r, Some(Err(_))) {
                self.complain(s.line, "S@r is no whole number");
            }
            entries.push(TimelineEntry {
                t: self.number(s, "t"),
                d: d.unwrap_or(0),
                r: r.and_then(Result::ok).unwrap_or(0),
                n: self.number(s, "n"),
            });
        }
        Timeline {
            entries: entries.into(),
        }
    }

    fn addressing(&mut self, inherited: &Inherited<'_>) -> Addressing {
        match inherited.latest {
            Some(Kind::Template) => Addressing::Template(self.template(&inherited.templates)),
            Some(Kind::List) => Addressing::List(self.list(&inherited.lists)),
            Some(Kind::Base) => Addressing::Base(self.base(&inherited.bases)),
            None => Addressing::None,
        }
    }

    fn template(&mut self, levels: &[Level<'_>]) -> SegmentTemplate {
        let text = |name| inner_attribute(levels, name).map(str::to_owned);
        SegmentTemplate {
            media: text("media"),
            initialization: text("initialization"),
            ept_delta: text("eptDelta"),
            timescale: self.inner_number(levels, "timescale"),
            presentation_time_offset: self
                .inner_number(levels, "presentationTimeOffset")
                .unwrap_or(0),
            duration: self.inner_number(levels, "duration"),
            start_number: self.inner_number(levels, "startNumber"),
            end_number: self.inner_number(levels, "endNumber"),
            timeline: levels.iter().rev().find_map(|level| level.timeline.clone()),
        }
    }

    fn list(&mut self, levels: &[Level<'_>]) -> SegmentList {
        let urls = levels.iter().rev().find_map(|level| level.urls.clone());
        SegmentList {
            timescale: self.inner_number(levels, "timescale"),
            duration: self.inner_number(levels, "duration"),
            start_number: self.inner_number(levels, "startNumber"),
            initialization: initialization(levels),
            segments: urls.unwrap_or_else(|| Arc::from([])),
            timeline: levels.iter().rev().find_map(|level| level.timeline.clone()),
        }
    }

    fn base(&mut self, levels: &[Level<'_>]) -> SegmentBase {
        SegmentBase {
            timescale: self.inner_number(levels, "timescale"),
            presentation_time_offset: self
                .inner_number(levels, "presentationTimeOffset")
                .unwrap_or(0),
            index_range: inner_attribute(levels, "indexRange").and_then(parse_range),
            initialization: initialization(levels),
        }
    }

    fn inner_number(&mut self, levels: &[Level<'_>], name: &str) -> Option<u64> {
        let with_it = levels.iter().rev().map(|level| level.element);
        let element = with_it.clone().find(|e| e.attribute(name).is_some())?;
        self.number(element, name)
    }
}

/// The attribute of the innermost level that has it.
fn inner_attribute<'a>(levels: &[Level<'a>], name: &str) -> Option<&'a str> {
    let mut inside_out = levels.iter().rev();
    inside_out.find_map(|level| level.element.attribute(name))
}

fn initialization(levels: &[Level<'_>]) -> Option<ObjectRange> {
    let mut inside_out = levels.iter().rev();
    let element = inside_out.find_map(|level| level.element.first("Initialization"))?;
    Some(object_range(element, "sourceURL", "range"))
}

fn object_range(element: &Element, url: &str, range: &str) -> ObjectRange {
    ObjectRange {
        url: element.attribute(url).unwrap_or_default().to_owned(),
        range: element.attribute(range).and_then(parse_range),
    }
}

/// `first-last`.
fn parse_range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.trim().split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn difference(end: Ticks, start: Ticks) -> Option<Ticks> {
    let length = end.count.checked_sub(start.count)?;
    Some(Ticks::new(length, start.timescale))
}

fn common(element: &Element) -> Common {
    let mut child_names: Vec<String> = Vec::new();
    for child in &element.children {
        if child_names.last() != Some(&child.name) {
            child_names.push(child.name.clone());
        }
    }
    Common {
        line: element.line,
        attributes: element.attributes.clone(),
        child_names,
        descriptors: element.children.iter().filter_map(descriptor).collect(),
    }
}

fn descriptor(element: &Element) -> Option<Descriptor> {
    Some(Descriptor {
        kind: element.name.clone(),
        scheme: element.attribute("schemeIdUri")?.to_owned(),
        value: element.attribute("value").map(str::to_owned),
        attributes: element.attributes.clone(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::Timescale;

    const MPD: &str = r#"<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="a, b" mediaPresentationDuration="PT10S" minBufferTime="PT2S">
 <BaseURL>https://h/x/</BaseURL>
 <Period id="0"><SegmentTemplate timescale="10" media="$RepresentationID$/$Number$.m4s" initialization="$RepresentationID$/i.mp4"/>
  <AdaptationSet id="1" contentType="video" mimeType="video/mp4"><Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>
   <SegmentTemplate startNumber="5"><SegmentTimeline><S t="0" d="40" r="1"/><S d="20"/></SegmentTimeline></SegmentTemplate>
   <Representation id="v" bandwidth="1000" codecs="avc1.64001f" width="640" height="360" frameRate="30000/1001"/>
   <Representation id="w" bandwidth="2000"><BaseURL>sub/</BaseURL><SegmentTemplate timescale="20"/></Representation>
  </AdaptationSet>
  <AdaptationSet mimeType="audio/mp4" lang="en">
   <Representation id="a"><BaseURL>a.mp4</BaseURL><SegmentBase indexRange="700-900"><Initialization range="0-699"/></SegmentBase></Representation>
   <Representation id="u"><SegmentTemplate duration="30" media="$Time$"/></Representation>
   <Representation id="l"><SegmentList duration="5"><SegmentURL media="1.m4s" mediaRange="0-9"/><SegmentURL/></SegmentList></Representation>
  </AdaptationSet>
 </Period>
</MPD>"#;

    fn representation<'a>(mpd: &'a Mpd, id: &str) -> &'a Representation {
        let found = mpd.representations().find(|(_, _, r)| r.id == id);
        found.expect("there").2
    }

    fn segments(representation: &Representation) -> Vec<(u64, u64, u64, String)> {
        let segments = representation.segments().map(|s| s.expect("expands"));
        segments
            .map(|s| (s.number, s.time, s.duration, s.url))
            .collect()
    }

    #[test]
    fn levels_inherit_templates_and_base_urls() {
        let mpd = read(MPD).expect("reads");
        assert_eq!(mpd.problems, []);
        assert_eq!(mpd.profiles, ["a", "b"]);
        let v = representation(&mpd, "v");
        let expected =
            [(5, 0, 40), (6, 40, 40), (7, 80, 20)].map(|(n, t, d)| (n, t, d, format!("v/{n}.m4s")));
        assert_eq!(segments(v), expected);
        assert_eq!(v.locate("v/5.m4s"), "https://h/x/v/5.m4s");
        assert_eq!(
            v.initialization().expect("has").expect("expands").url,
            "v/i.mp4"
        );
        assert_eq!(
            (v.size(), v.frame_rate()),
            (Some((640, 360)), Some((30_000, 1001)))
        );
        assert_eq!(v.mime_type(), Some("video/mp4"));
        let w = representation(&mpd, "w");
        assert_eq!(w.locate("w/5.m4s"), "https://h/x/sub/w/5.m4s");
        let Addressing::Template(template) = &w.addressing else {
            panic!("a template")
        };
        assert_eq!(
            (template.timescale, template.start_number),
            (Some(20), Some(5))
        );
    }

    #[test]
    fn all_addressings_are_resolved() {
        let mpd = read(MPD).expect("reads");
        let a = representation(&mpd, "a");
        assert_eq!(
            a.initialization().expect("has").expect("plain"),
            ObjectRange {
                url: String::new(),
                range: Some((0, 699)),
            }
        );
        assert_eq!(a.locate(""), "https://h/x/a.mp4");
        assert!(
            matches!(&a.addressing, Addressing::Base(base) if base.index_range == Some((700, 900)))
        );
        let times: Vec<_> = segments(representation(&mpd, "u"))
            .iter()
            .map(|s| s.1)
            .collect();
        assert_eq!(times, [0, 30, 60, 90]);
        let list: Vec<_> = representation(&mpd, "l")
            .segments()
            .map(|s| s.expect("plain"))
            .collect();
        assert_eq!(
            (list[0].range, list[1].time, list[1].url.as_str()),
            (Some((0, 9)), 5, "")
        );
    }

    #[test]
    fn sets_tell_role_language_and_type() {
        let mpd = read(MPD).expect("reads");
        let [video, audio] = &mpd.periods[0].adaptation_sets[..] else {
            panic!("two sets")
        };
        assert_eq!(video.roles().collect::<Vec<_>>(), ["main"]);
        assert_eq!(
            (video.content_type(), video.id.as_deref()),
            (Some("video"), Some("1"))
        );
        assert_eq!(
            (audio.content_type(), audio.language()),
            (Some("audio"), Some("en"))
        );
        assert!(video.common.has_child("SegmentTemplate"));
        assert!(mpd.periods[0].common.has_child("SegmentTemplate"));
    }

    #[test]
    fn periods_follow_each_other() {
        let mpd = read(
            "<MPD mediaPresentationDuration='PT30S'><Period duration='PT10S'/><Period/>\
             <Period start='PT25S'/></MPD>",
        )
        .expect("reads");
        let seconds = |t: Option<Ticks>| t.map(|t| t.count / i64::from(Timescale::NANOS.get()));
        let spans: Vec<_> = mpd
            .periods
            .iter()
            .map(|p| (seconds(p.start), seconds(p.duration)))
            .collect();
        assert_eq!(
            spans,
            [
                (Some(0), Some(10)),
                (Some(10), Some(15)),
                (Some(25), Some(5))
            ]
        );
    }

    #[test]
    fn oddities_are_told_with_their_line() {
        let mpd = read(
            "<MPD minBufferTime='P1Y'>\n<Period start='x'>\n<AdaptationSet><SegmentTemplate timescale='-1'>\n\
             <SegmentTimeline>\n<S r='y'/></SegmentTimeline></SegmentTemplate><Representation/>\
             </AdaptationSet></Period></MPD>",
        )
        .expect("reads");
        let mut lines: Vec<_> = mpd.problems.iter().map(|p| p.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [1, 2, 3, 5, 5]);
        assert!(read("<html/>").is_err());
    }

    proptest! {
        #[test]
        fn any_numbers_are_survived(t in any::<i128>(), d in any::<u64>(), r in any::<i64>(), n in any::<u64>(), timescale in any::<u64>(), length in any::<u64>()) {
            let text = format!(
                "<MPD mediaPresentationDuration='PT{length}S'><Period><AdaptationSet><SegmentTemplate \
                 timescale='{timescale}' duration='{d}' startNumber='{n}' presentationTimeOffset='{n}' media='$Number$'>\
                 <SegmentTimeline><S t='{t}' d='{d}' r='{r}'/><S n='{n}' d='{d}' r='-1'/></SegmentTimeline></SegmentTemplate>\
                 <Representation id='1'/></AdaptationSet><AdaptationSet><SegmentTemplate duration='{d}' startNumber='{n}' \
                 timescale='{timescale}' endNumber='{t}' media='$Time$'/><Representation/></AdaptationSet></Period></MPD>"
            );
            let mpd = read(&text).expect("well-formed");
            for (_, _, representation) in mpd.representations() {
                representation.segments().take(50).for_each(drop);
            }
        }
    }
}
