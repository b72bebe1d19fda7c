//! What was found: for people as text, for programs as JSON.

use std::fmt;

use serde::Serialize;

/// How something came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but could be better, or can't be seen from outside.
    Warning,
    /// Viewers or the origin suffer from it.
    Fault,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it came out.
    pub verdict: Verdict,
    /// What it is about: `entry`, `playlist`, `init`, `segment`, `missing`, `host` or `origin`.
    pub object: &'static str,
    /// What was looked at: `status`, `hit`, `ranges` and so on.
    pub check: &'static str,
    /// What was seen.
    pub message: String,
    /// What to do about it; empty where nothing is to be done.
    pub fix: &'static str,
}

impl Finding {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, check, message, "")
    }

    pub(super) fn warning(
        check: &'static str,
        message: impl Into<String>,
        fix: &'static str,
    ) -> Self {
        Self::new(Verdict::Warning, check, message, fix)
    }

    pub(super) fn fault(
        check: &'static str,
        message: impl Into<String>,
        fix: &'static str,
    ) -> Self {
        Self::new(Verdict::Fault, check, message, fix)
    }

    fn new(
        verdict: Verdict,
        check: &'static str,
        message: impl Into<String>,
        fix: &'static str,
    ) -> Self {
        Self {
            verdict,
            object: "",
            check,
            message: message.into(),
            fix,
        }
    }

    pub(super) fn about(mut self, object: &'static str) -> Self {
        self.object = object;
        self
    }
}

/// All findings about a presentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The entry point.
    pub url: String,
    /// Number of faults.
    pub faults: usize,
    /// Number of warnings.
    pub warnings: usize,
    /// Everything that was looked at, in the order looked at.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(url: String, findings: Vec<Finding>) -> Self {
        let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
        Self {
            url,
            faults: count(Verdict::Fault),
            warnings: count(Verdict::Warning),
            findings,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.url)?;
        for finding in &self.findings {
            let word = finding.verdict.word();
            let Finding {
                object,
                check,
                message,
                fix,
                ..
            } = finding;
            writeln!(f, "{word:8} {object:9} {check:14} {message}")?;
            if !fix.is_empty() {
                writeln!(f, "         {:24} fix: {fix}", "")?;
            }
        }
        let fine = self.findings.len() - self.faults - self.warnings;
        let (warnings, faults) = (
            counted(self.warnings, "warning"),
            counted(self.faults, "fault"),
        );
        writeln!(f, "{fine} ok, {warnings}, {faults}")
    }
}

fn counted(number: usize, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {word}{plural}")
}
