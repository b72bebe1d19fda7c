//! What a track is marked as: the flags that containers keep beside language and name.

use serde::{Deserialize, Serialize};

/// Marks of one track. All false where the source says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent marks, as containers keep them"
)]
pub struct Disposition {
    /// The default of its kind.
    #[serde(skip_serializing_if = "is_false")]
    pub default: bool,
    /// Text that everybody needs: signs, and speech in a language foreign to the title.
    #[serde(skip_serializing_if = "is_false")]
    pub forced: bool,
    /// For who can't hear: text that tells sounds too, or sound with clearer speech.
    #[serde(skip_serializing_if = "is_false")]
    pub hearing_impaired: bool,
    /// For who can't see: sound that tells what is shown (described video).
    #[serde(skip_serializing_if = "is_false")]
    pub visual_impaired: bool,
    /// Somebody speaks about the title.
    #[serde(skip_serializing_if = "is_false")]
    pub commentary: bool,
    /// In the language that the title was made in.
    #[serde(skip_serializing_if = "is_false")]
    pub original: bool,
    /// In a language that the title was translated to.
    #[serde(skip_serializing_if = "is_false")]
    pub dub: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(mark: &bool) -> bool {
    !*mark
}

impl Disposition {
    /// Everything that either says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            default: self.default || other.default,
            forced: self.forced || other.forced,
            hearing_impaired: self.hearing_impaired || other.hearing_impaired,
            visual_impaired: self.visual_impaired || other.visual_impaired,
            commentary: self.commentary || other.commentary,
            original: self.original || other.original,
            dub: self.dub || other.dub,
        }
    }

    /// Whether nothing is marked.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the sound is one that a person chooses: nobody wants it who asked for nothing.
    pub fn is_special(self) -> bool {
        self.visual_impaired || self.commentary
    }

    /// The marks beside `default`, in words.
    pub fn words(self) -> Vec<&'static str> {
        let marks = [
            (self.forced, "forced"),
            (self.hearing_impaired, "hearing impaired"),
            (self.visual_impaired, "described video"),
            (self.commentary, "commentary"),
            (self.original, "original"),
            (self.dub, "dub"),
        ];
        let set = marks.into_iter().filter(|(set, _)| *set);
        set.map(|(_, word)| word).collect()
    }

    /// What a track's name tells where no flag does: many files say "Director's commentary" or
    /// "English (SDH)" and nothing else. Only whole words count, and only plain ones.
    pub fn of_name(name: &str) -> Self {
        let lower = name.to_lowercase();
        let words: Vec<&str> = lower
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        let has = |word: &str| words.contains(&word);
        let pair = |first: &str, second: &str| words.windows(2).any(|w| w == [first, second]);
        let describes = pair("audio", "description")
            || pair("audio", "described")
            || pair("described", "video")
            || pair("video", "description")
            || pair("descriptive", "audio")
            || pair("descriptive", "video")
            || has("dvs")
            || has("audiodescription");
        Self {
            forced: has("forced"),
            hearing_impaired: has("sdh") || pair("closed", "captions"),
            visual_impaired: describes,
            commentary: has("commentary") || has("commentaries"),
            ..Self::default()
        }
    }

    /// What a role tells: a value of the DASH role scheme (`urn:mpeg:dash:role:2011`, ISO/IEC
    /// 23009-1 section 5.8.5.5) or of HTML's track kinds (`about:html-kind`), which MP4 keeps in
    /// `kind` boxes.
    pub fn of_role(scheme: &str, value: &str) -> Self {
        let mut marks = Self::default();
        let mark = match (scheme, value) {
            ("urn:mpeg:dash:role:2011", "caption") | ("about:html-kind", "captions") => {
                &mut marks.hearing_impaired
            }
            ("urn:mpeg:dash:role:2011", "description")
            | ("about:html-kind", "main-desc" | "descriptions") => &mut marks.visual_impaired,
            ("urn:mpeg:dash:role:2011" | "about:html-kind", "commentary") => &mut marks.commentary,
            ("urn:mpeg:dash:role:2011", "dub") | ("about:html-kind", "translation") => {
                &mut marks.dub
            }
            ("urn:mpeg:dash:role:2011", "forced-subtitle" | "forced_subtitle") => &mut marks.forced,
            _ => return marks,
        };
        *mark = true;
        marks
    }

    /// What an Apple media characteristic tells (`tagc` user data of QuickTime; the same words as
    /// in HLS).
    pub fn of_characteristic(tag: &str) -> Self {
        let mut marks = Self::default();
        let mark = match tag {
            "public.accessibility.describes-video" => &mut marks.visual_impaired,
            "public.accessibility.transcribes-spoken-dialog"
            | "public.accessibility.describes-music-and-sound"
            | "public.accessibility.enhances-speech-intelligibility" => &mut marks.hearing_impaired,
            "public.subtitles.forced-only" => &mut marks.forced,
            "public.original-content" => &mut marks.original,
            "public.translation"
            | "public.translation.dubbed"
            | "public.translation.voice-over" => &mut marks.dub,
            "public.commentary" => &mut marks.commentary,
            _ => return marks,
        };
        *mark = true;
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_by_whole_words() {
        assert!(Disposition::of_name("Director's Commentary").commentary);
        assert!(Disposition::of_name("English - Audio Description").visual_impaired);
        assert!(Disposition::of_name("English (SDH)").hearing_impaired);
        assert!(Disposition::of_name("Deutsch [Forced]").forced);
        for plain in [
            "Stereo",
            "SDHC card",
            "Enforced",
            "audio",
            "Description",
            "",
        ] {
            assert_eq!(
                Disposition::of_name(plain),
                Disposition::default(),
                "{plain}"
            );
        }
    }

    #[test]
    fn marks_that_are_not_set_are_not_written() {
        let marks = Disposition {
            dub: true,
            ..Disposition::default()
        };
        let json = serde_json::to_string(&marks).expect("writes");
        assert_eq!(json, r#"{"dub":true}"#);
        assert_eq!(
            serde_json::from_str::<Disposition>(&json).expect("reads"),
            marks
        );
    }

    #[test]
    fn roles_and_characteristics_of_other_kinds_mark_nothing() {
        let none = Disposition::default();
        assert_eq!(Disposition::of_role("urn:other", "dub"), none);
        assert_eq!(Disposition::of_characteristic("public.easy-to-read"), none);
        assert!(Disposition::of_role("urn:mpeg:dash:role:2011", "description").visual_impaired);
        assert!(Disposition::of_role("about:html-kind", "main-desc").visual_impaired);
    }
}
