//! The hosts: TLS and certificates, and our server around the CDN.

use super::super::super::template::rules;
use super::super::answer::Outcome;
use super::super::evidence::{OriginSeen, Tls};
use super::super::report::Finding;
use super::object::not_reflected;
use super::{answered, settled};

const DAY_MILLIS: i64 = 86_400_000;

/// Whether viewers reach the CDN by TLS.
pub(super) fn tls(tls: Option<&Tls>, url: &str, now: i64) -> Vec<Finding> {
    let Some(tls) = tls else {
        return vec![Finding::warning(
            "tls",
            format!("{url} is not encrypted"),
            "give viewers https only: pages that are themselves https can't play anything else",
        )];
    };
    let newest = if tls.has_1_3 {
        Finding::ok("tls", "TLS 1.3")
    } else {
        Finding::warning(
            "tls",
            "TLS 1.2 but not 1.3",
            "allow TLS 1.3: connections start a round trip sooner",
        )
    };
    [Some(newest), certificate(tls, now)]
        .into_iter()
        .flatten()
        .collect()
}

fn certificate(tls: &Tls, now: i64) -> Option<Finding> {
    let days = tls.not_after?.saturating_sub(now).div_euclid(DAY_MILLIS);
    let said = format!("{days} days left");
    let fix = "renew it, and find out why that didn't happen by itself";
    Some(match days {
        ..7 => Finding::fault("certificate", said, fix),
        7..21 => Finding::warning("certificate", said, fix),
        _ => Finding::ok("certificate", said),
    })
}

/// Our server: closed to all but the CDN, and patient.
pub(super) fn origin(seen: &OriginSeen, now: i64) -> Vec<Finding> {
    let mut findings = vec![lock(&seen.without_secret)];
    if let Some(outcome) = &seen.with_secret {
        findings.push(opened(outcome, seen.tag_through_cdn.as_deref()));
    }
    // No answer at all repeats nothing.
    for answer in seen.strange.iter().flatten() {
        findings.push(not_reflected("reflection", answer));
    }
    if let Some((seconds, kept)) = seen.kept {
        findings.push(idle(seconds, kept));
    }
    findings.extend(origin_tls(seen.tls.as_ref(), now));
    findings
}

fn lock(without_secret: &Outcome) -> Finding {
    match without_secret {
        Err(why) => Finding::ok("lock", format!("lets no stranger connect: {why}")),
        Ok(answer) if matches!(answer.status, 400..=499) && answer.status != 404 => {
            Finding::ok("lock", format!("answers strangers with {}", answer.status))
        }
        Ok(answer) => Finding::fault(
            "lock",
            format!(
                "answers strangers with {}: anybody can go around the CDN",
                answer.status
            ),
            "set the origin lock's secret at the server (docs/operate/cloudfront.md), or let only the CDN's addresses in",
        ),
    }
}

fn opened(with_secret: &Outcome, tag: Option<&str>) -> Finding {
    settled(answered("secret", with_secret).map(|answer| {
        if answer.status != 200 {
            return Finding::fault(
                "secret",
                format!(
                    "{} with the secret: the CDN is locked out too",
                    answer.status
                ),
                "the server must know the secret that the CDN sends, as its first or second value",
            );
        }
        match answer.opaque_tag() == tag {
            true => Finding::ok("secret", "200 with the secret"),
            false => Finding::fault(
                "secret",
                "the object differs from that through the CDN",
                "is this the origin that the CDN asks? Do all servers share one store?",
            ),
        }
    }))
}

fn idle(seconds: u32, kept: Option<bool>) -> Finding {
    match kept {
        Some(true) => Finding::ok(
            "keep-alive",
            format!("a connection lives through {seconds} s of silence"),
        ),
        Some(false) => Finding::fault(
            "keep-alive",
            format!(
                "closes a connection within {seconds} s of silence: the CDN's next request on it fails (sporadic 502)"
            ),
            "what stands before the server must keep idle connections longer than the CDN does \
             (a load balancer's idle timeout: 185 s)",
        ),
        None => Finding::warning(
            "keep-alive",
            "can't be seen",
            "name the origin by its DNS name, and give --secret-header if it is locked",
        ),
    }
}

fn origin_tls(tls: Option<&Tls>, now: i64) -> Vec<Finding> {
    let Some(tls) = tls else {
        return vec![Finding::warning(
            "tls",
            "not encrypted between CDN and server",
            "give the server a certificate (docs/operate/cloudfront.md) and let the CDN ask by https only",
        )];
    };
    let spoken = match tls.has_1_2 {
        true => Finding::ok("tls", rules::ORIGIN_TLS),
        false => Finding::fault(
            "tls",
            "no TLS 1.2, the newest that CloudFront speaks to origins",
            "allow TLS 1.2",
        ),
    };
    [Some(spoken), certificate(tls, now)]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::report::Verdict;
    use super::*;

    #[test]
    fn a_certificate_is_judged_by_the_days_left() {
        let verdict = |days: i64| {
            let seen = Tls {
                has_1_2: true,
                has_1_3: true,
                not_after: Some(days * DAY_MILLIS),
            };
            let findings = tls(Some(&seen), "https://h/", 0);
            findings.last().map(|finding| finding.verdict)
        };
        assert_eq!(verdict(-1), Some(Verdict::Fault));
        assert_eq!(verdict(10), Some(Verdict::Warning));
        assert_eq!(verdict(60), Some(Verdict::Ok));
    }

    #[test]
    fn an_origin_must_speak_what_cloudfront_speaks() {
        let seen = Tls {
            has_1_2: false,
            has_1_3: true,
            not_after: None,
        };
        let verdicts: Vec<_> = origin_tls(Some(&seen), 0)
            .iter()
            .map(|f| f.verdict)
            .collect();
        assert_eq!(verdicts, [Verdict::Fault]);
    }
}
