//! The house rules, checked over the program's own text: who may import whom, where the doors to
//! foreign libraries are, where `unsafe` may be, and what may not be named.
//!
//! The checker reads tokens, not syntax trees: it knows comments, strings, `use` groups, nested
//! modules and `super`, which is all that an import can be made of. It can't see what a macro of
//! another crate expands to.

use std::fs;
use std::path::{Path, PathBuf};

/// Every top-level module with its floor. A module imports only from lower floors.
const FLOORS: &[(&str, u8)] = &[
    ("clock", 0),
    ("error", 0),
    ("read_at", 0),
    ("time", 0),
    ("media", 1),
    ("bandwidth", 2),
    ("cipher", 2),
    ("codec", 2),
    ("layout", 2),
    ("pssh", 2),
    ("loudness", 2),
    ("telemetry", 2),
    ("cmaf", 3),
    ("dash", 3),
    ("hls", 3),
    ("plan", 3),
    ("segmenter", 3),
    ("signing", 3),
    ("text", 3),
    ("tls", 3),
    ("catalog", 4),
    ("keys", 4),
    ("ffmpeg", 4),
    ("store", 4),
    ("verify", 4),
    ("outbound", 5),
    ("queue", 5),
    ("sandbox", 5),
    ("source", 5),
    ("package", 6),
    ("access", 6),
    ("cloudfront", 6),
    ("asset_view", 5),
    ("problem", 5),
    ("ingest", 7),
    ("library", 7),
    ("origin", 7),
    ("ui", 7),
    ("worker", 7),
    ("api", 8),
    ("config", 8),
    ("wire", 8),
    ("server", 9),
    ("cli", 10),
];

/// The one module that its own floor may import too: every fallible function names it.
const FOUNDATION: &str = "error";

/// Foreign libraries, and the only places that may touch each.
const DOORS: &[(&str, &[&str])] = &[
    ("ffmpeg_next", &["src/ffmpeg/"]),
    ("ebur128", &["src/ffmpeg/"]),
    ("ffmpeg_sys_next", &["src/ffmpeg/"]),
    ("object_store", &["src/store/"]),
    ("sqlx", &["src/catalog/"]),
    (
        "actix_web",
        &[
            "src/access.rs",
            "src/api/",
            "src/ingest/",
            "src/origin/",
            "src/problem.rs",
            "src/server/",
            "src/ui/",
            "src/wire/",
        ],
    ),
    ("actix_multipart", &["src/ingest/"]),
    (
        "reqwest",
        &[
            "src/cloudfront/doctor/",
            "src/outbound/",
            "src/tls/acme/",
            "src/verify/",
        ],
    ),
    ("actix_http", &["src/wire/"]),
    ("actix_service", &["src/wire/"]),
    ("prometheus_client", &["src/telemetry/"]),
    ("governor", &["src/origin/"]),
    // TLS names it as the provider of its ciphers.
    (
        "aws_lc_rs",
        &["src/cipher.rs", "src/keys/", "src/signing/", "src/tls/"],
    ),
    ("rsa", &["src/signing/"]),
    ("rustls", &["src/tls/", "src/wire/"]),
    ("tokio_rustls", &["src/tls/", "src/wire/"]),
    ("instant_acme", &["src/tls/acme/"]),
    ("rcgen", &["src/tls/"]),
    (
        "moka",
        &["src/origin/cache/", "src/origin/keys.rs", "src/signing/"],
    ),
    ("brotli", &["src/cloudfront/doctor/", "src/origin/cache/"]),
    ("flate2", &["src/cloudfront/doctor/", "src/origin/cache/"]),
];

/// The only file with `unsafe` in it.
const UNSAFE_ROOM: &str = "src/ffmpeg/sys.rs";

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "manager", "managers", "misc",
];

/// `main.rs` only calls the library.
const MAIN_LINES: usize = 40;

/// Where a path of somebody's machine begins. In pieces, so that this file holds none.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/tmp/", "wt"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

/// Folders that hold no text of ours.
const FOREIGN_FOLDERS: &[&str] = &[".git", "target", "node_modules", "data"];

// ---- tokens

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Path,
    Sign(char),
}

#[derive(Debug, Clone)]
struct Placed {
    token: Token,
    line: usize,
}

