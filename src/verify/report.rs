//! What a verification found, rule by rule: for people as text, for programs as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::rules::{RULES, Rule};
use crate::media::Waiver;

/// How binding a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A presentation that breaks it is wrong.
    Must,
    /// A presentation that breaks it could be better.
    Should,
}

/// One breach of one rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's id, e.g. `H24`.
    pub rule: &'static str,
    /// How binding the breached part of the rule is.
    pub level: Level,
    /// File, and within it line, segment or element.
    pub place: String,
    /// What is wrong there: lower case, with the numbers that disagree.
    pub message: String,
}

/// How a rule came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Applied at least once and never broken.
    Ok,
    /// Broken, and binding.
    Failed,
    /// Broken, but only advice.
    Warned,
    /// Broken, and the record says why that is known and accepted.
    Waived,
    /// Nothing in this presentation falls under the rule.
    NotApplicable,
}

impl Status {
    /// One word, as the text report prints it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Warned => "warned",
            Self::Waived => "waived",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// The outcome of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleReport {
    /// The rule's id.
    pub id: &'static str,
    /// How binding it is.
    pub level: Level,
    /// What it asks, in a few words.
    pub title: &'static str,
    /// The standard it comes from.
    pub source: &'static str,
    /// How it came out.
    pub status: Status,
    /// How often it was applied: to how many playlists, tracks, segments.
    pub applied: u64,
    /// Where it was broken; at most [`FINDINGS_KEPT`].
    pub findings: Vec<Finding>,
    /// Further breaches that were counted but not kept.
    pub more_findings: u64,
    /// Why its breach is accepted, if the record says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiver: Option<String>,
}

/// Breaches kept of each rule; more are only counted, so a hostile manifest can't fill memory.
pub const FINDINGS_KEPT: usize = 50;

/// Everything a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was verified: the entry playlists and manifests.
    pub entries: Vec<String>,
    /// One row for each rule of [`RULES`], in its order.
    pub rules: Vec<RuleReport>,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether no must rule was broken without a waiver.
    pub fn passed(&self) -> bool {
        self.rules.iter().all(|rule| rule.status != Status::Failed)
    }

    /// Every breach that was kept, in the order of the rules; waived ones too.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.rules.iter().flat_map(|rule| &rule.findings)
    }

    /// The outcome of rule `id`; `None` for an id not in [`RULES`].
    pub fn rule(&self, id: &str) -> Option<&RuleReport> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// How many rules came out as `status`.
    pub fn count(&self, status: Status) -> usize {
        self.rules
            .iter()
            .filter(|rule| rule.status == status)
            .count()
    }
}

impl fmt::Display for Report {
    /// Rule by rule, the breaches below each; one line of totals at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in &self.rules {
            writeln!(f, "{:<14} {} {}", rule.status.word(), rule.id, rule.title)?;
            for finding in &rule.findings {
                let advice = match finding.level {
                    Level::Must => "",
                    Level::Should => " (advice)",
                };
                writeln!(f, "{:15}{}: {}{advice}", "", finding.place, finding.message)?;
            }
            if rule.more_findings > 0 {
                writeln!(f, "{:15}and {} more", "", rule.more_findings)?;
            }
            if let (Status::Waived, Some(reason)) = (rule.status, &rule.waiver) {
                writeln!(f, "{:15}waived: {reason}", "")?;
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        writeln!(
            f,
            "{}: {} ok, {} failed, {} warned, {} waived, {} not applicable",
            if self.passed() { "passed" } else { "failed" },
            self.count(Status::Ok),
            self.count(Status::Failed),
            self.count(Status::Warned),
            self.count(Status::Waived),
            self.count(Status::NotApplicable),
        )
    }
}

/// The sheet that rules are marked on while they run; becomes a [`Report`] at the end.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    rows: BTreeMap<&'static str, Row>,
    notes: Vec<String>,
}

#[derive(Debug, Default)]
struct Row {
    applied: u64,
    broken: [u64; 2],
    findings: Vec<Finding>,
}

impl Sheet {
    /// Marks one application of rule `id` at `place`; each item of `faults` is one breach at the
    /// rule's own level.
    pub(super) fn judge(
        &mut self,
        id: &'static str,
        place: impl fmt::Display,
        faults: impl IntoIterator<Item = String>,
    ) {
        let level = rule(id).level;
        self.mark(id, level, place, faults);
    }

    /// Like [`Self::judge`] for the part of a rule that is only advice.
    pub(super) fn advise(
        &mut self,
        id: &'static str,
        place: impl fmt::Display,
        faults: impl IntoIterator<Item = String>,
    ) {
        self.mark(id, Level::Should, place, faults);
    }

