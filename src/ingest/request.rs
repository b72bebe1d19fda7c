//! What a request says of the asset it makes: its title and its policy, wherever they stand.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::media::{Encryption, Policy};
use crate::problem::Problem;

/// Longest title, in characters.
pub(super) const TITLE_CHARS_MAX: usize = 300;

/// The policies that have names.
pub type Policies = BTreeMap<String, Policy>;

/// The name of the policy that is used where none is asked for.
const DEFAULT_POLICY: &str = "default";

/// A title as it is kept: on one line, without white space around it.
///
/// # Errors
/// 422 for one that is too long.
pub(super) fn title(text: &str) -> Result<String, Problem> {
    if text.chars().count() > TITLE_CHARS_MAX {
        let detail = format!("at most {TITLE_CHARS_MAX} characters");
        return Err(Problem::bad_parameter("title", detail));
    }
    Ok(on_one_line(text))
}

/// A text that people gave to something, fit to be shown: control characters, line breaks among
/// them, become spaces, and there are none around it.
pub fn on_one_line(text: &str) -> String {
    let spaced = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = text.chars().map(spaced).collect();
    line.trim().to_owned()
}

/// The title that a file's name makes: its last part, shortened.
pub(super) fn title_of_file(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    on_one_line(last).chars().take(TITLE_CHARS_MAX).collect()
}

/// The policy that a text asks for: the name of one, or one in JSON. Nothing asks for the default.
///
/// # Errors
/// 422 with the names that are known, or with what is wrong in the JSON.
pub(super) fn policy(text: Option<&str>, named: &Policies) -> Result<Policy, Problem> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    match text {
        Some(text) if text.starts_with('{') => {
            let value = serde_json::from_str(text);
            let value = value.map_err(|e| Problem::bad_parameter("policy", e.to_string()))?;
            policy_in_json(value, named)
        }
        name => named_policy(name.unwrap_or(DEFAULT_POLICY), named),
    }
}

/// The same from a JSON value: a name or an object.
pub(super) fn policy_of_value(value: Option<&Value>, named: &Policies) -> Result<Policy, Problem> {
    match value {
        None | Some(Value::Null) => policy(None, named),
        Some(Value::String(name)) => policy(Some(name), named),
        Some(object @ Value::Object(_)) => policy_in_json(object.clone(), named),
        Some(_) => {
            let detail = "the name of a policy, or a policy as an object";
            Err(Problem::bad_parameter("policy", detail))
        }
    }
}

/// A policy in JSON says what is different from the default one.
fn policy_in_json(value: Value, named: &Policies) -> Result<Policy, Problem> {
    let wrong = |detail: String| Problem::bad_parameter("policy", detail);
    let default = named_policy(DEFAULT_POLICY, named)?;
    let mut whole = serde_json::to_value(default).map_err(|e| wrong(e.to_string()))?;
    match (&mut whole, value) {
        (Value::Object(whole), Value::Object(different)) => whole.extend(different),
        (_, other) => whole = other,
    }
    let policy: Policy = serde_json::from_value(whole).map_err(|e| wrong(e.to_string()))?;
    let served = |policy: &Policy| {
        policy
            .encryption
            .as_ref()
            .map_or(Ok(()), Encryption::check_served)
    };
    let checked = policy.check().and_then(|()| served(&policy));
    checked.map_err(|e| wrong(e.to_string()))?;
    Ok(policy)
}

fn named_policy(name: &str, named: &Policies) -> Result<Policy, Problem> {
    if let Some(policy) = named.get(name) {
        return Ok(policy.clone());
    }
    if name == DEFAULT_POLICY {
        return Ok(Policy::default());
    }
    let mut known: Vec<&str> = named.keys().map(String::as_str).collect();
    if !known.contains(&DEFAULT_POLICY) {
        known.insert(0, DEFAULT_POLICY);
    }
    let detail = format!("`{name}` isn't known; known are {}", known.join(", "));
    Err(Problem::bad_parameter("policy", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> Policies {
        let policy = Policy {
            crf: 30,
            ..Policy::default()
        };
        BTreeMap::from([("small".to_owned(), policy)])
    }

    #[test]
    fn a_policy_is_a_name_or_an_object() {
        let asked = |text| policy(text, &named());
        assert_eq!(asked(None).expect("default"), Policy::default());
        assert_eq!(asked(Some("default")).expect("default"), Policy::default());
        assert_eq!(asked(Some("small")).expect("named").crf, 30);
        assert_eq!(asked(Some(r#"{"crf": 18}"#)).expect("inline").crf, 18);
    }

    #[test]
    fn a_wrong_policy_is_told_why() {
        let said = |text| {
            let problem = policy(Some(text), &named()).expect_err("wrong");
            problem.details().detail.clone()
        };
        assert!(said("big").contains("known are default, small"));
        assert!(said(r#"{"crf": 99}"#).contains("crf is 99"));
        assert!(said(r#"{"crv": 1}"#).contains("crv"));
        assert!(said("{").contains("policy"));
        let own = r#"{"encryption": {"scheme": "cbcs"}}"#;
        assert!(policy(Some(own), &named()).is_ok());
        let url = r#"{"encryption": {"scheme": "cbcs", "key_url": "https://k.example/{kid}"}}"#;
        assert!(said(url).contains("license_url"));
        let widevine = r#"{"encryption": {"scheme": "cbcs", "widevine": {}}}"#;
        assert!(policy(Some(widevine), &named()).is_ok());
        let number = policy_of_value(Some(&Value::from(7)), &named());
        number.expect_err("neither name nor object");
    }

    #[test]
    fn titles_are_short_and_printable() {
        assert_eq!(title(" My\nfilm \u{7}").expect("sound"), "My film");
        title(&"x".repeat(301)).expect_err("too long");
        assert_eq!(title_of_file("C:\\films\\a\u{7}b.mp4"), "a b.mp4");
        assert_eq!(title_of_file(&"é".repeat(400)).chars().count(), 300);
    }
}
