//! Signatures made by OpenSSL, and what becomes of them when anything is changed.

use std::net::IpAddr;

use proptest::prelude::*;

use super::cloudfront::{Grant, Shown, Verifier, unsigned_url};
use super::*;

const RSA_PKCS1: &str = include_str!("../../fixtures/signing/rsa_pkcs1.pem");
const RSA_PKCS8: &str = include_str!("../../fixtures/signing/rsa_pkcs8.pem");
const RSA_PUBLIC: &str = include_str!("../../fixtures/signing/rsa_public.pem");
const EC_SEC1: &str = include_str!("../../fixtures/signing/ec_sec1.pem");
const EC_PKCS8: &str = include_str!("../../fixtures/signing/ec_pkcs8.pem");
const EC_PUBLIC: &str = include_str!("../../fixtures/signing/ec_public.pem");
const VECTORS: &str = include_str!("../../fixtures/signing/vectors.txt");
const MAC: &str = include_str!("../../fixtures/signing/mac.txt");

const ID: &str = "K2JCJMDEHXQW5F";
const BASE: &str = "https://media.example.org";
const PATH: &str = "/v/cats/index.m3u8";
const NOW: u64 = 1_800_000_000;
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn verifier(public: &str) -> Verifier {
    let key = PublicKey::from_pem(public).unwrap();
    Verifier::new(vec![(ID.to_owned(), key)]).unwrap()
}

fn verify(verifier: &Verifier, path: &str, query: &str, now: u64) -> Option<Grant> {
    let shown = Shown::in_query(query)?;
    verifier.verify(&shown, &unsigned_url(BASE, path, Some(query)), CLIENT, now)
}

fn vectors() -> impl Iterator<Item = (&'static str, &'static str)> {
    VECTORS.lines().map(|line| {
        let fields: Vec<_> = line.split('\t').collect();
        let public = if fields[0] == "rsa" {
            RSA_PUBLIC
        } else {
            EC_PUBLIC
        };
        (public, fields[3])
    })
}

fn signer(private: &str, hash: Hash) -> Signer {
    Signer::new(PrivateKey::from_pem(private).unwrap(), ID, hash).unwrap()
}

fn policy() -> Policy {
    Policy {
        resource: Some(format!("{BASE}/v/cats/*")),
        until: 2_000_000_000,
        from: Some(1_700_000_000),
        network: Some(Network::parse("192.0.2.0/24").unwrap()),
    }
}

#[test]
fn signatures_made_by_openssl_are_good() {
    for (public, query) in vectors() {
        let verifier = verifier(public);
        let grant = if query.contains("Policy=") {
            Grant::Many
        } else {
            Grant::One
        };
        // Asked twice: anew, and as it is remembered.
        for _ in 0..2 {
            assert_eq!(verify(&verifier, PATH, query, NOW), Some(grant), "{query}");
        }
        assert_eq!(verify(&verifier, PATH, query, 2_000_000_000), None);
        assert_eq!(verify(&verifier, "/v/dogs/index.m3u8", query, NOW), None);
    }
}

#[test]
fn what_is_remembered_is_still_only_for_its_time_client_and_url() {
    let verifier = verifier(RSA_PUBLIC);
    let signature = signer(RSA_PKCS1, Hash::Sha256).custom(&policy()).unwrap();
    let query = signature.query();
    assert_eq!(verify(&verifier, PATH, &query, NOW), Some(Grant::Many));
    assert_eq!(verify(&verifier, PATH, &query, 1_700_000_000), None);
    assert_eq!(verify(&verifier, PATH, &query, 2_000_000_000), None);
    assert_eq!(verify(&verifier, "/v/dogs/1.m4s", &query, NOW), None);
    let shown = Shown::in_query(&query).unwrap();
    let url = format!("{BASE}{PATH}");
    let stranger = "203.0.113.1".parse().unwrap();
    assert_eq!(verifier.verify(&shown, &url, stranger, NOW), None);
}

