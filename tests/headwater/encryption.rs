//! Encrypted presentations: other readers decrypt them with the key and get what a clear one holds,
//! and nobody finds the key in what was written.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{fixture, headwater, joined, package, tracks, try_package, verify};

/// 64 digits that are a secret.
const SECRET: &str = "d1b0c9a88f7e6d5c4b3a29181706f5e4d3c2b1a09f8e7d6c5b4a392817060504";

/// Files of one test.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key"), format!("{SECRET}\n")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Packages the fixture `clip` with a policy of its own.
    fn package(&self, clip: &str, out: &str, policy: &str) -> Value {
        let file = self.path("policy.toml");
        fs::write(&file, policy).unwrap();
        let flags = ["--policy", file.to_str().unwrap()];
        let key = self.path("key");
        let keys = ["--key-file", key.to_str().unwrap()];
        package(&fixture(clip), &self.path(out), &[flags, keys].concat())
    }

    /// The keys of what was packaged: (use, key id, key).
    fn keys(&self, out: &str) -> Vec<[String; 3]> {
        let mut command = headwater([Path::new("keys"), &self.path(out)]);
        let output = command
            .arg("--key-file")
            .arg(self.path("key"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        let row = |row: &Value| ["use", "key_id", "key"].map(|name| text(row, name));
        rows.iter().map(row).collect()
    }
}

/// What FFmpeg decodes of bytes, as one digest; with a key, what it decrypts with it. Through a
/// pipe: seeking, FFmpeg 5.1 looks up encrypted fragments wrongly where there is no `sidx`.
fn decoded(bytes: &[u8], key: Option<&str>) -> String {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error"]);
    command.args(key.iter().flat_map(|key| ["-decryption_key", key]));
    let mut child = command
        .args(["-i", "-", "-f", "md5", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    // FFmpeg may close it early, which its answer tells.
    let feeder = std::thread::spawn(move || drop(input.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    format!("{}{words}", String::from_utf8_lossy(&output.stdout))
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn unhex(digits: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

const CLEAR: &str = "rungs = [180, 90]\npreset = \"ultrafast\"\n";

#[test]
fn another_reader_decrypts_what_a_clear_presentation_holds() {
    let desk = Desk::new();
    let clear = desk.package("talk.mp4", "clear", CLEAR);
    let policy = format!("{CLEAR}[encryption]\nscheme = \"cbcs\"\nkeys = \"audio_video\"\n");
    let encrypted = desk.package("talk.mp4", "encrypted", &policy);
    assert_ne!(clear["revision"], encrypted["revision"]);
    let keys = desk.keys("encrypted");
    assert_eq!(keys.len(), 2);
    for (track, _) in tracks(&encrypted) {
        let usage = if track.starts_with("a-") {
            "audio"
        } else {
            "video"
        };
        let [_, _, key] = keys.iter().find(|[name, ..]| name == usage).unwrap();
        let bytes = joined(&desk.path("encrypted"), &encrypted, &track);
        let wanted = decoded(&joined(&desk.path("clear"), &clear, &track), None);
        assert_eq!(decoded(&bytes, Some(key)), wanted, "{track}");
        let other = "00".repeat(16);
        assert_ne!(decoded(&bytes, Some(&other)), wanted, "{track}");
    }
    let (code, report) = verify(desk.path("encrypted").to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
}

#[test]
fn the_key_is_in_no_file_and_no_word() {
    let desk = Desk::new();
    for scheme in ["cbcs", "aes-128"] {
        let policy =
            format!("{CLEAR}passthrough = \"only\"\n[encryption]\nscheme = \"{scheme}\"\n");
        let file = desk.path("policy.toml");
        fs::write(&file, policy).unwrap();
        let (out, key_file) = (desk.path(scheme), desk.path("key"));
        let flags = ["--policy", file.to_str().unwrap()];
        let keys = ["--key-file", key_file.to_str().unwrap()];
        let flags = [flags, keys].concat();
        let ran = try_package(&fixture("talk.mp4"), &out, &flags);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let mut written: Vec<Vec<u8>> = files(&out).iter().map(|f| fs::read(f).unwrap()).collect();
        assert!(written.len() > 8);
        written.extend([ran.stdout.into_bytes(), ran.stderr.into_bytes()]);
        let mut secrets = vec![SECRET.to_owned()];
        secrets.extend(desk.keys(scheme).into_iter().map(|[.., key]| key));
        for secret in secrets {
            let bytes = unhex(&secret);
            // Of Base64 the part that doesn't depend on what follows.
            for form in [secret.as_bytes(), &bytes, &base64(&bytes).as_bytes()[..20]] {
                let found = written.iter().position(|text| contains(text, form));
                assert_eq!(found, None, "{scheme}");
            }
        }
    }
}

/// RFC 4648 section 4, of a whole number of groups.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[(bits >> shift & 63) as usize]))
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

/// FFmpeg's HLS reader gets the key from where the playlist says and plays the same.
#[test]
fn whole_segments_are_played_with_the_key_the_playlist_names() {
    let desk = Desk::new();
    desk.package("talk.mp4", "clear", CLEAR);
    for scheme in ["aes-128", "cbcs"] {
        let policy = format!("{CLEAR}[encryption]\nscheme = \"{scheme}\"\nkeys = \"one\"\n");
        let result = desk.package("talk.mp4", scheme, &policy);
        assert_eq!(result["playback"]["dash"].is_null(), scheme == "aes-128");
        assert_eq!(
            fs::metadata(desk.path(scheme).join("manifest.mpd")).is_ok(),
            scheme == "cbcs"
        );
        let keys = desk.path(scheme).join("keys");
        fs::create_dir(&keys).unwrap();
        for [_, key_id, key] in desk.keys(scheme) {
            fs::write(keys.join(key_id), unhex(&key)).unwrap();
        }
        assert_eq!(
            played(&desk.path(scheme)),
            played(&desk.path("clear")),
            "{scheme}"
        );
        let (code, report) = verify(desk.path(scheme).to_str().unwrap());
        assert_eq!(code, Some(0), "{report}");
    }
}

/// Both tracks of the first variant as FFmpeg plays them, as one digest.
fn played(out: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-allowed_extensions", "ALL"])
        .args(["-protocol_whitelist", "file,crypto,data", "-i"])
        .arg(out.join("index.m3u8"))
        .args(["-map", "0:v:0", "-map", "0:a:0", "-f", "md5", "-"])
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn without_keys_nothing_is_encrypted() {
    let desk = Desk::new();
    let file = desk.path("policy.toml");
    fs::write(&file, "[encryption]\nscheme = \"cbcs\"\n").unwrap();
    let flags = ["--policy", file.to_str().unwrap()];
    let ran = try_package(&fixture("talk.mp4"), &desk.path("out"), &flags);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("--key-file"), "{}", ran.stderr);
    fs::write(
        desk.path("key"),
        "not a key, and long enough to be taken for one",
    )
    .unwrap();
    let key = desk.path("key");
    let flags = [flags, ["--key-file", key.to_str().unwrap()]].concat();
    let ran = try_package(&fixture("talk.mp4"), &desk.path("out"), &flags);
    assert_eq!(ran.code, Some(1));
    assert!(!ran.stderr.contains("long enough"), "{}", ran.stderr);
}

/// Each rule of encryption finds what breaks it, and nothing in what is sound.
#[test]
fn rules_of_encryption_find_what_breaks_them() {
    let desk = Desk::new();
    let policy = "rungs = [90]\npreset = \"ultrafast\"\npassthrough = \"never\"\n[encryption]\nscheme = \"cbcs\"\n\
        clear_key = true\n[encryption.widevine]\n[encryption.playready]\n[encryption.fairplay]\n";
    let result = desk.package("talk.mp4", "sound", policy);
    let revision = result["revision"].as_str().unwrap();
    let at = |name: &str| format!("{revision}/{name}");
    let status = |folder: &Path, rule: &str| {
        let report = headwater::verify::verify_target(folder.to_str().unwrap()).unwrap();
        format!("{:?}", report.rule(rule).unwrap().status)
    };
    for rule in ["E01", "E02", "E03", "E04", "E05", "E06", "E07", "E08"] {
        assert_eq!(status(&desk.path("sound"), rule), "Ok", "{rule}");
    }
    let playlist = at("v90/index.m3u8");
    let (init, segment) = (at("v90/init.mp4"), at("v90/1.m4s"));
    let (entry, mpd) = ("index.m3u8".to_owned(), "manifest.mpd".to_owned());
    // File, what to look for, what to put there, and the outcome.
    type Break<'a> = (&'a str, &'a str, &'a [u8], &'a [u8], &'a str);
    let breaks: [Break<'_>; 11] = [
        ("E01", &init, b"cbcs", b"cenc", "Failed"),
        (
            "E02",
            &init,
            b"tenc\x01\0\0\0\0\x19",
            b"tenc\x01\0\0\0\0\x18",
            "Failed",
        ),
        (
            "E03",
            &playlist,
            b"SAMPLE-AES,URI=\"skd:",
            b"SAMPLE-AES-CTR,URI=\"skd:",
            "Failed",
        ),
        (
            "E03",
            &playlist,
            b"KEYFORMAT=\"com.apple",
            b"IV=0x00000000000000000000000000000001,KEYFORMAT=\"com.apple",
            "Warned",
        ),
        (
            "E04",
            &playlist,
            b"com.microsoft.playready",
            b"com.microsoft.PlayReady",
            "Failed",
        ),
        (
            "E04",
            &init,
            b"pssh\0\0\0\0\x9a",
            b"pssh\0\0\0\0\x9b",
            "Failed",
        ),
        (
            "E05",
            &segment,
            b"senc\0\0\0\x02\0",
            b"senc\0\0\0\x02\x01",
            "Failed",
        ),
        ("E05", &segment, b"saio", b"free", "Failed"),
        ("E06", &mpd, b"value=\"cbcs\"", b"value=\"cenc\"", "Failed"),
        ("E07", &playlist, b"KEYID=0x", b"KEYID=0x00", "Failed"),
        (
            "E08",
            &entry,
            b"SESSION-KEY:METHOD=SAMPLE-AES,",
            b"SESSION-KEY:METHOD=SAMPLE-AES-CTR,",
            "Warned",
        ),
    ];
    for (rule, file, old, new, outcome) in breaks {
        let path = desk.path("sound").join(file);
        let whole = fs::read(&path).unwrap();
        let found = whole.windows(old.len()).position(|window| window == old);
        let place = found.unwrap_or_else(|| panic!("{rule}: {file} has it not"));
        let broken = [&whole[..place], new, &whole[place + old.len()..]].concat();
        fs::write(&path, broken).unwrap();
        assert_eq!(status(&desk.path("sound"), rule), outcome, "{rule} {file}");
        fs::write(&path, whole).unwrap();
    }
}
