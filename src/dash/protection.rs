//! `ContentProtection` (ISO/IEC 23009-1 section 5.8.4.1, DASH-IF IOP part 6): how a set is encrypted
//! and where players ask for licences.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::element::Element;
use crate::media::TrackProtection;
use crate::pssh;

/// XML namespace of `default_KID` and `pssh`.
pub(super) const CENC_NAMESPACE: &str = "urn:mpeg:cenc:2013";
/// XML namespace of `Laurl`.
pub(super) const DASHIF_NAMESPACE: &str = "https://dashif.org/CPS";
/// XML namespace of `pro`.
const PLAYREADY_NAMESPACE: &str = "urn:microsoft:playready";

const MP4_PROTECTION: &str = "urn:mpeg:dash:mp4protection:2011";
const CLEAR_KEY: &str = "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e";
const WIDEVINE: &str = "urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed";
const PLAYREADY: &str = "urn:uuid:9a04f079-9840-4286-ab92-e65be0885f95";

/// The descriptors of a set whose tracks are all protected so. `to_asset` (empty, or ending in `/`)
/// leads from the MPD to the asset's folder.
pub(super) fn content_protection(protection: &TrackProtection, to_asset: &str) -> Vec<Element> {
    let mut all = vec![
        Element::new("ContentProtection")
            .with("schemeIdUri", MP4_PROTECTION)
            .with("value", "cbcs")
            .with("cenc:default_KID", protection.key_id.uuid()),
    ];
    if let Some(url) = protection.license_url_from(to_asset) {
        all.push(system(CLEAR_KEY, "ClearKey1.0").child(license(&url).with("Lic_type", "EME-1.0")));
    }
    if let Some(widevine) = &protection.widevine {
        let pssh = pssh::widevine_box(protection.key_id, widevine);
        let element = system(WIDEVINE, "Widevine").child(pssh_element(&pssh));
        let url = widevine.license_url.as_deref();
        all.push(element.children(url.map(license)));
    }
    if let Some(playready) = &protection.playready {
        let pssh = pssh::playready_box(protection.key_id, playready);
        let object = pssh::playready_object(protection.key_id, playready);
        let pro = Element::new("mspr:pro")
            .with("xmlns:mspr", PLAYREADY_NAMESPACE)
            .text(&STANDARD.encode(object));
        let element = system(PLAYREADY, "MSPR 2.0")
            .child(pssh_element(&pssh))
            .child(pro);
        let url = playready.license_url.as_deref();
        all.push(element.children(url.map(license)));
    }
    all
}

fn system(scheme: &str, value: &str) -> Element {
    Element::new("ContentProtection")
        .with("schemeIdUri", scheme)
        .with("value", value)
}

fn pssh_element(pssh: &[u8]) -> Element {
    Element::new("cenc:pssh").text(&STANDARD.encode(pssh))
}

fn license(url: &str) -> Element {
    Element::new("dashif:Laurl").text(url)
}
