//! What a CloudFront signature allows: the policy statement, as text and back.
//!
//! A *canned* policy is never sent: whoever verifies writes it anew from the URL and the time, byte
//! for byte. A *custom* policy is sent, and may have wildcards, a time it begins at, and a block of
//! IPv4 addresses.

use std::net::IpAddr;

use serde::Deserialize;

use super::network::Network;
use super::resource;

/// A policy with one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The URLs it is for, perhaps with the wildcards `*` and `?`; without one, all.
    pub resource: Option<String>,
    /// It holds before this, in seconds since 1970-01-01T00:00:00Z.
    pub until: u64,
    /// It holds after this, in seconds since 1970-01-01T00:00:00Z.
    pub from: Option<u64>,
    /// It holds for these clients; only blocks of IPv4 addresses can be written.
    pub network: Option<Network>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "Statement")]
    statement: [Statement; 1],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Resource")]
    resource: Option<String>,
    #[serde(rename = "Condition")]
    condition: Condition,
}

/// A condition of a sort that isn't known here must not be passed over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Condition {
    date_less_than: Moment,
    date_greater_than: Option<Moment>,
    ip_address: Option<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moment {
    #[serde(rename = "AWS:EpochTime")]
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    #[serde(rename = "AWS:SourceIp")]
    block: String,
}

impl Policy {
    /// The policy in `text`; `None` for what is none, or has more than we would heed.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(text).ok()?;
        let [
            Statement {
                resource,
                condition,
            },
        ] = document.statement;
        let longest = resource.as_ref().map_or(0, String::len);
        if longest > resource::LONGEST_PATTERN {
            return None;
        }
        let network = match condition.ip_address {
            Some(source) => Some(Network::parse(&source.block).ok()?),
            None => None,
        };
        Some(Self {
            resource,
            until: condition.date_less_than.seconds,
            from: condition.date_greater_than.map(|moment| moment.seconds),
            network,
        })
    }

    /// The policy as it is signed and sent: JSON without white space, its parts in the order that
    /// Amazon's own signers use.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        if let Some(resource) = &self.resource {
            parts.push(format!("\"Resource\":{}", quoted(resource)));
        }
        let mut conditions = vec![format!("\"DateLessThan\":{}", moment(self.until))];
        if let Some(network) = &self.network {
            conditions.push(format!("\"IpAddress\":{{\"AWS:SourceIp\":\"{network}\"}}"));
        }
        if let Some(from) = self.from {
            conditions.push(format!("\"DateGreaterThan\":{}", moment(from)));
        }
        parts.push(format!("\"Condition\":{{{}}}", conditions.join(",")));
        format!("{{\"Statement\":[{{{}}}]}}", parts.join(","))
    }

    /// Whether it holds now and for `client`.
    pub fn holds(&self, client: IpAddr, now_seconds: u64) -> bool {
        let begun = self.from.is_none_or(|from| now_seconds > from);
        // CloudFront means everybody by the block of all IPv4 addresses.
        let inside = |network: &Network| network.length() == 0 || network.contains(client);
        begun && now_seconds < self.until && self.network.as_ref().is_none_or(inside)
    }

    /// Whether it is for `url`.
    pub fn covers(&self, url: &str) -> bool {
        let matches = |resource: &String| resource::matches(resource, url);
        self.resource.as_ref().is_none_or(matches)
    }

    /// Whether it can be for more than one URL.
    pub fn has_wildcard(&self) -> bool {
        self.resource
            .as_ref()
            .is_none_or(|resource| resource.contains('*'))
    }
}

/// The canned policy for exactly `url` before `until`; `None` where the URL would have to be
/// escaped, which nobody agrees on.
pub(super) fn canned(url: &str, until: u64) -> Option<String> {
    if url.contains(['"', '\\']) || url.contains(char::is_control) {
        return None;
    }
    Some(format!(
        "{{\"Statement\":[{{\"Resource\":\"{url}\",\"Condition\":{{\"DateLessThan\":{}}}}}]}}",
        moment(until)
    ))
}

fn moment(seconds: u64) -> String {
    format!("{{\"AWS:EpochTime\":{seconds}}}")
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            resource: Some("https://media.example.org/v/cats/*".to_owned()),
            until: 2_000,
            from: Some(1_000),
            network: Some(Network::parse("192.0.2.0/24").unwrap()),
        }
    }

    #[test]
    fn a_policy_is_written_as_amazons_signers_do() {
        let text = r#"{"Statement":[{"Resource":"https://media.example.org/v/cats/*","Condition":{"DateLessThan":{"AWS:EpochTime":2000},"IpAddress":{"AWS:SourceIp":"192.0.2.0/24"},"DateGreaterThan":{"AWS:EpochTime":1000}}}]}"#;
        assert_eq!(policy().text(), text);
        assert_eq!(Policy::parse(text.as_bytes()), Some(policy()));
    }

    #[test]
    fn a_policy_holds_between_its_times_and_for_its_clients() {
        let (inside, outside) = ("192.0.2.9".parse().unwrap(), "192.0.3.9".parse().unwrap());
        for (client, now, holds) in [
            (inside, 1_000, false),
            (inside, 1_001, true),
            (inside, 1_999, true),
            (inside, 2_000, false),
            (outside, 1_500, false),
        ] {
            assert_eq!(policy().holds(client, now), holds, "{client} {now}");
        }
    }

    #[test]
    fn what_is_not_understood_is_not_allowed() {
        for text in [
            "",
            "{}",
            r#"{"Statement":[]}"#,
            r#"{"Statement":[{"Resource":"*","Condition":{}}]}"#,
            r#"{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":-1}}}]}"#,
            r#"{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":"9"}}}]}"#,
            r#"{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":9},"Country":{}}}]}"#,
            r#"{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":9},"IpAddress":{"AWS:SourceIp":"x"}}}]}"#,
            r#"{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":9}}},{"Condition":{"DateLessThan":{"AWS:EpochTime":9}}}]}"#,
        ] {
            assert_eq!(Policy::parse(text.as_bytes()), None, "{text}");
        }
    }
}
