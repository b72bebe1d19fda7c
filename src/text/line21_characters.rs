//! The characters of CTA-608 (annex I).

/// The basic set: ASCII but for a few.
pub(super) fn basic(byte: u8) -> char {
    match byte {
        0x27 => '’',
        0x2a => 'á',
        0x5c => 'é',
        0x5e => 'í',
        0x5f => 'ó',
        0x60 => 'ú',
        0x7b => 'ç',
        0x7c => '÷',
        0x7d => 'Ñ',
        0x7e => 'ñ',
        0x7f => '█',
        other => char::from(other),
    }
}

/// The special characters, 0x30 to 0x3f behind 0x11.
pub(super) fn special(byte: u8) -> char {
    at(SPECIAL, byte, 0x30)
}

/// The extended characters, 0x20 to 0x3f behind 0x12 (Spanish, French) and 0x13 (Portuguese, German,
/// Danish).
pub(super) fn extended(first: u8, byte: u8) -> char {
    let table = if first == 0x12 { WEST } else { NORTH };
    at(table, byte, 0x20)
}

fn at(table: [char; 32], byte: u8, from: u8) -> char {
    let place = usize::from(byte.saturating_sub(from));
    table.get(place).copied().unwrap_or(' ')
}

const SPECIAL: [char; 32] = [
    '®', '°', '½', '¿', '™', '¢', '£', '♪', 'à', ' ', 'è', 'â', 'ê', 'î', 'ô', 'û', ' ', ' ', ' ',
    ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ',
];
const WEST: [char; 32] = [
    'Á', 'É', 'Ó', 'Ú', 'Ü', 'ü', '‘', '¡', '*', '\'', '—', '©', '℠', '•', '“', '”', 'À', 'Â', 'Ç',
    'È', 'Ê', 'Ë', 'ë', 'Î', 'Ï', 'ï', 'Ô', 'Ù', 'ù', 'Û', '«', '»',
];
const NORTH: [char; 32] = [
    'Ã', 'ã', 'Í', 'Ì', 'ì', 'Ò', 'ò', 'Õ', 'õ', '{', '}', '\\', '^', '_', '|', '~', 'Ä', 'ä', 'Ö',
    'ö', 'ß', '¥', '¤', '│', 'Å', 'å', 'Ø', 'ø', '┌', '┐', '└', '┘',
];