#[test]
fn rsa_signatures_equal_those_of_openssl() {
    for (private, hash) in [(RSA_PKCS1, Hash::Sha1), (RSA_PKCS8, Hash::Sha256)] {
        let signer = signer(private, hash);
        let url = format!("{BASE}{PATH}?size=large");
        let canned = signer.canned(&url, 2_000_000_000).unwrap();
        let custom = signer.custom(&policy()).unwrap();
        let ours = [format!("size=large&{}", canned.query()), custom.query()];
        for query in ours {
            assert!(vectors().any(|(_, theirs)| theirs == query), "{query}");
        }
    }
}

#[test]
fn every_sort_of_private_key_signs_what_its_public_key_verifies() {
    for (private, public) in [
        (RSA_PKCS1, RSA_PUBLIC),
        (RSA_PKCS8, RSA_PUBLIC),
        (EC_SEC1, EC_PUBLIC),
        (EC_PKCS8, EC_PUBLIC),
    ] {
        for hash in [Hash::Sha1, Hash::Sha256] {
            let verifier = verifier(public);
            let custom = signer(private, hash).custom(&policy()).unwrap();
            assert_eq!(
                verify(&verifier, PATH, &custom.query(), NOW),
                Some(Grant::Many)
            );
            let cookies = custom.cookies();
            let field: Vec<_> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let field = field.join("; ");
            let shown = Shown::in_cookies([field.as_str()].into_iter()).unwrap();
            let url = format!("{BASE}{PATH}");
            assert_eq!(
                verifier.verify(&shown, &url, CLIENT, NOW),
                Some(Grant::Many)
            );
        }
    }
}

#[test]
fn another_hash_key_or_way_to_send_it_is_not_good() {
    let verifier = verifier(RSA_PUBLIC);
    let query = signer(RSA_PKCS1, Hash::Sha256).canned(&format!("{BASE}{PATH}"), 2_000_000_000);
    let query = query.unwrap().query();
    let good = |query: &str| verify(&verifier, PATH, query, NOW).is_some();
    assert!(good(&query));
    assert!(!good(&query.replace("SHA256", "SHA1")));
    assert!(!good(&query.replace("SHA256", "none")));
    assert!(!good(&query.replace("&Hash-Algorithm=SHA256", "")));
    assert!(!good(&query.replace(ID, "K2JCJMDEHXQW5G")));
    assert!(!good(
        &query.replace("Expires=2000000000", "Expires=2000000001")
    ));
    assert!(!good(&query.replace("Expires=2", "Expires=02")));
    assert!(!good(&format!("{query}&Expires=2000000000")));
    assert!(!good(&format!("{query}&Policy=e30_")));
    assert!(!good(&format!("{query}&size=large")));
    assert!(!good("Signature=x&Key-Pair-Id=K2JCJMDEHXQW5F"));
    let other = PublicKey::from_pem(EC_PUBLIC).unwrap();
    let other = Verifier::new(vec![(ID.to_owned(), other)]).unwrap();
    assert_eq!(verify(&other, PATH, &query, NOW), None);
}

#[test]
fn keys_of_the_wrong_sort_are_told_apart() {
    let words = |text: &str| PublicKey::from_pem(text).unwrap_err().to_string();
    assert!(words(RSA_PKCS8).contains("private key"));
    assert!(words("").contains("no public key"));
    assert!(words(&RSA_PUBLIC.replace("MIIB", "MIIC")).contains("RSA with 2048"));
    let words = |text: &str| PrivateKey::from_pem(text).unwrap_err().to_string();
    assert!(words(RSA_PUBLIC).contains("no private key"));
    assert!(words(&EC_SEC1.replace("EC PRIVATE", "ENCRYPTED PRIVATE")).contains("encrypted"));
    assert!(words(&RSA_PKCS1.replace("MIIE", "MIIF")).contains("damaged"));
    let shown = format!("{:?}", PrivateKey::from_pem(EC_PKCS8).unwrap());
    assert_eq!(shown, "PrivateKey(ECDSA ..)");
}

#[test]
fn what_cannot_be_signed_is_refused_in_words() {
    let signer = signer(RSA_PKCS1, Hash::Sha1);
    let words = |url: &str| signer.canned(url, 1).unwrap_err().to_string();
    assert!(words("https://a/b c").contains("percent"));
    assert!(words("https://a/b#c").contains("fragment"));
    assert!(words("https://a/b?Policy=x").contains("Policy"));
    assert!(words("https://a/\"").contains("%22"));
    let mut wrong = policy();
    wrong.from = Some(wrong.until);
    assert!(signer.custom(&wrong).is_err());
    wrong = policy();
    wrong.network = Some(Network::parse("2001:db8::/32").unwrap());
    assert!(
        signer
            .custom(&wrong)
            .unwrap_err()
            .to_string()
            .contains("IPv4")
    );
}

