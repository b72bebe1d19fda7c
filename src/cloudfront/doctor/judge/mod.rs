//! Finds fault with answers. Pure: the same answers, the same findings.

mod caching;
mod encoding;
mod host;
mod object;
mod sharing;
mod transfer;

use super::answer::Outcome;
use super::evidence::{Evidence, Seen};
use super::report::Finding;

/// Everything that is to be said, in the order of the answers. `now` is in milliseconds since
/// 1970.
pub(super) fn judge(evidence: &Evidence, now: i64) -> Vec<Finding> {
    let mut findings = host::tls(evidence.tls.as_ref(), &evidence.entry.url, now);
    findings = about("host", findings);
    for seen in std::iter::once(&evidence.entry).chain(&evidence.others) {
        findings.extend(about(seen.role.name(), of_object(seen)));
    }
    for why in &evidence.lost {
        let fix = "mend the manifest, or name another entry point";
        findings.push(Finding::fault("objects", why.clone(), fix).about("entry"));
    }
    findings.extend(about("missing", object::missing(&evidence.missing)));
    if let Some(origin) = &evidence.origin {
        findings.extend(about("origin", host::origin(origin, now)));
    }
    findings
}

fn about(object: &'static str, findings: Vec<Finding>) -> Vec<Finding> {
    findings.into_iter().map(|f| f.about(object)).collect()
}

/// What is to be said of one object. Where it isn't delivered at all, only that.
fn of_object(seen: &Seen) -> Vec<Finding> {
    let mut findings = vec![object::status(seen)];
    if seen.whole().is_none_or(|answer| answer.status != 200) {
        return findings;
    }
    findings.extend([object::content_type(seen), object::length(seen)]);
    findings.extend(object::header_fields(seen));
    findings.extend([caching::rule(seen), caching::hit(seen)]);
    findings.extend(caching::age(seen));
    findings.extend(caching::query(seen));
    findings.extend([
        transfer::tag(seen),
        transfer::unchanged(seen),
        transfer::head(seen),
    ]);
    findings.extend(transfer::ranges(seen));
    findings.extend([sharing::cors(seen), sharing::preflight(seen)]);
    findings.extend(encoding::encoding(seen));
    findings
}

/// The answer, or the finding that there is none.
fn answered<'a>(
    check: &'static str,
    outcome: &'a Outcome,
) -> Result<&'a super::answer::Answer, Finding> {
    outcome.as_ref().map_err(|why| {
        let fix = "ask again; if it stays, look into the logs of CDN and origin at this time";
        Finding::fault(check, format!("no answer: {why}"), fix)
    })
}

/// A finding from a rule that may find no answer to judge.
fn settled(finding: Result<Finding, Finding>) -> Finding {
    finding.unwrap_or_else(|finding| finding)
}
