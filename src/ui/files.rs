//! The files that the pages are made of, and the digest that names their version.

use std::sync::OnceLock;

/// A file of the pages.
#[derive(Debug)]
pub(super) struct File {
    /// Its name, without a folder: all files lie beside each other.
    pub(super) name: &'static str,
    /// Its Content-Type.
    pub(super) media_type: &'static str,
    /// What is in it.
    pub(super) bytes: &'static [u8],
}

/// `/`. In each page, `{{ui}}` stands for the folder of its files and `{{media}}` for where
/// `/v/` is (empty: here).
pub(super) const LIBRARY: &str = include_str!("pages/index.html");
/// `/watch/{id}`.
pub(super) const WATCH: &str = include_str!("pages/watch.html");
/// `/watch/{id}?embed`.
pub(super) const EMBED: &str = include_str!("pages/embed.html");
/// What there is at other addresses.
pub(super) const MISSING: &str = include_str!("pages/missing.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const DRAWING: &str = "image/svg+xml";

macro_rules! file {
    ($folder:literal, $name:literal, $media_type:expr) => {
        File {
            name: $name,
            media_type: $media_type,
            bytes: include_bytes!(concat!($folder, "/", $name)),
        }
    };
}

/// All of them. `vendor` is other people's, see the README there.
pub(super) const FILES: &[File] = &[
    file!("pages", "style.css", STYLE),
    file!("pages", "icons.svg", DRAWING),
    file!("pages", "mark.svg", DRAWING),
    file!("pages", "api.js", SCRIPT),
    file!("pages", "captions.js", SCRIPT),
    file!("pages", "chapters.js", SCRIPT),
    file!("pages", "dialogs.js", SCRIPT),
    file!("pages", "elements.js", SCRIPT),
    file!("pages", "embed.js", SCRIPT),
    file!("pages", "home.js", SCRIPT),
    file!("pages", "keys.js", SCRIPT),
    file!("pages", "library.js", SCRIPT),
    file!("pages", "player.js", SCRIPT),
    file!("pages", "thumbnails.js", SCRIPT),
    file!("pages", "tus.js", SCRIPT),
    file!("pages", "uploads.js", SCRIPT),
    file!("pages", "watch.js", SCRIPT),
    file!("pages", "words.js", SCRIPT),
    file!("vendor", "hls.min.mjs", SCRIPT),
    file!("vendor", "hls.js-LICENSE.txt", TEXT),
];

/// The file of that name.
pub(super) fn named(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

/// The digest of all files: 32 hexadecimal digits. They import each other by relative URL, so
/// they have one version together.
pub(super) fn digest() -> &'static str {
    static DIGEST: OnceLock<String> = OnceLock::new();
    DIGEST.get_or_init(|| {
        let mut hasher = blake3::Hasher::new();
        for file in FILES {
            hasher.update(blake3::hash(file.name.as_bytes()).as_bytes());
            hasher.update(blake3::hash(file.bytes).as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    })
}

/// A page with its places filled in.
pub(super) fn filled(template: &str, media_base: &str) -> String {
    let escaped = media_base.replace('&', "&amp;").replace('"', "&quot;");
    template
        .replace("{{ui}}", &format!("/ui/{}", digest()))
        .replace("{{media}}", &escaped)
}
