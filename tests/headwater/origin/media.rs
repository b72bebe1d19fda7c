//! What the sites deliver: one uploaded title with captions, the objects it consists of, and two
//! odd ones beside them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::server::{QUICK, Server, id};
use crate::support::fixture;

/// A name of an upload that would like to be something else than a video.
const TITLE: &str = "title=talk.html";
const CAPTIONS: &[u8] = b"1\n00:00:00,500 --> 00:00:01,500\nHello\n";
/// Length of the large object in bytes: more than a cache takes in one piece, and no multiple of
/// anything.
const LARGE_BYTES: usize = (20 << 20) + 4321;

/// One object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// Its path at the server.
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    /// Whether it may change: an entry point.
    pub(crate) is_entry: bool,
}

impl Object {
    /// Whether it is sent compressed to those who like that.
    pub(crate) fn is_text(&self) -> bool {
        let texts = ["application/vnd.apple.mpegurl", "application/dash+xml"];
        texts.contains(&self.content_type) || self.content_type.starts_with("text/")
    }
}

/// The title.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    /// `/v/{asset}/`
    pub(crate) base: String,
    /// The folder of everything that never changes, with its `/`.
    pub(crate) revision: String,
    /// All objects of different kinds, one each.
    pub(crate) objects: Vec<Object>,
    /// Whether the odd objects could be put there.
    pub(crate) has_odd: bool,
}

impl Media {
    /// Uploads the title, gives it captions, and waits until it is complete.
    pub(crate) fn upload(server: &Server) -> Self {
        let asset = server.upload(&fixture("talk.mp4"), &format!("{TITLE}&{QUICK}"));
        let id = id(&asset).to_owned();
        server.wait_for(&id, &["ready", "complete"]);
        let path = format!("/api/v1/assets/{id}/text?lang=en");
        let added = server.ask("POST", &path, "Content-Type: text/plain\r\n", CAPTIONS);
        assert_eq!(added.status, 201, "{}", added.head);
        server.wait_for(&id, &["complete"]);
        let base = format!("/v/{id}/");
        let playlist = server.get(&format!("{base}index.m3u8"));
        Self::of(&base, std::str::from_utf8(&playlist.body).unwrap())
    }

    /// By what the multivariant playlist names.
    fn of(base: &str, playlist: &str) -> Self {
        let names = playlist.split(['"', '\n']);
        let folders = names.filter_map(|name| name.strip_suffix("index.m3u8"));
        let folders: Vec<&str> = folders.filter(|name| name.contains('/')).collect();
        let folder = |part: &str| {
            let found = folders.iter().find(|name| name.contains(part));
            (*found.unwrap_or_else(|| panic!("no {part} in {playlist}"))).to_owned()
        };
        let (video, audio, text) = (folder("/v90/"), folder("/a-"), folder("/text/"));
        let revision = format!("{}/", video.split_once('/').unwrap().0);
        let (hls, dash) = ("application/vnd.apple.mpegurl", "application/dash+xml");
        let vtt = "text/vtt; charset=utf-8";
        let all = [
            ("index.m3u8".to_owned(), hls),
            ("manifest.mpd".to_owned(), dash),
            ("poster.jpg".to_owned(), "image/jpeg"),
            (format!("{revision}index.m3u8"), hls),
            (format!("{revision}manifest.mpd"), dash),
            (format!("{video}index.m3u8"), hls),
            (format!("{video}init.mp4"), "video/mp4"),
            (format!("{video}1.m4s"), "video/iso.segment"),
            (format!("{audio}init.mp4"), "audio/mp4"),
            (format!("{audio}1.m4s"), "audio/mp4"),
            (format!("{text}index.m3u8"), hls),
            (format!("{text}1.vtt"), vtt),
            (format!("{text}whole.vtt"), vtt),
        ];
        let object = |(path, content_type): (String, _)| Object {
            is_entry: !path.contains('/'),
            path: format!("{base}{path}"),
            content_type,
        };
        Self {
            base: base.to_owned(),
            revision,
            objects: all.map(object).to_vec(),
            has_odd: false,
        }
    }

    /// The stable HLS entry point.
    pub(crate) fn entry(&self) -> &str {
        &self.objects[0].path
    }

    /// A media playlist.
    pub(crate) fn playlist(&self) -> &str {
        &self.objects[5].path
    }

    /// A video segment.
    pub(crate) fn segment(&self) -> &str {
        &self.objects[7].path
    }

    /// An object without a byte.
    pub(crate) fn empty(&self) -> String {
        format!("{}{}v90/90001.m4s", self.base, self.revision)
    }

    /// An object of many megabytes.
    pub(crate) fn large(&self) -> String {
        format!("{}{}v90/90002.m4s", self.base, self.revision)
    }

    /// Puts the odd objects into the folder that stands for the store.
    pub(crate) fn put_odd(&mut self, store: &Path) {
        std::fs::write(store.join(&self.empty()[1..]), b"").unwrap();
        std::fs::write(store.join(&self.large()[1..]), large()).unwrap();
        self.has_odd = true;
    }
}

/// The bytes of the large object: no two places are alike.
pub(crate) fn large() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let numbers = (0_u32..).map(|n| n.wrapping_mul(0x9e37_79b1));
        let mut bytes: Vec<u8> = numbers
            .take(LARGE_BYTES.div_ceil(4))
            .flat_map(u32::to_le_bytes)
            .collect();
        bytes.truncate(LARGE_BYTES);
        bytes
    })
}

/// A finished data folder with the title, and the title: made once, to be copied.
pub(crate) fn library() -> &'static (PathBuf, Media) {
    static LIBRARY: OnceLock<(PathBuf, Media)> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("origin-library");
        // Of an earlier run, if there was one.
        let _ = std::fs::remove_dir_all(&data);
        let mut server = Server::start(&data);
        let mut media = Media::upload(&server);
        server.kill();
        media.put_odd(&data);
        (data, media)
    })
}

/// A data folder of one's own with the title in it.
pub(crate) fn copy_of_library() -> (tempfile::TempDir, Media) {
    let (data, media) = library();
    let own = tempfile::tempdir().unwrap();
    let mut copy = Command::new("cp");
    copy.args(["-a", "--reflink=auto"])
        .arg(data.join("."))
        .arg(own.path());
    assert!(copy.status().unwrap().success());
    (own, media.clone())
}
