//! What is in the library's folder, a directory or a bucket: the titles' files, and captions beside
//! them.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::error::{Error, Result};
use crate::media::TextKind;
use crate::source::Location;
use crate::store::{BlockingStore, Sighted};

/// What files are taken for titles unless patterns say so: the usual names of video and audio.
const EXTENSIONS: &[&str] = &[
    "264", "265", "3g2", "3gp", "aac", "ac3", "aif", "aiff", "amr", "asf", "avi", "caf", "dv",
    "eac3", "f4v", "flac", "flv", "gxf", "h264", "h265", "hevc", "ivf", "m2ts", "m2v", "m4a",
    "m4v", "mka", "mkv", "mov", "mp2", "mp3", "mp4", "mpeg", "mpg", "mts", "mxf", "obu", "oga",
    "ogg", "ogv", "opus", "qt", "ts", "vob", "wav", "webm", "wma", "wmv",
];

/// Folders below folders, at most.
const DEPTH_MAX: usize = 64;

/// Which files below the folder are meant. Patterns are those of shells, matched against the path
/// below the folder; `**` is any number of folders.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

/// A file of the library.
#[derive(Debug, Clone)]
pub struct Found {
    /// Path below the library's folder, with `/` between its parts.
    pub relative: String,
    /// Where it is.
    pub location: Location,
    /// Length in bytes.
    pub size_bytes: u64,
    /// When it was written last: nanoseconds since 1970, in digits. The ETag of an object in a
    /// bucket, where a listing has it.
    pub modified: String,
    /// Captions beside it.
    pub captions: Vec<Sidecar>,
}

/// Captions beside a title: `x.en.vtt` for `x.mp4`; `x.en.forced.srt`, `x.en.sdh.vtt`.
#[derive(Debug, Clone)]
pub struct Sidecar {
    /// Where it is.
    pub location: Location,
    /// Its language, as its name says: not yet known to be one.
    pub language: String,
    /// What it is for.
    pub kind: TextKind,
    /// Tells its states apart: length and time.
    state: String,
}

/// All that was found.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The titles, by their paths.
    pub titles: Vec<Found>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

impl Filter {
    /// Files that match one of `include`, if there is any, and none of `exclude`.
    ///
    /// # Errors
    /// Names the pattern that is none.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self> {
        let parse = |text: &String| {
            Pattern::new(text).map_err(|e| Error::invalid(format!("{text} is no pattern: {e}")))
        };
        Ok(Self {
            include: include.iter().map(parse).collect::<Result<_>>()?,
            exclude: exclude.iter().map(parse).collect::<Result<_>>()?,
        })
    }

    /// Whether the file at `relative` is meant.
    fn takes(&self, relative: &str) -> bool {
        let options = MatchOptions {
            require_literal_separator: true,
            ..MatchOptions::default()
        };
        // A pattern without a folder is about names, wherever they are.
        let name = relative.rsplit('/').next().unwrap_or(relative);
        let matches = |pattern: &Pattern| {
            pattern.matches_with(relative, options)
                || (!pattern.as_str().contains('/') && pattern.matches_with(name, options))
        };
        let included = match self.include.as_slice() {
            [] => is_media(name),
            patterns => patterns.iter().any(matches),
        };
        included && !self.exclude.iter().any(matches)
    }
}

fn is_media(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| {
        let extension = extension.to_ascii_lowercase();
        EXTENSIONS.binary_search(&extension.as_str()).is_ok()
    })
}

impl Found {
    /// Tells the states of its captions apart; empty without any.
    pub fn captions_state(&self) -> String {
        let states = self.captions.iter().map(|sidecar| {
            let (language, kind) = (&sidecar.language, sidecar.kind.name());
            format!("{language} {kind} {}", sidecar.state)
        });
        states.collect::<Vec<_>>().join(", ")
    }
}

