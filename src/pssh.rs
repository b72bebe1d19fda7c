//! Protection system specific headers (ISO/IEC 23001-7 section 8.1): what a DRM system's client
//! needs to ask for a licence, as `pssh` boxes.

use crate::media::{KeyId, PlayReady, TrackProtection, Widevine};

/// `SystemID` of the common format of the W3C ("cenc" Initialization Data Format).
pub const COMMON: [u8; 16] = [
    0x10, 0x77, 0xef, 0xec, 0xc0, 0xb2, 0x4d, 0x02, 0xac, 0xe3, 0x3c, 0x1e, 0x52, 0xe2, 0xfb, 0x4b,
];
/// `SystemID` of Widevine.
pub const WIDEVINE: [u8; 16] = [
    0xed, 0xef, 0x8b, 0xa9, 0x79, 0xd6, 0x4a, 0xce, 0xa3, 0xc8, 0x27, 0xdc, 0xd5, 0x1d, 0x21, 0xed,
];
/// `SystemID` of `PlayReady`.
pub const PLAYREADY: [u8; 16] = [
    0x9a, 0x04, 0xf0, 0x79, 0x98, 0x40, 0x42, 0x86, 0xab, 0x92, 0xe6, 0x5b, 0xe0, 0x88, 0x5f, 0x95,
];

/// The boxes of a track's init segment.
pub fn boxes(protection: &TrackProtection) -> Vec<Vec<u8>> {
    let key_id = protection.key_id;
    let widevine = protection.widevine.as_ref();
    let playready = protection.playready.as_ref();
    let common = protection.key_url.is_some().then(|| common_box(key_id));
    let systems = [
        widevine.map(|widevine| widevine_box(key_id, widevine)),
        playready.map(|playready| playready_box(key_id, playready)),
    ];
    common
        .into_iter()
        .chain(systems.into_iter().flatten())
        .collect()
}

/// Key ids and nothing else: what `ClearKey` needs.
pub fn common_box(key_id: KeyId) -> Vec<u8> {
    let one = 1_u32.to_be_bytes();
    full_box(1, &[&COMMON, &one, &key_id.0, &[0; 4]])
}

/// Widevine's, whose data is a protobuf message `WidevinePsshData`.
pub fn widevine_box(key_id: KeyId, widevine: &Widevine) -> Vec<u8> {
    system_box(WIDEVINE, &widevine_data(key_id, widevine))
}

/// `PlayReady`'s, whose data is a `PlayReady` Object.
pub fn playready_box(key_id: KeyId, playready: &PlayReady) -> Vec<u8> {
    system_box(PLAYREADY, &playready_object(key_id, playready))
}

fn system_box(system: [u8; 16], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("bounded by the policy's own texts");
    full_box(0, &[&system, &length.to_be_bytes(), data])
}

/// Size, type, version and flags (ISO/IEC 14496-12 section 4.2), then the fields.
fn full_box(version: u8, fields: &[&[u8]]) -> Vec<u8> {
    let fields = fields.concat();
    let length = u32::try_from(12 + fields.len()).expect("bounded by the policy's own texts");
    [
        &length.to_be_bytes(),
        &b"pssh"[..],
        &[version, 0, 0, 0],
        &fields,
    ]
    .concat()
}

/// Fields of `WidevinePsshData`: `key_ids` (2), `provider` (3), `content_id` (4),
/// `protection_scheme` (9), a 4CC as a number.
fn widevine_data(key_id: KeyId, widevine: &Widevine) -> Vec<u8> {
    let mut data = Vec::new();
    push_bytes(&mut data, 2, &key_id.0);
    if let Some(provider) = &widevine.provider {
        push_bytes(&mut data, 3, provider.as_bytes());
    }
    if let Some(content_id) = &widevine.content_id {
        push_bytes(&mut data, 4, content_id.as_bytes());
    }
    data.push(9 << 3);
    push_varint(&mut data, u64::from(u32::from_be_bytes(*b"cbcs")));
    data
}

/// A length-delimited field of a protobuf message.
fn push_bytes(data: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    data.push(field << 3 | 2);
    push_varint(data, bytes.len() as u64);
    data.extend_from_slice(bytes);
}

fn push_varint(data: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        data.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    data.push((value & 0x7f) as u8);
}

