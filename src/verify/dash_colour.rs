//! What an MPD says of colour (TS 103 285 section 5.2).

use super::dash::RepresentationView;
use super::facts::TrackFacts;
use crate::media::Colour;

/// D21: high dynamic range is told by the code points of ISO/IEC 23091-2 in properties of the set
/// or the Representation, and they are the bitstream's (TS 103 285 5.2).
pub(super) fn colour_untold(view: &RepresentationView<'_>) -> Vec<String> {
    let picture = view.stream.track().and_then(TrackFacts::picture);
    let Some(points) = picture.and_then(|picture| picture.colour) else {
        return Vec::new();
    };
    let names = [
        "ColourPrimaries",
        "TransferCharacteristics",
        "MatrixCoefficients",
    ];
    let hdr = matches!(points[1], Colour::PQ | Colour::HLG);
    let mut faults = Vec::new();
    for (name, real) in names.into_iter().zip(points) {
        let scheme = format!("urn:mpeg:mpegB:cicp:{name}");
        let told = ["SupplementalProperty", "EssentialProperty"]
            .into_iter()
            .flat_map(|kind| view.representation.descriptors(kind))
            .find(|descriptor| descriptor.scheme == scheme);
        match told.map(|descriptor| descriptor.value.as_deref().unwrap_or_default()) {
            None if hdr => faults.push(format!("{name} {real} is not told")),
            Some(value) if value != real.to_string() => {
                faults.push(format!("{name} {value} is told, the pictures have {real}"));
            }
            _ => {}
        }
    }
    faults
}
