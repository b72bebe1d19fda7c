//! Both languages at once.

use super::{Format, Options, PriceClass, render};

const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgMmxxdjOWd1ILEld3XtfxZeajrrt\niXmQ7jXEZ2gRlrqnU+cScGpQ+w/L9bOc4nI0oGLnGA6kWsbWzG/o9lBFfQ==\n-----END PUBLIC KEY-----\n";

/// Everything that can be asked for.
fn all() -> Options {
    let some = |text: &str| Some(text.to_owned());
    Options {
        name: "films".into(),
        origin: some("origin.example.com:8443"),
        lock_header: some("X-Origin-Verify"),
        lock_secret: None,
        client_certificate: None,
        bucket: some("films-streams"),
        bucket_region: some("eu-central-1"),
        bucket_prefix: some("prod"),
        bucket_exists: false,
        domains: vec!["video.example.com".into()],
        certificate: some("arn:aws:acm:us-east-1:123456789012:certificate/0123-abcd"),
        allowed_origins: vec!["https://app.example.com".into()],
        public_keys: vec![KEY.into()],
        shield_region: some("eu-central-1"),
        price_class: PriceClass::Fewest,
        log_bucket: None,
    }
}

fn text(options: &Options, format: Format) -> String {
    render(&options.check().expect("sound"), format)
}

#[test]
fn the_cloudformation_template_is_as_expected() {
    insta::assert_snapshot!(text(&all(), Format::CloudFormation));
}

#[test]
fn the_terraform_configuration_is_as_expected() {
    insta::assert_snapshot!(text(&all(), Format::Terraform));
}

#[test]
fn no_secret_and_nothing_unasked_is_in_a_template() {
    let least = Options {
        origin: Some("origin.example.com".into()),
        ..Options::default()
    };
    for format in [Format::CloudFormation, Format::Terraform] {
        let text = text(&least, format);
        for word in [
            "S3",
            "s3",
            "Shield",
            "shield",
            "KeyGroup",
            "key_group",
            "Secret",
            "secret",
        ] {
            let found = text
                .lines()
                .find(|line| line.contains(word) && !line.contains('#'));
            assert_eq!(found, None, "{word}");
        }
    }
}

#[test]
fn a_managed_secret_is_referred_to_by_its_version() {
    let options = Options {
        lock_secret: Some("headwater/lock".into()),
        ..all()
    };
    let yaml = text(&options, Format::CloudFormation);
    let reference = "{{resolve:secretsmanager:headwater/lock:SecretString:::${OriginLockVersion}}}";
    assert!(yaml.contains(reference), "{yaml}");
    let hcl = text(&options, Format::Terraform);
    assert!(
        hcl.contains("version_id = var.origin_lock_version"),
        "{hcl}"
    );
}