impl Sources {
    /// Looks through `folder` and the folders below it. Links to files are followed, links to
    /// folders are not; what begins with a dot is left out.
    ///
    /// # Errors
    /// When the folder can't be read; folders below it that can't are told in the notes.
    pub fn find(folder: &Path, filter: &Filter) -> Result<Self> {
        let mut search = Search::default();
        search.look(folder, "", 0)?;
        Ok(search.choose(filter))
    }

    /// Takes out what lies in `folder`, a path below the library's folder.
    pub fn leave_out(&mut self, folder: &str) {
        let start = format!("{}/", folder.trim_end_matches('/'));
        self.titles
            .retain(|found| !found.relative.starts_with(&start));
    }

    /// Looks through the bucket `url`, `s3://bucket/prefix`. What lies there is learned by listing
    /// it, however it came there. What begins with a dot is left out, and so is what lies in a
    /// folder whose name does.
    ///
    /// # Errors
    /// When the bucket can't be listed.
    pub fn find_in_bucket(url: &str, filter: &Filter) -> Result<Self> {
        let store = BlockingStore::open(url)?;
        let mut search = Search::default();
        let listed = store
            .sight()
            .map_err(|e| e.context(format!("listing {url}")))?;
        for object in listed {
            let is_hidden = object.key.split('/').any(|part| part.starts_with('.'));
            if !is_hidden {
                search.add_object(&store, url, object);
            }
        }
        Ok(search.choose(filter))
    }
}

/// A file that may be a title, or captions beside one.
struct Sight {
    location: Location,
    size_bytes: u64,
    /// Tells its versions of one length apart.
    modified: String,
}

fn modified(metadata: &Metadata) -> String {
    let nanos = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    nanos.to_string()
}

#[derive(Default)]
struct Search {
    files: BTreeMap<String, Sight>,
    notes: Vec<String>,
}

impl Search {
    /// What of all that was seen is meant.
    fn choose(mut self, filter: &Filter) -> Sources {
        let mut titles = Vec::new();
        for (relative, sight) in &self.files {
            if !filter.takes(relative) {
                continue;
            }
            titles.push(Found {
                relative: relative.clone(),
                location: sight.location.clone(),
                size_bytes: sight.size_bytes,
                modified: sight.modified.clone(),
                captions: captions(relative, &self.files, &mut self.notes),
            });
        }
        Sources {
            titles,
            notes: self.notes,
        }
    }

    fn add_object(&mut self, store: &BlockingStore, url: &str, object: Sighted) {
        let whole = format!("{}/{}", url.trim_end_matches('/'), object.key);
        let location = Location::object(store.clone(), object.key.clone(), whole);
        let sight = Sight {
            location,
            size_bytes: object.size,
            modified: object.state,
        };
        self.files.insert(object.key, sight);
    }

    fn look(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<()> {
        let reading = |e| Error::io(format!("reading the folder {}", folder.display()), e);
        for entry in fs::read_dir(folder).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                let path = path.display();
                self.notes
                    .push(format!("{path} is left out: its name is not UTF-8"));
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            let relative = format!("{prefix}{name}");
            if entry.file_type().map_err(reading)?.is_dir() {
                self.look_below(&path, &format!("{relative}/"), depth + 1);
            } else {
                self.add(path, relative);
            }
        }
        Ok(())
    }

    fn look_below(&mut self, path: &Path, prefix: &str, depth: usize) {
        if depth > DEPTH_MAX {
            let path = path.display();
            self.notes.push(format!(
                "{path} is left out: it lies {DEPTH_MAX} folders deep"
            ));
        } else if let Err(e) = self.look(path, prefix, depth) {
            self.notes.push(format!("{e}; what is in it is left out"));
        }
    }

    fn add(&mut self, path: PathBuf, relative: String) {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                let sight = Sight {
                    size_bytes: metadata.len(),
                    modified: modified(&metadata),
                    location: Location::File(path),
                };
                self.files.insert(relative, sight);
            }
            Ok(_) => {}
            Err(e) => {
                let path = path.display();
                self.notes.push(format!("{path} is left out: {e}"));
            }
        }
    }
}