/// The tokens of a Rust file without comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<Placed> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(&c) = chars.get(at) {
        let end = skip_silent(&chars, at);
        if end > at {
            line += chars[at..end].iter().filter(|c| **c == '\n').count();
            at = end;
            continue;
        }
        let (token, next) = if c.is_alphanumeric() || c == '_' {
            let end = end_of_word(&chars, at);
            (Some(Token::Word(chars[at..end].iter().collect())), end)
        } else if c == ':' && chars.get(at + 1) == Some(&':') {
            (Some(Token::Path), at + 2)
        } else {
            ((!c.is_whitespace()).then_some(Token::Sign(c)), at + 1)
        };
        found.extend(token.map(|token| Placed { token, line }));
        line += usize::from(c == '\n');
        at = next;
    }
    found
}

fn end_of_word(chars: &[char], start: usize) -> usize {
    let length = chars[start..]
        .iter()
        .take_while(|c| c.is_alphanumeric() || **c == '_')
        .count();
    start + length
}

/// Where the comment, string, character or lifetime that begins at `at` ends; `at` if none does.
fn skip_silent(chars: &[char], at: usize) -> usize {
    let starts = |what: &str| {
        what.chars()
            .enumerate()
            .all(|(i, c)| chars.get(at + i) == Some(&c))
    };
    if starts("//") {
        return at + chars[at..].iter().take_while(|c| **c != '\n').count();
    }
    if starts("/*") {
        return end_of_block_comment(chars, at);
    }
    match chars[at] {
        '"' => end_of_string(chars, at),
        '\'' => end_of_character(chars, at),
        'r' | 'b' | 'c' => end_of_prefixed_string(chars, at),
        _ => at,
    }
}

fn end_of_block_comment(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0usize);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn end_of_character(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => {
            let rest = chars.get(start + 3..).unwrap_or_default();
            start + 3 + rest.iter().take_while(|c| **c != '\'').count() + 1
        }
        (_, Some('\'')) => start + 3,
        _ => end_of_word(chars, start + 1),
    }
}

/// `r"..."`, `r#"..."#`, `b"..."`, `b'x'`, `br#"..."#`, `c"..."`; `at` if it is a plain word.
fn end_of_prefixed_string(chars: &[char], at: usize) -> usize {
    let glued = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    let prefix = chars[at..]
        .iter()
        .take(2)
        .take_while(|c| matches!(c, 'r' | 'b' | 'c'))
        .count();
    let raw = chars[at..at + prefix].contains(&'r');
    let hashes = chars[at + prefix..]
        .iter()
        .take_while(|c| **c == '#')
        .count();
    let quote = at + prefix + hashes;
    match chars.get(quote) {
        _ if glued => at,
        Some('"') if raw => {
            let close: String = std::iter::once('"')
                .chain("#".repeat(hashes).chars())
                .collect();
            let rest: String = chars[quote + 1..].iter().collect();
            let length = rest.find(&close).map_or(rest.chars().count(), |byte| {
                rest[..byte].chars().count() + 1 + hashes
            });
            quote + 1 + length
        }
        Some('"') if hashes == 0 => end_of_string(chars, quote),
        Some('\'') if hashes == 0 && chars[at] == 'b' => end_of_character(chars, quote),
        _ => at,
    }
}

// ---- imports

/// A top-level module of this crate that a file names, and the line.
#[derive(Debug, PartialEq, Eq)]
struct Import {
    module: String,
    line: usize,
}

/// The module path of a file below `src`: `src/cmaf/mod.rs` is `cmaf`, `src/hls/tag.rs` `hls::tag`.
fn module_path(file: &str) -> Vec<String> {
    let inner = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut path: Vec<String> = inner.split('/').map(String::from).collect();
    if matches!(
        path.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        path.pop();
    }
    path
}

/// All paths that lead from a file through the crate's root: `crate::x`, and as many `super` as
/// the place is deep.
fn imports(file: &str, text: &str) -> Vec<Import> {
    let found = tokens(text);
    let depth_of_file = module_path(file).len();
    let mut inline_modules: Vec<bool> = Vec::new();
    let mut imports = Vec::new();
    let mut at = 0;
    while at < found.len() {
        match &found[at].token {
            Token::Sign('{') => inline_modules.push(opens_module(&found, at)),
            Token::Sign('}') => drop(inline_modules.pop()),
            Token::Word(word) if word == "crate" => imports.extend(heads(&found, at + 1)),
            Token::Word(word) if word == "super" && !is_path(&found, at.wrapping_sub(1)) => {
                let supers = count_supers(&found, at);
                let inline = inline_modules.iter().filter(|module| **module).count();
                at += 2 * (supers - 1);
                if supers == depth_of_file + inline {
                    imports.extend(heads(&found, at + 1));
                }
            }
            _ => {}
        }
        at += 1;
    }
    imports
}