/// A `PlayReady` Object ("PlayReady Header Specification", version 4.3, which knows `AESCBC`): a
/// header with one record, the XML in UTF-16.
pub fn playready_object(key_id: KeyId, playready: &PlayReady) -> Vec<u8> {
    let xml = playready_xml(key_id, playready);
    let utf16: Vec<u8> = xml.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let record_bytes = u16::try_from(utf16.len()).expect("bounded by the policy's own texts");
    let mut object = Vec::new();
    object.extend_from_slice(&(u32::from(record_bytes) + 10).to_le_bytes());
    object.extend_from_slice(&1_u16.to_le_bytes());
    object.extend_from_slice(&1_u16.to_le_bytes()); // a rights management header
    object.extend_from_slice(&record_bytes.to_le_bytes());
    object.extend_from_slice(&utf16);
    object
}

fn playready_xml(key_id: KeyId, playready: &PlayReady) -> String {
    use base64::Engine;
    let id = base64::engine::general_purpose::STANDARD.encode(guid(key_id));
    let url = playready
        .license_url
        .as_ref()
        .map_or_else(String::new, |url| {
            format!("<LA_URL>{}</LA_URL>", url.replace('&', "&amp;"))
        });
    format!(
        "<WRMHEADER xmlns=\"http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader\" \
         version=\"4.3.0.0\"><DATA><PROTECTINFO><KIDS><KID ALGID=\"AESCBC\" VALUE=\"{id}\"></KID>\
         </KIDS></PROTECTINFO>{url}</DATA></WRMHEADER>"
    )
}

/// A key id as Microsoft orders it: the first three parts of the UUID are little-endian numbers.
fn guid(key_id: KeyId) -> [u8; 16] {
    let mut bytes = key_id.0;
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Encryption, EncryptionPlan, Iv, KeyPlan, KeyUse, ProtectedKind, Scheme};

    fn hex(digits: &str) -> Vec<u8> {
        let digits: String = digits.split_whitespace().collect();
        let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(pair).collect()
    }

    fn key_id() -> KeyId {
        KeyId::parse("00112233445566778899aabbccddeeff").unwrap()
    }

    /// The example of the W3C's "cenc" Initialization Data Format, with one key id of ours.
    #[test]
    fn the_common_box_lists_the_key_id() {
        let wanted = hex(
            "0000003470737368 01000000 1077efecc0b24d02ace33c1e52e2fb4b 00000001
            00112233445566778899aabbccddeeff 00000000",
        );
        assert_eq!(common_box(key_id()), wanted);
    }

    /// As other packagers write it: key id, provider, content id, scheme.
    #[test]
    fn widevines_data_is_a_protobuf_message() {
        let widevine = Widevine {
            provider: Some("widevine_test".into()),
            content_id: Some("cats".into()),
            license_url: None,
        };
        let data = widevine_data(key_id(), &widevine);
        let wanted = [
            hex("1210 00112233445566778899aabbccddeeff 1a0d").as_slice(),
            b"widevine_test",
            &hex("2204"),
            b"cats",
            // 0x63626373 in groups of seven bits, the lowest first.
            &hex("48 f3c6899b06"),
        ]
        .concat();
        assert_eq!(data, wanted);
    }

    #[test]
    fn playreadys_object_holds_its_own_lengths_and_order_of_bytes() {
        let url = "https://pr.example/rightsmanager.asmx?a=1&b=2";
        let playready = PlayReady {
            license_url: Some(url.into()),
        };
        let object = playready_object(key_id(), &playready);
        let length = u32::from_le_bytes(object[..4].try_into().unwrap());
        assert_eq!(length as usize, object.len());
        let units: Vec<u16> = object[10..]
            .chunks(2)
            .map(|pair| u16::from_le_bytes(pair.try_into().unwrap()))
            .collect();
        let xml = String::from_utf16(&units).unwrap();
        // 33221100-5544-7766-8899-aabbccddeeff in the order of a GUID.
        assert!(
            xml.contains("ALGID=\"AESCBC\" VALUE=\"MyIRAFVEd2aImaq7zN3u/w==\""),
            "{xml}"
        );
        assert!(xml.contains("a=1&amp;b=2"), "{xml}");
    }

    #[test]
    fn a_system_that_is_not_named_has_no_box() {
        let mut plan = EncryptionPlan {
            policy: Encryption::new(Scheme::Cbcs),
            keys: vec![KeyPlan {
                usage: KeyUse::All,
                key_id: key_id(),
                iv: Iv([1; 16]),
                check: None,
            }],
        };
        let count = |plan: &EncryptionPlan| boxes(&plan.track(ProtectedKind::Audio).unwrap()).len();
        assert_eq!(count(&plan), 1, "the common one");
        plan.policy.widevine = Some(Widevine::default());
        plan.policy.playready = Some(PlayReady::default());
        assert_eq!(count(&plan), 2, "the key itself is not given");
    }
}
