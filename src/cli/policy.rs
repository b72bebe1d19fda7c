//! The flags that change the policy, shared by `package` and `plan`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::error::{Error, Result};
use crate::keys::KeySource;
use crate::media::{Passthrough, Policy, Preset};

/// Policy file and the flags that override it.
#[derive(Debug, Args)]
pub(super) struct PolicyArguments {
    /// Policy file (TOML); flags override it
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Rungs to make, by the short side of the picture [default: all that fit the source]
    #[arg(long, value_name = "1080,720,..", value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(64..=4320))]
    rungs: Option<Vec<u32>>,
    /// Nominal segment length, 1 to 10 [default: 6]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=10))]
    segment_seconds: Option<u32>,
    /// Repackage the source's own samples instead of encoding anew [default: auto]
    #[arg(long, value_enum)]
    passthrough: Option<PassthroughArgument>,
    /// Encoder effort, in x264's names [default: veryfast]
    #[arg(long, value_name = "P", value_parser = parse_preset)]
    preset: Option<Preset>,
    /// Keys for a policy that encrypts: 64 hexadecimal digits to derive them from, or a list
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PassthroughArgument {
    /// Where the source already is what would be made of it
    Auto,
    /// Encode everything
    Never,
    /// Repackage everything, decode nothing
    Only,
}

fn parse_preset(name: &str) -> Result<Preset, String> {
    Preset::ALL
        .into_iter()
        .find(|preset| preset.name() == name)
        .ok_or_else(|| {
            let names: Vec<_> = Preset::ALL.into_iter().map(Preset::name).collect();
            format!("one of {}", names.join(", "))
        })
}

impl PolicyArguments {
    /// Where content keys come from, if a key file is named.
    pub(super) fn keys(&self) -> Result<Option<KeySource>> {
        self.key_file.as_deref().map(KeySource::read).transpose()
    }

    /// The policy that file and flags ask for.
    pub(super) fn policy(&self) -> Result<Policy> {
        let mut policy = match &self.policy {
            None => Policy::default(),
            Some(path) => read_policy(path)?,
        };
        if let Some(rungs) = &self.rungs {
            policy.rungs.clone_from(rungs);
        }
        if let Some(seconds) = self.segment_seconds {
            policy.segment_seconds = seconds;
            policy.gop_seconds = policy.gop_seconds.min(seconds);
        }
        if let Some(preset) = self.preset {
            policy.preset = preset;
        }
        match self.passthrough {
            None => {}
            Some(PassthroughArgument::Auto) => policy.passthrough = Passthrough::Auto,
            Some(PassthroughArgument::Never) => policy.passthrough = Passthrough::Never,
            Some(PassthroughArgument::Only) => policy.passthrough = Passthrough::Only,
        }
        policy.check()?;
        Ok(policy)
    }
}

fn read_policy(path: &PathBuf) -> Result<Policy> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::io(format!("reading the policy {}", path.display()), e))?;
    toml::from_str(&text).map_err(|e| {
        let line = e.span().and_then(|span| text.get(..span.start));
        let line = line.map_or(1, |before| before.matches('\n').count() + 1);
        let message = format!("policy {}, line {line}: {}", path.display(), e.message());
        Error::invalid(message)
    })
}