/// Whether the brace at `at` follows `mod name`.
fn opens_module(found: &[Placed], at: usize) -> bool {
    at >= 2 && matches!(&found[at - 2].token, Token::Word(word) if word == "mod")
}

fn is_path(found: &[Placed], at: usize) -> bool {
    matches!(
        found.get(at),
        Some(Placed {
            token: Token::Path,
            ..
        })
    )
}

fn count_supers(found: &[Placed], start: usize) -> usize {
    let mut count = 1;
    while is_path(found, start + 2 * count - 1)
        && matches!(&found.get(start + 2 * count), Some(Placed { token: Token::Word(word), .. }) if word == "super")
    {
        count += 1;
    }
    count
}

/// The first words after a `::` at `at`: one, or those of a group `{a, b::{c, d}}`.
fn heads(found: &[Placed], at: usize) -> Vec<Import> {
    if !is_path(found, at) {
        return Vec::new();
    }
    let import = |placed: &Placed| match &placed.token {
        Token::Word(word) => Some(Import {
            module: word.clone(),
            line: placed.line,
        }),
        _ => None,
    };
    match found.get(at + 1) {
        Some(Placed {
            token: Token::Sign('{'),
            ..
        }) => {
            let group = &found[at + 1..];
            let mut depth = 0;
            let mut heads = Vec::new();
            for pair in group.windows(2) {
                match pair[0].token {
                    Token::Sign('{') => depth += 1,
                    Token::Sign('}') => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                let opens = matches!(pair[0].token, Token::Sign('{' | ','));
                heads.extend((depth == 1 && opens).then(|| import(&pair[1])).flatten());
            }
            heads
        }
        Some(placed) => import(placed).into_iter().collect(),
        None => Vec::new(),
    }
}

// ---- rules

fn floor(module: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, floor)| *floor)
}

/// What the floors forbid in one file. The programs and `lib.rs` stand above all floors.
fn floor_violations(file: &str, text: &str) -> Vec<String> {
    let path = module_path(file);
    let Some(own) = path.first().filter(|name| *name != "bin") else {
        return Vec::new();
    };
    let Some(own_floor) = floor(own) else {
        return vec![format!(
            "{file}: module `{own}` has no floor; add it to the table"
        )];
    };
    let forbidden = |import: &Import| {
        if import.module == *own || import.module == FOUNDATION {
            return None;
        }
        match floor(&import.module) {
            Some(floor) if floor < own_floor => None,
            Some(floor) => Some(format!(
                "{file}:{}: `{own}` (floor {own_floor}) imports `{}` (floor {floor})",
                import.line, import.module
            )),
            None => Some(format!(
                "{file}:{}: `{own}` imports `crate::{}`, which is no module of the table",
                import.line, import.module
            )),
        }
    };
    imports(file, text).iter().filter_map(forbidden).collect()
}

/// Foreign libraries used beside their door.
fn door_violations(file: &str, text: &str) -> Vec<String> {
    let found = tokens(text);
    let mut violations = Vec::new();
    for (at, placed) in found.iter().enumerate() {
        let Token::Word(word) = &placed.token else {
            continue;
        };
        let Some((library, doors)) = DOORS.iter().find(|(library, _)| library == word) else {
            continue;
        };
        let imported = matches!(
            at.checked_sub(1).and_then(|before| found.get(before)),
            Some(Placed { token: Token::Word(word), .. }) if word == "use" || word == "crate"
        );
        let inside = doors.iter().any(|door| file.starts_with(door));
        if (imported || is_path(&found, at + 1)) && !inside {
            violations.push(format!(
                "{file}:{}: `{library}` is used beside its door {}",
                placed.line,
                doors.join(" or ")
            ));
        }
    }
    violations
}

fn unsafe_violations(file: &str, text: &str) -> Vec<String> {
    let is_unsafe = |placed: &&Placed| placed.token == Token::Word(String::from("unsafe"));
    let found = tokens(text);
    let places = found
        .iter()
        .filter(is_unsafe)
        .filter(|_| file != UNSAFE_ROOM);
    places
        .map(|placed| format!("{file}:{}: `unsafe` outside {UNSAFE_ROOM}", placed.line))
        .collect()
}