    /// Writes down something that could not be looked at.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if self.notes.len() < FINDINGS_KEPT && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn mark(
        &mut self,
        id: &'static str,
        level: Level,
        place: impl fmt::Display,
        faults: impl IntoIterator<Item = String>,
    ) {
        let row = self.rows.entry(id).or_default();
        row.applied += 1;
        for message in faults {
            row.broken[usize::from(level == Level::Should)] += 1;
            if row.findings.len() < FINDINGS_KEPT {
                let place = place.to_string();
                row.findings.push(Finding {
                    rule: id,
                    level,
                    place,
                    message: printable(&message),
                });
            }
        }
    }

    /// Closes the sheet.
    pub(super) fn finish(mut self, entries: Vec<String>, waivers: &[Waiver]) -> Report {
        let rules = RULES
            .iter()
            .map(|rule| close(rule, self.rows.remove(rule.id).unwrap_or_default(), waivers))
            .collect();
        Report {
            entries,
            rules,
            notes: self.notes,
        }
    }
}

fn close(rule: &Rule, row: Row, waivers: &[Waiver]) -> RuleReport {
    let waiver = waivers.iter().find(|waiver| waiver.rule == rule.id);
    let [musts, shoulds] = row.broken;
    let status = match (row.applied, musts, shoulds) {
        (0, ..) => Status::NotApplicable,
        (_, 0, 0) => Status::Ok,
        _ if waiver.is_some() => Status::Waived,
        (_, 0, _) => Status::Warned,
        _ => Status::Failed,
    };
    let kept = u64::try_from(row.findings.len()).unwrap_or(u64::MAX);
    RuleReport {
        id: rule.id,
        level: rule.level,
        title: rule.title,
        source: rule.source,
        status,
        applied: row.applied,
        more_findings: (musts + shoulds).saturating_sub(kept),
        findings: row.findings,
        waiver: waiver.map(|waiver| waiver.reason.clone()),
    }
}

fn rule(id: &'static str) -> &'static Rule {
    RULES
        .iter()
        .find(|rule| rule.id == id)
        .expect("rules are judged by ids of the table; a test walks the sources")
}

/// Text from a foreign manifest, made safe and short for a terminal.
pub(super) fn printable(text: &str) -> String {
    const LONGEST: usize = 400;
    let mut out: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(waivers: &[Waiver]) -> Report {
        let mut sheet = Sheet::default();
        sheet.judge("H01", "a.m3u8", None);
        sheet.judge("H04", "a.m3u8", Some("target duration 3 \u{1b}[2J".into()));
        sheet.judge("H06", "a.m3u8", Some("target duration 9".into()));
        sheet.advise("H15", "v/1.m4s", Some("IDR after 4 s".into()));
        sheet.finish(vec!["a.m3u8".into()], waivers)
    }

    #[test]
    fn a_broken_must_fails_and_broken_advice_warns() {
        let report = report(&[]);
        assert!(!report.passed());
        let status = |id| report.rule(id).expect("a rule").status;
        assert_eq!(status("H01"), Status::Ok);
        assert_eq!(status("H04"), Status::Failed);
        assert_eq!(status("H06"), Status::Warned);
        assert_eq!(status("H15"), Status::Warned);
        assert_eq!(status("D01"), Status::NotApplicable);
    }

    #[test]
    fn a_waived_must_passes_and_keeps_its_reason() {
        let report = report(&[Waiver {
            rule: "H04".into(),
            reason: "because".into(),
        }]);
        assert!(report.passed());
        assert!(report.to_string().contains("waived: because"));
    }

    #[test]
    fn findings_are_bounded_and_counted() {
        let mut sheet = Sheet::default();
        for n in 0..200 {
            sheet.judge("H21", n, Some("gone".into()));
        }
        let report = sheet.finish(vec![], &[]);
        let rule = report.rule("H21").expect("a rule");
        assert_eq!((rule.findings.len(), rule.more_findings), (50, 150));
    }

    #[test]
    fn control_characters_of_a_manifest_never_reach_the_terminal() {
        assert!(!report(&[]).to_string().contains('\u{1b}'));
    }

    #[test]
    fn json_names_status_and_findings() {
        let json = serde_json::to_value(report(&[])).expect("serialises");
        let row = &json["rules"][3];
        assert_eq!(
            (&row["id"], &row["status"]),
            (&"H04".into(), &"failed".into())
        );
        assert_eq!(row["findings"][0]["place"], "a.m3u8");
    }
}