/// The captions of the title at `relative`.
fn captions(
    relative: &str,
    files: &BTreeMap<String, Sight>,
    notes: &mut Vec<String>,
) -> Vec<Sidecar> {
    let Some((stem, _)) = relative.rsplit_once('.') else {
        return Vec::new();
    };
    let start = format!("{stem}.");
    let mut found = Vec::new();
    for (name, sight) in files.range(start.clone()..) {
        let Some(words) = name.strip_prefix(&start) else {
            break;
        };
        let words: Vec<&str> = words.split('.').collect();
        let Some((extension, words)) = words.split_last() else {
            continue;
        };
        if !matches!(extension.to_ascii_lowercase().as_str(), "vtt" | "srt") {
            continue;
        }
        let kind = words
            .get(1)
            .map_or(Some(TextKind::Subtitles), |word| kind(word));
        match (words, kind) {
            ([language], Some(kind)) | ([language, _], Some(kind)) => found.push(Sidecar {
                location: sight.location.clone(),
                language: (*language).to_owned(),
                kind,
                state: format!("{} {}", sight.size_bytes, sight.modified),
            }),
            _ => notes.push(format!(
                "{name} is left out: name captions {stem}.LANGUAGE.{extension}, or \
                 {stem}.LANGUAGE.forced.{extension}, {stem}.LANGUAGE.sdh.{extension}"
            )),
        }
    }
    found
}

fn kind(word: &str) -> Option<TextKind> {
    match word.to_ascii_lowercase().as_str() {
        "forced" => Some(TextKind::Forced),
        "sdh" | "cc" | "captions" => Some(TextKind::Captions),
        "subtitles" => Some(TextKind::Subtitles),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        folder
    }

    fn found(names: &[&str], include: &[&str], exclude: &[&str]) -> Sources {
        let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let filter = Filter::new(&owned(include), &owned(exclude)).unwrap();
        Sources::find(folder(names).path(), &filter).unwrap()
    }

    fn titles(sources: &Sources) -> Vec<&str> {
        sources.titles.iter().map(|t| t.relative.as_str()).collect()
    }

    #[test]
    fn media_is_found_by_its_name() {
        let names = [
            "b.MKV",
            "a/c.mp4",
            "a/notes.txt",
            ".hidden.mp4",
            "a/.x/y.mp4",
        ];
        assert_eq!(titles(&found(&names, &[], &[])), ["a/c.mp4", "b.MKV"]);
        assert!(EXTENSIONS.is_sorted());
    }

    #[test]
    fn patterns_are_about_names_or_paths() {
        let names = ["a/1.mp4", "a/b/2.mp4", "c/3.bin", "4.mp4"];
        let all = |include: &[&str], exclude: &[&str]| {
            let sources = found(&names, include, exclude);
            titles(&sources).join(" ")
        };
        assert_eq!(all(&["*.bin"], &[]), "c/3.bin");
        assert_eq!(all(&["a/*"], &[]), "a/1.mp4");
        assert_eq!(all(&["a/**/*"], &["2.*"]), "a/1.mp4");
        assert_eq!(all(&[], &["a/**"]), "4.mp4");
        assert!(Filter::new(&["[".to_owned()], &[]).is_err());
    }

    #[test]
    fn captions_belong_to_the_title_of_their_name() {
        let names = [
            "x.mp4",
            "x.en.vtt",
            "x.pt-BR.forced.srt",
            "x.de.SDH.vtt",
            "x.vtt",
            "x.en.loud.vtt",
            "xy.en.vtt",
        ];
        let sources = found(&names, &[], &[]);
        let captions: Vec<_> = sources.titles[0]
            .captions
            .iter()
            .map(|c| (c.language.as_str(), c.kind))
            .collect();
        let expected = [
            ("de", TextKind::Captions),
            ("en", TextKind::Subtitles),
            ("pt-BR", TextKind::Forced),
        ];
        assert_eq!(captions, expected);
        assert_eq!(sources.notes.len(), 2, "{:?}", sources.notes);
    }
}