fn name_violation(file: &str) -> Option<String> {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let empty = stem.split('/').find(|part| EMPTY_NAMES.contains(part))?;
    Some(format!(
        "{file}: `{empty}` says nothing of what is inside; name the noun"
    ))
}

/// Paths of a machine in a text. `../work/` and `network/` are none.
fn machine_path_violations(file: &str, text: &str) -> Vec<String> {
    let begins_path = |before: &str| {
        before
            .chars()
            .next_back()
            .is_none_or(|c| !(c.is_alphanumeric() || "._-}$/~*".contains(c)))
    };
    let mut violations = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for path in MACHINE_PATHS {
            if line
                .match_indices(path)
                .any(|(at, _)| begins_path(&line[..at]))
            {
                violations.push(format!(
                    "{file}:{}: names a machine's path {path}",
                    number + 1
                ));
            }
        }
    }
    violations
}

// ---- the tree

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder that hold text, as (path from the root, text), sorted.
fn texts(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    files.sort();
    let named = |path: PathBuf| {
        let text = String::from_utf8(fs::read(&path).ok()?).ok()?;
        let name = path.strip_prefix(root()).ok()?.to_str()?.to_owned();
        Some((name, text))
    };
    files.into_iter().filter_map(named).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let entry = entry.expect("the folder can be listed");
        let kind = entry.file_type().expect("the entry has a type");
        let foreign = entry
            .file_name()
            .to_str()
            .is_some_and(|name| FOREIGN_FOLDERS.contains(&name));
        if foreign {
            continue;
        }
        if kind.is_dir() {
            collect(&entry.path(), files);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let sources: Vec<_> = texts("src")
        .into_iter()
        .filter(|(file, _)| file.ends_with(".rs"))
        .collect();
    assert!(sources.len() > 10, "the sources were not found");
    sources
}

fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

fn check_sources(rule: fn(&str, &str) -> Vec<String>) {
    let violations: Vec<String> = sources()
        .iter()
        .flat_map(|(file, text)| rule(file, text))
        .collect();
    assert_none(&violations);
}

#[test]
fn modules_import_only_from_lower_floors() {
    check_sources(floor_violations);
}

#[test]
fn foreign_libraries_are_used_only_at_their_doors() {
    check_sources(door_violations);
}

#[test]
fn unsafe_has_one_room() {
    check_sources(unsafe_violations);
}

#[test]
fn every_name_says_what_is_inside() {
    let files = ["src", "tests", "scripts"].into_iter().flat_map(texts);
    let violations: Vec<String> = files
        .filter_map(|(file, _)| name_violation(&file))
        .collect();
    assert_none(&violations);
}

#[test]
fn main_only_calls_the_library() {
    let text = fs::read_to_string(root().join("src/main.rs")).expect("src/main.rs");
    assert!(
        text.lines().count() < MAIN_LINES,
        "src/main.rs has {} lines",
        text.lines().count()
    );
}

#[test]
fn no_text_names_the_path_of_a_machine() {
    let violations: Vec<String> = texts("")
        .iter()
        .flat_map(|(file, text)| machine_path_violations(file, text))
        .collect();
    assert_none(&violations);
}

#[test]
fn the_library_lists_its_modules_by_floor() {
    let text = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let mut listed = 0;
    let mut wrong = Vec::new();
    for line in text.lines() {
        if let Some(number) = line.strip_prefix("// floor ") {
            listed = number.trim().parse().expect("a floor is a number");
        }
        let module = line
            .strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(';'));
        if let Some(module) = module.filter(|module| floor(module) != Some(listed)) {
            wrong.push(format!(
                "src/lib.rs: `{module}` is listed on floor {listed}, the table says {:?}",
                floor(module)
            ));
        }
    }
    assert_none(&wrong);
}

/// Cargo finds no tests by itself here (`autotests = false`), so a forgotten one never runs.
#[test]
fn every_test_and_bench_file_is_named_in_the_manifest() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let mut forgotten = Vec::new();
    for folder in ["tests", "benches"] {
        let Ok(entries) = fs::read_dir(root().join(folder)) else {
            continue;
        };
        for entry in entries.map(|entry| entry.expect("the folder can be listed")) {
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if path.ends_with(".rs") && !manifest.contains(&format!("path = \"{path}\"")) {
                forgotten.push(format!("{path} is not named in Cargo.toml"));
            }
        }
    }
    assert_none(&forgotten);
}