#[test]
fn the_signed_url_keeps_its_own_query() {
    let url = |query| unsigned_url(BASE, "/a%20b", query);
    assert_eq!(url(None), "https://media.example.org/a%20b");
    assert_eq!(url(Some("Expires=1&Signature=x&Key-Pair-Id=y")), url(None));
    assert_eq!(url(Some("b=2&Policy=x&a=1&c")), url(None) + "?b=2&a=1&c");
    assert_eq!(url(Some("")), url(None) + "?");
}

// ---- our own tokens

fn keys() -> TokenKeys {
    TokenKeys::parse(
        "# the tests' keys\n\nk1 a-secret-of-the-tests-only\nk2\tanother-secret-of-the-tests\n",
    )
    .unwrap()
}

fn claims() -> Claims {
    Claims {
        path: "/v/cats/".to_owned(),
        until: 2_000_000_000,
        from: Some(1_700_000_000),
        network: Some(Network::parse("192.0.2.0/24").unwrap()),
    }
}

#[test]
fn a_token_is_the_text_that_openssl_makes() {
    let token = keys().make(&claims()).unwrap();
    assert_eq!(token, MAC.trim().replace('\n', "."));
    assert_eq!(keys().verify(&token, PATH, CLIENT, NOW), Some(claims()));
}

#[test]
fn a_token_is_good_for_its_path_time_and_client() {
    let token = keys().make(&claims()).unwrap();
    let stranger = "192.0.3.1".parse().unwrap();
    for (path, client, now, good) in [
        (PATH, CLIENT, 1_699_999_999, false),
        (PATH, CLIENT, 1_700_000_000, true),
        (PATH, CLIENT, 1_999_999_999, true),
        (PATH, CLIENT, 2_000_000_000, false),
        (PATH, stranger, NOW, false),
        ("/v/cats/r/v720/1.m4s", CLIENT, NOW, true),
        ("/v/cats", CLIENT, NOW, false),
        ("/v/catsuits/index.m3u8", CLIENT, NOW, false),
        ("/v/cats/../dogs/index.m3u8", CLIENT, NOW, false),
        ("/v/cats//x", CLIENT, NOW, false),
    ] {
        let verified = keys().verify(&token, path, client, now);
        assert_eq!(verified.is_some(), good, "{path} {client} {now}");
    }
    let mut one = claims();
    one.path = PATH.to_owned();
    let token = keys().make(&one).unwrap();
    assert!(keys().verify(&token, PATH, CLIENT, NOW).is_some());
    assert!(
        keys()
            .verify(&token, "/v/cats/index.m3u8x", CLIENT, NOW)
            .is_none()
    );
}

#[test]
fn a_cookies_path_is_written_as_in_urls() {
    let mut claims = claims();
    assert_eq!(claims.url_path(), "/v/cats/");
    claims.path = "/v/na me%;ä/".to_owned();
    assert_eq!(claims.url_path(), "/v/na%20me%25%3B%C3%A4/");
}

#[test]
fn tokens_of_a_key_end_with_the_key() {
    let token = keys().make(&claims()).unwrap();
    let rotated = TokenKeys::parse("k2 another-secret-of-the-tests").unwrap();
    assert_eq!(rotated.verify(&token, PATH, CLIENT, NOW), None);
    let new = rotated.make(&claims()).unwrap();
    assert_eq!(keys().verify(&new, PATH, CLIENT, NOW), Some(claims()));
    let same_id = TokenKeys::parse("k1 some-other-secret-of-tests").unwrap();
    assert_eq!(same_id.verify(&token, PATH, CLIENT, NOW), None);
}

