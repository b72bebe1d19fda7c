//! Language codes: ISO 639-2, as containers have them, to BCP 47, as manifests want them
//! (RFC 5646 section 2.2.1: the shortest code there is).

/// (ISO 639-2 codes, ISO 639-1 code)
const CODES: &[(&[&str], &str)] = &[
    (&["ara"], "ar"),
    (&["bul"], "bg"),
    (&["cat"], "ca"),
    (&["ces", "cze"], "cs"),
    (&["dan"], "da"),
    (&["deu", "ger"], "de"),
    (&["ell", "gre"], "el"),
    (&["eng"], "en"),
    (&["est"], "et"),
    (&["eus", "baq"], "eu"),
    (&["fas", "per"], "fa"),
    (&["fin"], "fi"),
    (&["fra", "fre"], "fr"),
    (&["gle"], "ga"),
    (&["heb"], "he"),
    (&["hin"], "hi"),
    (&["hrv"], "hr"),
    (&["hun"], "hu"),
    (&["ind"], "id"),
    (&["isl", "ice"], "is"),
    (&["ita"], "it"),
    (&["jpn"], "ja"),
    (&["kor"], "ko"),
    (&["lav"], "lv"),
    (&["lit"], "lt"),
    (&["msa", "may"], "ms"),
    (&["nld", "dut"], "nl"),
    (&["nno"], "nn"),
    (&["nob"], "nb"),
    (&["nor"], "no"),
    (&["pol"], "pl"),
    (&["por"], "pt"),
    (&["ron", "rum"], "ro"),
    (&["rus"], "ru"),
    (&["slk", "slo"], "sk"),
    (&["slv"], "sl"),
    (&["spa"], "es"),
    (&["srp"], "sr"),
    (&["swe"], "sv"),
    (&["tam"], "ta"),
    (&["tel"], "te"),
    (&["tha"], "th"),
    (&["tur"], "tr"),
    (&["ukr"], "uk"),
    (&["urd"], "ur"),
    (&["vie"], "vi"),
    (&["zho", "chi"], "zh"),
];

/// The BCP 47 tag for what a container says; `und` for what is no language code.
pub(super) fn tag(code: &str) -> String {
    let code = code.trim().to_ascii_lowercase();
    if let Some((_, short)) = CODES.iter().find(|(long, _)| long.contains(&code.as_str())) {
        return (*short).to_owned();
    }
    let parts: Vec<&str> = code.split('-').collect();
    let is_tag = parts.iter().enumerate().all(|(at, part)| {
        let length = if at == 0 { 2..=3 } else { 2..=8 };
        length.contains(&part.len())
            && part.bytes().all(|b| {
                if at == 0 {
                    b.is_ascii_lowercase()
                } else {
                    b.is_ascii_alphanumeric()
                }
            })
    });
    if is_tag { code } else { "und".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_the_shortest_tags() {
        assert_eq!(tag("eng"), "en");
        assert_eq!(tag("GER"), "de");
        assert_eq!(tag("haw"), "haw");
        assert_eq!(tag("pt-BR"), "pt-br");
        assert_eq!(tag("```"), "und");
        assert_eq!(tag(""), "und");
    }
}