// ---- the checker finds what it looks for

/// The modules that a text in a file names.
fn named(file: &str, text: &str) -> Vec<String> {
    imports(file, text)
        .into_iter()
        .map(|import| import.module)
        .collect()
}

#[test]
fn an_import_from_above_is_found_with_its_line() {
    let text = "//! Doc.\n\nuse crate::error::Result;\nuse crate::store::Store;\n";
    assert_eq!(
        floor_violations("src/cmaf/init.rs", text),
        ["src/cmaf/init.rs:4: `cmaf` (floor 3) imports `store` (floor 4)"]
    );
}

#[test]
fn an_import_from_the_same_floor_is_found() {
    assert_eq!(
        floor_violations("src/hls/mod.rs", "use crate::dash::Mpd;").len(),
        1
    );
    assert_eq!(
        floor_violations("src/hls/tag.rs", "use crate::hls::Line;").len(),
        0
    );
}

#[test]
fn a_path_inside_an_expression_is_found() {
    assert_eq!(
        floor_violations("src/plan/mod.rs", "fn f() { crate::package::run(); }").len(),
        1
    );
}

#[test]
fn groups_are_looked_into() {
    let text = "use crate::{error::{Error, Result}, package::{run, store}, time};";
    assert_eq!(named("src/plan/mod.rs", text), ["error", "package", "time"]);
}

#[test]
fn super_is_followed_to_the_root_only() {
    assert_eq!(
        named("src/layout.rs", "use super::package::run;"),
        ["package"]
    );
    assert_eq!(
        named("src/layout.rs", "mod tests { use super::Key; }"),
        Vec::<String>::new()
    );
    assert_eq!(
        named("src/layout.rs", "mod tests { use super::super::cli::run; }"),
        ["cli"]
    );
    assert_eq!(
        named("src/hls/tag.rs", "use super::super::{cli, time};"),
        ["cli", "time"]
    );
    assert_eq!(
        named("src/hls/tag.rs", "use super::line::Line;"),
        Vec::<String>::new()
    );
}

#[test]
fn comments_and_strings_say_nothing() {
    let text = r##"
        // use crate::cli::run;
        /* crate::cli /* crate::cli */ crate::cli */
        const A: &str = "crate::cli \" crate::cli";
        const B: &str = r#"crate::cli " unsafe"#;
        const C: &[u8] = b"crate::cli";
        fn f<'a>(_: &'a str) -> char { '"' }
        use crate::time::Ticks; // '"'
    "##;
    assert_eq!(named("src/plan/mod.rs", text), ["time"]);
    assert_eq!(
        unsafe_violations("src/plan/mod.rs", text),
        Vec::<String>::new()
    );
}

#[test]
fn a_module_without_a_floor_is_found() {
    assert_eq!(floor_violations("src/novelty.rs", "").len(), 1);
}

#[test]
fn a_library_beside_its_door_is_found() {
    let uses = [
        "use object_store::ObjectStore;",
        "use ffmpeg_next as av;",
        "fn f() { reqwest::get(); }",
    ];
    for text in uses {
        assert_eq!(
            door_violations("src/package/mod.rs", text).len(),
            1,
            "{text}"
        );
    }
    assert_eq!(door_violations("src/store/local.rs", uses[0]).len(), 0);
}

#[test]
fn unsafe_outside_its_room_is_found() {
    let text = "#![deny(unsafe_code)]\nfn f() { unsafe { g() } }";
    assert_eq!(unsafe_violations("src/ffmpeg/decode.rs", text).len(), 1);
    assert_eq!(unsafe_violations(UNSAFE_ROOM, text).len(), 0);
}

#[test]
fn an_empty_name_is_found() {
    assert!(name_violation("src/hls/util.rs").is_some());
    assert!(name_violation("src/helpers/mod.rs").is_some());
    assert!(name_violation("src/hls/utilisation.rs").is_none());
}

#[test]
fn a_machine_path_is_found() {
    let found = |line: String| !machine_path_violations("README.md", &line).is_empty();
    assert!(found(format!("cd {}main", MACHINE_PATHS[0])));
    assert!(found(format!("\"{}x\"", MACHINE_PATHS[2])));
    assert!(!found(format!("https://host{}x", MACHINE_PATHS[0])));
}