#[test]
fn a_genuine_token_in_another_writing_is_refused() {
    let key =
        aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"a-secret-of-the-tests-only");
    let path = alphabet::url_safe(b"/v/cats/");
    for (fields, good) in [
        (format!("1.k1.2000000000...{path}"), true),
        (format!("1.k1.02000000000...{path}"), false),
        (format!("1.k1.+2000000000...{path}"), false),
        (format!("1.k1.2000000000..C0000200-24.{path}"), false),
        (format!("1.k1.2000000000..c0000201-24.{path}"), false),
        (format!("1.k1.2000000000....{path}"), false),
        (format!("2.k1.2000000000...{path}"), false),
    ] {
        let mac = aws_lc_rs::hmac::sign(&key, fields.as_bytes());
        let token = format!("{fields}.{}", alphabet::url_safe(mac.as_ref()));
        let verified = keys().verify(&token, PATH, CLIENT, NOW);
        assert_eq!(verified.is_some(), good, "{fields}");
    }
}

#[test]
fn token_keys_are_refused_by_their_line_and_never_shown() {
    let words = |text: &str| TokenKeys::parse(text).unwrap_err().to_string();
    assert!(words("").contains("no token key"));
    assert!(words("\nk1").contains("line 2"));
    assert!(words("k1 hunter2").contains("line 1") && !words("k1 hunter2").contains("hunter2"));
    assert!(
        words("k1 a-secret-of-the-tests-only\nk1 a-secret-of-the-tests-only").contains("twice")
    );
    assert!(words("k.1 a-secret-of-the-tests-only").contains("`k.1`"));
    assert_eq!(format!("{:?}", keys()), r#"TokenKeys(["k1", "k2"])"#);
}

#[test]
fn a_new_key_makes_tokens_and_is_like_no_other() {
    let line = TokenKeys::new_line("k3").unwrap();
    let token = TokenKeys::parse(&line).unwrap().make(&claims()).unwrap();
    assert!(token.starts_with("1.k3."));
    assert_ne!(TokenKeys::new_line("k3").unwrap(), line);
    let wrong = TokenKeys::new_line("k 3").unwrap_err().to_string();
    assert!(wrong.contains("`k 3`"), "{wrong}");
}

proptest! {
    #[test]
    fn a_token_changed_in_any_byte_is_refused(at in 0_usize..500, byte in 0x20_u8..0x7f) {
        let token = keys().make(&claims()).unwrap();
        let mut changed = token.clone().into_bytes();
        let at = at % changed.len();
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        prop_assert_eq!(keys().verify(&changed, PATH, CLIENT, NOW), None);
    }

    #[test]
    fn a_signature_changed_in_any_byte_is_refused(at in 0_usize..2000, byte in 0x21_u8..0x7f) {
        let (public, query) = vectors().nth(1).unwrap();
        let mut changed = query.as_bytes().to_vec();
        let at = at % changed.len();
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        prop_assert_eq!(verify(&verifier(public), PATH, &changed, NOW), None);
    }

    #[test]
    fn whatever_is_shown_is_answered(token in ".{0,80}", query in "[&=A-Za-z0-9~_-]{0,80}") {
        prop_assert_eq!(keys().verify(&token, PATH, CLIENT, NOW), None);
        prop_assert_eq!(verify(&verifier(RSA_PUBLIC), PATH, &query, NOW), None);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{query}\n-----END PUBLIC KEY-----");
        prop_assert!(PublicKey::from_pem(&pem).is_err());
    }

    #[test]
    fn claims_survive_their_token(
        path in "/[a-zäß%.~ -]{1,20}/?",
        until in 1_u64..u64::MAX,
        length in 0_u8..=128,
        address: u128,
        v4: bool,
    ) {
        prop_assume!(!path.contains("/./") && !path.contains("/../"));
        prop_assume!(!path.ends_with("/.") && !path.ends_with("/.."));
        let short = u32::try_from(address >> 96).expect("32 bits are left");
        let address = if v4 { IpAddr::V4(short.into()) } else { IpAddr::V6(address.into()) };
        prop_assume!(address.to_canonical() == address);
        let network = Network::new(address, length);
        let claims = Claims { path, until, from: None, network };
        let token = keys().make(&claims).unwrap();
        prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)));
        prop_assert_eq!(keys().verify(&token, &claims.path, address, until - 1), Some(claims.clone()));
    }
}
